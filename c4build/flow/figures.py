"""Figures of pages, counted as they pass and put together in order: what `statistics` are made of.

All but the sketches add up in any order; the sketches are put together by file, then by unit, which no worker changes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

from c4build.compiled import core
from c4build.flow.candidates import EVERY
from c4build.page import page_text
from c4build.rules.domains import public_suffixes
from c4build.rules.language import compiled_detector, likeliest_language
from c4build.rules.steps import count_sentences, punkt
from c4build.write.statistics import (
    BINS,
    HISTOGRAMS,
    MOST_COUNTED,
    MOST_JUDGED,
    MOST_NAMES,
    Histogram,
    Language,
    Matrix,
    Side,
    Top,
    bin_from,
    bin_of,
)

_NAMES = 4000  # of domains that a sketch holds
MOST_BYTES = 1 << 25  # of the pages of a file that are counted: they wait for its end

Json = dict[str, Any]


class Counted(NamedTuple):
    """Of a text."""

    characters: int
    words: int
    lines: int
    bytes: int


def text_of(body: bytes) -> bytes:
    """The text of a page with this body, see `Page`; in UTF-8, as all texts here."""
    return page_text(body.decode()).encode() if core is None else core.page_text(body)


def count_text(text: bytes) -> Counted:
    return plain_count(text.decode()) if core is None else Counted(*core.count_text(text))


def plain_count(text: str) -> Counted:
    return Counted(len(text), len(text.split()), text.count("\n") + 1 if text else 0, len(text.encode()))


class Judged(NamedTuple):
    """What takes longer."""

    sentences: int
    language: str  # "" where there is nothing to go by
    probability: float


_NO_LANGUAGE = "", 0.0


def judge_text(text: bytes) -> Judged:
    if core is None:
        plain = text.decode()
        return Judged(count_sentences(plain, by_line=True), *(likeliest_language(plain) or _NO_LANGUAGE))
    return Judged(punkt().count_sentences(text, True), *(compiled_detector()(text) or _NO_LANGUAGE))


@lru_cache(maxsize=1 << 14)
def domain_of(host: str) -> tuple[str, str]:
    """(registered domain, public suffix) of a host; an address has no suffix."""
    found = public_suffixes().split(host)
    suffix = found.suffix[:100]
    return (f"{found.domain}.{suffix}" if suffix else found.domain or host)[:100], suffix


def host_of(url: str) -> str:
    """Of a normalised URL, or another."""
    rest = url.partition("://")[2] or url
    for mark in "/?#":
        rest = rest.partition(mark)[0]
    return rest.rpartition("@")[2].partition(":")[0].lower()


class Sketch:
    """The most frequent names, after Misra and Gries: so many names, and how much may be missing of each."""

    def __init__(self, names: int, counts: Mapping[str, int] | None = None, error: int = 0):
        self._names, self.counts, self.error = names, Counter(counts or {}), error

    def add(self, names: Iterable[str], numbers: Iterable[int]):
        """Adds to the count of each name."""
        counts = self.counts
        for name, number in zip(names, numbers):
            counts[name] = counts.get(name, 0) + number  # `+=` takes twice as long for a name that is new
        if len(counts) > 2 * self._names:
            self._shrink()

    def merge(self, other: "Sketch"):
        self.counts.update(other.counts)
        self.error += other.error
        if len(self.counts) > 2 * self._names:
            self._shrink()

    def _shrink(self):
        least = sorted(self.counts.values(), reverse=True)[self._names]
        self.counts = Counter({name: count - least for name, count in self.counts.items() if count > least})
        self.error += least

    def to_json(self) -> list:
        if len(self.counts) > self._names:
            self._shrink()
        return [self.error, dict(sorted(self.counts.items()))]

    def top(self, sampled: int) -> Top:
        best = sorted(self.counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_NAMES]
        return Top(sampled, self.error, best)


_SKETCHES = ("domains_by_pages", "domains_by_bytes", "suffixes_by_pages", "suffixes_by_bytes")


class Tally:
    """Of some pages, each of which counts as many times as its `weight` says."""

    def __init__(self, told: Json | None = None):
        told = told or {}
        self._counts = {name: Counter({int(k): v for k, v in told.get(name, {}).items()}) for name in HISTOGRAMS}
        self._totals: Counter[str] = Counter(told.get("totals", {}))  # of histograms, and pages looked at
        self._languages: dict[str, list[int]] = dict(told.get("languages", {}))
        self._sketches = {
            name: Sketch(_NAMES, counts, error)
            for name, (error, counts) in ((name, told.get(name, (0, {}))) for name in _SKETCHES)
        }

    def count(self, pages: Sequence[tuple[Counted, str]], weight: int):
        """Counts pages, each with its host: all of a file at once, as one by one takes three times as long."""
        if not pages:
            return
        found, hosts = zip(*pages)
        characters, words, lines, sizes = zip(*found)
        self._add("counted", {"characters": characters, "words": words, "lines": lines}, len(pages), weight)
        domains, suffixes = zip(*map(domain_of, hosts))
        weighed = [weight * size for size in sizes]
        for kind, names in (("domains", domains), ("suffixes", suffixes)):
            self._sketches[f"{kind}_by_pages"].add(names, repeat(weight))
            self._sketches[f"{kind}_by_bytes"].add(names, weighed)

    def judge(self, found: Judged, weight: int):
        self._add("judged", {"sentences": [found.sentences]}, 1, weight)
        bins = self._languages.setdefault(found.language, [0] * BINS)
        bins[min(int(found.probability * BINS), BINS - 1)] += weight

    def _add(self, how: str, figures: Mapping[str, Iterable[int]], pages: int, weight: int):
        """Adds figures of some pages, by histogram; they were `how`: counted or judged."""
        totals = self._totals
        totals[how] += pages
        totals[f"{how}_pages"] += weight * pages
        for name, values in figures.items():
            counts = self._counts[name]
            for low, number in Counter(map(bin_from, values)).items():
                counts[low] += weight * number
            totals[name] += weight * sum(values)

    def merge(self, other: "Tally"):
        for name, counts in other._counts.items():
            self._counts[name].update(counts)
        self._totals.update(other._totals)
        for language, bins in other._languages.items():
            own = self._languages.setdefault(language, [0] * BINS)
            self._languages[language] = [a + b for a, b in zip(own, bins)]
        for name, sketch in other._sketches.items():
            self._sketches[name].merge(sketch)

    def to_json(self) -> Json:
        counts = {name: dict(sorted(counts.items())) for name, counts in self._counts.items()}
        sketches = {name: sketch.to_json() for name, sketch in self._sketches.items()}
        languages = dict(sorted(self._languages.items()))
        return {**counts, "totals": dict(sorted(self._totals.items())), "languages": languages, **sketches}

    def side(self) -> Side:
        totals = self._totals
        languages = [Language(name, sum(bins), bins) for name, bins in self._languages.items()]
        return Side(
            {name: self._histogram(name, "judged" if name == "sentences" else "counted") for name in HISTOGRAMS},
            totals["judged"],
            sorted(languages, key=lambda language: (-language.pages, language.name)),
            *(self._sketches[name].top(totals["counted"]) for name in _SKETCHES),
        )

    def _histogram(self, name: str, how: str) -> Histogram:
        counts = [(*bin_of(low), pages) for low, pages in sorted(self._counts[name].items())]
        return Histogram(self._totals[how], self._totals[f"{how}_pages"], self._totals[name], counts)


class Level(NamedTuple):
    """Which pages of a file are looked at: those with a chance below `limit`; each counts as `weight`."""

    halvings: int

    @property
    def limit(self) -> int:
        return EVERY >> self.halvings

    @property
    def weight(self) -> int:
        return 1 << self.halvings


class LookedAt(NamedTuple):
    """A page that figures are made of."""

    counted: Counted
    url: str  # normalised
    is_news: bool  # or nobody asks
    body: bytes | None  # of one that is judged, too


class Looked(NamedTuple):
    """The pages of a file that are looked at."""

    level: Level
    judged: Level
    pages: Sequence[LookedAt]


class Looking:
    """Holds the pages of a file that are looked at up to its end."""

    def __init__(self):
        self._level = Level(0)
        self._pages: list[tuple[int, bytes, str, bool]] = []
        self._size = 0

    def add(self, chance: int, body: bytes, url: str, is_news: bool):
        if chance >= self._level.limit:
            return
        self._pages.append((chance, body, url, is_news))
        self._size += len(body)
        while len(self._pages) > MOST_COUNTED or (self._size > MOST_BYTES and len(self._pages) > 1):
            self._level = Level(self._level.halvings + 1)
            self._pages = [page for page in self._pages if page[0] < self._level.limit]
            self._size = sum(len(body) for _, body, *_ in self._pages)

    def found(self) -> Looked:
        judged = self._level
        while sum(chance < judged.limit for chance, *_ in self._pages) > MOST_JUDGED:
            judged = Level(judged.halvings + 1)
        pages = [
            LookedAt(count_text(text_of(body)), url, is_news, body if chance < judged.limit else None)
            for chance, body, url, is_news in self._pages
        ]
        return Looked(self._level, judged, pages)


def matrix(names: Sequence[str], of: Iterable[str], masks: Mapping[int, int], sampled: int) -> Matrix:
    """The matrix of some of the rules.

    Args:
      names: all rules.
      of: those that are meant.
      masks: pages by the rules that drop them, bits by their place in `names`.
      sampled: pages looked at.
    """
    meant = [name for name in names if name in of]
    bits = [1 << names.index(name) for name in meant]
    both = [[sum(n for mask, n in masks.items() if mask & a and mask & b) for b in bits] for a in bits]
    among = sum(bits)
    alone = [sum(n for mask, n in masks.items() if mask & among == bit) for bit in bits]
    return Matrix(sampled, sum(masks.values()), meant, alone, both)
