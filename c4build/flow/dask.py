"""Dask clusters: which one a build runs on, and a graph of its size, not of the inputs'.

Beam's runner makes as many partitions as it is told of what is created, adds those up where collections are joined, and
has each shuffle send a task from every partition to every other: 50 inputs in a partition each are some 100,000 tasks, with
which the scheduler is busy for longer than the workers. Here there are a few partitions for each thread of the cluster,
and as many again behind every join.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_PARTITIONS = ("--dask_npartitions", "--dask_partition_size")
_CLUSTERS = ("--dask_client_address", "--dask_scheduler_file")
_EACH = 3  # partitions a thread: they take unlike times, and what a lost worker had is made again
_THREADS = 16  # of a cluster whose workers are still to come


@contextmanager
def cluster_options(options: Sequence[str], parts: int) -> Iterator[list[str]]:
    """Options of Beam's for a cluster, beside those that were given.

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

    with _joined_within_bounds():
        if any(option.startswith(_CLUSTERS) for option in options) or dask.config.get("scheduler-address", None):
            known = PipelineOptions(list(options)).view_as(DaskOptions)
            with Client(known.address, scheduler_file=known.scheduler_file) as client:
                threads = sum(client.nthreads().values())
            yield _partitions(options, parts, threads)
        else:
            with LocalCluster(host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
                threads = sum(worker["nthreads"] for worker in cluster.scheduler_info["workers"].values())
                yield ["--dask_client_address", cluster.scheduler_address, *_partitions(options, parts, threads)]


def _partitions(options: Sequence[str], parts: int, threads: int) -> list[str]:
    if any(option.startswith(_PARTITIONS) for option in options):
        return []
    return [f"--dask_npartitions={max(2, min(parts, _EACH * (threads or _THREADS)))}"]


@contextmanager
def _joined_within_bounds() -> Iterator[None]:
    """Has Beam's runner join collections into as many partitions as it was told of."""
    from apache_beam.runners.dask import transform_evaluator

    class Join(transform_evaluator.Flatten):
        def apply(self, input_bag: Any, side_inputs: Any = None) -> Any:
            joined, wanted = super().apply(input_bag, side_inputs), self.bag_kwargs.get("npartitions")
            return joined.repartition(npartitions=wanted) if wanted and joined.npartitions > wanted else joined

    translations = transform_evaluator.TRANSLATIONS
    (kind,) = (kind for kind, op in translations.items() if op is transform_evaluator.Flatten)
    translations[kind] = Join
    try:
        yield
    finally:
        translations[kind] = transform_evaluator.Flatten
