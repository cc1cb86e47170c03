"""Keys and decisions on their way to the next step, left in files, which a second run finds made.

Such a file is named by what it was made from, and ends with a table of its parts, which repeats the name: another file in its
place is none. Where the output folder is local, only the places of the parts go to the next step, which keeps the parts
out of the runner's memory. Where it is remote the parts go through the runner's shuffle, which is made for that: there
a file is read by a second run only.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from isal import isal_zlib

from c4build.errors import CorruptFileError
from c4build.write.files import base_name, delete, digest, is_local, join, open_file, whole_file

_TAIL = 16  # bytes at the end: size and checksum of the table before them


class Slice(NamedTuple):
    """A part of a key file, in bytes."""

    path: str
    offset: int
    size: int
    checksum: int


Sent = bytes | Slice


def send(
    parts: Iterable[tuple[int, bytes]], folder: str | None, kind: str, made_from: list
) -> Iterator[tuple[int, Sent]]:
    """Yields (where to, data) for each part: the data as they are, or where they lie in a file of a local `folder`.

    Args:
      parts: (where to, data); not asked for where the file is there from a run before.
      folder: for key files; None: there are none.
      kind: what the parts are, for the file's name.
      made_from: all that decides the parts, as JSON.

    Raises:
      CorruptFileError: a file of a remote folder does not hold what was written.
    """
    if folder is None:
        yield from parts
        return
    path = join(folder, f"{kind}-{digest(made_from)}")
    local = is_local(path)
    try:
        with open_file(path) as file:
            slices = _slices_in(file, path)
            if slices is not None:
                yield from slices if local else ((target, _read(file, slice)) for target, slice in slices)
                return
    except FileNotFoundError:
        pass
    written = _write(path, parts)
    if local:  # none is sent before the file has its name
        yield from [(target, slice) for target, slice, _ in written]
    else:
        yield from ((target, data) for target, _, data in written)


def _write(path: str, parts: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Slice, bytes]]:
    """Writes a key file of the parts, and yields each with its place; the file is there when all were taken."""
    table, offset = [], 0
    with whole_file(path, lasting=False) as file:
        for target, data in parts:
            file.write(data)
            slice = Slice(path, offset, len(data), isal_zlib.crc32(data))
            table.append((target, *slice[1:]))
            offset += len(data)
            yield target, slice, data
        end = json.dumps({"name": base_name(path), "parts": table}).encode()
        file.write(end + len(end).to_bytes(8, "little") + isal_zlib.crc32(end).to_bytes(8, "little"))


def _slices_in(file: BinaryIO, path: str) -> list[tuple[int, Slice]] | None:
    """The parts of a key file that was written whole, and under this name; None where it was not."""
    size = file.seek(0, 2)
    file.seek(max(size - _TAIL, 0))
    tail = file.read()
    length, checksum = (int.from_bytes(part, "little") for part in (tail[:8], tail[8:]))
    if len(tail) < _TAIL or length > size - _TAIL:
        return None
    file.seek(size - _TAIL - length)
    table = file.read(length)
    if isal_zlib.crc32(table) != checksum:
        return None
    told = json.loads(table)
    if told["name"] != base_name(path):
        return None
    return [(target, Slice(path, *place)) for target, *place in told["parts"]]


def name_of(sent: Sent) -> list:
    """What tells one part from another, as JSON: what its file was made from, which its name says; else what it holds."""
    if isinstance(sent, Slice):
        return [base_name(sent.path), sent.offset]
    return [hashlib.sha256(sent).hexdigest()]


def fetch(sent: Sent) -> bytes:
    """The data that `send` sent. Raises CorruptFileError."""
    if not isinstance(sent, Slice):
        return sent
    try:
        with open(sent.path, "rb") as file:
            return _read(file, sent)
    except FileNotFoundError:
        raise _corrupt(sent.path) from None


def _read(file: BinaryIO, slice: Slice) -> bytes:
    file.seek(slice.offset)
    data = file.read(slice.size)
    if len(data) < slice.size or isal_zlib.crc32(data) != slice.checksum:
        delete(slice.path)  # so that the next run makes it again
        raise _corrupt(slice.path)
    return data


def _corrupt(path: str) -> CorruptFileError:
    return CorruptFileError(f"{path}: it does not hold what was written; run the same command again")
