"""Spans of words that texts share, exactly: those of a set of documents, looked for in one page after another.

Words are compared in lower case and without punctuation, as in appendix C of the GPT-3 paper ("lowercase, whitespace
delimited words with no punctuation"); line ends are white space. Memory is that of the documents. A hash leads to a span, and
then the words themselves are compared, so that nothing is found that is not there.
"""

import re
import string
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import repeat
from typing import NamedTuple

import numpy as np

_WORD = re.compile(r"\S+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: no word of a span is lost from its hash
_ROWS = 1 << 18  # spans that are compared at once
_BITS_A_SPAN = 16  # of the table that most words of a page go no further than


def normal_words(text: str) -> list[str]:
    """The words of a text as they are compared."""
    return text.lower().translate(_punctuation()).split()


@cache
def _punctuation() -> dict[int, None]:
    marks = {code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "P"}
    return dict.fromkeys(sorted(marks | set(map(ord, string.punctuation))))


def places_of_words(text: str) -> list[tuple[int, int]]:
    """(start, stop) in characters of each of the `normal_words`."""
    return [found.span() for found in _WORD.finditer(text) if normal_words(found.group())]


class Shared(NamedTuple):
    """The longest span that a document shares with a page."""

    document: int
    word: int  # of the page, its first
    words: int


class SpanFinder:
    """Finds which documents share a span of `words` words with a page.

    Args:
      documents: of each the texts that it consists of; no span goes from one of them to another.
      words: of a span, 1 or more.
    """

    def __init__(self, documents: Iterable[Sequence[str]], words: int):
        self.words = words
        self._numbers: dict[str, int] = {}  # of each word, from 1 on
        numbers: list[np.ndarray] = [np.zeros(0, np.int32)]
        owners: list[np.ndarray] = [np.zeros(0, np.int32)]
        self.documents = 0
        for texts in documents:
            for text in texts:
                found = [self._numbers.setdefault(word, len(self._numbers) + 1) for word in normal_words(text)]
                numbers.append(np.array([*found, 0], np.int32))
                owners.append(np.full(len(found) + 1, self.documents, np.int32))
            self.documents += 1
        self._words, self._owners = np.concatenate(numbers), np.concatenate(owners)
        hashes, whole = self._hashes(self._words)
        places = np.flatnonzero(whole)
        hashes = hashes[places]
        order = np.argsort(hashes, kind="stable")
        self._places, hashes = places[order], hashes[order]
        new = self._first_of_equal(hashes)
        starts = np.flatnonzero(new)
        self._starts = np.append(starts, len(hashes))  # of each span, in `_places`
        self._hashes_of_spans = hashes[starts]
        bits = max(10, (len(starts) * _BITS_A_SPAN).bit_length())
        self._shift = np.uint64(64 - bits)
        self._seen = np.zeros(1 << bits, bool)
        self._seen[self._hashes_of_spans >> self._shift] = True

    def too_short(self) -> np.ndarray:
        """[documents] bool: which have no span at all."""
        short = np.ones(self.documents, bool)
        short[self._owners[self._places]] = False
        return short

    def _hashes(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the span from each word on its hash, [n] uint64, and whether it has all its words, [n] bool."""
        count = max(0, len(numbers) - self.words + 1)
        mixed = numbers.astype(np.uint64) * _FACTOR
        mixed ^= mixed >> np.uint64(29)
        hashes, whole = np.zeros(count, np.uint64), np.ones(count, bool)
        for at in range(self.words):
            hashes *= _FACTOR
            hashes += mixed[at : at + count]
            whole &= numbers[at : at + count] > 0
        return hashes, whole

    def _first_of_equal(self, hashes: np.ndarray) -> np.ndarray:
        """[n] bool: which of the spans at `_places`, sorted by hash, are not the one before them."""
        new = np.ones(len(hashes), bool)
        new[1:] = hashes[1:] != hashes[:-1]
        same = np.flatnonzero(~new)
        for begin in range(0, len(same), _ROWS):
            rows = same[begin : begin + _ROWS]
            new[rows] = ~self._equal(self._words, self._places[rows - 1], self._places[rows])
        return new

    def _equal(self, words: np.ndarray, places: np.ndarray, own: np.ndarray) -> np.ndarray:
        """[n] bool: whether the spans at `places` of `words` are those at `own` of the documents'."""
        along = np.arange(self.words)
        return (words[places[:, None] + along] == self._words[own[:, None] + along]).all(axis=1)

    def find(self, text: str) -> tuple[np.ndarray, list[Shared]]:
        """The documents that share a span with a page, in order, and the longest shared span of each."""
        words = normal_words(text)
        numbers = np.fromiter(map(self._numbers.get, words, repeat(0)), np.int32, len(words))
        hashes, whole = self._hashes(numbers)
        likely = np.flatnonzero(whole & self._seen[hashes >> self._shift])
        if not len(likely):
            return np.zeros(0, np.int32), []
        return self._shared(*self._matches(numbers, likely, hashes[likely]))

    def _matches(self, numbers: np.ndarray, places: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(place in the page, place in the documents) of every span that is in both."""
        first = np.searchsorted(self._hashes_of_spans, hashes, "left")
        last = np.searchsorted(self._hashes_of_spans, hashes, "right")  # beyond first + 1 only where hashes collide
        pages, spans = _spread(places, first, last)
        same = self._equal(numbers, pages, self._places[self._starts[spans]])
        pages, spans = pages[same], spans[same]
        pages, own = _spread(pages, self._starts[spans], self._starts[spans + 1])
        return pages, self._places[own]

    def _shared(self, pages: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, list[Shared]]:
        if not len(pages):
            return np.zeros(0, np.int32), []
        owners = self._owners[own]
        order = np.lexsort((pages, own - pages, owners))
        pages, own, owners = pages[order], own[order], owners[order]
        goes_on = (np.diff(pages) == 1) & (np.diff(own) == 1) & (np.diff(owners) == 0)
        starts = np.flatnonzero(np.append(True, ~goes_on))
        lengths = np.diff(np.append(starts, len(pages))) + self.words - 1
        # Of each document the longest, and of these the first in the page.
        best = np.lexsort((pages[starts], -lengths, owners[starts]))
        best = best[np.append(True, np.diff(owners[starts][best]) != 0)]
        found = [Shared(int(owners[starts[run]]), int(pages[starts[run]]), int(lengths[run])) for run in best.tolist()]
        return owners[starts][best], found


def _spread(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each of `values` as often as there are numbers from its `first` to before its `last`, and these numbers."""
    counts = last - first
    numbers = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    return np.repeat(values, counts), numbers
