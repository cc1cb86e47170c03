"""Rows of pages on their way to a row group of a page file and its key file: as tuples, or in columns that are compiled."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from c4build.page import KEY_SCHEMA, PAGE_SCHEMA

_PROVENANCE_COLUMNS = ("record_id", "refers_to", "path", "offset")  # of `PROVENANCE`


class Row(NamedTuple):
    """One page, as the columns of both files have it."""

    reasons: bytes
    number: int
    chance: int
    url_hash: bytes
    timestamp: str
    url: str | None = None  # what follows is there for pages that are still in
    content_type: str | None = None
    content_length: str | None = None
    validation: bool | None = None
    rank: int = 0  # 0 without a cleaned text
    keys: bytes = b""
    text: str | None = None
    raw: str | bytes | None = None
    record_id: str | None = None  # from here on `PROVENANCE`
    refers_to: str | None = None
    path: str | None = None
    offset: str | None = None


class Columns(NamedTuple):
    """The rows of a row group as columns."""

    key_columns: list[pa.Array]  # of `KEY_SCHEMA`
    page_columns: list[pa.Array]  # of `PAGE_SCHEMA`, and behind them `PROVENANCE`


class Waiting(Protocol):
    """Rows that wait for their row group."""

    @property
    def rows(self) -> int: ...

    @property
    def size(self) -> int:
        """Bytes of the pages they are of, of those that are still in, as read."""
        ...

    def take(self) -> Columns:
        """All of them, of which there is one at least; then none waits."""
        ...


class PlainRows:
    """As tuples."""

    def __init__(self) -> None:
        self._waiting: list[Row] = []
        self._before = self.size = 0

    def add(self, row: Row, size: int):
        self._waiting.append(row)
        self.size += size

    @property
    def rows(self) -> int:
        return len(self._waiting)

    @property
    def next_row(self) -> int:
        """Its place among all that were added."""
        return self._before + len(self._waiting)

    def take(self) -> Columns:
        columns: dict[str, Sequence] = dict(zip(Row._fields, zip(*self._waiting)))
        key_counts = [len(keys) // 16 for keys in columns["keys"]]
        self._before += len(self._waiting)
        self._waiting, self.size = [], 0
        return Columns(
            [pa.array(columns[field.name], field.type) for field in KEY_SCHEMA],
            [pa.array(key_counts if field.name == "keys" else columns[field.name], field.type) for field in PAGE_SCHEMA]
            + [pa.array(columns[name], pa.string()) for name in _PROVENANCE_COLUMNS],
        )


def arrow_column(type: pa.DataType, rows: int, column: tuple[int, Sequence[Any]]) -> pa.Array:
    """A column as core/ gives it: (how many of its rows are null, its buffers: bytes or arrays of them, None for none).

    Besides, `pa.array` looks for pandas when it is first given an array of NumPy's.
    """
    nulls, buffers = column
    return pa.Array.from_buffers(type, rows, [None if one is None else pa.py_buffer(one) for one in buffers], nulls)


class CompiledRows:
    """In columns of `core/columns.cpp`."""

    def __init__(self, pages: Any):
        self._pages = pages  # `core.Pages`, which fills them

    @property
    def rows(self) -> int:
        return self._pages.rows

    @property
    def size(self) -> int:
        return self._pages.size

    def take(self) -> Columns:
        rows, columns = self._pages.rows, self._pages.take_columns()

        def column(name: str, type: pa.DataType) -> pa.Array:
            return arrow_column(type, rows, columns[name])

        return Columns(
            [column(field.name, field.type) for field in KEY_SCHEMA],
            [column("key_count" if field.name == "keys" else field.name, field.type) for field in PAGE_SCHEMA]
            + [column(name, pa.string()) for name in _PROVENANCE_COLUMNS],
        )
