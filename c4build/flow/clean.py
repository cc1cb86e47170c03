"""One WET file to one page file: reads it, takes each page through the rules before deduplication, keeps what is needed.

Variants that differ only in what comes later share a track: a byte of the column `reasons`. A page file's name says of
which input it is, its folder which tracks it has, so that a second run, and one of other variants, finds it and reads
nothing again. What the file no longer holds is read from the input again. Of an input that cannot be fetched there is no
page file, and the next run asks for it again.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from c4build.dedup.keys import hash_text
from c4build.dedup.repeats import rank
from c4build.dedup.units import units_of
from c4build.errors import CorruptFileError, printable
from c4build.flow.kit import may_be_gone, tell_progress
from c4build.flow.pagefiles import FORMAT, Report, Row, Rows, find_page_file, open_page_file
from c4build.page import Page
from c4build.read.attempts import FetchError
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, OpenedInput, open_input
from c4build.read.wet import read_pages
from c4build.read.wet_pages import Dropped
from c4build.rules.lines import Lines, candidate_lines
from c4build.rules.steps import Steps, bits_of
from c4build.rules.tables import CODE, REASONS, RuleSet, Variant
from c4build.rules.urls import in_validation, news_test, normalize_url
from c4build.write.files import digest

_BATCH_PAGES = 128  # whose lines are looked at together
_MOST_DAMAGES = 100  # of one input that are told; the others are counted


class CleanSettings(NamedTuple):
    """All that decides what is in a page file besides its input."""

    rules: RuleSet
    tracks: tuple[Variant, ...]  # a variant for each track
    bad_words: tuple[str, ...]
    news_domains: str | None  # the list as JSON text

    def track_keys(self) -> list[str]:
        """What each track depends on, in short."""
        return list(_track_keys(self))

    def depends_on(self, track: Variant) -> dict:
        steps = _early_steps(self.rules, track)
        return {
            "format": FORMAT,
            "rules": self.rules.to_json(),
            "steps": steps,
            "raw": track.raw,
            "bad_words": sorted(self.bad_words) if "bad_words" in steps else None,
            "news_domains": self.news_domains if track.news_only else None,
        }

    def folder_name(self) -> str:
        """Of the folder for page files with just these tracks."""
        return f"pages-{digest(sorted(self.track_keys()))}"


@cache
def _track_keys(settings: CleanSettings) -> tuple[str, ...]:
    return tuple(digest(settings.depends_on(track)) for track in settings.tracks)


def _early_steps(rules: RuleSet, variant: Variant) -> list[str]:
    """The steps that the variant's pages take before deduplication; a raw one, which has none, takes all there."""
    return [step for step in (*rules.before, *(rules.after if variant.raw else ())) if step in variant.steps]


def tracks_of(rules: RuleSet, variants: Sequence[Variant]) -> tuple[tuple[Variant, ...], tuple[int, ...]]:
    """A variant for each of the different tracks of `variants`, and for each variant the index of its track."""
    kinds = [(variant.raw, variant.news_only, *_early_steps(rules, variant)) for variant in variants]
    order = list(dict.fromkeys(kinds))
    return tuple(variants[kinds.index(kind)] for kind in order), tuple(map(order.index, kinds))


class Cleaner:
    """Makes page files. One is made ready a process and used for many inputs."""

    def __init__(self, settings: CleanSettings, transport: Transport | None = None):
        self._transport = transport
        self._rules, self._tracks, self._track_keys = settings.rules, settings.tracks, settings.track_keys()
        self._steps = Steps(settings.rules, settings.tracks, settings.bad_words)
        self._keys = units_of(settings.rules).keys
        self._news = sum(1 << bit for bit, track in enumerate(settings.tracks) if track.news_only)
        self._is_news = news_test(json.loads(settings.news_domains)) if self._news else None
        # A page that is out can still displace an older copy of its URL, unless it never was in that variant.
        self._keep_rows_of_dropped = settings.rules.newest_of == "all"

    def clean(self, source: Input, page_file: str, progress: str | None = None) -> Report:
        """Makes `page_file` of `source`, or finds it made before. `progress` is a file to tell how far it is."""
        remade = ""
        try:
            report = find_page_file(page_file, source, self._track_keys)
            if report and report.complete:
                return report
        except (CorruptFileError, OSError) as error:
            remade = str(error)
        try:
            report = self._make(source, page_file, progress)
        except FetchError as error:
            report = self._missing(source, page_file, str(error))
        return report._replace(remade=remade)

    def _make(self, source: Input, page_file: str, progress: str | None) -> Report:
        self._steps.lines.clear()
        counts = [Counter() for _ in self._tracks]
        damages = _Damages()
        pages, complete = 0, True
        told = time.monotonic()
        with open_page_file(page_file) as table:
            batch: list[tuple[int, Page]] = []
            size = 0
            try:
                with open_input(source, self._transport) as opened:
                    for found in self._read(opened):
                        if type(found) is Page:
                            batch.append((pages, found))
                            pages += 1
                            if len(batch) < _BATCH_PAGES:
                                continue
                        elif type(found) is Dropped:
                            pages += 1
                            for counter in counts:
                                counter[CODE[found.reason]] += 1
                            continue
                        else:
                            damages.add(found.offset, found.what)
                            complete &= not may_be_gone(found, source.path)
                            continue
                        self._take(batch, table, counts, damages, opened.read_bytes)
                        batch.clear()
                        if table.full:
                            table.flush()
                        size = opened.read_bytes
                        if progress and time.monotonic() - told > 0.5:
                            told = time.monotonic()
                            tell_progress(progress, pages, size)
                    size = opened.read_bytes
            except FetchError:
                raise
            except InputError as error:
                damages.add(error.offset, str(error))
                size, complete = error.offset, False
            self._take(batch, table, counts, damages, size)
            table.flush()
            report = Report(
                page_file=page_file,
                identity=source.identity,
                tracks=self._track_keys,
                rows=table.row,
                keys=table.key,
                pages=pages,
                counts={
                    key: {REASONS[code]: count for code, count in sorted(counter.items())}
                    for key, counter in zip(self._track_keys, counts)
                },
                lines=dict(sorted(self._steps.lines.items())),
                damages=damages.first,
                more_damages=damages.more,
                size=size,
                complete=complete,
                content=table.content(),
            )
            table.tell(report)
        if progress:
            tell_progress(progress, pages, size)
        return report

    def _missing(self, source: Input, page_file: str, why: str) -> Report:
        """Of an input that could not be fetched: nothing came of it, whatever of it was read."""
        nothing = {key: {} for key in self._track_keys}
        return Report(
            page_file=page_file, identity=source.identity, tracks=self._track_keys, rows=0, keys=0, pages=0, counts=nothing,
            lines={}, damages=[], more_damages=0, size=0, complete=False, content="", missing=printable(why),
        )  # fmt: skip

    def _read(self, opened: OpenedInput) -> Iterator[Page | Dropped | Damage]:
        try:
            yield from read_pages(opened, self._rules.records, self._rules.max_page_chars)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # no input may end the run: whatever this one did to its reader, the others are read
            raise InputError(f"cannot be read on: {type(error).__name__}: {error}", opened.read_bytes) from error

    def _take(
        self, pages: Sequence[tuple[int, Page]], table: Rows, counts: list[Counter], damages: "_Damages", place: int
    ):
        """Takes pages, each with its number in the file, through the rules."""
        if not pages:
            return
        try:
            found = candidate_lines([page.body for _, page in pages], self._rules)
        except MemoryError:
            raise
        except Exception:
            found = [None] * len(pages)
        for (number, page), lines in zip(pages, found):
            try:
                if lines is None:
                    (lines,) = candidate_lines([page.body], self._rules)
                self._take_page(number, page, lines, table, counts)
            except MemoryError:
                raise
            except Exception as error:  # nor may a page: the others are taken
                damages.add(place, f"{page.url}: it cannot be judged: {type(error).__name__}: {error}")
                for counter in counts:
                    counter[CODE["damaged"]] += 1

    def _take_page(self, number: int, page: Page, lines: Lines, table: Rows, counts: list[Counter]):
        steps = self._steps
        page.stripped = lines.stripped
        reasons = bytearray(len(counts))
        url = normalize_url(page.url)
        running = steps.all
        elsewhere = self._news if self._news and not self._is_news(url) else 0
        if elsewhere:
            running &= ~elsewhere
            for bit in bits_of(elsewhere):
                reasons[bit] = CODE["not_a_news_domain"]
        text = raw = None
        if running & steps.clean:
            text = steps.before(page, lines, running & steps.clean, reasons)
        if running & steps.raw and steps.before(page, lines, running & steps.raw, reasons) is not None:
            raw = page.utf8
        if text is not None or raw is not None:
            keys = self._keys(text) if text is not None else b""
            rest = (
                page.url,
                page.content_type,
                page.content_length,
                in_validation(url),
                rank(page.url),
                keys,
                text,
                raw,
            )
            table.add((bytes(reasons), number, hash_text(url), page.timestamp, *rest), len(page.body))  # a `Row`
        elif self._keep_rows_of_dropped and running:
            table.add(Row(bytes(reasons), number, hash_text(url), page.timestamp), 0)
        self._count(elsewhere if self._keep_rows_of_dropped else elsewhere | running, reasons, counts)

    @staticmethod
    def _count(variants: int, reasons: Sequence[int], counts: list[Counter]):
        for bit in bits_of(variants):
            if reasons[bit]:
                counts[bit][reasons[bit]] += 1


class _Damages:
    """The first damages of an input, and how many more there are."""

    def __init__(self):
        self.first: list[tuple[int, str]] = []
        self.more = 0

    def add(self, offset: int, what: str):
        if len(self.first) < _MOST_DAMAGES:
            self.first.append((offset, printable(what)))
        else:
            self.more += 1
