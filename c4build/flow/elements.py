"""What both flows put on a pipeline: elements are pairs of a number and anything."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam

Keyed = tuple[int, Any]
COUNTS = -1  # the key of counts among what groups of files lose


def par_do(function: beam.DoFn) -> beam.PTransform:
    return beam.ParDo(function).with_output_types(Keyed)


def tag(element: Keyed, kind: str) -> Keyed:
    return element[0], (kind, element[1])


def is_of_group(element: Keyed) -> bool:
    return element[0] >= 0


def is_counts(element: Keyed) -> bool:
    return element[0] == COUNTS


def by_kind(values: Iterable[tuple[str, Any]]) -> dict[str, list]:
    """Values that were tagged, by their tags."""
    kinds: dict[str, list] = {}
    for kind, value in values:
        kinds.setdefault(kind, []).append(value)
    return kinds


def lazily(parts: Callable[[], Iterable[tuple[int, bytes]]]) -> Iterator[tuple[int, bytes]]:
    """What `parts` gives, called when the first is asked for."""
    yield from parts()


def publish_all(results: tuple[beam.PCollection, ...], publish: beam.DoFn) -> beam.PCollection:
    """Brings all results to one place, where `publish` gets them as (0, their values)."""
    return (
        results
        | "All results" >> beam.Flatten()
        | "To one place" >> beam.Map(_to_one).with_output_types(Keyed)
        | "Together" >> beam.GroupByKey()
        | "Publish" >> beam.ParDo(publish)
    )


def _to_one(element: Keyed) -> Keyed:
    return 0, element[1]
