"""Corpora cut to a size: the first pages, in a shuffle that a seed fixes, whose lengths sum to it.

The shuffle is the order of hashes of (seed, place). Of each shard only the pages that come early in it are measured, as
many as can be wanted; places and lengths alone are sorted: texts are fetched a block of the order at a time, by the flow
of `collect`, and blocks that two sizes share are made once.

A last page of which no start is exactly as long as is left, as where a byte count would split a character, is passed over,
by all sizes that are asked for together.
"""

import os
from itertools import islice
from typing import Callable, Iterator, NamedTuple, Optional, Sequence

import apache_beam as beam
import mmh3
import numpy as np

from c4build.corpora.collect import Found, Part, Prepared, Recipe, Unit, digest, prepare
from c4build.corpora.measure import Measure, text_bytes, tokens, words
from c4build.errors import UsageError
from c4build.corpora.examples import Shard, find_shards, read_shard
from c4build.read.paths import Input, identify
from c4build.write.files import exists, is_local, join, make_folder, open_file, whole_file
from c4build.write.metadata import Dataset

_BLOCK_BYTES = 64 << 20  # of text in a shard that comes out: what a process holds
_UNIT_BYTES = 16  # more than a token or a word takes on average
_SPARE = 100  # pages that may be passed over
_PAGE = np.dtype([("order", "<u8"), ("shard", "<u4"), ("row", "<u4"), ("length", "<u8"), ("bytes", "<u8")])


class Cutter(NamedTuple):
    """Reads blocks of the shuffled order."""

    shards: tuple[Shard, ...]
    identity: str
    unit: str
    vocabulary: Optional[str]

    def settings(self) -> dict:
        return {"name": "truncated", "of": self.identity, "unit": self.unit}

    @property
    def measure(self) -> Measure:
        return tokens(self.vocabulary) if self.unit == "tokens" else words() if self.unit == "words" else text_bytes()

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        for source, start, stop in unit.parts:
            pages = _load(source.path)[start:stop]
            wanted = {(int(page["shard"]), int(page["row"])): rank for rank, page in enumerate(pages)}
            texts: list = [None] * len(pages)
            for number in sorted({shard for shard, _ in wanted}):
                for row, example in enumerate(read_shard(self.shards[number])):
                    if (number, row) in wanted:
                        texts[wanted[number, row]] = dict(example)
            _, _, cut = source.identity.partition(" cut at ")
            for rank, example in enumerate(texts, start):
                if cut:
                    example["text"] = self.measure.cut(example["text"], int(cut))
                yield Found("kept", example, mmh3.mmh3_x64_128_digest(f"{rank}".encode()))

    def can_cut(self, page: np.void, length: int) -> bool:
        """True if a start of the page is `length` units long."""
        examples = read_shard(self.shards[page["shard"]])
        return self.measure.cut(next(islice(examples, int(page["row"]), None))["text"], length) is not None


class MeasureShard(beam.DoFn):
    """The number of a shard to its file of pages in the order of their hashes: of the first `share` of all orders."""

    def __init__(self, cutter: Cutter, seed: int, share: float, files: Sequence[str]):
        self.cutter, self.seed, self.files = cutter, seed, files
        self.bound = int(share * 2**64)

    def setup(self):
        self._length = self.cutter.measure.length

    def process(self, number: int) -> Iterator[int]:
        if not exists(self.files[number]):
            rows = []
            for row, example in enumerate(read_shard(self.cutter.shards[number])):
                order = mmh3.hash64(f"{self.seed} {number} {row}", signed=False)[0]
                if order < self.bound:
                    rows.append((order, number, row, self._length(example["text"]), len(example["text"].encode())))
            _save(self.files[number], np.sort(np.array(rows, _PAGE), order=["order", "shard", "row"]))
        yield number


def prepare_truncated(
    folder: str,
    sizes: Sequence[int],
    unit: str,
    out: str,
    run: Callable[[Callable[[beam.Pipeline], object], str, int], None],
    vocabulary: Optional[str] = None,
    seed: int = 0,
    format: str = "tfrecord",
    overwrite: bool = False,
) -> list[Prepared]:
    """Measures the corpus in `folder` and plans one of each size. `run` runs a flow: (flow, work folder, parts).

    Raises UsageError, also where the corpus is smaller than a size.
    """
    if not sizes or min(sizes) < 1:
        raise UsageError("sizes must be 1 or more")
    shards = tuple(shard for shard in find_shards(folder) if shard.split == "train")
    if not shards:
        raise UsageError(f"{folder}: no training shard of a corpus lies in this folder")
    what = vocabulary and [identify(os.path.abspath(vocabulary)).identity]
    of = [identify(os.path.abspath(shard.path) if is_local(shard.path) else shard.path).identity for shard in shards]
    cutter = Cutter(shards, digest([of, seed, unit, what]), unit, vocabulary and os.path.abspath(vocabulary))
    out = os.path.abspath(out) if is_local(out) else out.rstrip("/")
    work = join(out, ".c4build", "measured-" + cutter.identity)
    make_folder(work)
    cutter.measure  # so that a wrong model is known before any work
    sizes = sorted(sizes)
    pages, ends = _settle(_measured(cutter, seed, work, sizes[-1], run), sizes, cutter)
    order = join(work, f"order-{digest(sizes)}.npy")
    _save(order, pages)
    blocks = np.cumsum(pages["bytes"]) // _BLOCK_BYTES
    example = next(example for shard in shards for example in read_shard(shard))
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
                features=tuple(example),
            ),
            cutter,
            (),
            "pages",
            f"{size:,} {unit}",
        )
        units = _units(order, cutter.identity, blocks, last, left)
        prepared.append(prepare(recipe, units, out, format, None, overwrite))
    return prepared


def _measured(cutter: Cutter, seed: int, work: str, size: int, run) -> np.ndarray:
    """The first pages, in order, whose lengths sum to `size` and some to spare."""
    numbers = range(len(cutter.shards))
    needed = size * (1 if cutter.unit == "bytes" else _UNIT_BYTES)
    share = min(1.0, 1.2 * needed / max(1, sum(shard.size for shard in cutter.shards)))
    while True:
        files = [join(work, f"{number:05d}-{share:.9f}.npy") for number in numbers]
        measuring = beam.ParDo(MeasureShard(cutter, seed, share, files))
        run(lambda root: root | beam.Create(numbers) | beam.Reshuffle() | "Measure" >> measuring, work, len(files))
        pages = _first(files, size)
        whole = int(pages["length"].sum())
        if whole >= size:
            return pages
        if share == 1.0:
            raise UsageError(f"the corpus has {whole:,} {cutter.unit}, fewer than {size:,}")
        share = min(1.0, 4 * share)


def _first(files: Sequence[str], size: int) -> np.ndarray:
    """The same of what is measured, or all of it; holds no more than so many pages of a file."""
    found = np.zeros(0, _PAGE)
    for path in files:
        found = np.sort(np.concatenate([found, _load(path)]), order=["order", "shard", "row"])
        total = np.cumsum(found["length"])
        found = found[: int(np.searchsorted(total, size)) + 1 + _SPARE]
    return found


def _settle(pages: np.ndarray, sizes: Sequence[int], cutter: Cutter) -> tuple[np.ndarray, list[tuple[int, Optional[int]]]]:
    """The pages less those passed over; for each size its last page and how much of that stays (None: all)."""
    while True:
        total, ends = np.cumsum(pages["length"]), []
        for size in sizes:
            last = int(np.searchsorted(total, size))
            if last == len(pages):
                raise UsageError(f"no start of the last pages has just the {cutter.unit} left: choose another --seed")
            length = int(pages["length"][last])
            left = size - int(total[last]) + length
            if left < length and not cutter.can_cut(pages[last], left):
                pages = np.delete(pages, last)
                break
            ends.append((last, left if left < length else None))
        else:
            return pages, ends


def _units(order: str, identity: str, blocks: np.ndarray, last: int, left: Optional[int]) -> list[Unit]:
    """Blocks of the order up to and with page `last`, of which only `left` units stay (None: all)."""
    starts = [0, *(np.flatnonzero(np.diff(blocks[: last + 1])) + 1).tolist(), last + 1]
    units = []
    for start, stop in zip(starts, starts[1:]):
        source = Input(order, -1, identity)
        parts = [Part(source, start, stop)]
        if stop == last + 1 and left is not None:
            parts = [Part(source, start, last)] if start < last else []
            parts.append(Part(Input(order, -1, f"{identity} cut at {left}"), last, stop))
        units.append(Unit(f"pages from {start:,}", tuple(parts)))
    return units


def _name(folder: str) -> tuple[str, str]:
    """Data set and config of a folder named as TFDS names it: .../c4/en/1.0.0, .../books/1.0.0."""
    parts = [part for part in folder.rstrip("/").split("/") if part]
    parts = parts[:-1] if parts and parts[-1][0].isdigit() else parts
    known = next((at for at in range(len(parts)) if parts[at] in ("c4", "wikipedia", "books")), None)
    return (parts[known], ".".join(parts[known + 1 :])) if known is not None else ("truncated", parts[-1])


def _save(path: str, pages: np.ndarray):
    with whole_file(path) as file:
        file.write(pages.tobytes())


def _load(path: str) -> np.ndarray:
    with open_file(path) as file:
        return np.frombuffer(file.read(), _PAGE)
