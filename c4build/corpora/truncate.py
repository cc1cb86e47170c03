"""Corpora cut to a size: the first pages, in a shuffle that a seed fixes, whose lengths sum to it.

The shuffle is the order of hashes of (seed, place). A shard is read once: of it only the pages that come early in the
shuffle are measured and kept, as many as can be wanted, in files that follow the shuffle. Places and lengths alone are
sorted; texts are fetched a block of the order at a time, by the flow of `records`, and blocks that two sizes share are
made once.

A last page of which no start is exactly as long as is left, as where a byte count would split a character, is passed over,
by all sizes that are asked for together.
"""

import itertools
import os
from collections.abc import Callable, Sequence

import apache_beam as beam
import numpy as np

from c4build.corpora.cutter import Cutter
from c4build.corpora.examples import find_shards
from c4build.corpora.measure_shards import Measuring, measured
from c4build.corpora.shuffle import blocks, save_order
from c4build.errors import UsageError, say
from c4build.flow.kit import Prepared, absolute, work_folder
from c4build.flow.records import prepare
from c4build.flow.units import Part, Recipe, Unit
from c4build.read.paths import Input, identify
from c4build.write.files import digest, join, make_folder
from c4build.write.folder import is_under_way, lock, sweep, unlock
from c4build.write.metadata import Dataset


def prepare_truncated(
    folder: str,
    sizes: Sequence[int],
    unit: str,
    out: str,
    run: Callable[[Prepared, Callable[[beam.Pipeline, Measuring], object]], None],
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
    of = [identify(absolute(shard.path)).identity for shard in shards]
    cutter = Cutter(digest([of, seed, unit, what]), unit, vocabulary and os.path.abspath(vocabulary))
    out = absolute(out)
    work = join(work_folder(out), "measured-" + cutter.identity)
    _ = cutter.measure  # so that a wrong model is known before any work
    sizes = sorted(sizes)
    lock(work_folder(out), out)
    try:
        make_folder(work)
        sweep(work)
        cutter, pages, features = measured(cutter, Measuring(shards, 1.0, work), seed, sizes[-1], run, say)
        pages, ends = _settle(pages, sizes, cutter)
        order = join(work, f"order-{digest(sizes)}.npy")
        save_order(order, pages)
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
            units = _units(order, pages, last, left)
            prepared.append(prepare(recipe, units, out, format, None, overwrite, say=say))
        return prepared
    finally:
        unlock(work_folder(out))


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


def _units(order: str, pages: np.ndarray, last: int, left: int | None) -> list[Unit]:
    """Blocks of the order up to and with page `last`, of which only `left` units stay (None: all)."""
    starts = [0, *(np.flatnonzero(np.diff(blocks(pages[: last + 1]))) + 1).tolist(), last + 1]

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
