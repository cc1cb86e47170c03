"""How long a build takes from the shell to its first page, and to its end; and the CPU time of all its processes.

    python benchmarks/start.py [--workers 1,2] [--repeat 5] [--python PYTHON]

One file of one page for each worker. The first page is that moment at which the kernel tells (inotify: on Linux only) that Clean
opens its file, the last time that anybody does. The CPU time up to there, of all processes, is what it takes on a machine with
nothing else to do, where there is one worker; `--repeat` more on a busy one. `--python` takes the interpreter of another environment, such as one
without the extras; c4build is that of this tree, its bytecode made before by a run that is not counted.
"""

import argparse
import ctypes
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import psutil
from memory import family
from throughput import ROOT, write_smallest

_OPENED = 0x20  # IN_OPEN


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for workers in map(int, options.workers.split(",")):
            files = [write_smallest(folder / f"{number}.warc.wet.gz") for number in range(workers)]
            command = [options.python, "-m", "c4build", "build", *map(str, files), "--workers", str(workers)]
            command += ["--out", str(folder / "out"), "--rules", "c4-3.1.0"]
            measured = [measure(command, folder / "out", files[0], environment) for _ in range(options.repeat + 1)][1:]
            first, used, end, all_used = map(statistics.median, zip(*measured))
            print(
                f"--workers {workers}: first page after {first:.2f} s, at the least {min(measured)[0]:.2f}, {used:.2f} CPU s; "
                f"end after {end:.2f} s, {all_used:.2f} CPU s"
            )


def measure(command, out, file, environment) -> tuple[float, float, float, float]:
    """Seconds and CPU seconds to the first page, and to the end."""
    shutil.rmtree(out, ignore_errors=True)
    system = ctypes.CDLL(None, use_errno=True)
    watch = system.inotify_init()
    system.inotify_add_watch(watch, os.fsencode(file), _OPENED)
    before, start = os.times(), time.monotonic()
    build = subprocess.Popen(
        command, env=environment, cwd=out.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    first = used = 0.0
    while build.poll() is None:
        if select.select([watch], [], [], 0.005)[0]:
            os.read(watch, 1 << 12)
            first, used = time.monotonic() - start, sum(map(processor_time, family(build.pid)))
    whole, after = time.monotonic() - start, os.times()
    os.close(watch)
    if build.returncode:
        sys.exit(f"the build ended with exit code {build.returncode}: {build.stderr.read().decode()}")
    all_used = after.children_user + after.children_system - before.children_user - before.children_system
    return first, used, whole, all_used


def processor_time(pid: int) -> float:
    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.NoSuchProcess:
        return 0.0


if __name__ == "__main__":
    main()
