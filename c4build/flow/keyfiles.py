"""Keys and decisions on their way to the next step: where the output folder is local by files, which keeps them out of
the runner's memory, and which a second run finds made.

Such a file is named by what it was made from, and ends with a table of its parts, which repeats the name: another file in its
place is none. Where the output folder is remote, the
parts go through the runner's shuffle, which is made for that.
"""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from isal import isal_zlib

from c4build.errors import CorruptFileError
from c4build.write.files import base_name, delete, digest, join, whole_file

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
    """Yields (where to, data) for each part: the data as they are, or where they lie in a file of `folder`.

    Args:
      parts: (where to, data); not asked for where the file is there from a run before.
      folder: for key files; None: the data go as they are.
      kind: what the parts are, for the file's name.
      made_from: all that decides the parts, as JSON.
    """
    if folder is None:
        yield from parts
        return
    path = join(folder, f"{kind}-{digest(made_from)}")
    slices = _slices_in(path)
    if slices is None:
        slices, offset = [], 0
        with whole_file(path, lasting=False) as file:
            for target, data in parts:
                file.write(data)
                slices.append((target, Slice(path, offset, len(data), isal_zlib.crc32(data))))
                offset += len(data)
            parts_of = [(target, *slice[1:]) for target, slice in slices]
            table = json.dumps({"name": base_name(path), "parts": parts_of}).encode()
            file.write(table + len(table).to_bytes(8, "little") + isal_zlib.crc32(table).to_bytes(8, "little"))
    yield from slices


def _slices_in(path: str) -> list[tuple[int, Slice]] | None:
    """The parts of a key file that was written whole, and under this name; None where there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - _TAIL, 0))
            tail = file.read()
            length, checksum = (int.from_bytes(part, "little") for part in (tail[:8], tail[8:]))
            if len(tail) < _TAIL or length > size - _TAIL:
                return None
            file.seek(size - _TAIL - length)
            table = file.read(length)
    except FileNotFoundError:
        return None
    if isal_zlib.crc32(table) != checksum:
        return None
    told = json.loads(table)
    if told["name"] != base_name(path):
        return None
    return [(target, Slice(path, *place)) for target, *place in told["parts"]]


def name_of(sent: Sent) -> list:
    """What tells one part from another, as JSON: by what its file was made from, which its name says."""
    return [base_name(sent.path), sent.offset] if isinstance(sent, Slice) else []


def fetch(sent: Sent) -> bytes:
    """The data that `send` sent. Raises CorruptFileError."""
    if not isinstance(sent, Slice):
        return sent
    try:
        with open(sent.path, "rb") as file:
            file.seek(sent.offset)
            data = file.read(sent.size)
    except FileNotFoundError:
        data = b""
    if len(data) < sent.size or isal_zlib.crc32(data) != sent.checksum:
        delete(sent.path)  # so that the next run makes it again
        raise CorruptFileError(f"{sent.path}: it does not hold what was written; run the same command again")
    return data
