"""What becomes of a page before deduplication: its row in the page file, and what is counted of it.

There are two ways to the same, one in Python and one compiled: `pages_of` gives the one there is.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from c4build.compiled import core
from c4build.dedup.keys import url_key
from c4build.dedup.units import compiled_units, units_of
from c4build.flow.candidates import AS_READ, MOST_HELD, Candidate, CompiledLowest, Lowest, PlainLowest, shortened
from c4build.flow.figures import MOST_BYTES, Level, Looked, LookedAt, Looking
from c4build.flow.rows import CompiledRows, PlainRows, Row, Waiting
from c4build.page import Page
from c4build.rules.exclude import exclude_test
from c4build.rules.steps import CompiledSteps, Steps, bits_of, steps_of
from c4build.rules.tables import CODE, RuleSet, Variant, bits_where
from c4build.rules.urls import news_test
from c4build.write.statistics import MOST_COUNTED, MOST_JUDGED

_EXCLUDED = CODE["excluded"]


class Taken(NamedTuple):
    """What a page came to."""

    chance: int
    row: int  # in the page file, -1 where it has none
    reasons: bytes  # for each track, 0 where it is in
    url: str  # normalised
    excluded: bool
    is_news: bool  # or nobody asks


class PageRules(NamedTuple):
    """What decides on pages, for some tracks."""

    rules: RuleSet
    tracks: Sequence[Variant]
    bad_words: Iterable[str]
    news_domains: str | None  # the list as JSON text
    excluded: str  # entries of `exclude`, one a line
    provenance: bool

    @property
    def news(self) -> int:
        """Bits of the tracks that take pages of news domains only."""
        return bits_where(lambda track: track.news_only, self.tracks)

    @property
    def rows_of_dropped(self) -> bool:
        """A page that is out can still displace an older copy of its URL, unless it never was in that variant."""
        return self.rules.newest_of == "all"

    def news_test(self) -> Callable[[str], bool]:
        if self.news and self.news_domains is None:
            raise ValueError("the news domains are not given")
        return news_test(self.news_names())

    def news_names(self) -> dict[str, bool | list[str]]:
        return json.loads(self.news_domains or "{}")

    def exclude_test(self) -> Callable[[str], str] | None:
        return exclude_test(self.excluded.split("\n")) if self.excluded else None


class Pages(ABC):
    """Takes the pages of one file after another. One is made ready a process."""

    waiting: Waiting  # the rows of a file, up to where they are written

    @abstractmethod
    def begin(self, path: str, samples: int, every_dropped: bool):
        """Goes on to another file.

        Args:
          path: the file's name, for its pages' provenance.
          samples: so many pages of each reason are held, and pages to look at; 0: none.
          every_dropped: pages that are dropped are asked for.
        """

    @abstractmethod
    def take(self, number: int, page: Page) -> Taken | None:
        """Takes a page, with its number in the file; returns what it came to if that is asked for."""

    @abstractmethod
    def take_lowest(self) -> Lowest:
        """The file's pages that may become samples; at its end."""

    @abstractmethod
    def looked(self) -> Looked:
        """The file's pages that figures are made of; at its end."""

    @abstractmethod
    def counts(self) -> list[dict[int, int]]:
        """The file's pages that end here for good, for each track by reason."""

    @abstractmethod
    def counted_lines(self) -> dict[str, int]:
        """The lines of the file's pages, by fate; at its end."""


def pages_of(of: PageRules) -> Pages:
    steps = steps_of(of.rules, of.tracks, of.bad_words)
    return CompiledPages(of, steps) if isinstance(steps, CompiledSteps) else PlainPages(of, steps)


class PlainPages(Pages):
    """In Python."""

    def __init__(self, of: PageRules, steps: Steps):
        self._of, self._steps, self._tracks, self._news = of, steps, len(of.tracks), of.news
        self._is_news, self._is_excluded = of.news_test(), of.exclude_test()
        self._keys = units_of(of.rules).keys

    def begin(self, path: str, samples: int, every_dropped: bool):
        self._steps.counted_lines()  # of a file that came to no end
        self._path, self._every_dropped = path, every_dropped
        self._counts: list[Counter[int]] = [Counter() for _ in range(self._tracks)]
        self._samples, self._lowest, self._looking = samples, PlainLowest(samples), Looking()
        self.waiting: PlainRows = PlainRows()

    def take(self, number: int, page: Page) -> Taken | None:
        taken = self._take(number, page)
        if self._samples:
            self._hold(taken, number, page)
        return taken if self._every_dropped and any(taken.reasons) else None

    def _hold(self, taken: Taken, number: int, page: Page):
        """Takes the page for a sample, as far as there are not enough with lower chances."""
        chance, row, reasons, url, excluded, is_news = taken
        if self._lowest.wants(chance, reasons, AS_READ):
            body = shortened(page.body)
            self._lowest.add(Candidate(chance, 0, number, row, reasons, AS_READ, page.url, page.timestamp, body))
        if not excluded:
            self._looking.add(chance, page.body, url, is_news)

    def take_lowest(self) -> Lowest:
        return self._lowest

    def looked(self) -> Looked:
        return self._looking.found()

    def _take(self, number: int, page: Page) -> Taken:
        steps, rows_of_dropped = self._steps, self._of.rows_of_dropped
        url, hashed, chance, validation, owner = url_key(page.url)
        if self._is_excluded and self._is_excluded(url):
            reasons = bytearray([_EXCLUDED]) * self._tracks
            self._count(steps.all, reasons)
            return Taken(chance, -1, bytes(reasons), url, True, True)
        elsewhere = self._news if self._news and not self._is_news(url) else 0
        running = steps.all & ~elsewhere
        reasons = bytearray(self._tracks)
        for bit in bits_of(elsewhere):
            reasons[bit] = CODE["not_a_news_domain"]
        text = raw = None
        if running & steps.clean:
            text = steps.before(page.body, running & steps.clean, reasons)
        if running & steps.raw:
            raw = steps.before(page.body, running & steps.raw, reasons)
        row = -1
        if text is not None or raw is not None:
            row = self.waiting.next_row
            known = Row(
                bytes(reasons), number, chance, hashed, page.timestamp, page.url, page.content_type, page.content_length,
                validation, owner if text is not None else 0, self._keys(text) if text is not None else b"", text, raw,
            )  # fmt: skip
            if self._of.provenance:
                known = known._replace(
                    record_id=page.record_id, refers_to=page.refers_to, path=self._path, offset=str(page.offset)
                )
            self.waiting.add(known, len(page.body))
        elif rows_of_dropped and running:
            row = self.waiting.next_row
            self.waiting.add(Row(bytes(reasons), number, chance, hashed, page.timestamp), 0)
        self._count(elsewhere if rows_of_dropped else elsewhere | running, reasons)
        return Taken(chance, row, bytes(reasons), url, False, not elsewhere)

    def _count(self, tracks: int, reasons: Sequence[int]):
        for bit in bits_of(tracks):
            if reasons[bit]:
                self._counts[bit][reasons[bit]] += 1

    def counts(self) -> list[dict[int, int]]:
        return [dict(counts) for counts in self._counts]

    def counted_lines(self) -> dict[str, int]:
        return self._steps.counted_lines()


class CompiledPages(Pages):
    """By `core/pages.cpp`."""

    def __init__(self, of: PageRules, steps: CompiledSteps):
        plan = {
            "tracks": len(of.tracks),
            "clean": steps.clean,
            "raw": steps.raw,
            "news": of.news,
            "rows_of_dropped": of.rows_of_dropped,
            "provenance": of.provenance,
            "excluded": _EXCLUDED,
            "not_a_news_domain": CODE["not_a_news_domain"],
            "is_excluded": of.exclude_test(),
            "is_news": of.news_test(),
            # What `news_test` looks up ends with a dot where there is no suffix, and begins with one where there is nothing else.
            "news_names": [name.strip(".").encode() for name in of.news_names()],
            "most_held": MOST_HELD,
            "most_looked": MOST_COUNTED,
            "most_looked_bytes": MOST_BYTES,
        }
        self._pages = core.Pages(steps.compiled, compiled_units(of.rules), plan)
        self.waiting = CompiledRows(self._pages)

    def begin(self, path: str, samples: int, every_dropped: bool):
        self._pages.begin(path, samples, every_dropped)

    def take(self, number: int, page: Page) -> Taken | None:
        found = self._pages.take(number, page)
        return found and Taken(*found)

    def take_lowest(self) -> Lowest:
        return CompiledLowest(self._pages.take_lowest())

    def looked(self) -> Looked:
        halvings, halvings_judged, pages = self._pages.looked(MOST_JUDGED)
        return Looked(Level(halvings), Level(halvings_judged), [*map(LookedAt._make, pages)])

    def counts(self) -> list[dict[int, int]]:
        return self._pages.counts()

    def counted_lines(self) -> dict[str, int]:
        return self._pages.counted_lines()
