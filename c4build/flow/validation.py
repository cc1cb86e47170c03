"""The validation split: each unit keeps its few pages of it in a file, from which the shards are put together."""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from c4build.flow.settings import DATASET, FinishSettings
from c4build.page import FEATURES
from c4build.write.files import FileSum, FileSums, base_name, join, read_checked, whole_file
from c4build.write.folder import as_json, sums_in
from c4build.write.shards import FORMATS, Example, encoded_size, shard_name, validation_shards

_EXAMPLES = pa.schema([("variant", pa.uint8()), *((name, pa.string()) for name in FEATURES)])


class ValidationPart:
    """The validation pages of one unit, of all variants, in one small Parquet file."""

    def __init__(self, path: str):
        self._path, self._sums = path, {}
        self._rows: list[dict] = []

    def __enter__(self) -> "ValidationPart":
        self._stack = ExitStack()
        file = self._stack.enter_context(whole_file(self._path, self._sums))
        self._writer = self._stack.enter_context(pq.ParquetWriter(file, _EXAMPLES, compression="lz4"))
        return self

    def write(self, variant: int, example: Example):
        self._rows.append({"variant": variant, **example})
        if len(self._rows) == 256:
            self._flush()

    def _flush(self):
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, _EXAMPLES))
            self._rows.clear()

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._flush()
        return self._stack.__exit__(kind, error, trace)

    def sum(self) -> FileSum:
        """What was written."""
        return self._sums[base_name(self._path)]


def validation_part(settings: FinishSettings, unit: int) -> str:
    return join(settings.units, f"{unit:05d}.validation.parquet")


class ValidationShard(NamedTuple):
    """What was written of one validation shard, by variant."""

    shard: int
    lengths: dict[str, int]  # examples
    sizes: dict[str, int]  # bytes of them, before compression
    files: dict[str, dict]

    def sums(self, variant: str) -> dict[str, FileSum]:
        return sums_in({"files": self.files[variant]})


def validation_shard_of(unit: int, shards: int) -> int:
    """The validation shard that the unit's validation pages go to."""
    return ((unit + 1) * validation_shards(shards) - 1) // shards


def write_validation(settings: FinishSettings, shard: int, units: Sequence[tuple[int, dict]]) -> ValidationShard:
    """Puts a validation shard of every variant together.

    Args:
      settings: of the finished units.
      shard: its index.
      units: (unit, `UnitResult.held_out`) of its units, in order.

    Raises:
      CorruptFileError: what a unit left is not what it wrote.
    """
    format = FORMATS[settings.format]
    names = [variant.name for variant in settings.variants]
    name = shard_name(format, DATASET, "validation", shard, validation_shards(settings.shards))
    lengths, sizes = ([0] * len(names) for _ in range(2))
    sums: dict[str, FileSums] = {name: {} for name in names}
    with ExitStack() as stack:
        paths = [join(settings.folder(of), name) for of in names]
        writers = [stack.enter_context(format.open(path, FEATURES, sums[of])) for of, path in zip(names, paths)]
        for variant, example in _held_out(settings, units):
            encoded = format.encode(example)
            writers[variant](encoded)
            lengths[variant] += 1
            sizes[variant] += encoded_size(encoded)
    files = {of: as_json(sums[of]) for of in names}
    return ValidationShard(shard, dict(zip(names, lengths)), dict(zip(names, sizes)), files)


def _held_out(settings: FinishSettings, units: Sequence[tuple[int, dict]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (variant, example) of the validation pages of units, in order."""
    for unit, held_out in units:
        data = read_checked(validation_part(settings, unit), FileSum(**held_out))
        table = pq.ParquetFile(io.BytesIO(data))
        for group in range(table.num_row_groups):
            for example in table.read_row_group(group, use_threads=False).to_pylist():
                yield example.pop("variant"), example
