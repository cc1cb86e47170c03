"""The command line: thin. Exit codes: 0 done, 1 done but inputs were damaged or missing, 2 the command was wrong, 3 it failed,
130 interrupted."""

import importlib
import io
import logging
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from c4build import __version__
from c4build.commands.commandline import (
    DAMAGED,
    FAILED,
    HANDED_OVER,
    INTERRUPTED,
    THERE_ALREADY,
    WRONG,
    BeamCommand,
    Interrupted,
    asks_for,
    cores,
    keeps_nothing,
)
from c4build.commands.corpora import attach, check, run_collect
from c4build.corpora.options import Format, LeaveOneOut, Request, Rules, Runner, Workers
from c4build.errors import C4BuildError, DamageError, UsageError, say, visible
from c4build.rules.tables import VARIANTS

# Commands whose modules are imported when they are called, or all are listed.
_ELSEWHERE = {
    "plan": "c4build.commands.plan",
    "explain": "c4build.commands.explain",
    "diff": "c4build.commands.diff",
    "overlap": "c4build.commands.overlap",
    "dropped": "c4build.commands.dropped",
    "report": "c4build.commands.report",
    "ablate": "c4build.t5.cli",
    "t5": "c4build.t5.cli",
}
_AGAIN = 0.01  # seconds
_GO_ON = ("plan", "ablate", "t5")  # of these, those that an interrupt does not make begin anew


class Commands(TyperGroup):
    """The commands, and those elsewhere."""

    def list_commands(self, ctx: Any) -> list[str]:
        self._import(_ELSEWHERE)
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self._import([cmd_name] if cmd_name in _ELSEWHERE else _ELSEWHERE)  # all, to say which is meant
        return super().get_command(ctx, cmd_name)

    def _import(self, names: Iterable[str]):
        for name in names:
            if name in self.commands:
                continue
            module, group = importlib.import_module(_ELSEWHERE[name]), typer.Typer(add_completion=False)
            if name == "t5":
                group.add_typer(module.app, name=name)
            else:
                command = getattr(module, name)
                group.command(name)(command if name in _GO_ON else keeps_nothing(command))
            self.commands[name] = typer.main.get_group(group).commands[name]


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="C4 and its variants from Common Crawl WET files, with Apache Beam; and a T5 to train on them.",
)


def _version(wanted: bool):
    if wanted:
        print(f"c4build {__version__}")
        raise typer.Exit()


@app.callback()
def _app(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False):
    pass


@app.command(cls=BeamCommand)
@asks_for(Request)
def build(
    context: typer.Context,
    request: Request,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be read, and written where; stop.")
    ] = False,
    workers: Workers = None,
    runner: Runner = None,
):
    """Make C4 and its variants from WET files."""
    if dry_run:
        raise typer.Exit(run_dry(request, workers, runner, context.args))
    raise typer.Exit(run_build(request, workers, runner, context.args))


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="Folder for the corpora.")] = "c4-demo",
    rules: Rules = "paper",
    format: Format = "tfrecord",
    leave_one_out: LeaveOneOut = False,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine.")] = 1,
):
    """Make all five variants, a Wikipedia and a books corpus from what ships with the package, in well under a minute."""
    from c4build.corpora.books import prepare_books
    from c4build.corpora.wikipedia import prepare_wikipedia
    from c4build.sample.crawl import write_crawl
    from c4build.sample.resources import sample_books, sample_dump, sample_folder

    sample = sample_folder()
    _check_demo(out, sample)
    crawl, shared = write_crawl(f"{out}/raw")
    request = Request(
        inputs=[str(sample / "sample.warc.wet.gz"), crawl],
        out=out,
        rules=rules,
        variants=list(VARIANTS),
        leave_one_out=leave_one_out,
        realnews_domains=str(sample / "realnews_domains.json"),
        webtext_urls=[str(sample / "webtext_urls.txt"), shared],
        format=format,
        overwrite=True,
    )
    codes = [run_build(request, workers)]
    dump, books = [str(sample_dump())], [str(sample_books())]
    codes.append(run_collect(prepare_wikipedia(dump, out, format=format, overwrite=True), workers, None, []))
    codes.append(run_collect(prepare_books(books, out, format=format, overwrite=True), workers, None, []))
    print(f"\nLook at what was made, or make some of the real C4, from two files of a crawl:\n{_next_commands(out)}")
    raise typer.Exit(max(codes))


def _check_demo(out: str, sample: Path):
    """Fails with UsageError where OUT has a corpus that is neither of the demo's inputs nor of what the demo made of them."""
    from c4build.write.catalog import corpora_below

    own = {path.name for path in sample.rglob("*")} | {"domains.warc.wet.gz"}
    folder = Path(out).absolute()
    for corpus in corpora_below(out):
        sources = [Path(source["path"]) for source in corpus.manifest.get("inputs", [])]
        if not all(source.name in own or folder in source.absolute().parents for source in sources):
            raise UsageError(f"{out} holds {'/'.join(corpus.place)}, which the demo did not make: give another --out")


def _next_commands(out: str) -> str:
    looking = shlex.join(["c4build", "inspect", out.rstrip("/") + "/c4/en"])
    return f"  {visible(looking)}\n  c4build build --crawl CC-MAIN-2019-18 --limit 2 --out corpora"


attach(app)


def run_build(
    request: Request, workers: int | None = None, runner: str | None = None, beam_options: Sequence[str] = ()
) -> int:
    """Makes what `request` asks for, shows how far it is and what came of it; returns the exit code."""
    started = time.monotonic()
    check(workers, runner, beam_options)
    from c4build.commands.run_progress import Progress
    from c4build.compiled import SLOW, core, missing
    from c4build.corpora.c4 import prepare, read_summary
    from c4build.flow.local import run
    from c4build.write.folder import keeps_nothing

    prepared = prepare(request, say=say)
    if core is None and not prepared.complete:
        say(f"{missing}: {SLOW}")
    if prepared.complete:
        print(THERE_ALREADY)
    else:
        useful = max(len(prepared.inputs), prepared.plan.run.shards)
        if not run(prepared, min(workers or cores(), useful), runner, beam_options, Progress, may_fork=True):
            print(HANDED_OVER)
            return 0
    from c4build.commands.terminal import print_outcome
    from c4build.report.card import write_card

    summaries = read_summary(prepared.folders)
    if not prepared.complete:
        for line in dict.fromkeys(line for summary in summaries.values() for line in summary["made_again"]):
            say(f"made again: {line}")
    for name, summary in summaries.items():
        if warning := keeps_nothing(name, "pages", summary):
            say(warning)
    if left_alone := write_card(prepared.plan.run.out):
        say(left_alone)
    print_outcome(summaries, prepared, time.monotonic() - started)
    return DAMAGED if any(summary["damaged"] or summary["missing"] for summary in summaries.values()) else 0


def run_dry(request: Request, workers: int | None, runner: str | None, beam_options: Sequence[str]) -> int:
    """Prints what a build would read and write; returns the exit code."""
    check(workers, runner, beam_options)
    from c4build.corpora.dry_run import dry_run

    for line in dry_run(request):
        print(visible(line))
    return 0


def _quiet_logs():
    """Keeps the remarks of Beam and its libraries off the terminal: what matters comes as an error of ours."""
    logging.basicConfig(level=logging.CRITICAL)
    logging.getLogger().setLevel(logging.CRITICAL)
    threading.excepthook = lambda failure: None
    sys.unraisablehook = _interrupt_again


def _interrupt_again(failure: Any):
    """Ctrl-C that came while Python took an object down, where exceptions end, comes once more."""
    if failure.exc_type is KeyboardInterrupt:
        main_thread = threading.main_thread().ident
        threading.Timer(_AGAIN, signal.pthread_kill, [main_thread, signal.SIGINT]).start()


def main():
    """Runs the command line and ends the process with its exit code."""
    end_with(lambda: app(standalone_mode=False))


def end_with(command: Callable[[], int | None], program: str = "c4build"):
    """Runs `command` and ends the process with the exit code that it returns, or that its error stands for."""
    _quiet_logs()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed, as by `c4build ... >&-`
            setattr(sys, name, open(os.devnull, "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks is no failure
    try:
        code = command()
        if code == INTERRUPTED:  # as newer versions of typer tell of it
            code = _interrupted(program)
    except UsageError as error:
        code = _complain(program, error, WRONG)
    except DamageError as error:
        code = _complain(program, error, DAMAGED)
    except C4BuildError as error:
        code = _failed(program, error)
    except (KeyboardInterrupt, typer.Abort):
        code = _interrupted(program)
    except Interrupted:
        code = _interrupted(program, "the same command starts from the beginning")
    except Exception as error:
        if hasattr(error, "show"):  # click's own complaints about the command line
            _show(error)
            code = WRONG
        else:
            code = _failed(program, _internal(error))
    sys.stdout.flush()
    sys.stderr.flush()
    # Beam's threads would hold the process, after an interrupt or a failure above all.
    os._exit(code or 0)


def _internal(error: Exception) -> str:
    """An error that nobody foresaw, in one line; with C4BUILD_TRACEBACK set its traceback is printed too."""
    if os.environ.get("C4BUILD_TRACEBACK"):
        print(visible(traceback.format_exc(), keep="\n"), file=sys.stderr)
    *_, last = traceback.extract_tb(error.__traceback__)
    text = " ".join(str(error).split())
    return (
        f"internal error: {type(error).__name__}: {text} ({os.path.basename(last.filename)}, line {last.lineno}); please "
        "report it; C4BUILD_TRACEBACK=1 shows where it came from"
    )


def _show(error):
    """Prints a complaint of click's; of an option that is missing it says too what to give."""
    help = getattr(getattr(error, "param", None), "help", None)
    if help and not error.message:
        error.message = help
    error.show()


def _complain(program: str, error: Exception | str, code: int) -> int:
    print(visible(f"{program}: {error}"), file=sys.stderr)
    return code


def _failed(program: str, error: Exception | str) -> int:
    from c4build.flow.workers import end_workers

    end_workers()
    return _complain(program, error, FAILED)


def _interrupted(program: str, then: str = "run the same command again and it goes on from here") -> int:
    from c4build.flow.workers import end_workers

    end_workers()
    print(f"\n{program}: interrupted; {then}", file=sys.stderr)
    return INTERRUPTED


if __name__ == "__main__":
    main()
