"""A worker process: Beam's own worker, which ends with the process that started it and survives a full disk.

`fork` and `start` are called by the parent, `main` is what then runs. The worker's standard input is a pipe: by one line it is
told where to connect to, and it ends when the parent ends, however that happens, on Linux as on macOS.
"""

import contextlib
import ctypes
import gc
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, NoReturn, Protocol

from c4build.flow.lean import import_beam

_SILENT = 70  # exit code of a worker that could not even say what failed
_SECONDS = 5  # in which the end of the parent shows that a broken connection told of first
_THREADS_THAT_MAY_BE = {"jemalloc_bg_thd"}  # jemalloc itself sees to its own at a fork


class Told(NamedTuple):
    """What a worker is told."""

    worker_id: str
    socket: str  # that it connects to, such as unix:/tmp/a/b
    folder: str  # that it deletes should the parent be killed
    log: str  # a file for what it has to say


class Process(Protocol):
    """A worker process, as its parent sees it."""

    @property
    def stdin(self) -> BinaryIO: ...

    def kill(self): ...

    def wait(self) -> int:
        """Its exit code, or the number of the signal that killed it, below zero, once it has ended."""


def tell(process: Process, told: Told):
    """Sets a worker to work."""
    try:
        process.stdin.write(json.dumps(told).encode() + b"\n")
    except BrokenPipeError:
        pass  # it has died, which is seen by `wait`


def start(log: str) -> Process:
    """A worker in a new interpreter; what keeps it from coming up goes to `log`."""
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path),
        PYTHONSAFEPATH="1",  # no module is taken from the folder that the command is run in
    )
    command = [sys.executable, "-m", __name__]
    file = _open_log(log)
    try:
        with _without_interrupts():
            return subprocess.Popen(command, 0, env=environment, stdin=subprocess.PIPE, stdout=file, stderr=file)  # type: ignore[return-value]
    finally:
        os.close(file)


def _open_log(log: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        return os.open(log, flags, 0o666)
    except OSError:  # there may be no room for it
        return os.open(os.devnull, flags)


def can_fork() -> bool:
    """Whether a copy of this process is sound: on Linux, where no thread holds something at that moment."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    own = str(threading.get_native_id())
    try:
        names = [_name(thread) for thread in os.listdir("/proc/self/task") if thread != own]
    except OSError:
        return False
    return set(names) <= _THREADS_THAT_MAY_BE


def _name(thread: str) -> str:
    with open(f"/proc/self/task/{thread}/comm") as file:
        return file.read().strip()


@contextmanager
def forked(number: int) -> Iterator[list["Forked"]]:
    """So many workers that are copies of this process and share what it has loaded; those that are left in the list when the
    block ends were not needed."""
    from apache_beam.runners.worker import sdk_worker_main  # noqa: F401  # what they need, once

    gc.freeze()  # a collection would write to all that is shared
    workers: list[Forked] = []
    try:
        while len(workers) < number:
            workers.append(Forked())
        yield workers
    finally:
        for worker in workers:
            worker.stdin.close()
            worker.kill()
            worker.wait()


class Forked:
    """A worker forked from this process."""

    def __init__(self):
        receiving, sending = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with _without_interrupts():
            self._pid = os.fork()
            if not self._pid:
                _be_worker(receiving)
        os.close(receiving)
        self.stdin: BinaryIO = open(sending, "wb", 0)  # type: ignore[assignment]
        self._code: int | None = None
        self._lock = threading.Lock()

    def kill(self):
        with self._lock:
            if self._code is None:  # so its number is not another's
                os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> int:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            if self._code is None:
                self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            return self._code


def _be_worker(receiving: int) -> NoReturn:
    """The copy: it has nothing of its parent's but what is in memory, and comes to its end here."""
    code = _SILENT
    try:
        os.dup2(receiving, 0)
        for file in map(int, os.listdir("/proc/self/fd")):
            if file > 2:  # the lock of OUT, and the other workers' pipes
                with contextlib.suppress(OSError):
                    os.close(file)
        logging.getLogger().handlers.clear()
        threading.excepthook = threading.__excepthook__
        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        code = 1
    finally:
        os._exit(code)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C is for the process that started the workers. It stays blocked in what is started here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main():
    """Runs the worker to the end of its parent, which kills it when it has no more work."""
    line = b""
    while not line.endswith(b"\n"):
        if not (more := os.read(0, 1 << 12)):
            return
        line += more
    told = Told(*json.loads(line))
    end = threading.Thread(target=_end_with_parent, args=(told.folder,), daemon=True)
    end.start()
    _write_to(_open_log(told.log))
    os.environ.update(
        WORKER_ID=told.worker_id, CONTROL_API_SERVICE_DESCRIPTOR=f'url: "{told.socket}"', PIPELINE_OPTIONS="{}"
    )
    import_beam()
    from apache_beam.runners.worker import sdk_worker, sdk_worker_main

    execute = sdk_worker.SdkHarness._execute
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", lambda kept: None)  # glibc has it, which keeps what is freed

    def execute_or_end(*arguments):
        # Beam answers with the error of a step. Where that fails too, for want of memory, its runner would wait forever.
        try:
            execute(*arguments)
        except BaseException:
            os._exit(_SILENT)
        give_back(0)

    sdk_worker.SdkHarness._execute = execute_or_end  # type: ignore[method-assign]
    try:
        sdk_worker_main.main(sys.argv)
    finally:  # where its connection ended first, its parent may have: the folder is still to be deleted
        end.join(_SECONDS)


def _write_to(file: int):
    """What the worker says goes to a file, as far as there is room for it."""
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.stdout = sys.stderr = io.TextIOWrapper(_Unfailing(), errors="backslashreplace", write_through=True)


def _end_with_parent(folder: str):
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


class _Unfailing(io.RawIOBase):
    """Standard error, but for a full disk: Beam prints an error before it tells its runner of it."""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        try:
            os.write(2, data)
        except OSError:
            pass
        return len(data)


if __name__ == "__main__":
    main()
