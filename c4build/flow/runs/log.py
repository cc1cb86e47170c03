"""The log of a run: a line for each input, and for each step's beginning and end. What cannot be written is left out."""

import datetime
import os
import re
import time
from collections.abc import Iterable
from typing import Any

from c4build.errors import C4BuildError, counted, visible
from c4build.flow.runs.marks import write_over
from c4build.write.files import make_folder
from c4build.write.storage import is_local

_SENT_EVERY = 600.0  # seconds between two times that a log is sent to an object store
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Log:
    """Lines of text at `path`. In an object store the whole log is sent now and then; until then it is in this process."""

    def __init__(self, path: str, record: str):
        self._path, self._record = path, record
        self._step, self._step_began, self._keys = "", 0.0, 0
        self._kept: list[str] = []
        self._sent = time.monotonic()
        if is_local(path):
            try:
                make_folder(os.path.dirname(path))
            except C4BuildError:
                pass

    def add(self, lines: Iterable[tuple[float, str]], last: bool = False):
        """Adds texts, each with its time in seconds since 1970; `last`: there are no more."""
        text = [f"{instant(when)} {visible(line)}\n" for when, line in lines]
        if is_local(self._path):
            if text:
                self._append("".join(text))
            return
        self._kept += text
        if self._kept and (last or time.monotonic() - self._sent > _SENT_EVERY):
            self._sent = time.monotonic()
            try:
                write_over(self._path, "".join(self._kept).encode(errors="backslashreplace"))
            except (OSError, C4BuildError):
                pass  # there is another time

    def _append(self, text: str):
        try:
            with open(self._path, "ab", buffering=0) as file:
                file.write(text.encode(errors="backslashreplace"))
        except OSError:
            pass

    def events(self, events: Iterable[dict[str, Any]], names: list[str]):
        """Adds what has happened, see `tracker.Tracker.events`; `names` are the inputs'."""
        lines: list[tuple[float, str]] = []
        for event in events:
            if "step" in event:
                lines += self.ended(event["time"])
                self._step, self._step_began = event["step"], event["time"]
                lines.append((event["time"], f"{words(self._step)} begins"))
            elif "keys" in event:
                self._keys += 1
            elif "input" in event:
                lines.append((event["time"], _of_input(event, names[event["input"]], self._record)))
        self.add(lines)

    def ended(self, when: float) -> list[tuple[float, str]]:
        """That the step under way, if any, ended then."""
        if not self._step:
            return []
        made = f"; {counted(self._keys, 'key files')} made" if self._keys else ""
        line = f"{words(self._step)} ended after {when - self._step_began:.1f} s{made}"
        self._step, self._keys = "", 0
        return [(when, line)]


def words(step: str) -> str:
    """UrlKeys -> url keys."""
    return _WORDS.sub(" ", step).lower()


def instant(when: float) -> str:
    """A time in seconds since 1970 as in 2026-11-26T14:41:04Z."""
    return (
        datetime.datetime.fromtimestamp(when, datetime.UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
    )


def _of_input(event: dict[str, Any], name: str, record: str) -> str:
    tried = ", ".join(
        f"{event[kind]:,} {how}" for kind, how in (("retries", "tried again"), ("refusals", "refused")) if event[kind]
    )
    requests = f"; {counted(event['requests'], 'requests')}" if event["requests"] else ""
    took = f"{event['seconds']:.1f} s{requests}{f' ({tried})' if tried else ''}"
    if event["missing"]:
        return f"missing {name}: {took}: {event['why']}"
    size = f", {counted(event['bytes'], 'bytes')}" if event["how"] == "read" else ""
    line = f"{event['how']} {name}: {counted(event['records'], record)}{size} in {took}"
    if event["damaged"]:
        return f"{line}; damaged in {counted(event['damaged'], 'places')}: {event['why']}"
    return f"{line}; {event['why']}" if event["why"] else line
