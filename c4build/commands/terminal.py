"""What a person sees at the end of a run: the table of what came in and what stayed."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from c4build.commands.run_progress import duration
from c4build.errors import counted, visible
from c4build.rules.tables import VARIANTS, reasons_in_order
from c4build.write.folder import manifest_name

_PLAIN_WIDTH = 120  # of a line where there is no terminal
_SHOWN_DAMAGES = 20


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
        cleaned = [name for name, of in summaries.items() if "lines" in _rules_of(name, of)]
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


def _rules_of(name: str, summary: Mapping) -> Iterable[str]:
    """The rules of a variant, which may be one's own."""
    return summary.get("made_from", {}).get("variant") or VARIANTS[name].steps


def _one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"any of {', '.join(names)}"
