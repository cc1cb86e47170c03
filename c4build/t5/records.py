"""Texts from a corpus's folder: the pipeline's TFRecords, and any `text` TFRecord, JSONL or Parquet.

A reader starts at a position and yields (position, next position, text); a position is what its format can seek to: a
byte for TFRecord and JSONL, a row for Parquet. TensorFlow is not needed: a TFRecord is eight bytes of length and its
checksum, the data and its checksum; in it a `tf.train.Example` is read by the four tags that lead to a bytes feature.
"""

import gzip
import json
import re
import struct
import zlib
from pathlib import Path

import google_crc32c

from c4build.errors import DamageError, UsageError

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet", ".tfrecord")


class DamagedRecord(DamageError):
    """A record that cannot be read; the message names the file and the position."""


def masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_tfrecords(path, start: int = 0):
    """(position, next position, bytes) of every record from the byte `start`; raises DamagedRecord."""
    with open(path, "rb") as file:
        file.seek(start)
        position = start
        while header := file.read(12):
            if len(header) < 12 or masked_crc(header[:8]) != struct.unpack("<I", header[8:])[0]:
                raise DamagedRecord(f"{path}: damaged record header at byte {position}; build this shard again")
            length = struct.unpack("<Q", header[:8])[0]
            data, check = file.read(length), file.read(4)
            if len(data) < length or len(check) < 4 or masked_crc(data) != struct.unpack("<I", check)[0]:
                raise DamagedRecord(f"{path}: damaged record at byte {position}; build this shard again")
            yield position, position + 16 + length, data
            position += 16 + length


def write_tfrecords(path, records) -> None:
    """For tests and small sets: the opposite of `read_tfrecords`."""
    with open(path, "wb") as file:
        for data in records:
            header = struct.pack("<Q", len(data))
            file.write(header + struct.pack("<I", masked_crc(header)) + data + struct.pack("<I", masked_crc(data)))


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data: bytes):
    """(number, value) of a protocol buffer message; bytes for nested ones, int for varints, None for fixed numbers."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 2:
            length, at = varint(data, at)
            yield tag >> 3, data[at : at + length]
            at += length
        elif kind == 0:
            value, at = varint(data, at)
            yield tag >> 3, value
        elif kind in (1, 5):
            yield tag >> 3, None
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")


def example_text(data: bytes, key: str = "text") -> str:
    """The first value of a bytes feature of a serialised `tf.train.Example`; raises KeyError where it is missing."""
    wanted = key.encode()
    for _, features in fields(data):
        for _, entry in fields(features):
            pair = dict(fields(entry))
            if pair.get(1) == wanted:
                for _, values in fields(pair[2]):
                    for _, value in fields(values):
                        return value.decode("utf-8")
    raise KeyError(key)


def tagged(number: int, data: bytes) -> bytes:
    length, size = b"", len(data)
    while size >= 128:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def text_example(text: str, key: str = "text") -> bytes:
    """A `tf.train.Example` with one bytes feature."""
    feature = tagged(1, tagged(1, text.encode()))
    return tagged(1, tagged(1, tagged(1, key.encode()) + tagged(2, feature)))


def read_examples(path, start):
    for position, following, data in read_tfrecords(path, start):
        try:
            yield position, following, example_text(data)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DamagedRecord(f"{path}: no tf.train.Example with `text` at byte {position} ({error!r})") from error


def read_jsonl(path, start):
    opened = gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb")
    with opened as file:
        file.seek(start)
        position = start
        for line in file:
            following = position + len(line)
            if line.strip():
                try:
                    text = json.loads(line)["text"]
                except (KeyError, TypeError, ValueError) as error:
                    raise DamagedRecord(f"{path}: no JSON object with `text` at byte {position} ({error!r})") from error
                yield position, following, text
            position = following


def read_parquet(path, start):
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    row = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if row + size > start:
            texts = file.read_row_group(group, columns=["text"]).column("text").to_pylist()
            for offset in range(max(start - row, 0), size):
                yield row + offset, row + offset + 1, texts[offset]
        row += size


def read_texts(path, start: int = 0):
    """(position, next position, text) of every example in one file from `start` on."""
    name = str(path)
    if name.endswith(".parquet"):
        return read_parquet(path, start)
    if name.removesuffix(".gz").endswith((".jsonl", ".json")):
        return read_jsonl(path, start)
    return read_examples(path, start)


def is_corpus_file(path: Path) -> bool:
    named = path.name.endswith(SUFFIXES) or ".tfrecord-" in path.name
    return named and path.name not in ("dataset_info.json", "features.json") and not path.name.startswith((".", "_"))


def version_key(name: str):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def corpus_folder(path) -> Path:
    """`path` itself if it holds examples, else its newest version (`c4/en` becomes `c4/en/1.0.0`)."""
    folder = Path(path)
    if folder.is_file():
        return folder
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; a corpus is a folder that `c4build` wrote")
    if any(is_corpus_file(file) for file in folder.iterdir()):
        return folder
    below = {file.parent for file in folder.rglob("*") if file.is_file() and is_corpus_file(file)}
    if not below:
        raise UsageError(f"{folder}: no .tfrecord, .jsonl or .parquet file here or below")
    if len({part.parent for part in below}) > 1:
        names = ", ".join(sorted(str(part.relative_to(folder)) for part in below))
        raise UsageError(f"{folder}: holds several corpora ({names}); name one")
    return max(below, key=lambda part: version_key(part.name))


# One text in so many is held out, by its checksum, where a corpus has no validation split; and of a corpus of few texts.
HELD_OUT, HELD_OUT_OF_FEW, FEW_BYTES = 100, 5, 1_000_000


def corpus_files(path, part: str) -> tuple[list[Path], int | None]:
    """The files of `part` ("train" or "validation"), and None; or all files and the share to hold out by checksum."""
    folder = corpus_folder(path)
    files = [folder] if folder.is_file() else sorted(file for file in folder.iterdir() if is_corpus_file(file))
    splits = {
        name: [f for f in files if re.search(rf"(^|[-_.]){name}([-_.]|$)", f.name)] for name in ("train", "validation")
    }
    held = any(next(read_texts(file), None) for file in splits["validation"])
    if held and (splits["train"] or part == "validation"):
        return splits[part], None
    found = splits["train"] or files
    return found, HELD_OUT if sum(file.stat().st_size for file in found) > FEW_BYTES else HELD_OUT_OF_FEW


def in_part(text: str, part: str, held_out: int | None) -> bool:
    if held_out is None:
        return True
    return (zlib.crc32(text.encode()) % held_out == 0) == (part == "validation")
