"""Keys and decisions on their way to the next step: where the output folder is local by files, which keeps them out of
the runner's memory.

Where the output folder is remote, they go through the runner's shuffle, which is made for that.
"""

from typing import Iterable, Iterator, NamedTuple, Optional, Union

from isal import isal_zlib

from c4build.errors import CorruptFileError
from c4build.write.files import join, whole_file


class Slice(NamedTuple):
    """A part of a key file, in bytes."""

    path: str
    offset: int
    size: int
    checksum: int


def send(
    parts: Iterable[tuple[int, bytes]], folder: Optional[str], name: str
) -> Iterator[tuple[int, Union[bytes, Slice]]]:
    """Yields (where to, keys) for each part: the keys as they are, or where they lie in the file `name` of `folder`."""
    if folder is None:
        yield from parts
        return
    path = join(folder, name)
    slices, offset = [], 0
    with whole_file(path, lasting=False) as file:
        for target, data in parts:
            file.write(data)
            slices.append((target, Slice(path, offset, len(data), isal_zlib.crc32(data))))
            offset += len(data)
    yield from slices


def fetch(keys: Union[bytes, Slice]) -> bytes:
    """The keys that `send` sent. Raises CorruptFileError."""
    if not isinstance(keys, Slice):
        return keys
    try:
        with open(keys.path, "rb") as file:
            file.seek(keys.offset)
            data = file.read(keys.size)
    except FileNotFoundError:
        data = b""
    if len(data) < keys.size or isal_zlib.crc32(data) != keys.checksum:
        raise CorruptFileError(f"{keys.path}: it does not hold what was written; run the same command again")
    return data
