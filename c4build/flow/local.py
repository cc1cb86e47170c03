"""Runs a prepared build on a Beam runner: in this process, in several on this machine, or elsewhere."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.runner import PipelineRunner, create_runner

from c4build import errors
from c4build.errors import counted
from c4build.flow import dask
from c4build.flow.beam_options import is_waited_for
from c4build.flow.kit import Prepared
from c4build.flow.runs.run import RunRecord, work_folder
from c4build.flow.web import build_corpus
from c4build.flow.workers import process
from c4build.flow.workers.runner import WorkersRunner
from c4build.rules.steps import steps_of
from c4build.write.files import is_local
from c4build.write.lock import lock, unlock

LOCAL = "DirectRunner"
# Runners that Beam has, but does not know by their short names.
_FULL_NAMES = {"DaskRunner": "apache_beam.runners.dask.dask_runner.DaskRunner"}
_LOG = "workers.log"
_LONGEST_LINE = 500  # characters of an error that is not ours
_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = re.compile(
    r"\n\n(?:During handling of the above exception, another exception occurred|"
    r"The above exception was the direct cause of the following exception):\s*\Z"
)
_NOTE = re.compile(r"""(?: \[while running '([^'\n]*)'\])+(["']?)\s*\Z""")  # the quote is of a KeyError's text
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def check_runner(name: str | None):
    """Fails with `UsageError` where Beam has no such runner, or has it not installed."""
    if name not in (None, LOCAL):
        try:
            create_runner(_FULL_NAMES.get(name, name))
        except Exception as error:
            raise errors.UsageError(f"--runner {name}: {str(error) or type(error).__name__}") from error


def run(
    prepared: Prepared,
    workers: int = 1,
    runner: str | None = None,
    options: Sequence[str] = (),
    show: Callable[[RunRecord], AbstractContextManager] = nullcontext,
    may_fork: bool = False,
) -> bool:
    """Runs a build to its end; see `run_watched`."""
    clean = prepared.plan.finish.clean
    share = partial(steps_of, clean.rules, clean.tracks, clean.bad_words) if may_fork else None
    return run_watched(prepared, build_corpus, ("cleaning", "pages"), workers, runner, options, show, share)


def run_watched(
    prepared: Prepared,
    add: Callable[[beam.Pipeline, Any], object],
    doing: tuple[str, str],
    workers: int = 1,
    runner: str | None = None,
    options: Sequence[str] = (),
    show: Callable[[RunRecord], AbstractContextManager] = nullcontext,
    share: Callable[[], object] | None = None,
) -> bool:
    """Runs what was prepared, and leaves in OUT how far it is, for `c4build status`, and a log; see `run_flow`.

    Args:
      prepared: what is run.
      add: puts the flow of a plan on a pipeline.
      doing: what is done with the inputs, and what they hold.
      workers, runner, options: see `run_flow`.
      show: a context in which a person is shown how far the run is.
      share: makes what workers have in common; given by a command of c4build, whose process its workers may be copies of.

    Returns, raises: as `run_flow` does.
    """
    local = runner in (None, LOCAL)
    work = prepared.plan.run.work
    engine = f"local, {counted(workers, 'workers')}" if local else str(runner)
    out, _, _ = work_folder(work).rpartition("/")
    lock(work_folder(work), out)  # which is taken already: no other run begins before this one has told of its end
    try:
        with (
            _forked(share, workers if local else 1) as ready,
            RunRecord(prepared, engine, local, doing) as record,
            show(record),
        ):
            plan = record.prepared.plan
            ended = run_flow(lambda root: add(root, plan), work, len(prepared.inputs), workers, runner, options, ready)
            record.handed_over = not ended
            return ended
    finally:
        unlock(work_folder(work))


def _forked(share: Callable[[], object] | None, workers: int) -> AbstractContextManager[list[process.Forked]]:
    if share is None or workers == 1 or not process.can_fork():
        return nullcontext([])
    share()
    return process.forked(workers)


def run_flow(
    add: Callable[[beam.Pipeline], object],
    work: str,
    parts: int,
    workers: int = 1,
    runner: str | None = None,
    options: Sequence[str] = (),
    ready: list[process.Forked] | None = None,
) -> bool:
    """Runs a flow to its end.

    Args:
      add: puts the flow on a pipeline.
      work: folder for what the workers have to say.
      parts: the number of pieces that the work is dealt out in.
      workers: processes on this machine; 1 is this very process. Other runners have their own options for it.
      runner: a Beam runner's name; None or DirectRunner is this machine.
      options: passed to Beam untouched.
      ready: workers that are there already; they are taken from the list.

    Returns:
      False where `options` ask for a job that is handed over, and not waited for.

    Raises:
      C4BuildError: whatever failed, wherever it happened, in a text for the person who runs it.
    """
    log = os.path.join(work, _LOG) if is_local(work) else None
    extra = []
    beam_runner: PipelineRunner | str
    try:
        if runner in (None, LOCAL):
            if PipelineOptions(list(options)).view_as(DirectOptions).direct_running_mode != "in_memory":
                raise errors.UsageError("--direct_running_mode: c4build has workers of its own; give --workers")
            beam_runner = fn_runner.FnApiRunner() if workers == 1 else WorkersRunner(log, ready or [])
            extra = [f"--direct_num_workers={workers}"]
        else:
            beam_runner = _FULL_NAMES.get(runner, runner)
        cluster: AbstractContextManager[list[str]] = (
            dask.cluster_options(options, parts) if runner == "DaskRunner" else nullcontext([])
        )
        with cluster as more:
            pipeline = beam.Pipeline(runner=beam_runner, options=_Options([*options, *extra, *more]))
            add(pipeline)
            result, ended = pipeline.run(), is_waited_for(options)
            if ended:
                result.wait_until_finish()
            return ended
    except Exception as error:
        raise _clear(error, log) from error
    finally:
        unlock(work)


class _Options(PipelineOptions):
    """Beam asks for a view of its options hundreds of times a pipeline, and would parse all of them anew each time."""

    def view_as(self, cls):
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]


def _clear(error: BaseException, log: str | None = None) -> BaseException:
    """The error of ours or the Ctrl-C that is in a runner's report, or one that says in a line what failed."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    for cause in chain:
        if isinstance(cause, errors.C4BuildError):
            text, step = _without_step(str(cause))
            return type(cause)(text) if step else cause
        if isinstance(cause, KeyboardInterrupt):  # Beam makes a RuntimeError of it while a step runs
            return cause
    told = [one for cause in chain for one in _told(cause)]
    for kind, text, _ in told:
        module, _, name = kind.rpartition(".")
        ours = getattr(sys.modules.get(module), name, None)
        if isinstance(ours, type) and issubclass(ours, errors.C4BuildError):
            return ours(text)
    kind, text, step = told[0]
    where = f"step {step} failed: " if step else ""
    if kind.endswith("MemoryError"):
        return errors.WorkerError(f"{where}out of memory; run the same command again with fewer --workers")
    number = re.match(r"\[Errno (\d+)\] (.+)", text, re.DOTALL)
    if number and int(number[1]) in _NO_ROOM:
        return errors.OutputError(f"{where}cannot write: {_one_line(number[2])}")
    if number:
        return errors.C4BuildError(where + _one_line(number[2]))
    seen = f"; the whole report is in {log}" if log and _append(log, error) else ""
    return errors.C4BuildError(f"{where}{kind.removeprefix('builtins.')}: {_one_line(text)}{seen}")


def _told(error: BaseException) -> list[tuple[str, str, str]]:
    """Kind, text and step of the errors that an exception tells of, the last to be raised first.

    From a worker the text is what Python prints of an exception and of those that it follows from.
    """
    text = str(error)
    if not text.startswith(_TRACEBACK):
        text = f"{_TRACEBACK}\n{type(error).__module__}.{type(error).__qualname__}: {text}"
    found = []
    for report in re.split(f"^{re.escape(_TRACEBACK)}\\n", text, flags=re.MULTILINE)[1:]:
        said = re.sub(r"\A(?:  .*\n)*", "", report)  # without the calls
        kind, _, said = _CHAINED.sub("", said).rstrip().partition(": ")
        said, step = _without_step(said)
        # Beam's way to name the step where it cannot make another error of that kind
        inner = re.fullmatch(r"([\w.]*(?:Error|Exception))(?:: (.*))?", said, re.DOTALL)
        if inner and step and kind in ("RuntimeError", "builtins.RuntimeError"):
            kind, said = inner[1], inner[2] or ""
        found.append((kind, said, step))
    return found[::-1]


def _without_step(text: str) -> tuple[str, str]:
    """A message without Beam's note of the step at its end, and the name of that step."""
    note = _NOTE.search(text)
    if not note or (note[2] and not text.startswith(note[2])):
        return text, ""
    return text[: note.start()] + note[2], re.sub(r"-ptransform-\d+\Z", "", note[1])


def _one_line(text: str) -> str:
    return errors.printable(" ".join(text.split()), _LONGEST_LINE)


def _append(log: str, error: BaseException) -> bool:
    try:
        with open(log, "a", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
        return True
    except OSError:
        return False
