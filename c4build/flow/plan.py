"""A sample of the inputs put through the steps of a build, one after another in this process, each timed.

These are the steps of `web`, called as a runner would, without Beam around them. The sample is deduplicated several
times: each file by itself, then in blocks of 2, 4, ... files, then all of it, since what is kept falls with the amount
of text that is compared. A shard stands for a file, so that all that is counted is known of each.
"""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np

from c4build.dedup.keys import loss_dtype, repeat_dtype
from c4build.flow import web
from c4build.flow.candidates import candidates_file
from c4build.flow.clean import Cleaner
from c4build.flow.corpus import validation_shard_of
from c4build.flow.finish import UnitResult
from c4build.flow.keyfiles import Sent, Slice
from c4build.flow.keysteps import Cut, Newest, RepeatKeys, Repeats, UrlKeys
from c4build.flow.kit import Prepared
from c4build.flow.pagefiles import Report, dropped_file, key_file
from c4build.flow.publish import publish
from c4build.flow.stages import Keyed, Validation
from c4build.read.paths import Input, identify
from c4build.write.files import join, make_folder

_FIRST_PAGE = "\n".join(
    f"The {who} walked to the market on the day before the harvest, and came home with a basket of apples."
    for who in ("baker", "doctor", "farmer", "teacher", "captain", "gardener", "student", "carpenter")
)


class FileCost(NamedTuple):
    """What the reading of one input took."""

    source: Input
    report: Report
    cpu: float  # seconds
    wall: float  # seconds
    kept: int  # bytes of its page file and key file

    @property
    def size(self) -> int:
        return self.source.size if self.source.size >= 0 else self.report.size


class Level(NamedTuple):
    """The sample deduplicated in blocks of so many files; arrays have a row for each file of the sample."""

    files: int
    others: np.ndarray  # [files] bytes of the other inputs of its block
    kept: np.ndarray  # [files, variants] pages
    written: np.ndarray  # [files, variants] bytes of training shards
    losses: np.ndarray  # [files] pages that lose a variant to others, or are not in its list
    repeats: np.ndarray  # [files] lines or spans that lose one
    keys_cpu: float  # seconds of all steps between reading and finishing
    finish_cpu: np.ndarray  # [files] seconds
    samples: np.ndarray  # [files] bytes of what may become samples of a shard
    publish_cpu: float = 0.0  # seconds of what comes when all shards are there; of the whole sample alone


class Sample(NamedTuple):
    """All that was measured."""

    variants: list[str]
    costs: list[FileCost]  # of the files that could be fetched
    missing: list[tuple[str, str]]  # (path, why) of the others
    levels: list[Level]  # by their size, the whole sample last
    lists_cpu: float  # seconds for the lists of URLs


def write_first_page(path: str, host: str) -> str:
    """Writes a WET file of one page, so that what is made ready once can be made ready; returns its path."""
    head = (
        f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://{host}/\r\nWARC-Date: 2019-04-18T12:00:00Z\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(_FIRST_PAGE)}\r\n\r\n"
    )
    with open(path, "w", newline="") as file:
        file.write(f"{head}{_FIRST_PAGE}\r\n\r\n")
    return path


def read_sample(prepared: Prepared) -> list[FileCost]:
    """Cleans the inputs of a prepared build, one after another, in their order; see `Report.missing`."""
    plan = prepared.plan
    cleaner = Cleaner(plan.finish.clean, plan.transport)
    first = identify(write_first_page(join(plan.run.work, "first.warc.wet"), "first.example.org"))
    ready = cleaner.clean(first, join(plan.run.work, "first.pages"))
    _deduplicate(plan, join(plan.run.work, "first"), [ready], _Lists(plan._replace(url_lists=())))
    costs = []
    for file, (source, page_file) in enumerate(zip(prepared.inputs, prepared.page_files)):
        cpu, wall = time.process_time(), time.monotonic()
        report = cleaner.clean(source, page_file, plan.run.progress and join(plan.run.progress, str(file)))
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        paths = [page_file, key_file(page_file), candidates_file(page_file), dropped_file(page_file)]
        size = 0 if report.missing else sum(os.path.getsize(path) for path in paths if os.path.exists(path))
        costs.append(FileCost(source, report, cpu, wall, size))
    return costs


def measure(prepared: Prepared, costs: Sequence[FileCost], seed: int, say: Callable[[str], object]) -> Sample:
    """Deduplicates what was read, in blocks that a seed draws; `say` is told how far it is."""
    missing = [(cost.source.path, cost.report.missing) for cost in costs if cost.report.missing]
    costs = [cost for cost in costs if not cost.report.missing]
    order = np.array(random.Random(seed).sample(range(len(costs)), len(costs)))
    sizes, lists, levels = np.array([cost.size for cost in costs]), _Lists(prepared.plan), []
    names = [variant.name for variant in prepared.plan.finish.variants]
    for files in _block_sizes(len(costs)):
        say(f"deduplicating the sample, {files:,} of {len(costs):,} files at a time")
        level = _empty_level(files, len(costs), len(names))
        for number, drawn in enumerate(np.array_split(order, len(costs) // files)):
            block = np.sort(drawn)  # of two copies the first by name stays
            folder = join(prepared.plan.run.work, f"block-{files}-{number}")
            taken = [costs[file] for file in block]
            ended = [cost.source for cost in taken] if len(taken) == len(costs) else None
            found = _deduplicate(prepared.plan, folder, [cost.report for cost in taken], lists, ended)
            shutil.rmtree(folder)
            level.others[block] = sizes[block].sum() - sizes[block]
            for of_all, of_block in zip(level[2:6], found[2:6]):
                of_all[block] = of_block
            level.finish_cpu[block], level.samples[block] = found.finish_cpu, found.samples
            level = level._replace(keys_cpu=level.keys_cpu + found.keys_cpu, publish_cpu=found.publish_cpu)
        levels.append(level)
    return Sample(names, costs, missing, levels, lists.cpu)


def _block_sizes(files: int) -> list[int]:
    """1, 2, 4, ... as long as there are several such blocks, and all."""
    return [1 << power for power in range(files.bit_length()) if files >> power > 1] + [files]


def _empty_level(block: int, files: int, variants: int) -> Level:
    def by_file(*shape: int) -> np.ndarray:
        return np.zeros((files, *shape))

    return Level(
        block, by_file(), by_file(variants), by_file(variants), by_file(), by_file(), 0.0, by_file(), by_file()
    )


class _Lists:
    """The lists of URLs, dealt out as `UrlKeys` does: read once for each number of buckets, as a build does once."""

    def __init__(self, plan: web.Plan):
        self.plan, self.cpu = plan, 0.0
        self._dealt: dict[int, list[Keyed]] = {}

    def dealt(self, buckets: web.Buckets) -> list[Keyed]:
        if buckets.urls not in self._dealt:
            step, start = UrlKeys(self.plan), time.process_time()
            self._dealt[buckets.urls] = [
                found
                for at, path in enumerate(self.plan.url_lists)
                for found in step.process((-1 - at, [("list", path), ("opened", buckets)]))
            ]
            self.cpu = time.process_time() - start
        return self._dealt[buckets.urls]


def _deduplicate(
    plan: web.Plan, folder: str, reports: Sequence[Report], lists: _Lists, inputs: Sequence[Input] | None = None
) -> Level:
    """Takes cleaned files through all that follows, with a shard for each, below `folder`; to the very end where `inputs` are given.

    Follows the picture in `web`: what a step gives is grouped by its key, and given to the next.
    """
    files = len(reports)
    run = plan.run._replace(out=folder, inputs=files, shards=files)
    finish = plan.finish._replace(run=run)
    keys = join(run.work, "keys")
    plan = plan._replace(finish=finish, url_lists=(), key_files=keys)
    for path in (keys, *(corpus.folder for corpus in plan.corpora)):
        make_folder(path)
    page_files = [report.as_page_file(file) for file, report in enumerate(reports)]
    by_group = [(file.file // plan.group_size, ("file", file)) for file in page_files]
    watch = _Watch()
    buckets = plan.opened([sum(sizes) for sizes in zip(*(report.sizes for report in reports))])
    opened = [(target, ("opened", buckets)) for target in plan.targets]
    listed = lists.dealt(buckets) if lists.plan.url_lists else []
    plan = plan._replace(url_lists=lists.plan.url_lists)
    decided = watch.run(Newest(plan), _by_key(watch.run(UrlKeys(plan), _by_key(by_group, opened)), listed))
    losses = [(group, value) for group, value in decided if group >= 0]
    repeated = watch.run(RepeatKeys(plan), _by_key(by_group, opened, losses))
    at_home = [(-1 - group, value) for group, value in repeated if group < 0]
    away = watch.run(Repeats(plan), _by_key((bucket, value) for bucket, value in repeated if bucket >= 0))
    units = list(_by_key(watch.run(Cut(plan), _by_key(by_group, losses, at_home, away))))
    keys_cpu, finisher, variants = watch.cpu, web.Finish(plan), len(finish.variants)
    found = _empty_level(files, files, len(finish.variants))._replace(keys_cpu=keys_cpu)
    finisher.setup()
    results = []
    for unit, parts in units:
        ((_, lost, gone),) = parts
        found.losses[unit] = _size(lost) // loss_dtype(variants).itemsize
        found.repeats[unit] = _size(gone) // repeat_dtype(variants).itemsize
        start = time.process_time()
        ((_, (_, result)),) = finisher.process((unit, parts))
        found.finish_cpu[unit] = time.process_time() - start
        found.samples[unit] = result.samples
        results.append(result)
        for at, variant in enumerate(finish.variants):
            found.kept[unit, at] = result.lengths[variant.name] + result.validation[variant.name]
            found.written[unit, at] = sum(file.bytes for file in result.written(variant.name).sums.values())
    if inputs:
        counts: Counter = sum((value for group, (_, value) in decided if group < 0), Counter())
        found = found._replace(publish_cpu=_publish(plan, inputs, reports, counts, results))
    return found


def _publish(
    plan: web.Plan, inputs: Sequence[Input], reports: Sequence[Report], counts: Counter, results: Sequence[UnitResult]
) -> float:
    """CPU seconds of what `Validation` and `Publish` do."""
    start, held_out = time.process_time(), [(result.unit, result.for_validation) for result in results]
    by_shard = _by_key((validation_shard_of(unit, len(results)), (unit, said)) for unit, said in held_out)
    written = [one for shard in by_shard for _, (_, one) in Validation(plan).process(shard)]
    publish(plan.finish, inputs, reports, counts, results, [shard for _, shard in sorted(written)])
    return time.process_time() - start


def _size(sent: Sent) -> int:
    return sent.size if isinstance(sent, Slice) else len(sent)


def _by_key(*streams: Iterable[Keyed]) -> Iterator[tuple[int, list]]:
    """What GroupByKey makes of elements."""
    found: dict[int, list] = {}
    for stream in streams:
        for key, value in stream:
            found.setdefault(key, []).append(value)
    return iter(sorted(found.items()))


class _Watch:
    """Runs steps on elements, and counts their CPU seconds."""

    def __init__(self):
        self.cpu = 0.0

    def run(self, step: beam.DoFn, elements: Iterable[Any]) -> list[Keyed]:
        step.setup()
        elements = list(elements)
        start = time.process_time()
        found = [one for element in elements for one in step.process(element)]
        self.cpu += time.process_time() - start
        return found
