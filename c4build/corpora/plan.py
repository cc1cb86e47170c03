"""A plan of a build: a sample of its inputs is read for real, in a folder that goes away, and projected to all of them."""

import os
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from c4build.corpora.c4 import Checked, check, default_shards, prepare
from c4build.corpora.options import Request
from c4build.errors import MissingInputsError, NothingReadError, counted, visible
from c4build.flow.estimate import Projection, Whole, estimate
from c4build.flow.plan import FileCost, Sample, measure, read_sample
from c4build.flow.prices import Prices, money
from c4build.write.folder import nothing_read
from c4build.write.lock import unlock


class Measured(NamedTuple):
    checked: Checked
    sample: Sample
    group_size: int  # files of all inputs that a build takes as one


def measure_sample(
    request: Request,
    number: int,
    seed: int,
    watch: Callable[[Any], AbstractContextManager],
    say: Callable[[str], object],
) -> Measured:
    """Reads so many inputs, drawn at random from all, and deduplicates them.

    Args:
      request: a build; where it writes to does not matter.
      number: of inputs; all are read where there are fewer.
      seed: of the draw.
      watch: gives a prepared build of which it shows how far its reading is.
      say: is told in a line what is done.

    Raises:
      UsageError: as the build would.
      MissingInputsError: none of the sample could be fetched.
      NothingReadError: no page came of it.
    """
    checked = check(request)
    inputs = checked.inputs
    if number > len(inputs):
        are = f"there {'is' if len(inputs) == 1 else 'are'} {counted(len(inputs), 'inputs')}"
        say(f"--sample {number:,}: {are}, so that all are read")
    drawn = random.Random(seed).sample(inputs, min(number, len(inputs)))
    with tempfile.TemporaryDirectory(prefix="c4build-plan-") as folder:
        paths = [source.path for source in drawn]
        prepared = prepare(request._replace(inputs=paths, crawls=[], limit=None, out=os.path.join(folder, "out")))
        plan = prepared.plan
        try:
            with watch(prepared) as watched:
                costs = read_sample(watched)
            _check_read(costs)
            sample = measure(prepared, costs, seed, say)
        finally:
            unlock(plan.run.work)
    of_all = plan.finish._replace(run=plan.run._replace(inputs=len(inputs)))
    return Measured(checked, sample, plan._replace(finish=of_all).group_size)


def _check_read(costs: Sequence[FileCost]):
    """Fails where nothing came of the sample."""
    missing = [cost for cost in costs if cost.report.missing]
    if len(missing) == len(costs):
        which = "the input" if len(costs) == 1 else f"all {len(costs):,} inputs"
        first = f"{visible(missing[0].source.path)}: {missing[0].report.missing}"
        raise MissingInputsError(f"{which} of the sample could not be fetched ({first})")
    if not any(cost.report.pages for cost in costs):
        raise NothingReadError(nothing_read("pages", [cost.source.path for cost in costs], _damages(costs)))


def _damages(costs: Sequence[FileCost]) -> list[dict]:
    return [
        {"input": cost.source.path, "offset": offset, "what": what}
        for cost in costs
        for offset, what in cost.report.damages
    ]


def project(
    measured: Measured, request: Request, seed: int, workers: int, start: tuple[float, float], prices: Sequence[Prices]
) -> dict[str, Any]:
    """What a build of all inputs takes and costs, as JSON: estimates with intervals.

    Args:
      measured: the sample.
      request: the build.
      seed: of the bootstrap.
      workers: processes.
      start: CPU seconds before its first page, of the first process and of each of several workers.
      prices: of some providers.
    """
    inputs, sample = measured.checked.inputs, measured.sample
    shards = request.shards or default_shards(inputs)
    whole = Whole(
        files=len(inputs),
        known_bytes=sum(source.size for source in inputs if source.size >= 0),
        unknown=sum(source.size < 0 for source in inputs),
        remote=sum("://" in source.path for source in inputs),
        shards=shards,
        group_size=measured.group_size,
        workers=min(workers, max(len(inputs), shards)),
        connections=request.max_connections,
        start=start[0],
        start_worker=start[1],
        samples=request.samples > 0,
        dropped=bool(request.write_dropped),
    )
    of = Projection(sample, whole, seed)
    quantities = estimate(of)
    return {
        "inputs": len(inputs),
        "unknown_sizes": whole.unknown,
        "sample": len(sample.costs),
        "sampled": [cost.source.path for cost in sample.costs],
        "missing": [{"input": path, "why": why} for path, why in sample.missing],
        "damaged": _damages(sample.costs),
        "seed": seed,
        "rules": measured.checked.rules.name,
        "variants": sample.variants,
        "format": request.format,
        "shards": shards,
        "workers": whole.workers,
        "estimates": {
            kind: {name: of.interval(one)._asdict() for name, one in of_kind.items()}
            for kind, of_kind in quantities.items()
        },
        "money": [
            {
                "provider": one.name,
                "date": one.date,
                "costs": {name: of.interval(cost)._asdict() for name, cost in money(quantities, one).items()},
            }
            for one in prices
        ],
    }
