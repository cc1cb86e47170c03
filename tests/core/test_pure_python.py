"""Without the compiled rules: the same bytes, said in a line to be slower."""

import hashlib
import os
import pathlib
import subprocess
import sys

import pytest

from c4build.compiled import core
from c4build.rules.tables import RULE_SETS, VARIANTS
from c4build.sample.resources import sample_folder

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)


def build(out: pathlib.Path, rules: str, **environment: str) -> tuple[dict[str, str], str]:
    """(digest of each file that was written, by name; what the command said)."""
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
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert ended.returncode == 0, ended.stderr
    files = [path for path in out.rglob("*tfrecord-*") if path.is_file()]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}, ended.stderr


@pytest.mark.parametrize("rules", ["c4-3.1.0", pytest.param("paper", marks=pytest.mark.slow), pytest.param("paper-final", marks=pytest.mark.slow)])  # fmt: skip
def test_a_build_without_the_compiled_rules_writes_the_same_bytes(rules, tmp_path):
    assert rules in RULE_SETS
    compiled, said = build(tmp_path / "compiled", rules)
    plain, told = build(tmp_path / "plain", rules, C4BUILD_PURE_PYTHON="1")
    assert compiled and plain == compiled
    assert "the rules run in Python" not in said
    assert told.count("the rules run in Python") == 1
