"""Where files lie: on this machine, in S3 or Google Cloud Storage (`objects`), or on another file system that Beam knows.

All have the same few functions. `new` opens a file for writing that is there whole when the block ends well, and not at
all when it does not: on this machine and through Beam it has a temporary name until then.
"""

import io
import os
import re
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from c4build.errors import UsageError
from c4build.read.stores import SCHEMES
from c4build.write import objects

_PIECE = 1 << 20  # bytes
_TEMPORARY = re.compile(r"(.+)\.tmp-[0-9a-f]{32}")


def is_local(path: str) -> bool:
    return "://" not in path


def storage_of(path: str):
    """What to use for a path: `Local`, `Beam`, or the module `objects`. Raises UsageError where nothing can be written."""
    if is_local(path):
        return Local
    scheme = path.partition("://")[0]
    if scheme in ("s3", "gs"):
        return objects
    if scheme in SCHEMES:
        raise UsageError(f"{path}: nothing can be written there; give a folder, s3://BUCKET/... or gs://BUCKET/...")
    return Beam


def temporary_of(path: str) -> str:
    """A name to write to until the file is whole; no other try has it."""
    return f"{path}.tmp-{uuid.uuid4().hex}"


def temporary_for(name: str) -> str | None:
    """The name of the file that `name` was to become, where it is a temporary one."""
    match = _TEMPORARY.fullmatch(name)
    return match.group(1) if match else None


@contextmanager
def renamed_to(path: str) -> Iterator[str]:
    """A temporary name for a local file, which has the name `path` when the block ends well, and is gone when it does not."""
    temporary = temporary_of(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        Local.delete(temporary)
        raise


class _InPieces(io.FileIO):
    """Writes at most so many bytes at once.

    For larger writes the kernel takes huge pages, and a virtual machine that hands free memory back to its host gets no
    such page without asking for it: that made them four times as dear.
    """

    def write(self, data) -> int:
        return super().write(memoryview(data).cast("B")[:_PIECE])


class Local:
    """Files of this machine."""

    @staticmethod
    def make_folder(path: str):
        os.makedirs(path, exist_ok=True)

    @staticmethod
    def exists(path: str) -> bool:
        return os.path.exists(path)

    @staticmethod
    def open(path: str) -> BinaryIO:
        return open(path, "rb")

    @staticmethod
    def list_folder(folder: str) -> tuple[dict[str, int], list[str]]:
        if not os.path.isdir(folder):
            return {}, []
        entries = list(os.scandir(folder))
        files = {entry.path: entry.stat().st_size for entry in entries if entry.is_file()}
        return files, [entry.path for entry in entries if entry.is_dir()]

    @staticmethod
    def delete(path: str):
        try:
            os.unlink(path)
        except (OSError, ValueError):
            pass

    @staticmethod
    @contextmanager
    def new(path: str, lasting: bool) -> Iterator[BinaryIO]:
        with renamed_to(path) as temporary, _InPieces(temporary, "wb") as file:
            yield file
            if lasting:
                os.fsync(file.fileno())

    @staticmethod
    def sweep(folder: str):
        for path, _, names in os.walk(folder):
            for name in names:
                if temporary_for(name):
                    Local.delete(os.path.join(path, name))


class Beam:
    """Files on what else Beam has a file system for, such as hdfs://."""

    @staticmethod
    def make_folder(path: str):
        systems = _of_beam(path)
        if not systems.exists(path):
            try:
                systems.mkdirs(path)
            except OSError:
                pass  # another worker was first, or folders are only names there

    @staticmethod
    def exists(path: str) -> bool:
        return _of_beam(path).exists(path)

    @staticmethod
    def open(path: str) -> BinaryIO:
        systems = _of_beam(path)
        try:
            return systems.open(path, _TYPE, _as_stored())
        except Exception as error:  # each file system has its own for what is not there
            if not systems.exists(path):
                raise FileNotFoundError(path) from error
            raise

    @staticmethod
    def list_folder(folder: str) -> tuple[dict[str, int], list[str]]:
        start = folder.rstrip("/") + "/"
        listed = _of_beam(folder).match([start + "**"])[0].metadata_list
        found = {entry.path: entry.size_in_bytes for entry in listed}
        files = {path: size for path, size in found.items() if "/" not in path.removeprefix(start)}
        below = {path.removeprefix(start).partition("/")[0] for path in found if path not in files}
        return files, [start + name for name in sorted(below)]

    @staticmethod
    def delete(path: str):
        try:
            _of_beam(path).delete([path])
        except OSError:
            pass

    @staticmethod
    @contextmanager
    def new(path: str, lasting: bool) -> Iterator[BinaryIO]:
        temporary, systems = temporary_of(path), _of_beam(path)
        try:
            with systems.create(temporary, _TYPE, _as_stored()) as file:
                yield file
            try:
                systems.rename([temporary], [path])
            except OSError:
                if not systems.exists(path):
                    raise
                systems.delete([path])  # what renames over no file has no better way
                systems.rename([temporary], [path])
        except BaseException:
            Beam.delete(temporary)
            raise

    @staticmethod
    def sweep(folder: str):
        files, folders = Beam.list_folder(folder)
        for path in files:
            if temporary_for(path.rpartition("/")[2]):
                Beam.delete(path)
        for below in folders:
            Beam.sweep(below)


_TYPE = "application/octet-stream"


def _as_stored() -> str:
    from apache_beam.io.filesystem import CompressionTypes

    return CompressionTypes.UNCOMPRESSED


def _of_beam(path: str) -> Any:
    """Beam's FileSystems; what they lack for this path is a UsageError.

    Beam gives them its options when a pipeline is made. Before that they are taken from the command line, where Beam
    takes its own from: what stands after --, or all of it.
    """
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if FileSystems._pipeline_options is None:
        options = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
        FileSystems.set_options(PipelineOptions(options))
    try:
        FileSystems.get_filesystem(path)
    except Exception as error:
        what = " ".join(str(error).split())
        raise UsageError(f"{path}: Beam cannot use this file system ({what}); its options go behind --") from error
    return FileSystems
