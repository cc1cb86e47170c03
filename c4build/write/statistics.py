"""Figures of one corpus before and after the rules: `statistics.json` in its folder.

    found = read_statistics("OUT/c4/en/1.0.0")
    found.after.histograms["words"].counts, found.after.domains_by_pages.counted

All figures but those of `c4build.json` come of even samples of pages, chosen by the hash of the URL: of each input the
pages with the lowest hashes, as many as one in 1, 2, 4, ... of them comes to, so that at most `most_counted` pages are
looked at for lengths, words, lines, domains and repeated lines, and at most `most_judged` for what takes longer:
sentences, languages, and each rule by itself. A page of an input of which one page in 64 was looked at counts as 64. Of
inputs with fewer pages all are looked at, and the figures are exact. Each figure says how many pages it comes of
(`sampled`). None depends on how the build was run.

`before` are the pages that reach the rules: those with a URL, a text, a date and an allowed length, which no list
excludes (of realnewslike: of news domains), as they were read, without empty lines. `after` are the pages kept, as they
were written. The file has a few hundred kilobytes at most. Beside Parquet its name begins with a _.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from c4build.write.files import FileSums, whole_file
from c4build.write.samples import read_beside

STATISTICS = "statistics.json"
FORMAT = 1
MOST_COUNTED = 512  # pages of an input that are counted
MOST_JUDGED = 64  # pages of an input that are judged
MOST_NAMES = 100  # of a list of the most frequent
HISTOGRAMS = ("characters", "words", "lines", "sentences")  # of a page
BINS = 20  # of probabilities: the first from 0 to 0.05


@dataclass
class Histogram:
    """How many pages have so many of something."""

    sampled: int = 0  # pages looked at
    pages: int = 0  # that these stand for
    total: int = 0  # of the something, in all of these: total / pages is the mean
    counts: list[tuple[int, int, int]] = field(default_factory=list)  # (from, up to without it, pages), in order


@dataclass
class Language:
    """Pages whose likeliest language this is."""

    name: str  # as langdetect calls it; "" where it has nothing to go by
    pages: int
    probabilities: list[int]  # [BINS]: pages by probability, each bin as wide as the others; the last one holds 1


@dataclass
class Top:
    """The most frequent names, by a sketch of bounded size.

    The true number of the sampled pages' is not smaller than the one that is stated, nor larger by more than `error`;
    a name that is missing has `error` at most, or less than the last of the list.
    """

    sampled: int = 0  # pages looked at
    error: int = 0
    counted: list[tuple[str, int]] = field(default_factory=list)  # the largest first, `MOST_NAMES` at most


@dataclass
class Side:
    """Pages before or after the rules."""

    histograms: dict[str, Histogram] = field(default_factory=dict)  # by the names in `HISTOGRAMS`
    languages_sampled: int = 0
    languages: list[Language] = field(default_factory=list)  # the most frequent first
    domains_by_pages: Top = field(default_factory=Top)  # registered domains, such as example.co.uk
    domains_by_bytes: Top = field(default_factory=Top)  # bytes of text in UTF-8
    suffixes_by_pages: Top = field(default_factory=Top)  # public suffixes, such as co.uk
    suffixes_by_bytes: Top = field(default_factory=Top)


@dataclass
class Matrix:
    """What each rule of the variant would have done by itself, without deduplication.

    Each is asked of the text that the steps before it left, whatever they said of it.
    """

    sampled: int = 0  # pages looked at
    pages: int = 0  # that these stand for
    rules: list[str] = field(default_factory=list)  # steps, in their order
    alone: list[int] = field(default_factory=list)  # [rules]: pages that this rule drops and no other
    both: list[list[int]] = field(
        default_factory=list
    )  # [rules, rules]: pages that both drop; one rule with itself: all


@dataclass
class Statistics:
    """Of one corpus."""

    most_counted: int = MOST_COUNTED  # pages of an input
    most_judged: int = MOST_JUDGED
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)
    rules: Matrix = field(default_factory=Matrix)
    repeated: Top = field(default_factory=Top)  # lines or spans (cut) with how many copies of each were taken out
    format: int = FORMAT


def statistics_name(format: str) -> str:
    """Of the file in a corpus of this format."""
    return f"_{STATISTICS}" if format == "parquet" else STATISTICS


def write_statistics(path: str, statistics: Statistics, sums: FileSums):
    with whole_file(path, sums) as file:
        file.write(json.dumps(dataclasses.asdict(statistics)).encode() + b"\n")


def read_statistics(folder: str) -> Statistics:
    """Those of a complete corpus. Raises UsageError where it has none, CorruptFileError."""
    found = json.loads(read_beside(folder, STATISTICS))
    return Statistics(
        **{
            **found,
            "before": _side(found["before"]),
            "after": _side(found["after"]),
            "rules": Matrix(**found["rules"]),
            "repeated": _top(found["repeated"]),
        }
    )


def _side(found: dict[str, Any]) -> Side:
    tops = {name: _top(value) for name, value in found.items() if "_by_" in name}
    histograms = {name: Histogram(**_tuples(value, "counts")) for name, value in found["histograms"].items()}
    languages = [Language(**language) for language in found["languages"]]
    return Side(histograms, found["languages_sampled"], languages, **tops)


def _top(found: dict[str, Any]) -> Top:
    return Top(**_tuples(found, "counted"))


def _tuples(found: dict[str, Any], name: str) -> dict[str, Any]:
    rows: Iterable[list] = found[name]
    return {**found, name: [tuple(row) for row in rows]}


def bin_of(value: int) -> tuple[int, int]:
    """(from, up to without it) of the bin of a histogram that a number lies in: two for each doubling, 0 and 1 alone."""
    low = bin_from(value)
    return low, low + (1 << max(value.bit_length() - 2, 0))


def bin_from(value: int) -> int:
    """Where the bin of a number begins."""
    shift = max(value.bit_length() - 2, 0)
    return value >> shift << shift
