"""Runs `c4build` as a process of its own, the quick way: forked from one that has imported everything already."""

import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import NamedTuple

import psutil

from c4build.compiled import SLOW

_CONTEXT = multiprocessing.get_context("forkserver")
_SECONDS = 120


class Finished(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        """What was said on stderr, but for how far it was, and that the rules run in Python."""
        said = ("starting", "cleaning", "reading", "measuring", "deduplicating", "writing", "publishing")
        how_far = tuple(f"c4build: {doing} " for doing in said)
        lines = (line for line in self.err.splitlines() if line.strip() and SLOW not in line)
        return [line for line in lines if not line.startswith(how_far)]


class Command:
    """A running `c4build ARGUMENTS`, the leader of a process group."""

    def __init__(self, *arguments, folder=None, environment: dict | None = None, largest_file=None):
        _start_server()
        self._said = tempfile.TemporaryDirectory()
        self._process = _CONTEXT.Process(
            target=_be_command,
            args=(list(map(str, arguments)), self._said.name, folder, environment or {}, largest_file),
        )
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.is_alive()

    def kill_group(self):
        """SIGKILL to the command and everything it started."""
        while self.running():
            try:
                os.killpg(self.pid, signal.SIGKILL)
                break
            except ProcessLookupError:  # it has not made its group yet
                time.sleep(0.01)
        self._process.join()

    def finish(self, seconds: float = _SECONDS) -> Finished:
        self._process.join(seconds)
        if self.running():
            self.kill_group()
            raise AssertionError(f"still running after {seconds} seconds; it said {self._read('err')!r}")
        return Finished(self._process.exitcode, self._read("out"), self._read("err"))

    def _read(self, name: str) -> str:
        path = Path(self._said.name, name)
        return path.read_text() if path.exists() else ""


@cache
def _start_server():
    """Starts the process that commands are forked from. It finds modules by PYTHONPATH alone before Python 3.12.4."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [before])])
    _CONTEXT.set_forkserver_preload(["command_imports"])
    forkserver.ensure_running()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def run_command(*arguments, **options) -> Finished:
    return Command(*arguments, **options).finish()


def kill_at_random_moments(arguments: list, out: Path, seconds: float, times: int):
    """Starts the command again and again until it was killed `times` times, each at a random moment of the `seconds` that
    it takes. Where it was done before, `out` is deleted, so that the next starts afresh.
    """
    choose = random.Random(1)
    for _ in range(10 * times):
        command = Command(*arguments)
        time.sleep(choose.uniform(0.1, 0.9) * seconds)
        running = command.running()
        command.kill_group()
        times -= running
        if not times:
            return
        if not running:
            shutil.rmtree(out)
    raise AssertionError("it was always done before it could be killed")


def run_installed(*arguments, folder=None) -> Finished:
    """The same by the console script, as a person starts it."""
    script = Path(sys.executable).with_name("c4build")
    done = subprocess.run([script, *map(str, arguments)], capture_output=True, text=True, cwd=folder, timeout=_SECONDS)
    return Finished(done.returncode, done.stdout, done.stderr)


def processes_of_group(group: int) -> list[int]:
    """The processes that are left of a process group."""
    left = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                left.append(process.pid)
        except ProcessLookupError:
            pass  # it has just ended
    return left


def _be_command(arguments: list[str], said: str, folder, environment: dict, largest_file: int | None):
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever runs the tests may ignore it
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(os.path.join(said, name), os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(environment)
    tempfile.tempdir = None  # as the first process that was forked from may have found it
    if folder:
        os.chdir(folder)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.argv = ["c4build", *arguments]
    from c4build.commands.main import main

    main()
