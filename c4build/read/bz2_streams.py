"""bzip2 files of many streams, read from any of them on: how several processes share one dump.

A multistream dump is one bzip2 stream after another, each starting at a whole byte with a mark of ten bytes; a piece
of the file is the streams that start in it. In a damaged stream the blocks are found by their own mark, which may
start at any bit, so that one bad block costs itself only (the way of bzip2recover).
"""

import bz2
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from c4build.read.gz import Damage, Readable

STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")  # a stream's head and the mark of its first block or its end
_STREAM_BYTES = 10
_BLOCK_MARK = 0x314159265359  # 48 bits before each block
_END_MARK = 0x177245385090
_STREAM_MARK = 0
_READ = 1 << 18  # compressed bytes at a time
_FED = 1 << 12  # compressed bytes fed at first: there may be many streams of a few bytes
_OUT = 1 << 22  # decompressed bytes at a time, at most
_MAX_RATIO = 200  # of what a file unpacks to and its size; that of dumps is 5 to 20
_LEAST_BOMB = 1 << 27  # bytes that may come of any file
_KEPT = 1 << 22  # compressed bytes kept behind the reading point: more than a block can have
_LONGEST_BLOCK = 1 << 22  # compressed bytes
_TAIL = 1 << 16  # decompressed bytes by which a place is known again


class Data(NamedTuple):
    """Decompressed bytes of the stream that starts at byte `offset` of the file."""

    offset: int
    data: bytes


class _Window:
    """The file's bytes from some point on, a few millions of them before the reading point too."""

    def __init__(self, file: Readable, start: int):
        self._file = file
        self.buffer = b""
        self.base = start  # the place of buffer[0] in the file
        self.at = 0  # the reading point in buffer
        self.ended = False

    def tell(self) -> int:
        return self.base + self.at

    def more(self) -> bool:
        """Reads on; False at the end of the file."""
        block = b"" if self.ended else self._file.read(_READ)
        if not block:
            self.ended = True
            return False
        surplus = self.at - _KEPT
        if surplus > _READ:
            self.buffer = self.buffer[surplus:]
            self.base += surplus
            self.at -= surplus
        self.buffer += block
        return True

    def find_stream(self) -> bool:
        """Moves to the next stream at or behind the reading point; False where there is none."""
        while True:
            match = STREAM.search(self.buffer, self.at)
            if match:
                self.at = match.start()
                return True
            self.at = max(self.at, len(self.buffer) - _STREAM_BYTES + 1)
            if not self.more():
                return False


def read_streams(file: Readable, start: int = 0) -> Iterator[Data | Damage]:
    """Yields what the streams hold that start at byte `start` of the file or behind it, and the damages met.

    Each stream begins with a `Data`, be it empty. `file` stands at byte `start`.
    """
    window = _Window(file, start)
    yield from without_bombs(_streams(window, start), lambda: window.tell() - start)


def without_bombs(parts: Iterator[Data | Damage], read: Callable[[], int]) -> Iterator[Data | Damage]:
    """`parts` until they unpack to far more than the compressed bytes `read`, which no real file does."""
    size = 0
    for part in parts:
        if isinstance(part, Data):
            size += len(part.data)
            if size > _LEAST_BOMB and size > _MAX_RATIO * read():
                yield Damage(
                    part.offset, f"it unpacks to over {_MAX_RATIO} times its size; what follows is left out", True
                )
                return
        yield part


def _streams(window: _Window, start: int) -> Iterator[Data | Damage]:
    inside = start > 0  # of a stream that started before: it is another piece's
    while True:
        before = window.tell()
        found = window.find_stream()
        if not inside and (window.tell() > before or not found):
            skipped = window.buffer[before - window.base :] if before >= window.base else b"?"
            if found:
                yield Damage(before, f"{window.tell() - before:,} bytes that are not bzip2")
            elif skipped.strip(b"\0"):
                yield Damage(before, "what follows is not bzip2")
        if not found:
            return
        yield from _stream(window)
        inside = False


def _stream(window: _Window) -> Iterator[Data | Damage]:
    offset = window.tell()
    level = window.buffer[window.at : window.at + 4]
    inflate = bz2.BZ2Decompressor()
    yield Data(offset, b"")
    told, tail, fed = 0, b"", _FED
    while not inflate.eof:
        piece = b""
        if inflate.needs_input:
            if window.at == len(window.buffer) and not window.more():
                yield Damage(offset, "the file is cut short within a bzip2 stream", True)
                return
            piece = window.buffer[window.at : window.at + fed]
            window.at += len(piece)
            fed = min(2 * fed, _READ)
        try:
            data = inflate.decompress(piece, _OUT)
        except (OSError, ValueError):
            yield from _recover(window, offset, level, told, tail)
            return
        if data:
            told += len(data)
            tail = data[-_TAIL:] if len(data) >= _TAIL else (tail + data)[-_TAIL:]
            yield Data(offset, data)
    window.at -= len(inflate.unused_data)


def _recover(window: _Window, offset: int, level: bytes, told: int, tail: bytes) -> Iterator[Data | Damage]:
    """Reads a stream with a bad block once more, block by block, and goes on where `told` bytes ended.

    Where the stream's start is no longer in the window, that place is known by the `tail` of what was told.
    """
    start = max(offset, window.base)
    skip = told if start == offset else None
    window.at = start - window.base
    before, bad = b"", False
    for bit, data in _blocks(window, start * 8, level):
        if data is None:
            yield Damage(bit // 8, "a bad bzip2 block")
            skip, bad = 0, True
            continue
        if skip is None:
            before += data
            at = _last_place(before, tail)
            if at < 0:
                before = before[-len(tail) :]
                continue
            data, skip = before[at + len(tail) :], 0
        skipped = min(skip, len(data))
        skip -= skipped
        if skipped < len(data):
            yield Data(offset, data[skipped:])
    if not bad:
        yield Damage(offset, "a bzip2 stream whose checksum is wrong, though those of its blocks are right")


def _last_place(data: bytes, part: bytes) -> int:
    """As data.rfind(part), which takes the time of both lengths multiplied where `find` takes that of their sum."""
    at = data[::-1].find(part[::-1])
    return at if at < 0 else len(data) - at - len(part)


def _blocks(window: _Window, start: int, level: bytes) -> Iterator[tuple[int, bytes | None]]:
    """The blocks of a stream from bit `start` of the file on: (first bit, what it holds or None where it is bad).

    Leaves the window behind the stream.
    """
    previous = None
    for bit, kind in _marks(window, start):
        if previous is not None:
            yield previous, _decompressed(window, previous, bit, level)
        previous = bit if kind == _BLOCK_MARK else None
        window.at = bit // 8 - window.base
        if kind == _END_MARK:
            window.at = min(-(-(bit + 80) // 8) - window.base, len(window.buffer))
            return
        if kind == _STREAM_MARK:
            return
    if previous is not None:
        yield previous, None
    window.at = len(window.buffer)


def _decompressed(window: _Window, start: int, stop: int, level: bytes) -> bytes | None:
    """What the block between two bits of the file holds: read as the only block of a stream of its own."""
    first, length = start // 8 - window.base, stop - start
    if first < 0 or length < 80:
        return None  # much longer than a block can be, or shorter
    bits = int.from_bytes(window.buffer[first : -(-stop // 8) - window.base], "big") >> (-stop % 8)
    bits &= (1 << length) - 1
    checksum = bits >> (length - 80) & 0xFFFFFFFF
    bits = bits << 80 | _END_MARK << 32 | checksum
    padding = -length % 8
    try:
        return bz2.decompress(level + (bits << padding).to_bytes((length + 80 + padding) // 8, "big"))
    except (OSError, ValueError):
        return None


def _marks(window: _Window, start: int) -> Iterator[tuple[int, int]]:
    """The marks of blocks, of the stream's end and of another stream, as (bit of the file, mark), from `start` on."""
    place = start // 8
    while True:
        match = _ANY_MARK.search(window.buffer, place - window.base, len(window.buffer) - _STREAM_BYTES)
        if match is None and not window.ended:
            place = max(place, window.base + len(window.buffer) - _STREAM_BYTES - 1)
            if place - window.tell() > _LONGEST_BLOCK:
                window.at = place - window.base
            window.more()
            continue
        if match is None:
            match = _ANY_MARK.search(window.buffer, place - window.base)
            if match is None:
                return
        at = match.start()
        place = window.base + at + 1
        if STREAM.match(window.buffer, at) and (window.base + at) * 8 > start:
            yield (window.base + at) * 8, _STREAM_MARK
            continue
        bits = int.from_bytes(window.buffer[max(at - 1, 0) : at + 7].ljust(8 if at else 7, b"\0"), "big")
        for shift in range(8):
            mark = bits >> (8 + shift) & (1 << 48) - 1
            bit = (window.base + at) * 8 - shift
            if mark in (_BLOCK_MARK, _END_MARK) and bit >= start:
                yield bit, mark


def _whole_bytes(mark: int, shift: int) -> bytes:
    """The first five whole bytes of a mark that starts `shift` bits before a byte does."""
    return (mark >> (8 - shift) & (1 << 40) - 1).to_bytes(5, "big")


_ANY_MARK = re.compile(
    b"|".join(
        [STREAM.pattern, *(re.escape(_whole_bytes(m, shift)) for m in (_BLOCK_MARK, _END_MARK) for shift in range(8))]
    ),
    re.DOTALL,
)
