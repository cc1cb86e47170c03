"""`c4build status`: how far a run is, while it is under way and after it, and the log that it leaves."""

import json
import os
import time
from pathlib import Path

import pytest
import wet_files
from command import Command, run_command
from faulty_server import serving
from object_servers import BUCKET, serving_s3

from c4build.corpora.c4 import Request, prepare
from c4build.errors import C4BuildError
from c4build.flow.runs import look
from c4build.write.folder import unlock

FILES = 6


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """WET files by name, the last but one with a damaged record."""
    found = {
        f"{number}.warc.wet.gz": b"".join(wet_files.members(wet_files.pages(50 * number, 50)))
        for number in range(FILES)
    }
    data = bytearray(found[f"{FILES - 2}.warc.wet.gz"])
    data[len(data) // 2] ^= 0xFF
    return found | {f"{FILES - 2}.warc.wet.gz": bytes(data)}


@pytest.fixture
def inputs(files, tmp_path) -> Path:
    """The same on this machine, and a word list."""
    folder = tmp_path / "wet"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    return folder


def build(tmp_path, *more) -> list:
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    return ["build", "--out", tmp_path / "out", "--badwords", tmp_path / "bad.txt", "--shards", 3, *more]


def last(tmp_path) -> dict:
    return look.last_run(str(tmp_path / "out"))


def wait_for(command: Command, tmp_path, what) -> dict:
    """The state of a run under way as soon as `what` is true of it."""
    while command.running():
        try:
            if what(state := last(tmp_path)):
                return state
        except C4BuildError:
            pass  # it has not begun
        time.sleep(0.02)
    raise AssertionError(f"it ended before: {command.finish()}")


def manifest(tmp_path) -> dict:
    return json.loads((tmp_path / "out/c4/en/1.0.0/c4build.json").read_text())


def log_of(state: dict) -> list[str]:
    """The lines of a log, without their times."""
    return [line.partition(" ")[2] for line in Path(state["log"]).read_text().splitlines()]


def numbers_in(state: dict) -> dict[str, int]:
    """What only grows while a run is under way."""
    files = {f"files {name}": count for name, count in state["files"].items()}
    return {
        **files,
        **state["transport"],
        **{name: state[name] for name in ("records", "bytes", "damages")},
        "units": state["units"]["done"],
    }


def test_what_status_says_of_a_run_grows_and_is_in_the_end_what_the_run_says(files, tmp_path):
    missing = f"{FILES - 1}.warc.wet.gz"
    with serving(files) as server:
        server.fault = lambda name: "404" if name == missing else ""
        server.block, server.between = 2000, 0.15
        urls = [f"{server.url}/{name}" for name in files]
        done = run_command(*build(tmp_path, *urls[-1:], "--workers", 1))
        state = last(tmp_path)
        assert done.error_lines == [f"c4build: {state['outcome']['error']}"] and state["outcome"]["what"] == "failed"
        command = Command(*build(tmp_path, *urls, "--workers", 2, "--allow-missing", 1, "--overwrite"))
        first, seen = state["id"], []
        while command.running():
            looked = run_command("status", tmp_path / "out", "--json")
            assert (looked.code, looked.err) == (0, "")
            seen += [state] if (state := json.loads(looked.out))["id"] != first else []
        done = command.finish()
    assert done.code == 1, done.err
    said, state = manifest(tmp_path), last(tmp_path)
    for before, after in zip(seen, [*seen[1:], state]):
        assert all(numbers_in(after)[name] >= count for name, count in numbers_in(before).items())
    under_way = [one for one in seen if one["outcome"] is None]
    assert {one["stage"] for one in under_way} >= {"starting", "cleaning"}
    assert any(0 < one["records"] < said["pages"] for one in under_way)
    assert any(
        "/part" in f"/part{worker['input']}" and worker["input"] for one in under_way for worker in one["workers"]
    )
    assert (state["records"], state["damages"]) == (said["pages"], len(said["damaged"]) + said["more_damaged"])
    assert state["files"] == {"all": len(said["inputs"]), "done": FILES - 1, "before": 0, "damaged": 1, "missing": 1}
    assert [one["input"] for one in state["missing"]] == [one["input"] for one in said["missing"]] == urls[-1:]
    assert [one["input"] for one in state["damaged"]] == [one["input"] for one in said["damaged"]][:1]
    assert state["units"] == {"all": said["shards"], "done": said["shards"]}
    assert state["bytes"] == sum(source["bytes"] for source in said["inputs"])
    assert state["transport"]["requests"] >= FILES and state["transport"]["refusals"] == 0
    assert (state["outcome"]["what"], state["outcome"]["error"]) == ("done", "")
    lines = log_of(state)
    for source in said["inputs"]:
        (line,) = [line for line in lines if f" {source['path']}: " in line]
        if source["path"] == urls[-1]:
            assert line.startswith("missing ") and "404" in line
        else:
            assert line.startswith(f"read {source['path']}: {source['pages']} pages, {source['bytes']:,} bytes in ")
            assert ("damaged in 1 place: byte " in line) == (source["path"] == urls[-2])
    assert "clean begins" in lines and [line for line in lines if line.startswith("finish ended after ")]
    assert lines[-1].startswith("done after ") and f"{FILES - 1} of {FILES} files, {said['pages']} pages" in lines[-1]
    shown = run_command("status", tmp_path / "out").out.splitlines()
    assert f"files     {FILES - 1} of {FILES} done" in shown and "shards    3 of 3 done" in shown


def test_a_killed_run_is_said_to_be_dead_and_the_next_makes_no_keys_again(inputs, tmp_path):
    arguments = build(tmp_path, inputs, "--workers", 1)
    prepared = prepare(Request([str(inputs)], str(tmp_path / "out"), bad_words=str(tmp_path / "bad.txt"), shards=3))
    work = str(tmp_path / "out/.c4build")
    unlock(work)
    block = Path(prepared.plan.run.units, "00000.json")
    os.mkfifo(block)  # who reads it waits
    command = Command(*arguments)
    wait_for(command, tmp_path, lambda state: state["step"] == "Finish")
    command.kill_group()
    block.unlink()
    looked = run_command("status", tmp_path / "out")
    (now,) = [line for line in looked.out.splitlines() if line.startswith("now ")]
    assert looked.code == 0 and "has ended without a word" in now and "; run the same command again" in now
    assert run_command("status", tmp_path / "out", "--watch").code == 0, "it does not wait for a dead run"
    killed = last(tmp_path)
    assert killed["outcome"] is None and set(killed["keys_made"]) == {"urls", "losses", "keys", "repeats", "cut"}
    done = run_command(*arguments)
    assert done.code == 1, done.err  # for the damaged input
    state, said = last(tmp_path), manifest(tmp_path)
    assert state["keys_made"] == {} and state["files"]["before"] == FILES
    assert (state["records"], state["damages"]) == (said["pages"], len(said["damaged"]))
    assert state["bytes"] == 0 and f"found {inputs}/0.warc.wet.gz: 50 pages in " in "\n".join(log_of(state))
    assert not any("key file" in line for line in log_of(state))


@pytest.mark.slow
def test_an_interrupted_run_says_so(inputs, tmp_path):
    os.mkfifo(inputs / "x.warc.wet.gz")  # who reads it waits
    command = Command(*build(tmp_path, inputs, "--workers", 2))
    wait_for(command, tmp_path, lambda state: any(one["input"].endswith("x.warc.wet.gz") for one in state["workers"]))
    os.kill(command.pid, 2)
    assert command.finish(30).code == 130
    assert last(tmp_path)["outcome"]["what"] == "interrupted" and log_of(last(tmp_path))[-1].startswith("interrupted ")


def test_where_nothing_can_be_told_the_run_goes_on(inputs, tmp_path):
    (tmp_path / "out/.c4build").mkdir(parents=True)
    for blocked in ("runs", "logs", "progress"):
        (tmp_path / "out/.c4build" / blocked).write_text("a file")
    done = run_command(*build(tmp_path, inputs, "--workers", 1))
    assert (done.code, done.error_lines) == (1, [line for line in done.error_lines if line.startswith("damaged: ")])
    assert manifest(tmp_path)["pages"] > 0


def test_the_other_corpora_tell_how_far_they_are_too(tmp_path):
    (tmp_path / "books").mkdir()
    for name in ("one", "two"):
        text = "\n".join(wet_files.sentences(len(name), 60))
        (tmp_path / f"books/{name}.txt").write_text(text)
    done = run_command("books", tmp_path / "books", "--out", tmp_path / "out", "--workers", 1)
    assert done.code == 0, done.err
    state = last(tmp_path)
    assert (state["record"], state["records"], state["files"]["done"]) == ("books", 2, 2)
    lines = log_of(state)
    assert len([line for line in lines if line.startswith("read 1 book from ")]) == 2, lines
    assert lines[-1].startswith("done after ")


@pytest.mark.parametrize("out", ["none", "empty"])
def test_where_no_run_was_one_line_says_so(tmp_path, out):
    (tmp_path / "empty").mkdir()
    done = run_command("status", tmp_path / out)
    assert done.code == 2
    assert done.error_lines == [f"c4build: {tmp_path / out}: no run of c4build has left anything there"]


def make_bucket(environment: dict):
    """Makes the bucket."""
    boto3 = pytest.importorskip("boto3")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=BUCKET)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_of_a_run_into_a_bucket_status_tells_as_much(inputs, tmp_path, where):
    portable = ["--runner", "PortableRunner", "--", "--job_endpoint", "embed", "--environment_type", "LOOPBACK"]
    more = portable if where == "elsewhere" else ["--workers", 2]
    with serving_s3() as (server, environment):
        make_bucket(environment)
        out = f"s3://{BUCKET}/{where}"
        arguments = [out if part == tmp_path / "out" else part for part in build(tmp_path, inputs)]
        done = run_command(*arguments, *more, environment=environment)
        assert done.code == 1, done.err  # for the damaged input
        looked = run_command("status", out, "--json", environment=environment)
        state = json.loads(looked.out)
        written = [seen.path.partition("/.c4build/")[2] for seen in server.seen if seen.method == "PUT"]
        looked = run_command("status", f"s3://{BUCKET}/none", environment=environment)
        assert (looked.code, len(looked.error_lines)) == (2, 1)
    assert state["outcome"]["what"] == "done" and state["files"]["done"] == state["files"]["all"] == FILES
    assert (state["files"]["damaged"], state["damages"], state["units"]["done"]) == (1, 1, 3) and state["records"] > 0
    assert sum(path.startswith("runs/") for path in written) <= 2 + state["outcome"]["seconds"] / 30
    assert sum(path.startswith("logs/") for path in written) == 1
    assert sum(path.startswith("progress/") for path in written) <= (0 if where == "here" else 3)
