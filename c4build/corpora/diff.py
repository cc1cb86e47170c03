"""What differs between two builds: what they were made from and their counts by the manifests, then page by page.

The pages are met by name in bounded memory, see `meet`; those that are shown are read once more, and of those that one side
lacks it is told why, see `why`.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from c4build.corpora.examples import Shard, ShardError, find_shards, read_shard
from c4build.corpora.meet import Meeting, deal_out, entry, meet, partitions_for, scratch_bytes
from c4build.errors import DamageError, UsageError, counted
from c4build.write.files import base_name, output_errors
from c4build.write.folder import read_manifest
from c4build.write.verify import find_corpora

Tell = Callable[[str, int, int], object]  # (what is done, how much of it, of how much)
_TELL_EVERY = 10_000  # examples


class Side(NamedTuple):
    """One of two corpora: complete, with all its shards."""

    folder: str
    manifest: dict
    shards: list[Shard]

    @property
    def name(self) -> str:
        """As in c4/en."""
        return self.manifest.get("made_from", {}).get("corpus", "")

    @property
    def examples(self) -> int:
        return sum(self.manifest["splits"].values())

    @property
    def read(self) -> int:
        """Pages, or whatever the corpus is made of, that came in."""
        return self.manifest["kept"] + sum(self.manifest["dropped"].values())


class Difference(NamedTuple):
    """Something of the making that is not the same."""

    what: str
    a: object
    b: object


def open_side(folder: str) -> Side:
    """Raises UsageError where the corpus is not complete, CorruptFileError, DamageError."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise UsageError(f"{folder}: it is not complete: run the command that makes it again")
    shards = find_shards(folder)
    there = {base_name(shard.path) for shard in shards}
    listed = {name for name in manifest["files"] if "-of-" in name and not name.startswith("_")}
    for name in sorted(listed - there):
        raise DamageError(f"{folder}: {name} is missing: run the command that makes it again")
    return Side(folder, manifest, [shard for shard in shards if base_name(shard.path) in listed])


def pairs_of(out_a: str, out_b: str, names: Sequence[str] = ()) -> tuple[list[tuple[Side, Side]], list[str]]:
    """The corpora of two folders that are to be compared, and a line for each that only one of them has.

    Where each names one corpus they are compared whatever they are called; else those of one name are.

    Args:
      out_a, out_b: corpora's folders or the --out of builds.
      names: of the corpora that are wanted, as in en or c4/en; all where it is empty.

    Raises:
      UsageError: there is nothing to compare.
    """
    a, b = ({side.name: side for side in sides_of(out, names)} for out in (out_a, out_b))
    if len(a) == len(b) == 1:
        return list(zip(a.values(), b.values())), []
    alone = [
        f"{name.rstrip('/')}: only {out} has it"
        for of, other, out in ((a, b, out_a), (b, a, out_b))
        for name in of.keys() - other
    ]
    if not a.keys() & b.keys():
        raise UsageError(f"{out_a} has {', '.join(a)}, {out_b} has {', '.join(b)}: name a corpus' folder of each")
    return [(a[name], b[name]) for name in a if name in b], sorted(alone)


def sides_of(out: str, names: Sequence[str] = ()) -> Iterator[Side]:
    """Yields the corpora of a folder, each called by a name of its own. Raises UsageError, CorruptFileError, DamageError."""
    seen: dict[str, str] = {}
    for folder in find_corpora(out):
        side = open_side(folder)
        if names and not {side.name, side.name.partition("/")[2]} & set(names):
            continue
        if side.name in seen:
            raise UsageError(f"{out}: it has {side.name} in {seen[side.name]} and in {folder}: name one of the folders")
        seen[side.name] = folder
        yield side
    if not seen:
        raise UsageError(f"{out}: it has no corpus called {' or '.join(names)}")


def differences(a: Mapping, b: Mapping) -> list[Difference]:
    """In what the making of two corpora differs, by their manifests: versions, rules, lists, inputs, one after another."""
    olds, news = ({"c4build": of.get("c4build"), **of.get("made_from", {})} for of in (a, b))
    olds, news = ({**of, **(of.get("rules") or {})} for of in (olds, news))
    found = []
    for what in dict.fromkeys([*olds, *news]):
        old, new = olds.get(what), news.get(what)
        if what in ("rules", "inputs") or old == new:
            continue
        if isinstance(old or new, dict):  # identities by path
            found += _changed(what, old or {}, new or {})
        else:
            found.append(Difference(what, old, new))
    inputs = [{source["path"]: source.get("identity") for source in of.get("inputs", [])} for of in (a, b)]
    found += _changed("inputs", *inputs)
    for what in ("missing", "damaged"):
        counts = [len(of.get(what, [])) + (of.get("more_damaged", 0) if what == "damaged" else 0) for of in (a, b)]
        if counts[0] != counts[1]:
            found.append(Difference(what, *counts))
    return found


def _changed(what: str, a: Mapping[str, object], b: Mapping[str, object]) -> list[Difference]:
    only_a, only_b = [path for path in a if path not in b], [path for path in b if path not in a]
    changed = [path for path in a if path in b and a[path] != b[path]]
    found = [Difference(what, only_a, only_b)] if only_a or only_b else []
    return found + ([Difference(f"{what}, of the same names but changed", changed, changed)] if changed else [])


class Different(NamedTuple):
    """What came of the pages of two corpora, with examples."""

    meeting: Meeting
    only_a: list[Mapping[str, str]]
    only_b: list[Mapping[str, str]]
    other_text: list[tuple[Mapping[str, str], Mapping[str, str]]]


def compare(a: Side, b: Side, most: int, scratch: str | None, tell: Tell = lambda what, done, of: None) -> Different:
    """Compares the pages of two corpora, and reads `most` of those that differ in each way.

    Args:
      a, b: the corpora.
      most: examples of a kind.
      scratch: a folder in which there is room for a file of all pages; None: the system's for temporary files.
      tell: is told how far it is.

    Raises:
      UsageError: the scratch folder has no room.
      DamageError: a shard is not what was written.
    """
    with _scratch(scratch, a.examples + b.examples) as folder:
        partitions = partitions_for(max(a.examples, b.examples))
        compared = _fields(a) & _fields(b)
        folders = []
        for name, side in (("A", a), ("B", b)):
            folders.append(os.path.join(folder, name))
            os.mkdir(folders[-1])
            entries = (
                entry(example, shard, row, compared) for shard, row, example in read_side(side, f"reading {name}", tell)
            )
            if (count := deal_out(entries, folders[-1], partitions)) != side.examples:
                raise DamageError(
                    f"{side.folder}: it has {count:,} examples, and its manifest says {side.examples:,}: c4build verify "
                    "tells which file is wrong"
                )
        folder_a, folder_b = folders
        meeting = meet(folder_a, folder_b, partitions, most, lambda done: tell("comparing", done, partitions))
    one, two = ([pair[side] for pair in meeting.pairs] for side in (0, 1))
    of_a, of_b = _read(a, [*meeting.examples_a, *one]), _read(b, [*meeting.examples_b, *two])
    only_a, only_b = len(meeting.examples_a), len(meeting.examples_b)
    return Different(meeting, of_a[:only_a], of_b[:only_b], list(zip(of_a[only_a:], of_b[only_b:])))


def _fields(side: Side) -> set[str]:
    """Of its examples: a format may have fewer than another."""
    examples = (example for _, _, example in read_side(side, "", lambda what, done, of: None))
    return set(next(examples, {}))


def read_side(side: Side, what: str, tell: Tell) -> Iterator[tuple[int, int, Mapping[str, str]]]:
    """Yields (shard, place in it, example) of all examples. Raises DamageError."""
    done = 0
    for number, shard in enumerate(side.shards):
        for row, example in enumerate(_told(side, shard)):
            yield number, row, example
            done += 1
            if done % _TELL_EVERY == 0:
                tell(what, done, side.examples)
    tell(what, done, side.examples)


def _told(side: Side, shard: Shard) -> Iterator[Mapping[str, str]]:
    try:
        yield from read_shard(shard)
    except ShardError as error:
        raise DamageError(f"{error}; c4build verify {side.folder} tells which files are wrong") from error


def _read(side: Side, entries: Sequence[np.void]) -> list[Mapping[str, str]]:
    """The examples of some entries, in their order."""
    wanted: dict[int, set[int]] = {}
    for one in entries:
        wanted.setdefault(int(one["shard"]), set()).add(int(one["row"]))
    found = {}
    for number, rows in wanted.items():
        last = max(rows)
        for row, example in enumerate(_told(side, side.shards[number])):
            if row in rows:
                found[number, row] = example
            if row == last:
                break
    return [found[int(one["shard"]), int(one["row"])] for one in entries]


def _scratch(scratch: str | None, examples: int) -> tempfile.TemporaryDirectory:
    """A folder for the time of the comparison."""
    above, needed = scratch or tempfile.gettempdir(), scratch_bytes(examples)
    if not os.path.isdir(above):
        raise UsageError(f"--scratch {above}: there is no such folder")
    free = shutil.disk_usage(above).free
    if needed > free:
        raise UsageError(
            f"{above} has {counted(free, 'bytes')} left, and the comparison needs {needed:,}: give --scratch DIR with more"
        )
    with output_errors(above):
        return tempfile.TemporaryDirectory(prefix="c4build-diff-", dir=above)
