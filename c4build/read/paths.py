"""Where inputs lie: files, globs, folders and lists of paths, local or remote, each with an identity of its own."""

import fnmatch
import glob
import gzip
import hashlib
import io
import os
from typing import BinaryIO, Iterable, NamedTuple, Optional

import smart_open
from smart_open.transport import get_transport

from c4build.errors import UsageError

CRAWL_HOST = "https://data.commoncrawl.org/"
_ENDINGS = (".wet", ".wet.gz")
_TYPICAL_BYTES = 100 << 20  # of a WET file of Common Crawl, where the size is not known


class Input(NamedTuple):
    """One file to read. `size` in bytes is -1 where only reading can tell."""

    path: str
    size: int
    identity: str  # what a page file made of it is named by

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def likely_size(self) -> int:
        return self.size if self.size >= 0 else _TYPICAL_BYTES


class InputError(Exception):
    """The input cannot be read on from `offset`, a number of bytes."""

    def __init__(self, message: str, offset: int):
        super().__init__(message)
        self.offset = offset


def find_inputs(given: Iterable[str], crawls: Iterable[str] = (), limit: Optional[int] = None) -> list[Input]:
    """The WET files that the command names, each once, sorted by name: their order on the command line is no matter.

    Args:
      given: WET files, globs, folders (searched for *.wet.gz and *.wet), lists of paths (wet.paths, wet.paths.gz).
      crawls: names of crawls such as CC-MAIN-2019-18, whose own lists are read from Common Crawl.
      limit: how many of the first files to take.

    Raises:
      UsageError: something named is not there or holds no WET file.
    """
    paths: list[str] = []
    for name in given:
        paths += _expand(name)
    for crawl in crawls:
        if not fnmatch.fnmatch(crawl, "CC-MAIN-*"):
            raise UsageError(f"--crawl {crawl}: crawls are named as in CC-MAIN-2019-18")
        paths += _read_list(f"{CRAWL_HOST}crawl-data/{crawl}/wet.paths.gz")
    if not paths:
        raise UsageError("no input: name WET files, a folder, a list of paths, or --crawl")
    _check_schemes(paths)
    inputs = {path: _identify(path) for path in dict.fromkeys(paths)}
    if limit is not None:
        inputs = dict(list(inputs.items())[:limit])
    return sorted(inputs.values(), key=lambda source: (source.name, source.path))


def _check_schemes(paths: Iterable[str]):
    """Fails where an address is of a kind that smart-open does not read, or not without a package more."""
    for scheme, path in {path.partition("://")[0]: path for path in paths if "://" in path}.items():
        try:
            get_transport(scheme)
        except Exception as error:
            raise UsageError(
                f"{path}: addresses that start with {scheme}:// cannot be read; s3:// needs pip install 'c4build[s3]', "
                "gs:// 'c4build[gcp]'"
            ) from error


def _expand(name: str) -> list[str]:
    base = name.rpartition("/")[2]
    if base.endswith((".paths", ".paths.gz")):
        return _read_list(name)
    if "://" in name:
        if any(char in base for char in "*[") or name.endswith("/"):
            return _expand_remote(name)
        return [name]
    if os.path.isdir(name):
        found = sorted(
            os.path.join(folder, file)
            for folder, _, files in os.walk(name)
            for file in files
            if file.endswith(_ENDINGS)
        )
        if not found:
            raise UsageError(f"{name}: no file in this folder ends in .wet.gz or .wet")
        return found
    if os.path.exists(name):
        return [os.path.abspath(name)]
    found = sorted(map(os.path.abspath, filter(os.path.isfile, glob.glob(name, recursive=True))))
    if not found:
        what = "no file matches" if glob.has_magic(name) else "there is no such file or folder"
        raise UsageError(f"{name}: {what}")
    return found


def _expand_remote(name: str) -> list[str]:
    from apache_beam.io.filesystems import FileSystems

    patterns = [name + "*" + ending for ending in _ENDINGS] if name.endswith("/") else [name]
    try:
        found = [entry.path for match in FileSystems.match(patterns) for entry in match.metadata_list]
    except Exception as error:
        raise UsageError(f"{name}: cannot be listed ({error}); name the files, or give a list of paths") from error
    if not found:
        raise UsageError(f"{name}: no file matches")
    return sorted(found)


def _read_list(name: str) -> list[str]:
    """The paths in a list of paths: those of Common Crawl stand for its own address, others are as they are written."""
    try:
        with smart_open.open(name, "rb", compression="disable") as file:
            data = file.read()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()
    except Exception as error:
        raise UsageError(f"{name}: cannot be read as a list of paths ({_reason(error)})") from error
    paths = [line.strip() for line in text.splitlines() if line.strip()]
    if not paths:
        raise UsageError(f"{name}: this list of paths is empty")
    folder = os.path.dirname(os.path.abspath(name)) if "://" not in name else None
    return [_of_list(path, folder) for path in paths]


def _of_list(path: str, folder: Optional[str]) -> str:
    if "://" in path or os.path.isabs(path):
        return path
    if folder and os.path.exists(os.path.join(folder, path)):
        return os.path.join(folder, path)
    if path.startswith("crawl-data/"):
        return CRAWL_HOST + path
    if folder:
        raise UsageError(f"{path}: a list of paths in {folder} names this file, which is not there")
    return path


def _identify(path: str) -> Input:
    size, detail = -1, ""
    if "://" not in path:
        try:
            status = os.stat(path)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        size, detail = status.st_size, f"{status.st_size} {status.st_mtime_ns}"
    digest = hashlib.sha256(f"{path}\n{detail}".encode()).hexdigest()[:16]
    return Input(path, size, digest)


class OpenedInput(io.RawIOBase):
    """An input's bytes, decompressed by nobody, counted as they are read; a failure is an `InputError` with its place."""

    def __init__(self, source: Input):
        self._source = source
        self.read_bytes = 0
        try:
            self._file: BinaryIO = smart_open.open(source.path, "rb", compression="disable")
        except Exception as error:
            raise InputError(f"cannot be opened: {_reason(error)}", 0) from error

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
        except Exception as error:
            raise InputError(f"cannot be read on: {_reason(error)}", self.read_bytes) from error
        self.read_bytes += len(data)
        return data

    def close(self):
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


def open_input(source: Input) -> OpenedInput:
    return OpenedInput(source)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
