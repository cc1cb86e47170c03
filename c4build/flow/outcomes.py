"""What becomes of the pages of a row group behind deduplication: each loses what it lost, and the last rules judge it.

A page may have several texts: the one that was read, and what is left of the cleaned one, which differs where variants lost
different lines. Each is an outcome. `PlainJudge` takes page after page, `CompiledJudge` a row group at once; both find the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from c4build.compiled import core
from c4build.dedup.units import compiled_units, units_of
from c4build.rules.steps import CompiledSteps, Steps, bits_of, steps_of
from c4build.rules.tables import RuleSet, Variant
from c4build.write.example import Text
from c4build.write.tables import joined, present


class Surviving:
    """The pages of a row group, with what deduplication took of them."""

    def __init__(self, rows: pa.RecordBatch, running: np.ndarray, positions: np.ndarray, lost: np.ndarray):
        """
        Args:
          rows: the page file's.
          running: [rows] uint64, the variants that each page is still in, a bit each.
          positions: [n] uint32, the lines or spans that were lost, counted from the row group's first, in order.
          lost: [n] uint64, the variants that lost each.
        """
        self.rows, self.running, self.positions, self.lost = rows, running, positions, lost
        self.chances = rows.column("chance").to_numpy()
        self.keys = rows.column("keys").to_numpy()  # how many lines or spans each page has
        self._joined: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def joined(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column of texts as of `joined`, made once: between the loops over texts even a few calls find cold caches."""
        if name not in self._joined:
            self._joined[name] = joined(self.rows.column(name))
        return self._joined[name]

    @cached_property
    def _stops(self) -> np.ndarray:
        return np.cumsum(self.keys, dtype=np.uint32)

    def bounds(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """([n] first, [n] behind the last) of `positions` that are of each of some pages."""
        stops = self._stops[rows]
        return np.searchsorted(self.positions, stops - self.keys[rows]), np.searchsorted(self.positions, stops)

    def lost_by(self, rows: np.ndarray) -> Iterator[list[tuple[int, int]]]:
        """Yields of each of some pages (position in the page, variants) of all that it lost."""
        starts, bounds = (self._stops[rows] - self.keys[rows]).tolist(), (side.tolist() for side in self.bounds(rows))
        for start, low, high in zip(starts, *bounds):
            positions = (position - start for position in self.positions[low:high].tolist())
            yield [*zip(positions, self.lost[low:high].tolist())]


class Outcomes(NamedTuple):
    """Of each text of each page, in their order."""

    rows: np.ndarray  # [n] uint32: the page
    before: np.ndarray  # [n] uint64: the variants that have this text, a bit each
    kept: np.ndarray  # [n] uint64: those that keep it; none of the last rules changes a text
    reasons: np.ndarray  # [n, variants] uint8: why the others do not
    removed: np.ndarray  # [variants] uint64: lines or spans that were taken out
    text: Callable[[int], Text]
    # (variants, a bit each; names, columns but that of texts as of `joined`, [rows] uint8: pages that are left out) ->
    # `core.Frames`, whose `of` gives of one of these variants the `tf.train.Example`s as they stand in a TFRecord file, and how
    # many; None where they are to be made one by one.
    frames: Callable[[int, Sequence[bytes], Sequence[tuple], np.ndarray], Any] | None = None
    # (`core.Lowest`, the file's number, ([rows] uint64, reason): variants that lost each page before, for some reasons; halvings
    # of the limits below which pages are looked at, and judged): takes into it what becomes of the pages, and of the lines or
    # spans that each lost one, and returns `core.Outcomes.take_samples`' answer; None where they are to be taken one by one.
    take_samples: Callable[[Any, int, Sequence[tuple[np.ndarray, int]], int, int], tuple[list, list]] | None = None


def judge_of(rules: RuleSet, variants: Sequence[Variant], bad_words: Sequence[str]) -> Callable[[Surviving], Outcomes]:
    """The compiled judge, where the steps are compiled; else the plain one."""
    steps = steps_of(rules, variants, bad_words)
    if isinstance(steps, CompiledSteps):
        return CompiledJudge(rules, len(variants), steps)
    return PlainJudge(rules, len(variants), steps)


class CompiledJudge:
    """By `core/finish.cpp`."""

    def __init__(self, rules: RuleSet, variants: int, steps: CompiledSteps):
        self._variants, self._steps, self._units = variants, steps, compiled_units(rules)

    def __call__(self, pages: Surviving) -> Outcomes:
        found = core.Outcomes(
            self._steps.compiled,
            self._units,
            *map(pages.joined, ("text", "raw")),
            *(pages.running, pages.keys, pages.positions, pages.lost),
            self._steps.raw,
            self._variants,
        )
        return Outcomes(
            np.frombuffer(found.rows, np.uint32),
            np.frombuffer(found.before, np.uint64),
            np.frombuffer(found.kept, np.uint64),
            np.frombuffer(found.reasons, np.uint8).reshape(-1, self._variants),
            np.frombuffer(found.removed, np.uint64),
            found.text,
            partial(core.Frames, found),
            lambda lowest, file, *more: found.take_samples(lowest, file, *_described(pages), *more),
        )


def _described(pages: Surviving) -> tuple:
    """(chances, numbers, URLs, timestamps, which have a cleaned text) of the pages."""
    numbers, texts = (pages.rows.column(name) for name in ("number", "text"))
    return pages.chances, numbers.to_numpy(), *map(pages.joined, ("url", "timestamp")), present(texts)


class PlainJudge:
    """In Python."""

    def __init__(self, rules: RuleSet, variants: int, steps: Steps):
        self._variants, self._steps, self._remove = variants, steps, units_of(rules).remove

    def __call__(self, pages: Surviving) -> Outcomes:
        removed = np.zeros(self._variants, np.uint64)
        live = np.flatnonzero(pages.running)
        texts, raws = (pages.rows.column(name).take(pa.array(live)).to_pylist() for name in ("text", "raw"))
        found: list[tuple[int, int, int, bytes, Text]] = []
        columns = live.tolist(), pages.running[live].tolist(), pages.lost_by(live), texts, raws
        for row, running, lost, text, raw in zip(*columns):
            if bits := running & self._steps.raw:  # it took all steps before
                found.append((row, bits, bits, bytes(self._variants), raw))
            for gone, bits in self._by_loss(running & self._steps.clean, lost).items():
                removed[list(bits_of(bits))] += np.uint64(len(gone))
                left = self._remove(text, frozenset(gone)) if gone else text
                found.append((row, bits, *self._judge(left, bits), left))
        rows, before, kept, reasons, texts = zip(*found) if found else ((),) * 5
        return Outcomes(
            np.array(rows, np.uint32),
            np.array(before, np.uint64),
            np.array(kept, np.uint64),
            np.frombuffer(b"".join(reasons), np.uint8).reshape(-1, self._variants),
            removed,
            texts.__getitem__,
        )

    @staticmethod
    def _by_loss(running: int, lost: Sequence[tuple[int, int]]) -> dict[tuple[int, ...], int]:
        """The variants, a bit each, by the positions that they lose."""
        by_loss: dict[tuple[int, ...], int] = defaultdict(int)
        for bit in bits_of(running):
            by_loss[tuple(position for position, bits in lost if bits >> bit & 1)] |= 1 << bit
        return by_loss

    def _judge(self, text: str, running: int) -> tuple[int, bytes]:
        """(the variants that keep the text, why the others do not)."""
        reasons = bytearray(self._variants)
        self._steps.after(text, running, reasons)
        return running & ~sum(1 << bit for bit, reason in enumerate(reasons) if reason), bytes(reasons)
