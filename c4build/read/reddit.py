"""Dumps of Reddit's submissions, one JSON object a line, in any of the compressions they are handed around in.

The monthly files of zstd have a window of 2 GB: reading one takes as much memory, and no more.
"""

import json
import lzma
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import zstandard

from c4build.errors import UsageError
from c4build.read.bz2_streams import Data, read_streams, without_bombs
from c4build.read.gz import Damage, Readable, read_chunks
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, open_input

MAX_LINE_BYTES = 1 << 23  # Reddit's longest are some 300 KB; the objects of JSON take some twenty times their text
_MAX_DICTIONARY = 1 << 30  # bytes of memory that xz may ask for
_TRIED = 1000  # lines of which one at least must be an object, in a file that is a dump
_ZSTD, _SKIPPABLE, _XZ, _GZIP, _BZIP2 = b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18", b"\xfd7zXZ\0", b"\x1f\x8b", b"BZh"
_READ = 1 << 20
_FED = (
    1 << 11
)  # compressed bytes fed at a time at most: bounds what comes out at once, a block of zstd being 4 bytes at least
_SPLIT = 1 << 22  # decompressed bytes split into lines at a time
_SAID = 20  # broken lines that are described; all are counted


class Submission(NamedTuple):
    line: int  # its number in the file
    post: Any  # what JSON says; None where it is no object


def read_submissions(
    source: Input, told: Callable[[int], None] | None = None, transport: Transport | None = None
) -> Iterator[Submission | Damage]:
    """Yields each line of a dump, and the damages; those of lines have the place of their frame.

    Args:
      source: a dump of submissions (RS_*).
      told: called with the number of bytes read so far.
      transport: how to fetch it where it is remote.

    Raises:
      InputError: it cannot be opened.
    """
    file = open_input(source, transport)
    broken = objects = 0
    for found in read_lines(file):
        if told:
            told(file.read_bytes)
        if isinstance(found, Damage):
            yield found
            continue
        number, offset, line, cut = found
        if not line.strip():
            continue
        post = _post(line)
        if cut and post is None:
            continue
        if post is None:
            broken += 1
            if broken > _TRIED and not objects:
                yield Damage(
                    offset, f"its first {_TRIED:,} lines are no JSON objects: this is no dump of submissions", True
                )
                break
            if broken <= _SAID:
                yield Damage(offset, f"line {number:,} is not a JSON object: {line[:40].decode(errors='replace')!r}")
        else:
            objects += 1
        yield Submission(number, post)
    if broken > _SAID:
        yield Damage(0, f"{broken - _SAID:,} more lines are not JSON objects")


def check_submissions(source: Input):
    """Raises UsageError where the file is plainly no dump of submissions: its first line begins no JSON object."""
    try:
        for part in decompress(open_input(source)):
            if isinstance(part, Damage):
                return  # told when it is read
            if line := part.data.lstrip(b"\xef\xbb\xbf \t\r\n"):
                break
        else:
            return
    except InputError:
        return
    if not line.startswith(b"{"):
        raise UsageError(
            f"{source.path}: this is no dump of submissions, one JSON object a line (RS_*.zst and the like); "
            f"it begins with {line[:40].decode(errors='replace')!r}"
        )


def _post(line: bytes) -> dict | None:
    try:
        post = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return post if isinstance(post, dict) else None


def read_lines(file: Readable) -> Iterator[tuple[int, int, bytes, bool] | Damage]:
    """Yields (number, offset, line, whether its start may be lost) and the damages; a line that a damage ends goes with it."""
    pieces: list[bytes] = []
    held = offset = number = 0
    cut = False  # what comes next may be the rest of a line whose start is lost
    for part in decompress(file):
        if isinstance(part, Damage):
            yield part
            pieces, held, cut = [], 0, True
            continue
        offset = part.offset
        for at in range(0, len(part.data), _SPLIT):
            lines = part.data[at : at + _SPLIT].split(b"\n")
            for line in lines[:-1]:
                number += 1
                if not line and not held:
                    pieces, cut = [], False
                    continue
                yield number, offset, b"".join([*pieces, line]), cut
                pieces, held, cut = [], 0, False
            pieces.append(lines[-1])
            held += len(lines[-1])
            if held > MAX_LINE_BYTES:
                if not cut:
                    yield Damage(offset, f"a line of more than {MAX_LINE_BYTES >> 20} MiB")
                pieces, held, cut = [], 0, True
    if held:
        yield number + 1, offset, b"".join(pieces), cut


def decompress(file: Readable) -> Iterator[Data | Damage]:
    """Yields the file's content by what its first bytes say: zstd, gzip, bzip2, xz or plain; and its damages."""
    ahead = _Ahead(file)
    try:
        yield from without_bombs(_decompress(ahead), lambda: ahead.place)
    except InputError as error:
        yield Damage.of(error)


def _decompress(ahead: "_Ahead") -> Iterator[Data | Damage]:
    head = ahead.peek(6)
    if head.startswith(_ZSTD) or head[1:4] == _SKIPPABLE:
        yield from _frames(ahead, _ZstdFrame, _ZSTD, "zstd")
    elif head.startswith(_XZ):
        yield from _frames(ahead, _XzStream, _XZ, "xz")
    elif head.startswith(_GZIP):
        for chunk in read_chunks(ahead):
            yield chunk if isinstance(chunk, Damage) else Data(chunk.offset, chunk.data)
    elif head.startswith(_BZIP2):
        yield from read_streams(ahead)
    elif not head:
        yield Damage(0, "the file is empty", True)
    else:
        place = 0
        while block := ahead.read(_READ):
            yield Data(place, block)
            place += len(block)


class _Ahead:
    """A file whose next bytes can be looked at, and that knows where it is."""

    def __init__(self, file: Readable):
        self._file, self._held, self._at, self._base = file, b"", 0, 0

    @property
    def place(self) -> int:
        return self._base + self._at

    def peek(self, size: int) -> bytes:
        while len(self._held) - self._at < size and self._more():
            pass
        return self._held[self._at : self._at + size]

    def _more(self) -> bool:
        block = self._file.read(_READ)
        if block:
            # What was read last can be put back.
            passed = max(self._at - _FED, 0)
            self._held = self._held[passed:] + block
            self._base += passed
            self._at -= passed
        return bool(block)

    def read(self, size: int) -> bytes:
        data = self.peek(min(size, max(len(self._held) - self._at, 1)))
        self._at += len(data)
        return data

    def back(self, size: int):
        """Puts back so many of the bytes of the last `read`, which was of `_FED` at most."""
        self._at -= size

    def find(self, mark: bytes) -> bool:
        """Moves to the next `mark`; False at the file's end."""
        while True:
            at = self._held.find(mark, self._at)
            if at >= 0:
                self._at = at
                return True
            self._at = max(self._at, len(self._held) - len(mark) + 1)
            if not self._more():
                self._at = len(self._held)
                return False


class _ZstdFrame:
    def __init__(self):
        self._inflate = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inflate.decompress(data)

    @property
    def unused(self) -> bytes | None:
        """What is left of the data fed once the frame has ended; None before."""
        return self._inflate.unused_data if self._inflate.eof else None


class _XzStream:
    def __init__(self):
        self._inflate = lzma.LZMADecompressor(lzma.FORMAT_XZ, _MAX_DICTIONARY)

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inflate.decompress(data, _SPLIT)
        while not self._inflate.needs_input and not self._inflate.eof:
            yield self._inflate.decompress(b"", _SPLIT)

    @property
    def unused(self) -> bytes | None:
        return self._inflate.unused_data if self._inflate.eof else None


def _frames(ahead: _Ahead, frame_type, mark: bytes, name: str) -> Iterator[Data | Damage]:
    """Yields what frames one after another hold. Behind a bad one the next is looked for by its mark."""
    while ahead.peek(1):
        start = ahead.place
        frame = frame_type()
        fed = _FED >> 5  # little at first: there may be many frames of a few bytes
        try:
            while frame.unused is None:
                data = ahead.read(fed)
                fed = min(2 * fed, _FED)
                if not data:
                    yield Damage(start, f"the file is cut short within {name} data", True)
                    return
                for out in frame.feed(data):
                    if out:
                        yield Data(start, out)
            ahead.back(len(frame.unused))
            if name == "xz":
                _skip_padding(ahead)
        except (zstandard.ZstdError, lzma.LZMAError, MemoryError) as error:
            yield Damage(start, f"bad {name} data ({error})")
            ahead.back(len(data))
            if ahead.place == start:
                ahead.read(1)
            if not ahead.find(mark):
                return


def _skip_padding(ahead: _Ahead):
    while ahead.peek(4) == b"\0\0\0\0":
        ahead.read(4)
