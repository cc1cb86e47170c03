"""Peak memory of any process of a build, with files of 40,000 pages: 2 files, and 16.

    python benchmarks/memory.py WET FILE... [--pages 40000] [--files 2,16] [--workers 2]

The files are made of the pages given, over and over, each copy with a URL of its own and its lines made distinct by a
number, so that the keys of deduplication grow with the pages. Without a file it takes the bundled sample.
"""

import argparse
import gzip
import itertools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", type=pathlib.Path, help="WET files to take pages from")
    parser.add_argument("--pages", type=int, default=40_000, help="of each file")
    parser.add_argument("--files", default="2,16")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    sources = options.sources or [ROOT / "c4build" / "sample" / "sample.warc.wet.gz"]
    numbers = [int(number) for number in options.files.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = list(make_files(sources, folder, max(numbers), options.pages))
        peaks = {}
        for number in numbers:
            out = folder / "out"
            runner, worker, seconds = peak(
                ["build", *map(str, files[:number]), "--rules", "c4-3.1.0"], out, options.workers
            )
            peaks[number] = max(runner, worker)
            print(
                f"{number:3} files of {options.pages:,} pages: peak of any process {peaks[number] / 1e6:,.0f} MB "
                f"(runner {runner / 1e6:,.0f}, workers {worker / 1e6:,.0f}), {seconds:.0f} s"
            )
            shutil.rmtree(out)
        first, last = numbers[0], numbers[-1]
        print(f"from {first} files to {last}: {100 * (peaks[last] / peaks[first] - 1):+.0f} %")


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


def peak(arguments, out, workers) -> tuple[int, int, float]:
    """(bytes, bytes, seconds): the largest resident sets of the command itself and of any process that it started."""
    command = [sys.executable, "-m", "c4build.commands.main", *arguments, "--out", str(out), "--workers", str(workers)]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    largest = {}
    done = threading.Event()

    def watch():
        while not done.wait(0.1):
            for pid in family(process.pid):
                largest[pid] = max(largest.get(pid, 0), high_water(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        sys.exit(f"the build ended with exit code {code}")
    runner = largest.pop(process.pid)
    return runner, max(largest.values(), default=0), time.monotonic() - start


def family(pid: int) -> list[int]:
    """The process and all below it."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def high_water(pid: int) -> int:
    """The peak resident set of a process so far, in bytes."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found.group(1)) * 1024 if found else 0


if __name__ == "__main__":
    main()
