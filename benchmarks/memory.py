"""Peak memory of a build, with files of 40,000 pages: 2 files, and 16.

    python benchmarks/memory.py WET FILE... [--pages 40000] [--files 2,16] [--workers 2] [--python PYTHON]

Said are the largest resident sets of the command and of a worker, where all that they share is counted for each of them; the
largest share of a worker (PSS: of what several processes have in common, each has its part); and what a core takes: the shares
of all processes in what is no file, and once what they map of files, such as libraries, as if no other program had them; by
workers. The latter two are looked at ten times a second. `--python` takes the interpreter of another
environment, such as one without the extras; c4build is that of this tree.

The files are made of the pages given, over and over, each copy with a URL of its own and its lines made distinct by a
number, so that the keys of deduplication grow with the pages. Without a file it takes the bundled sample.
"""

import argparse
import gzip
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import NamedTuple

import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", type=pathlib.Path, help="WET files to take pages from")
    parser.add_argument("--pages", type=int, default=40_000, help="of each file")
    parser.add_argument("--files", default="2,16")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    sources = options.sources or [ROOT / "c4build" / "sample" / "sample.warc.wet.gz"]
    numbers = [int(number) for number in options.files.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = list(make_files(sources, folder, max(numbers), options.pages))
        peaks = {}
        for number in numbers:
            out = folder / "out"
            command = [options.python, "-m", "c4build.commands.main", "build", *map(str, files[:number])]
            command += ["--rules", "c4-3.1.0", "--out", str(out), "--workers", str(options.workers)]
            peaks[number] = found = peak(command, options.workers, folder)
            print(
                f"{number:3} files of {options.pages:,} pages: a core takes {found.core / 1e6:,.0f} MB, a worker's share is "
                f"{found.share / 1e6:,.0f}; resident sets: command {found.command / 1e6:,.0f}, worker "
                f"{found.worker / 1e6:,.0f}; {found.seconds:.0f} s"
            )
            shutil.rmtree(out)
        first, last = numbers[0], numbers[-1]
        print(f"from {first} files to {last}: {100 * (peaks[last].core / peaks[first].core - 1):+.0f} % a core")


def make_files(sources, folder, number, pages):
    records = [record for path in sources for record in gzip.decompress(path.read_bytes()).split(b"WARC/1.0\r\n")[1:]]
    records = [record for record in records if b"WARC-Target-URI" in record]
    copies = enumerate(itertools.cycle(records))
    for index in range(number):
        path = folder / f"part-{index:02}.warc.wet.gz"
        with open(path, "wb") as file:
            for copy, record in itertools.islice(copies, pages):
                head, _, body = record.partition(b"\r\n\r\n")
                head = re.sub(rb"(WARC-Target-URI: *\S+)", rb"\1/copy%d" % copy, head)
                body = re.sub(rb"(\w+[.?!]\"?\r?\n)", rb"%d \1" % (copy // len(records)), body)
                length = b"Content-Length: %d" % len(body.removesuffix(b"\r\n\r\n"))
                head = re.sub(rb"Content-Length: *\d+", length, head)
                file.write(gzip.compress(b"WARC/1.0\r\n" + head + b"\r\n\r\n" + body, 1, mtime=0))
        yield path


class Peak(NamedTuple):
    """Bytes."""

    command: int  # resident set of the first process
    worker: int  # of any other
    share: int  # of any other
    core: int
    seconds: float


def peak(command, workers, folder) -> Peak:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=folder)
    resident, shares, sums = {}, {}, [0]
    done = threading.Event()

    def watch():
        while not done.wait(0.1):
            now = [(0, 0)]
            for pid in family(process.pid):
                resident[pid] = max(resident.get(pid, 0), memory(pid, "status")["VmHWM"])
                known = memory(pid)
                shares[pid] = max(shares.get(pid, 0), known["Pss"])
                now.append((known["Pss_Anon"], known["Rss"] - known["Anonymous"]))
            own, files = zip(*now)
            sums[0] = max(sums[0], sum(own) + max(files))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        sys.exit(f"the build ended with exit code {code}")
    first, _ = resident.pop(process.pid), shares.pop(process.pid)
    others = [max(found.values(), default=0) for found in (resident, shares)]
    return Peak(first, *others, sums[0] // workers, time.monotonic() - start)


def family(pid: int) -> list[int]:
    """The process and all below it."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def memory(pid: int, file: str = "smaps_rollup") -> Counter:
    """What the kernel tells of a process' memory, in bytes by names; nothing of one that has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return Counter()
    return Counter({name: 1024 * int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)})


if __name__ == "__main__":
    main()
