"""Examples of finished shards, whatever their format: what `write.shards` wrote, or TFDS."""

import gzip
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import pyarrow.parquet as pq

from c4build.errors import C4BuildError, UsageError
from c4build.write.example import masked_crc
from c4build.write.files import is_local, is_temporary, join, list_files, list_folders, local_copy, open_file
from c4build.write.folder import version_key


class ShardError(C4BuildError):
    """A shard is not what its name says: where, in bytes (None: nobody can tell), and what."""

    def __init__(self, path: str, offset: int | None, what: str):
        super().__init__(f"{path}: {what}" if offset is None else f"{path}: byte {offset:,}: {what}")
        self.offset, self.what = offset or 0, what


class Shard(NamedTuple):
    path: str
    split: str
    kind: str  # tfrecord | array_record | jsonl | parquet
    size: int  # bytes


_MARKS = (
    (".tfrecord-", "tfrecord"),
    (".array_record-", "array_record"),
    (".json.gz", "jsonl"),
    (".parquet", "parquet"),
)


def find_shards(folder: str) -> list[Shard]:
    """The finished shards of a corpus' folder, by name; those of dropped pages are none."""
    shards = []
    for path, size in sorted(list_files(folder).items()):
        name = path.rpartition("/")[2]
        kind = next((kind for mark, kind in _MARKS if mark in name), None)
        if kind and not is_temporary(path) and not name.startswith("_"):
            shards.append(Shard(path, "validation" if "-validation" in name else "train", kind, size))
    return shards


def newest_version(folder: str) -> str:
    """`folder` itself where it holds shards, else the newest version below it: OUT/c4/en becomes OUT/c4/en/1.0.0.

    A folder without any shard below it stays as it is. Raises UsageError where there is no such folder, or where several
    corpora lie below it.
    """
    if is_local(folder) and not os.path.isdir(folder):
        raise UsageError(f"{folder}: there is no such folder; give a corpus' folder, as in OUT/c4/en")
    found = _with_shards(folder, _DEPTH)
    if folder in found or not found:
        return folder
    corpora = sorted({path.rpartition("/")[0] for path in found})
    if len(corpora) > 1:
        raise UsageError(f"{folder}: several corpora lie below it, name one of them: {', '.join(corpora)}")
    return max(found, key=version_key)


_DEPTH = 3  # of folders below one: wikipedia/20240501.en/1.0.0


def _with_shards(folder: str, depth: int) -> list[str]:
    if find_shards(folder):
        return [folder]
    if not depth:
        return []
    below = (join(folder, name) for name in list_folders(folder) if not name.startswith("."))
    return [found for path in below for found in _with_shards(path, depth - 1)]


def read_shard(shard: Shard) -> Iterator[Mapping[str, str]]:
    """Yields a shard's examples in their order. Raises ShardError where it is damaged."""
    try:
        yield from _READERS[shard.kind](shard.path)
    except (ShardError, GeneratorExit):
        raise
    except Exception as error:  # the formats' libraries have many ways to say it
        raise ShardError(
            shard.path, None, f"it cannot be read ({' '.join(str(error).split()) or type(error).__name__})"
        ) from error


def _read_tfrecord(path: str) -> Iterator[Mapping[str, str]]:
    with open_file(path) as file:
        place = 0
        while head := file.read(12):
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
            if len(head) < 12 or head[8:] != masked_crc(head[:8]):
                raise ShardError(path, place, "the length of a record is damaged")
            record, check = file.read(length), file.read(4)
            if len(record) < length or check != masked_crc(record):
                raise ShardError(path, place, "a record is damaged or cut short")
            yield decode_example(record)
            place += length + 16


def decode_example(record: bytes) -> dict[str, str]:
    """The features of a serialised tf.train.Example with one bytes value each, in their order."""
    found = {}
    for features in _fields(record):
        for entry in _fields(features):
            key, feature = _fields(entry)
            values = [value for held in _fields(feature) for value in _fields(held)]
            found[key.decode()] = values[0].decode(errors="replace") if values else ""
    return found


def _fields(data: bytes) -> Iterator[bytes]:
    """The contents of a protobuf message's fields, all of which hold bytes."""
    place = 0
    while place < len(data):
        place += 1  # the tag: field numbers here are below 16
        size = shift = 0
        while True:
            byte = data[place]
            place += 1
            size |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        yield data[place : place + size]
        place += size


def _read_array_record(path: str) -> Iterator[Mapping[str, str]]:
    from array_record.python.array_record_module import ArrayRecordReader

    with local_copy(path) as local:
        reader = ArrayRecordReader(local)
        if not reader.ok():
            raise ShardError(path, None, "it is no array_record file")
        for index in range(reader.num_records()):
            yield decode_example(reader.read([index])[0])


def _read_jsonl(path: str) -> Iterator[Mapping[str, str]]:
    with open_file(path) as file, gzip.open(file) as lines:
        for line in _told(path, lines):
            yield json.loads(line)


def _told(path: str, lines: gzip.GzipFile) -> Iterator[bytes]:
    try:
        yield from lines
    except (EOFError, OSError) as error:
        raise ShardError(path, lines.tell(), f"{error} (bytes as unpacked)") from error


def _read_parquet(path: str) -> Iterator[Mapping[str, str]]:
    with open_file(path) as file:
        table = pq.ParquetFile(file)
        for group in range(table.num_row_groups):
            yield from table.read_row_group(group, use_threads=False).to_pylist()


_READERS: dict[str, Callable[[str], Iterator[Mapping[str, str]]]] = {
    "tfrecord": _read_tfrecord,
    "array_record": _read_array_record,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
}
