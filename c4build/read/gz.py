"""Gzip as it comes from the web: one member after another, each handed on whole, damage stepped over and named.

Common Crawl compresses each record as a gzip member of its own, so that after a bad one the next can be found by its
magic number. The decompressor is fed small slices: what it does not use of one is copied back. ISA-L's takes half of
zlib's time.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol, final

from isal import isal_zlib

from c4build.compiled import core
from c4build.errors import printable
from c4build.read.attempts import FetchError, InputError

_MAGIC = b"\x1f\x8b\x08"
_MEMBER = re.compile(
    rb"\x1f\x8b\x08[\x00-\x1f]"
)  # the flags behind the magic number have three bits that must not be set
_NOT_ZERO = re.compile(rb"[^\0]")
_BLOCK = 1 << 20  # bytes read at a time
_SLICE = 1 << 13  # bytes fed to zlib at a time
CHUNK = 1 << 22  # bytes of a member handed on at a time
_SMALL, _SMALL_DATA = 1 << 16, 1 << 19  # bytes of a member, and of what it holds, that is read in one step
_PADDING = 1 << 20  # zeros at the end of a file that are taken for padding, as gzip takes them
# Work (bytes in and out) that may go into looking again at bytes that a bad member has used up: so much, and so often
# the file. Without a bound, magic numbers within one another could make the time grow with the square of a block.
_AGAIN, _AGAIN_TIMES = 64 << 20, 4


class Readable(Protocol):
    """What is read of a file from its start to its end."""

    def read(self, size: int, /) -> bytes: ...


@final
class Chunk(NamedTuple):
    """Decompressed bytes, at least one. `offset` is where the member (or the plain file's block) starts in the file."""

    offset: int
    data: bytes
    starts: bool  # these are the first bytes of a member
    plain: bool = False  # the file is not gzip


@final
class Damage(NamedTuple):
    """Something wrong with an input: where, in bytes from the start of the file, and what."""

    offset: int
    what: str
    cut: bool = False  # the file could not be read to its end, or is not what it should be
    failed: bool = False  # to open or read it failed: that is no matter of its bytes, and the next run tries again
    missing: bool = False  # its server does not give it: no damage, but a file that is not there yet

    @classmethod
    def of(cls, error: InputError, offset: int | None = None) -> "Damage":
        """An input that cannot be read on, from `offset` where the error does not know it."""
        missing = isinstance(error, FetchError)
        return cls(error.offset if offset is None else offset, printable(str(error)), True, True, missing)


class _Source:
    """A file with a look-ahead buffer and the offset of its first byte."""

    def __init__(self, file: Readable):
        self._file = file
        self.buffer = b""
        self.position = 0  # in buffer
        self.offset = 0  # of buffer[0] in the file
        self.ended = False
        self._used = 0  # the file's bytes before this were used up by a member that turned out bad
        self._again = 0  # work that went into looking at them again

    def tell(self) -> int:
        return self.offset + self.position

    def fill(self, wanted: int = 1) -> bool:
        """Sees to it that `wanted` bytes lie ahead; False where the file ends before."""
        while len(self.buffer) - self.position < wanted and not self.ended:
            block = self._file.read(_BLOCK)
            if not block:
                self.ended = True
                break
            self.offset += self.position
            self.buffer = self.buffer[self.position :] + block
            self.position = 0
        return len(self.buffer) - self.position >= wanted

    def skip_zeros(self):
        """Moves to the next byte that is not zero, or to the end."""
        while self.fill(1):
            if found := _NOT_ZERO.search(self.buffer, self.position):
                self.position = found.start()
                return
            self.position = len(self.buffer)

    def find_magic(self) -> bool:
        """Moves to the next gzip magic number; to the end, False, without one."""
        while True:
            if found := _MEMBER.search(self.buffer, self.position):
                self.position = found.start()
                return True
            self.position = max(self.position, len(self.buffer) - len(_MAGIC))
            if not self.fill(len(_MAGIC) + 1):
                self.position = len(self.buffer)
                return False

    def leave_member(self, start: int, stop: int, work: int) -> bool:
        """Moves to the magic number to try next after the bad member that starts at `start`.

        Args:
          start: of the member in the file.
          stop: where the bytes end that it used up: whole members may lie among them, so that they are looked at again.
          work: bytes in and out that went into the member.
        """
        if start < self._used:
            self._again += work
        self._used = max(self._used, stop)
        again = self._again <= _AGAIN + _AGAIN_TIMES * self._used
        self.position = max(start + 1 if again else self._used, self.offset) - self.offset
        return self.find_magic()


def read_chunks(file: Readable) -> Iterator[Chunk | Damage]:
    """Yields the decompressed bytes of `file` in order, members of up to `CHUNK` bytes each as one, and its damages.

    A member that turns out damaged after a first chunk was handed on ends in a `Damage`: what came of it is incomplete.
    A file that is not gzip is handed on as it is.
    """
    found = _chunks(_Source(file))
    if (first := next(found, None)) is None:
        yield Damage(0, "the file is empty", cut=True)
        return
    yield first
    yield from found


def _chunks(source: _Source) -> Iterator[Chunk | Damage]:
    source.fill(len(_MAGIC))
    # One bad byte at the very start does not make a plain file of a gzip file.
    if not source.buffer.startswith(_MAGIC) and (source.buffer.startswith(b"WARC/") or _MAGIC not in source.buffer):
        yield from _plain(source)
        return
    while source.fill(1):
        while chunk := _whole_member(source):
            yield chunk
        if source.fill(len(_MAGIC) + 1) and _MEMBER.match(source.buffer, source.position):
            yield from _member(source)
            continue
        start = source.tell()
        source.skip_zeros()
        if not source.fill(1):
            if (zeros := source.tell() - start) > _PADDING:
                yield Damage(start, f"the rest is {zeros:,} bytes of zeros", cut=True)
            return
        if not source.find_magic():
            yield Damage(start, "the rest is not gzip", cut=True)
            return
        yield Damage(start, f"{source.tell() - start:,} bytes that are not gzip")


def _plain(source: _Source) -> Iterator[Chunk]:
    starts = True
    while source.fill(1):
        offset = source.tell()
        data = source.buffer[source.position :]
        source.position = len(source.buffer)
        yield Chunk(offset, data, starts, plain=True)
        starts = False


def plain_next_member(buffer: bytes, start: int, most: int) -> int:
    """Where the member behind the one at `start` seems to start, its header less than `most` bytes from that place; 0 where no
    member starts at `start`, or none is found."""
    found = _MEMBER.search(buffer, start + len(_MAGIC), start + most) if _MEMBER.match(buffer, start) else None
    return found.start() if found else 0


_next_member = core.next_member if core else plain_next_member


def _whole_member(source: _Source) -> Chunk | None:
    """Takes the small member that starts here and ends where the next one starts, as nearly all do; None of any other."""
    buffer, start = source.buffer, source.position
    if not (behind := _next_member(buffer, start, _SMALL)):
        return None
    inflate = isal_zlib.decompressobj(31)
    try:
        data = inflate.decompress(buffer[start:behind], _SMALL_DATA)
    except isal_zlib.error:  # type: ignore[misc]  # see `_member`
        return None
    if not data or not inflate.eof or inflate.unused_data:
        return None
    source.position = behind
    return Chunk(source.offset + start, data, True)


def _member(source: _Source) -> Iterator[Chunk | Damage]:
    start = source.tell()
    inflate = isal_zlib.decompressobj(31)
    pieces, size, starts, work = [], 0, True, 0
    # A member most often ends where another seems to begin: so nothing is fed in vain.
    after = source.buffer.find(_MAGIC, source.position + len(_MAGIC))
    fed = after - source.position if after > 0 else _SLICE
    while True:
        piece = memoryview(source.buffer)[source.position : source.position + fed]
        work += len(piece)
        try:
            data = inflate.decompress(piece, CHUNK - size)
        except isal_zlib.error as error:  # type: ignore[misc]  # a class, which its stub calls an exception
            source.leave_member(start, source.tell() + len(piece), work)
            yield Damage(start, f"bad gzip data ({str(error).rpartition(': ')[2]})")
            return
        source.position += len(piece) - len(inflate.unconsumed_tail) - len(inflate.unused_data)
        if data:
            pieces.append(data)
            size += len(data)
            work += len(data)
        if inflate.eof:
            if pieces:
                yield Chunk(start, pieces[0] if len(pieces) == 1 else b"".join(pieces), starts)
            return
        if size >= CHUNK:
            yield Chunk(start, b"".join(pieces), starts)
            pieces, size, starts = [], 0, False
        elif not data and not source.fill(1):
            found = source.leave_member(start, source.tell(), work)
            what = "a gzip member without an end" if found else "the file is cut short within a gzip member"
            yield Damage(start, what, cut=not found)
            return
        else:
            source.fill(1)
        fed = min(max(2 * fed, _SLICE), 1 << 18)
