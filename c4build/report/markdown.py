"""Text as Markdown: tables, and what comes from outside as text that no reader takes for anything else."""

import re

from c4build.errors import visible
from c4build.report.tables import Table

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$@:])")


def plain(text: str) -> str:
    """Text of a paragraph or of a cell, with all that Markdown or HTML would act on escaped."""
    return _ACTIVE.sub(r"\\\1", visible(text))


def code(text: str) -> str:
    """A name or a path in the typeface of code, for a table's cells too."""
    text = visible(text)
    if "`" in text or "|" in text or not text.strip():
        return plain(text)
    return f"`{text}`" if text == text.strip() else f"` {text} `"


def table(one: Table, outside: bool = False) -> list[str]:
    """The lines of a table; `outside`: names of rows come from outside, and are shown as code."""
    head = ["", *map(plain, one.head)]
    to = "---:" if one.numbers else "---"
    lines = [_row(head), _row(["---", *[to] * len(one.head)])]
    for row in one.rows:
        name = code(row.name) if outside else plain(row.name)
        cells = [plain(cell.text) + (f" ({plain(cell.note)})" if cell.note else "") for cell in row.cells]
        lines.append(_row([f"**{name}**" if row.kind == "total" else name, *cells]))
    return [*lines, *([plain(one.more)] if one.more else [])]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
