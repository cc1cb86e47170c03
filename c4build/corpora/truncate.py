"""Corpora cut to a size: the first pages, in a shuffle that a seed fixes, whose lengths sum to it.

The shuffle is the order of hashes of (seed, place). A shard is read once: of it only the pages that come early in the
shuffle are measured and kept, as many as can be wanted, in files that follow the shuffle. Places and lengths alone are
sorted; texts are fetched a block of the order at a time, by the flow of `collect`, and blocks that two sizes share are
made once.

A last page of which no start is exactly as long as is left, as where a byte count would split a character, is passed over,
by all sizes that are asked for together.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import apache_beam as beam
import mmh3
import numpy as np
import pyarrow as pa

from c4build.corpora.examples import Shard, ShardError, find_shards, read_shard
from c4build.corpora.measure import Measure, text_bytes, tokens, words
from c4build.errors import CorruptFileError, UsageError, say
from c4build.flow.kit import Prepared, Watched, teller
from c4build.flow.records import prepare
from c4build.flow.units import Found, Part, Recipe, Unit
from c4build.read.gz import Damage
from c4build.read.paths import Input, identify
from c4build.write.files import (
    FileSum,
    FileSums,
    base_name,
    check_sums,
    digest,
    is_local,
    join,
    make_empty_folder,
    make_folder,
    open_file,
    read_checked,
    read_own,
    read_sealed,
    whole_file,
    write_sealed,
)
from c4build.write.folder import as_json, is_under_way, lock, sums_in, sweep, unlock
from c4build.write.metadata import Dataset
from c4build.write.tables import open_table, read_table

_BLOCK_BYTES = 64 << 20  # of text in a shard that comes out, and in a file of early pages: what a process holds
_GROUP_BYTES = 1 << 20  # of text in a row group of such a file: what is read for one page
_UNIT_BYTES = 16  # more than a token or a word takes on average
_SPARE = 100  # pages that may be passed over
_PAGE = np.dtype([("order", "<u8"), ("shard", "<u4"), ("row", "<u4"), ("length", "<u8"), ("bytes", "<u8")])

_Early = tuple[int, int, Mapping[str, str]]  # (place in the shuffle, row of the shard, example)


class Cutter(NamedTuple):
    """Reads blocks of the shuffled order."""

    identity: str
    unit: str
    vocabulary: str | None
    early: tuple[str, ...] = ()  # where the early pages of each shard lie, without the ends of the files' names
    damages: tuple[tuple[str, Damage], ...] = ()

    def settings(self) -> dict:
        return {"name": "truncated", "of": self.identity, "unit": self.unit}

    @property
    def measure(self) -> Measure:
        return tokens(self.vocabulary) if self.unit == "tokens" else words() if self.unit == "words" else text_bytes()

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        if unit.parts[0].start == 0:
            yield from self.damages
        for source, start, stop in unit.parts:
            identity, _, cut = source.identity.partition(" cut at ")
            pages = _load_order(source.path, start, stop, identity)
            for rank, example in enumerate(self._examples(pages), start):
                if cut:
                    example["text"] = self.measure.cut(example["text"], int(cut))
                yield Found("kept", example, mmh3.mmh3_x64_128_digest(f"{rank}".encode()))

    def _examples(self, pages: np.ndarray) -> list[dict[str, str]]:
        """Those of neighbours in the order."""
        places = {place: at for at, place in enumerate(zip(pages["shard"].tolist(), pages["row"].tolist()))}
        low, high = int(pages["order"].min()), int(pages["order"].max())
        found: list = [None] * len(pages)
        for shard in np.unique(pages["shard"]).tolist():
            for row, example in _read_early(self.early[shard], low, high):
                if (at := places.get((shard, row))) is not None:
                    found[at] = example
        return found

    def can_cut(self, page: np.ndarray, length: int) -> bool:
        """True if a start of the one page is `length` units long."""
        (example,) = self._examples(page)
        return self.measure.cut(example["text"], length) is not None


class MeasureShard(beam.DoFn):
    """The number of a shard to its files: pages in the order of their hashes, of the first `share` of all, and their texts."""

    def __init__(self, measuring: "Measuring", cutter: Cutter, seed: int):
        self.measuring, self.cutter, self.seed = measuring, cutter, seed
        self.bound = int(measuring.share * 2**64)

    def setup(self):
        self._length = self.cutter.measure.length

    def process(self, number: int) -> Iterator[int]:
        stem, remade = self.measuring.stem(number), []
        try:
            said = read_sealed(stem + ".json")
            remade = [f"{name}: {what}" for name, what in check_sums(self.measuring.work, sums_in(said))]
            if remade or said["number"] != number:
                raise CorruptFileError(f"{stem}.json: it does not hold what was written")
        except FileNotFoundError:
            self._measure(number, stem, [])
        except CorruptFileError as error:
            self._measure(number, stem, remade or [str(error)])
        yield number

    def _measure(self, number: int, stem: str, remade: list[str]):
        shard = self.measuring.shards[number]
        rows, damage, read, text_size = [], None, 0, 0
        early = _EarlyPages(stem)
        tell = teller(self.measuring.told(number), lambda: read)
        try:
            for row, example in enumerate(read_shard(shard)):
                size = len(example["text"].encode())
                read, text_size = row + 1, text_size + size
                tell(text_size)
                order = mmh3.hash64(f"{self.seed} {number} {row}", signed=False)[0]
                if order < self.bound:
                    rows.append((order, number, row, self._length(example["text"]), size))
                    early.add((order, row, example), size)
        except ShardError as error:
            damage = [error.offset, error.what]
        early.flush()
        _save(stem + ".npy", np.sort(np.array(rows, _PAGE), order=["order", "shard", "row"]), early.sums)
        fields = {"number": number, "groups": early.groups, "features": early.features, "damage": damage}
        write_sealed(stem + ".json", {**fields, "files": as_json(early.sums), "remade": remade})
        tell(shard.size, True)


class _EarlyPages:
    """Writes pages to files of which each follows the shuffle and has as many as a process may hold."""

    def __init__(self, stem: str):
        self._stem, self._pages, self._size = stem, [], 0
        self.groups: list[list[tuple[int, int]]] = []  # of each file: first and last place of its row groups
        self.features: list[str] = []
        self.sums: FileSums = {}

    def add(self, page: _Early, size: int):
        self._pages.append(page)
        self._size += size
        if self._size > _BLOCK_BYTES:
            self.flush()

    def flush(self):
        if not self._pages:
            return
        pages = sorted(self._pages, key=lambda page: page[:2])
        self.features = list(pages[0][2])
        schema = pa.schema(
            [("order", pa.uint64()), ("row", pa.uint32()), *((name, pa.string()) for name in self.features)]
        )
        groups = []
        with open_table(_early_file(self._stem, len(self.groups)), schema, self.sums, compression="lz4") as table:
            for group in _groups(pages):
                rows = [{"order": order, "row": row, **example} for order, row, example in group]
                table.write([pa.array([row[field.name] for row in rows], field.type) for field in schema])
                groups.append((group[0][0], group[-1][0]))
        self.groups.append(groups)
        self._pages, self._size = [], 0


def _groups(pages: Sequence[_Early]) -> Iterator[list[_Early]]:
    group, size = [], 0
    for page in pages:
        group.append(page)
        size += len(page[2]["text"])
        if size > _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _early_file(stem: str, number: int) -> str:
    return f"{stem}-{number}.parquet"


def _read_early(stem: str, low: int, high: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (row, example) for the early pages of a shard from place `low` to `high` of the shuffle, and some around."""
    for number, groups in enumerate(read_own(stem + ".json")["groups"]):
        wanted = [index for index, (first, last) in enumerate(groups) if first <= high and low <= last]
        if wanted:
            with read_table(_early_file(stem, number)) as table:
                for index in wanted:
                    for example in table.read(index).to_pylist():
                        del example["order"]
                        yield example.pop("row"), example


class Measuring(NamedTuple):
    """The measuring of shards, as `terminal.Progress` watches it."""

    shards: tuple[Shard, ...]
    share: float
    work: str
    progress: str | None

    def stem(self, number: int) -> str:
        return join(self.work, f"{number:05d}-{self.share:.9f}")

    def told(self, number: int) -> str | None:
        return self.progress and join(self.progress, str(number))

    @property
    def inputs(self) -> list[Unit]:
        parts = [Part(Input(shard.path, shard.size, "")) for shard in self.shards]
        return [Unit(str(number), (part,)) for number, part in enumerate(parts)]

    @property
    def plan(self) -> "Measuring":
        return self

    @property
    def run(self) -> Watched:
        return Watched(self.work, self.work, len(self.shards), self.progress)

    @property
    def page_files(self) -> list[str]:
        return [self.stem(number) + ".json" for number in range(len(self.shards))]


def prepare_truncated(
    folder: str,
    sizes: Sequence[int],
    unit: str,
    out: str,
    run: Callable[[Measuring, Callable[[beam.Pipeline], object]], None],
    vocabulary: str | None = None,
    seed: int = 0,
    format: str = "tfrecord",
    overwrite: bool = False,
    say: Callable[[str], object] = say,
) -> list[Prepared]:
    """Measures the corpus in `folder` and plans one of each size. `run` runs a flow; `say` is told what is made again.

    Raises UsageError, also where the corpus is smaller than a size; what `prepare` raises.
    """
    if not sizes or min(sizes) < 1:
        raise UsageError("sizes must be 1 or more")
    shards = tuple(shard for shard in find_shards(folder) if shard.split == "train")
    if not shards:
        raise UsageError(f"{folder}: no training shard of a corpus lies in this folder")
    if is_under_way(folder):
        raise UsageError(f"{folder}: this corpus is not complete: run the command that makes it to its end first")
    what = vocabulary and [identify(os.path.abspath(vocabulary)).identity]
    of = [identify(os.path.abspath(shard.path) if is_local(shard.path) else shard.path).identity for shard in shards]
    cutter = Cutter(digest([of, seed, unit, what]), unit, vocabulary and os.path.abspath(vocabulary))
    out = os.path.abspath(out) if is_local(out) else out.rstrip("/")
    work = join(out, ".c4build", "measured-" + cutter.identity)
    _ = cutter.measure  # so that a wrong model is known before any work
    sizes = sorted(sizes)
    lock(join(out, ".c4build"), out)
    try:
        make_folder(work)
        sweep(work)
        progress = join(out, ".c4build", "progress") if is_local(out) else None
        if progress:
            make_empty_folder(progress)
        cutter, pages, features = _measured(cutter, Measuring(shards, 1.0, work, progress), seed, sizes[-1], run, say)
        pages, ends = _settle(pages, sizes, cutter)
        order = join(work, f"order-{digest(sizes)}.npy")
        _save(order, pages)
        blocks = np.cumsum(pages["bytes"]) // _BLOCK_BYTES
        name, config = _name(folder)
        prepared = []
        for size, (last, left) in zip(sizes, ends):
            recipe = Recipe(
                Dataset(
                    name=name,
                    config=f"{config + '.' if config else ''}{size}-{unit}",
                    version="1.0.0",
                    description=f"The first {size:,} {unit} of {name}/{config} in the shuffle of seed {seed}, by c4build.",
                    citation="",
                    homepage="",
                    features=features,
                ),
                cutter,
                (),
                "pages",
                f"{size:,} {unit}",
            )
            units = _units(order, pages, blocks, last, left)
            prepared.append(prepare(recipe, units, out, format, None, overwrite, say=say))
        return prepared
    finally:
        unlock(join(out, ".c4build"))


def _measured(
    cutter: Cutter, measuring: Measuring, seed: int, size: int, run, say
) -> tuple[Cutter, np.ndarray, tuple[str, ...]]:
    """The cutter with the early pages at hand; the first of them, whose lengths sum to `size` and some to spare; features."""
    numbers = range(len(measuring.shards))
    needed = size * (1 if cutter.unit == "bytes" else _UNIT_BYTES)
    share = min(1.0, 1.2 * needed / max(1, sum(shard.size for shard in measuring.shards)))
    while True:
        measuring = measuring._replace(share=share)
        step = beam.ParDo(MeasureShard(measuring, cutter, seed))
        run(measuring, lambda root: root | beam.Create(numbers) | beam.Reshuffle() | "Measure" >> step)
        stems = [measuring.stem(number) for number in numbers]
        said = [read_own(stem + ".json") for stem in stems]
        for stem, one in zip(stems, said):
            for line in one["remade"]:
                say(f"made again: {line}")
            if one["remade"]:
                write_sealed(stem + ".json", {**one, "remade": []})
        pages = _first(
            [(stem + ".npy", sums_in(one)[base_name(stem) + ".npy"]) for stem, one in zip(stems, said)], size
        )
        whole = int(pages["length"].sum())
        if whole >= size:
            break
        if share == 1.0:
            raise UsageError(f"the corpus has {whole:,} {cutter.unit}, fewer than {size:,}")
        share = min(1.0, 4 * share)
    damages = [(shard.path, Damage(*one["damage"])) for shard, one in zip(measuring.shards, said) if one["damage"]]
    features = next(tuple(one["features"]) for one in said if one["features"])
    return cutter._replace(early=tuple(stems), damages=tuple(damages)), pages, features


def _first(files: Sequence[tuple[str, FileSum]], size: int) -> np.ndarray:
    """The same of what is measured, or all of it; holds no more than so many pages of a file."""
    found = np.zeros(0, _PAGE)
    for path, wanted in files:
        found = np.sort(
            np.concatenate([found, np.frombuffer(read_checked(path, wanted), _PAGE)]), order=["order", "shard", "row"]
        )
        total = np.cumsum(found["length"])
        found = found[: int(np.searchsorted(total, size)) + 1 + _SPARE]
    return found


def _settle(pages: np.ndarray, sizes: Sequence[int], cutter: Cutter) -> tuple[np.ndarray, list[tuple[int, int | None]]]:
    """The pages less those passed over; for each size its last page and how much of that stays (None: all)."""
    while True:
        total, ends = np.cumsum(pages["length"]), []
        for size in sizes:
            last = int(np.searchsorted(total, size))
            if last == len(pages):
                raise UsageError(f"no start of the last pages has just the {cutter.unit} left: choose another --seed")
            length = int(pages["length"][last])
            left = size - int(total[last]) + length
            if left < length and not cutter.can_cut(pages[last : last + 1], left):
                pages = np.delete(pages, last)
                break
            ends.append((last, left if left < length else None))
        else:
            return pages, ends


def _units(order: str, pages: np.ndarray, blocks: np.ndarray, last: int, left: int | None) -> list[Unit]:
    """Blocks of the order up to and with page `last`, of which only `left` units stay (None: all)."""
    starts = [0, *(np.flatnonzero(np.diff(blocks[: last + 1])) + 1).tolist(), last + 1]

    def part(start: int, stop: int, cut: str = "") -> Part:
        # Which pages these are depends on those passed over too.
        return Part(Input(order, -1, digest(pages[start:stop].tolist()) + cut), start, stop)

    units = []
    for start, stop in itertools.pairwise(starts):
        parts = [part(start, stop)]
        if stop == last + 1 and left is not None:
            parts = [part(start, last)] if start < last else []
            parts.append(part(last, stop, f" cut at {left}"))
        units.append(Unit(f"pages from {start:,}", tuple(parts)))
    return units


def _name(folder: str) -> tuple[str, str]:
    """Data set and config of a folder named as TFDS names it: .../c4/en/1.0.0, .../books/1.0.0."""
    parts = [part for part in folder.rstrip("/").split("/") if part]
    parts = parts[:-1] if parts and parts[-1][0].isdigit() else parts
    known = next((at for at in range(len(parts)) if parts[at] in ("c4", "wikipedia", "books")), None)
    return (parts[known], ".".join(parts[known + 1 :])) if known is not None else ("truncated", parts[-1])


def _save(path: str, pages: np.ndarray, sums: FileSums | None = None):
    with whole_file(path, sums) as file:
        file.write(pages.tobytes())


def _load_order(path: str, start: int, stop: int, identity: str) -> np.ndarray:
    """Places in the order, as `_units` identified them. Raises CorruptFileError."""
    try:
        with open_file(path) as file:
            data = file.read()
        pages = np.frombuffer(data[start * _PAGE.itemsize : stop * _PAGE.itemsize], _PAGE)
    except (FileNotFoundError, ValueError):
        pages = np.zeros(0, _PAGE)
    if digest(pages.tolist()) != identity:
        raise CorruptFileError(f"{path}: it does not hold what was written; run the same command again")
    return pages
