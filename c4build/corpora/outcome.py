"""What a person is shown at the end of a run: what came in, what each rule took, what stayed."""

import sys

from rich.console import Console
from rich.table import Table


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 120)


def print_counts(title: str, first: str, rows: list[tuple[str, int]], dropped: dict[str, int], last: list[tuple[str, int]]):
    """A table of what was read, what each rule took, and what was kept."""
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    table.add_column("", justify="right")
    for name, value in rows:
        table.add_row(name, f"{value:,}")
    for name, value in dropped.items():
        table.add_row("- " + name.replace("_", " "), f"{value:,}")
    table.add_section()
    for number, (name, value) in enumerate(last):
        table.add_row(name, f"{value:,}", style="bold" if not number else "")
    _console().print(table)


def print_collected(recipe, summary: dict, seconds: float):
    """The outcome of a corpus made by `collect`."""
    kept = [("kept", summary["kept"]), *((f"  {name}", count) for name, count in summary["splits"].items() if summary["words"])]
    if summary["words"]:
        kept.append(("words", summary["words"]))
    kept.append(("bytes", summary["bytes"]))
    print_counts(recipe.title, recipe.record, [("read", summary[recipe.record])], summary["dropped"], kept)
    console = _console()
    if summary["notes"]:
        notes = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in summary["notes"].items())
        console.print(f"sections mended: {notes}")
    console.print(f"{summary['corpus']}: {summary['folder']}", soft_wrap=True, highlight=False)
    console.print(f"{len(summary['inputs']):,} inputs in {seconds:,.1f} s", highlight=False)


def print_damages(damaged: list[dict]):
    """The first of what was damaged, each with its place."""
    for entry in damaged[:20]:
        print(f"damaged: {entry['input']} at byte {entry['offset']:,}: {entry['what']}", file=sys.stderr)
    if len(damaged) > 20:
        print(f"damaged: and {len(damaged) - 20:,} more, listed in c4build.json", file=sys.stderr)
