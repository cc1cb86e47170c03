"""How far a run is, put together from the events and marks of its processes, and from what was there before."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from c4build.errors import printable
from c4build.flow.kit import Prepared
from c4build.flow.runs.checked import checked
from c4build.flow.runs.marks import EVENT_SHAPES, EVENTS, Mark, read_marks
from c4build.read.hosts import Tally
from c4build.write.files import list_files
from c4build.write.storage import is_local

_READING = {"ListInputs", "Clean", "Take", "MeasureShard"}
_WRITING = {"Finish", "Write", "Validation"}
_LISTED = 20  # inputs that a state names
_LEAST = 0.01  # the share that must be done before there is an estimate of the time left
_MARKS_EVERY = 0.5  # seconds between two looks at the marks

Event = dict[str, Any]


class Tracker:
    """Counts what becomes of the inputs and units of a run.

    Args:
      prepared: the run.
      folder: of its marks and events; None: nothing is told.
      doing: what is done with the inputs, such as "cleaning".
      record: what they hold, such as "pages".
    """

    def __init__(self, prepared: Prepared, folder: str | None, doing: str, record: str):
        self._folder, self._doing, self.record = folder, doing, record
        self.names = [getattr(source, "path", "") or source.name for source in prepared.inputs]
        self._sizes = [max(source.likely_size, 1) for source in prepared.inputs]
        self._all_units = prepared.plan.run.shards
        self._done, self.others = list_page_files(prepared.page_files)  # inputs by number
        self.before = frozenset(self._done)
        self._seen: set[int] = set()  # those that this run has come to the end of, whatever came of them
        self._units: set[int] = set()
        self._began, self._all_read = time.time(), 0.0  # when the reading of inputs began and ended
        self._written_from = 0.0
        self._read = 0  # likely bytes of the inputs that this run has read
        self._to_read = sum(self._sizes) - sum(self._sizes[index] for index in self._done)
        self._new = 0  # records in them
        self._sums: Counter[str] = Counter()
        self._took: Counter[str] = Counter()
        self._missing: list[dict[str, str]] = []
        self._damaged: list[dict[str, str]] = []
        self._keys: Counter[str] = Counter()
        self._steps: dict[str, float] = {}  # when each began
        self._offsets: Counter[str] = Counter()  # of the files of events: what is read of them
        self._marks: Sequence[Mark] = []
        self._looked = float("-inf")

    # What has happened

    def events(self) -> list[Event]:
        """What has happened since the last call, in order, and is counted by now."""
        if not self._folder or not is_local(self._folder):
            return []
        names = [name for name in _names_in(self._folder) if name.endswith(EVENTS)]
        found = [event for name in names for event in self._new_events(name)]
        return [event for event in sorted(found, key=lambda event: event["time"]) if self._count(event)]

    def _new_events(self, name: str) -> Iterator[Event]:
        try:
            with open(os.path.join(self._folder or "", name), "rb") as file:
                file.seek(self._offsets[name])
                data = file.read()
        except OSError:
            return
        data = data[: data.rfind(b"\n") + 1]
        self._offsets[name] += len(data)
        for line in data.splitlines():
            try:
                event = json.loads(line) if line else {}
                checked(event, next(shape for name, shape in EVENT_SHAPES.items() if name in event))
            except (ValueError, TypeError, StopIteration, RecursionError):
                continue  # it was cut short
            if event.get("input", 0) < len(self.names):
                yield event

    def _count(self, event: Event) -> bool:
        """Counts an event. False where it is none any more: something else has tried the same before."""
        if "step" in event:
            new = event["step"] not in self._steps
            if not self._steps:
                self._began = event["time"]  # what workers need to start is no part of it
            if new and event["step"] not in _READING:
                self._all_read = self._all_read or event["time"]
            if new and event["step"] in _WRITING:
                self._written_from = self._written_from or event["time"]
            self._steps.setdefault(event["step"], event["time"])
            return new
        if "keys" in event:
            self._keys[event["keys"]] += 1
            return True
        if "unit" in event:
            new = event["unit"] not in self._units
            self._units.add(event["unit"])
            return new
        new = event["input"] not in self._seen
        if new:
            self._count_input(**event)
        return new

    def _count_input(
        self, input: int, how: str, records: int, bytes: int, damaged: int, missing: int, why: str, **took
    ):
        self._seen.add(input)
        self._sums.update(records=records, damages=damaged, damaged=int(damaged > 0), missing=missing)
        self._took.update({name: took[name] for name in Tally._fields})
        if how == "read":
            self._read += self._sizes[input]
            self._to_read += self._sizes[input] if input in self.before else 0
            self._new += records
            self._sums["bytes"] += bytes
        (self._done.discard if missing else self._done.add)(input)
        listed = self._missing if missing else self._damaged
        if (missing or damaged) and len(listed) < _LISTED:
            listed.append({"input": printable(self.names[input]), "why": why})

    # How far it is

    def state(self) -> dict[str, Any]:
        """How far it is, as JSON."""
        now = time.time()
        if self._folder and is_local(self._folder) and now - self._looked > _MARKS_EVERY:
            self._looked, self._marks = now, read_marks(self._folder)
        busy = [at for mark in self._marks for at in mark["at"] if 0 <= at["input"] < len(self.names)]
        busy = [at for at in busy if at["input"] not in self._seen]
        read = self._read + sum(min(at["bytes"], self._sizes[at["input"]]) for at in busy)
        seconds = (self._all_read or now) - self._began
        step = next(reversed(self._steps), "")
        stage = stage_of(step, self._doing)
        return {
            "stage": stage,
            "step": step,
            "steps": self._seconds(now),
            "record": self.record,
            "files": {
                "all": len(self.names),
                "done": len(self._done),
                "before": len(self.before),
                "damaged": self._sums["damaged"],
                "missing": self._sums["missing"],
            },
            "records": self._sums["records"],
            "bytes": self._sums["bytes"],
            "damages": self._sums["damages"],
            "damaged": list(self._damaged),
            "missing": list(self._missing),
            "units": {"all": self._all_units, "done": min(len(self._units), self._all_units)},
            "rate": round((self._new + sum(at["records"] for at in busy)) / max(seconds, 1e-3), 1),
            "share": self._share(stage, read),
            "left": self._left(stage, read, now),
            "keys_made": dict(self._keys),
            # Marks count what is under way too, and are a little behind at the end.
            "transport": {name: max(count, self._took[name]) for name, count in transport_of(self._marks).items()},
            "workers": [worker(mark, self.names) for mark in self._marks],
        }

    def _seconds(self, now: float) -> dict[str, float]:
        """How long each step took, or has taken by now: until the next began."""
        ends = [*list(self._steps.values())[1:], now]
        return {step: round(max(end - began, 0.0), 2) for (step, began), end in zip(self._steps.items(), ends)}

    def _share(self, stage: str, read: int) -> float:
        """Of the stage, from 0 to 1."""
        if stage == "writing":
            return round(len(self._units) / self._all_units, 4) if self._all_units else 1.0
        if stage not in ("starting", self._doing):
            return 1.0
        whole = sum(self._sizes)
        return round(min((whole - self._to_read + read) / whole, 1.0), 4) if whole else 1.0

    def _left(self, stage: str, read: int, now: float) -> float | None:
        """Seconds to the end of the stage; None where nothing tells."""
        if stage == "writing":
            share, seconds = len(self._units) / max(self._all_units, 1), now - (self._written_from or now)
        else:
            share, seconds = read / max(self._to_read, 1), now - self._began
        known = stage in (self._doing, "writing") and _LEAST < share < 1
        return round(seconds / share * (1 - share), 1) if known else None


def depth(step: str) -> int:
    """How far down the flow a step is, roughly: greater is later."""
    return 0 if not step else 1 if step in _READING else 3 if step in _WRITING else 4 if step == "Publish" else 2


def stage_of(step: str, doing: str) -> str:
    """What a person is told is being done."""
    return ("starting", doing, "deduplicating", "writing", "publishing")[depth(step)]


def transport_of(marks: Sequence[Mark]) -> dict[str, int]:
    """What it took to fetch inputs, as `Tally` has it."""
    return {name: sum(mark["transport"][name] for mark in marks) for name in Tally._fields}


def worker(mark: Mark, names: Sequence[str] = ()) -> dict[str, Any]:
    """A process that works on the run: who it is, when it last lived, what it is at."""
    at: dict[str, Any] = mark["at"][-1] if mark["at"] else {"step": "", "input": -1}
    number = at["input"]
    name = printable(names[number]) if 0 <= number < len(names) else ""
    return {"host": mark["host"], "pid": mark["pid"], "seen": mark["time"], "step": at["step"], "input": name}


def list_page_files(page_files: Sequence[str]) -> tuple[set[int], dict[str, int]]:
    """The inputs whose files are there, by number; of each folder, how many files of other inputs. Each is listed once."""
    ending = page_files[0].rpartition(".")[2]
    there: set[str] = set()
    for folder in {path.rpartition("/")[0] for path in page_files}:
        listed = [f"{folder}/{name}" for name in _names_in(folder)] if is_local(folder) else list_files(folder)
        there |= {path for path in listed if path.endswith(f".{ending}")}
    found = {index for index, path in enumerate(page_files) if path in there}
    others = there - {page_files[index] for index in found}
    return found, dict(Counter(path.rpartition("/")[0] for path in others))


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
