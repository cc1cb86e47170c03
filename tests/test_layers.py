"""Imports point one way, and what a command does not need it does not load."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each part imports parts with smaller numbers only, and what is in its own folder.
LAYERS = {
    "__init__": 0, "errors": 0, "memory": 0, "page": 0, "compiled": 1, "rules": 2, "read": 3, "dedup": 3, "write": 4, "sample": 5, "flow": 6, "corpora": 7,
    "report": 7, "commands": 8, "__main__": 9,
}  # fmt: skip
LONGEST = 350  # lines of a file
TRAINER = {"jaxlib", "sklearn", "orbax", "torch", "t5"}


def modules() -> list[Path]:
    found = sorted((ROOT / "c4build").rglob("*.py"))
    return [path for path in found if path.relative_to(ROOT / "c4build").parts[0] != "t5"]


def imported(path: Path, when_loaded: bool = False) -> set[str]:
    """Full names of what a module imports, wherever in it the import stands, or else when it is loaded."""
    names, tree = set(), ast.parse(path.read_text())
    for node in tree.body if when_loaded else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are written in full"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "c4build").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_lower_layers_only(path):
    own = part_of(path)
    assert own in LAYERS, f"{own} has no place among the layers yet"
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("c4build.")}
    parts = {part for part in ours if part in LAYERS and part != "__init__"} - {own}
    assert {part for part in parts if LAYERS[part] >= LAYERS[own]} == set()


def test_no_module_imports_one_that_imports_it():
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules()}
    left = {name: imported(path, when_loaded=True) & names.keys() for name, path in names.items()}
    while free := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert sorted(left) == []


def test_no_file_is_longer_than_can_be_read_at_once():
    folder = ROOT / "c4build"
    lines = {str(path.relative_to(folder)): len(path.read_text().splitlines()) for path in folder.rglob("*.py")}
    assert {name for name, count in lines.items() if count > LONGEST} == set()


@pytest.mark.parametrize("folder", ["rules", "dedup"])
def test_filters_and_deduplication_know_neither_beam_nor_files_nor_the_network(folder):
    roots = {name.split(".")[0] for path in (ROOT / "c4build" / folder).glob("*.py") for name in imported(path)}
    assert roots & {"apache_beam", "smart_open", "tensorflow_datasets", "urllib", "requests", "socket", "os"} == set()


def test_the_pipeline_imports_nothing_of_the_trainer():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {_module(line) for line in extras["dependencies"]}
    trainer = {_module(line) for line in extras["optional-dependencies"].get("train", [])} | TRAINER
    for path in modules():
        names = imported(path)
        if path.name == "measure.py":  # counts tokens where a vocabulary is given, and asks for the extra by then
            names.discard("sentencepiece")
            names.discard("sentencepiece.SentencePieceProcessor")
        assert {name.split(".")[0] for name in names} & (trainer - core) == set(), path
        entry = {"c4build.t5.cli"} if path.name == "main.py" else set()
        assert {".".join(name.split(".")[:3]) for name in names if name.startswith("c4build.t5")} <= entry, path


def test_the_trainer_meets_the_corpus_as_files_only():
    for path in (ROOT / "c4build/t5").rglob("*.py"):
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("c4build.")}
        assert ours <= {"t5", "errors", "memory"}, path


def test_what_the_trainer_imports_is_in_its_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {_module(line) for line in extras["dependencies"] + extras["optional-dependencies"]["train"]}
    known = {"absl": "absl_py", "grain": "grain", "sklearn": "scikit_learn", "orbax": "orbax_checkpoint", "jax": "jax"}
    for path in (ROOT / "c4build/t5").rglob("*.py"):
        roots = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - {"c4build", ""}
        assert {known.get(root, root).lower() for root in roots} <= installed, path


def test_what_tfds_needs_to_fetch_a_tasks_data_and_does_not_ask_for_is_in_the_extra():
    code = """
import sys
sys.modules["importlib_resources"] = None
import tensorflow_datasets as tfds
tfds.builder("glue/cola", data_dir="/nowhere").url_infos"""
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "importlib_resources" in failed.splitlines()[-1], "it is needed no more"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "importlib_resources" in {_module(line) for line in extras["train"]}


def _module(requirement: str) -> str:
    name = requirement
    for mark in "[<>=!~; ":
        name = name.partition(mark)[0]
    return name.replace("-", "_").lower()


def loaded_after(code: str) -> set[str]:
    """Which heavy modules a new Python has loaded when `code` has run."""
    heavy = {
        "apache_beam",
        "tensorflow",
        "tensorflow_datasets",
        "jax",
        "flax",
        "torch",
        "sentencepiece",
        "pyarrow",
        "numpy",
    }
    end = f"\nimport sys; print('loaded:', *sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code + end], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


COMMANDS = [
    "", "build", "plan", "demo", "wikipedia", "books", "webtext-urls", "truncate", "inspect", "explain", "dropped", "diff",
    "overlap", "status", "report", "ablate",
    "t5", "t5 vocab", "t5 pretrain", "t5 finetune", "t5 eval", "t5 predict", "t5 export", "t5 tasks",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command):
    arguments = [*command.split(), "--help"]
    assert loaded_after(f"from c4build.commands.main import app; app({arguments!r}, standalone_mode=False)") == set()


@pytest.mark.parametrize("command", [["t5", "tasks"], ["ablate", "ablation-demo.toml"]])
def test_without_the_extra_a_command_of_the_trainer_says_what_to_install(command):
    code = f"""
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("jax", "grain") else find(name, package)
from c4build.commands import main as cli
sys.argv = ["c4build", *{command!r}]
cli.main()"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = "c4build: the trainer needs pip install 'c4build[train]' (grain, jax missing)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_a_build_loads_no_tensorflow(sources, tmp_path):
    code = f"""
from c4build.corpora.c4 import Request, prepare
from c4build.flow.local import run
run(prepare(Request({sources.wet[:1]!r}, {str(tmp_path)!r}, bad_words={sources.bad_words!r})))"""
    loaded = loaded_after(code)
    assert (tmp_path / "c4/en/1.0.0/dataset_info.json").exists()
    assert "apache_beam" in loaded and loaded & {"tensorflow", "jax", "torch"} == set()
