"""`c4build status`: how far a run is, while it is under way and after it, and the log that it leaves."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import wet_files
from command import Command, run_command
from faulty_server import serving
from object_servers import BUCKET, serving_s3

from c4build.commands import status
from c4build.commands.terminal import how_far
from c4build.corpora.c4 import Request, prepare
from c4build.errors import C4BuildError
from c4build.flow.kit import Prepared
from c4build.flow.runs import look, marks
from c4build.flow.runs.tracker import Tracker
from c4build.write.files import seal
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


def test_an_interrupted_run_says_so(inputs, tmp_path):
    os.mkfifo(inputs / "x.warc.wet.gz")  # who reads it waits
    command = Command(*build(tmp_path, inputs, "--workers", 2))
    wait_for(command, tmp_path, lambda state: any(one["input"].endswith("x.warc.wet.gz") for one in state["workers"]))
    os.kill(command.pid, 2)
    assert command.finish(30).code == 130
    assert last(tmp_path)["outcome"]["what"] == "interrupted" and log_of(last(tmp_path))[-1].startswith("interrupted ")


@pytest.mark.parametrize("blocked", ["runs", "logs", "progress"])
def test_where_nothing_can_be_told_the_run_goes_on(inputs, tmp_path, blocked):
    (tmp_path / "out/.c4build").mkdir(parents=True)
    (tmp_path / "out/.c4build" / blocked).write_text("a file")
    done = run_command(*build(tmp_path, inputs, "--workers", 1))
    assert (done.code, done.error_lines) == (1, [line for line in done.error_lines if line.startswith("damaged: ")])
    assert manifest(tmp_path)["pages"] > 0


def test_the_other_corpora_tell_how_far_they_are_too(tmp_path):
    (tmp_path / "books").mkdir()
    for name in ("one", "two"):
        text = "\n".join(wet_files.sentences(len(name), 60))
        (tmp_path / f"books/{name}.txt").write_text(text)
    done = run_command("books", tmp_path / "books", "--out", tmp_path / "out", "--workers", 2)
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


# What lies there need not be what c4build wrote


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> dict:
    """What a run has left."""
    folder = tmp_path_factory.mktemp("honest")
    path = wet_files.write_wet(folder / "0.warc.wet.gz", wet_files.pages(0, 5))
    assert run_command(*build(folder, path, "--workers", 1)).code == 0
    return last(folder)


def leave(tmp_path, data: bytes):
    folder = tmp_path / "out/.c4build/runs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "1.json").write_bytes(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"null", b'{"seal": 1}', b"\xff\0"])
def test_a_rotten_run_file_is_one_clear_line(tmp_path, data):
    leave(tmp_path, data)
    done = run_command("status", tmp_path / "out")
    assert (done.code, len(done.error_lines)) == (3, 1)
    assert done.error_lines[0].startswith(
        f"c4build: {tmp_path}/out/.c4build/runs/1.json: it does not hold what was written"
    )


def places_in(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(one, (*path, name))


def test_a_run_file_that_somebody_else_has_made_does_no_harm(honest, tmp_path, capsys):
    for place in list(places_in({**honest, "outcome": None}))[1:]:
        for value in (None, "\x1b[2J\n", -5, 1e300, float("nan"), 10**400, [], {}, True, 1 << 61):
            state = json.loads(json.dumps({**honest, "outcome": None}))
            *above, name = place
            at = state
            for one in above:
                at = at[one]
            at[name] = value
            try:
                leave(tmp_path, json.dumps(seal(state)).encode())
                status.show(str(tmp_path / "out"), as_json=False, watch=False)
            except C4BuildError as error:
                assert "it does not hold what was written" in str(error), (place, value)
            said = capsys.readouterr().out
            assert said.replace("\n", "").isprintable(), (place, value)


def test_a_run_on_another_machine_is_dead_after_a_minute_without_a_sign_of_life(honest, tmp_path):
    elsewhere = {**honest["process"], "node": "elsewhere", "pid": 1}
    for age, dead in ((30, False), (90, True)):
        state = {**honest, "process": elsewhere, "outcome": None, "heartbeat": time.time() - age}
        leave(tmp_path, json.dumps(seal(state)).encode())
        assert bool(look.silence(last(tmp_path))) == dead
    (now,) = [line for line in status.describe({**state, "dead": look.silence(state)}) if line.startswith("now ")]
    assert "gives no sign of life" in now


def test_where_a_run_is_dead_or_was_handed_over_what_its_workers_left_is_looked_at(honest, tmp_path, folder):
    units = tmp_path / "units"
    for path in (*(tmp_path / f"pages/{number}.parquet" for number in range(5)), units / "00000.json", units / "0.txt"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    Path(folder).mkdir()
    marks.begin(folder, "Finish")
    read(f"{folder}/1", 7, 10, damaged=2)
    marks.leave(folder)
    places = look.Places({f"{tmp_path}/pages": 2}, "parquet", str(units), folder, "cleaning", time.time() - 9)
    given = {
        **honest, "places": places._asdict(), "units": {"all": 4, "done": 0}, "heartbeat": 0,
        "process": {**honest["process"], "node": "elsewhere"}, "files": {**honest["files"], "all": 3, "done": 0},
    }  # fmt: skip
    for outcome, options in ((None, {}), ("handed over", {}), ("handed over", honest["options"])):
        said = outcome and {**honest["outcome"], "what": outcome}
        options = {**honest["options"], "corpora": {"en": str(tmp_path)}, **options}
        leave(tmp_path, json.dumps(seal({**given, "outcome": said, "options": options})).encode())
        state = status.newest(str(tmp_path / "out"))
        assert (state["stage"], state["units"]["done"], state["records"], state["damages"]) == ("writing", 1, 7, 2)
        assert state["files"] == {"all": 3, "done": 3, "before": 0, "damaged": 1, "missing": 0}
        assert ("but 1 of its workers give one" in state["dead"]) == (outcome is None)
        what = "done" if outcome and options == honest["options"] else outcome
        assert (state["outcome"] or {"what": None})["what"] == what
        list(status.describe(state))


@pytest.mark.parametrize("more", [("--runner", "PortableRunner", "--", "--job_endpoint", "embed", "--environment_type", "LOOPBACK"),
                                  pytest.param(("--workers", 2), marks=pytest.mark.slow)], ids=["elsewhere", "here"])  # fmt: skip
def test_of_a_run_into_a_bucket_status_tells_as_much(inputs, tmp_path, more):
    with serving_s3() as (server, environment):
        make_bucket(environment)
        out = f"s3://{BUCKET}/out"
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
    assert sum(path.startswith("progress/") for path in written) <= (0 if "--workers" in more else 3)


# The count


def tracker_of(tmp_path, files: int, size: int = 10, units: int = 1) -> Tracker:
    """A tracker of `files` inputs, whose marks lie in `tmp_path`/marks."""
    (tmp_path / "marks").mkdir(exist_ok=True)
    inputs = [SimpleNamespace(path=f"{number}.gz", likely_size=size) for number in range(files)]
    plan = SimpleNamespace(run=SimpleNamespace(shards=units))
    paths = [f"{tmp_path}/pages/{number}.parquet" for number in range(files)]
    return Tracker(Prepared(plan, inputs, paths, {}, False), str(tmp_path / "marks"), "cleaning", "pages")


def make_bucket(environment: dict):
    """Makes the bucket."""
    boto3 = pytest.importorskip("boto3")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=BUCKET)


def read(path: str, *counts: int, **said):
    """Tells of an input that was read to its end."""
    task = marks.Task(path)
    task.begin()
    task.done(*counts, **said)


@pytest.fixture
def folder(tmp_path):
    yield str(tmp_path / "marks")
    marks.leave(str(tmp_path / "marks"))


def test_no_estimate_is_given_that_says_no_time_is_left(tmp_path, folder):
    tracker = tracker_of(tmp_path, 1, 100)
    marks.begin(folder, "Clean")
    marks.Task(f"{folder}/0").at(50, 100)  # read to its end, but not finished
    marks.leave(folder)
    tracker.events()
    state = tracker.state()
    assert (state["stage"], state["share"], state["left"]) == ("cleaning", 1.0, None)
    assert how_far(state).startswith("0 of 1 file, ") and "left" not in how_far(state)


def test_an_input_that_is_told_of_twice_counts_once_and_lines_that_were_cut_short_do_not(tmp_path, folder):
    tracker = tracker_of(tmp_path, 3, units=2)
    marks.begin(folder, "Finish")
    for _ in range(2):
        read(f"{folder}/1", 7, 10, damaged=2, why="a\nb")
        marks.unit_done(folder, 1)
    (events,) = Path(folder).glob("*.events")
    events.write_bytes(events.read_bytes() + b'\n{"time": 1, "input": 99}\nnull\n[]\n{"input": "x"}\n{"time": 1, "un')
    tracker.events()
    marks.Task(f"{folder}/2").done(0, 0, missing=1, why="gone")
    tracker.events()
    state = tracker.state()
    assert (state["records"], state["damages"], state["bytes"]) == (7, 2, 10)
    assert state["files"] == {"all": 3, "done": 1, "before": 0, "damaged": 1, "missing": 1}
    assert state["units"] == {"all": 2, "done": 1} and how_far(state) == "1 of 2 shards"
    assert [state["damaged"], state["missing"]] == [
        [{"input": "1.gz", "why": r"a\nb"}],
        [{"input": "2.gz", "why": "gone"}],
    ]


def test_of_thousands_of_files_none_is_looked_at_again_and_again(tmp_path, folder, monkeypatch):
    count, old, done = 3000, 500, 1500
    (tmp_path / "pages").mkdir()
    for number in range(old):
        (tmp_path / f"pages/{number}.parquet").touch()
    tracker = tracker_of(tmp_path, count)
    marks.begin(folder, "Clean")
    for number in range(old, done):
        read(f"{folder}/{number}", 7, 10)
    marks.Task(f"{folder}/{done}").at(3, 5)
    marks.leave(folder)
    tracker.events()
    state = tracker.state()
    assert (state["files"]["done"], state["files"]["before"], state["records"]) == (done, old, 7 * (done - old))
    assert state["share"] == round((done * 10 + 5) / (count * 10), 4) and state["left"] is not None
    looked = []
    monkeypatch.setattr(
        "builtins.open", lambda path, *rest, do=open, **more: (looked.append(path), do(path, *rest, **more))[1]
    )
    for name in ("stat", "listdir", "scandir"):
        monkeypatch.setattr(
            os,
            name,
            lambda path, *rest, do=getattr(os, name), **more: (looked.append(path), do(path, *rest, **more))[1],
        )
    tracker.events()
    tracker.state()
    assert len(looked) <= 2
