"""Keys on their way to their bucket: on one file system by files, which keeps them out of the runner's memory.

Where the output folder is remote, they go through the runner's shuffle, which is made for that.
"""

from typing import Iterator, NamedTuple, Optional, Union

import numpy as np

from c4build.dedup.keys import by_bucket
from c4build.write.files import join, whole_file


class Slice(NamedTuple):
    """A bucket's part of a key file, in bytes."""

    path: str
    offset: int
    size: int


def send(keys: np.ndarray, buckets: int, folder: Optional[str], name: str) -> Iterator[tuple[int, Union[bytes, Slice]]]:
    """Yields (bucket, its keys) for each bucket that has any: as bytes, or in the file `name` of `folder`, if given."""
    if folder is None:
        yield from by_bucket(keys, buckets)
        return
    path = join(folder, name)
    slices, offset = [], 0
    with whole_file(path) as file:
        for bucket, data in by_bucket(keys, buckets):
            file.write(data)
            slices.append((bucket, Slice(path, offset, len(data))))
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
