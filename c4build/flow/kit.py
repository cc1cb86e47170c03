"""What the flow of web pages (`web`) and that of other records (`records`) have in common, before Beam comes in.

The stages that both are made of are in `stages`, what they write in `corpus`.
"""

import datetime
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from c4build.errors import CorruptFileError, UsageError, printable
from c4build.read import attempts
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.write.files import is_local, join
from c4build.write.lock import lock, unlock

_MOST_DAMAGES = 100  # of one input that are told; the others are counted


class Run(NamedTuple):
    """A run of either flow, as its steps need to know it."""

    out: str  # see `absolute`: workers may have another working folder
    format: str
    shards: int
    inputs: int  # files, or pieces of them
    fingerprint: str  # of all that decides the shards
    provenance: dict  # how the run came about, for the manifest
    progress: str | None = None  # a folder for marks of how far it is, see `runs`
    most_missing: int | None = None  # inputs that may be left out where they cannot be fetched; None: no option has it

    @property
    def work(self) -> str:
        """The folder for what is made on the way."""
        return work_folder(self.out)

    @property
    def listed(self) -> str:
        """The folder of the lists of inputs, see `write_inputs`: a job's graph could not hold a crawl's."""
        return join(self.work, f"inputs-{self.fingerprint}")

    @property
    def units(self) -> str:
        """The folder of what finished shards leave."""
        return join(self.work, "units", self.fingerprint)

    def progress_file(self, number: int) -> str | None:
        """What a `Task` of the input is named by."""
        return self.progress and join(self.progress, str(number))

    def done_file(self, shard: int) -> str:
        """What is said of a finished shard."""
        return join(self.units, f"{shard:05d}.json")

    def samples_file(self, shard: int) -> str:
        """What may become samples of the shard's pages."""
        return join(self.units, f"{shard:05d}.samples")

    def held_out_file(self, shard: int) -> str:
        """The shard's examples for the validation split."""
        return join(self.units, f"{shard:05d}.validation")


class Watched(NamedTuple):
    """As much of a `Run` as its progress is told by."""

    work: str
    units: str  # the folder of what finished shards leave
    shards: int


class Prepared(NamedTuple):
    """What a person asks for, found possible and planned; nothing is read yet."""

    plan: Any  # `web.Plan` or `records.Plan`, whose modules import Beam
    inputs: Sequence[Any]  # `Input` or `examples.Unit`
    page_files: list[str]  # of the inputs
    folders: dict[str, str]  # of the corpora, by name
    complete: bool  # all of it was made before


def absolute(path: str) -> str:
    """The path, independent of the working folder."""
    return os.path.abspath(path) if is_local(path) else path.rstrip("/")


def work_folder(out: str) -> str:
    return join(out, ".c4build")


def now() -> str:
    """When a run was started, for its manifest."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def transport(out: str, most_connections: int, paths: Iterable[str]) -> Transport:
    """How the inputs at `paths` are fetched: where OUT is local the bound on connections is for all of a run's processes."""
    # Processes that share no disk cannot share connections: there the bound is for each.
    shared = is_local(out) and any("://" in path for path in paths)
    return attempts.DEFAULT._replace(
        most_connections=most_connections, slots_folder=join(work_folder(out), "connections") if shared else ""
    )


def check_connections(most: int):
    """Raises UsageError where no connection is let."""
    if most < 1:
        raise UsageError(f"--max-connections {most}: it must be 1 or more")


@contextmanager
def locked(out: str) -> Iterator[None]:
    """Takes the lock of an output folder, and gives it back where the block fails. Raises InUseError."""
    work = work_folder(out)
    lock(work, out)
    try:
        yield
    except BaseException:
        unlock(work)
        raise


BUCKET_BYTES = 100_000_000  # of keys, about: a process holds a bucket and sorts it


def buckets(size: int, least: int, bucket_bytes: int = BUCKET_BYTES) -> int:
    """Into how many parts so many bytes of keys are dealt."""
    return min(max(-(-size // bucket_bytes), least), 1 << 15)


def may_be_gone(damage: Damage, path: str) -> bool:
    """True for a damage of the input at `path` that the next run may not find: then it reads the input again."""
    # What a server sent in place of the file, or did not send, may be there the next time.
    return damage.failed or (damage.cut and not is_local(path))


class Damages:
    """The first damages of an input, and how many more there are."""

    def __init__(self) -> None:
        self.first: list[tuple] = []
        self.more = 0

    def add(self, *place_and_what):
        """Adds a place, of one or several values, and in the end what is damaged there."""
        if len(self.first) < _MOST_DAMAGES:
            *place, what = place_and_what
            self.first.append((*place, printable(what)))
        else:
            self.more += 1


def least_buckets(groups: int) -> int:
    """Into how many parts the keys of so many groups of files are dealt at the least, for the sake of workers."""
    return min(max(8, 4 * groups), 256)


R = TypeVar("R", bound=Any)


def read_once(find: Callable[[], R | None], read: Callable[[], R]) -> R:
    """The report of an input: one found of a former run that read it to its end, else that of reading it now.

    A report has the fields `complete` and `remade`; the latter says why what `find` came upon was not taken.
    """
    remade = ""
    try:
        report = find()
        if report and report.complete:
            return report
    except (CorruptFileError, OSError) as error:
        remade = str(error)
    return read()._replace(remade=remade)
