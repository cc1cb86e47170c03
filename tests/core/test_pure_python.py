"""Without the compiled rules: the same bytes, said in a line to be slower."""

import hashlib
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES

import pytest
from builds import made

from c4build.compiled import core
from c4build.rules.tables import RULE_SETS, VARIANTS
from c4build.sample.resources import sample_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)


def build(out: pathlib.Path, rules: str, **environment: str) -> tuple[dict[str, str], str]:
    """(digest of each shard, of samples and statistics, by path; what the command said)."""
    sample = sample_folder()
    command = [sys.executable, "-c", "from c4build.commands.main import main; main()", "build"]
    command += [
        str(sample / "sample.warc.wet.gz"),
        "--out",
        str(out),
        "--rules",
        rules,
        "--variants",
        ",".join(VARIANTS),
    ]
    command += [
        "--realnews-domains",
        str(sample / "realnews_domains.json"),
        "--webtext-urls",
        str(sample / "webtext_urls.txt"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=out.parent, env={**os.environ, **environment})
    assert ended.returncode == 0, ended.stderr
    return {path: hashlib.sha256(data).hexdigest() for path, data in made(out).items()}, ended.stderr


@pytest.mark.parametrize("rules", ["c4-3.1.0", pytest.param("paper", marks=pytest.mark.slow), pytest.param("paper-final", marks=pytest.mark.slow)])  # fmt: skip
def test_a_build_without_the_compiled_rules_writes_the_same_bytes(rules, tmp_path):
    assert rules in RULE_SETS
    compiled, said = build(tmp_path / "compiled", rules)
    plain, told = build(tmp_path / "plain", rules, C4BUILD_PURE_PYTHON="1")
    assert compiled and plain == compiled
    assert "the rules run in Python" not in said
    assert told.count("the rules run in Python") == 1


@pytest.mark.parametrize(
    "there, environment, why",
    [
        (None, {}, "is not installed, as there was no compiler"),
        (b"\x1b[31mno library", {}, r"cannot be loaded \(.*_core.*\)"),
        (None, {"C4BUILD_PURE_PYTHON": "1"}, "is left out, as C4BUILD_PURE_PYTHON is set"),
    ],
)
def test_why_the_compiled_rules_are_not_there_is_said(there, environment, why, tmp_path):
    package = tmp_path / "c4build"
    package.mkdir()
    for name in ("__init__.py", "compiled.py", "errors.py"):
        shutil.copy(ROOT / "c4build" / name, package)
    if there:
        (package / f"_core{EXTENSION_SUFFIXES[0]}").write_bytes(there)
    command = [sys.executable, "-c", "from c4build.compiled import SLOW, missing; print(f'{missing}: {SLOW}')"]
    said = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), **environment},
    )
    assert re.fullmatch(rf"c4build\._core {why}: the rules run in Python, .*\n", said.stdout) and not said.stderr


def children_seconds() -> float:
    """CPU time of the processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_package_is_installed_without_a_compiler_too_and_a_compiler_takes_less_than_a_minute(tmp_path):
    shutil.copytree(ROOT, tmp_path / "clone", ignore=shutil.ignore_patterns(".*", "*.so", "build", "__pycache__"))
    seconds, built = {}, {}
    for name, environment in (("plain", {"CC": "false", "CXX": "false"}), ("compiled", {})):
        folder, start = tmp_path / name, children_seconds()
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            folder,
            tmp_path / "clone",
        ]
        subprocess.run(command, check=True, env={**os.environ, **environment})
        seconds[name] = children_seconds() - start
        assert [path.name.split(".")[0] for path in folder.glob("c4build/*.so")] == ["_core"] * (name == "compiled")
        shutil.rmtree(tmp_path / "clone/build", ignore_errors=True)
        built[name] = build(tmp_path / f"{name}-out", "paper", PYTHONPATH=str(folder))
    assert built["plain"][0] == built["compiled"][0] != {}
    assert [said.count("the rules run in Python") for _, said in built.values()] == [1, 0]
    print(f"CPU s of installation: {seconds['plain']:.0f} without a compiler, {seconds['compiled']:.0f} with one")
    assert seconds["compiled"] - seconds["plain"] < 60
