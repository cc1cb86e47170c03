"""What a run says of how far it is: counted from what its workers leave, and read by `c4build status`, whoever wrote it."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import wet_files
from command import run_command
from test_status import build, last

from c4build.commands import status
from c4build.commands.run_progress import how_far
from c4build.errors import C4BuildError
from c4build.flow.kit import Prepared
from c4build.flow.runs import look, marks
from c4build.flow.runs.tracker import Tracker
from c4build.write.files import seal

# The count


def tracker_of(tmp_path, files: int, size: int = 10, units: int = 1) -> Tracker:
    """A tracker of `files` inputs, whose marks lie in `tmp_path`/marks."""
    (tmp_path / "marks").mkdir(exist_ok=True)
    inputs = [SimpleNamespace(path=f"{number}.gz", likely_size=size) for number in range(files)]
    plan = SimpleNamespace(run=SimpleNamespace(shards=units))
    paths = [f"{tmp_path}/pages/{number}.pages" for number in range(files)]
    return Tracker(Prepared(plan, inputs, paths, {}, False), str(tmp_path / "marks"), "cleaning", "pages")


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
        (tmp_path / f"pages/{number}.pages").touch()
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
    for path in (*(tmp_path / f"pages/{number}.pages" for number in range(5)), units / "00000.json", units / "0.txt"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    Path(folder).mkdir()
    marks.begin(folder, "Finish")
    read(f"{folder}/1", 7, 10, damaged=2)
    marks.leave(folder)
    places = look.Places({f"{tmp_path}/pages": 2}, "pages", str(units), folder, "cleaning", time.time() - 9)
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
