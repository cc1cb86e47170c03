"""What reading a damaged file comes to and costs: each is read in a process of its own, under limits, and looked at."""

import os
import pickle
import re
import resource
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import command
import psutil
import pytest

CPU_SECONDS = 20
MEGABYTES = 1024
_MORE = 3 << 30  # bytes of address space beyond what is allowed: zstd asks for 2 GB that it may never touch
_WALL_SECONDS = 900  # other work may have the processors


class Reading(NamedTuple):
    """What came of one file."""

    pages: list[Any]  # as the corpus' `read` gives them
    dropped: int  # records that are counted, but no pages
    damages: list[str]
    seconds: float  # of CPU
    megabytes: float  # the most that the process held
    failure: str  # a traceback, or how the process ended; empty where all went well

    @property
    def state(self) -> str:
        if not self.failure:
            return "read"
        return "stalled" if self.failure == "SIGXCPU" else "failed"


def read_each(make_reader: Callable[[], Callable], paths: Sequence[str]) -> list[Reading]:
    """Reads each file in a fork of one process that has made the reader.

    Args:
      make_reader: picklable; gives a function of a path and of what it calls when all is done that a build does with the
        file, and is measured. It may look closer then, and returns (pages, how many were dropped, damages).
      paths: the files.
    """
    command._start_server()
    with tempfile.TemporaryDirectory() as folder:
        process = command._CONTEXT.Process(target=_read_all, args=(make_reader, list(paths), folder))
        process.start()
        process.join()
        assert process.exitcode == 0
        return [pickle.loads(Path(folder, str(number)).read_bytes()) for number in range(len(paths))]


def _read_all(make_reader: Callable, paths: list[str], folder: str):
    read = make_reader()
    for number, path in enumerate(paths):
        result = os.path.join(folder, str(number))
        child = os.fork()
        if not child:
            _read_one(read, path, result)
        _, status, used = os.wait4(child, 0)
        if os.WIFSIGNALED(status):
            failure = signal.Signals(os.WTERMSIG(status)).name
            reading = Reading([], 0, [], used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, failure)
        else:
            seconds, megabytes, found, failure = pickle.loads(Path(result).read_bytes())
            reading = Reading(*found, seconds, max(megabytes, used.ru_maxrss / 1024), failure)
        Path(result).write_bytes(pickle.dumps(reading))


def _read_one(read: Callable, path: str, result: str):
    """Never returns."""
    found, failure, seconds, megabytes = ([], 0, []), "", 0.0, 0.0

    def measured():
        nonlocal seconds, megabytes
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            used = resource.getrusage(who)
            seconds += used.ru_utime + used.ru_stime
            megabytes = max(megabytes, used.ru_maxrss / 1024)
        for child in psutil.Process().children(recursive=True):
            seconds += sum(child.cpu_times()[:2])
            megabytes = max(megabytes, child.memory_info().rss / (1 << 20))
        resource.setrlimit(resource.RLIMIT_CPU, (4 * CPU_SECONDS, 4 * CPU_SECONDS))

    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, 4 * CPU_SECONDS))
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + (MEGABYTES << 20) + _MORE,) * 2)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        signal.alarm(_WALL_SECONDS)
        found = read(path, measured)
    except BaseException:
        failure = traceback.format_exc(limit=-4)
        measured()
    Path(result).write_bytes(pickle.dumps((seconds, megabytes, found, failure)))
    os._exit(0)


def failures(files: Sequence, readings: Sequence[Reading]) -> list[str]:
    """What must not be: files that end a reading, stall it, or fill the memory; a line each."""
    found = []
    for damaged, reading in zip(files, readings):
        where = f"{damaged.number} {damaged.kind}"
        if reading.failure:
            found.append(f"{where}: {reading.failure.strip().splitlines()[-1]}")
        elif reading.seconds > CPU_SECONDS:
            found.append(f"{where}: {reading.seconds:.0f} CPU seconds")
        if reading.megabytes > MEGABYTES:
            found.append(f"{where}: {reading.megabytes:.0f} MB")
    return found


def lost(files: Sequence, readings: Sequence[Reading]) -> list[str]:
    """Files of which something whole did not come through."""
    found = []
    for damaged, reading in zip(files, readings):
        missing = Counter(damaged.made.whole) - Counter(reading.pages)
        if missing:
            count = f"{sum(missing.values()):,} of {len(damaged.made.whole):,}"
            found.append(
                f"{damaged.number} {damaged.kind}: {count} whole ones are not there; named: {reading.damages[:2]}"
            )
    return found


def without_a_word(tried, make_other: Callable[[], Callable]) -> list[str]:
    """Files that are not named, though what came of them is not what was there.

    Two things are no damage: nothing is lost and nothing changed (a bit in the date of a gzip header); or another program
    reads the file to its end without complaint, finds the very same, and no less than there was (an odd address in a record
    that is whole, a submission that is left out for a reason that is counted).

    Args:
      tried: a `trying.Tried`.
      make_other: gives the other program's reader, as in `read_each`.
    """
    doubtful = [
        number
        for number, (damaged, reading) in enumerate(zip(tried.files, tried.readings))
        if not reading.failure and not reading.damages and Counter(reading.pages) != Counter(damaged.made.before)
    ]
    found = []
    for number, other in zip(doubtful, read_each(make_other, [str(tried.paths[number]) for number in doubtful])):
        damaged, pages = tried.files[number], tried.readings[number].pages
        fewer = len(other.pages) + other.dropped < len(damaged.made.before)
        if other.failure or Counter(other.pages) != Counter(pages) or fewer:
            said = (
                other.failure.strip().splitlines()[-1][:150] if other.failure else f"others read {len(other.pages):,}"
            )
            found.append(f"{number} {damaged.kind}: {len(pages):,} read of {len(damaged.made.before):,}; {said}")
    return found


def none(found: list[str]):
    """Fails with all of it where anything was found."""
    if found:
        pytest.fail(f"{len(found):,} files:\n" + "\n".join(found), pytrace=False)


def rows(files: Sequence, readings: Sequence[Reading]) -> dict[str, list]:
    """By group of kinds, the row of the table that is printed at the end."""
    table: dict[str, list] = {}
    for damaged, reading in zip(files, readings):
        row = table.setdefault(re.split("[:,]", damaged.kind)[0], [0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0])
        numbers = (
            1,
            reading.state == "read",
            bool(reading.damages),
            len(damaged.made.before),
            len(reading.pages),
            reading.dropped,
        )
        row[:6] = [have + more for have, more in zip(row, numbers)]
        row[6] = round(row[6] + reading.seconds, 2)
        row[7:] = [round(max(row[7], reading.seconds), 1), round(max(row[8], reading.megabytes))]
    return table
