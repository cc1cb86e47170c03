"""The lock of an output folder in an object store: an object that says who writes there, renewed as long as they do.

It is made only where none is, and replaced only where it is still what was read: the stores know both conditions. Who
was killed renews nothing: the lock is free at once for who sees that the process is gone, on the same machine, and for
others after `STALE`.
"""

import datetime
import json
import os
import socket
import sys
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from c4build.errors import InUseError, OutputError, say
from c4build.write import objects

RENEWED = 60.0  # seconds between two signs of life
# Who may not write disturbs nobody, and what must be written says so; and there are stores that know no conditions.
_NO_LOCK = (403, 501)
_PATIENCE = 5.0  # seconds, for a sign of life that is under way
STALE = datetime.timedelta(minutes=10)


def this_process() -> dict[str, Any]:
    """What tells a person, and another process, who has a lock."""
    since = _now().isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": since, "command": " ".join(sys.argv)[:200]}


def identity() -> dict[str, Any]:
    """What tells this process from all others, for `has_ended`."""
    return {"node": _node(), "started": psutil.Process().create_time()}


def told(who: Any) -> str:
    """The same in words."""
    try:
        return f"process {who['pid']} on {who['host']} since {who['since']} ({who['command']})"
    except (KeyError, TypeError):
        return "another process"


class Lease:
    """A lock that this process has. `release` gives it back."""

    def __init__(self, path: str, own: dict, version: str):
        self._path, self._own, self._version = path, own, version
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def release(self):
        if self._own["pid"] != os.getpid():
            return  # a process that was forked off has none
        self._over.set()
        self._thread.join(_PATIENCE)
        try:
            if self._version:
                objects.delete(self._path, tries=2)
        except OutputError:
            pass  # it is stale soon

    def _renew(self):
        while not self._over.wait(RENEWED):
            try:
                version = objects.put(self._path, _content(self._own), self._version)
                self._version = version or _own_version(self._path, self._own)
            except OutputError:
                continue  # another minute, another try
            if not self._version:
                say(
                    f"warning: {self._path} was taken by another process, as this one gave no sign of life: stop one of them"
                )
                return


def take(path: str, out: str) -> Lease | None:
    """Takes the lock `path`; None where there can be none. Raises InUseError, naming `out`, where another has it."""
    own = {**this_process(), **identity(), "token": uuid.uuid4().hex}
    try:
        version = objects.put(path, _content(own), "")
        if not version and not (version := _own_version(path, own)):
            who, seen = _holder(path)
            if who and not _is_gone(who):
                raise InUseError(
                    f"{out} is being written to by {told(who)}: wait for it, stop it, or give another --out; if it was "
                    f"killed, the folder is free {STALE.seconds // 60} minutes after its last sign of life"
                )
            version = objects.put(path, _content(own), seen)
    except OutputError as error:
        if getattr(error.__cause__, "status", 0) in _NO_LOCK:
            return None
        raise
    if not version:
        raise InUseError(f"{out} is being written to by another process, which has just begun: give another --out")
    return Lease(path, own, version)


def _content(own: Mapping) -> bytes:
    return json.dumps({**own, "renewed": _now().isoformat()}).encode() + b"\n"


def _holder(path: str) -> tuple[dict, str]:
    """What a lock says, and its version; nothing where it is there no more, or is none."""
    try:
        data, version = objects.read(path)
    except FileNotFoundError:
        return {}, ""
    try:
        who = json.loads(data)
    except ValueError:
        who = {}
    return (who if isinstance(who, dict) else {}), version


def _own_version(path: str, own: Mapping) -> str:
    """The version of the lock where it is this very process's: the answer that it was written may have been lost."""
    who, version = _holder(path)
    return version if who.get("token") == own["token"] else ""


def _is_gone(who: Mapping) -> bool:
    """True where the process of a lock has ended, or has given no sign of life for so long that it must have."""
    try:
        return _now() - datetime.datetime.fromisoformat(who["renewed"]) > STALE or has_ended(who)
    except (KeyError, TypeError, ValueError):
        return True  # not a lock of ours


def has_ended(who: Mapping) -> bool:
    """True where a process of this machine, told by its `pid` and `identity`, is there no more; False where nobody can tell.

    Raises KeyError, TypeError or ValueError where these are none.
    """
    if who["node"] != _node():
        return False
    try:
        process = psutil.Process(who["pid"])
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - who["started"]) > 1
    except psutil.NoSuchProcess:
        return True


def _node() -> str:
    """This machine, or container, since it was started."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()} {boot.read_text().strip() if boot.exists() else uuid.getnode()}"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
