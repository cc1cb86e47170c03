"""What bytes come from: HTTP servers, S3 and Google Cloud Storage, each asked in its own way, once; see `transport`.

The libraries' own retrying is switched off: all three fail and are tried again in one place. What S3 (`s3`) and Google
(`gcs`) need is imported when the first of their addresses is opened; objects can be written there, too.
"""

import functools
import os
import threading
from collections.abc import Callable, Mapping, MutableMapping
from http.client import HTTPException
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import TooManyRedirects
from urllib3.exceptions import HTTPError

from c4build import __version__

SCHEMES = ("http", "https", "s3", "gs")
USER_AGENT = f"c4build/{__version__}"
POOL = 10  # connections kept for one server
_AS_STORED = {"Accept-Encoding": "identity"}


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


class Http:
    """Addresses that start with http:// or https://."""

    transient: tuple = (OSError, HTTPError, HTTPException)  # those of requests are OSErrors
    permanent: tuple = (ValueError, TooManyRedirects)  # also where they are OSErrors: the address is wrong

    def __init__(self, timeouts: tuple[float, float]):
        self._timeouts = timeouts
        self._session = self.signed(requests.Session())

    @staticmethod
    def signed(session: requests.Session) -> requests.Session:
        session.headers["User-Agent"] = USER_AGENT
        for prefix in ("http://", "https://"):
            session.mount(prefix, HTTPAdapter(pool_maxsize=POOL))
        return session

    def get(self, path: str, start: int, version: str, seen: Mapping[str, str], last: bool = False) -> Answer:
        """Asks for the bytes from `start` on, of the file that was seen with these headers where it is still the same.

        Args:
          path: the address.
          start: the first byte.
          version: that of the file which is wanted, or empty.
          seen: headers that came with earlier bytes of it; empty if none did.
          last: the connection is to be closed behind the body.
        """
        headers = _AS_STORED | self._from(start, seen)
        if not last:
            return self._send("GET", path, headers)
        with self.signed(requests.Session()) as session:  # else the connection is kept, and used again as it is closed
            return self._send("GET", path, headers | {"Connection": "close"}, session)

    def head(self, path: str) -> Answer:
        """Asks for the headers alone."""
        return self._send("HEAD", path, _AS_STORED)

    def close_idle(self):
        """Closes the connections that are kept for another request; others can be made."""
        self._session.close()

    @staticmethod
    def _from(start: int, seen: Mapping[str, str]) -> dict[str, str]:
        if not start:
            return {}
        etag = seen.get("ETag", "")
        condition = etag if etag and not etag.startswith("W/") else seen.get("Last-Modified", "")  # RFC 9110, 13.1.5
        return {"Range": f"bytes={start}-"} | ({"If-Range": condition} if condition else {})

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], session: Any = None, data: bytes = b""
    ) -> Answer:
        said = (session or self._session).request(
            method, url, data=data, headers=headers, timeout=self._timeouts, stream=True, allow_redirects=True
        )
        # `read1` hands on what has come: nothing of it is lost where the rest does not. Nothing is unpacked.
        read = functools.partial(said.raw.read1, decode_content=False)
        return Answer(said.status_code, said.headers, read, said.close)


def _kind_of(scheme: str) -> type:
    if scheme == "s3":
        from c4build.read.s3 import S3

        return S3
    if scheme == "gs":
        from c4build.read.gcs import Google

        return Google
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
        if isinstance(store, Http):
            store.close_idle()


def forget_stores():
    """Closes nothing, keeps nothing: a process that was forked off makes connections of its own."""
    global _lock
    _lock = threading.Lock()
    _stores.clear()


os.register_at_fork(after_in_child=forget_stores)
