"""One shard of examples in each of the formats, deterministic to the byte."""

import gzip
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from c4build.compiled import core
from c4build.page import PROVENANCE
from c4build.write.example import Text, encode_example, frame, utf8
from c4build.write.files import FileSums, whole_file, whole_path
from c4build.write.folder import manifest_name
from c4build.write.metadata import METADATA

Example = Mapping[str, Text]


class Format(NamedTuple):
    """A way to write examples: `encode` is done once an example, however many corpora it goes to."""

    name: str
    template: str  # of a shard's file name
    encode: Callable[[Example], object]
    # (path, feature names, sums) -> context of a function that takes what `encode` gave; `sums` as for `whole_file`
    open: Callable
    tfds: str = ""  # TFDS's name of the format, where it can read it
    module: str = ""  # what must be installed
    frames: bool = False  # a shard is framed `tf.train.Example`s, one behind the other


def shard_name(format: Format, dataset: str, split: str, index: int, shards: int) -> str:
    return format.template.format(dataset=dataset, split=split, index=index, shards=shards)


# Of shards of dropped pages, by format. Nothing takes a file whose name begins with a _ for a shard of the corpus:
# neither readers of Parquet nor `find_shards` nor the trainer.
DROPPED_NAMES = {
    "jsonl": "_{dataset}-dropped.{index:05d}-of-{shards:05d}.json.gz",
    "parquet": "_{dataset}-dropped-{index:05d}-of-{shards:05d}.parquet",
}


def dropped_name(format: str, dataset: str, index: int, shards: int) -> str:
    return DROPPED_NAMES[format].format(dataset=dataset, index=index, shards=shards)


def validation_shards(shards: int) -> int:
    """One for each 128 of training, as TFDS's `en` has 8 and 1,024."""
    return max(1, shards // 128)


def file_names(format: Format, dataset: str, shards: int) -> Iterator[str]:
    """The names of all files in a corpus' folder."""
    for split, count in (("train", shards), ("validation", validation_shards(shards))):
        yield from (shard_name(format, dataset, split, index, count) for index in range(count))
    if format.tfds:
        yield from METADATA
    yield manifest_name(format.name)


def encoded_size(encoded) -> int:
    """Bytes of what a format's `encode` gave, before any compression of the file."""
    return len(encoded) if isinstance(encoded, bytes) else sum(len(utf8(value)) for value in encoded.values())


def _encode_tfrecord(example: Example) -> bytes:
    if core:
        return core.framed_example(list(example), list(example.values()))
    return frame(encode_example(example))


def _encode_jsonl(example: Example) -> bytes:
    # The fields of allenai/c4 on the Hugging Face Hub come first, in its order; it has no others.
    fields = {name: example[name] for name in ("text", "timestamp", "url", *PROVENANCE) if name in example}
    if "timestamp" not in fields:
        fields = dict(example)
    texts = {name: utf8(value).decode() for name, value in fields.items()}
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@contextmanager
def _open_bytes(path: str, names: Sequence[str], sums: FileSums | None = None) -> Iterator[Callable[[bytes], object]]:
    with whole_file(path, sums) as file:
        yield file.write


@contextmanager
def open_gzip(path: str, names: Sequence[str], sums: FileSums | None = None) -> Iterator[Callable[[bytes], object]]:
    """A gzip file that is the same to the byte whenever it is written."""
    with whole_file(path, sums) as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        yield packed.write


@contextmanager
def _open_parquet(path: str, names: Sequence[str], sums: FileSums | None = None) -> Iterator[Callable[[Example], None]]:
    schema = pa.schema([(name, pa.string()) for name in names])
    with ExitStack() as stack:
        file = stack.enter_context(whole_file(path, sums))
        writer = stack.enter_context(pq.ParquetWriter(file, schema, compression="zstd"))
        rows: list[Example] = []

        def flush():
            if rows:  # Hugging Face's `datasets` fails on a row group without any
                writer.write_table(pa.Table.from_pylist(rows, schema))
            rows.clear()

        def write(example: Example):
            rows.append(example)
            if len(rows) == 1000:
                flush()

        yield write
        flush()


@contextmanager
def _open_array_record(
    path: str, names: Sequence[str], sums: FileSums | None = None
) -> Iterator[Callable[[bytes], object]]:
    with whole_path(path, sums) as local, _array_record_writer(local) as write:
        yield write


@contextmanager
def _array_record_writer(path: str) -> Iterator[Callable[[bytes], object]]:
    from array_record.python.array_record_module import ArrayRecordWriter

    try:
        writer = ArrayRecordWriter(path, "group_size:1")
        try:
            yield writer.write
        finally:
            writer.close()
    except RuntimeError as error:  # its way to say that a disk is full
        raise OSError(str(error)) from error


FORMATS = {
    format.name: format
    for format in (
        Format(
            "tfrecord",
            "{dataset}-{split}.tfrecord-{index:05d}-of-{shards:05d}",
            _encode_tfrecord,
            _open_bytes,
            tfds="tfrecord",
            frames=True,
        ),
        Format(
            "array_record",
            "{dataset}-{split}.array_record-{index:05d}-of-{shards:05d}",
            encode_example,
            _open_array_record,
            tfds="array_record",
            module="array_record",
        ),
        Format("jsonl", "{dataset}-{split}.{index:05d}-of-{shards:05d}.json.gz", _encode_jsonl, open_gzip),
        Format(
            "parquet", "{dataset}-{split}-{index:05d}-of-{shards:05d}.parquet", lambda example: example, _open_parquet
        ),
    )
}


def is_installed(format: Format) -> bool:
    return not format.module or importlib.util.find_spec(format.module) is not None
