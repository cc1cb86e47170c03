"""Damaged files on disk, what their reading came to, and builds of all of them beside a good one by the real command."""

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from command import Command, Finished
from damage import Damaged, Kind, generate
from reading import Reading, read_each

MOST_NAMED = 1000  # damages that c4build.json lists of one file
_LONGEST_LINE = 1000  # characters of a line that a person is told


class Tried(NamedTuple):
    """Damaged files and their readings, in one order."""

    title: str
    folder: Path
    files: list[Damaged]
    paths: list[Path]
    readings: list[Reading]


def try_all(title: str, folder: Path, kinds: Sequence[Kind], count: int, ending: str, make_reader: Callable) -> Tried:
    """Writes the first `count` damaged files to a folder and reads each."""
    files, paths = list(generate(kinds, count)), []
    for damaged in files:
        paths.append(folder / damaged.name(ending))
        paths[-1].write_bytes(damaged.made.data)
    return Tried(title, folder, files, paths, read_each(make_reader, list(map(str, paths))))


class Built(NamedTuple):
    done: Finished
    summary: dict  # c4build.json
    rows: Counter  # the lines of all shards
    megabytes: float  # the most that the process held


def build(*arguments, out: Path, seconds: float = 120) -> Built:
    """Runs the command; `out` is a folder, or the file that it makes."""
    running, peak, until = Command(*arguments, "--out", out), 0.0, time.monotonic() + seconds
    while running.running() and time.monotonic() < until:
        peak = max(peak, _peak(running.pid))
        time.sleep(0.02)
    done = running.finish(0)
    assert "Traceback" not in done.err, done.err[-3000:]
    work = out if out.suffix != ".gz" else out.parent / ".c4build"
    summaries = [path for path in work.rglob("c4build.json") if "/en.noclean/" not in str(path)]
    shards = [out] if out.suffix == ".gz" else [path for path in out.rglob("*.json.gz") if ".c4build" not in path.parts]
    rows = Counter(row for path in shards if path.is_file() for row in gzip.open(path))
    return Built(done, json.loads(summaries[0].read_text()) if summaries else {}, rows, peak)


def _peak(process: int) -> float:
    """The most memory that a process has held so far, in MB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


def check_build(tried: Tried, built: Built, alone: Built, record: str):
    """All that must hold of a build of damaged files beside a good one.

    Args:
      alone: the build of the good file alone.
      record: what its summary calls the number of what was read.
    """
    said = built.summary
    assert built.done.code == 1, built.done
    assert alone.done.code == 0 and alone.rows, alone.done
    assert not alone.rows - built.rows, "not all of the good file is there"
    assert said[record] == said["kept"] + sum(said["dropped"].values())
    read = sum(len(reading.pages) + reading.dropped for reading in tried.readings)
    assert said[record] == read + alone.summary[record]
    named = Counter(entry["input"] for entry in said["damaged"])
    expected = {str(path) for path, reading in zip(tried.paths, tried.readings) if reading.damages}
    assert not expected - set(named) and not set(named) - expected, (expected - set(named), set(named) - expected)
    assert max(named.values(), default=0) <= MOST_NAMED
    assert all(len(line) <= _LONGEST_LINE for line in built.done.error_lines)
    assert built.megabytes <= 1024
