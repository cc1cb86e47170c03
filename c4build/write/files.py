"""Files that are whole or not there, wherever they lie (see `storage`), and that say what they should hold."""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from c4build.errors import CorruptFileError, OutputError
from c4build.write import objects
from c4build.write.storage import is_local, renamed_to, storage_of, temporary_for

_BUFFER = 1 << 18  # bytes: the kernel takes a few large writes in a quarter of the time of many small ones
_READ = 1 << 20
_DELETED_AT_ONCE = 16  # files that are not on this machine: each is a request
_SEAL = "seal"


class FileSum(NamedTuple):
    """What a file holds, in short."""

    bytes: int
    sha256: str


FileSums = MutableMapping[str, FileSum]  # by file name, without the folder


def join(*parts: str) -> str:
    if is_local(parts[0]):
        return os.path.join(*parts)
    return "/".join([parts[0].rstrip("/"), *(part.strip("/") for part in parts[1:])])


def base_name(path: str) -> str:
    return path.rpartition("/")[2]


def make_folder(path: str):
    """Makes the folder and those above it; fails with `OutputError` where that is not allowed."""
    with output_errors(path):
        storage_of(path).make_folder(path)


def make_empty_folder(path: str):
    """Makes the folder, or takes the files out of it."""
    make_folder(path)
    with ThreadPoolExecutor(1 if is_local(path) else _DELETED_AT_ONCE) as pool:
        list(pool.map(delete, list_files(path)))


@contextmanager
def output_errors(path: str):
    """Turns a failure to write into one clear `OutputError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {reason}") from error


class _Summing(io.RawIOBase):
    """Passes what is written on to a file, and sums it up on the way."""

    def __init__(self, file: BinaryIO):
        self._file, self._hash, self._size = file, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        data = memoryview(data)
        written = self._file.write(data)
        written = len(data) if written is None else written
        self._hash.update(data[:written])
        self._size += written
        return written

    def sum(self) -> FileSum:
        return FileSum(self._size, self._hash.hexdigest())


@contextmanager
def whole_file(path: str, sums: FileSums | None = None, lasting: bool = True) -> Iterator[BinaryIO]:
    """Opens a file for writing that is there, whole, when the block ends well; else what was there before stays.

    Args:
      path: of the file that comes to be.
      sums: where the file's size and digest are noted when it is there.
      lasting: the bytes are on the disk before the file has its name; not needed for what one run alone reads.
    """
    with output_errors(path), storage_of(path).new(path, lasting) as raw:
        summing = _Summing(raw) if sums is not None else None
        file = io.BufferedWriter(summing or raw, _BUFFER)
        yield file
        file.flush()
    if sums is not None and summing is not None:
        sums[base_name(path)] = summing.sum()


@contextmanager
def whole_path(path: str, sums: FileSums | None) -> Iterator[str]:
    """The same for a library that writes a local file by itself: gives it the name to write to."""
    if not is_local(path):
        with output_errors(path), tempfile.TemporaryDirectory() as folder:
            local = os.path.join(folder, base_name(path))
            yield local
            with whole_file(path, sums) as file, open(local, "rb") as written:
                shutil.copyfileobj(written, file)
        return
    with output_errors(path), renamed_to(path) as temporary:
        yield temporary
        found = sum_of(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
    if sums is not None:
        sums[base_name(path)] = found


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """The name of a local file that holds the same, for a library that reads by itself: `path`, where that is local."""
    if is_local(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, base_name(path))
        with open_file(path) as file, open(local, "wb") as copy:
            shutil.copyfileobj(file, copy, _READ)
        yield local


def is_temporary(path: str) -> bool:
    """True for what `whole_file` writes before it is whole."""
    return temporary_for(base_name(path)) is not None


def delete(path: str):
    """Deletes the file where it exists."""
    storage_of(path).delete(path)


def sweep(folder: str):
    """Deletes what a process that was killed left unfinished below a folder."""
    storage_of(folder).sweep(folder)


def sync_folder(path: str):
    """Sees to it that the files of a local folder have their names even if the machine stops now."""
    if is_local(path) and os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError:
            pass  # some file systems have no such thing
        finally:
            os.close(handle)


def exists(path: str) -> bool:
    """True where there is such a file."""
    return storage_of(path).exists(path)


def open_file(path: str, size: int = -1) -> BinaryIO:
    """The file for reading, here and there or to its end. Raises FileNotFoundError, OSError, OutputError.

    Args:
      path: of the file.
      size: how many of its first bytes are all that will be asked for, where that is known: it saves a store requests.
    """
    storage = storage_of(path)
    return storage.open(path, size) if storage is objects else storage.open(path)


def list_folder(folder: str) -> tuple[dict[str, int], list[str]]:
    """The files in `folder` by path, with their sizes in bytes, and the names of the folders in it; none if it is not there."""
    files, folders = storage_of(folder).list_folder(folder)
    return files, sorted(map(base_name, folders))


def list_files(folder: str) -> dict[str, int]:
    """The files in `folder` by path, with their sizes in bytes."""
    return list_folder(folder)[0]


def list_folders(folder: str) -> list[str]:
    """The names of the folders in `folder`."""
    return list_folder(folder)[1]


def sum_of(path: str) -> FileSum:
    """What a file holds. Raises OSError."""
    found, size = hashlib.sha256(), 0
    with open_file(path) as file:
        while block := file.read(_READ):
            found.update(block)
            size += len(block)
    return FileSum(size, found.hexdigest())


def check_sums(folder: str, sums: dict[str, FileSum]) -> Iterator[tuple[str, str]]:
    """Yields (name, what is wrong) for each of the files that is not there or is not what it was."""
    there = list_files(folder) if sums else {}
    for name, wanted in sums.items():
        if what := check_sum(join(folder, name), wanted, there):
            yield name, what


def check_sum(path: str, wanted: FileSum, there: dict[str, int]) -> str | None:
    """What is wrong with a file, None where it holds what was written. `there`: the files of its folder, as listed."""
    if path not in there:
        return "it is missing"
    if there[path] != wanted.bytes:
        return f"it has {there[path]:,} bytes, not {wanted.bytes:,}"
    return None if sum_of(path) == wanted else "it does not hold what was written"


def read_checked(path: str, wanted: FileSum) -> bytes:
    """A small file's content. Raises CorruptFileError where that is not what was written."""
    try:
        with open_file(path) as file:
            data = file.read()
    except FileNotFoundError:
        data = b""
    if (len(data), hashlib.sha256(data).hexdigest()) != wanted:
        raise CorruptFileError(
            f"{path}: it does not hold what was written; run the same command again and it is made again"
        )
    return data


# JSON that knows when it is not what was written


def digest(value) -> str:
    """A short name for a value that JSON can hold."""
    return _sha256(value)[:16]


def seal(fields: dict) -> dict:
    """The fields, and a digest of them as the last one."""
    fields = {name: value for name, value in json.loads(json.dumps(fields)).items() if name != _SEAL}
    return {**fields, _SEAL: _sha256(fields)}


def unseal(fields, path: str) -> dict:
    """The fields that were sealed. Raises CorruptFileError where these are others; `path` names them."""
    if not isinstance(fields, dict) or fields.get(_SEAL) != _sha256({k: v for k, v in fields.items() if k != _SEAL}):
        raise CorruptFileError(f"{path}: it does not hold what was written")
    return {name: value for name, value in fields.items() if name != _SEAL}


def write_sealed(path: str, fields: dict):
    with whole_file(path) as file:
        file.write(json.dumps(seal(fields), indent=2, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")


def read_sealed(path: str) -> dict:
    """What `write_sealed` wrote. Raises OSError where it is not there, CorruptFileError where it holds something else."""
    with open_file(path) as file:
        data = file.read()
    try:
        return unseal(json.loads(data), path)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path}: it does not hold what was written") from error


def read_own(path: str) -> dict:
    """What this run wrote by `write_sealed`. Raises CorruptFileError, which says what to do."""
    try:
        return read_sealed(path)
    except (CorruptFileError, FileNotFoundError) as error:
        raise CorruptFileError(f"{path}: it does not hold what was written; run the same command again") from error


def _sha256(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
