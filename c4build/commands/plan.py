"""`c4build plan`: reads a sample of the inputs, and says what a build of all of them takes and costs."""

import json
import math
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from c4build.commands.commandline import DAMAGED, INTERRUPTED, asks_for, cores
from c4build.corpora.options import Request
from c4build.errors import C4BuildError, UsageError, counted, say, visible

_COLUMNS = 80
_START = (
    "import json, sys; from c4build.commands.main import end_with, run_build; from c4build.corpora.options import Request; "
    "request, workers = json.loads(sys.argv[1]); end_with(lambda: run_build(Request(**request), workers))"
)


@asks_for(Request, out="", allow_missing="100%", overwrite=False)
def plan(
    request: Request,
    sample: Annotated[int, typer.Option(metavar="N", help="Inputs to read, drawn at random from all.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    workers: Annotated[
        int | None, typer.Option(metavar="W", help="Workers that the build will have; by default this machine's cores.")
    ] = None,
    prices: Annotated[
        str | None, typer.Option(metavar="FILE", help="Prices in TOML, in place of list prices of AWS and Google.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
):
    """Say what a build would take and cost, from a sample of its inputs that is read for real."""
    for name, number in (("sample", sample), ("workers", workers)):
        if number is not None and number < 1:
            raise UsageError(f"--{name} {number}: it must be 1 or more")
    try:
        found = _plan(request, sample, seed, workers or cores(), prices)
    except KeyboardInterrupt:
        print("\nc4build: interrupted; nothing is kept of the sample", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    for entry in found["missing"]:
        print(visible(f"missing: {entry['input']}: {entry['why']}"), file=sys.stderr)
    for entry in found["damaged"]:
        print(visible(f"damaged: {entry['input']} at byte {entry['offset']:,}: {entry['what']}"), file=sys.stderr)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        _print(found)
    raise typer.Exit(DAMAGED if found["missing"] or found["damaged"] else 0)


def _plan(request: Request, sample: int, seed: int, workers: int, prices: str | None) -> dict[str, Any]:
    """What `--json` prints."""
    from c4build.corpora.plan import measure_sample, project
    from c4build.flow.prices import load_prices

    providers = load_prices(prices)
    measured = measure_sample(request, sample, seed, _shown, say)
    say("measuring what a run needs to start")
    with tempfile.TemporaryDirectory(prefix="c4build-plan-") as folder:
        start = _start(request, folder, workers)
    return {**project(measured, request, seed, workers, start, providers), "prices": prices}


@contextmanager
def _shown(prepared: Any) -> Iterator[Any]:
    """Shows how far the reading of what it gives is."""
    from c4build.commands.run_progress import Progress
    from c4build.flow.runs import marks
    from c4build.flow.runs.run import RunRecord

    with RunRecord(prepared, "plan", True, ("reading", "pages")) as record, Progress(record):
        marks.begin(record.prepared.plan.run.progress, "Clean")
        yield record.prepared


def _start(request: Request, folder: str, workers: int) -> tuple[float, float]:
    """CPU seconds that a build needs apart from its inputs: in its first process, and in each worker of several."""
    from c4build.flow.plan import write_first_page

    pages = [write_first_page(os.path.join(folder, f"{number}.warc.wet"), f"{number}.example.org") for number in (1, 2)]
    urls = os.path.join(folder, "urls.txt")  # the lists themselves were measured with the keys
    with open(urls, "w") as file:
        file.write("http://1.example.org/\n")
    tiny = request._replace(inputs=pages, crawls=[], limit=None, shards=2)
    tiny = tiny._replace(webtext_urls=[urls] if request.webtext_urls else [])
    alone = _cpu_of_build(tiny._replace(out=os.path.join(folder, "alone")), 1, folder)
    if workers == 1:
        return alone, 0.0
    together = _cpu_of_build(tiny._replace(out=os.path.join(folder, "together")), 2, folder)
    return alone, max(0.0, (together - alone) / 2)


def _cpu_of_build(request: Request, workers: int, folder: str) -> float:
    """CPU seconds of a build in a process of its own and of its workers."""
    command = [sys.executable, "-c", _START, json.dumps([request._asdict(), workers])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    log = os.path.join(folder, "start.log")
    with open(log, "wb") as said:
        build = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
    try:
        _, status, usage = os.wait4(build.pid, 0)
        build.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        build.kill()
        build.wait()
        raise
    if build.returncode not in (0, DAMAGED):
        with open(log, errors="replace") as said:
            last = (said.read().strip().splitlines() or [""])[-1]
        raise C4BuildError(
            f"what a run needs to start could not be measured: {visible(last.removeprefix('c4build: '))}"
        )
    return usage.ru_utime + usage.ru_stime


def _print(found: Mapping[str, Any]):
    """The plan for a person, in 80 columns."""
    from c4build.commands.run_progress import duration
    from c4build.commands.terminal import print_tables

    estimates = found["estimates"]
    per, unit = (3600, "CPU hours") if estimates["cpu"]["all"]["value"] >= 3600 else (1, "CPU s")

    def rows(kind: str, before: str, show: Callable[[float], str]) -> list[tuple[str, list[str]]]:
        return [(before + name, [show(value) for value in one.values()]) for name, one in estimates[kind].items()]

    parts = [
        rows("cpu", f"{unit}, ", lambda value: f"{value / per:,.1f}"),
        rows("time", "time on ", lambda value: duration(round(value))),
        rows("bytes", "bytes ", _bytes),
        rows("pages", "pages ", _count),
        rows("requests", "requests, ", _count),
    ]
    inputs, sample = counted(found["inputs"], "inputs"), found["sample"]
    title = f"{inputs} by the rules {visible(found['rules'])}, from a sample of {sample:,}"
    print_tables(title, "", ["estimate", "from", "to"], parts)
    providers = found["money"]
    costs = [(name, [_range(one["costs"][name]) for one in providers]) for name in providers[0]["costs"]]
    print_tables("Money", "", [visible(one["provider"]) for one in providers], [costs])
    for line in _remarks(found):
        print(textwrap.fill(visible(line), _COLUMNS, subsequent_indent="  ", break_long_words=False))


def _remarks(found: Mapping[str, Any]) -> Iterator[str]:
    """What the numbers mean, and what they do not know."""
    from c4build.flow.estimate import KEYS_POWER, LEVEL

    inputs, sample = found["inputs"], found["sample"]
    if sample == inputs:
        yield "- All inputs were read, so that the sample says it all but for time and money."
    elif sample == 1:
        yield "- One file shows neither how much files differ nor what they share: take more."
    else:
        yield f"- from, to: {100 * LEVEL:.0f} % of such samples, by a bootstrap over {sample:,} files. Few files show less than there is."
    if sample < inputs:
        yield (
            "- Kept and written fall with size, as more is a duplicate. Estimate: by a power, as from 1 to "
            f"{sample:,} files. From: the odds grow as they did there. To: no more duplicates than there."
        )
    if found["unknown_sizes"]:
        yield f"- The sizes of {counted(found['unknown_sizes'], 'inputs')} are not known, and taken from the sample's."
    yield f"- Keys are drawn on by the power {KEYS_POWER} that docs/scale.md measured."
    yield (
        "- CPU is that of this machine; a rented processor may be slower. The time is that of workers with a processor "
        "each, work to the end, and downloads as fast as the sample's."
    )
    yield "- Requests to OUT, page files and corpora by the month: where OUT lies in a bucket."
    for one in found["money"]:
        kind = "as given" if found["prices"] else "list prices, in dollars"
        yield f"- Prices of {one['provider']}: {kind}{', as of ' + one['date'] if one['date'] else ''}."
    yield (
        "- Not known: what an engine adds and charges (Dataflow's shuffle), what is tried again or slowed down, memory "
        "and disks of workers, discounts."
    )


def _bytes(size: float) -> str:
    power = min(max(int(math.log10(size)) // 3, 0), 4) if size >= 1 else 0
    return f"{_three_digits(size / 1000**power)} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _count(number: float) -> str:
    for name, unit in (("billion", 1e9), ("million", 1e6)):
        if number >= unit:
            return f"{_three_digits(number / unit)} {name}"
    return f"{number:,.0f}"


def _three_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _range(cost: Mapping[str, float]) -> str:
    value, low, high = (f"{cost[name]:,.2f}" if cost[name] < 100 else f"{cost[name]:,.0f}" for name in cost)
    return value if low == high else f"{value} ({low} to {high})"
