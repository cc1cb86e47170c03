"""What bytes come from: HTTP servers, S3 and Google Cloud Storage, each asked in its own way, once; see `transport`.

The libraries' own retrying is switched off: all three fail and are tried again in one place. What S3 and Google need is
imported when the first of their addresses is opened.
"""

import functools
import json
import os
import threading
from http.client import HTTPException
from typing import Any, Callable, Mapping, NamedTuple
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import TooManyRedirects
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from c4build import __version__

SCHEMES = ("http", "https", "s3", "gs")
USER_AGENT = f"c4build/{__version__}"
_POOL = 10  # connections kept for one server
_AS_STORED = {"Accept-Encoding": "identity"}


class State(NamedTuple):
    """What tells a file from another of its name."""

    size: int  # bytes; -1 where it is not known
    version: str  # "ETAG ...", "MODIFIED ...", "GENERATION ..." or a time in nanoseconds; empty where it is not known


UNKNOWN = State(-1, "")


class Answer(NamedTuple):
    """A server's answer, whatever its status. `read` gives some of the body's next bytes, none at its end."""

    status: int
    headers: Mapping[str, str]  # by names in any case
    read: Callable[[int], bytes]
    close: Callable[[], None]
    why: str = ""  # the server's own word for what is wrong


def state_in(headers: Mapping[str, str]) -> State:
    """The state of a whole file that was sent with these headers."""
    size = headers.get("Content-Length", "")
    etag, modified, generation = (headers.get(name, "") for name in ("ETag", "Last-Modified", "x-goog-generation"))
    version = f"MODIFIED {modified}" if modified else f"GENERATION {generation}" if generation else ""
    if etag:
        version = f"ETAG {etag.removeprefix('W/')}"
    return State(int(size) if size.isascii() and size.isdigit() and len(size) < 19 else -1, version[:500])


class _Http:
    """Addresses that start with http:// or https://."""

    transient: tuple = (OSError, HTTPError, HTTPException)  # those of requests are OSErrors
    permanent: tuple = (ValueError, TooManyRedirects)  # also where they are OSErrors: the address is wrong

    def __init__(self, timeouts: tuple[float, float]):
        self._timeouts = timeouts
        self._session = self._signed(requests.Session())

    @staticmethod
    def _signed(session: requests.Session) -> requests.Session:
        session.headers["User-Agent"] = USER_AGENT
        for prefix in ("http://", "https://"):
            session.mount(prefix, HTTPAdapter(pool_maxsize=_POOL))
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
        with self._signed(requests.Session()) as session:  # else the connection is kept, and used again as it is closed
            return self._send("GET", path, headers | {"Connection": "close"}, session)

    def head(self, path: str) -> Answer:
        """Asks for the headers alone."""
        return self._send("HEAD", path, _AS_STORED)

    @staticmethod
    def _from(start: int, seen: Mapping[str, str]) -> dict[str, str]:
        if not start:
            return {}
        etag = seen.get("ETag", "")
        condition = etag if etag and not etag.startswith("W/") else seen.get("Last-Modified", "")  # RFC 9110, 13.1.5
        return {"Range": f"bytes={start}-"} | ({"If-Range": condition} if condition else {})

    def _send(self, method: str, url: str, headers: Mapping[str, str], session: Any = None) -> Answer:
        said = (session or self._session).request(
            method, url, headers=headers, timeout=self._timeouts, stream=True, allow_redirects=True
        )
        # `read1` hands on what has come: nothing of it is lost where the rest does not. Nothing is unpacked.
        read = functools.partial(said.raw.read1, decode_content=False)
        return Answer(said.status_code, said.headers, read, said.close)


class _Google(_Http):
    """Addresses that start with gs://, by the JSON API of Google Cloud Storage and its library's credentials."""

    def __init__(self, timeouts: tuple[float, float]):
        from google.auth.exceptions import TransportError
        from google.cloud import storage

        client = storage.Client()
        self.transient = (*_Http.transient, TransportError)
        self._timeouts, self._endpoint = timeouts, client.api_endpoint
        self._session = self._signed(client._http)  # the library's own session, which knows who asks

    def get(self, path: str, start: int, version: str, seen: Mapping[str, str], last: bool = False) -> Answer:
        generation = version.removeprefix("GENERATION ") or seen.get("x-goog-generation", "")
        condition = f"&ifGenerationMatch={generation}" if generation else ""
        headers = {"Accept-Encoding": "gzip"}  # else what is stored with an encoding comes unpacked
        headers |= ({"Range": f"bytes={start}-"} if start else {}) | ({"Connection": "close"} if last else {})
        answer = self._send("GET", f"{self._object('/download', path)}?alt=media{condition}", headers)
        for name in ("ETag", "Last-Modified"):  # these change with what is noted beside the file, too
            answer.headers.pop(name, None)
        return answer

    def head(self, path: str) -> Answer:
        answer = self._send("GET", self._object("", path) + "?fields=size,generation", {})
        if answer.status != 200:
            return answer
        said = json.loads(b"".join(iter(lambda: answer.read(1 << 16), b"")))
        headers = {"Content-Length": str(said["size"]), "x-goog-generation": str(said["generation"])}
        return answer._replace(headers=CaseInsensitiveDict(headers))

    def _object(self, kind: str, path: str) -> str:
        bucket, _, key = path.partition("://")[2].partition("/")
        return f"{self._endpoint}{kind}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(key, safe='')}"


class _S3:
    """Addresses that start with s3://, by boto3: it finds credentials, region and endpoint."""

    permanent: tuple = _Http.permanent

    def __init__(self, timeouts: tuple[float, float]):
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

        self.transient = (*_Http.transient, HTTPClientError, IncompleteReadError)
        self._answered = ClientError
        connect, read = timeouts
        self._client = boto3.client(
            "s3",
            config=Config(
                connect_timeout=connect,
                read_timeout=read,
                max_pool_connections=_POOL,
                user_agent_extra=USER_AGENT,
                retries={"total_max_attempts": 1},
            ),
        )

    def get(self, path: str, start: int, version: str, seen: Mapping[str, str], last: bool = False) -> Answer:
        etag = version.removeprefix("ETAG ") or seen.get("ETag", "")
        options = ({"Range": f"bytes={start}-"} if start else {}) | ({"IfMatch": etag} if etag else {})
        return self._send(self._client.get_object, path, options)

    def head(self, path: str) -> Answer:
        return self._send(self._client.head_object, path, {})

    def _send(self, ask: Callable[..., Any], path: str, options: Mapping[str, str]) -> Answer:
        bucket, _, key = path.partition("://")[2].partition("/")
        try:
            said = ask(Bucket=bucket, Key=key, **options)
        except self._answered as error:
            said = error.response
        how, body = said["ResponseMetadata"], said.get("Body")
        read, close = (body.read, body.close) if body is not None else (lambda size: b"", lambda: None)
        why = said.get("Error", {}).get("Code", "")
        return Answer(how["HTTPStatusCode"], CaseInsensitiveDict(how["HTTPHeaders"]), read, close, why)


_KINDS = {"http": _Http, "https": _Http, "s3": _S3, "gs": _Google}
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
    kind = _KINDS[path.partition("://")[0]]
    with _lock:
        if (kind, timeouts) not in _stores:
            _stores[kind, timeouts] = kind(timeouts)
        return _stores[kind, timeouts]


def forget_stores():
    """Closes nothing, keeps nothing: a process that was forked off makes connections of its own."""
    global _lock
    _lock = threading.Lock()
    _stores.clear()


os.register_at_fork(after_in_child=forget_stores)
