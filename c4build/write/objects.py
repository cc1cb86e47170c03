"""Files in S3 and Google Cloud Storage, by the stores' own interfaces: an object is there whole, or as it was before.

A small file is written by one request, a large one in parts that become an object at the end: neither needs a temporary
name. Every request is tried again as those for inputs are, see `read.attempts`; the bound on connections to the servers
of inputs does not count here, else who reads an input could wait forever for leave to write what came of it.
"""

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from c4build.errors import C4BuildError, OutputError, UsageError
from c4build.read import attempts
from c4build.read.attempts import Attempts, FetchError, InputError
from c4build.read.hosts import Transport
from c4build.read.listing import list_objects
from c4build.read.seeking import SoughtFile
from c4build.read.stores import Answer, bucket_and_key, state_in

PART = 8 << 20  # bytes of a file in a request
_MOST_PARTS = 10_000  # S3 takes no more
_READ = 1 << 17
_EXTRAS = {"s3": "s3", "gs": "gcp"}
_GOOD = (200, 201, 204, 308)


def make_folder(path: str):
    """Nothing is to be done: folders are parts of names."""


def exists(path: str) -> bool:
    return _request(path, "looked for", lambda store: store.head(path), (200, 404)).status == 200


def open(path: str, size: int = -1) -> BinaryIO:
    """Raises FileNotFoundError, or OutputError with what is wrong; where the size is given, only as it is read."""
    return io.BufferedReader(_Opened(path, size), _READ)


def read(path: str) -> tuple[bytes, str]:
    """A small object's content and its version. Raises as `open` does."""
    with _Opened(path) as file:
        return file.read(), file.state.version


def list_folder(folder: str) -> tuple[dict[str, int], list[str]]:
    """The files of a folder by path, with their sizes in bytes; and the paths of the folders in it."""
    try:
        return list_objects(folder.rstrip("/") + "/", deep=False, settings=_settings())
    except FetchError as error:
        raise _clear(error, folder) from error


def delete(path: str, tries: int = 0):
    """Deletes the object where it exists. Raises OutputError where that fails, after `tries` if another number is given."""
    _request(path, "deleted", lambda store: store.delete(path), (*_GOOD, 404), tries)


def put(path: str, data: bytes, replaces: str | None = None, tries: int = 0) -> str | None:
    """Writes an object by one request.

    Args:
      path: of the object.
      data: its content.
      replaces: the version that may be there, empty for none; without, any.
      tries: how often it is tried, if another number of times than usual.

    Returns:
      The version that is there now; None where another one is there than `replaces` says.
    """
    good = (*_GOOD, 409, 412) if replaces is not None else _GOOD
    answer = _request(path, "written", lambda store: store.put(path, data, replaces), good, tries)
    return None if answer.status in (409, 412) else state_in(answer.headers).version


@contextmanager
def new(path: str, lasting: bool) -> Iterator[io.RawIOBase]:
    """A file for writing, which is there when the block ends well, and of which nothing is there when it does not."""
    upload = _Upload(path)
    try:
        yield upload
        upload.finish()
    finally:
        upload.close()


def sweep(folder: str):
    """Gives up uploads below a folder that a process left unfinished as it was killed."""
    ended: set[tuple[str, str]] = set()
    while folder.startswith("s3://"):  # Google forgets them by itself, and has no list of them
        found = set(_request(folder, "listed", lambda store: store.uploads(folder.rstrip("/") + "/")).said) - ended
        if not found:
            return
        for path, upload in sorted(found):
            _request(path, "given up", lambda store: store.abort(path, upload), (*_GOOD, 404))
        ended |= found


class _Upload(io.RawIOBase):
    """An object that comes to be by `finish`, and not at all where it is closed before."""

    def __init__(self, path: str):
        self._path, self._waiting = path, bytearray()
        self._upload: str | None = None
        self._receipts: list = []
        self._sent = 0  # bytes

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        if self.closed:
            raise ValueError("the file is closed")
        self._waiting += data
        while len(self._waiting) > PART:
            self._send(PART)
        return len(data)

    def finish(self):
        if self._upload is None:
            put(self._path, bytes(self._waiting))
        else:
            self._send(len(self._waiting), last=True)
            tries = iter((False,))
            path, upload = self._path, self._upload
            _request(
                path, "written", lambda store: store.finish(path, upload, self._receipts, next(tries, True)), (200,)
            )
        self._upload = None
        self._waiting.clear()

    def close(self):
        """Gives up what was not finished."""
        if not self.closed and self._upload is not None:
            path, upload, self._upload = self._path, self._upload, None
            try:
                _request(path, "given up", lambda store: store.abort(path, upload), (*_GOOD, 404, 499), tries=2)
            except C4BuildError:
                pass  # what failed before is what is told of; `sweep` tries it again
        self._waiting.clear()
        super().close()

    def _send(self, size: int, last: bool = False):
        if self._upload is None:
            self._upload = _request(self._path, "written", lambda store: store.begin(self._path)).said
        number, start, tries = len(self._receipts), self._sent, iter((False,))
        if number == _MOST_PARTS:
            raise OutputError(f"{self._path}: it is larger than {_MOST_PARTS * PART:,} bytes; make more shards")
        with memoryview(self._waiting) as waiting:
            data = bytes(waiting[:size])
        answer = _request(
            self._path,
            "written",
            lambda store: store.part(self._path, self._upload, number, start, data, last, next(tries, True)),
        )
        self._receipts.append(answer.said)
        self._sent += size
        del self._waiting[:size]


class _Opened(SoughtFile):
    """An object that is read; errors are those of files."""

    def __init__(self, path: str, size: int = -1):
        self._path = path
        with self._errors():
            super().__init__(path, _settings(), size)

    def readinto(self, buffer) -> int:
        with self._errors():
            return super().readinto(buffer)

    @contextmanager
    def _errors(self):
        try:
            yield
        except InputError as error:
            if getattr(error, "status", 0) == 404:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._path) from error
            raise _clear(error, self._path) from error


def _settings() -> Transport:
    return attempts.DEFAULT._replace(most_connections=0)


def _request(
    path: str, doing: str, send: Callable[..., Answer], good: tuple[int, ...] = _GOOD, tries: int = 0
) -> Answer:
    """The store's answer to a request about `path`, which is sent until there is one. Raises OutputError, UsageError."""

    def act() -> Answer:
        answer = requests.answer_to(lambda: send(requests.store))
        if answer.status not in good:
            raise requests.refused(answer)
        return answer

    try:
        settings = _settings()
        requests = Attempts(path, settings._replace(tries=tries or settings.tries), doing)
        return requests.run(act)
    except FetchError as error:
        raise _clear(error, path) from error


def _clear(error: InputError, path: str) -> C4BuildError:
    """What to tell a person."""
    scheme, (bucket, _) = path.partition("://")[0], bucket_and_key(path)
    status, cause = getattr(error, "status", 0), error.__cause__
    if isinstance(cause, ImportError):
        return UsageError(
            f"{path}: addresses that start with {scheme}:// need pip install 'c4build[{_EXTRAS[scheme]}]'"
        )
    text = f"{path} {error}"
    if status == 404:
        return OutputError(f"{text}: make the bucket {bucket}, or name another")
    if status in (401, 403) or "redential" in type(cause).__name__:
        return OutputError(
            f"{text}; give this machine credentials that may read, write and list in {scheme}://{bucket}"
        )
    return OutputError(text)
