"""A corpus in the order of a shuffle: places and lengths of its pages in an array, and files of the pages that come early.

Each such file follows the shuffle, in row groups of which only those are read that hold a page asked for.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from c4build.errors import CorruptFileError
from c4build.write.files import FileSum, FileSums, digest, open_file, read_checked, read_own, whole_file
from c4build.write.tables import open_table, read_table

_BLOCK_BYTES = 64 << 20  # of text in a shard that comes out, and in a file of early pages: what a process holds
_GROUP_BYTES = 1 << 20  # of text in a row group of such a file: what is read for one page
_SPARE = 100  # pages that may be passed over
FORMAT = 2  # of such files: part of their names
PAGE = np.dtype([("order", "<u8"), ("shard", "<u4"), ("row", "<u4"), ("length", "<u8"), ("bytes", "<u8")])

_Early = tuple[int, int, Mapping[str, str]]  # (place in the shuffle, row of the shard, example)


class EarlyPages:
    """Writes pages to files of which each follows the shuffle and has as many as a process may hold."""

    def __init__(self, stem: str):
        self._stem, self._size = stem, 0
        self._pages: list[_Early] = []
        self.groups: list[list[tuple[int, int]]] = []  # of each file: first and last place of its row groups
        self.features: list[str] = []
        self.sums: FileSums = {}

    def add(self, page: _Early, size: int):
        self._pages.append(page)
        self._size += size
        if self._size > _BLOCK_BYTES:
            self.flush()

    def flush(self):
        if not self._pages:
            return
        pages = sorted(self._pages, key=lambda page: page[:2])
        self.features = list(pages[0][2])
        schema = pa.schema(
            [("order", pa.uint64()), ("row", pa.uint32()), *((name, pa.string()) for name in self.features)]
        )
        groups = []
        with open_table(_early_file(self._stem, len(self.groups)), schema, self.sums, compression="lz4") as table:
            for group in _groups(pages):
                rows = [{"order": order, "row": row, **example} for order, row, example in group]
                table.write([pa.array([row[field.name] for row in rows], field.type) for field in schema])
                groups.append((group[0][0], group[-1][0]))
        self.groups.append(groups)
        self._pages, self._size = [], 0


def _groups(pages: Sequence[_Early]) -> Iterator[list[_Early]]:
    group, size = [], 0
    for page in pages:
        group.append(page)
        size += len(page[2]["text"])
        if size > _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _early_file(stem: str, number: int) -> str:
    return f"{stem}-{number}.pages"


def read_early(stem: str, low: int, high: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (row, example) for the early pages of a shard from place `low` to `high` of the shuffle, and some around."""
    for number, groups in enumerate(read_own(stem + ".json")["groups"]):
        wanted = [index for index, (first, last) in enumerate(groups) if first <= high and low <= last]
        if wanted:
            with read_table(_early_file(stem, number)) as table:
                for index in wanted:
                    for example in table.read(index).to_pylist():
                        del example["order"]
                        yield example.pop("row"), example


def first_pages(files: Sequence[tuple[str, FileSum]], size: int) -> np.ndarray:
    """The pages in the files that come first, whose lengths sum to `size`, and some to spare; all where they are fewer."""
    found = np.zeros(0, PAGE)
    for path, wanted in files:
        found = np.sort(
            np.concatenate([found, np.frombuffer(read_checked(path, wanted), PAGE)]), order=["order", "shard", "row"]
        )
        total = np.cumsum(found["length"])
        found = found[: int(np.searchsorted(total, size)) + 1 + _SPARE]
    return found


def blocks(pages: np.ndarray) -> np.ndarray:
    """The number of the block that each page of the order is in."""
    return np.cumsum(pages["bytes"]) // _BLOCK_BYTES


def save_order(path: str, pages: np.ndarray, sums: FileSums | None = None):
    with whole_file(path, sums) as file:
        file.write(pages.tobytes())


def load_order(path: str, start: int, stop: int | None, identity: str) -> np.ndarray:
    """Places in the order, as `truncate` identified them. Raises CorruptFileError."""
    try:
        with open_file(path) as file:
            data = file.read()
        end = None if stop is None else stop * PAGE.itemsize
        pages = np.frombuffer(data[start * PAGE.itemsize : end], PAGE)
    except (FileNotFoundError, ValueError):
        pages = np.zeros(0, PAGE)
    if digest(pages.tolist()) != identity:
        raise CorruptFileError(f"{path}: it does not hold what was written; run the same command again")
    return pages
