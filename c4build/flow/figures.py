"""Figures of pages, counted as they pass and put together in order: what `statistics` are made of.

All but the sketches add up in any order; the sketches are put together by file, then by unit, which no worker changes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from c4build.compiled import core
from c4build.flow.candidates import EVERY
from c4build.page import page_text
from c4build.rules.domains import public_suffixes
from c4build.rules.language import likeliest_language
from c4build.rules.steps import count_sentences
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


def count_page(body: bytes) -> Counted:
    """Of the text of a page with this body, see `Page`."""
    return plain_count(page_text(body.decode())) if core is None else Counted(*core.count_page(body))


def count_text(text: bytes) -> Counted:
    """Of UTF-8."""
    return plain_count(text.decode()) if core is None else Counted(*core.count_text(text))


def plain_count(text: str) -> Counted:
    return Counted(len(text), len(text.split()), text.count("\n") + 1 if text else 0, len(text.encode()))


class Judged(NamedTuple):
    """What takes longer."""

    sentences: int
    language: str  # "" where there is nothing to go by
    probability: float


def judge_text(text: str) -> Judged:
    return Judged(count_sentences(text, by_line=True), *(likeliest_language(text) or ("", 0.0)))


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

    def add(self, name: str, count: int):
        counts = self.counts
        counts[name] = counts.get(name, 0) + count  # `+=` takes twice as long for a name that is new
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

    def count(self, found: Counted, host: str, weight: int):
        self._totals["counted"] += 1
        self._totals["counted_pages"] += weight
        self._add("characters", found.characters, weight)
        self._add("words", found.words, weight)
        self._add("lines", found.lines, weight)
        domain, suffix = domain_of(host)
        sketches = self._sketches
        sketches["domains_by_pages"].add(domain, weight)
        sketches["domains_by_bytes"].add(domain, weight * found.bytes)
        sketches["suffixes_by_pages"].add(suffix, weight)
        sketches["suffixes_by_bytes"].add(suffix, weight * found.bytes)

    def judge(self, found: Judged, weight: int):
        self._totals["judged"] += 1
        self._totals["judged_pages"] += weight
        self._add("sentences", found.sentences, weight)
        bins = self._languages.setdefault(found.language, [0] * BINS)
        bins[min(int(found.probability * BINS), BINS - 1)] += weight

    def _add(self, name: str, value: int, weight: int):
        self._counts[name][bin_of(value)[0]] += weight
        self._totals[name] += weight * value

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

    chance: int
    body: bytes
    url: str  # normalised
    is_news: bool  # or nobody asks


class Looked:
    """The pages of a file that are looked at, held up to its end."""

    def __init__(self, halvings: int = 0, pages: Iterable[LookedAt] = ()):
        self.level = Level(halvings)
        self.limit = self.level.limit
        self.pages = [*pages]
        self._size = sum(len(page.body) for page in self.pages)

    def add(self, page: LookedAt):
        """Adds a page whose chance is below `limit`."""
        self.pages.append(page)
        self._size += len(page.body)
        while len(self.pages) > MOST_COUNTED or (self._size > MOST_BYTES and len(self.pages) > 1):
            self.level = Level(self.level.halvings + 1)
            self.limit = self.level.limit
            self.pages = [one for one in self.pages if one.chance < self.limit]
            self._size = sum(len(one.body) for one in self.pages)

    def judged(self) -> Level:
        """Which of them are judged too."""
        halvings = self.level.halvings
        while sum(page.chance < EVERY >> halvings for page in self.pages) > MOST_JUDGED:
            halvings += 1
        return Level(halvings)


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
