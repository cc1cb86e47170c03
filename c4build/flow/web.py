"""The data flow, top to bottom: Clean, Gate, newest copies, repeats, Finish, Validation, Publish.

    inputs ─► Clean ─► page files and key files ───────────────────────────────────┐
                │                                                                    │
                └─► Gate: is all there?                                              │
                      └─► URL keys of a group of files ─► by bucket ─► Newest ─┐     │
                      └─► keys of lines or spans of what is left ◄── losses ◄──┤     │
                            └─► by bucket ─► Repeats ─► losses ◄───────────────┤     │
                                              Cut, by group, to units ◄────────┘     │
                                                      Finish, by unit ◄──────────────┘
                                                        └─► Validation ─► Publish

Text goes from Clean to Finish in page files and never through a shuffle; what is shuffled are arrays of keys, or where
in files such arrays lie (see `keyfiles`). So that a crawl makes a few million of them and not a few hundred million, the files are taken
in groups, and there are only as many buckets as the keys need. Only Create, ParDo, Flatten and GroupByKey are used, on
keyed elements whose keys are small integers: every portable runner has these. Counts travel as elements.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam

from c4build.dedup.keys import repeat_key_dtype, url_key_dtype
from c4build.flow.clean import Cleaner
from c4build.flow.corpus import Corpus
from c4build.flow.finish import FilePart, Finisher
from c4build.flow.keyfiles import fetch
from c4build.flow.keysteps import Cut, Newest, RepeatKeys, Repeats, UrlKeys
from c4build.flow.kit import Run, buckets, least_buckets
from c4build.flow.pagefiles import Report
from c4build.flow.publish import publish
from c4build.flow.runs import marks
from c4build.flow.settings import FinishSettings
from c4build.flow.stages import (
    Keyed,
    Step,
    all_inputs,
    by_kind,
    keyed_map,
    open_gate,
    par_do,
    publish_all,
    put_validation_together,
    read_all,
)
from c4build.flow.validation import read_held_out
from c4build.read.hosts import Transport
from c4build.read.paths import Input
from c4build.write.files import make_empty_folder
from c4build.write.shards import Example


class Buckets(NamedTuple):
    """Into how many parts keys are dealt."""

    urls: int
    repeats: int


class Plan(NamedTuple):
    """A run: what the steps of the pipeline need to know."""

    finish: FinishSettings
    url_lists: tuple[Input, ...]
    key_files: str | None  # a folder for what the key stages made; None: nothing of it is kept
    transport: Transport = Transport()
    most_grouped: int = 64  # files that are taken as one
    bucket_bytes: int = 100_000_000  # of keys, about

    def told_in(self, folder: str | None) -> "Plan":
        """The same, where steps leave marks in a folder."""
        return self._replace(finish=self.finish._replace(run=self.run._replace(progress=folder)))

    @property
    def run(self) -> Run:
        return self.finish.run

    @property
    def corpora(self) -> list[Corpus]:
        return self.finish.corpora

    @property
    def group_size(self) -> int:
        """How many files are taken as one: fewer where there are few, for the sake of workers."""
        return max(1, min(self.most_grouped, -(-self.run.inputs // 16)))

    @property
    def groups(self) -> int:
        return -(-self.run.inputs // self.group_size)

    @property
    def targets(self) -> range:
        """Groups; before them, below zero, lists of URLs."""
        return range(-len(self.url_lists), self.groups)

    def opened(self, sizes: Sequence[int]) -> Buckets:
        """For so many rows of pages and keys of lines or spans."""
        rows, keys = sizes
        least, variants = least_buckets(self.groups), len(self.finish.variants)
        return Buckets(
            buckets(url_key_dtype(variants).itemsize * rows, least, self.bucket_bytes),
            buckets(repeat_key_dtype(variants).itemsize * keys, least, self.bucket_bytes),
        )

    def input(self, listed: list) -> tuple[Input, str]:
        """A WET file and the path of its page file."""
        *source, page_file = listed
        return Input(*source), page_file

    def missing(self, told: Iterable[tuple[int, str]], inputs: Sequence[Input]) -> tuple[list[tuple[str, str]], int]:
        return [(inputs[file].path, why) for file, why in told], len(inputs)

    def held_out(self, unit: int, said: dict) -> Iterator[tuple[int, Example]]:
        return read_held_out(self.run.held_out_file(unit), said)


def build_corpus(root: beam.Pipeline, plan: Plan) -> beam.PCollection:
    """Adds the whole flow to a pipeline; the result is one element, the summary that `publish` returns."""
    cleaned = read_all(root, plan, "Clean", Clean(plan))
    files = cleaned | "To groups" >> keyed_map(_to_group, plan.group_size)
    opened = open_gate(cleaned, plan)

    to_deal: tuple[beam.PCollection, ...] = (files, opened)
    if plan.url_lists:
        lists = root | "Create lists" >> beam.Create(
            [(-1 - at, ("list", path)) for at, path in enumerate(plan.url_lists)]
        )
        to_deal += (lists | "Lists" >> keyed_map(_as_it_is),)
    decided = (
        to_deal
        | "Files and lists" >> beam.Flatten()
        | "Files by group" >> beam.GroupByKey()
        | "Url keys" >> par_do(UrlKeys(plan))
        | "Urls by bucket" >> beam.GroupByKey()
        | "Newest" >> par_do(Newest(plan))
    )
    losses = decided | "Losses" >> beam.Filter(_at_least_zero)
    repeated = (
        (files, opened, losses)
        | "Files and losses" >> beam.Flatten()
        | "Losses by group" >> beam.GroupByKey()
        | "Repeat keys" >> par_do(RepeatKeys(plan))
    )
    at_home = repeated | "Decided" >> beam.Filter(_below_zero) | "At home" >> keyed_map(_at_home)
    away = (
        repeated
        | "Undecided" >> beam.Filter(_at_least_zero)
        | "Keys by bucket" >> beam.GroupByKey()
        | "Repeats" >> par_do(Repeats(plan))
    )
    finished = (
        (files, losses, at_home, away)
        | "All of a group" >> beam.Flatten()
        | "By group" >> beam.GroupByKey()
        | "Cut" >> par_do(Cut(plan))
        | "By unit" >> beam.GroupByKey()
        | "Finish" >> par_do(Finish(plan))
    )
    validation = put_validation_together(finished, plan)
    reports = cleaned | "Reports" >> keyed_map(_to_report)
    counts = decided | "Counts" >> beam.Filter(_below_zero)
    return publish_all((reports, counts, finished, validation), Publish(plan))


def _to_group(element: tuple[int, Report], size: int) -> Keyed:
    file, report = element
    return file // size, ("file", report.as_page_file(file))


def _to_report(element: tuple[int, Report]) -> Keyed:
    file, report = element
    return file, ("report", report._replace(feet=()))


def _as_it_is(element: Keyed) -> Keyed:
    return element


def _at_least_zero(element: Keyed) -> bool:
    return element[0] >= 0


def _below_zero(element: Keyed) -> bool:
    return element[0] < 0


def _at_home(element: Keyed) -> Keyed:
    return -1 - element[0], element[1]


class Clean(Step):
    """(file, (input, path of its page file)) to (file, `Report` of its page file)."""

    def setup(self):
        super().setup()
        self._cleaner = Cleaner(self.plan.finish.clean, self.plan.transport)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        file, sources = element
        ((source, page_file),) = sources
        yield file, self._cleaner.clean(source, page_file, self.plan.run.progress_file(file))


class Finish(Step):
    """(unit, what is known of its files) to (unit, `UnitResult`)."""

    def setup(self):
        super().setup()
        self._finisher = Finisher(self.plan.finish)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        unit, values = element
        variants = len(self.plan.finish.variants)
        parts = [FilePart.of(file, fetch(losses), fetch(gone), variants) for file, losses, gone in values]
        result = self._finisher.finish(unit, parts)
        marks.unit_done(self.plan.run.progress, unit)
        yield unit, ("shard", result)


class Publish(Step):
    """(0, all reports, counts, unit results and validation shards) to the summary of the run."""

    def process(self, element: Keyed) -> Iterator[str]:
        kinds = by_kind(element[1])
        counts: Counter = sum(kinds.get("counts", []), Counter())
        validation = [written for _, written in sorted(kinds["validation"])]
        inputs = all_inputs(self.plan)
        summary = publish(self.plan.finish, inputs, kinds["report"], counts, sorted(kinds["shard"]), validation)
        if self.plan.key_files:
            make_empty_folder(self.plan.key_files)
        yield json.dumps(summary)
