"""What a person sees: how far it is, and at the end the table of what came in and what stayed."""

import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from c4build.errors import counted, visible
from c4build.rules.tables import VARIANTS, reasons_in_order
from c4build.write.folder import manifest_name

_PLAIN_SECONDS = 10  # between two lines where there is no terminal
_PLAIN_WIDTH = 120  # of a line there
_SHOWN_DAMAGES = 20
_FINISHED_UNIT = re.compile(r"\d+\.json")


class Progress:
    """Shows files done, pages a second and the time left while a build runs: a bar on a terminal, lines elsewhere.

    `doing` is what is done with the inputs, `record` what they hold.
    """

    def __init__(self, prepared, local: bool, doing: str = "cleaning", record: str = "pages"):
        self._doing = doing, record
        self._run, self._inputs, self._page_files = prepared.plan.run, prepared.inputs, prepared.page_files
        self._console = Console(stderr=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True) if local and self._run.progress else None

    def __enter__(self) -> "Progress":
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _watch(self):
        if self._console.is_terminal:
            with Bar(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[state]}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            ) as bar:
                task = bar.add_task("starting", total=1.0, state="")
                meter = _Meter(self._run, self._inputs, self._page_files, *self._doing)
                while not self._stop.wait(0.3):
                    what, share, state = meter.read()
                    bar.update(task, description=what, completed=share, state=state)
        else:
            meter, said = _Meter(self._run, self._inputs, self._page_files, *self._doing), None
            while not self._stop.wait(_PLAIN_SECONDS):
                what, _, state = meter.read()
                if (what, state) != said:
                    print(f"c4build: {what} {state}", file=sys.stderr, flush=True)
                said = (what, state)


class _Meter:
    """Reads how far a build is from the files it leaves: nothing is asked of its workers."""

    def __init__(self, run, inputs, page_files, doing: str, record: str):
        self._doing, self._record = doing, record
        self._run, self._inputs = run, inputs
        self._page_files = page_files
        names = {folder: set(_names_in(folder)) for folder in {os.path.dirname(path) for path in page_files}}
        self._there = {
            index for index, path in enumerate(page_files) if os.path.basename(path) in names[os.path.dirname(path)]
        }
        self._sizes = [max(source.likely_size, 1) for source in inputs]
        self._whole = sum(self._sizes)
        self._old = set(self._there)  # what was there before, and nothing is told of
        self._old_size = sum(self._sizes[index] for index in self._old)
        self._settled: set[str] = set()  # names of what will tell nothing more
        self._pages = self._size = 0  # of these
        self._start = time.monotonic()

    def read(self) -> tuple[str, float, str]:
        """(what is being done, the share of it that is done, numbers)."""
        seconds = time.monotonic() - self._start
        pages, size = self._look()
        files = f"{len(self._there):,} of {counted(len(self._inputs), 'files')}"
        if len(self._there) == len(self._inputs):
            total = self._run.shards
            done = self._finished_units()
            if done is None:
                return self._doing, 1.0, files
            return "writing", done / total, f"{done:,} of {counted(total, 'shards')}"
        new = size / max(self._whole - self._old_size, 1)
        left = seconds / new * (1 - new) if new > 0.01 else 0
        state = f"{files}, {pages / max(seconds, 1e-3):,.0f} {self._record}/s" + (
            f", {duration(int(left))} left" if left >= 1 else ""
        )
        return self._doing, (self._old_size + size) / self._whole, state

    def _look(self) -> tuple[int, int]:
        """(pages, bytes) read by this run. Only what may have changed since the last time is looked at."""
        pages = size = 0
        for name in _names_in(self._run.progress):
            if name in self._settled or not name.isdecimal() or int(name) >= len(self._sizes):
                continue
            index = int(name)
            told, total = _told(os.path.join(self._run.progress, name)), self._sizes[index]
            if index in self._old:  # it is made again
                self._old.remove(index)
                self._old_size -= total
            if index in self._there:
                self._settled.add(name)
                self._pages, self._size = self._pages + told[0], self._size + total
                continue
            if os.path.exists(self._page_files[index]):
                self._there.add(index)  # what is told last is read the next time
                told = told[0], total
            pages, size = pages + told[0], size + min(told[1], total)
        return self._pages + pages, self._size + size

    def _finished_units(self) -> int | None:
        """How many shards are written; None where the inputs' own files are all that is made."""
        units, shards = self._run.units, self._run.shards
        if any(os.path.dirname(path) == units for path in self._page_files):
            return None
        done = sum(bool(_FINISHED_UNIT.fullmatch(name)) for name in os.listdir(units)) if os.path.isdir(units) else 0
        return min(done, shards)


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _told(path: str) -> tuple[int, int]:
    try:
        with open(path) as file:
            pages, size = file.read().split()
        return int(pages), int(size)
    except (OSError, ValueError):
        return 0, 0


def print_complete(folders: Mapping[str, str]):
    print("c4build: this very corpus is there already; nothing was done")


def print_damages(summary: Mapping):
    """The first of what a summary calls missing or damaged, each with its place; the others are counted."""
    missing, damaged = summary.get("missing", []), summary["damaged"]
    for entry in missing[:_SHOWN_DAMAGES]:
        print(visible(f"missing: {entry['input']}: {entry['why']}"), file=sys.stderr)
    if missing:
        print(
            f"missing: {len(missing):,} of {counted(len(summary['inputs']), 'inputs')} could not be fetched, and the corpus is "
            "without them; run again to fetch them",
            file=sys.stderr,
        )
    for entry in damaged[:_SHOWN_DAMAGES]:
        print(visible(f"damaged: {entry['input']} at byte {entry['offset']:,}: {entry['what']}"), file=sys.stderr)
    if more := len(damaged[_SHOWN_DAMAGES:]) + summary["more_damaged"]:
        print(
            f"damaged: and {more:,} more, of which the first are listed in {manifest_name(summary['format'])}",
            file=sys.stderr,
        )


def duration(seconds: float) -> str:
    """As in 1:02:03, 1:05 or 5 s."""
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


Row = tuple[str, Sequence[str]]  # its name, and a value for every column


def print_tables(title: str, counted: str, columns: Sequence[str], parts: Sequence[Sequence[Row]]):
    """Prints a table of what is `counted`; of more columns than there is room for, several, one below the other.

    No name and no number is ever cut off: on a screen that is too narrow for a single column, lines are too long. The row
    `kept` stands out.
    """
    console = _console()
    first = 0
    while first < len(columns):
        last = len(columns)
        while last > first + 1 and _width(_table(title, counted, columns, parts, first, last)) > console.width:
            last -= 1
        table = _table(title, counted, columns, parts, first, last)
        Console(width=max(console.width, _width(table)), highlight=False).print(table)
        first, title = last, ""


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH, highlight=False)


def _width(table: Table) -> int:
    console = Console(width=10_000)
    return Measurement.get(console, console.options, table).maximum


def _table(
    title: str, counted: str, columns: Sequence[str], parts: Sequence[Sequence[Row]], first: int, last: int
) -> Table:
    table = Table(title=Text(title) if title else None, title_justify="left")
    table.add_column(counted, no_wrap=True)
    for name in columns[first:last]:
        table.add_column(name, justify="right", no_wrap=True)
    for part in parts:
        table.add_section()
        for name, values in part:
            if any(values[first:last]):
                table.add_row(name, *values[first:last], style="bold" if name == "kept" else "")
    return table


def print_note(text: str):
    """Prints a remark, broken between words where the line ends."""
    _console().print(Text(visible(text)))


def print_outcome(summaries: Mapping[str, dict], prepared, seconds: float):
    """Prints what came in and what stayed: pages of each variant by rule, then lines, then repeats; where it all lies."""
    said = list(summaries.values())
    rules, lines = said[0]["rules"], said[0]["lines"]

    def row(name: str, values: Iterable[int], empty: str = "0") -> tuple[str, list[str]]:
        return name, [f"{value:,}" if value else empty for value in values]

    found = [reason for reason in reasons_in_order(rules) if any(s["dropped"].get(reason) for s in said)]
    pages = [row("read", (s["pages"] for s in said))]
    pages += [row("- " + reason.replace("_", " "), (s["dropped"].get(reason) for s in said), "") for reason in found]
    kept = [row("kept", (s["kept"] for s in said))]
    kept += [row(f"  {split}", (s["splits"][split] for s in said)) for split in ("train", "validation")]
    parts = [pages, kept, [row("bytes kept", (s["bytes"] for s in said))]]
    print_tables(f"C4 by the rules {visible(rules['name'])}", "pages", list(summaries), parts)
    if found:
        print_note("A page is counted under the first rule that takes it; the rules stand in their order.")
    if lines.get("read"):
        cleaned = [name for name in summaries if "lines" in VARIANTS[name].steps]
        dropped = [
            f"{lines[name]:,} {name.replace('_', ' ')}"
            for name in lines
            if name not in ("read", "kept") and lines[name]
        ]
        print_note(
            f"lines, of the pages that came as far as the rules of lines in {_one_of(cleaned)}: {lines['read']:,} read; dropped: "
            f"{', '.join(dropped) or 'none'}; {lines.get('kept', 0):,} kept"
        )
    repeated = (
        "lines" if rules["duplicates"] == "lines" else f"spans of {counted(rules['span_sentences'], 'sentences')}"
    )
    removed = ", ".join(f"{name} {summary['repeats_removed']:,}" for name, summary in summaries.items())
    print_note(f"{repeated} removed as repeats: {removed}")
    for name, summary in summaries.items():
        print(visible(f"{name}: {summary['folder']}"))
    inputs = counted(len(prepared.inputs), "inputs")
    print(visible(f"{inputs} in {duration(seconds)}; page files for a next run lie in {prepared.plan.run.work}"))
    print_damages(said[0])


def _one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"any of {', '.join(names)}"
