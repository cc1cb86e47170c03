"""From raw WET to the finished table: `c4build demo && c4build ablate ablation-demo.toml`."""

import csv
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from command import Command, run_command

from c4build.t5.study import CONFIGS, find_config, read_config

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder in which `c4build demo --leave-one-out` has been run."""
    folder = tmp_path_factory.mktemp("demo")
    done = run_command("demo", "--leave-one-out", folder=folder)
    assert (done.code, done.error_lines) == (0, [])
    return folder


def ablate(name: str, folder: Path):
    """`c4build ablate NAME` without the flags that make short tests compile quickly, and long runs slow."""
    script = Path(sys.executable).with_name("c4build")
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [script, "ablate", name, "--quiet"], cwd=folder, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_cut_down_demonstration_goes_from_raw_wet_to_a_table(demo):
    text = find_config("ablation-demo.toml").read_text()
    text, _, rows = text.partition("[[row]]")
    rows = [block for block in rows.split("[[row]]") if '"C4, unfiltered"' in block]
    for old, new in [
        ("steps = 200", "steps = 4"), ("steps = 100", "steps = 4"), ("checkpoint_every = 200", "checkpoint_every = 4"),
        ("checkpoint_every = 50", "checkpoint_every = 4\nlimit = 8"), ("log_every = 20", "log_every = 2"),
        ('"demo_mood", "demo_where"', '"demo_where"'), ("batches = 12", "batches = 1"), ("size = 1000", "size = 300"),
        ('size = "mini"', 'size = "mini"\nencoder_layers = 1\ndecoder_layers = 1'),
    ]:  # fmt: skip
        assert old in text, old
        text = text.replace(old, new)
    (demo / "small.toml").write_text("[[row]]".join([text, *rows]))
    done = Command("ablate", "small.toml", "--out", "small", folder=demo).finish(280)
    assert done.code == 0, done.err
    assert done.out.rstrip("\n") == (demo / "small/table.md").read_text().rstrip("\n")
    rows = list(csv.DictReader(open(demo / "small/table.csv")))
    assert [row["row"] for row in rows] == ["C4, unfiltered"]
    assert all(0 <= float(row["demo_where"]) <= 100 and 0 < float(row["loss"]) < 50 for row in rows)
    assert "| C4, unfiltered | 81.46 |" in done.out  # the paper's, of the same corpus
    for picture in ("table.png", "losses.png", "curves.png"):
        assert (demo / "small" / picture).read_bytes()[:4] == PNG


def test_a_corpus_that_the_demonstration_lacks_is_named_at_once(tmp_path):
    done = run_command("ablate", "ablation-demo.toml", folder=tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(
        "c4build: no such corpora: c4-demo/c4/en, c4-demo/c4/en.noclean, c4-demo/c4/realnewslike, "
    )
    assert ", c4-demo/books; " in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demonstration_ends_in_the_whole_table_in_minutes(demo):
    before = children_seconds()
    ablate("ablation-demo.toml", demo)
    assert children_seconds() - before < 290  # of processors' time: under five minutes, however the cores share it
    out = demo / "ablation-demo"
    names = [corpus["name"] for corpus in read_config(find_config("ablation-demo.toml"))["row"]]
    assert len(names) >= 7
    rows = {row["row"]: row for row in csv.DictReader(open(out / "table.csv"))}
    assert list(rows) == names
    losses = {line["model"]: line for line in csv.DictReader(open(out / "losses.csv"))}
    # What every model has learnt: less than a uniform guess among a thousand pieces, on its own text.
    for name in names[:-1]:
        assert float(rows[name]["loss"]) < 6.0, name
        assert float(rows[name]["demo_mood"]) > 60, name
    for task in ("demo_mood", "demo_where"):
        assert max(float(row[task]) for row in rows.values()) > 90
    assert int(float(rows["C4, 2^11 tokens"]["repeats"])) > 50
    corpora = names[:-1]  # the last row reads C4 too
    assert list(losses) == names and list(losses["C4"])[1:] == corpora  # each has text of its own
    for corpus in corpora:
        assert min(names, key=lambda name: float(losses[name][corpus])) == corpus
    # Read over and over, 2,048 tokens are learnt by heart and teach little about other text.
    assert float(rows["C4, 2^11 tokens"]["loss"]) < float(rows["C4"]["loss"])
    assert float(losses["C4, 2^11 tokens"]["C4"]) > float(losses["C4"]["C4"])
    for picture in ("table.png", "losses.png", "curves.png"):
        assert (out / picture).read_bytes()[:4] == PNG


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("path", sorted(CONFIGS.glob("demo-*.toml")), ids=lambda path: path.stem)
def test_every_study_of_the_paper_runs_as_a_demonstration(demo, path):
    """In one folder, so that what the studies share is made once."""
    ablate(path.name, demo)
    rows = list(csv.DictReader(open(demo / path.stem / "table.csv")))
    assert [row["row"] for row in rows] == [row["name"] for row in read_config(path)["row"]]
    assert all(0 <= float(row[task]) <= 100 for row in rows for task in ("demo_mood", "demo_where"))
    for task in ("demo_mood", "demo_where"):
        assert max(float(row[task]) for row in rows) > 90
    assert (demo / path.stem / "table.png").read_bytes()[:4] == PNG
