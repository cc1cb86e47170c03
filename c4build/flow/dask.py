"""Dask clusters: which one a build runs on, and a graph of its size, not of the inputs'.

Beam's runner makes as many partitions as it is told of what is created, adds those up where collections are joined, and
has each shuffle send a task from every partition to every other: 50 inputs in a partition each are some 100,000 tasks, with
which the scheduler is busy for longer than the workers. Here there are a few partitions for each thread of the cluster
where inputs are read and shards are written, one for each thread in between, and one where all comes together.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

_PARTITIONS = ("--dask_npartitions", "--dask_partition_size")
_CLUSTERS = ("--dask_client_address", "--dask_scheduler_file")
_EACH = 3  # partitions a thread: they take unlike times, and what a lost worker had is made again
_THREADS = 16  # of a cluster whose workers are still to come
_ONE_STAGE = 32  # partitions at the most, between which Dask shuffles in one stage

# Steps of the flows by their labels. All other shuffles go from one partition a thread to as many.
_UNMOVED = "Spread inputs"  # each key is there once, and what is created is dealt out evenly
_TO_ONE = ("All inputs", "All results", "Together")  # all elements have the same key
_TO_WRITERS = ("By unit", "By shard")  # what comes next takes as long as reading does


@contextmanager
def cluster_options(options: Sequence[str], parts: int) -> Iterator[list[str]]:
    """Options of Beam's for a cluster, beside those that were given; the graph that Beam's runner makes within is as above.

    It is the one that is named by `options` or Dask's configuration, or else one on this machine. The dashboard of one that
    Dask starts unasked is open to the network.

    Args:
      options: for Beam.
      parts: the number of pieces that the work is dealt out in.
    """
    import dask
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.dask.dask_runner import DaskOptions
    from dask.distributed import Client, LocalCluster

    if any(option.startswith(_CLUSTERS) for option in options) or dask.config.get("scheduler-address", None):
        known = PipelineOptions(list(options)).view_as(DaskOptions)
        with Client(known.address, scheduler_file=known.scheduler_file) as client:
            threads = sum(client.nthreads().values()) or _THREADS
        with _graph_for(threads):
            yield _partitions(options, parts, threads)
    else:
        with LocalCluster(host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
            threads = sum(worker["nthreads"] for worker in cluster.scheduler_info["workers"].values()) or _THREADS
            with _graph_for(threads):
                yield ["--dask_client_address", cluster.scheduler_address, *_partitions(options, parts, threads)]


def _partitions(options: Sequence[str], parts: int, threads: int) -> list[str]:
    if any(option.startswith(_PARTITIONS) for option in options):
        return []
    return [f"--dask_npartitions={max(2, min(parts, _EACH * threads))}"]


@contextmanager
def _graph_for(threads: int) -> Iterator[None]:
    """Has Beam's runner make the graph as above."""
    from apache_beam.runners.dask import transform_evaluator
    from dask import bag
    from dask.bag.core import groupby_tasks
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    def gathered(bags: list, label: str) -> Any:
        """One bag of these, of as many partitions as are shuffled."""
        most = 1 if label in _TO_ONE else threads if threads <= _ONE_STAGE else math.isqrt(threads) ** 2
        parts = [part for one in bags for part in one.__dask_keys__()]
        if len(bags) == 1 and len(parts) <= most:
            return bags[0]
        name = f"gathered-{tokenize(bags, most)}"
        graph: dict[Any, Any] = {(name, at): (_joined, parts[at::most]) for at in range(min(most, len(parts)))}
        return bag.Bag(HighLevelGraph.from_collections(name, graph, dependencies=bags), name, len(graph))

    class Create(transform_evaluator.Create):
        """Deals elements out one by one: where one takes long those beside it may, too."""

        def apply(self, input_bag: Any, side_inputs: Any = None) -> Any:
            values, wanted = list(self.transform.values), self.bag_kwargs.get("npartitions")
            if not wanted:
                return super().apply(input_bag, side_inputs)
            dealt = [one for first in range(wanted) for one in values[first::wanted]]
            return bag.from_sequence(dealt, partition_size=-(-len(dealt) // wanted))

    class Flatten(transform_evaluator.Flatten):
        """What is joined is shuffled next."""

        def apply(self, input_bag: Any, side_inputs: Any = None) -> Any:
            return gathered(input_bag, _label(self.applied))

    class GroupByKey(transform_evaluator.GroupByKey):
        """Keys are whole numbers, which say by themselves where they go: a digest of each takes longer than the shuffle."""

        def apply(self, input_bag: Any, side_inputs: Any = None) -> Any:
            label, wanted = _label(self.applied), self.bag_kwargs.get("npartitions")
            if label == _UNMOVED:
                return input_bag.map(_alone)
            found = gathered([input_bag], label)
            found = groupby_tasks(found, itemgetter(0), hash=int, max_branch=_ONE_STAGE).map(_grouped)
            more = wanted and label in _TO_WRITERS and wanted > found.npartitions
            return found.repartition(npartitions=wanted) if more else found

    known = dict(transform_evaluator.TRANSLATIONS)
    for own in (Create, Flatten, GroupByKey):
        (kind,) = (kind for kind, op in known.items() if op is own.__base__)
        transform_evaluator.TRANSLATIONS[kind] = own
    try:
        yield
    finally:
        transform_evaluator.TRANSLATIONS.update(known)


def _label(applied: Any) -> str:
    """Of the step of a flow that a transform of Beam's is part of."""
    return applied.full_label.partition("/")[0]


def _joined(parts: Iterable[Iterable]) -> list:
    return [one for part in parts for one in part]


def _alone(element: tuple[int, Any]) -> tuple[int, list]:
    return element[0], [_bare(element[1])]


def _grouped(element: tuple[int, list[tuple[int, Any]]]) -> tuple[int, list]:
    return element[0], [_bare(value) for _, value in element[1]]


def _bare(value: Any) -> Any:
    from apache_beam.runners.dask.transform_evaluator import defenestrate

    return defenestrate(value)
