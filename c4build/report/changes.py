"""What changed between two builds, as the report shows it: of each pair of corpora what `c4build diff --json` says of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from c4build.errors import counted, printable
from c4build.report import charts
from c4build.report.tables import Cell, Row, Table
from c4build.report.words import name

PAGES = {
    "same": "in both, the same",
    "only_a": "only in A",
    "only_b": "only in B",
    "other_text": "in both, with other text",
    "other_fields": "in both, with the same text and another date or other fields",
}
_SHORT = {**PAGES, "other_text": "other text", "other_fields": "other fields", "same": "the same"}  # beside bars
_KINDS = {"same": "kept", "only_a": "drop", "only_b": "plain", "other_text": "whole", "other_fields": "whole"}
_SHOWN_LINES = 20  # of the differences of a page
_SHOWN_CHARS = 300  # of a line


class Example(NamedTuple):
    """A page that differs."""

    name: str
    rule: str  # that takes it in the other corpus, where it is known
    told: str  # what tripped the rule, or why it is not known
    lines: Sequence[tuple[str, str]]  # (-, a line of A) and (+, a line of B)
    more: str  # what is not shown


class Change(NamedTuple):
    """Between two corpora."""

    a: str  # their folders
    b: str
    made: Table | None  # None where they were made alike
    chart: str
    pages: Table
    counts: list[Table]
    examples: list[tuple[str, list[Example]]]


class Changes(NamedTuple):
    """Between the corpora of two folders."""

    a: str
    b: str
    pairs: list[Change]
    alone: list[str]  # a line for each corpus that only one of them has


def change_of(found: Mapping[str, Any]) -> Change:
    """`found` is what `c4build diff --json` prints of a pair."""
    pages, examples = found["pages"], found["examples"]
    shown = [
        (title, [_example(page) for page in examples[kind]])
        for kind, title in (
            ("only_a", "Only in A, and why it is not in B"),
            ("only_b", "Only in B, and why it is not in A"),
            ("other_text", "With other text: − in A, + in B"),
        )
    ]
    bars = [charts.Bar(_SHORT[kind], 0, count, f"{count:,}", _KINDS[kind]) for kind, count in pages.items()]
    rows = [Row(PAGES[kind], [Cell(f"{count:,}")]) for kind, count in pages.items()]
    return Change(
        found["a"],
        found["b"],
        _made(found["differences"]),
        charts.draw_bars(bars, "Pages of A and B; the same numbers are in the table"),
        Table("Pages of both", ["pages"], rows),
        [table for table in _counts(found["counts"]) if table.rows],
        [(title, pages) for title, pages in shown if pages],
    )


def _made(differences: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = []
    for one in differences:
        alone = only_in(one["a"], one["b"])
        cells = (
            [f"{short(items)} only here" if items else "" for items in alone]
            if alone
            else map(short, (one["a"], one["b"]))
        )
        rows.append(Row(name(one["what"]), list(map(Cell, cells))))
    return Table("How they were made, where it differs", ["A", "B"], rows, numbers=False) if rows else None


def _counts(counts: Mapping[str, Mapping[str, Sequence[int]]]) -> list[Table]:
    def rows(kind: str, style: str = "") -> list[Row]:
        return [
            Row(
                name(what),
                [Cell(f"{old:,}"), Cell(f"{new:,}"), Cell(f"{new - old:+,}" if new != old else "")],
                "",
                style,
            )
            for what, (old, new) in counts[kind].items()
        ]

    pages = [*rows("pages"), *rows("dropped", "drop"), *rows("kept")]
    lines = sorted(rows("lines"), key=lambda row: (row.name == "kept") - (row.name == "read"))  # as they pass the rules
    ends = {"read", "kept"}
    pages, lines = (
        [row._replace(kind="total" if row.name in ends else row.kind) for row in of] for of in (pages, lines)
    )
    head = ["A", "B", "B − A"]
    return [Table("Pages by rule", head, pages), Table("Lines by rule", head, lines)]


def _example(page: Mapping[str, Any]) -> Example:
    lines = page.get("lines", ())
    more = len(lines) - _SHOWN_LINES
    return Example(
        name_of(page),
        name(page.get("reason", "")),
        page.get("told", ""),
        [(sign, _cut(line)) for sign, line in lines[:_SHOWN_LINES]],
        f"and {counted(more, 'lines')} more" if more > 0 else "",
    )


def _cut(line: str) -> str:
    return line if len(line) <= _SHOWN_CHARS else line[:_SHOWN_CHARS] + "..."


def name_of(page: Mapping[str, Any]) -> str:
    """What a page, an article or a book is called, else how its text begins."""
    return next((_cut(str(page[key])) for key in ("url", "title", "id", "text") if page.get(key)), "")


def only_in(a: object, b: object) -> list[list] | None:
    """Of two lists what only each has; None where they are no lists, or have the same in another order."""
    if not isinstance(a, (list, tuple)) or not isinstance(b, (list, tuple)):
        return None
    alone = [[item for item in one if item not in other] for one, other in ((a, {*b}), (b, {*a}))]
    return alone if any(alone) else None


def short(value: object) -> str:
    """A value in a few words: of a list the first items."""
    if not isinstance(value, (list, tuple)):
        return "none" if value is None else printable(str(value), 80)
    shown = ", ".join(printable(json.dumps(item, ensure_ascii=False), 80) for item in value[:3])
    return f"[{shown}{f', and {len(value) - 3:,} more' if len(value) > 3 else ''}]"
