"""Worker processes of this machine: Beam waits for them, even for one that has died, and even after Ctrl-C."""

import signal
import threading
from typing import Optional

import psutil

from c4build.errors import WorkerError

_BEAM_THREAD = "run_worker"  # the thread that waits for a worker process, and fails when that one does
_SECONDS = 2  # in which a death shows that a broken connection told of first


class WorkerWatch:
    """A context that ends the workers, and with them Beam's wait, on Ctrl-C and with a `WorkerError` when one dies."""

    def __init__(self):
        self._lock = threading.Lock()
        self._died = threading.Event()
        self._what = ""
        self._waiting = False

    def __enter__(self) -> "WorkerWatch":
        self._hook, threading.excepthook = threading.excepthook, self._thread_failed
        self._handler = signal.signal(signal.SIGINT, self._interrupted)
        self._waiting = True
        return self

    def __exit__(self, kind: Optional[type], error: Optional[BaseException], trace):
        with self._lock:
            self._waiting = False
        signal.signal(signal.SIGINT, self._handler)
        threading.excepthook = self._hook
        if kind and (self._died.is_set() or issubclass(kind, RuntimeError) and self._died.wait(_SECONDS)):
            raise WorkerError(
                f"a worker process died ({self._what}), killed or out of memory; run the same command again and it "
                "goes on from here, with fewer --workers if it was the memory"
            ) from error

    def _interrupted(self, number: int, frame):
        with self._lock:
            self._waiting = False
        end_workers()
        raise KeyboardInterrupt

    def _thread_failed(self, failure):
        if failure.thread is None or failure.thread.name != _BEAM_THREAD:
            return  # what other threads of Beam run into follows from what the main thread is told
        with self._lock:
            if self._waiting:
                self._waiting = False
                self._what = str(failure.exc_value)
                self._died.set()
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def end_workers():
    """Ends the processes that this one started, and theirs."""
    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
