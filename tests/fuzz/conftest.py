"""Prints, at the end of a run of these tests, the table of what was tried and what came of it."""

import pytest

_HEADS = ("what was done", "files", "read on", "named", "held", "read", "dropped", "CPU s", "most", "MB")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    tables: dict[str, dict[str, list]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                tables |= dict(getattr(report, "user_properties", ())).get("damaged files", {})
    for title, rows in sorted(tables.items()):
        terminalreporter.section(f"damaged files: {title}")
        total = ["all", *(sum(column) for column in list(zip(*rows.values()))[:7])]
        total += [max(row[7] for row in rows.values()), max(row[8] for row in rows.values())]
        for name, *numbers in (_HEADS, *([name, *row] for name, row in rows.items()), total):
            columns = [
                number if isinstance(number, str) else f"{number:,.1f}" if isinstance(number, float) else f"{number:,}"
                for number in numbers
            ]
            terminalreporter.write_line(f"{name:<24}" + "".join(f"{column:>11}" for column in columns))
