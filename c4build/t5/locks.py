"""What several processes or machines with one folder must not do at once: POSIX locks, which end with their process."""

import contextlib
import fcntl
from pathlib import Path


@contextlib.contextmanager
def locked(path, waits=None):
    """Holds the lock of a file; while another process has it, calls `waits` once and waits."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waits:
                waits()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
