"""From a sample of the inputs to all of them: what a build will take, with intervals. Arithmetic alone.

Most of it grows with the bytes of the inputs: a ratio estimate, whose interval is a bootstrap over the files. What is
kept does not: the more text is compared, the more of it is a duplicate. So its share is drawn on from what blocks of 1,
2, 4, ... files of the sample kept, and has a range:

- the estimate falls as a power of the bytes, as the number of different things in a text grows by a power (Heaps' law);
- at worst the odds to be a duplicate of another file's grow as they did in the sample, at most in proportion;
- at best there are no more duplicates than in the sample.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from c4build.dedup.keys import loss_dtype, repeat_dtype, repeat_key_dtype, url_key_dtype
from c4build.errors import counted
from c4build.flow.kit import BUCKET_BYTES, least_buckets
from c4build.flow.plan import Level, Sample
from c4build.write.objects import PART
from c4build.write.shards import validation_shards

# What a sample cannot show, and where it was measured.
KEYS_POWER = 1.11  # CPU of the key stages grows with this power of the keys: `benchmarks/scale.py`, docs/scale.md
KEY_FILE_READS = 2  # for the keys of URLs, and for those of lines

LEVEL = 0.9  # of intervals
_DRAWS = 1000
_NORMAL = 1.645  # standard deviations to either side that LEVEL of a normal distribution lies in
_UNSEEN = 3  # so many where none was seen: 95 % sure (the rule of three)


class Interval(NamedTuple):
    value: float
    low: float
    high: float


class Whole(NamedTuple):
    """All inputs, and how they are worked on."""

    files: int
    known_bytes: int  # of the inputs whose sizes are known
    unknown: int  # inputs whose sizes are not
    remote: int  # inputs that are fetched
    shards: int
    group_size: int  # files that are deduplicated together before their keys travel
    workers: int
    connections: int  # downloads at once
    start: float  # CPU seconds of a process before its first page
    start_worker: float  # of each of several more
    samples: bool  # are kept of what rules drop
    dropped: bool  # all pages that are dropped are written


# A quantity is an array [1 or 3, 1 + draws]: the estimate and, where they differ, the worst and the best; the first
# column is that of the sample itself, the others those of samples drawn from it.
Quantity = np.ndarray


class Projection:
    """A sample, and samples drawn from it, enlarged to all inputs."""

    def __init__(self, sample: Sample, whole: Whole, seed: int):
        self.sample, self.whole = sample, whole
        files = len(sample.costs)
        drawn = np.random.default_rng(seed).multinomial(files, [1 / files] * files, _DRAWS)
        self._weights = np.vstack([np.ones(files), drawn])  # [1 + draws, files]
        self._sizes = np.array([max(cost.size, 1) for cost in sample.costs], float)
        self._mean = self._weights @ self._sizes / files
        self.bytes: Quantity = (whole.known_bytes + whole.unknown * self._mean)[None]
        # A bootstrap of few files is too narrow, as if it knew their variance; a sample of everything is no sample.
        small = _t(files - 1) / _NORMAL * (files / (files - 1)) ** 0.5 if files > 1 else 0
        self._spread = small * max(0, 1 - files / whole.files) ** 0.5

    def total(self, values: Sequence[float] | np.ndarray) -> Quantity:
        """Of something that each file of the sample has, for all inputs."""
        return self.bytes * (self._weights @ np.asarray(values, float)) / (self._weights @ self._sizes)

    def mean(self, values: Sequence[float] | np.ndarray) -> Quantity:
        """Of something that each file of the sample has."""
        return (self._weights @ np.asarray(values, float) / len(self._sizes))[None]

    def interval(self, quantity: Quantity) -> Interval:
        values = quantity[:, 0]
        tails = np.quantile(quantity[:, 1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        bounds = values + (tails - values) * self._spread
        value = float(values[0])
        return Interval(value, min(max(float(bounds.min()), 0.0), value), max(float(bounds.max()), value))

    def falling(self, of: Callable[[Level], np.ndarray], files: int | None = None) -> Quantity:
        """The total of what falls as more text is compared: for all inputs, or where so many are compared at a time.

        Args:
          of: [files] for a level.
          files: of a group; None: all.
        """
        by_level = [of(level) for level in self.sample.levels]
        return self.total(by_level[0]) * self._share(by_level, files)

    def _share(self, by_level: Sequence[np.ndarray], files: int | None) -> Quantity:
        """[3, 1 + draws]: of what each file by itself would keep, the part that is kept among `files`."""
        weights, sized = self._weights, self._weights * self._sizes
        own = sized @ self._sizes / sized.sum(axis=1)
        target = (self.bytes[0] if files is None else self._mean * files) - own
        target = np.maximum(target, 0)
        if len(by_level) < 2:  # one file says nothing of others
            return np.stack([np.ones_like(own), (target == 0).astype(float), np.ones_like(own)])
        alone = np.maximum(weights @ by_level[0], 1e-9)
        others = np.stack([sized @ np.maximum(level.others, 1) / sized.sum(axis=1) for level in self.sample.levels[1:]])
        shares = np.stack([np.clip(weights @ kept / alone, 1e-9, 1) for kept in by_level[1:]])
        last, seen = shares[-1], others[-1]
        if files is not None and files < self.sample.levels[-1].files:  # within what was seen
            last, seen = _between(shares, others, target)
        power = np.minimum(_slope(np.log1p(others / own), np.log(shares)), 0)
        estimate = last * np.exp(power * (np.log1p(target / own) - np.log1p(seen / own)))
        odds = 1 / shares - 1
        growth = np.clip(_growth(np.log(others), odds), 0, 1)
        unseen = _UNSEEN / alone * (target > seen)
        worst = 1 / (1 + (1 / last - 1 + unseen) * (np.maximum(target, 1) / np.maximum(seen, 1)) ** growth)
        return np.stack([estimate, np.minimum(worst, estimate), np.maximum(last, estimate)])


def _t(freedom: int) -> float:
    """What `_NORMAL` is for Student's t (the expansion of Abramowitz and Stegun, 26.7.5)."""
    z = _NORMAL
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def _between(shares: np.ndarray, others: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share and the bytes of others at the level next to `target`."""
    at = np.argmin(np.abs(np.log(others) - np.log(np.maximum(target, 1))), axis=0)
    columns = np.arange(len(target))
    return shares[at, columns], others[at, columns]


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[draws]: of lines through the origin, from [levels, draws]."""
    return (x * y).sum(axis=0) / (x * x).sum(axis=0)


def _growth(log_x: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """[draws]: the power of x by which odds grow; 1 where there are too few to tell."""
    seen = odds > 1e-6
    y = np.log(np.where(seen, odds, 1))
    count = np.maximum(seen.sum(axis=0), 1)
    x = np.where(seen, log_x - (log_x * seen).sum(axis=0) / count, 0)
    square = (x * x).sum(axis=0)
    return np.where(square > 1e-9, (x * y).sum(axis=0) / np.maximum(square, 1e-9), 1.0)


def estimate(of: Projection) -> dict[str, dict[str, Quantity]]:
    """What a build of all inputs takes, by kind: CPU seconds, seconds by the clock, bytes, pages, requests."""
    sample, whole = of.sample, of.whole
    costs, last = sample.costs, sample.levels[-1]
    rows, keys = (np.array([getattr(cost.report, name) for cost in costs], float) for name in ("rows", "keys"))
    compared = of.total(rows + keys)
    cpu = {
        "reading and rules": of.total([cost.cpu for cost in costs]),
        "keys": last.keys_cpu * (compared / max((rows + keys).sum(), 1)) ** KEYS_POWER + sample.lists_cpu,
        "finish and writing": of.total(last.finish_cpu) + last.publish_cpu,
        "the start": np.full_like(compared, whole.start + whole.start_worker * (whole.workers > 1) * whole.workers),
    }
    cpu["all"] = sum(cpu.values())
    kept = {name: of.falling(lambda level: level.kept[:, at]) for at, name in enumerate(sample.variants)}
    written = {name: of.falling(lambda level: level.written[:, at]) for at, name in enumerate(sample.variants)}
    page_files = of.total([cost.kept for cost in costs])
    shuffled, samples = _shuffled(of, rows, keys), whole.shards * of.mean(last.samples)
    return {
        "cpu": cpu,
        "time": {counted(whole.workers, "workers"): _seconds(of, cpu)},
        "bytes": {
            "fetched": of.bytes * (whole.remote / whole.files),
            "read": of.bytes,
            "kept as page files": page_files,
            **({"kept as samples": samples} if whole.samples else {}),
            "shuffled": shuffled,
            **{f"written, {name}": size for name, size in written.items()},
        },
        "pages": {
            "read": of.total([cost.report.pages for cost in costs]),
            **{f"kept, {name}": pages for name, pages in kept.items()},
        },
        "requests": _requests(
            whole, page_files, samples, list(written.values()), _key_stages(of, rows, keys), shuffled
        ),
    }


def _seconds(of: Projection, cpu: dict[str, Quantity]) -> Quantity:
    """By the clock, where every worker has a processor; a download is waited for as long as the sample's were."""
    whole = of.whole
    readers, writers = min(whole.workers, whole.files), min(whole.workers, whole.shards)
    waited = of.total([cost.wall if "://" in cost.source.path else cost.cpu for cost in of.sample.costs])
    downloads = min(readers, whole.connections) if whole.remote else readers
    reading = np.maximum(cpu["reading and rules"] / readers, waited / downloads)
    return whole.start + reading + cpu["keys"] / whole.workers + cpu["finish and writing"] / writers


def _shuffled(of: Projection, rows: np.ndarray, keys: np.ndarray) -> Quantity:
    """Bytes of the arrays that travel between steps: keys of URLs and of lines, and three times what they lose."""
    lost = of.total(rows) - of.falling(lambda level: rows - level.losses)
    travelling = of.falling(lambda level: keys - level.repeats, of.whole.group_size)
    repeated = of.total(keys) - of.falling(lambda level: keys - level.repeats)
    variants = len(of.sample.variants)
    losses = 3 * lost * loss_dtype(variants).itemsize + 2 * repeated * repeat_dtype(variants).itemsize
    return of.total(rows) * url_key_dtype(variants).itemsize + travelling * repeat_key_dtype(variants).itemsize + losses


def _key_stages(of: Projection, rows: np.ndarray, keys: np.ndarray) -> Quantity:
    """How many files the key stages leave: three of each group, one of each bucket of URLs and of lines."""
    groups, variants = math.ceil(of.whole.files / of.whole.group_size), len(of.sample.variants)
    found = np.full_like(of.bytes, 3 * groups)
    for values, dtype in ((rows, url_key_dtype(variants)), (keys, repeat_key_dtype(variants))):
        found = found + np.maximum(np.ceil(of.total(values) * dtype.itemsize / BUCKET_BYTES), least_buckets(groups))
    return found


def _requests(
    whole: Whole,
    page_files: Quantity,
    samples: Quantity,
    written: list[Quantity],
    key_stages: Quantity,
    shuffled: Quantity,
) -> dict[str, Quantity]:
    """To the servers of inputs, and to the store where OUT lies in one: a file is written in parts and read by one request."""
    files, shards, variants = whole.files, whole.shards, len(written)
    beside = whole.samples + whole.dropped  # files beside a page file and its key file
    of_input = (2 + beside) * files
    writes = of_input * _parts(page_files / of_input) + key_stages * _parts(shuffled / key_stages)
    for size in written:
        writes = writes + shards * _parts(size / shards) + validation_shards(shards)
    writes = writes + 2 * shards  # the record of a unit, and its pages of the validation split
    reads = (1 + KEY_FILE_READS) * files + (1 + beside) * (files + shards - 1) + 2 * shards + key_stages
    if whole.samples:  # of each unit, then of each variant, with its statistics
        writes, reads = writes + shards * _parts(samples / shards) + 2 * variants, reads + shards
    return {
        "for inputs": np.full_like(page_files, whole.remote),
        "writes to OUT": writes + whole.dropped * shards * variants,
        "reads from OUT": reads,
    }


def _parts(size: Quantity) -> Quantity:
    """Requests to write an object of so many bytes: one, or one a part, one before and one behind."""
    return np.where(size <= PART, 1, np.ceil(size / PART) + 2)
