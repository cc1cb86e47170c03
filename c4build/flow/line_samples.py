"""The lines that are samples: of those of some pages, as they were read, the ones with the lowest hashes of each fate.

There are two ways to the same, one in Python and one compiled: `line_samples` gives the one there is.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from heapq import nsmallest
from typing import NamedTuple, Protocol

from c4build.compiled import core
from c4build.dedup.keys import hash_text
from c4build.flow.candidates import Candidate
from c4build.rules.lines import compiled_lines, line_judge, lines_of
from c4build.rules.tables import RuleSet


class SampledLine(NamedTuple):
    """A line of a page."""

    fate: str  # why it is dropped; "kept" where it has just as many words as it must
    page: int  # its place among the pages
    number: int  # of the line in it
    text: str


class LineSamples(Protocol):
    def of(self, pages: Sequence[Candidate]) -> list[SampledLine]:
        """The samples among the lines of pages, of each fate the lowest first."""
        ...


def line_samples(rules: RuleSet, page_phrases: Collection[str], most: int) -> LineSamples:
    """Of each fate `most`, or all where there are fewer. A page goes for those of `page_phrases` in a line."""
    return (PlainLineSamples if core is None else CompiledLineSamples)(rules, page_phrases, most)


class CompiledLineSamples:
    """By `core/line_samples.cpp`."""

    def __init__(self, rules: RuleSet, page_phrases: Collection[str], most: int):
        self._lines, self._most = compiled_lines(rules, page_phrases), most

    def of(self, pages: Sequence[Candidate]) -> list[SampledLine]:
        return [*map(SampledLine._make, self._lines.sampled([(of.chance, of.body) for of in pages], self._most))]


class PlainLineSamples:
    """In Python."""

    def __init__(self, rules: RuleSet, page_phrases: Collection[str], most: int):
        self._fate_of, self._most, self._least = line_judge(rules, page_phrases), most, rules.min_words_per_line

    def of(self, pages: Sequence[Candidate]) -> list[SampledLine]:
        by_fate: dict[str, list[tuple[bytes, int, int, str]]] = defaultdict(list)
        for page, of in enumerate(pages):
            for number, line in enumerate(lines_of(of.body.decode())):
                fate, left = self._fate_of(line)
                if fate != "kept" or len(left.split(None, self._least)) == self._least:
                    by_fate[fate].append((hash_text(f"{of.chance} {number}"), page, number, line))
        return [
            SampledLine(fate, page, number, line)
            for fate, found in by_fate.items()
            for _, page, number, line in nsmallest(self._most, found)
        ]
