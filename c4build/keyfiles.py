"""Keys and decisions on their way to the next step: where the output folder is local by files, which keeps them out of
the runner's memory.

Where the output folder is remote, they go through the runner's shuffle, which is made for that.
"""

from typing import Iterable, Iterator, NamedTuple, Optional, Union

from c4build.write.files import join, whole_file


class Slice(NamedTuple):
    """A part of a key file, in bytes."""

    path: str
    offset: int
    size: int


def send(
    parts: Iterable[tuple[int, bytes]], folder: Optional[str], name: str
) -> Iterator[tuple[int, Union[bytes, Slice]]]:
    """Yields (where to, keys) for each part: the keys as they are, or where they lie in the file `name` of `folder`."""
    if folder is None:
        yield from parts
        return
    path = join(folder, name)
    slices, offset = [], 0
    with whole_file(path) as file:
        for target, data in parts:
            file.write(data)
            slices.append((target, Slice(path, offset, len(data))))
            offset += len(data)
    yield from slices


def fetch(keys: Union[bytes, Slice]) -> bytes:
    """The keys that `send` sent."""
    if not isinstance(keys, Slice):
        return keys
    with open(keys.path, "rb") as file:
        file.seek(keys.offset)
        data = file.read(keys.size)
    if len(data) < keys.size:
        raise OSError(f"{keys.path} is shorter than it was written")
    return data
