"""Engines that take Beam's portable pipelines: the bytes of a local build. Flink's and Spark's are found, not fetched."""

import os
import shutil
from pathlib import Path

import apache_beam as beam
import pytest
import wet_files
from builds import shards
from command import run_command

from c4build.corpora.c4 import Request, prepare
from c4build.flow.dask import cluster_options
from c4build.flow.web import build_corpus

JARS = Path.home() / ".apache_beam/cache/jars"  # Beam's own


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(the arguments of a build, the shards that it makes on this machine)."""
    folder = tmp_path_factory.mktemp("engines")
    for number in range(3):
        wet_files.write_wet(folder / f"{number}.warc.wet.gz", wet_files.pages(20 * number, 20))
    (folder / "bad.txt").write_text("blorptastic\n")
    arguments = ["build", folder, "--badwords", folder / "bad.txt", "--variants", "en,en.noclean"]
    assert run_command(*arguments, "--out", folder / "out", "--workers", 1).code == 0
    return arguments, shards(folder / "out")


def test_a_portable_runner_writes_what_a_local_build_writes(made, tmp_path):
    arguments, expected = made
    portable = ["--runner", "PortableRunner", "--", "--job_endpoint", "embed", "--environment_type", "LOOPBACK"]
    done = run_command(*arguments, "--out", tmp_path, *portable)
    assert (done.code, done.error_lines) == (0, [])
    assert shards(tmp_path) == expected


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_flink_and_spark_write_what_a_local_build_writes(made, tmp_path, engine):
    variable = f"{engine.upper()}_JOB_SERVER_JAR"
    jars = (
        [os.environ[variable]]
        if variable in os.environ
        else sorted(map(str, JARS.glob(f"beam-runners-{engine}-*.jar")))
    )
    if not jars or not shutil.which("java"):
        pytest.skip(f"needs Java, and the jar of Beam's job server for {engine}: in {variable} or in {JARS}")
    arguments, expected = made
    master = {"flink": ["--flink_master", "[local]"], "spark": ["--spark_master_url", "local[2]"]}[engine]
    options = ["--runner", f"{engine.capitalize()}Runner", "--", f"--{engine}_job_server_jar", jars[-1], *master]
    done = run_command(*arguments, "--out", tmp_path, *options)
    assert (done.code, done.error_lines) == (0, [])
    assert shards(tmp_path) == expected


def test_the_graph_for_dask_is_of_the_size_of_the_cluster_and_not_of_the_inputs(sources, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    import dask
    from apache_beam.runners.dask.dask_runner import DaskRunner
    from apache_beam.runners.dask.overrides import dask_overrides

    plan = prepare(Request(sources.wet, str(tmp_path), bad_words=sources.bad_words)).plan

    def tasks(files: int, address: str) -> int:
        pipeline = beam.Pipeline(runner="DirectRunner")
        run = plan.run._replace(inputs=files)
        build_corpus(pipeline, plan._replace(finish=plan.finish._replace(run=run)))
        pipeline.replace_all(dask_overrides())
        with cluster_options(["--dask_client_address", address], files) as (option,):
            visitor = DaskRunner.to_dask_bag_visitor({"npartitions": int(option.partition("=")[2])})
            pipeline.visit(visitor)
        (sent,) = dask.optimize(list(visitor.bags.values())[-1])
        return len(dict(sent.__dask_graph__()))

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        found = [tasks(files, cluster.scheduler_address) for files in (3, 200, 64_000)]
    assert found[0] < found[1] == found[2] < 200
