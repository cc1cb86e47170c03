"""Page files to shards: takes out what was lost, goes through the rules after deduplication, writes every variant.

The inputs, laid end to end, are cut into as many equal parts as there are shards; a part is a unit of work. Unit k
writes shard k of every variant, and keeps its few validation pages in a file of its own, from which the validation
shards are put together at the end. Its record says what it was made from and what each of its files holds: it is done as
long as that is so.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from c4build.dedup.keys import loss_dtype, repeat_dtype
from c4build.flow.candidates import wrong_candidates
from c4build.flow.corpus import Written, write_once, wrong_files
from c4build.flow.dropped import UnitDropped
from c4build.flow.outcomes import Outcomes, Surviving, judge_of
from c4build.flow.pagefiles import PageFile, read_texts, reasons_in
from c4build.flow.sampling import LowestOfUnits, Row, UnitSamples
from c4build.flow.settings import FinishSettings
from c4build.flow.unit_shards import UnitShards
from c4build.page import PROVENANCE
from c4build.rules.tables import REASONS
from c4build.write.files import FileSum, base_name, digest, make_folder
from c4build.write.folder import as_json, sums_in

_COLUMNS = [
    "reasons", "number", "chance", "keys", "url", "content_type", "content_length", "timestamp", "validation", "text", "raw",
]  # fmt: skip


class FilePart(NamedTuple):
    """What is known of one page file when it is finished."""

    file: PageFile
    losses: np.ndarray  # `loss_dtype`, by page
    repeats: np.ndarray  # `repeat_dtype`, by position

    @classmethod
    def of(cls, file: PageFile, losses: bytes, repeats: bytes, variants: int) -> "FilePart":
        return cls(file, np.frombuffer(losses, loss_dtype(variants)), np.frombuffer(repeats, repeat_dtype(variants)))

    def digest(self) -> str:
        content = [self.file.file, self.file.content, self.file.pages]
        return digest([*content, self.losses.tobytes().hex(), self.repeats.tobytes().hex()])


class UnitResult(NamedTuple):
    """What one unit wrote, by variant."""

    unit: int
    counts: dict[str, dict[str, int]]  # pages by reason, the kept ones too
    repeats: dict[str, int]  # lines or spans taken out
    lengths: dict[str, int]  # examples in the training shard
    sizes: dict[str, int]  # bytes of its examples, before compression
    validation: dict[str, int]  # examples for the validation split
    files: dict[str, dict]  # what was written of the variant
    held_out: dict  # the same of the file of validation pages
    made_from: str  # a digest of what is known of all parts
    samples: int = 0  # bytes of the table of what may become samples; 0: there is none
    remade: list[str] = []  # what was there before, but not as it was written

    @property
    def for_validation(self) -> dict:
        return self.held_out

    def written(self, variant: str) -> Written:
        """Of the training shard."""
        return Written(self.lengths[variant], self.sizes[variant], sums_in({"files": self.files[variant]}))


def units_of_file(file: int, files: int, shards: int) -> range:
    """The units that have a part in the file's pages."""
    return range(file * shards // files, ((file + 1) * shards - 1) // files + 1)


def pages_of_unit(unit: int, file: int, pages: int, files: int, shards: int) -> range:
    """The pages of a file that belong to the unit: page n of file i lies at (i + n / pages) of all files.

    All pages that were read count, whatever became of them, so that the cuts are the same for every variant.
    """

    def first(bound: int) -> int:
        # The least n with (file + n / pages) / files >= bound / shards, in whole numbers.
        distance = bound * files - file * shards
        return min(max(-(-distance * pages // shards), 0), pages)

    return range(first(unit), first(unit + 1))


class Finisher:
    """Finishes units. One is made ready a process and used for many."""

    def __init__(self, settings: FinishSettings):
        self._settings = settings
        self._variants = settings.variants
        self._judge = judge_of(settings.clean.rules, settings.variants, settings.bad_words)
        self._corpora = settings.corpora
        self._lowest = LowestOfUnits(settings.clean.samples) if settings.clean.samples else None

    def finish(self, unit: int, parts: Sequence[FilePart]) -> UnitResult:
        """Writes shard `unit` of every variant from `parts`, or finds it written before."""
        parts = sorted(parts, key=lambda part: part.file.file)
        made_from = digest([part.digest() for part in parts])
        done = self._settings.run.done_file(unit)
        return write_once(done, UnitResult, unit, made_from, self._wrong, lambda: self._write(unit, parts, made_from))

    def _wrong(self, found: UnitResult) -> Iterator[str]:
        """What of a unit's files is not there, or is not what it was."""
        for variant, corpus in zip(self._variants, self._corpora):
            yield from wrong_files(corpus.folder, found.written(variant.name).sums)
        run = self._settings.run
        yield from wrong_files(run.units, {base_name(run.held_out_file(found.unit)): FileSum(**found.held_out)})
        if found.samples:
            yield from wrong_candidates(run.samples_file(found.unit), found.made_from)

    def _write(self, unit: int, parts: Sequence[FilePart], made_from: str) -> UnitResult:
        names, run = [variant.name for variant in self._variants], self._settings.run
        make_folder(run.units)
        counts = np.zeros((len(names), len(REASONS)), np.int64)
        repeats = np.zeros(len(names), np.uint64)
        samples = UnitSamples(unit, self._settings, self._lowest.of(unit)) if self._lowest else None
        watchers: list[UnitSamples | UnitDropped] = [samples] if samples else []
        dropped = None
        with ExitStack() as stack:
            shards = UnitShards(unit, self._settings, stack)
            if format := self._settings.clean.write_dropped:
                dropped = UnitDropped(unit, run.shards, format, self._corpora, stack)
                watchers.append(dropped)
            for part in parts:
                numbers = pages_of_unit(unit, part.file.file, part.file.pages, run.inputs, run.shards)
                for pages in self._surviving(part, numbers, watchers):
                    outcomes = self._judge(pages)
                    _count(outcomes, counts)
                    repeats += outcomes.removed
                    taken = samples is not None and samples.take(pages, outcomes)
                    _show(pages, outcomes, [one for one in watchers if not (taken and one is samples)])
                    shards.write(pages, outcomes)
        written = shards.written()
        return UnitResult(
            unit=unit,
            counts={
                name: {REASONS[code]: int(row[code]) for code in np.flatnonzero(row)}
                for name, row in zip(names, counts)
            },
            repeats=dict(zip(names, repeats.tolist())),
            lengths={name: shard.length for name, shard in zip(names, written)},
            sizes={name: shard.size for name, shard in zip(names, written)},
            validation=dict(zip(names, shards.held_out)),
            files={
                name: as_json({**shard.sums, **(dropped.sums[bit] if dropped else {})})
                for bit, (name, shard) in enumerate(zip(names, written))
            },
            held_out=shards.validation()._asdict(),
            made_from=made_from,
            samples=samples.write(run.samples_file(unit), made_from) if samples else 0,
        )

    def _surviving(
        self, part: FilePart, numbers: range, watchers: Sequence[UnitSamples | UnitDropped]
    ) -> Iterator[Surviving]:
        """Yields the pages with these numbers, a row group at a time, and tells the watchers what went before."""
        columns = self._settings.columns_in(part.file)
        for watcher in watchers:
            watcher.begin(part.file, part.losses, numbers, columns)
        lost = np.zeros(part.file.rows, np.uint64)
        lost[part.losses["page"]] = part.losses["variants"]
        positions, weights = part.repeats["position"], 1 << np.arange(len(columns), dtype=np.uint64)
        more = PROVENANCE if self._settings.clean.provenance else ()
        for row, key, rows in read_texts(part.file, [*_COLUMNS, *more], numbers):
            number = rows.column("number").to_numpy()
            in_unit = (numbers.start <= number) & (number < numbers.stop)
            running = ((reasons_in(rows)[:, columns] == 0) * weights).sum(axis=1) * in_unit
            gone = lost[row : row + rows.num_rows]
            for watcher in watchers:
                watcher.lost(rows, row, running & gone)
            low, high = np.searchsorted(positions, [key, key + rows.column("keys").to_numpy().sum(dtype=np.int64)])
            repeated = part.repeats[low:high]
            own = (repeated["position"] - np.uint32(key)).astype(np.uint32), repeated["variants"].astype(np.uint64)
            yield Surviving(rows, running & ~gone, *own)


def _count(outcomes: Outcomes, counts: np.ndarray):
    """Adds to the pages of each variant by reason, [variants, reasons]."""
    for bit, of_variant in enumerate(counts):
        having = outcomes.before >> np.uint64(bit) & np.uint64(1)
        of_variant += np.bincount(outcomes.reasons[having != 0, bit], minlength=len(of_variant))


def _show(pages: Surviving, outcomes: Outcomes, watchers: Sequence[UnitSamples | UnitDropped]):
    """Shows the watchers the pages that any of them wants, in their order."""
    if not watchers:
        return
    wanted = np.zeros(pages.rows.num_rows, bool)
    for watcher in watchers:
        wanted |= watcher.wanted(pages, outcomes)
    at = np.flatnonzero(wanted)
    if not len(at):
        return
    rows = Row.of(pages.rows, at.tolist())
    texts = pages.rows.column("text")
    found = _by_page(outcomes, np.flatnonzero(wanted[outcomes.rows]))
    for (place, judged), row, running, lost in zip(found, rows, pages.running[at].tolist(), pages.lost_by(at)):
        text = texts[place].as_py() if lost else ""
        for watcher in watchers if lost else ():
            watcher.repeated(row, running, lost, text)
        for _, *fate in judged:
            for watcher in watchers:
                watcher.judged(row, *fate)


def _by_page(outcomes: Outcomes, of: np.ndarray) -> Iterator[tuple[int, Iterator[tuple]]]:
    """Yields (page, (the page again, variants before, those that keep it, reasons, text) of each) of some outcomes."""
    columns = [column[of].tolist() for column in (outcomes.rows, outcomes.before, outcomes.kept, outcomes.reasons)]
    return groupby(zip(*columns, map(outcomes.text, of.tolist())), key=itemgetter(0))
