"""Files of examples: what reading a unit leaves, and what a shard holds out for validation. Tables that know when they rot."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pyarrow as pa

from c4build.errors import CorruptFileError
from c4build.flow.units import Found, Unit
from c4build.write.files import digest, open_file
from c4build.write.tables import TableReader, TableWriter, open_table, read_table

_GROUP_BYTES = 1 << 23  # of text in a row group: what a process holds
_GROUP_ROWS = 1000


class ExamplesFile(NamedTuple):
    """What the steps that read a file of examples need to know of it."""

    unit: int
    path: str
    rows: int
    content: str  # a digest of the examples


class Report(NamedTuple):
    """What the reading of one unit came to."""

    unit: int
    rows: int
    counts: dict[str, int]  # of records, by reason
    notes: dict[str, int]
    damages: list[tuple[str, int, str]]  # (path, offset, what), the first of them
    more_damages: int
    complete: bool  # False where an input could not be read to its end: the next run tries again
    content: str  # a digest of the examples
    missing: list[tuple[str, str]]  # (path, why) of the inputs that could not be fetched
    remade: str = ""  # why a file of examples that was there was not taken
    path: str = ""  # of the file of examples, which does not say it

    @property
    def sizes(self) -> tuple[int]:
        return (self.rows,)

    def as_file(self) -> ExamplesFile:
        return ExamplesFile(self.unit, self.path, self.rows, self.content)


class Examples:
    """Writes examples with their keys, in row groups of a few megabytes."""

    def __init__(self, table: TableWriter, schema: pa.Schema):
        self._table, self._schema = table, schema
        self._waiting: list[dict] = []
        self._size = self.rows = 0

    def add(self, found: Found, example: Mapping[str, str]):
        self._waiting.append({"key": found.key, "rank": found.rank, "held_out": found.held_out, **example})
        self.rows += 1
        self._size += sum(len(text) for text in example.values())
        if len(self._waiting) == _GROUP_ROWS or self._size > _GROUP_BYTES:
            self._flush()

    def _flush(self):
        if self._waiting:
            self._table.write([pa.array([row[f.name] for row in self._waiting], f.type) for f in self._schema])
        self._waiting.clear()
        self._size = 0

    def content(self) -> str:
        """A digest of all that was written."""
        self._flush()
        return self._table.content()

    def tell(self, report: Report, unit: Unit):
        """Says in the file whose it is."""
        self._table.fields = {**report._asdict(), "identity": unit.identity}
        del self._table.fields["path"]


@contextmanager
def open_examples(path: str, features: Sequence[str]) -> Iterator[Examples]:
    """A file of examples, there when the block ends well."""
    own = [("key", pa.binary(16)), ("rank", pa.int64()), ("held_out", pa.bool_())]
    schema = pa.schema([*own, *((name, pa.string()) for name in features)])
    with open_table(path, schema, compression="lz4") as table:
        examples = Examples(table, schema)
        yield examples
        examples.content()


def find_examples(path: str, unit: Unit) -> Report | None:
    """What is said in a file of examples that is whole and of this unit; None where there is none. Raises CorruptFileError."""
    try:
        with open_file(path) as file:
            found = TableReader(path, file)
            if found.fields.pop("identity") != unit.identity:
                raise CorruptFileError(f"{path}: it is the file of another input")
            found.check()
    except FileNotFoundError:
        return None
    return Report(**found.fields, path=path)


def read_columns(path: str, content: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yields columns of a file of examples, a row group at a time. Raises CorruptFileError."""
    with read_table(path) as found:
        if digest(found.groups) != content:
            raise CorruptFileError(f"{path}: it is another file than at the start")
        for group in range(len(found.groups)):
            yield found.read(group, columns)


def read_examples(path: str, content: str, features: Sequence[str]) -> Iterator[tuple[int, dict[str, str], bool]]:
    """Yields (row, example, whether it is for validation). Raises CorruptFileError."""
    row = 0
    for batch in read_columns(path, content, ["held_out", *features]):
        for example in batch.to_pylist():
            yield row, example, example.pop("held_out")
            row += 1
