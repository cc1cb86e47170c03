"""Files that are whole or not there, local or on any file system that Beam knows."""

import json
import os
from contextlib import contextmanager
from typing import BinaryIO, Iterator

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from c4build.errors import OutputError


_TEMPORARY = ".tmp-"
_BUFFER = 1 << 18  # bytes: the kernel takes a few large writes in a quarter of the time of many small ones


def is_local(path: str) -> bool:
    return "://" not in path


def join(*parts: str) -> str:
    return FileSystems.join(*parts)


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


@contextmanager
def output_errors(path: str):
    """Turns a failure to write into one clear `OutputError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {reason}") from error


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path` for writing, and renames it to `path` when the block ends well."""
    temporary = f"{path}{_TEMPORARY}{os.getpid()}"
    with output_errors(path):
        try:
            if is_local(path):
                with open(temporary, "wb", buffering=_BUFFER) as file:
                    yield file
            else:
                with FileSystems.create(
                    temporary, "application/octet-stream", CompressionTypes.UNCOMPRESSED
                ) as file:
                    yield file
            replace(temporary, path)
        except BaseException:
            delete(temporary)
            raise


def is_temporary(path: str) -> bool:
    """True for what `whole_file` writes before it is whole."""
    return _TEMPORARY in path.rpartition("/")[2]


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


def write_json(path: str, value):
    with whole_file(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n")


def read_json(path: str):
    with open_file(path) as file:
        return json.loads(file.read())
