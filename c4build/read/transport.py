"""Remote inputs as files: each byte is fetched once, from where the last answer broke off.

A body that breaks off goes on where it was, by Range. Where the file has changed by then, what was handed on cannot be
taken back, and reading fails; a server that knows no ranges sends all again, and what was read is compared and skipped.
How it is tried again: see `attempts`. How many ask at once, and what slows all of them down: see `hosts`.
"""

import io
import re
import sys
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

import google_crc32c

from c4build.errors import printable
from c4build.read.attempts import Again, Attempts, InputError
from c4build.read.hosts import Transport
from c4build.read.stores import UNKNOWN, Answer, State, state_in

_BLOCK = 1 << 17  # bytes asked of a body at a time
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_CHANGED = "it has changed since the run began"


class Fetched(NamedTuple):
    """What it took to read a file."""

    tries: int = 0  # requests
    refusals: int = 0  # answers of 403, 429 and 503
    bytes: int = 0  # of bodies, also such as came twice


class SeekableFile(io.RawIOBase):
    """A file that is read from `_place` on."""

    _place = 0

    @property
    def state(self) -> State:
        """What is known of the file by now; a subclass says it."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place; nothing is asked for before the next read."""
        size = self.state.size
        if whence == io.SEEK_END and size < 0:
            raise io.UnsupportedOperation("the size of this remote file is not known")
        self._place = max(offset + (0, self._place, size)[whence], 0)
        return self._place


class RemoteFile(SeekableFile):
    """A remote file's bytes as they are stored, and its state where it was not known before.

    Args:
      path: an address of one of `stores.SCHEMES`.
      wanted: the state in which it was identified.
      settings: how to fetch it, else `DEFAULT`.
      start: the byte to begin with.

    Raises:
      InputError: it has changed.
      FetchError: the server does not give it.
    """

    def __init__(self, path: str, wanted: State = UNKNOWN, settings: Transport | None = None, start: int = 0):
        self._attempts = Attempts(path, settings)
        self._path, self._wanted = path, wanted
        self._known = wanted  # by what the answers said
        self._seen: Mapping[str, str] = {}  # headers of the first
        self._place, self._received = start, 0
        self._checksum: int | None = None if start else 0  # of the bytes before `_place`, where they were read
        self._answer: Answer | None = None
        self._slot: BinaryIO | None = None
        self._attempts.run(self._open)

    @property
    def fetched(self) -> Fetched:
        return Fetched(self._attempts.requests, self._attempts.refusals, self._received)

    @property
    def state(self) -> State:
        """What is known of the file by now."""
        return self._known

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        before, place = self._place, super().seek(offset, whence)
        if place != before:
            self._drop()
            self._checksum = None if place else 0
        return place

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer at the end only. Where it fails nothing is handed on: errors name the start."""
        start, parts = self._place, []
        end = start + size if size >= 0 else sys.maxsize
        try:
            while self._place < end and (
                block := self._attempts.run(lambda: self._block(min(end - self._place, _BLOCK)))
            ):
                parts.append(block)
        except InputError as error:
            error.offset = start
            raise
        return b"".join(parts)

    def close(self):
        if not self.closed and hasattr(self, "_answer"):
            self._drop()
        super().close()

    def _drop(self):
        if self._answer is not None:
            self._answer.close()
            self._attempts.host.leave(self._slot)
            self._answer = self._slot = None

    def _block(self, size: int) -> bytes:
        """Some of the next bytes, none at the end; one try."""
        try:
            if self._place >= self._known.size >= 0:
                return self._end()
            data = (self._answer or self._open()).read(size)
            if not data and self._place < self._known.size:
                raise Again(f"it was cut short: {self._place:,} of {self._known.size:,} bytes came")
        except BaseException:
            self._drop()
            raise
        if not data:
            self._known = self._known._replace(size=self._place)
            return self._end()
        self._received += len(data)
        self._place += len(data)
        if self._checksum is not None:
            self._checksum = google_crc32c.extend(self._checksum, data)
        self._attempts.progressed()
        return data

    def _end(self) -> bytes:
        more = b""
        if self._answer is not None and "Content-Length" not in self._answer.headers:
            try:
                more = self._answer.read(1)
            except self._attempts.store.transient:
                pass  # all there should be has come
        self._drop()
        if more:
            raise InputError(f"it does not end where it should: more than {self._place:,} bytes came", 0)
        return b""

    def _open(self) -> Answer:
        """Asks for the bytes from here on; one try."""
        if not self._place:
            self._known, self._seen = self._wanted, {}  # nothing was read so far: it may be another file by now
        last = bool(self._attempts.settings.slots_folder)  # what is kept open would be one more than the slots allow
        get = self._attempts.store.get
        self._answer, self._slot = self._attempts.ask(
            lambda: get(self._path, self._place, self._wanted.version, self._seen, last)
        )
        try:
            self._check(self._answer)
        except BaseException:
            self._drop()
            raise
        return self._answer

    def _check(self, answer: Answer):
        """Raises where the answer is not the wanted file, from `_place` on; skips what was read before."""
        said = answer.headers.get("Content-Range", "")
        if answer.status == 412:
            raise InputError(_CHANGED, 0)
        if answer.status == 416 and said == f"bytes */{self._place}" and self._wanted.size < 0:
            self._known = self._known._replace(size=self._place)  # it was longer by a Content-Length that was not true
            self._answer = answer._replace(read=lambda size: b"")
            return
        if answer.status not in (200, 206):
            raise self._attempts.refused(answer)
        state = state_in(answer.headers)
        if answer.status == 206:
            found = _RANGE.fullmatch(said)
            if not found or int(found[1]) != self._place:
                raise Again(f"other bytes came than were asked for (Content-Range: {printable(said)})")
            state = state._replace(size=-1 if found[2] == "*" else int(found[2]))
        self._compare(state, answer)
        known, named = self._known, _same_kind(state, self._known)
        self._known = State(state.size if known.size < 0 else known.size, known.version or state.version)
        self._seen = self._seen or answer.headers
        if answer.status == 200 and self._place:
            self._skip(answer, named)

    def _compare(self, state: State, answer: Answer):
        known, named = self._known, _same_kind(state, self._known)
        sized = min(known.size, state.size) >= 0
        changed = ""
        if sized and known.size != state.size:
            changed = f"it had {known.size:,} bytes and has {state.size:,}"
        elif named and known.version != state.version:
            changed = f"its {state.version.partition(' ')[0].capitalize()} is another"
        same = (sized or named) and not changed
        is_page = answer.status == 200 and answer.headers.get("Content-Type", "").lower().startswith("text/html")
        if is_page and not same and not self._path.lower().endswith((".html", ".htm")):
            raise Again("a page of HTML came in place of the file")
        if not changed:
            return
        if named and known.version == state.version:  # so that one of the lengths is a lie
            if self._wanted.size >= 0 or answer.status == 200:
                raise Again(f"{_CHANGED}: {changed}", error=InputError)
            self._known = known._replace(size=state.size)
            return
        raise InputError(f"{_CHANGED}: {changed}", 0)

    def _skip(self, answer: Answer, named: bool):
        """Reads what was read before once more, for a server that knows no ranges."""
        if self._checksum is None and not named:
            why = "the server sends the whole file only, and does not say whether it is still the same"
            raise self._attempts.failure(OSError(why))
        checksum, left = 0, self._place
        while left:
            data = answer.read(min(left, _BLOCK))
            if not data:
                raise Again(f"it was cut short: {self._place - left:,} of {self._known.size:,} bytes came")
            left -= len(data)
            self._received += len(data)
            checksum = google_crc32c.extend(checksum, data)
        if self._checksum not in (None, checksum):
            raise InputError(f"{_CHANGED}: its first {self._place:,} bytes are others", 0)


def _same_kind(one: State, other: State) -> bool:
    """True where two states can be told apart by their versions."""
    return one.version.partition(" ")[0] == other.version.partition(" ")[0] != ""


def open_remote(path: str, version: str = "", size: int = -1, settings: Transport | None = None) -> RemoteFile:
    """Opens an address for reading bytes; see `RemoteFile`.

    Args:
      path: an address of one of `stores.SCHEMES`.
      version: its version when it was identified, empty where that is not known.
      size: its size then, or -1.
      settings: how to fetch it, else `DEFAULT`.

    Raises:
      InputError: it has changed.
      FetchError: the server does not give it.
    """
    return RemoteFile(path, State(size, version), settings)
