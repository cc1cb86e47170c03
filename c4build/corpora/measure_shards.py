"""Measures the pages of a corpus that come early in a shuffle, a shard at a time, as many as a size can want."""

from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
import mmh3
import numpy as np

from c4build.corpora.cutter import Cutter
from c4build.corpora.examples import Shard, ShardError, read_shard
from c4build.corpora.shuffle import FORMAT, PAGE, EarlyPages, first_pages, save_order
from c4build.errors import CorruptFileError, UsageError
from c4build.flow.kit import Prepared, Watched
from c4build.flow.runs import marks
from c4build.flow.units import Part, Unit
from c4build.read.gz import Damage
from c4build.read.paths import Input
from c4build.write.files import base_name, check_sums, join, read_own, read_sealed, write_sealed
from c4build.write.folder import as_json, sums_in

_UNIT_BYTES = 16  # more than a token or a word takes on average


class Measuring(NamedTuple):
    """The measuring of shards: a plan, as the flows have one."""

    shards: tuple[Shard, ...]
    share: float
    work: str
    progress: str | None = None  # see `kit.Run`

    def stem(self, number: int) -> str:
        return join(self.work, f"{number:05d}-{self.share:.9f}-{FORMAT}")

    def told(self, number: int) -> str | None:
        return self.progress and join(self.progress, str(number))

    def told_in(self, folder: str | None) -> "Measuring":
        return self._replace(progress=folder)

    @property
    def run(self) -> Watched:
        return Watched(self.work, self.work, len(self.shards))

    def prepared(self) -> Prepared:
        units = [Unit(shard.path, (Part(Input(shard.path, shard.size, "")),)) for shard in self.shards]
        return Prepared(self, units, [self.stem(number) + ".json" for number in range(len(units))], {}, False)


class MeasureShard(beam.DoFn):
    """The number of a shard to its files: pages in the order of their hashes, of the first `share` of all, and their texts."""

    def __init__(self, measuring: Measuring, cutter: Cutter, seed: int):
        self.measuring, self.cutter, self.seed = measuring, cutter, seed
        self.bound = int(measuring.share * 2**64)

    def setup(self):
        self._length = self.cutter.measure.length

    def start_bundle(self):
        marks.begin(self.measuring.progress, type(self).__name__)

    def finish_bundle(self):
        marks.end(self.measuring.progress)

    def process(self, number: int) -> Iterator[int]:
        stem, remade = self.measuring.stem(number), []
        task = marks.Task(self.measuring.told(number))
        try:
            said = read_sealed(stem + ".json")
            remade = [f"{name}: {what}" for name, what in check_sums(self.measuring.work, sums_in(said))]
            if remade or said["number"] != number:
                raise CorruptFileError(f"{stem}.json: it does not hold what was written")
            task.done(said.get("read", 0), 0)
        except FileNotFoundError:
            self._measure(number, stem, [], task)
        except CorruptFileError as error:
            self._measure(number, stem, remade or [str(error)], task)
        yield number

    def _measure(self, number: int, stem: str, remade: list[str], task: marks.Task):
        shard = self.measuring.shards[number]
        rows, read, text_size = [], 0, 0
        damage: tuple[int, str] | None = None
        task.begin()
        early = EarlyPages(stem)
        try:
            for row, example in enumerate(read_shard(shard)):
                size = len(example["text"].encode())
                read, text_size = row + 1, text_size + size
                task.at(read, text_size)
                order = mmh3.hash64(f"{self.seed} {number} {row}", signed=False)[0]
                if order < self.bound:
                    rows.append((order, number, row, self._length(example["text"]), size))
                    early.add((order, row, example), size)
        except ShardError as error:
            damage = error.offset, error.what
        early.flush()
        save_order(stem + ".npy", np.sort(np.array(rows, PAGE), order=["order", "shard", "row"]), early.sums)
        fields = {"number": number, "read": read, "groups": early.groups, "features": early.features, "damage": damage}
        write_sealed(stem + ".json", {**fields, "files": as_json(early.sums), "remade": remade})
        why = str(damage[1]) if damage else next(iter(remade), "")
        task.done(read, shard.size, int(damage is not None), why=why)


def measured(
    cutter: Cutter, measuring: Measuring, seed: int, size: int, run, say
) -> tuple[Cutter, np.ndarray, tuple[str, ...]]:
    """The cutter with the early pages at hand; the first of them, whose lengths sum to `size` and some to spare; features."""
    numbers = range(len(measuring.shards))
    needed = size * (1 if cutter.unit == "bytes" else _UNIT_BYTES)
    share = min(1.0, 1.2 * needed / max(1, sum(shard.size for shard in measuring.shards)))
    while True:
        measuring = measuring._replace(share=share)

        def measure(root: beam.Pipeline, plan: Measuring) -> beam.PCollection:
            step = beam.ParDo(MeasureShard(plan, cutter, seed))
            return root | beam.Create(numbers) | beam.Reshuffle() | "Measure" >> step

        run(measuring.prepared(), measure)
        stems = [measuring.stem(number) for number in numbers]
        said = [read_own(stem + ".json") for stem in stems]
        for stem, one in zip(stems, said):
            for line in one["remade"]:
                say(f"made again: {line}")
            if one["remade"]:
                write_sealed(stem + ".json", {**one, "remade": []})
        pages = first_pages(
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
