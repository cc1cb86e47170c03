"""Documents of evaluation sets: JSON lines, Parquet, or texts, each of a file or of the files of a folder."""

import io
import json
import os
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

import pyarrow.parquet as pq
import smart_open
from smart_open.compression import compression_wrapper

from c4build.errors import UsageError
from c4build.read.seeking import SoughtFile
from c4build.read.stores import SCHEMES

_JSON = (".jsonl", ".json", ".ndjson")
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_READ = 1 << 17


class Document(NamedTuple):
    path: str
    number: int  # in its file, from 1
    texts: list[str]  # all strings in it


def read_documents(paths: Sequence[str]) -> Iterator[Document]:
    """Yields the documents of files and folders: each row of Parquet, each record of JSON lines, or else each file.

    Raises UsageError, with the place.
    """
    for path in paths:
        for file in _files(path):
            yield from _documents(file)


def _files(path: str) -> list[str]:
    if "://" in path or os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise UsageError(f"--with {path}: there is no such file or folder")
    found = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names if name[0] != "."]
    if not found:
        raise UsageError(f"--with {path}: it has no files")
    return sorted(found)


def _documents(path: str) -> Iterator[Document]:
    name = path.lower()
    while name.endswith(_PACKED):
        name = name.rpartition(".")[0]
    read = _parquet if name.endswith(".parquet") else _json if name.endswith(_JSON) else _text
    number = 0
    try:
        for record in read(path):
            number += 1
            yield Document(path, number, list(_strings(record)))
    except (UsageError, GeneratorExit, MemoryError):
        raise
    except UnicodeDecodeError as error:
        raise UsageError(f"--with {path}: it is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"--with {path}: no JSON behind its document {number:,}: {error}") from error
    except Exception as error:  # the formats' libraries have many ways to say it
        raise UsageError(f"--with {path}: it cannot be read ({' '.join(str(error).split())})") from error


def _opened(path: str) -> IO[Any]:
    """The file as it is unpacked, by its name; a remote one is asked for as inputs are."""
    if path.partition("://")[0] not in SCHEMES or "://" not in path:
        return smart_open.open(path, "rb")
    return compression_wrapper(io.BufferedReader(SoughtFile(path), _READ), "rb", filename=path)


def _parquet(path: str) -> Iterator[object]:
    with _opened(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1000):
            yield from batch.to_pylist()


def _json(path: str) -> Iterator[object]:
    with _opened(path) as packed, io.TextIOWrapper(packed, encoding="utf-8") as file:
        start = file.read(1)
        while start.isspace():
            start = file.read(1)
        if start == "[":
            yield from json.loads("[" + file.read())
            return
        for line in file:
            line, start = start + line, ""
            if line.strip():
                yield json.loads(line)
        if start.strip():
            yield json.loads(start)


def _text(path: str) -> Iterator[object]:
    with _opened(path) as packed, io.TextIOWrapper(packed, encoding="utf-8") as file:
        yield file.read()


def _strings(value: object) -> Iterator[str]:
    """All strings in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
