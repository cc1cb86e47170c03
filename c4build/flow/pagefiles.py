"""What Clean leaves of an input: a page file with the texts, and beside it a key file with what deduplication compares.

Both are tables with the same row groups, written whole or not at all, the key file first; before it, unless no samples
are asked for, a table of what may become one (`candidates`). In the page file's foot stands the `Report` of the reading.
Each page is one row, in file order.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from c4build.errors import CorruptFileError
from c4build.flow.candidates import candidates_file, open_candidates
from c4build.flow.rows import Waiting
from c4build.page import KEY_SCHEMA, PAGE_SCHEMA, PROVENANCE
from c4build.read.paths import Input
from c4build.write.files import digest, is_local, open_file
from c4build.write.tables import TableReader, TableWriter, joined, open_table, read_table

FORMAT = 9  # of page files and of what is made of them: part of their folders' names
_ROW_GROUP_ROWS = 4096
_ROW_GROUP_CHARS = 1 << 23
_NUMBER, _KEYS = (PAGE_SCHEMA.names.index(name) for name in ("number", "keys"))


class PageFile(NamedTuple):
    """What the steps that read a page file need to know of it."""

    file: int  # the input's number
    path: str
    tracks: list[str]  # the key of each
    rows: int
    keys: int  # of lines or spans
    pages: int  # read of the input, used or not
    content: str  # a digest of all columns of both files
    feet: tuple[bytes, ...] = (b"", b"")  # of both files, see `tables`; empty where they cost no requests
    samples: int = 0  # as in `Report`
    dropped: bool = False


class Report(NamedTuple):
    """What the reading of one input came to."""

    page_file: str
    identity: str  # of the input
    tracks: list[str]  # the key of each
    rows: int
    keys: int  # of lines or spans
    pages: int  # read, used or not
    counts: dict[str, dict[str, int]]  # track: reason: pages that end here for good
    lines: dict[str, int]
    damages: list[tuple[int, str]]  # (offset in bytes, what), the first of them
    more_damages: int
    size: int  # bytes read of the input
    complete: bool  # False where the input could not be read to its end: the next run tries again
    content: str  # a digest of all columns of both files
    missing: str = ""  # why the input could not be fetched; then there is no page file
    remade: str = ""  # why a page file that was there was not taken
    samples: int = 0  # of each reason, as many as it has; 0: there is no table of them
    dropped: bool = False  # there is a table of all pages that were dropped
    feet: tuple[bytes, ...] = (b"", b"")  # as in `PageFile`; not said in the page file

    @property
    def sizes(self) -> tuple[int, int]:
        return self.rows, self.keys

    def as_page_file(self, file: int) -> PageFile:
        own = self.page_file, self.tracks, self.rows, self.keys, self.pages, self.content, self.feet
        return PageFile(file, *own, self.samples, self.dropped)


class Rows:
    """Writes a page file and its key file, a row group at a time."""

    def __init__(
        self,
        waiting: Waiting,
        pages: TableWriter,
        keys: TableWriter,
        samples: TableWriter | None,
        dropped: TableWriter | None,
        columns: int,
    ):
        """`waiting`: what is to be written; `columns`: of the page file."""
        self._waiting, self._pages, self._keys, self._columns = waiting, pages, keys, columns
        self.samples, self.dropped = samples, dropped
        self.row = self.key = 0  # rows and keys written

    @property
    def full(self) -> bool:
        return self._waiting.rows >= _ROW_GROUP_ROWS or self._waiting.size >= _ROW_GROUP_CHARS

    def flush(self):
        if not self._waiting.rows:
            return
        key_columns, page_columns = self._waiting.take()
        numbers = page_columns[_NUMBER]
        place = {"row": self.row, "key": self.key, "numbers": (numbers[0].as_py(), numbers[-1].as_py())}
        self._keys.write(key_columns, place)
        self._pages.write(page_columns[: self._columns], place)
        self.row += len(numbers)
        self.key += int(page_columns[_KEYS].to_numpy().sum())

    def content(self) -> str:
        """A digest of all that was written so far."""
        tables = (self._pages, self._keys, self.samples, self.dropped)
        return digest([table.content() for table in tables if table])

    def tell(self, report: Report):
        """Says in all files whose they are; the last before they are whole."""
        whose = {"identity": report.identity, "content": report.content}
        for table in filter(None, (self.samples, self.dropped)):
            table.fields |= whose
        self._keys.fields = whose
        self._pages.fields = {name: value for name, value in report._asdict().items() if name != "feet"}

    def feet(self) -> tuple[bytes, ...]:
        """For `PageFile.feet`, when both files are whole."""
        return self._pages.foot, self._keys.foot


@contextmanager
def open_page_file(
    path: str, waiting: Waiting, samples: bool, dropped: bool = False, provenance: bool = False
) -> Iterator[Rows]:
    """A page file of what comes to be `waiting`, with `PROVENANCE` or without, and its key file, there when the block ends well; where they are wanted,
    the tables of `samples` and of all pages that are `dropped`, too."""
    schema = pa.schema([*PAGE_SCHEMA, *((name, pa.string()) for name in PROVENANCE if provenance)])
    with (
        open_table(path, schema) as pages,
        open_table(key_file(path), KEY_SCHEMA) as keys,
        open_candidates(candidates_file(path)) if samples else nullcontext() as table,
        open_candidates(dropped_file(path), large=True) if dropped else nullcontext() as dropped_table,
    ):
        yield Rows(waiting, pages, keys, table, dropped_table, len(schema))


def key_file(page_file: str) -> str:
    return page_file.removesuffix(".pages") + ".keys"


def dropped_file(page_file: str) -> str:
    return page_file.removesuffix(".pages") + ".dropped"


def find_page_file(
    path: str, source: Input, track_keys: Sequence[str], samples: int, dropped: bool = False
) -> Report | None:
    """What is said in a page file that is whole, of this input, with these tracks, so many samples and, where they are
    wanted, the dropped pages; None where there is none.

    Raises:
      CorruptFileError: it is not whole, or another's.
    """
    try:
        with open_file(path) as file:
            found = TableReader(path, file)
            report = Report(**{**found.fields, "page_file": path})
            if report.identity != source.identity or not set(track_keys) <= set(report.tracks):
                raise CorruptFileError(f"{path}: it is the page file of another input or of other rules")
            if report.samples < samples or report.dropped < dropped:
                return None
            found.check()
            pages = found.foot()
    except FileNotFoundError:
        return None
    keys = _foot_of(key_file(path), report)
    if samples:
        _foot_of(candidates_file(path), report)
    if dropped:
        _foot_of(dropped_file(path), report)
    return report if is_local(path) else report._replace(feet=(pages, keys))


def _foot_of(path: str, report: Report) -> bytes:
    """Of a file that lies beside a page file, which it is found to belong to. Raises CorruptFileError."""
    try:
        with open_file(path) as file:
            found = TableReader(path, file)
            if (found.fields["identity"], found.fields["content"]) != (report.identity, report.content):
                raise CorruptFileError(f"{path}: it belongs to another page file")
            found.check()
            return found.foot()
    except FileNotFoundError as error:
        raise CorruptFileError(f"{path}: it is gone") from error


class Group(NamedTuple):
    """A row group."""

    row: int  # its first
    key: int  # its first
    rows: pa.RecordBatch


def read_texts(of: PageFile, columns: Sequence[str], numbers: range) -> Iterator[Group]:
    """Yields columns of a page file, a row group at a time: those that can hold pages with one of these numbers.

    Raises CorruptFileError where the file is not what Clean left.
    """
    return _read(of, of.path, of.feet[0], columns, numbers)


def read_keys(of: PageFile, columns: Sequence[str]) -> Iterator[Group]:
    """Yields columns of a key file, a row group at a time. Raises CorruptFileError."""
    return _read(of, key_file(of.path), of.feet[1], columns, None)


def _read(of: PageFile, path: str, foot: bytes, columns: Sequence[str], numbers: range | None) -> Iterator[Group]:
    if not of.rows:
        return
    with read_table(path, foot) as found:
        if found.fields["content"] != of.content:
            raise CorruptFileError(f"{path}: it is another file than at the start; run the same command again")
        for index, group in enumerate(found.groups):
            first, last = group["numbers"]
            if numbers is None or (first < numbers.stop and numbers.start <= last):
                yield Group(group["row"], group["key"], found.read(index, columns))


def reasons_in(rows: pa.RecordBatch) -> np.ndarray:
    """[rows, tracks] uint8: the column `reasons`."""
    return joined(rows.column("reasons"))[0].reshape(rows.num_rows, -1)
