"""Files that are whole or not there, local or on any file system that Beam knows, and that say what they should hold."""

import hashlib
import io
import json
import os
import re
import uuid
from contextlib import contextmanager
from typing import BinaryIO, Iterator, MutableMapping, NamedTuple, Optional

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from c4build.errors import CorruptFileError, OutputError

_TEMPORARY = re.compile(r"(.+)\.tmp-[0-9a-f]{32}")
_BUFFER = 1 << 18  # bytes: the kernel takes a few large writes in a quarter of the time of many small ones
_READ = 1 << 20
_SEAL = "seal"


class FileSum(NamedTuple):
    """What a file holds, in short."""

    bytes: int
    sha256: str


FileSums = MutableMapping[str, FileSum]  # by file name, without the folder


def is_local(path: str) -> bool:
    return "://" not in path


def join(*parts: str) -> str:
    return FileSystems.join(*parts)


def base_name(path: str) -> str:
    return path.rpartition("/")[2]


def make_folder(path: str):
    """Makes the folder and those above it; fails with `OutputError` where that is not allowed."""
    with output_errors(path):
        if is_local(path):
            os.makedirs(path, exist_ok=True)
        elif not FileSystems.exists(path):
            try:
                FileSystems.mkdirs(path)
            except OSError:
                pass  # another worker was first, or folders are only names there


def make_empty_folder(path: str):
    """Makes the folder, or takes the files out of it."""
    make_folder(path)
    for file in list_files(path):
        delete(file)


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
def whole_file(path: str, sums: Optional[FileSums] = None, lasting: bool = True) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path` for writing, and renames it to `path` when the block ends well.

    Args:
      path: of the file that comes to be.
      sums: where the file's size and digest are noted when it is there.
      lasting: the bytes are on the disk before the file has its name; not needed for what one run alone reads.
    """
    temporary = f"{path}.tmp-{uuid.uuid4().hex}"
    with output_errors(path):
        try:
            if is_local(path):
                raw: BinaryIO = open(temporary, "wb", buffering=0)
            else:
                raw = FileSystems.create(temporary, "application/octet-stream", CompressionTypes.UNCOMPRESSED)
            with raw:
                summing = _Summing(raw) if sums is not None else None
                if summing or is_local(path):
                    file = io.BufferedWriter(summing or raw, _BUFFER)
                    yield file
                    file.flush()
                else:
                    yield raw
                if lasting and is_local(path):
                    os.fsync(raw.fileno())
            replace(temporary, path)
        except BaseException:
            delete(temporary)
            raise
    if summing:
        sums[base_name(path)] = summing.sum()


@contextmanager
def whole_path(path: str, sums: FileSums) -> Iterator[str]:
    """The same for a local file that a library writes by itself: gives it the name to write to."""
    temporary = f"{path}.tmp-{uuid.uuid4().hex}"
    with output_errors(path):
        try:
            yield temporary
            found = sum_of(temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            replace(temporary, path)
        except BaseException:
            delete(temporary)
            raise
    sums[base_name(path)] = found


def temporary_for(name: str) -> Optional[str]:
    """The name of the file that `name` was to become, where it is what `whole_file` writes before it is whole."""
    match = _TEMPORARY.fullmatch(name)
    return match.group(1) if match else None


def is_temporary(path: str) -> bool:
    """True for what `whole_file` writes before it is whole."""
    return temporary_for(base_name(path)) is not None


def replace(source: str, target: str):
    if is_local(target):
        os.replace(source, target)
    else:
        if FileSystems.exists(target):
            FileSystems.delete([target])
        FileSystems.rename([source], [target])


def delete(path: str):
    """Deletes the file where it exists."""
    try:
        if is_local(path):
            os.unlink(path)
        else:
            FileSystems.delete([path])
    except (OSError, ValueError):
        pass


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
    return os.path.exists(path) if is_local(path) else FileSystems.exists(path)


def open_file(path: str) -> BinaryIO:
    if is_local(path):
        return open(path, "rb")
    return FileSystems.open(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED)


def list_files(folder: str) -> dict[str, int]:
    """The files in `folder` by path, with their sizes in bytes."""
    if is_local(folder):
        if not os.path.isdir(folder):
            return {}
        return {entry.path: entry.stat().st_size for entry in os.scandir(folder) if entry.is_file()}
    found = FileSystems.match([join(folder, "*")])[0].metadata_list
    return {entry.path: entry.size_in_bytes for entry in found}


def list_folders(folder: str) -> list[str]:
    """The names of the folders in a local `folder`; none where it is remote or not there."""
    if not is_local(folder) or not os.path.isdir(folder):
        return []
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())


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
    there = {base_name(path): size for path, size in list_files(folder).items()}
    for name, wanted in sums.items():
        if name not in there:
            yield name, "it is missing"
        elif there[name] != wanted.bytes:
            yield name, f"it has {there[name]:,} bytes, not {wanted.bytes:,}"
        elif sum_of(join(folder, name)) != wanted:
            yield name, "it does not hold what was written"


def read_checked(path: str, wanted: FileSum) -> bytes:
    """A small file's content. Raises CorruptFileError where that is not what was written."""
    try:
        with open_file(path) as file:
            data = file.read()
    except FileNotFoundError:
        data = b""
    if (len(data), hashlib.sha256(data).hexdigest()) != wanted:
        raise CorruptFileError(f"{path}: it does not hold what was written; run the same command again and it is made again")
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
