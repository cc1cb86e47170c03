"""Runs a prepared build on a Beam runner: in this process, in several on this machine, or elsewhere."""

import os
import re
import shlex
import sys
from contextlib import nullcontext
from typing import Callable, Optional, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.runner import create_runner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from c4build import errors
from c4build.build import Prepared
from c4build.corpus import build_corpus
from c4build.workers import WorkerWatch
from c4build.write.files import is_local
from c4build.write.folder import unlock

LOCAL = "DirectRunner"
# Runners that Beam has, but does not know by their short names.
_FULL_NAMES = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}
_DASK_PARTITIONS = ("--dask_npartitions", "--dask_partition_size")


def check_runner(name: Optional[str]):
    """Fails with `UsageError` where Beam has no such runner, or has it not installed."""
    if name not in (None, LOCAL):
        try:
            create_runner(_FULL_NAMES.get(name, name))
        except Exception as error:
            raise errors.UsageError(f"--runner {name}: {str(error) or type(error).__name__}") from error


def run(prepared: Prepared, workers: int = 1, runner: Optional[str] = None, options: Sequence[str] = ()):
    """Runs a build to its end; see `run_flow`."""
    plan = prepared.plan
    run_flow(lambda root: build_corpus(root, plan), plan.finish.work, len(prepared.inputs), workers, runner, options)


def run_flow(
    add: Callable[[beam.Pipeline], object],
    work: str,
    parts: int,
    workers: int = 1,
    runner: Optional[str] = None,
    options: Sequence[str] = (),
):
    """Runs a flow to its end.

    Args:
      add: puts the flow on a pipeline.
      work: folder for what the workers have to say.
      parts: the number of pieces that the work is dealt out in.
      workers: processes on this machine; 1 is this very process. Other runners have their own options for it.
      runner: a Beam runner's name; None or DirectRunner is this machine.
      options: passed to Beam untouched.

    Raises:
      C4BuildError: for what a person can mend, wherever it happened.
    """
    several = runner in (None, LOCAL) and workers > 1
    if runner in (None, LOCAL):
        beam_runner, extra = _local_runner(workers, work + "/workers.log"), [f"--direct_num_workers={workers}"]
    else:
        beam_runner, extra = _FULL_NAMES.get(runner, runner), []
        # Dask makes as many partitions as it is told of what is created, and keeps that number to the end.
        if runner == "DaskRunner" and not any(option.startswith(_DASK_PARTITIONS) for option in options):
            extra = [f"--dask_npartitions={max(2, parts)}"]
    try:
        pipeline = beam.Pipeline(runner=beam_runner, options=PipelineOptions([*options, *extra]))
        add(pipeline)
        with WorkerWatch() if several else nullcontext():
            pipeline.run().wait_until_finish()
    except Exception as error:
        raise _clear(error) from error
    finally:
        unlock(work)


def _local_runner(workers: int, log: str) -> fn_runner.FnApiRunner:
    if workers == 1:
        return fn_runner.FnApiRunner()
    # Workers leave Ctrl-C to the process that started them, and their remarks go to a file.
    command = f"exec {shlex.quote(sys.executable)} -m apache_beam.runners.worker.sdk_worker_main"
    if os.name == "posix":
        target = shlex.quote(log) if is_local(log) else "/dev/null"
        command = f"trap '' INT; {command} 2>>{target}"
    return fn_runner.FnApiRunner(SubprocessSDKEnvironment.from_command_string(command))


def _clear(error: BaseException) -> BaseException:
    """The error of ours or the Ctrl-C that is in a runner's report, or one that says where to look further."""
    text = str(error)
    cause: Optional[BaseException] = error
    while cause is not None:
        if isinstance(cause, errors.C4BuildError):
            return type(cause)(re.sub(r" \[while running .*", "", str(cause), flags=re.DOTALL))
        if isinstance(cause, KeyboardInterrupt):  # Beam makes a RuntimeError of it while a step runs
            return cause
        cause = cause.__cause__ or cause.__context__
    found = re.findall(r"c4build\.errors\.(\w+): (.+)", text)
    if found:
        kind, message = found[-1]
        return getattr(errors, kind)(re.sub(r" \[while running .*", "", message))
    disk = re.findall(r"(?:OSError|IOError): (\[Errno \d+\] .+)", text)
    if disk:
        return errors.OutputError(disk[-1])
    return error if isinstance(error, Exception) else RuntimeError(text)
