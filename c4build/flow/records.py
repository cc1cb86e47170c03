"""Corpora whose records need no web rules, such as Wikipedia and books: the data flow, top to bottom.

    units ─► Take ─► files of examples ──────────────────────────────┐
               ├─► Gate: is all there?                               │
               └─► keys ─► by bucket ─► Copies, by unit ─────────────┤
                                          Write, by shard ◄──────────┘
                                            └─► Validation ─► Publish

A unit is a piece of the input, read by a `Reader`. Its examples lie in one file named by the unit and the reader's
settings: a second run finds it made. Of examples with one key one stays. As in `web`, text never goes through a
shuffle, counts travel as elements, what is found made is checked, and a folder that has its manifest is complete.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np

from c4build import __version__
from c4build.errors import UsageError, say
from c4build.flow.copies import KEY, copies, keys_of
from c4build.flow.corpus import ALL_FORMATS, Corpus, check_format, make_ready
from c4build.flow.examples import ExamplesFile, Report, read_examples
from c4build.flow.inputs import write_inputs
from c4build.flow.kit import Prepared, Run, absolute, buckets, locked, now
from c4build.flow.runs import marks
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
    tag,
)
from c4build.flow.take import take
from c4build.flow.units import Recipe, Unit
from c4build.flow.writing import publish_records, sources_of, write_shard
from c4build.read.stores import close_idle
from c4build.write.files import digest, join
from c4build.write.folder import is_complete
from c4build.write.lock import unlock
from c4build.write.shards import Example


class Plan(NamedTuple):
    """A run: what the steps of the pipeline need to know."""

    run: Run
    recipe: Recipe
    folder: str  # of the data set
    taken: str  # folder of the units' examples

    def told_in(self, folder: str | None) -> "Plan":
        """The same, where steps leave marks in a folder."""
        return self._replace(run=self.run._replace(progress=folder))

    @property
    def corpora(self) -> list[Corpus]:
        return [Corpus(self.recipe.dataset, self.folder)]

    @property
    def targets(self) -> range:
        return range(self.run.inputs)

    def opened(self, sizes: Sequence[int]) -> int:
        """The number of buckets for so many examples."""
        (rows,) = sizes
        return buckets(KEY.itemsize * rows, min(256, max(4, self.run.inputs // 4)))

    def input(self, listed: list) -> tuple[Unit, str]:
        """A unit and the path of its file of examples."""
        unit = Unit.from_json(*listed)
        return unit, self.examples_file(unit)

    def missing(self, told: Iterable[tuple[int, list]], units: Sequence[Unit]) -> tuple[list[tuple[str, str]], int]:
        found = dict(one for _, of_unit in told for one in of_unit)
        return sorted(found.items()), len(sources_of(units))

    def held_out(self, shard: int, said: str) -> Iterator[tuple[int, Example]]:
        for _, example, _ in read_examples(self.run.held_out_file(shard), said, self.recipe.dataset.features):
            yield 0, example

    def examples_file(self, unit: Unit) -> str:
        return join(self.taken, unit.identity + ".examples")


def prepare(
    recipe: Recipe,
    units: Sequence[Unit],
    out: str,
    format: str = "tfrecord",
    shards: int | None = None,
    overwrite: bool = False,
    folder: str | None = None,
    say: Callable[[str], object] = say,
) -> Prepared:
    """Plans a run; touches nothing but the output folder (`folder`, or one below `out` named as TFDS does it).

    The output folder is locked from here on until the run is done, or nothing need be. `say` is told in a line what must
    be made again.

    Raises:
      UsageError: with what to mend.
      InUseError: another process writes to the output folder.
      CorruptFileError: what says what lies in the output folder is not what was written.
    """
    check_format(format, ALL_FORMATS)
    if shards is not None and not 1 <= shards <= len(units):
        raise UsageError(f"--shards {shards}: it must be 1 to {len(units)}, the number of pieces that the input has")
    shards = shards or len(units)
    dataset = recipe.dataset
    out = absolute(out)
    folder = folder or join(out, *(part for part in (dataset.name, dataset.config, dataset.version) if part))
    settings = {**recipe.reader.settings(), "features": list(dataset.features)}
    made_from = {
        **settings,
        "corpus": f"{dataset.name}/{dataset.config}",
        "inputs": digest([unit.identity for unit in units]),
        "format": format,
        "shards": shards,
    }
    fingerprint = digest(made_from)
    provenance = {
        "c4build": __version__,
        "corpus": join(dataset.name, dataset.config) if dataset.config else dataset.name,
        "fingerprint": fingerprint,
        "started": now(),
        "rules": settings,
        "format": format,
        "shards": shards,
        "made_from": made_from,
    }
    run = Run(out, format, shards, len(units), fingerprint, provenance)
    plan = Plan(run, recipe, folder, join(run.work, f"examples-{digest(settings)}"))
    sources = {path: source.identity for path, source in sources_of(units).items()}
    with locked(out):
        done = is_complete(folder, made_from, sources, overwrite, say)
        if not done:
            make_ready(run, plan.corpora, [plan.taken])
            write_inputs(run.listed, [unit.to_json() for unit in units])
    if done:
        unlock(run.work)
    close_idle()  # of connections to look at the inputs: workers are to have all that there may be
    files = [plan.examples_file(unit) for unit in units]
    return Prepared(plan, list(units), files, {dataset.config or dataset.name: folder}, done)


def collect(root: beam.Pipeline, plan: Plan) -> beam.PCollection:
    """Adds the whole flow to a pipeline; the result is one element, the summary as JSON."""
    taken = read_all(root, plan, "Take", Take(plan))
    files = taken | "Files" >> keyed_map(_to_file)
    copied = (
        (files, open_gate(taken, plan))
        | "Files that may go on" >> beam.Flatten()
        | "By number" >> beam.GroupByKey()
        | "Keys" >> par_do(Keys(plan))
        | "Keys by bucket" >> beam.GroupByKey()
        | "Copies" >> par_do(Copies(plan))
    )
    written = (
        (files, copied)
        | "Files and copies" >> beam.Flatten()
        | "To shards" >> keyed_map(_to_shard, plan.run)
        | "By shard" >> beam.GroupByKey()
        | "Write" >> par_do(Write(plan))
    )
    reports = taken | "Reports" >> keyed_map(tag, "report")
    return publish_all((reports, written, put_validation_together(written, plan)), Publish(plan))


def _to_file(element: tuple[int, Report]) -> Keyed:
    number, report = element
    return number, ("file", report.as_file())


def _to_shard(element: Keyed, run: Run) -> Keyed:
    return element[0] * run.shards // run.inputs, element


class Take(Step):
    """(number, unit and the path of its file of examples) to (number, `Report` of that file)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        number, units = element
        ((unit, path),) = units
        yield number, take(self.plan.recipe, number, unit, path, self.plan.run.progress_file(number))


class Keys(Step):
    """(number, its file of examples and leave to go on) to (bucket, keys of its examples)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        kinds = by_kind(element[1])
        yield from keys_of(kinds["file"][0], kinds["opened"][0])


class Copies(Step):
    """(bucket, keys) to (number, rows of its file that go): of each key all but the highest rank, then but the first."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        for number, rows in copies(element[1]).items():
            yield number, ("copies", rows)


class Write(Step):
    """(shard, (number, file or copies)) to (shard, `ShardResult`): writes the shard, or finds it written."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        shard, values = element
        files: dict[int, ExamplesFile] = {}
        lost: dict[int, set[int]] = defaultdict(set)
        for number, (kind, value) in values:
            if kind == "file":
                files[number] = value
            else:
                lost[number].update(np.frombuffer(value, "<u4").tolist())
        parts = [(files[number], lost[number]) for number in sorted(files)]
        result = write_shard(self.plan.run, self.plan.corpora[0], shard, parts)
        marks.unit_done(self.plan.run.progress, shard)
        yield shard, ("shard", result)


class Publish(Step):
    """(0, all reports, shard results and validation shards) to the summary of the run."""

    def process(self, element: Keyed) -> Iterator[str]:
        plan, kinds = self.plan, by_kind(element[1])
        (corpus,) = plan.corpora
        validation = [written for _, (written,) in sorted(kinds["validation"])]
        reports, results = sorted(kinds["report"]), sorted(kinds["shard"])
        yield json.dumps(publish_records(plan.run, plan.recipe, corpus, all_inputs(plan), reports, results, validation))
