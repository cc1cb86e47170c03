"""The options of the commands: the same for the command line and the Beam programs; what the newer ones of build do."""

import gzip
import importlib
from pathlib import Path
from typing import Annotated

import pytest
import typer
import wet_files
from builds import shards
from command import run_command

from c4build.commands.commandline import beam_program
from c4build.commands.main import app
from c4build.errors import UsageError
from c4build.flow.beam_options import check_options
from c4build.read.missing import most_missing
from c4build.sample.resources import sample_dump

ROOT = Path(__file__).parent.parent

LINES = {
    "nothing for Beam": ("a b --out o", (["a", "b"], "o", False, [])),
    "an option and its value": ("a --out o --project p", (["a"], "o", False, ["--project", "p"])),
    "an option with =": ("--project=p a --out=o", (["a"], "o", False, ["--project=p"])),
    "options without a value": (
        "a --fast --streaming --update --out o",
        (["a"], "o", True, ["--streaming", "--update"]),
    ),
    "own options between": ("a --x 1 --out o --y 2 --fast", (["a"], "o", True, ["--x", "1", "--y", "2"])),
    "a value that is a dash": ("a --out - --x -", (["a"], "-", False, ["--x", "-"])),
    "a short option": ("a --out o -x 1", (["a"], "o", False, ["-x", "1"])),
    "dashes": ("a --out o --x 1 -- --out p b", (["a"], "o", False, ["--x", "1", "--out", "p", "b"])),
}


@pytest.mark.parametrize("line, expected", LINES.values(), ids=LINES)
def test_a_beam_program_takes_its_own_options_and_leaves_all_others_to_beam(line, expected):
    seen = []

    def command(
        context: typer.Context,
        words: list[str],
        out: Annotated[str, typer.Option()] = ...,
        fast: Annotated[bool, typer.Option("--fast")] = False,
    ):
        seen.append((words, out, fast, context.args))
        raise typer.Exit(7)

    assert beam_program(command, "pipelines.test")(line.split()) == 7
    assert seen == [expected]


@pytest.mark.parametrize("program, command", [("c4", "build"), ("wikipedia", "wikipedia"), ("books", "books")])
def test_the_help_of_a_beam_program_is_that_of_the_command(program, command, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    app([command, "--help"], standalone_mode=False)
    importlib.import_module(f"pipelines.{program}").run(["--help"])
    said, said_by_program = (text.splitlines() for text in capsys.readouterr().out.split(" Usage: ")[1:])
    rows = [line for line in said if line.startswith("│")]
    assert [line for line in said_by_program if line.startswith("│")] == rows and len(rows) > 8


def test_what_a_beam_program_does_not_know_is_read_by_beam(sources, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from pipelines import c4

    given = [*sources.wet[:1], "--out", str(tmp_path), "--badwords", sources.bad_words]
    with pytest.raises(UsageError, match="--direct_running_mode: c4build has workers of its own"):
        c4.run([*given, "--direct_running_mode", "multi_processing"])


WRONG_FOR_BEAM = {
    "one letter short": (
        ["--max_num_worker", "3"],
        "--max_num_worker: neither c4build nor Beam has such an option; is --max_num_workers meant",
    ),
    "with a value": (["--varients=en"], "--varients: neither c4build nor Beam has such an option"),
    "no number": (["--max_num_workers", "many"], "--max_num_workers: invalid int value: 'many'"),
}


@pytest.mark.parametrize("options, message", WRONG_FOR_BEAM.values(), ids=WRONG_FOR_BEAM)
def test_an_option_that_beam_does_not_have_is_told_of_before_any_work(sources, tmp_path, options, message):
    words = ["build", *sources.wet[:1], "--out", tmp_path / "out", "--badwords", sources.bad_words, "--", *options]
    done = run_command(*words)
    assert done.code == 2 and message in done.err and len(done.error_lines) == 1
    assert not (tmp_path / "out").exists()


def test_options_that_only_a_job_server_knows_are_handed_to_it():
    check_options(["--flink_master", "localhost:8081"], "FlinkRunner")


def test_a_job_may_be_handed_over_and_not_waited_for(sources, tmp_path):
    words = ["build", *sources.wet[:1], "--out", tmp_path, "--badwords", sources.bad_words]
    done = run_command(*words, "--", "--no_wait_until_finish")
    assert (done.code, done.error_lines) == (
        0,
        [],
    ) and "the job was handed over; run the same command again" in done.out
    dump = run_command("wikipedia", sample_dump(), "--out", tmp_path, "--", "--no_wait_until_finish")
    assert (dump.code, dump.error_lines) == (0, []) and "the job was handed over" in dump.out
    again = run_command(*words)  # Beam's local runner has done by then
    assert again.code == 0 and "kept" in again.out


ALLOWED = [("0", 0), ("3", 3), ("2%", 1), (" 2% ", 1), ("0%", 0), ("100%", 99), ("200", 200)]


@pytest.mark.parametrize("text, expected", ALLOWED)
def test_so_many_of_99_inputs_may_be_missing(text, expected):
    assert most_missing(text, 99) == expected


@pytest.mark.parametrize("text", ["", "%", "few", "-1", "1.5", "101%", "3 %%", "²", "1e3"])
def test_anything_else_for_inputs_that_may_be_missing_is_refused(text):
    with pytest.raises(UsageError, match="give a number of files, as in 3, or a share of them, as in 2%$"):
        most_missing(text, 99)


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """Three WET files and a list of bad words."""
    root = tmp_path_factory.mktemp("crawl")
    for number, count in enumerate((4, 5, 6)):
        wet_files.write_wet(root / f"{number}.warc.wet.gz", wet_files.pages(10 * number, count))
    (root / "bad.txt").write_text("blorptastic\n")
    return root


def test_a_dry_run_names_what_the_build_then_makes_and_touches_nothing(crawl, tmp_path):
    line = ["build", crawl, "--out", tmp_path / "out", "--badwords", crawl / "bad.txt", "--variants", "en, en.noclean"]
    line += ["--workers", 1, "--format", "jsonl"]
    done = run_command(*line, "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert run_command(*line).code == 0
    made = sorted((tmp_path / "out/c4").glob("*/*/"))
    shards = [len(list(folder.glob("*-train*"))) for folder in made]
    size = sum(path.stat().st_size for path in crawl.glob("*.wet.gz")) / 1e9
    assert done.out.splitlines() == [
        f"would read 3 inputs, {size:,.2f} GB",
        f"  first: {crawl}/0.warc.wet.gz",
        f"  last: {crawl}/2.warc.wet.gz",
        f"would write, by the rules paper, as jsonl: {shards[0]} training shards, 1 of validation, in each of",
        *(f"  {folder.parent.name}: {folder}" for folder in made),
        f"and 3 page files, one for each input that has none yet, below {tmp_path}/out/.c4build",
        "nothing was written",
    ]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = run_command(*line, "--dry-run")
    assert f"  en: {made[0]} (where a corpus lies)" in done.out.splitlines()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.fixture
def s3():
    """(a client, the environment in which it is found) of a store."""
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    secrets = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    yield (
        boto3.client("s3", endpoint_url=f"http://{host}:{port}", **secrets),
        {**keys, "AWS_ENDPOINT_URL": f"http://{host}:{port}"},
    )
    server.stop()


def test_a_crawl_is_read_from_s3_inside_aws(crawl, s3, tmp_path):
    client, environment = s3
    client.create_bucket(Bucket="commoncrawl")
    names = [f"crawl-data/CC-MAIN-2019-18/{number}.warc.wet.gz" for number in range(3)]
    packed = gzip.compress("".join(f"{name}\n" for name in names).encode())
    client.put_object(Bucket="commoncrawl", Key="crawl-data/CC-MAIN-2019-18/wet.paths.gz", Body=packed)
    for name in names:
        client.upload_file(str(crawl / name.rpartition("/")[2]), "commoncrawl", name)
    words = ["--badwords", crawl / "bad.txt", "--workers", 1]
    given = ["--crawl", "CC-MAIN-2019-18", "--from", "s3", *words]
    dry = run_command("build", *given, "--out", tmp_path / "s3", "--dry-run", environment=environment)
    assert dry.out.splitlines()[1] == f"  first: s3://commoncrawl/{names[0]}"
    done = run_command("build", *given, "--out", tmp_path / "s3", environment=environment)
    assert (done.code, done.error_lines) == (0, [])
    assert run_command("build", crawl, "--out", tmp_path / "local", *words).code == 0
    assert shards(tmp_path / "s3") == shards(tmp_path / "local")
