"""A corpus as both flows write it: shards, each written once and checked when found; the validation split; the manifest."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeVar

from c4build.errors import CorruptFileError, UsageError
from c4build.flow.kit import Run
from c4build.write.example import utf8
from c4build.write.files import (
    FileSum,
    FileSums,
    check_sums,
    join,
    make_folder,
    read_sealed,
    write_sealed,
)
from c4build.write.folder import claim, complete, sweep
from c4build.write.metadata import Dataset, Split, write_metadata
from c4build.write.shards import (
    FORMATS,
    Example,
    Format,
    encoded_size,
    file_names,
    is_installed,
    open_gzip,
    shard_name,
    validation_shards,
)

# A list of URLs, one a line: members of a gzip file, which can be put one behind the other.
URLS = Format(
    "urls",
    "{dataset}-{split}-{index:05d}-of-{shards:05d}.txt.gz",
    lambda example: utf8(example["url"]) + b"\n",
    open_gzip,
)
ALL_FORMATS = {**FORMATS, URLS.name: URLS}
_MOST_DAMAGES = 10_000  # that a manifest lists; the others are counted
_MOST_REMADE = 100


def format_named(name: str) -> Format:
    return ALL_FORMATS[name]


def check_format(name: str, formats: Mapping[str, Format] = FORMATS):
    """Fails with `UsageError` where there is no such format among `formats`, or its package is not installed."""
    if name not in formats:
        raise UsageError(f"--format {name}: there are {', '.join(FORMATS)}")
    if not is_installed(formats[name]):
        raise UsageError(f"--format {name} needs a package: pip install 'c4build[array-record]'")


class Corpus(NamedTuple):
    """One that is written, as shards of training and of validation."""

    dataset: Dataset
    folder: str
    beside: tuple[str, ...] = ()  # names of files that are written beside the shards

    def file_names(self, run: Run) -> set[str]:
        """All that will be in its folder."""
        return {*file_names(format_named(run.format), self.dataset.name, run.shards), *self.beside}


def make_ready(run: Run, corpora: Sequence[Corpus], folders: Sequence[str]):
    """Makes the folders of a run, `folders` too, and takes away what a run that was killed left unfinished in them.

    Raises UsageError where files that are not ours lie in a corpus' folder.
    """
    for corpus in corpora:
        claim(corpus.folder, corpus.file_names(run))
    for folder in (run.units, *folders):
        make_folder(folder)
    sweep(run.work)


class Written(NamedTuple):
    """What one shard holds."""

    length: int  # examples
    size: int  # bytes of them, before compression
    sums: dict[str, FileSum]  # of the files, by name


class ShardWriter:
    """Writes what the format's `encode` gave; `sums` are there when the shard is closed."""

    def __init__(self, write: Callable[[Any], object], sums: dict[str, FileSum]):
        self._write, self._sums = write, sums
        self._length = self._size = 0

    def write(self, encoded, size: int):
        """Writes an example of so many bytes."""
        self._write(encoded)
        self._length += 1
        self._size += size

    def write_many(self, encoded: bytes, examples: int):
        """Writes so many examples, which in this format are bytes, one behind the other."""
        if examples:
            self._write(encoded)
        self._length += examples
        self._size += len(encoded)

    def written(self) -> Written:
        return Written(self._length, self._size, self._sums)


@contextmanager
def open_shard(run: Run, corpus: Corpus, split: str, index: int) -> Iterator[ShardWriter]:
    """A shard of a corpus, there when the block ends well."""
    format = format_named(run.format)
    sums: dict[str, FileSum] = {}
    shards = run.shards if split == "train" else validation_shards(run.shards)
    path = join(corpus.folder, shard_name(format, corpus.dataset.name, split, index, shards))
    with format.open(path, corpus.dataset.features, sums) as write:
        yield ShardWriter(write, sums)


R = TypeVar("R", bound=Any)


def write_once(
    path: str, kind: type[R], shard: int, made_from: str, wrong: Callable[[R], Iterable[str]], write: Callable[[], R]
) -> R:
    """The result of a shard: what a former run left at `path`, or else what writing it now gives, which is left there.

    Args:
      path: of the shard's record.
      kind: a NamedTuple that begins with the shard's number; `made_from` is one of its fields, and `remade`, which
        says why what was there was not taken.
      shard: its number.
      made_from: a digest of all that decides what is in the shard.
      wrong: yields what of a result's files is not there, or is not what it was.
      write: writes the shard.
    """
    remade = []
    try:
        found = kind(**read_sealed(path))
        if (found[0], found.made_from) == (shard, made_from) and not (remade := list(wrong(found))):
            return found
    except FileNotFoundError:
        pass
    except (CorruptFileError, OSError, TypeError) as error:
        remade = [str(error)]
    result = write()
    write_sealed(path, result._asdict())
    return result._replace(remade=remade)


def wrong_files(folder: str, sums: dict[str, FileSum]) -> Iterator[str]:
    """What of a folder's files is not there, or is not what it was."""
    yield from (f"{join(folder, name)}: {what}" for name, what in check_sums(folder, sums))


def validation_shard_of(shard: int, shards: int) -> int:
    """The validation shard that gets what the training shard held out."""
    return ((shard + 1) * validation_shards(shards) - 1) // shards


def write_validation(
    run: Run, corpora: Sequence[Corpus], index: int, held_out: Iterable[tuple[int, Example]]
) -> list[Written]:
    """Writes a validation shard of every corpus: `held_out` are examples, each with the index of its corpus."""
    encode = format_named(run.format).encode
    with ExitStack() as stack:
        shards = [stack.enter_context(open_shard(run, corpus, "validation", index)) for corpus in corpora]
        for corpus, example in held_out:
            encoded = encode(example)
            shards[corpus].write(encoded, encoded_size(encoded))
    return [shard.written() for shard in shards]


def splits_of(train: Sequence[Written], validation: Sequence[Written]) -> tuple[dict[str, Split], dict[str, FileSum]]:
    """The splits of a corpus by name, and what is in all files of both."""
    splits = {
        name: Split([shard.length for shard in shards], sum(shard.size for shard in shards))
        for name, shards in (("train", train), ("validation", validation))
    }
    return splits, {name: found for shard in (*train, *validation) for name, found in shard.sums.items()}


def told_in_manifest(damaged: Sequence[dict], more_damaged: int, remade: Sequence[str]) -> dict:
    """What a manifest says of damages, and of what was made again: the first of each."""
    return {
        "damaged": damaged[:_MOST_DAMAGES],
        "more_damaged": len(damaged[_MOST_DAMAGES:]) + more_damaged,
        "made_again": remade[:_MOST_REMADE],
    }


def complete_corpus(run: Run, corpus: Corpus, splits: Mapping[str, Split], sums: FileSums, fields: dict):
    """Writes TFDS's metadata where TFDS can read the format, and the manifest, which makes the folder complete."""
    if tfds := format_named(run.format).tfds:
        write_metadata(corpus.folder, corpus.dataset, splits, tfds, sums)
    complete(corpus.folder, run.format, sums, fields)
