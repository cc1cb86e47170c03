"""What the processes that work on a run leave for others to see how far it is: marks and events. No run depends on them.

Each process has a mark of its own, which it renews: when it last lived, what it is at, the sums of what it has done. On a
disk each has a second file, which grows by a line for an event: an input that is done, a step that has begun. In an object
store, where nothing grows, there are marks only, renewed twice a minute.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from c4build.errors import C4BuildError, printable
from c4build.flow.runs.checked import checked
from c4build.read.hosts import Tally, tally_of_process, tally_of_thread
from c4build.write import objects
from c4build.write.files import join, list_files, open_file, whole_file
from c4build.write.storage import is_local, storage_of

MARK, EVENTS = ".mark", ".events"  # how the names of these files end
RENEWED = 1.0  # seconds between two marks of a process on a disk
RENEWED_REMOTELY = 30.0  # the same in an object store
_IDLE = 3600.0  # seconds without news, after which a process renews its mark no more
_ASKED_AT_ONCE = 16  # marks in an object store
_LONGEST = 1 << 16  # bytes of a mark
_TRIES = 2  # of a request: what is not written now is written the next time


Mark = dict[str, Any]
_T = TypeVar("_T")
_AT = {"step": str, "input": int, "records": int, "bytes": int}
_INPUT = {
    "time": float, "input": int, "how": str, "records": int, "bytes": int, "damaged": int, "missing": int, "why": str,
    "seconds": float, **dict.fromkeys(Tally._fields, int),
}  # fmt: skip
EVENT_SHAPES = {  # by what an event of the kind has
    "step": {"time": float, "step": str},
    "unit": {"time": float, "unit": int},
    "keys": {"time": float, "keys": str},
    "input": _INPUT,
}
_SUMS = {"inputs": int, "records": int, "bytes": int, "damages": int, "damaged": int, "missing": int, "units": int}
_MARK = {
    "host": str, "pid": int, "time": float, "at": [_AT], "sums": _SUMS, "transport": dict.fromkeys(Tally._fields, int),
}  # fmt: skip


class Task:
    """One input under way: `at` says how far it is, `done` what came of it.

    Args:
      path: the folder of marks and the input's number, as in FOLDER/12; None: nothing is told.
    """

    def __init__(self, path: str | None):
        folder, _, number = (path or "").rpartition("/")
        self._process = _process(folder) if path else None
        self._number = int(number) if path else -1
        self._began, self._before = time.monotonic(), tally_of_thread()
        self._read = False
        self.at(0, 0)

    def begin(self):
        """It is read now, and was not found as a run before has left it."""
        self._read = True

    def at(self, records: int, size: int):
        """So many records and bytes are read."""
        if self._process:
            self._process.tell(input=self._number, records=records, bytes=size)

    def done(self, records: int, size: int, damaged: int = 0, missing: int = 0, why: str = ""):
        """Tells of the end.

        Args:
          records: in it, used or not.
          size: bytes of it.
          damaged: how many places.
          missing: inputs that could not be fetched.
          why: they could not, or the first damage, or why what was found is made again.
        """
        if self._process is None:
            return
        how = "missing" if missing else "read" if self._read else "found"
        read = size if how == "read" else 0
        self._process.tell(input=-1)
        self._process.sum(
            inputs=1, records=records, bytes=read, damages=damaged, damaged=int(damaged > 0), missing=int(missing)
        )
        self._process.event(
            input=self._number, how=how, records=records, bytes=read, damaged=damaged, missing=int(missing),
            why=printable(why), seconds=round(time.monotonic() - self._began, 3),
            **tally_of_thread().since(self._before)._asdict(),
        )  # fmt: skip


def begin(folder: str | None, step: str):
    """This process begins with its share of a step of the flow."""
    if folder:
        process = _process(folder)
        process.tell(step=step)
        if process.last_step != step:
            process.last_step = step
            process.event(step=step)


def end(folder: str | None):
    """The share is done."""
    if folder:
        _process(folder).tell(step="")


def unit_done(folder: str | None, unit: int):
    """A unit of the output is written, or found written."""
    if folder:
        _process(folder).sum(units=1)
        _process(folder).event(unit=unit)


def noting_keys(folder: str | None, kind: str, parts: Iterable[_T]) -> Iterator[_T]:
    """The parts of a key file, which are asked for where none was found: so that it is known which were made."""
    if folder:
        _process(folder).event(keys=kind)
    yield from parts


def leave(folder: str):
    """This process has no part in the run any more."""
    with _lock:
        process = _processes.pop(folder, None)
    if process:
        process.leave()


def write_over(path: str, data: bytes):
    """Writes a small file that says how far a run is, whole or not at all. Raises OSError or C4BuildError."""
    if storage_of(path) is objects:
        objects.put(path, data, tries=_TRIES)
    else:
        with whole_file(path, lasting=False) as file:
            file.write(data)


def read_marks(folder: str) -> list[Mark]:
    """The marks of a folder by names of processes; what is none is passed over."""
    try:
        names = os.listdir(folder) if is_local(folder) else [path.rpartition("/")[2] for path in list_files(folder)]
    except (OSError, C4BuildError):
        return []
    paths = [join(folder, name) for name in sorted(names) if name.endswith(MARK)]
    if is_local(folder):
        return [mark for path in paths if (mark := _read_mark(path))]
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return [mark for mark in pool.map(_read_mark, paths) if mark]


def _read_mark(path: str) -> Mark | None:
    try:
        with open_file(path) as file:
            mark = json.loads(file.read(_LONGEST))
        checked(mark, _MARK)
    except (OSError, C4BuildError, ValueError, RecursionError):
        return None
    return mark


class _Process:
    """This process, as one that works on a run."""

    def __init__(self, folder: str):
        self._folder, self._local = folder, is_local(folder)
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._stem = join(folder, f"{self._host[:60]}-{self._pid}-{uuid.uuid4().hex[:8]}")
        self._now: dict[int, dict[str, Any]] = {}  # by thread, what it is at
        self._sums = Counter(dict.fromkeys(_SUMS, 0))
        self._before = tally_of_process()
        self._told = time.monotonic()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.last_step = ""

    def tell(self, **what: Any):
        self._now.setdefault(threading.get_ident(), {"step": "", "input": -1, "records": 0, "bytes": 0}).update(what)
        self._told = time.monotonic()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._renew, daemon=True)
            self._thread.start()

    def sum(self, **counts: int):
        with self._lock:
            self._sums.update(counts)

    def event(self, **said: Any):
        """Leaves a line. A line that was cut short, on a full disk, ends where the next begins."""
        if not self._local:
            return
        line = b"\n" + json.dumps({"time": time.time(), **said}).encode() + b"\n"
        try:
            with open(self._stem + EVENTS, "ab", buffering=0) as file:
                file.write(line)
        except OSError:
            pass

    def leave(self):
        self._over.set()
        if self._thread is not None:
            self._thread.join(RENEWED)
        self._write()

    def _renew(self):
        every = RENEWED if self._local else RENEWED_REMOTELY
        while time.monotonic() - self._told < _IDLE:
            self._write()
            if self._over.wait(every):
                return

    def _write(self):
        said = {
            "host": self._host, "pid": self._pid, "time": time.time(),
            "at": [dict(now) for now in list(self._now.values()) if now["step"]],
            "sums": dict(self._sums), "transport": tally_of_process().since(self._before)._asdict(),
        }  # fmt: skip
        try:
            write_over(self._stem + MARK, json.dumps(said).encode())
        except (OSError, C4BuildError):
            pass


_processes: dict[str, _Process] = {}  # by folder
_lock = threading.Lock()


def _process(folder: str) -> _Process:
    with _lock:
        if folder not in _processes:
            _processes[folder] = _Process(folder)
        return _processes[folder]


def _forget():
    global _lock
    _lock = threading.Lock()
    _processes.clear()


os.register_at_fork(after_in_child=_forget)
