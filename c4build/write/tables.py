"""Tables on their way from one stage to the next: files that know when they are not what was written.

    blocks   for each column of each row group an Arrow IPC stream, one behind another
    foot     JSON: where each block lies and its CRC-32, and what the writer says
    tail     SHA-256 of the foot, and its size

Each byte of a file is of one of these and is checked before it is understood: nothing that became of the file can pass.
"""

import hashlib
import io
import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from c4build.errors import C4BuildError, CorruptFileError
from c4build.write.files import FileSums, digest, open_file, whole_file

_TAIL = struct.Struct("<32sQ")


class _Block(io.RawIOBase):
    """Passes on to a file what Arrow writes, no copy of it, and sums it up."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.size = self.crc = 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self._file.write(data)
        self.size += len(data)
        self.crc = isal_zlib.crc32(data, self.crc)
        return len(data)


class TableWriter:
    """Writes row groups; `fields` go into the file's foot when it is whole."""

    def __init__(self, file: BinaryIO, schema: pa.Schema, compression: str | None):
        self._file, self._schema, self._end = file, schema, 0
        self._options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
        self.fields: dict = {}
        self.groups: list[dict] = []
        self.foot = b""  # what `read_table` can be given, when the table is whole
        self.size = 0  # of the whole table

    def write(self, columns: Sequence[pa.Array], about: dict | None = None):
        """Writes a row group; `about` is kept with it."""
        blocks = {}
        for field, column in zip(self._schema, columns, strict=True):
            batch, block = pa.record_batch([column], schema=pa.schema([field])), _Block(self._file)
            with pa.ipc.new_stream(block, batch.schema, options=self._options) as stream:
                stream.write_batch(batch)
            blocks[field.name] = self._end, block.size, block.crc
            self._end += block.size
        self.groups.append({"blocks": blocks, **(about or {})})

    def content(self) -> str:
        """A digest of all that was written so far."""
        return digest(self.groups)

    def finish(self):
        foot = json.dumps({"fields": self.fields, "groups": self.groups, "end": self._end}).encode()
        self._file.write(foot + _TAIL.pack(hashlib.sha256(foot).digest(), len(foot)))
        self.foot, self.size = isal_zlib.compress(foot), self._end + len(foot) + _TAIL.size


@contextmanager
def open_table(
    path: str, schema: pa.Schema, sums: FileSums | None = None, compression: str | None = None
) -> Iterator[TableWriter]:
    """A table that is there, whole, when the block ends well. `compression`: lz4, zstd, or none."""
    with whole_file(path, sums) as file:
        table = TableWriter(file, schema, compression)
        yield table
        table.finish()


class TableReader:
    """A table opened for reading: what it gives is what was written. Raises CorruptFileError, FileNotFoundError.

    Args:
      path: of the file, for errors.
      file: the file.
      said: its foot, where that is known.
    """

    def __init__(self, path: str, file: BinaryIO, said: dict | None = None):
        self._path, self._file = path, file
        with self._errors():
            self._said = said or _read_foot(file)
            self.fields: dict = self._said["fields"]
            self.groups: list[dict] = self._said["groups"]

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Columns of a row group, in their order in the file."""
        blocks = self.groups[group]["blocks"]
        names = list(blocks) if columns is None else sorted(columns, key=list(blocks).index)
        with self._errors():
            return pa.RecordBatch.from_arrays([_column_in(self._block(*blocks[name])) for name in names], names)

    def foot(self) -> bytes:
        """What `read_table` can be given to read this table by one request."""
        return isal_zlib.compress(json.dumps(self._said).encode())

    def check(self):
        """Reads all of it."""
        with self._errors():
            for group in self.groups:
                for block in group["blocks"].values():
                    self._block(*block)

    def _block(self, start: int, size: int, crc: int) -> bytes:
        self._file.seek(start)
        block = self._file.read(size)
        _expect(len(block) == size and isal_zlib.crc32(block) == crc)
        return block

    @contextmanager
    def _errors(self):
        try:
            yield
        except (C4BuildError, FileNotFoundError):
            raise
        except Exception as error:  # there are many ways to say it
            raise CorruptFileError(f"{self._path}: it does not hold what was written") from error


@contextmanager
def read_table(path: str, foot: bytes = b"") -> Iterator[TableReader]:
    """Opens a table that this run wrote, or has checked. Raises CorruptFileError, which says what to do.

    Args:
      path: of the table.
      foot: of the table where it is known, so that its end need not be fetched from a store.
    """
    said = json.loads(isal_zlib.decompress(foot)) if foot else None
    try:
        with open_file(path, said["end"] if said else -1) as file:
            yield TableReader(path, file, said)
    except (CorruptFileError, FileNotFoundError) as error:
        what = str(error) if isinstance(error, CorruptFileError) else f"{path}: it is gone"
        raise CorruptFileError(f"{what}; run the same command again and it is made again") from error


def _read_foot(file: BinaryIO) -> dict:
    """The foot of a table, which is found to fit the file."""
    end = file.seek(0, io.SEEK_END) - _TAIL.size
    file.seek(end)
    sha256, size = _TAIL.unpack(file.read(_TAIL.size))
    _expect(size <= end)
    file.seek(end - size)
    foot = file.read(size)
    _expect(hashlib.sha256(foot).digest() == sha256)
    said = json.loads(foot)
    blocks = [block for group in said["groups"] for block in group["blocks"].values()]
    bounds = [0, *(start + size for start, size, _ in blocks)]
    _expect(bounds == [*(start for start, _, _ in blocks), end - size] == sorted(bounds) and said["end"] == end - size)
    return said


def _expect(is_so: bool):
    if not is_so:
        raise ValueError("not what was written")


def _column_in(block: bytes) -> pa.Array:
    (batch,) = pa.ipc.open_stream(block, options=pa.ipc.IpcReadOptions(use_threads=False))
    return batch.column(0)


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


def present(column: pa.Array) -> np.ndarray:
    """[n] bool: false where a value is null."""
    there = column.buffers()[0]
    return np.ones(len(column), bool) if there is None else _bits(column, there)


def truths(column: pa.Array) -> np.ndarray:
    """[n] bool: a column of truth values, false where one is null."""
    return _bits(column, column.buffers()[1]) & present(column)


def _bits(column: pa.Array, data: pa.Buffer | None) -> np.ndarray:
    return np.unpackbits(_bytes(data), bitorder="little")[column.offset :][: len(column)].astype(bool)


def _bytes(data: pa.Buffer | None) -> np.ndarray:
    return np.frombuffer(data or b"", np.uint8)
