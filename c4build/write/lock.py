"""The lock of an output folder: one process at a time writes below it."""

import errno
import functools
import json
import os
import time
from collections.abc import Callable

from c4build.errors import InUseError, OutputError
from c4build.write import lease, objects
from c4build.write.files import is_local, join, make_folder, output_errors, sweep
from c4build.write.storage import storage_of

_LOCK = "lock"
_PATIENCE = 2.0  # seconds, for who has just taken a lock to say so

claimed_folders: set[str] = set()  # remote folders that this process writes to
_held: dict[str, tuple[Callable[[], object], int]] = {}  # by folder: what gives the lock back, how often it was taken


def lock(work: str, out: str):
    """Takes the lock of an output folder for this process, until as many calls of `unlock` or its end.

    Args:
      work: the folder that the lock lies in; one on what Beam alone has a file system for has none.
      out: what the error names.

    Raises:
      InUseError: with who has it.
    """
    if work in _held:
        held, times = _held[work]
        _held[work] = held, times + 1
        return
    if is_local(work):
        release = _lock_file(work, out)
    else:
        taken = lease.take(join(work, _LOCK), out) if storage_of(work) is objects else None
        release = functools.partial(_give_back, taken, work, out) if taken else None
    if release is not None:
        _held[work] = release, 1


def unlock(work: str):
    """Gives the lock of `work` back where this process has it."""
    if work in _held:
        release, times = _held.pop(work)
        if times > 1:
            _held[work] = release, times - 1
        else:
            release()


def _give_back(taken: lease.Lease, work: str, out: str):
    """Ends the lock of a remote folder, and what uploads a run that was stopped left unfinished in it."""
    ours = {folder for folder in claimed_folders if folder.startswith(f"{out}/")}
    claimed_folders.difference_update(ours)
    try:
        for folder in {*ours, work} if ours else ():
            sweep(folder)
    except OutputError:
        pass  # the next run does it
    taken.release()


def _lock_file(work: str, out: str) -> Callable[[], object] | None:
    """Locks a file in a local folder; the end of the process, however it comes, ends the lock as `os.close` does."""
    make_folder(work)
    path = join(work, _LOCK)
    with output_errors(path):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                return None  # who cannot write disturbs nobody; what must be written says so
            raise
    if not _take(handle):
        holder = _holder(handle)
        os.close(handle)
        raise InUseError(f"{out} is being written to by {holder}: wait for it, stop it, or give another --out")
    with output_errors(path):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({**lease.this_process(), **lease.identity()}).encode() + b"\n", 0)
    return functools.partial(os.close, handle)


def _take(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # not POSIX: no lock
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _holder(handle: int) -> str:
    """Who has a lock, in words. Who has just taken it says so a moment later: until then the file tells of a run before."""
    over = time.monotonic() + _PATIENCE
    while True:
        who, known = None, False
        try:
            who = json.loads(os.pread(handle, 1 << 12, 0))
            known = not lease.has_ended(who)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        if known or time.monotonic() > over:
            return lease.told(who)
        time.sleep(0.02)
