"""Statistics of a corpus as tables and charts: each chart has the numbers of the table that goes with it."""

from collections.abc import Sequence
from typing import NamedTuple

from c4build.errors import C4BuildError, UsageError
from c4build.report import charts
from c4build.report.gather import Corpus
from c4build.report.tables import Cell, Row, Table
from c4build.report.words import name, share
from c4build.write.files import join
from c4build.write.statistics import BINS, HISTOGRAMS, Histogram, Matrix, Side, Statistics, Top, read_statistics

_CHARTED = 10  # bars of a chart of names
_NONE = "(none)"  # a host without a suffix, such as an address of numbers
_LISTED = 20  # rows of a table of names


class Figure(NamedTuple):
    title: str
    note: str  # how much it comes of
    chart: str  # SVG, or empty
    table: Table


def statistics_of(out: str, corpus: Corpus, unread: list[str]) -> list[Figure]:
    """The figures of a corpus, none where it was made without; `unread` gets a line where its file is not as it was."""
    folder = join(out, corpus.place)
    try:
        return _figures(read_statistics(folder))
    except UsageError:
        return []
    except C4BuildError as error:
        unread.append(str(error))
    except (TypeError, ValueError, KeyError) as error:
        unread.append(f"{folder}: its statistics are not what c4build writes ({error})")
    return []


def _figures(found: Statistics) -> list[Figure]:
    before, after = found.before, found.after
    figures = [_histogram(of, before.histograms[of], after.histograms[of]) for of in HISTOGRAMS]
    figures += [_languages(before, after), _probabilities(before, after)]
    for title, counted_before, counted_after in (
        ("Domains by pages", before.domains_by_pages, after.domains_by_pages),
        ("Domains by bytes of text", before.domains_by_bytes, after.domains_by_bytes),
        ("Suffixes by pages", before.suffixes_by_pages, after.suffixes_by_pages),
        ("Suffixes by bytes of text", before.suffixes_by_bytes, after.suffixes_by_bytes),
    ):
        figures.append(_top(title, counted_before, counted_after))
    if found.rules.rules:
        figures.append(_alone(found.rules))
    if found.repeated.counted:
        rows = [Row(text or _NONE, [Cell(f"{count:,}")]) for text, count in found.repeated.counted[:_LISTED]]
        note = f"the most frequent; {_error(found.repeated)}"
        figures.append(Figure("Repeated text", note, "", Table("Repeated text", ["copies taken out"], rows)))
    return [figure for figure in figures if figure.table.rows]


def _cells(*values: int) -> list[Cell]:
    return [Cell(f"{value:,}") for value in values]


def _error(top: Top) -> str:
    most = f"no number is too large by more than {top.error:,}" if top.error else "the numbers are exact for them"
    return f"of {top.sampled:,} pages looked at; {most}"


def _of(before: Histogram, after: Histogram) -> str:
    def side(when: str, one: Histogram) -> str:
        mean = f", {one.total / one.pages:,.1f} on average" if one.pages else ""
        return f"{when}: {one.pages:,} pages{mean} (from {one.sampled:,} looked at)"

    return f"{side('before', before)}; {side('after', after)}"


def _histogram(of: str, before: Histogram, after: Histogram) -> Figure:
    counts = {low: [high, count, 0] for low, high, count in before.counts}
    for low, high, count in after.counts:
        counts.setdefault(low, [high, 0, 0])[2] = count
    bins = [(low, *counts[low]) for low in sorted(counts)]
    title = f"{of.capitalize()} a page"
    rows = [
        Row(f"{low:,}" if high == low + 1 else f"{low:,} to {high - 1:,}", _cells(was, left))
        for low, high, was, left in bins
    ]
    chart = charts.draw_histogram(
        [(f"{low:,}", was, left) for low, _, was, left in bins], f"{title}, before and after the rules"
    )
    return Figure(title, _of(before, after), chart, Table(title, ["before", "after"], rows))


def _languages(before: Side, after: Side) -> Figure:
    left = {language.name: language.pages for language in after.languages}
    whole = sum(language.pages for language in before.languages)
    rows, bars = [], []
    for language in before.languages[:_LISTED]:
        called = language.name or "none can be told"
        rows.append(
            Row(
                called,
                [*_cells(language.pages), Cell(share(language.pages, whole)), *_cells(left.get(language.name, 0))],
            )
        )
        bars.append(charts.Bar(called, 0, language.pages, f"{language.pages:,}", "plain"))
    title = "Likeliest language before the rules"
    note = f"from {before.languages_sampled:,} pages looked at before, {after.languages_sampled:,} after"
    return Figure(title, note, _draw(bars, title), Table(title, ["pages before", "share", "after"], rows))


def _probabilities(before: Side, after: Side) -> Figure:
    def summed(side: Side) -> list[int]:
        return [sum(language.probabilities[at] for language in side.languages) for at in range(BINS)]

    was, left = summed(before), summed(after)
    used = [at for at in range(BINS) if was[at] or left[at]]
    at_least = range(used[0], BINS) if used else range(0)
    title = "Probability of the likeliest language"
    rows = [Row(f"{at / BINS:.2f} to {(at + 1) / BINS:.2f}", _cells(was[at], left[at])) for at in at_least]
    chart = charts.draw_histogram(
        [(f"{at / BINS:.2f}", was[at], left[at]) for at in at_least], f"{title}, before and after"
    )
    return Figure(title, "as langdetect tells it", chart, Table(title, ["before", "after"], rows))


def _top(title: str, before: Top, after: Top) -> Figure:
    left = dict(after.counted)
    names = [one for one, _ in before.counted[:_LISTED]]
    names += [one for one, _ in after.counted[:_LISTED] if one not in dict(before.counted)]
    was = dict(before.counted)
    rows = [
        Row(one or _NONE, [Cell(f"{counts[one]:,}" if one in counts else "") for counts in (was, left)])
        for one in names
    ]
    bars = [charts.Bar(one or _NONE, 0, count, f"{count:,}", "plain") for one, count in before.counted[:_CHARTED]]
    note = f"before: {_error(before)}. After: {_error(after)}"
    return Figure(title, note, _draw(bars, f"{title}, before the rules"), Table(title, ["before", "after"], rows))


def _alone(matrix: Matrix) -> Figure:
    names = [name(rule) for rule in matrix.rules]
    rows = [Row(called, _cells(matrix.alone[at], *matrix.both[at])) for at, called in enumerate(names)]
    bars = [charts.Bar(called, 0, matrix.alone[at], f"{matrix.alone[at]:,}", "drop") for at, called in enumerate(names)]
    title = "Pages that one rule alone would drop"
    table = Table("Pages that one rule alone drops, and that two rules both drop", ["it alone", *names], rows)
    note = f"of {matrix.pages:,} pages (from {matrix.sampled:,} looked at); each rule asked by itself, without deduplication"
    return Figure(title, note, _draw(bars, title), table)


def _draw(bars: Sequence[charts.Bar], label: str) -> str:
    return charts.draw_bars(bars, f"{label}; the numbers are in the table") if bars else ""
