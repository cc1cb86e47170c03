"""What bytes come from: HTTP servers, S3 and Google Cloud Storage, each asked in its own way, once; see `transport`.

The libraries' own retrying is switched off: all three fail and are tried again in one place. What HTTP (`http`), S3 (`s3`) and
Google (`gcs`) need is imported when the first of their addresses is opened; objects can be written to the latter two, too.
"""

import os
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from c4build import __version__

SCHEMES = ("http", "https", "s3", "gs")
USER_AGENT = f"c4build/{__version__}"
POOL = 10  # connections kept for one server


class State(NamedTuple):
    """What tells a file from another of its name."""

    size: int  # bytes; -1 where it is not known
    version: str  # "ETAG ...", "MODIFIED ...", "GENERATION ..." or a time in nanoseconds; empty where it is not known


UNKNOWN = State(-1, "")


class Answer(NamedTuple):
    """A server's answer, whatever its status. `read` gives some of the body's next bytes, none at its end."""

    status: int
    headers: MutableMapping[str, str]  # by names in any case
    read: Callable[[int], bytes]
    close: Callable[[], None]
    why: str = ""  # the server's own word for what is wrong
    said: Any = None  # what else a method of the store gives where the status is good


class Listing(NamedTuple):
    """Some of the objects below a prefix, by their names."""

    files: dict[str, int]  # path: bytes
    folders: list[str]  # paths, each with a / at its end
    next: str  # to be given for the following ones; empty where these are the last


def bucket_and_key(path: str) -> tuple[str, str]:
    """gs://bucket/a/b -> bucket, a/b."""
    bucket, _, key = path.partition("://")[2].partition("/")
    return bucket, key


def state_in(headers: Mapping[str, str]) -> State:
    """The state of a whole file that was sent with these headers."""
    size = headers.get("Content-Length", "")
    etag, modified, generation = (headers.get(name, "") for name in ("ETag", "Last-Modified", "x-goog-generation"))
    version = f"MODIFIED {modified}" if modified else f"GENERATION {generation}" if generation else ""
    if etag:
        version = f"ETAG {etag.removeprefix('W/')}"
    return State(int(size) if size.isascii() and size.isdigit() and len(size) < 19 else -1, version[:500])


def _kind_of(scheme: str) -> type:
    if scheme == "s3":
        from c4build.read.s3 import S3

        return S3
    if scheme == "gs":
        from c4build.read.gcs import Google

        return Google
    from c4build.read.http import Http

    return Http


_stores: dict[tuple, Any] = {}  # of this process; connections are kept in them
_lock = threading.Lock()


def store_of(path: str, timeouts: tuple[float, float]):
    """What an address is asked from, one for the whole process.

    Args:
      path: an address of one of `SCHEMES`.
      timeouts: seconds to connect, and from one byte to the next.

    Raises:
      ImportError: a package is missing.
    """
    kind = _kind_of(path.partition("://")[0])
    with _lock:
        if (kind, timeouts) not in _stores:
            _stores[kind, timeouts] = kind(timeouts)
        return _stores[kind, timeouts]


def close_idle():
    """Closes what this process keeps open of connections to HTTP servers, which the bound on them counts no more."""
    with _lock:
        stores = list(_stores.values())
    for store in stores:
        if hasattr(store, "close_idle"):
            store.close_idle()


def forget_stores():
    """Closes nothing, keeps nothing: a process that was forked off makes connections of its own."""
    global _lock
    _lock = threading.Lock()
    _stores.clear()


os.register_at_fork(after_in_child=forget_stores)
