"""From corpora to the table: the commands one after another, and the ablation as a whole."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import run_command
from small import make_corpus
from typer.testing import CliRunner

from c4build.errors import UsageError
from c4build.rules.own_variants import leave_one_out
from c4build.rules.tables import RULE_SETS
from c4build.t5 import ablation, paper, tables
from c4build.t5.ablation import Study, ablate
from c4build.t5.checkpoint import result_of
from c4build.t5.cli import app
from c4build.t5.pretrain import corpus_loss
from c4build.t5.records import text_example, write_tfrecords
from c4build.t5.settings import token_count
from c4build.t5.study import CONFIGS, cells_of, find_config, read_config, slug
from c4build.t5.tasks import tasks_of

runner = CliRunner()
PACKAGE = Path(__file__).parents[2]

STUDY = """
name = "A very small study"
seeds = {seeds}

[base.model]
size = "mini"
encoder_layers = 1
decoder_layers = 1

[base.vocabulary]
size = 100

[base.stage.pretrain]
steps = 12
batch = 8
inputs_length = 32
objective = "span_corruption"
log_every = 2
checkpoint_every = 4
shuffle = 20
window = 8

[base.stage.finetune]
each = ["squad"]
task_data = "{folder}"
steps = 4
batch = 8
inputs_length = 32
targets_length = 4
log_every = 2
checkpoint_every = 2
limit = 8

[losses]
corpora = ["C4"]
batches = 1
batch = 8

[devices]
data = 1

[[corpus]]
name = "C4"
folders = ["{folder}/c4/e*"]

[[corpus]]
name = "Two"
folders = ["{folder}/c4/en", "{folder}/books"]
rates = [0.5, 0.5]

[[row]]
name = "C4"
paper = "C4"
stage.pretrain.corpora = ["C4"]

[[row]]
name = "Two, cut"
paper = "2^25 tokens"
stage.pretrain.corpora = ["Two"]
stage.pretrain.tokens = "2^9"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_corpus(folder / "c4" / "en", 60)
    make_corpus(folder / "books", 30, shards=1, seed=4, name="books")
    for split, count in (("train", 24), ("validation", 12)):
        lines = [{"sentence": f"Anna lost {n} lamps", "label": n % 2} for n in range(count)]
        path = folder / "sst2" / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        lines = [
            {"question": "Who?", "context": f"{who} lost a lamp.", "answers": {"text": [who]}}
            for who in ("Anna", "Boris", "Clara", "David") * (count // 4)
        ]
        path = folder / "squad" / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "none").mkdir()
    (folder / "german").mkdir()
    for split in ("train", "validation"):
        lines = [{"en": "The cat was late.", "de": "Das Kätzchen kam zu spät."} for _ in range(4)]
        (folder / "german" / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "study.toml").write_text(STUDY.format(folder=folder, seeds=[0]))
    (folder / "seeds.toml").write_text(STUDY.format(folder=folder, seeds=[0, 1]))
    return folder


@pytest.fixture(scope="module")
def finished(world):
    out = world / "out"
    said = []
    table = ablate(world / "study.toml", out=out, quiet=True, say=said.append)
    assert table == out / "table.md"
    (world / "run").symlink_to(folder_of(world / "study.toml", out, "C4", "pretrain"))
    return out, said


@pytest.fixture(scope="module")
def finished_twice(world, finished):
    """The same study with two seeds; what the first has done is not done again."""
    out = world / "twice"
    shutil.copytree(finished[0] / "stages", out / "stages")
    ablate(world / "seeds.toml", out=out, quiet=True, say=lambda line: None)
    return out


def folder_of(config, out, row, stage, seed=0):
    """The folder of a row's stage."""
    study = Study(config, out)
    cell = next(cell for cell in study.cells if (cell.row, cell.seed) == (row, seed))
    return study.folder(next(job for job in cell.members[0].chain if job.name == stage))


@pytest.mark.slow
def test_a_study_ends_in_a_table_with_the_papers_numbers_beside_it(finished_twice):
    out = finished_twice
    text = (out / "table.md").read_text()
    table = text[: text.index("Mean and standard deviation")]
    lines = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("|")}
    assert "SQuAD (paper)" in lines["row"]
    assert " 80.88 |" in lines["C4"] and " 76.27 |" in lines["Two, cut"]
    assert "±" in lines["C4"]  # two seeds
    assert paper.SOURCE in text
    rows = list(csv.DictReader(open(out / "table.csv")))
    assert [row["row"] for row in rows] == ["C4", "Two, cut"]
    assert [row["seeds"] for row in rows] == ["2", "2"] and rows[0]["SQuAD_paper"] == "80.88"
    assert float(rows[1]["repeats"]) >= 1  # 512 tokens do not last 12 steps
    for picture in ("table.png", "losses.png", "curves.png"):
        assert (out / picture).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_tables_numbers_are_those_of_the_runs(world, finished_twice):
    out = finished_twice
    scores = [result_of(folder_of(world / "seeds.toml", out, "C4", "finetune", s))["score"] for s in (0, 1)]
    row = next(csv.DictReader(open(out / "table.csv")))
    assert float(row["SQuAD"]) == pytest.approx(np.mean(scores), abs=1e-4)
    assert float(row["SQuAD_std"]) == pytest.approx(np.std(scores, ddof=1), abs=1e-4)


@pytest.mark.slow
def test_the_heat_map_has_every_model_on_the_corpora_asked_for(world, finished_twice):
    out = finished_twice
    rows = list(csv.reader(open(out / "losses.csv")))
    assert rows[0] == ["model", "C4"] and [row[0] for row in rows[1:]] == ["C4", "Two, cut"]
    runs = [folder_of(world / "seeds.toml", out, "C4", "pretrain", seed) for seed in (0, 1)]
    losses = [corpus_loss(run, [world / "c4/en"], batches=1, batch=8)["loss"] for run in runs]
    assert float(rows[1][1]) == pytest.approx(np.mean(losses))


def test_corpora_that_hold_out_the_same_text_share_a_column(tmp_path):
    for name, text in (("one", "a"), ("two", "a"), ("three", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x-train.jsonl").write_text(json.dumps({"text": f"of {name}"}) + "\n")
        (tmp_path / name / "x-validation.jsonl").write_text(json.dumps({"text": text}) + "\n")
    folders = {name: [tmp_path / name] for name in ("one", "two", "three")}
    folders |= {"both": [tmp_path / "one", tmp_path / "three"], "other": [tmp_path / "two", tmp_path / "three"]}
    corpora = {name: {"folders": some} for name, some in folders.items()}
    assert ablation.same_text(list(folders), corpora) == [["one", "two"], ["three"], ["both", "other"]]


def test_a_rerun_skips_what_is_done_and_gives_the_same_table(world, finished):
    out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("run.json")}
    assert len(before) == 4
    table = (out / "table.md").read_text()
    start = time.time()
    ablate(world / "study.toml", out=out, quiet=True, say=lambda line: None)
    assert time.time() - start < 10
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("run.json")}
    assert (out / "table.md").read_text() == table


def test_another_config_shares_the_stages_that_are_alike(world, finished, tmp_path):
    out, _ = finished
    text = (world / "study.toml").read_text()
    # Of the second corpus's models one learns another way to fine-tune; a file that is logged more often is the same.
    text = text.replace("log_every = 2", "log_every = 1").replace('"Two, cut"', '"Two, other"')
    (tmp_path / "other.toml").write_text(text + "stage.finetune.learning_rate = 0.002\n")
    study = Study(tmp_path / "other.toml", tmp_path / "other", out / "stages")
    undone = [job.name for job in study.jobs.values() if result_of(study.folder(job)) is None]
    assert (len(study.jobs), undone) == (4, ["finetune"])
    # The same names with another text are other data.
    path = sorted((world / "books/1.0.0").glob("*train*"))[0]
    before = path.read_bytes()
    try:
        write_tfrecords(path, [text_example("Another text.")])
        study = Study(tmp_path / "other.toml", tmp_path / "other", out / "stages")
        undone = [job.name for job in study.jobs.values() if result_of(study.folder(job)) is None]
        assert undone.count("pretrain") == 2  # the vocabulary is of both corpora
    finally:
        path.write_bytes(before)


@pytest.mark.slow
def test_a_study_killed_on_the_way_ends_in_the_same_numbers(world, finished, tmp_path):
    out, _ = finished
    code = f"from c4build.t5.ablation import ablate; ablate({str(world / 'study.toml')!r}, out={str(tmp_path)!r})"
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    )
    killed = None
    for line in child.stdout:
        if line.startswith("Two, cut, seed 0, squad: pretrain"):
            killed = "pre-training"
        if killed and line.startswith("step 6/"):
            child.send_signal(signal.SIGKILL)
            break
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=250)
    assert child.returncode == 0, child.stderr
    assert (tmp_path / "table.csv").read_text() == (out / "table.csv").read_text()


@pytest.mark.slow
def test_strategies_ensembles_and_shards_end_in_one_table(world, finished, tmp_path):
    """Two processes with one folder share a study of all kinds of rows; the stages that both need are made once."""
    text = (world / "study.toml").read_text()
    head, _, _ = text[text.index("[base.model]") :].partition("[[row]]")
    (tmp_path / "s.toml").write_text(f"""
{head.replace('each = ["squad"]', 'each = ["squad", "sst2"]')}
[base.stage.multitask]
corpora = ["C4"]
tasks = ["squad", "sst2"]
task_data = "{world}"
size = 24
steps = 4
batch = 8
inputs_length = 32
targets_length = 4
log_every = 2
limit = 8
[[row]]
name = "multi-task"
stages = ["multitask"]
[[row]]
name = "then fine-tuned, without the task"
stages = ["multitask", "finetune"]
stage.multitask.leave_out = true
[[row]]
name = "ensemble"
stages = ["pretrain", "finetune"]
stage.pretrain.corpora = ["C4"]
stage.pretrain.steps = 4
ensemble = 2
apart = "finetune"
""")
    out = tmp_path / "out"
    code = (
        "import sys; from c4build.t5.cli import ablate; import typer; app = typer.Typer(); app.command()(ablate); app()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "s.toml"), "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    children = [
        subprocess.Popen(
            [*command, "--shard", f"{n}/2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        for n in (1, 2)
    ]
    said = [child.communicate() for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    made = [
        re.search(r"(pretrain|multitask|finetune)-[0-9a-f]{16}  \[", line)
        for _, err in said
        for line in err.splitlines()
    ]
    made = [found[0] for found in made if found]
    assert len(made) == len(set(made)) == 10
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0 and "still to be done" not in done.stderr
    rows = {row["row"]: row for row in csv.DictReader(open(out / "table.csv"))}
    assert all(0 <= float(row[column]) <= 100 for row in rows.values() for column in ("SQuAD", "sst2"))
    # What is left out of the mixture is not in its run; the members are alike up to fine-tuning.
    started = [json.loads(path.read_text()) for path in out.glob("stages/*/run.json")]
    assert sorted(
        run["tasks"] for run in started if "mixture" in run or run["kind"] == "pretrain" and "tasks" in run
    ) == [["squad"], ["squad", "sst2"], ["sst2"]]
    assert len([run for run in started if run["kind"] == "pretrain" and "tasks" not in run]) == 1
    assert len(list(out.glob("stages/ensemble-*/scores.json"))) == 2


def test_a_plan_needs_no_data_and_counts_what_is_shared(tmp_path):
    out = run_command("ablate", "--plan", "demo-scaling.toml", "--devices", 2, folder=tmp_path)
    assert out.code == 0, out.err
    lines = [line for line in out.out.splitlines() if line.startswith(("| pretrain-", "| finetune-"))]
    # The baseline, a member of both ensembles, is made once; each ensemble makes three more.
    assert len(lines) == 30
    assert "14 models and columns ask for 52 stages; 30 are different, 3 shared by several rows." in out.out
    assert "Not there yet: c4-demo/c4/en." in out.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", ["demo-rules.toml", "one-gpu-rules.toml", "paper-rules.toml"])
def test_the_study_of_rules_has_a_row_for_each_variant_that_leaves_one_out(config, tmp_path):
    study = read_config(find_config(config))
    folders = {corpus["name"]: corpus["folders"][0].rpartition("/")[2] for corpus in study["corpus"]}
    read = [folders[name] for row in study["row"] for name in row["stage"]["pretrain"]["corpora"]]
    assert read == ["en", *(variant.name for variant in leave_one_out(RULE_SETS["paper"])), "en.noclean"]
    done = run_command("ablate", "--plan", config, folder=tmp_path)
    assert done.code == 0, done.err
    stages = len(read) * (1 + len(study["row"][0]["stage"]["finetune"]["each"]))
    assert f"; {stages} are different, 0 shared by several rows." in done.out
    assert "Not there yet: " in done.out and "/c4/en.without_bad_words, " in done.out


def test_a_row_or_a_shard_that_is_none_is_refused(world, tmp_path):
    for options, message in [
        (["--only", "C5"], "--only C5: there is no such row; there are C4, Two, cut"),
        (["--shard", "3/2"], "--shard 3/2: write which of how many, as in 2/8"),
    ]:
        done = run_command("ablate", world / "study.toml", "--out", tmp_path / "out", *options, folder=tmp_path)
        assert (done.code, done.out) == (2, "") and message in done.err


ROW = "[[row]]\nname = 'x'\n"


@pytest.mark.parametrize("text,message", [
    (f"{ROW}stage.pretrain.step = 5\n", "row 'x', stage pretrain has no 'step'; did you mean 'steps'?"),
    (f"{ROW}[base.stage.pretrain]\nobjectiv = 'lm'\n", "has no 'objectiv'; did you mean 'objective'?"),
    (f"{ROW}[base.model]\nd_fff = 5\n", "row 'x', model has no 'd_fff'; did you mean 'd_ff'?"),
    (f"[bases]\n{ROW}", "the study has no 'bases'; did you mean 'base'?"),
    (f"{ROW}stage.a.steps = 'many'\n", "stage a: steps = 'many': it must be a whole number, or a power as in 2^25"),
    (f"{ROW}stage.a.steps = 0\n", "steps = 0: it must be 1 or more"),
    (f"{ROW}stage.a.mixing = 'equa'\n", "mixing = 'equa': it must be one of proportional, equal"),
    (f"{ROW}stages = ['b']\nstage.bb.steps = 1\n", "row 'x': stages has no 'b'; did you mean 'bb'?"),
    (f"{ROW}paper = 'C5'\nstage.a.steps = 1\n", "the paper has no row 'C5'"),
    (f"{ROW}stage.a.each = ['cola']\nstage.b.steps = 1\n", "only its last stage may have `each`"),
    ("[[corpus]]\nname = 'x'\n" + ROW, "has name and folders"),
    (ROW, "row 'x' has no stage"),
    (f"seeds = 3\n{ROW}", "the study: seeds = 3: it must be a list of numbers"),
    (f"{ROW}stage.a.each = ['glue']\nstage.a.for.gleu.batch = 8\n", "stage a: each has no 'gleu'; did you mean 'glue'?"),
    (f"{ROW}stage.a.each = ['glue']\nstage.a.for.glue.step = 8\n", "stage a, for glue has no 'step'; did you mean 'steps'?"),
    (f"{ROW}stage.a.each = ['glue']\nstage.a.for.glue.steps = 0\n", "stage a, for glue: steps = 0: it must be 1 or more"),
    (f"{ROW}stage.a.each = 'glue'\n", "row 'x', stage a: each = 'glue': it must be a list of names"),
    (f"{ROW}model = 'small'\nstage.a.steps = 1\n", "row 'x', model = 'small': it must be a table"),
    (f"{ROW}ensemble = 'four'\nstage.a.steps = 1\n", "ensemble = 'four': it must be a whole number"),
    (f"{ROW}stage.a.tasks = 'glue'\n", "tasks = 'glue': it must be a list"),
    (f"{ROW}stage.a.seed = 1\n", "stage a has no 'seed'"),
    ("", "no [[row]]"),
])  # fmt: skip
def test_a_key_that_means_nothing_is_refused_with_the_nearest_that_does(tmp_path, text, message):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        read_config(tmp_path / "x.toml")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_missing_corpus_is_named_before_anything_is_trained(tmp_path):
    corpus = f"[[corpus]]\nname = 'x'\nfolders = ['{tmp_path}/nowhere*']\n"
    (tmp_path / "x.toml").write_text(f"{corpus}{ROW}stage.a.corpora = ['x']\n")
    with pytest.raises(UsageError, match=r"no such corpora: .*nowhere\*;"):
        ablate(tmp_path / "x.toml", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_configs_that_ship_name_things_that_exist(path):
    study = read_config(path)
    cells = cells_of(study)
    assert {cell.row for cell in cells} == {row["name"] for row in study["row"]}
    assert all(tasks_of(name) for cell in cells for name in cell.columns)
    names = {corpus["name"] for corpus in study["corpus"]}
    for row in study["row"]:
        for stage in row["stages"]:
            assert set(row["stage"][stage].get("corpora", [])) <= names


def test_the_paper_config_is_the_papers():
    study = read_config(find_config("ablation-paper.toml"))
    stages = study["row"][0]["stage"]
    assert stages["pretrain"]["steps"] == 2**19 and stages["finetune"]["steps"] == 2**18
    assert stages["pretrain"]["batch"] * stages["pretrain"]["inputs_length"] == 2**16
    tokens = [cell.members[0].chain[0].stage.text.tokens for cell in cells_of(study)]
    assert list(dict.fromkeys(tokens)) == [None, 2**29, 2**27, 2**25, 2**23]
    assert (token_count("2^25"), token_count(7), token_count(None)) == (2**25, 7, None)
    assert slug("C4, 2^25 tokens") == "c4-2-25-tokens"


def test_the_table_names_the_row_of_the_paper_that_it_compares_with():
    corpora = [{"name": "C4, 2^11 tokens", "paper": "2^23 tokens"}, {"name": "Mine"}]
    results = [{"row": c["name"], "seed": 0, "loss": 2.0, "repeats": 60.5} for c in corpora]
    results += [
        {"row": c["name"], "seed": 0, "column": column, "score": 50.0} for c in corpora for column in ("SQuAD", "demo")
    ]
    with_columns = tables.markdown("t", tables.score_rows(corpora, ["SQuAD"], results), ["SQuAD"], ([], [], []))
    assert "| C4, 2^11 tokens | 60.5 | 2.00 | 50.00 | 70.92 | 2^23 tokens |" in with_columns
    assert "| Mine | 60.5 | 2.00 | 50.00 |  |  |" in with_columns
    apart = tables.markdown("t", tables.score_rows(corpora, ["demo"], results), ["demo"], ([], [], []))
    assert "| C4, 2^11 tokens | 2^23 tokens | 76.34 | 18.33 |" in apart


def test_exact_matches_stand_by_row():
    rows = [{"name": "Books", "paper": "Wikipedia + TBC"}, {"name": "K = 2^19", "paper": "K = 2^19"}]
    exact = {"multirc": 40.0, "record": 60.0}
    results = [{"row": "Books", "seed": seed, "column": "SGLUE", "score": 70.0, "exact": exact} for seed in (0, 1)]
    text = tables.markdown("t", tables.score_rows(rows, ["SGLUE"], results), ["SGLUE"], ([], [], []))
    assert "| Books | 40.00 ± 0.00 | 50.93 | 60.00 ± 0.00 |  |" in text
    assert "Tables 1, 8, 11;" in text
    assert "Exact match" in text


def test_what_is_for_one_task_is_in_its_stage_alone():
    """Section 3.7: batches of 8 and a checkpoint every 1,000 steps for GLUE and SuperGLUE, the baseline's for all others."""
    for cell in cells_of(read_config(find_config("paper-t5.toml"))):
        (column,), training = cell.columns, cell.members[0].stage.training
        small = column in ("glue", "superglue")
        assert (training.batch, training.checkpoint_every) == ((8, 1000) if small else (128, 5000))
        assert training.steps == 2**18 and training.inputs_length == 512


def test_a_mean_and_a_deviation_are_written_as_such():
    assert tables.cell(tables.summary([1.0, 3.0])) == "2.00 ± 1.41"
    assert tables.cell(tables.summary([1.0])) == "1.00"
    assert tables.cell(None) == ""


# ---- the commands


def run(*arguments):
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_the_commands_lead_from_a_corpus_to_an_answer_and_to_hugging_face(world, tmp_path):
    assert "100 pieces, 200 ids" in run("vocab", world / "c4" / "en", "--size", 100, "--out", tmp_path / "v.model")
    small = ["--set", "encoder_layers=1", "--set", "decoder_layers=1", "--length", 32, "--batch", 8, "--data", 1]
    pretrained = tmp_path / "pretrained"
    run("pretrain", "--corpus", world / "c4" / "en", "--corpus", world / "books", "--rates", "0.8,0.2", "--model", "mini",
        "--vocab", tmp_path / "v.model", "--steps", 4, "--out", pretrained, "--log-every", 2, *small)  # fmt: skip
    tuned = tmp_path / "tuned"
    two = ["--task", "sst2", "--task", "squad", "--task-data", world]
    best = json.loads(run("finetune", "--from", pretrained, *two, "--steps", 4, "--out", tuned, "--checkpoint-every", 2,
                          "--length", 32, "--targets", 4, "--batch", 8, "--data", 1))  # fmt: skip
    scored = json.loads(run("eval", "--from", tuned, *two, "--length", 32, "--targets", 4,
                            "--batch", 8, "--predictions", tmp_path / "p.jsonl"))  # fmt: skip
    assert scored["score"] == best["score"] and scored["scores"] == best["scores"]
    predictions = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert predictions[0]["input"] == "sst2 sentence: Anna lost 0 lamps" and len(predictions) == 12 + 12
    kept = [json.loads(line) for line in (tuned / "predictions.jsonl").read_text().splitlines()]
    assert sorted(kept, key=str) == sorted(predictions, key=str)
    assert {path.name for path in (tuned / "best").iterdir()} == {
        str(s) for s in (best["step"], *best["steps"].values())
    }
    predictions = [p for p in predictions if p["task"] == "sst2"]
    (tmp_path / "in.txt").write_text("".join(p["input"] + "\n" for p in predictions))
    step = ["--step", best["steps"]["sst2"]]
    written = run("predict", tmp_path / "in.txt", "--from", tuned, *step, "--length", 32, "--targets", 4).splitlines()
    assert written == [p["written"] for p in predictions]

    run("export", "--from", tuned, *step, "--hf", tmp_path / "hf")
    assert run("predict", predictions[0]["input"], "--from", tmp_path / "hf", "--targets", 4).strip() == written[0]
    # A checkpoint of theirs trains on, from the same weights.
    on = tmp_path / "on"
    run("pretrain", "--from-hf", tmp_path / "hf", "--corpus", world / "books", "--vocab", tmp_path / "hf" / "spiece.model",
        "--steps", 2, "--out", on, "--length", 32, "--batch", 8, "--data", 1, "--log-every", 1)  # fmt: skip
    from c4build.t5.log import read_metrics

    fresh = [line["loss"] for line in read_metrics(pretrained) if "loss" in line]
    assert read_metrics(on)[0]["loss"] < fresh[0] + 1 and read_metrics(on)[-1]["step"] == 2


def test_beams_and_greedy_answers_are_transformers_own_through_export(world, finished, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    out, _ = finished
    run("export", "--from", world / "run", "--hf", tmp_path)
    peer = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    tokenizer = transformers.T5Tokenizer.from_pretrained(tmp_path)
    texts = ["On Monday Anna <extra_id_0> a lamp", "Boris sold the map."]
    ids = tokenizer(texts, return_tensors="pt", padding=True)
    for beams, name in ((1, "greedy"), (4, "beams")):
        with torch.no_grad():
            theirs = peer.generate(**ids, max_new_tokens=6, num_beams=beams, length_penalty=0.6, early_stopping=False)
        ours = [
            run(
                "predict", text, "--from", tmp_path, "--beams", beams, "--penalty", "transformers", "--targets", 6
            ).rstrip("\n")
            for text in texts
        ]
        from c4build.t5.vocabulary import Vocabulary

        vocabulary = Vocabulary(tmp_path / "spiece.model")
        assert ours == [vocabulary.decode(row[1:].tolist()) for row in theirs], name


def test_tasks_lists_every_task_with_text_in_and_text_out():
    out = run("tasks")
    assert "in:     stsb sentence1: A man plays a flute. sentence2: A man plays music.\n  out:    3.2" in out
    assert out.count("  in:  ") == 24  # DPR is new, WNLI is gone


PRETRAIN = ["pretrain", "--corpus", "c4/en", "--vocab", "v.model", "--model", "mini", "--out", "new"]
MISTAKES = {
    "no vocabulary": (["pretrain", "--corpus", "c4/en", "--vocab", "none.model", "--out", "new"], "none.model: no vocabulary"),
    "a vocabulary that is none": (["pretrain", "--corpus", "c4/en", "--vocab", "study.toml", "--out", "new"],
                                  "study.toml: no sentencepiece"),
    "no corpus": (["pretrain", "--corpus", "c4/ne", "--vocab", "v.model", "--out", "new"], "c4/ne: no such folder"),
    "an empty corpus": (["pretrain", "--corpus", "none", "--vocab", "v.model", "--out", "new"], "none: no .tfrecord"),
    "several corpora in one": (["pretrain", "--corpus", ".", "--vocab", "v.model", "--out", "new"], "holds several corpora"),
    "an unknown size": ([*PRETRAIN, "--model", "smal"], "no model size 'smal'; there are mini, tiny, small"),
    "an unknown number": ([*PRETRAIN, "--set", "d_fff=2"], "a model has no 'd_fff'; it has vocab_size, d_model"),
    "a number without a value": ([*PRETRAIN, "--set", "d_ff"], "--set d_ff: write name=value"),
    "a number that is none": ([*PRETRAIN, "--set", "d_ff=many"], "d_ff = 'many': it must be int"),
    "a number too small": ([*PRETRAIN, "--set", "heads=0"], "heads = 0: it must be 1 or more"),
    "a format that is none": ([*PRETRAIN, "--set", "dtype=bf16"], "dtype = 'bf16': it must be one of float32, bfloat16"),
    "attention that is none": ([*PRETRAIN, "--attention", "flash"], "attention = 'flash': it must be one of auto, plain, fused, kernel"),
    "a policy that is none": ([*PRETRAIN, "--remat", "some"], "remat = 'some': it must be one of none, minimal, full"),
    "a vocabulary too large": ([*PRETRAIN, "--set", "vocab_size=128"], "has 200 ids, the model only 128"),
    "an unknown objective": ([*PRETRAIN, "--objective", "cloze"], "no objective 'cloze'; there are replace_spans"),
    "a rate over 1": ([*PRETRAIN, "--noise-rate", "1.5"], "a noise rate of 1.5: it lies between 0 and 1"),
    "a span of nothing": ([*PRETRAIN, "--mean-span", "0"], "a mean span of 0.0 tokens: it is 1 or more"),
    "rates in words": ([*PRETRAIN, "--rates", "half"], "--rates half: write numbers, as in 0.8,0.2"),
    "too many rates": ([*PRETRAIN, "--rates", "0.5,0.5"], "1 corpora and 2 rates"),
    "a rate below 0": ([*PRETRAIN, "--rates", "-1"], "rates [-1.0]: each must be above 0"),
    "tokens in words": ([*PRETRAIN, "--tokens", "few"], "tokens = 'few': write a number, or a power as in 2^25"),
    "no steps": ([*PRETRAIN, "--steps", "0"], "steps = 0: it must be 1 or more"),
    "a batch that does not divide": ([*PRETRAIN, "--batch", "6", "--accumulate", "4"], "does not divide"),
    "more devices than there are": ([*PRETRAIN, "--data", "64"], "64 x 1 devices asked for, 8 are there"),
    "no run": (["finetune", "--from", "sst2", "--task", "sst2", "--out", "new"], "sst2: not a run of `c4build t5`"),
    "an unknown task": (["finetune", "--from", "run", "--task", "sst3", "--out", "new"], "no task 'sst3'"),
    "no task data": (["finetune", "--from", "run", "--task", "rte", "--task-data", ".", "--out", "new"],
                     "rte: neither rte/train.jsonl nor train.jsonl exists"),
    "targets that the vocabulary cannot write": (
        ["finetune", "--from", "run", "--task", "wmt_ende", "--task-data", "german", "--out", "new"],
        "wmt_ende: 17.4% of the target tokens are unknown to run/vocab.model; train a vocabulary"),
    "rates without corpora": (["vocab", "c4/en", "--rates", "10,1", "--out", "new"], "1 corpora and 2 rates"),
    "a step that is none": (["predict", "x", "--from", "run", "--step", "5"], "no checkpoint of step 5; there are"),
    "an unknown length penalty": (["predict", "x", "--from", "out", "--penalty", "gnmt"], "--penalty gnmt: it is one of t5, transformers"),
    "a text that is a file's name": (["predict", "in.txt", "--from", "nowhere"], "nowhere: not a run of `c4build t5`"),
    "no Hugging Face folder": ([*PRETRAIN, "--from-hf", "sst2"], "sst2: no config.json"),
}  # fmt: skip


@pytest.mark.parametrize("arguments,said", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_said_in_one_line(world, finished, monkeypatch, arguments, said):
    monkeypatch.chdir(world)
    if not Path("v.model").exists():
        Path("v.model").write_bytes(Path("run/vocab.model").read_bytes())
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, UsageError), result.exception
    assert said in str(result.exception) and "\n" not in str(result.exception)
    assert not Path("new").exists()


def test_a_mistake_ends_with_2_and_damage_with_1(world, tmp_path):
    done = run_command("ablate", "nowhere.toml", folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert (
        done.err.startswith("c4build: nowhere.toml: no such file; ablation-demo.toml, ") and done.err.count("\n") == 1
    )
    whole = sorted((world / "c4/en/1.0.0").glob("*train*"))[0].read_bytes()
    (tmp_path / "broken.tfrecord").write_bytes(whole[:-30])
    done = run_command("t5", "vocab", "broken.tfrecord", "--size", 100, "--out", "v.model", folder=tmp_path)
    assert (done.code, done.out) == (1, "")
    reading, damage = done.err.splitlines()
    assert reading == "c4build: reading broken.tfrecord" and damage.startswith(
        "c4build: broken.tfrecord: damaged record at byte "
    )


def test_a_run_goes_on_only_as_it_was_started(world, finished, monkeypatch):
    monkeypatch.chdir(world)
    started = [
        "pretrain",
        "--corpus",
        "c4/en",
        "--vocab",
        "run/vocab.model",
        "--model",
        "mini",
        "--out",
        "run",
    ]
    result = runner.invoke(app, [*started, "--objective", "lm"])
    assert isinstance(result.exception, UsageError)
    assert "run was started with " in str(result.exception) and "name another --out" in str(result.exception)


def test_the_help_is_there_without_the_trainers_packages():
    code = (
        "import sys; from c4build.t5.cli import app, ablate; import c4build;"
        "heavy = {'jax', 'flax', 'optax', 'orbax', 'grain', 'sentencepiece', 'torch', 'matplotlib'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)})
