"""One file to read, local or remote: where it lies, what tells it from an earlier one of its name, its bytes."""

import hashlib
import io
import os
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

from c4build.errors import UsageError, printable
from c4build.read.attempts import InputError, reason
from c4build.read.hosts import Transport
from c4build.read.remote_state import remote_states
from c4build.read.stores import SCHEMES, UNKNOWN, State
from c4build.read.transport import Fetched, RemoteFile, open_remote

CRAWL_HOST = "https://data.commoncrawl.org/"
ARCHIVES = {"https": CRAWL_HOST, "s3": "s3://commoncrawl/"}  # Common Crawl's own, by what `--from` calls them
_TYPICAL_BYTES = 100 << 20  # of a WET file of Common Crawl, where the size is not known


class Input(NamedTuple):
    """One file to read. `size` in bytes is -1 where only reading can tell."""

    path: str
    size: int
    identity: str  # what a page file made of it is named by
    version: str = ""  # what `size` is the size of: an ETag or a time; empty where it is not known

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def likely_size(self) -> int:
        return self.size if self.size >= 0 else _TYPICAL_BYTES


def one_name(path: str) -> str:
    """The address itself; of a file of Common Crawl, which has several, that by HTTPS."""
    for archive in ARCHIVES.values():
        if path.startswith(archive):
            return CRAWL_HOST + path.removeprefix(archive)
    return path


def identify(path: str) -> Input:
    """The file with its size and what tells it from an earlier one of its name: see `identify_all`."""
    (source,) = identify_all([path])
    return source


def identify_all(paths: Iterable[str], settings: Transport | None = None) -> list[Input]:
    """The files with their sizes and what tells each from an earlier one of its name, in their order.

    For a local file that is its size and time; for a remote one the size and the ETag (else Last-Modified, or
    Google's generation), for which its server is asked. Where the server does not say it is the path alone. It is so
    too for what lies on Common Crawl's own servers, by whichever address, without a request: the archive is never changed,
    and a crawl has 60,000 to 90,000 WET files.

    Args:
      paths: local and remote files.
      settings: how servers are asked.

    Raises:
      UsageError: a local file is not there.
    """
    paths = list(paths)
    remote = [path for path in paths if "://" in path and not path.startswith(tuple(ARCHIVES.values()))]
    states = remote_states(remote, settings)
    found = []
    for path in paths:
        state = states.get(path, UNKNOWN) if "://" in path else _local_state(path)
        detail = f"{state.size} {state.version}" if state != UNKNOWN else ""
        digest = hashlib.sha256(f"{one_name(path)}\n{detail}".encode()).hexdigest()[:16]
        found.append(Input(path, state.size, digest, state.version))
    return found


def _local_state(path: str) -> State:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{printable(path)}: {getattr(error, 'strerror', None) or error}") from error
    return State(status.st_size, str(status.st_mtime_ns))


class OpenedInput(io.RawIOBase):
    """An input's bytes, decompressed by nobody, counted as they are read; a failure is an `InputError` with its place.

    It fails too where the bytes are not those of the file that was identified, or not as many as the server promised.
    """

    def __init__(self, source: Input, settings: Transport | None = None):
        self._source = source
        self.name = source.path
        self.read_bytes = 0
        self._file = open_file(source, settings)
        if "://" not in source.path:
            self._check_unchanged("has changed since the run began")

    @property
    def fetched(self) -> Fetched:
        """What it took so far, where the input is remote."""
        return getattr(self._file, "fetched", Fetched())

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"cannot be read on: {reason(error)}", self.read_bytes) from error
        self.read_bytes += len(data)
        if not data and size and "://" not in self._source.path:
            self._check_unchanged("changed while it was read")
        return data

    def close(self):
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()

    def _check_unchanged(self, how: str):
        if not self._source.version:
            return
        status = os.fstat(self._file.fileno())
        if (status.st_size, str(status.st_mtime_ns)) == (self._source.size, self._source.version):
            return
        grown = status.st_size != self._source.size
        what = f"it had {self._source.size:,} bytes and has {status.st_size:,}" if grown else "its time is another"
        self._file.close()
        raise InputError(f"it {how}: {what}", self.read_bytes)


def open_input(source: Input, settings: Transport | None = None) -> OpenedInput:
    """Opens an input for reading to its end.

    Args:
      source: the input.
      settings: how to fetch it where it is remote.

    Raises:
      InputError: it cannot be opened, or it has changed; `FetchError`: its server does not give it.
    """
    return OpenedInput(source, settings)


def open_file(source: Input, settings: Transport | None = None) -> BinaryIO | RemoteFile:
    """The input's bytes as a file that can be sought in; see `open_input`."""
    if source.path.partition("://")[0] in SCHEMES and "://" in source.path:
        return open_remote(source.path, source.version, source.size, settings)
    try:
        if "://" not in source.path:
            return open(source.path, "rb")
        import smart_open

        return smart_open.open(source.path, "rb", compression="disable")
    except Exception as error:
        raise InputError(f"cannot be opened: {reason(error)}", 0) from error
