"""What of a unit's pages may become samples: what Clean held of its files, with what became of it since, and what it keeps.

All is taken by `Lowest`, in the order of pages.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from c4build.dedup.units import units_of
from c4build.flow.candidates import (
    CLEANED,
    EVERY,
    KEPT,
    NEAR_LANGUAGE,
    NEAR_SENTENCES,
    NONE,
    REPEATED,
    REPEATED_GROUP,
    Candidate,
    CompiledLowest,
    Lowest,
    candidates_file,
    lowest,
    open_candidates,
    read_rows,
    shortened,
    write_candidates,
)
from c4build.flow.figures import Counted, count_text
from c4build.flow.outcomes import Outcomes, Surviving
from c4build.flow.pagefiles import PageFile
from c4build.flow.rows import arrow_column
from c4build.flow.settings import FinishSettings
from c4build.flow.unit_figures import UnitFigures
from c4build.rules.steps import bits_of, having
from c4build.rules.tables import CODE
from c4build.write.example import Text, utf8
from c4build.write.tables import joined

_NEAR = 0.001  # a probability of 0.990... passes nearly not
_OF_LOST = ("number", "url", "timestamp", "text", "raw")


class Row(NamedTuple):
    """A page that is still in after deduplication, as its page file has it."""

    number: int
    chance: int
    url: str
    timestamp: str

    @classmethod
    def of(cls, rows: pa.RecordBatch, some: Iterable[int]) -> list["Row"]:
        """A few of a row group: to take them at once has much to load."""
        columns = [rows.column(name) for name in cls._fields]
        return [cls(*(column[row].as_py() for column in columns)) for row in some]


def _below(chances: np.ndarray, limit: int | None) -> np.ndarray:
    """[n] bool; a limit of None is above all chances."""
    return np.ones(len(chances), bool) if limit is None else chances < np.uint64(limit)


def _binary(values: np.ndarray) -> pa.Array:
    """[n, width] uint8 as n values of so many bytes each."""
    rows, width = values.shape
    starts = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return arrow_column(pa.binary(), rows, (0, [None, starts, values.tobytes()]))


class LostBy:
    """What pages of a file lost between Clean and Finish, by row: (variant, reason) of each."""

    def __init__(self, losses: np.ndarray, rows: int):
        """`losses`: [n] of `loss_dtype`; `rows`: of the file."""
        # [rows]: the variants that each page lost, and those of them for want of its URL in a list.
        self.variants, self.unlisted = np.zeros((2, rows), np.uint64)
        self.variants[losses["page"]] = losses["variants"]
        self.unlisted[losses["page"]] = losses["unlisted"]

    def __call__(self, row: int) -> list[tuple[int, int]]:
        if row < 0:  # of no page of the file
            return []
        lost, unlisted = int(self.variants[row]), int(self.unlisted[row])
        return [(bit, CODE["not_in_url_list" if unlisted >> bit & 1 else "duplicate_url"]) for bit in bits_of(lost)]


class LowestOfUnits:
    """What the units hold that a process finishes one after the other: a further one need not hold what lies above that."""

    def __init__(self, most: int):
        self._most, self._lowest, self._units = most, lowest(most), set[int]()

    def of(self, unit: int) -> Lowest:
        """Made ready for a unit."""
        if unit in self._units:  # it came to no end, or its files are gone: no page may count twice
            self._lowest, self._units = lowest(self._most), set()
        self._units.add(unit)
        self._lowest.begin()
        return self._lowest


class UnitSamples:
    """Of one unit."""

    def __init__(self, unit: int, settings: FinishSettings, held: Lowest):
        self._unit = unit
        self._variants = len(settings.variants)
        self._remover = units_of(settings.clean.rules)
        self._lowest = held
        self._most = settings.clean.samples
        self._groups = cache(self._groups_of)
        self._figures = UnitFigures(settings.variants)
        self._looked = self._figures.level.limit  # pages with a chance below it are looked at
        self._run, rules = settings.run, settings.clean.rules
        self._near_language = rules.min_language_probability, rules.min_language_probability + _NEAR
        self._min_sentences = rules.min_sentences
        self._having = {step: having(step, settings.variants) for step in ("language", "sentences")}

    def _is_first(self, file: int) -> bool:
        """True where no unit before this one has a part in the file."""
        return file * self._run.shards // self._run.inputs == self._unit

    def begin(self, file: PageFile, losses: np.ndarray, pages: range, columns: Sequence[int]):
        """Takes what Clean held of the pages of a file; what follows is of this file.

        Args:
          file: the page file.
          losses: [n] of `loss_dtype`, of the file.
          pages: the unit's, by number.
          columns: for each variant the place of its reason.
        """
        self._file, self._lost_by = file.file, LostBy(losses, file.rows)
        if not file.samples:
            return
        with read_rows(candidates_file(file.path), file.content) as (said, groups):
            self._figures.begin(said, first=self._is_first(file.file))
            self._looked = self._figures.level.limit
            for rows in groups:
                self._lowest.add_rows(self._of_unit(rows, pages, columns))

    def _of_unit(self, rows: pa.RecordBatch, pages: range, columns: Sequence[int]) -> pa.RecordBatch:
        """A file's candidates with the groups of the variants: those of another unit are in none."""
        groups = np.frombuffer(joined(rows.column("groups"))[0], np.uint8).reshape(len(rows), -1)[:, list(columns)]
        row_of = rows.column("row").to_numpy()
        known = np.flatnonzero(row_of >= 0)  # the others are in no row of the page file
        losing = known[self._lost_by.variants[row_of[known]] != 0]
        for at, row in zip(losing.tolist(), row_of[losing].tolist()):
            for bit, code in self._lost_by(row):
                # A page that was in till then is met in the page file, too.
                groups[at, bit] = code if groups[at, bit] else 0
        number = rows.column("number").to_numpy()
        groups[(number < pages.start) | (number >= pages.stop)] = NONE
        own = {
            "file": arrow_column(pa.int64(), len(rows), (0, [None, np.full(len(rows), self._file, np.int64)])),
            "groups": _binary(groups),
        }
        return pa.record_batch([own.get(name, rows.column(name)) for name in rows.schema.names], rows.schema)

    def lost(self, batch: pa.RecordBatch, row: int, lost: np.ndarray):
        """Notes which pages were in after Clean, and are out by now, of those that are to be taken next.

        Args:
          batch: a row group of the page file.
          row: its first.
          lost: [rows] int, the variants that each page of the unit lost.
        """
        unlisted = lost & self._lost_by.unlisted[row : row + len(lost)]
        self._lost = [(lost & ~unlisted, CODE["duplicate_url"]), (unlisted, CODE["not_in_url_list"])]

    def take(self, pages: Surviving, outcomes: Outcomes) -> bool:
        """Takes what was lost of a row group, and where that is compiled all that it has; else the rest must be shown.

        Returns:
          true where all is taken.
        """
        if not (isinstance(self._lowest, CompiledLowest) and outcomes.take_samples):
            self._take_lost(pages)
            return False
        halvings = self._figures.level.halvings, self._figures.judged.halvings
        kept, repeats = outcomes.take_samples(self._lowest.compiled, self._file, self._lost, *halvings)
        for at, variants, url, counted, text in kept:
            self._figures.count(variants, Counted(*counted), url)
            for groups in self._judge(variants, text) if text is not None else ():
                (row,) = Row.of(pages.rows, [at])
                self._take_row(row, groups, KEPT, text)
        self._figures.repeated(repeats)
        return True

    def _take_lost(self, pages: Surviving):
        chosen: set[int] = set()
        for variants, code in self._lost:
            some = np.flatnonzero(variants)
            chosen.update(self._lowest_of(some, pages.chances, *self._in_group(variants[some], code)).tolist())
        for at in sorted(chosen):
            groups = bytearray([NONE]) * self._variants
            for variants, code in self._lost:
                for bit in bits_of(int(variants[at])):
                    groups[bit] = code
            number, url, timestamp, text, raw = (pages.rows.column(name)[at].as_py() for name in _OF_LOST)
            row = Row(number, int(pages.chances[at]), url, timestamp)
            self._take_row(row, bytes(groups), CLEANED, raw if text is None else text)

    def wanted(self, pages: Surviving, outcomes: Outcomes) -> np.ndarray:
        """[rows] bool: pages of a row group that are to be shown; the others would change nothing."""
        wanted = _below(pages.chances, self._looked if self._looked < EVERY else None)
        rows, gone = outcomes.rows, outcomes.before & ~outcomes.kept
        wanted[self._lowest_of(rows, pages.chances, *self._in_group(outcomes.kept, 0))] = True
        out = np.flatnonzero(gone)
        wanted[self._lowest_of(rows[out], pages.chances, *self._in_groups(gone[out], outcomes.reasons[out]))] = True
        first, behind = pages.bounds(np.arange(pages.rows.num_rows))
        losing = np.flatnonzero(behind > first)
        lost = (behind - first)[losing].astype(np.uint64)
        picked = first[losing] + (pages.chances[losing] % lost).astype(np.int64)
        repeated = self._in_group(pages.lost[picked] & pages.running[losing], REPEATED_GROUP)
        wanted[self._lowest_of(losing, pages.chances, *repeated)] = True
        return wanted & (pages.running != 0)

    def _in_group(self, variants: np.ndarray, group: int) -> tuple[list[bytes], np.ndarray]:
        """(different groups, [n] which of them each has): `group` in `variants`, [n] uint64."""
        kinds, kind_of = np.unique(variants, return_inverse=True)
        return [self._groups(kind, group) for kind in kinds.tolist()], kind_of

    def _in_groups(self, variants: np.ndarray, groups: np.ndarray) -> tuple[list[bytes], np.ndarray]:
        """The same of [n, variants] uint8: a group in each."""
        having = variants[:, None] >> np.arange(self._variants, dtype=np.uint64) & np.uint64(1)
        kinds, kind_of = np.unique(np.where(having, groups, np.uint8(NONE)), axis=0, return_inverse=True)
        return [kind.tobytes() for kind in kinds], kind_of.reshape(-1)  # NumPy 2.0 gives it another shape

    def _lowest_of(
        self, rows: np.ndarray, chances: np.ndarray, kinds: Sequence[bytes], kind_of: np.ndarray
    ) -> np.ndarray:
        """Those of `rows`, each with groups, that may be held: of each groups the lowest of `chances` below its limit."""
        chosen = [np.zeros(0, rows.dtype)]
        for kind, groups in enumerate(kinds):
            if groups != self._groups(0, 0):
                of = rows[kind_of == kind]
                of = of[_below(chances[of], self._lowest.limit(groups, KEPT))]
                chosen.append(of[np.argsort(chances[of], kind="stable")[: self._most]])
        return np.concatenate(chosen)

    def judged(self, row: Row, before: int, kept: int, reasons: Sequence[int], text: Text):
        """Takes a page that came to the rules behind deduplication: in the variants `before`, of which it is `kept` in some."""
        if kept:
            self._take_row(row, self._groups(kept, 0), KEPT, text)
            if row.chance < self._looked:
                self._figures.count(kept, count_text(utf8(text)), row.url)
                for groups in self._judge(kept, utf8(text)) if row.chance < self._figures.judged.limit else ():
                    self._take_row(row, groups, KEPT, text)
        if before != kept:
            lost = bytearray([NONE]) * self._variants
            for bit in bits_of(before & ~kept):
                lost[bit] = reasons[bit]
            self._take_row(row, bytes(lost), CLEANED, text)

    def _judge(self, kept: int, text: bytes) -> Iterator[bytes]:
        """Judges a text that some variants keep; yields the groups of those that nearly did not."""
        judged = self._figures.judge(kept, text)
        least, bound = self._near_language
        if least <= judged.probability < bound and (variants := kept & self._having["language"]):
            yield self._groups(variants, NEAR_LANGUAGE)
        if judged.sentences == self._min_sentences and (variants := kept & self._having["sentences"]):
            yield self._groups(variants, NEAR_SENTENCES)

    def repeated(self, row: Row, running: int, lost: Sequence[tuple[int, int]], text: str):
        """Takes one of the lines or spans that a page lost: (position in the page, variants) of each."""
        position, bits = lost[row.chance % len(lost)]
        groups = self._groups(bits & running, REPEATED_GROUP)
        looked = row.chance < self._looked
        held = self._lowest.wants(row.chance, groups, REPEATED)
        units = self._remover.listed(text) if looked or held else []
        if looked:
            self._figures.repeated([(units[place].text, variants & running) for place, variants in lost])
        if bits & running and held:
            self._take_row(row, groups, REPEATED, units[position].text)

    def _groups_of(self, variants: int, group: int) -> bytes:
        return bytes(group if variants >> bit & 1 else NONE for bit in range(self._variants))

    def _take_row(self, row: Row, groups: bytes, stage: int, text: Text):
        if self._lowest.wants(row.chance, groups, stage):
            body = shortened(utf8(text))
            self._lowest.add(
                Candidate(row.chance, self._file, row.number, -1, groups, stage, row.url, row.timestamp, body)
            )

    def write(self, path: str, made_from: str) -> int:
        """Leaves all that is held in a table; `made_from` says what it came of. Returns its bytes."""
        with open_candidates(path) as table:
            write_candidates(table, self._lowest)
            table.fields = {"content": made_from, "figures": self._figures.to_json(), "limits": self._lowest.limits()}
        return table.size
