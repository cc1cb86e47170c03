"""What a person sees: how far it is, and at the end the table of what came in and what stayed."""

import os
import sys
import threading
import time
from typing import Mapping, Optional

from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from c4build.errors import printable
from c4build.rules import REASONS

_PLAIN_SECONDS = 10  # between two lines where there is no terminal


class Progress:
    """Shows files done, pages a second and the time left while a build runs: a bar on a terminal, lines elsewhere.

    `doing` is what is done with the inputs, `record` what they hold.
    """

    def __init__(self, prepared, local: bool, doing: str = "cleaning", record: str = "pages"):
        self._doing = doing, record
        self._plan, self._inputs, self._page_files = prepared.plan, prepared.inputs, prepared.page_files
        self._console = Console(stderr=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True) if local and self._plan.progress else None

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
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"),
                TimeElapsedColumn(), console=self._console, transient=True,
            ) as bar:
                task = bar.add_task("starting", total=1.0, state="")
                meter = _Meter(self._plan, self._inputs, self._page_files, *self._doing)
                while not self._stop.wait(0.3):
                    what, share, state = meter.read()
                    bar.update(task, description=what, completed=share, state=state)
        else:
            meter, said = _Meter(self._plan, self._inputs, self._page_files, *self._doing), None
            while not self._stop.wait(_PLAIN_SECONDS):
                what, _, state = meter.read()
                if (what, state) != said:
                    print(f"c4build: {what} {state}", file=sys.stderr, flush=True)
                said = (what, state)


class _Meter:
    """Reads how far a build is from the files it leaves: nothing is asked of its workers."""

    def __init__(self, plan, inputs, page_files, doing: str, record: str):
        self._doing, self._record = doing, record
        self._plan, self._inputs = plan, inputs
        self._page_files = page_files
        self._there = {index for index, path in enumerate(self._page_files) if os.path.exists(path)}
        self._before = len(self._there)
        self._sizes = [max(source.likely_size, 1) for source in inputs]
        self._start = time.monotonic()

    def read(self) -> tuple[str, float, str]:
        """(what is being done, the share of it that is done, numbers)."""
        self._there.update(
            index
            for index in range(len(self._page_files))
            if index not in self._there and os.path.exists(self._page_files[index])
        )
        seconds = time.monotonic() - self._start
        if len(self._there) == len(self._inputs):
            units = self._plan.finish.units
            done = sum(name.endswith(".json") for name in os.listdir(units)) if os.path.isdir(units) else 0
            total = self._plan.finish.shards
            return "writing", done / total, f"{done:,} of {total:,} shards"
        pages = size = old = 0
        for index, total in enumerate(self._sizes):
            told = _told(os.path.join(self._plan.progress, str(index)))
            pages += told[0]
            if index in self._there:
                size += total
                old += total if told == (0, 0) else 0
            else:
                size += min(told[1], total)
        whole = sum(self._sizes)
        share = size / whole
        new = (size - old) / max(whole - old, 1)
        left = f", {_duration(seconds / new * (1 - new))} left" if new > 0.01 else ""
        state = f"{len(self._there):,} of {len(self._inputs):,} files, {pages / max(seconds, 1e-3):,.0f} {self._record}/s{left}"
        return self._doing, share, state


def _told(path: str) -> tuple[int, int]:
    try:
        with open(path) as file:
            pages, size = file.read().split()
        return int(pages), int(size)
    except (OSError, ValueError):
        return 0, 0


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def say(line: str):
    """Tells the person something on the way."""
    print(f"c4build: {printable(line)}", file=sys.stderr, flush=True)


def print_complete(folders: Mapping[str, str]):
    print("c4build: this very corpus is there already; nothing was done")


def print_outcome(summaries: Mapping[str, dict], prepared, seconds: float):
    """Prints, for each variant, pages in, dropped by each rule, kept, bytes, and where it lies; then what was damaged."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    any_summary = next(iter(summaries.values()))
    table = Table(title=f"C4 by the rules {any_summary['rules']['name']}", title_justify="left")
    table.add_column("pages")
    for name in summaries:
        table.add_column(name, justify="right")
    rows = [reason for reason in REASONS[1:] if any(reason in summary["dropped"] for summary in summaries.values())]
    table.add_row("read", *(f"{summary['pages']:,}" for summary in summaries.values()))
    for reason in rows:
        values = (summary["dropped"].get(reason, 0) for summary in summaries.values())
        table.add_row("- " + reason.replace("_", " "), *(f"{value:,}" if value else "" for value in values))
    table.add_section()
    table.add_row("kept", *(f"{summary['kept']:,}" for summary in summaries.values()), style="bold")
    for split in ("train", "validation"):
        table.add_row(f"  {split}", *(f"{summary['splits'][split]:,}" for summary in summaries.values()))
    table.add_row("bytes", *(f"{summary['bytes']:,}" for summary in summaries.values()))
    unit = "lines" if any_summary["rules"]["duplicates"] == "lines" else "spans"
    table.add_row(f"repeated {unit}", *(f"{summary['repeats_removed']:,}" for summary in summaries.values()))
    console.print(table)
    lines = any_summary["lines"]
    if lines.get("read"):
        dropped = ", ".join(
            f"{lines[name]:,} {name.replace('_', ' ')}" for name in lines if name not in ("read", "kept") and lines[name]
        )
        console.print(f"lines: {lines['read']:,} read, {lines.get('kept', 0):,} kept; dropped: {dropped or 'none'}")
    for name, summary in summaries.items():
        console.print(f"{name}: {summary['folder']}", soft_wrap=True, highlight=False)
    console.print(f"{len(prepared.inputs):,} inputs in {_duration(seconds)}; page files for a next run lie in "
                  f"{prepared.plan.finish.work}", soft_wrap=True, highlight=False)
    damaged = any_summary["damaged"]
    for entry in damaged[:20]:
        print(f"damaged: {entry['input']} at byte {entry['offset']:,}: {entry['what']}", file=sys.stderr)
    if len(damaged) > 20:
        print(f"damaged: and {len(damaged) - 20:,} more, listed in c4build.json", file=sys.stderr)
