"""What both flows put on a pipeline: elements are pairs of a number and anything."""

from typing import Any, Tuple

import apache_beam as beam

Keyed = Tuple[int, Any]


def par_do(function: beam.DoFn) -> beam.PTransform:
    return beam.ParDo(function).with_output_types(Keyed)


def tag(element: Keyed, kind: str) -> Keyed:
    return element[0], (kind, element[1])


def publish_all(results: Tuple[beam.PCollection, ...], publish: beam.DoFn) -> beam.PCollection:
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
