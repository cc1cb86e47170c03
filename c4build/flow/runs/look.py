"""Runs as others see them: what the first process says of the run, and where that says too little, what lies in OUT."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from c4build.errors import C4BuildError, CorruptFileError, OutputError, UsageError
from c4build.flow.runs.checked import checked
from c4build.flow.runs.marks import Mark, read_marks
from c4build.flow.runs.tracker import depth, transport_of, worker
from c4build.read.hosts import Tally
from c4build.write.files import base_name, join, list_files, open_file, unseal
from c4build.write.folder import find_manifest
from c4build.write.lease import has_ended

State = dict[str, Any]

_UNIT = re.compile(r"\d+\.json")
_LONGEST = 1 << 24  # bytes of what a run says of itself
_SILENT = 60.0  # seconds without a sign of life, after which a run is taken for dead; or so many of its intervals:
_MISSED = 4
_NAMED = [{"input": str, "why": str}]
_PLACES = {"pages": {"*": int}, "ending": str, "units": str, "marks": str, "doing": str, "began": float}
_SHAPE = {
    "id": str, "c4build": str, "engine": str, "log": str, "started": str, "heartbeat": float, "interval": float,
    "process": {"host": str, "pid": int, "since": str, "command": str, "node": str, "started": float},
    "options": {"corpora": {"*": str}, "format": str, "rules": str},
    "stage": str, "step": str, "record": str, "records": int, "bytes": int, "damages": int,
    "files": dict.fromkeys(("all", "done", "before", "damaged", "missing"), int),
    "damaged": _NAMED, "missing": _NAMED, "units": {"all": int, "done": int}, "rate": float, "share": float,
    "left": (float,), "keys_made": {"*": int}, "transport": dict.fromkeys(Tally._fields, int),
    "workers": [{"host": str, "pid": int, "seen": float, "step": str, "input": str}],
    "places": (_PLACES,), "outcome": ({"what": str, "error": str, "ended": str, "seconds": float},),
}  # fmt: skip


class Places(NamedTuple):
    """Where workers of other machines leave what they have done."""

    pages: dict[str, int]  # folders of the inputs' own files, and how many files of other inputs lie in each
    ending: str  # of these files' names
    units: str  # folder of the units' records
    marks: str
    doing: str  # what is done with the inputs
    began: float  # seconds since 1970


def last_run(out: str) -> State:
    """What the newest run into `out` says of itself.

    Raises:
      UsageError: there is none, or no such place.
      CorruptFileError: it is not what c4build wrote.
      OutputError: it cannot be read.
    """
    folder = join(out, ".c4build", "runs")
    try:
        paths = sorted(path for path in list_files(folder) if path.endswith(".json"))
        if not paths:
            raise UsageError(f"{out}: no run of c4build has left anything there")
        return _read(paths[-1])
    except OutputError as error:
        if getattr(error.__cause__, "status", 0) == 404:
            raise UsageError(str(error)) from error
        raise
    except (OSError, ValueError) as error:  # ValueError: no path at all
        raise OutputError(f"{folder} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def runs(out: str, most: int) -> Iterator[State]:
    """What the newest runs into `out` say of themselves, so many at most, the newest first. One that is damaged is left out."""
    paths = [path for path in list_files(join(out, ".c4build", "runs")) if path.endswith(".json")]
    for path in sorted(paths, reverse=True)[:most]:
        try:
            yield _read(path)
        except (OSError, C4BuildError):
            pass  # the corpora say by themselves what they are


def _read(path: str) -> State:
    try:
        with open_file(path) as file:
            state = unseal(json.loads(file.read(_LONGEST)), path)
        checked(state, _SHAPE)
        checked(state.setdefault("steps", {}), {"*": float}, "it.steps")  # older runs do not tell
    except (ValueError, RecursionError, CorruptFileError) as error:
        what = f" ({error})" if isinstance(error, ValueError) and str(error).startswith("it.") else ""
        raise CorruptFileError(
            f"{path}: it does not hold what was written{what}; the next run has one of its own"
        ) from error
    return state


def silence(state: State) -> str:
    """Why a run that says of no end is taken for dead; empty where it is not."""
    who, age = state["process"], time.time() - state["heartbeat"]
    try:
        if has_ended(who):
            return f"process {who['pid']} has ended without a word, killed or with its machine"
    except (TypeError, ValueError, OverflowError):
        pass
    if age <= max(_SILENT, _MISSED * state["interval"]):
        return ""
    alive = [one for one in state["workers"] if time.time() - one["seen"] <= _MISSED * state["interval"]]
    but = f", but {len(alive):,} of its workers give one" if alive else ""
    return f"process {who['pid']} on {who['host']} gives no sign of life{but}"


def is_published(state: State) -> bool:
    """True where all corpora of a run are complete: a run takes away what says so before it begins to write."""
    try:
        folders = state["options"]["corpora"].values()
        return bool(folders) and all(find_manifest(folder) for folder in folders)
    except (OSError, ValueError, C4BuildError):
        return False


def look(places: Places, state: State) -> State:
    """What of `state` files and marks in an object store tell. Two listings, and a request for each worker."""
    try:
        listed = {
            folder: [path for path in list_files(folder) if path.endswith(f".{places.ending}")]
            for folder in places.pages
        }
        units = sum(bool(_UNIT.fullmatch(base_name(path))) for path in list_files(places.units))
    except (OSError, C4BuildError):
        return {}
    marks = read_marks(places.marks)
    sums: Counter[str] = Counter()
    for mark in marks:
        sums.update(mark["sums"])
    files = {
        **state["files"], "missing": sums["missing"], "damaged": sums["damaged"],
        "done": min(sum(len(paths) - places.pages[folder] for folder, paths in listed.items()), state["files"]["all"]),
    }  # fmt: skip
    read = files["done"] + files["missing"] >= files["all"]
    seconds = max(time.time() - places.began, 1e-3)
    new = files["done"] - files["before"]
    return {
        "stage": _stage(read, units, marks, places.doing),
        "files": files, "records": sums["records"], "bytes": sums["bytes"], "damages": sums["damages"],
        "units": {**state["units"], "done": min(units, state["units"]["all"])}, "transport": transport_of(marks),
        "rate": round(sums["records"] / seconds, 1), "share": round(files["done"] / max(files["all"], 1), 4),
        "left": round(seconds / new * (files["all"] - files["done"]), 1) if new > 0 and not read else None,
        "workers": [worker(mark) for mark in marks],
    }  # fmt: skip


def _stage(read: bool, units: int, marks: list[Mark], doing: str) -> str:
    step = max((at["step"] for mark in marks for at in mark["at"]), key=depth, default="")
    if not read:
        return doing if marks else "starting"
    return "publishing" if step == "Publish" else "writing" if units else "deduplicating"
