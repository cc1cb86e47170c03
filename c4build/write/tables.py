"""Parquet files that know when they are not what was written: tables on their way from one stage to the next.

Each column of each row group has a checksum of its values, kept under a seal with whatever else the writer wants to say.
So nothing that became of the file can pass: a reader that is led astray gives other values. Parquet's own checksums would
be a second reading of the same bytes, and leave out the footer and the headers of pages.
"""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from isal import isal_zlib

from c4build.errors import C4BuildError, CorruptFileError
from c4build.write.files import FileSums, digest, open_file, output_errors, seal, unseal, whole_file

_METADATA = b"c4build"


class TableWriter:
    """Writes row groups; `fields` go into the file's metadata when it is whole."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema):
        self._writer, self._schema = writer, schema
        self.fields: dict = {}
        self.groups: list[dict] = []
        self.foot = b""  # what `read_table` can be given, when the table is whole

    def write(self, columns: Sequence[pa.Array], about: dict | None = None):
        """Writes a row group; `about` is kept with it."""
        batch = pa.record_batch(columns, schema=self._schema)
        self._writer.write_batch(batch)
        sums = {name: _checksum(column) for name, column in zip(self._schema.names, batch.columns)}
        self.groups.append({"rows": batch.num_rows, "sums": sums, **(about or {})})

    def content(self) -> str:
        """A digest of all that was written so far."""
        return digest(self.groups)

    def finish(self):
        own = seal({**self.fields, "groups": self.groups})
        self._writer.add_key_value_metadata({_METADATA.decode(): json.dumps(own)})


@contextmanager
def open_table(path: str, schema: pa.Schema, sums: FileSums | None = None, **options) -> Iterator[TableWriter]:
    """A table that is there, whole, when the block ends well. `options` are those of `pyarrow.parquet.ParquetWriter`."""
    told: list = []
    with whole_file(path, sums) as file, pq.ParquetWriter(file, schema, metadata_collector=told, **options) as writer:
        table = TableWriter(writer, schema)
        yield table
        with output_errors(path):
            table.finish()
    table.foot = _packed(*told)


class TableReader:
    """A table opened for reading: what it gives is what was written. Raises CorruptFileError, FileNotFoundError.

    Args:
      path: of the file, for errors.
      file: the file.
      metadata: what stands at its end, where that is known.
    """

    def __init__(self, path: str, file: BinaryIO, metadata: pq.FileMetaData | None = None):
        self._path = path
        with self._errors():
            self._table = pq.ParquetFile(file, metadata=metadata)
            self.fields = unseal(json.loads(self._table.metadata.metadata[_METADATA]), path)
            self.groups: list[dict] = self.fields.pop("groups")

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Columns of a row group."""
        known = self.groups[group]
        columns = list(known["sums"]) if columns is None else list(columns)
        with self._errors():
            table = self._table.read_row_group(group, columns, use_threads=False)
            (batch,) = table.combine_chunks().to_batches()
            found = {name: _checksum(batch.column(name)) for name in columns}
            if batch.num_rows != known["rows"] or found != {name: known["sums"][name] for name in columns}:
                raise corrupt(self._path)
        return batch

    def foot(self) -> bytes:
        """What `read_table` can be given to read this table by one request."""
        return _packed(self._table.metadata)

    def check(self):
        """Reads all of it."""
        for group in range(len(self.groups)):
            self.read(group)

    @contextmanager
    def _errors(self):
        try:
            yield
        except (C4BuildError, FileNotFoundError):
            raise
        except Exception as error:  # the library has many ways to say it
            raise corrupt(self._path) from error


@contextmanager
def read_table(path: str, foot: bytes = b"") -> Iterator[TableReader]:
    """Opens a table that this run wrote, or has checked. Raises CorruptFileError, which says what to do.

    Args:
      path: of the table.
      foot: of the table where it is known, so that its end need not be fetched from a store.
    """
    metadata = pq.read_metadata(io.BytesIO(isal_zlib.decompress(foot))) if foot else None
    try:
        with open_file(path, -1 if metadata is None else _end_of_columns(metadata)) as file:
            yield TableReader(path, file, metadata)
    except (CorruptFileError, FileNotFoundError) as error:
        what = str(error) if isinstance(error, CorruptFileError) else f"{path}: it is gone"
        raise CorruptFileError(f"{what}; run the same command again and it is made again") from error


def _packed(metadata: pq.FileMetaData) -> bytes:
    file = io.BytesIO()
    metadata.write_metadata_file(file)
    return isal_zlib.compress(file.getvalue())


def _end_of_columns(metadata: pq.FileMetaData) -> int:
    """The place behind all columns in the file, where its foot begins."""
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    columns = (group.column(index) for group in groups for index in range(group.num_columns))
    starts = ((column.dictionary_page_offset or column.data_page_offset, column) for column in columns)
    return max((start + column.total_compressed_size for start, column in starts), default=0)


def corrupt(path: str) -> CorruptFileError:
    return CorruptFileError(f"{path}: it does not hold what was written")


def joined(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The values of a column of strings or bytes, without making an object of each.

    Returns:
      [total bytes] uint8, the values one after another, and [n] int32, the size of each: 0 where it is null.
    """
    sizes, data = column.buffers()[-2:]
    if pa.types.is_fixed_size_binary(column.type):
        width = column.type.byte_width
        return _bytes(data)[column.offset * width :][: len(column) * width], np.full(len(column), width, np.int32)
    offsets = np.frombuffer(sizes, np.int32)[column.offset : column.offset + len(column) + 1]
    return _bytes(data)[offsets[0] : offsets[-1]], np.diff(offsets)


def _bytes(data: pa.Buffer | None) -> np.ndarray:
    return np.frombuffer(data or b"", np.uint8)


def _checksum(column: pa.Array) -> int:
    """A CRC of the column's type and values."""
    kind = str(column.type).encode()
    valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else np.ones(len(column), bool)
    sizes: np.ndarray | bytes = b""
    if column.type in (pa.string(), pa.binary()):
        data, sizes = joined(column)
    elif pa.types.is_boolean(column.type):
        data = column.fill_null(False).to_numpy(zero_copy_only=False)
    else:
        width = column.type.bit_width // 8
        data = _bytes(column.buffers()[-1])[column.offset * width : (column.offset + len(column)) * width]
    return isal_zlib.crc32(data, isal_zlib.crc32(sizes, isal_zlib.crc32(valid, isal_zlib.crc32(kind))))
