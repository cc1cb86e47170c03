"""The validation pages of web pages: each unit keeps its few in a table, from which the validation shards are put together."""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pyarrow as pa

from c4build.write.files import FileSum, base_name, read_checked
from c4build.write.shards import Example
from c4build.write.tables import TableReader, open_table


class ValidationPart:
    """The validation pages of one unit, of all variants, in one small table."""

    def __init__(self, path: str, features: Sequence[str]):
        self._path = path
        self._schema = pa.schema([("variant", pa.uint8()), *((name, pa.string()) for name in features)])
        self._sums: dict[str, FileSum] = {}
        self._rows: list[dict] = []

    def __enter__(self) -> "ValidationPart":
        self._stack = ExitStack()
        self._table = self._stack.enter_context(open_table(self._path, self._schema, self._sums, compression="lz4"))
        return self

    def write(self, variant: int, example: Example):
        self._rows.append({"variant": variant, **example})
        if len(self._rows) == 256:
            self._flush()

    def _flush(self):
        if self._rows:
            self._table.write(pa.RecordBatch.from_pylist(self._rows, self._schema).columns)
            self._rows.clear()

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._flush()
        return self._stack.__exit__(kind, error, trace)

    def sum(self) -> FileSum:
        """What was written."""
        return self._sums[base_name(self._path)]


def read_held_out(path: str, said: dict) -> Iterator[tuple[int, Example]]:
    """Yields (variant, example) of a unit's validation pages. Raises CorruptFileError where it wrote others: `said` tells."""
    table = TableReader(path, io.BytesIO(read_checked(path, FileSum(**said))))
    for group in range(len(table.groups)):
        for example in table.read(group).to_pylist():
            yield example.pop("variant"), example
