"""Gzip as it comes from the web: one member after another, each handed on whole, damage stepped over and named.

Common Crawl compresses each record as a gzip member of its own, so that after a bad one the next can be found by its
magic number. The decompressor is fed small slices: what it does not use of one is copied back. ISA-L's takes half of
zlib's time.
"""

from typing import BinaryIO, Iterator, NamedTuple, Union

from isal import isal_zlib

_MAGIC = b"\x1f\x8b\x08"
_BLOCK = 1 << 20  # bytes read at a time
_SLICE = 1 << 13  # bytes fed to zlib at a time
CHUNK = 1 << 22  # bytes of a member handed on at a time


class Chunk(NamedTuple):
    """Decompressed bytes. `offset` is where the member (or the plain file's block) starts in the file, in bytes."""

    offset: int
    data: bytes
    starts: bool  # this is the first chunk of a member
    ends: bool  # this is the last


class Damage(NamedTuple):
    """Something wrong with an input: where, in bytes from the start of the file, and what."""

    offset: int
    what: str


class _Source:
    """A file with a look-ahead buffer and the offset of its first byte. `limit` bounds what one read asks for."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.buffer = b""
        self.position = 0  # in buffer
        self.offset = 0  # of buffer[0] in the file
        self.ended = False

    def tell(self) -> int:
        return self.offset + self.position

    def fill(self, wanted: int = 1) -> bool:
        """Sees to it that `wanted` bytes lie ahead; False where the file ends before."""
        while len(self.buffer) - self.position < wanted and not self.ended:
            try:
                block = self._file.read(_BLOCK)
            except EOFError:
                block = b""
            if not block:
                self.ended = True
                break
            self.offset += self.position
            self.buffer = self.buffer[self.position :] + block
            self.position = 0
        return len(self.buffer) - self.position >= wanted

    def find_magic(self, start: int) -> bool:
        """Moves to the next gzip magic number at or behind the file's byte `start`; to the end, False, without one."""
        self.position = start - self.offset
        while True:
            at = self.buffer.find(_MAGIC, self.position)
            if at >= 0:
                self.position = at
                return True
            self.position = max(self.position, len(self.buffer) - len(_MAGIC) + 1)
            if not self.fill(len(_MAGIC)):
                self.position = len(self.buffer)
                return False


def read_chunks(file: BinaryIO) -> Iterator[Union[Chunk, Damage]]:
    """Yields the decompressed bytes of `file` in order, members of up to `CHUNK` bytes each as one, and its damages.

    A member that turns out damaged after a first chunk was handed on ends in a `Damage`: what came of it is incomplete.
    A file that is not gzip is handed on as it is.
    """
    source = _Source(file)
    if not source.fill(1):
        yield Damage(0, "the file is empty")
        return
    source.fill(len(_MAGIC))
    # One bad byte at the very start does not make a plain file of a gzip file.
    if not source.buffer.startswith(_MAGIC) and (source.buffer.startswith(b"WARC/") or _MAGIC not in source.buffer):
        yield from _plain(source)
        return
    while source.fill(1):
        if source.fill(len(_MAGIC)) and source.buffer.startswith(_MAGIC, source.position):
            yield from _member(source)
            continue
        start = source.tell()
        if not source.buffer[source.position :].strip(b"\0") and not source.fill(len(source.buffer) + 1):
            return  # zeros that pad the file
        found = source.find_magic(start)
        yield Damage(start, f"{source.tell() - start:,} bytes that are not gzip" if found else "the rest is not gzip")
        if not found:
            return


def _plain(source: _Source) -> Iterator[Chunk]:
    starts = True
    while source.fill(1):
        offset = source.tell()
        data = source.buffer[source.position :]
        source.position = len(source.buffer)
        yield Chunk(offset, data, starts, not source.fill(1))
        starts = False


def _member(source: _Source) -> Iterator[Union[Chunk, Damage]]:
    start = source.tell()
    inflate = isal_zlib.decompressobj(31)
    pieces, size, starts = [], 0, True
    fed = _SLICE
    while True:
        piece = memoryview(source.buffer)[source.position : source.position + fed]
        try:
            data = inflate.decompress(piece, CHUNK - size)
        except isal_zlib.error as error:
            source.find_magic(max(start + 1, source.offset))
            yield Damage(start, f"bad gzip data ({str(error).rpartition(': ')[2]})")
            return
        source.position += len(piece) - len(inflate.unconsumed_tail) - len(inflate.unused_data)
        pieces.append(data)
        size += len(data)
        if inflate.eof:
            yield Chunk(start, pieces[0] if len(pieces) == 1 else b"".join(pieces), starts, True)
            return
        if size >= CHUNK:
            yield Chunk(start, b"".join(pieces), starts, False)
            pieces, size, starts = [], 0, False
        elif not data and not source.fill(1):
            found = source.find_magic(max(start + 1, source.offset))
            yield Damage(start, "a gzip member without an end" if found else "the file is cut short within a gzip member")
            return
        else:
            source.fill(1)
        fed = min(2 * fed, 1 << 18)
