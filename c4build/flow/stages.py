"""The stages that both flows are made of, on a Beam pipeline whose elements are pairs of a number and anything."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import apache_beam as beam

from c4build.flow.corpus import Corpus, validation_shard_of, write_validation
from c4build.flow.inputs import check_missing, read_inputs, slices_of
from c4build.flow.kit import Run
from c4build.flow.runs import marks
from c4build.memory import set_malloc
from c4build.write.files import join
from c4build.write.shards import Example

Keyed = tuple[int, Any]


class Plan(Protocol):
    """What a flow says of itself."""

    @property
    def run(self) -> Run: ...

    @property
    def corpora(self) -> Sequence[Corpus]:
        """What is written."""

    @property
    def targets(self) -> Iterable[int]:
        """The numbers that the gate opens."""

    def opened(self, sizes: Sequence[int]) -> Any:
        """What these are told, from the sums of the sizes that all reports have."""

    def input(self, listed: list) -> tuple[Any, str]:
        """An input, and the path of the file of what is read of it, from what `write_inputs` wrote of it."""

    def missing(self, told: Iterable[tuple[int, Any]], inputs: Sequence[Any]) -> tuple[list[tuple[str, str]], int]:
        """(path, why) of each file that could not be fetched, and how many there are.

        Args:
          told: (number, what its report calls missing) of each input that lacks something.
          inputs: all of them, in order.
        """

    def held_out(self, shard: int, said: Any) -> Iterator[tuple[int, Example]]:
        """(index of the corpus, example) of what a training shard left for validation; `said` is of its result."""


def par_do(function: beam.DoFn) -> beam.PTransform:
    return beam.ParDo(function).with_output_types(Keyed)


def keyed_map(function: Callable, *arguments) -> beam.PTransform:
    return beam.Map(function, *arguments).with_output_types(Keyed)


def tag(element: Keyed, kind: str) -> Keyed:
    return element[0], (kind, element[1])


def by_kind(values: Iterable[tuple[str, Any]]) -> dict[str, list]:
    """Values that were tagged, by their tags."""
    kinds: dict[str, list] = {}
    for kind, value in values:
        kinds.setdefault(kind, []).append(value)
    return kinds


class Step(beam.DoFn):
    """A step of a flow; what it needs of its process it makes ready in `setup`."""

    def __init__(self, plan: Any):
        self.plan = plan

    def setup(self):
        # Millions of small objects, no cycles among them: looking for some took a fifth of the time.
        gc.freeze()
        gc.set_threshold(200_000, 50, 1000)
        # A row group's memory is freed and wanted again for the next.
        set_malloc(mmap_threshold=1 << 25, trim_threshold=1 << 26)

    def start_bundle(self):
        marks.begin(self.plan.run.progress, type(self).__name__)

    def finish_bundle(self):
        marks.end(self.plan.run.progress)


def read_all(root: beam.Pipeline, plan: Plan, label: str, read: Step) -> beam.PCollection:
    """Deals the inputs out to `read`, which gets (number, (input,)) and yields (number, report) of each."""
    slices = root | beam.Create(slices_of(plan.run.inputs))
    inputs = slices | "List inputs" >> par_do(ListInputs(plan))
    return inputs | "Spread inputs" >> beam.GroupByKey() | label >> par_do(read)


class ListInputs(Step):
    """A slice of the inputs, (first, behind the last), to (number, input) of each."""

    def setup(self):
        super().setup()
        self._lists: dict[str, list] = {}  # slices can be smaller than the lists that they are read from

    def process(self, element: tuple[int, int]) -> Iterator[Keyed]:
        for number, listed in enumerate(read_inputs(self.plan.run.listed, *element, self._lists), element[0]):
            yield number, self.plan.input(listed)


def all_inputs(plan: Plan) -> list:
    """The inputs in order, without what goes with them."""
    return [plan.input(listed)[0] for listed in read_inputs(plan.run.listed, 0, plan.run.inputs)]


def open_gate(read: beam.PCollection, plan: Plan) -> beam.PCollection:
    """(number, ("opened", what `plan.opened` says)) for each of the targets, once all may go on."""
    gate = read | "To the gate" >> keyed_map(_to_gate)
    return gate | "All inputs" >> beam.GroupByKey() | "Gate" >> par_do(Gate(plan))


def _to_gate(element: Keyed) -> Keyed:
    number, report = element
    return 0, (number, report.missing, report.sizes)


class Gate(Step):
    """(0, (number, what is missing, sizes) of all inputs) to (target, ("opened", what they come to)).

    Raises MissingInputsError where more inputs could not be fetched than may be left out.
    """

    def process(self, element: Keyed) -> Iterator[Keyed]:
        plan, told = self.plan, sorted(element[1])
        lacking = [(number, missing) for number, missing, _ in told if missing]
        missing, inputs = plan.missing(lacking, all_inputs(plan)) if lacking else ([], plan.run.inputs)
        check_missing(missing, inputs, join(plan.run.work, "missing.txt"), plan.run.most_missing)
        opened = plan.opened([sum(sizes) for sizes in zip(*(sizes for _, _, sizes in told))])
        for target in plan.targets:
            yield target, ("opened", opened)


def put_validation_together(finished: beam.PCollection, plan: Plan) -> beam.PCollection:
    """(shard, ("shard", its result)) to (validation shard, ("validation", (its index, `Written` of each corpus)))."""
    return (
        finished
        | "To validation" >> keyed_map(_to_validation, plan.run)
        | "By validation shard" >> beam.GroupByKey()
        | "Validation" >> par_do(Validation(plan))
    )


def _to_validation(element: Keyed, run: Run) -> Keyed:
    shard, (_, result) = element
    return validation_shard_of(shard, run.shards), (shard, result.for_validation)


class Validation(Step):
    """(validation shard, (shard, what it held out) of its shards) to what was written of it."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        plan, (index, shards) = self.plan, element
        held_out = (one for shard, said in sorted(shards) for one in plan.held_out(shard, said))
        yield index, ("validation", (index, write_validation(plan.run, plan.corpora, index, held_out)))


def publish_all(results: tuple[beam.PCollection, ...], publish: Step) -> beam.PCollection:
    """Brings all results to one place, where `publish` gets them as (0, their values)."""
    return (
        results
        | "All results" >> beam.Flatten()
        | "To one place" >> keyed_map(_to_one)
        | "Together" >> beam.GroupByKey()
        | "Publish" >> beam.ParDo(publish)
    )


def _to_one(element: Keyed) -> Keyed:
    return 0, element[1]
