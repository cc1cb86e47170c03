"""One WET file to one page file: reads it, takes each page through the rules before deduplication, keeps what is needed.

Variants that differ only in what comes later share a track: a byte of the column `reasons`. A page file's name says of
which input it is, its folder which tracks it has, so that a second run, and one of other variants, finds it and reads
nothing again. What the file no longer holds is read from the input again. Of an input that cannot be fetched there is no
page file, and the next run asks for it again.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import BinaryIO, NamedTuple, cast

from c4build.dedup.keys import url_key
from c4build.dedup.units import units_of
from c4build.errors import printable
from c4build.flow.candidates import AS_READ, Candidate, DroppedTable, Lowest, shortened, write_candidates
from c4build.flow.figures import Looked
from c4build.flow.file_figures import FileFigures, LookedAt
from c4build.flow.kit import Damages, may_be_gone, read_once
from c4build.flow.pagefiles import FORMAT, Report, Row, Rows, find_page_file, open_page_file
from c4build.flow.runs.marks import Task
from c4build.page import Page
from c4build.read.attempts import FetchError
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, OpenedInput, one_name, open_input
from c4build.read.wet import read_pages
from c4build.read.wet_pages import Dropped
from c4build.rules.exclude import exclude_test
from c4build.rules.steps import bits_of, steps_of
from c4build.rules.tables import CODE, PAGE_PHRASES, REASONS, RuleSet, Variant
from c4build.rules.urls import news_test
from c4build.write.files import digest, is_local

_BATCH_PAGES = 128  # between two looks at how far the file is


class CleanSettings(NamedTuple):
    """All that decides what is in a page file besides its input."""

    rules: RuleSet
    tracks: tuple[Variant, ...]  # a variant for each track
    bad_words: tuple[str, ...]
    news_domains: str | None  # the list as JSON text
    excluded: str = ""  # entries of `exclude`, one a line
    provenance: bool = False  # page files say where each page is from
    samples: int = 0  # of each reason; 0: none, and no figures
    write_dropped: str = ""  # the format of shards with all pages that are dropped

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
            **({"excluded": digest(self.excluded)} if self.excluded else {}),
            **({"provenance": True} if self.provenance else {}),
        }

    def folder_name(self) -> str:
        """Of the folder for page files with just these tracks."""
        return f"pages-{digest(sorted(self.track_keys()))}"


@cache
def _track_keys(settings: CleanSettings) -> tuple[str, ...]:
    return tuple(digest(settings.depends_on(track)) for track in settings.tracks)


def _early_steps(rules: RuleSet, variant: Variant) -> list[str]:
    """The steps that the variant's pages take before deduplication; a raw one, which has none, takes all there."""
    steps = [step for step in (*rules.before, *(rules.after if variant.raw else ())) if step in variant.steps]
    if rules.page_phrases_in_lines and "lines" in steps:
        steps += [f"lines without {phrase}" for phrase in PAGE_PHRASES if phrase not in variant.steps]
    return steps


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
        self._steps = steps_of(settings.rules, settings.tracks, settings.bad_words)
        self._keys = units_of(settings.rules).keys
        self._news = sum(1 << bit for bit, track in enumerate(settings.tracks) if track.news_only)
        if self._news and settings.news_domains is None:
            raise ValueError("the news domains are not given")
        self._is_news = news_test(json.loads(settings.news_domains or "{}"))
        self._excluded_by = exclude_test(settings.excluded.split("\n")) if settings.excluded else None
        # A page that is out can still displace an older copy of its URL, unless it never was in that variant.
        self._keep_rows_of_dropped = settings.rules.newest_of == "all"
        self._provenance = settings.provenance
        self._samples, self._keep_dropped = settings.samples, settings.write_dropped != ""
        self._figures = FileFigures(settings.rules, settings.bad_words) if settings.samples else None

    def clean(self, source: Input, page_file: str, progress: str | None = None) -> Report:
        """Makes `page_file` of `source`, or finds it made before. `progress` is where a `Task` tells how far it is."""
        task = Task(progress)
        report = read_once(
            lambda: find_page_file(page_file, source, self._track_keys, self._samples, self._keep_dropped),
            lambda: self._read_input(source, page_file, task),
        )
        why = report.missing or next((f"byte {offset:,}: {what}" for offset, what in report.damages), report.remade)
        damaged = len(report.damages) + report.more_damages
        task.done(report.pages, report.size, damaged, missing=bool(report.missing), why=why)
        return report

    def _read_input(self, source: Input, page_file: str, task: Task) -> Report:
        try:
            return self._make(source, page_file, task)
        except FetchError as error:
            return self._missing(source, page_file, str(error))

    def _make(self, source: Input, page_file: str, task: Task) -> Report:
        task.begin()
        self._steps.counted_lines()  # of an input that came to no end
        self._path = one_name(source.path)
        counts: list[Counter[int]] = [Counter() for _ in self._tracks]
        damages = Damages()
        pages, complete = 0, True
        self._lowest, self._looked = Lowest(self._samples), Looked()
        with open_page_file(page_file, self._samples > 0, self._keep_dropped, self._provenance) as table:
            self._dropped = DroppedTable(table.dropped) if table.dropped else None
            size = 0
            try:
                with open_input(source, self._transport) as opened:
                    for found in self._read(opened):
                        if isinstance(found, Page):
                            self._take(pages, found, table, counts, damages, size)
                            pages += 1
                        elif isinstance(found, Dropped):
                            pages += 1
                            for counter in counts:
                                counter[CODE[found.reason]] += 1
                            continue
                        else:
                            damages.add(found.offset, found.what)
                            complete &= not may_be_gone(found, source.path)
                            continue
                        if pages % _BATCH_PAGES == 0:
                            if table.full:
                                table.flush()
                            size = opened.read_bytes
                            task.at(pages, size)
                    size = opened.read_bytes
            except FetchError:
                raise
            except InputError as error:
                damages.add(error.offset, str(error))
                size, complete = error.offset, False
            table.flush()
            if self._dropped:
                self._dropped.flush()
            if table.samples:
                write_candidates(table.samples, self._lowest.held())
            if self._figures and table.samples:
                table.samples.fields = self._figures.of(self._looked)
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
                lines=dict(sorted(self._steps.counted_lines().items())),
                damages=damages.first,
                more_damages=damages.more,
                size=size,
                complete=complete,
                content=table.content(),
                samples=self._samples,
                dropped=self._keep_dropped,
            )
            table.tell(report)
        if not is_local(page_file):
            report = report._replace(feet=table.feet())
        return report

    def _missing(self, source: Input, page_file: str, why: str) -> Report:
        """Of an input that could not be fetched: nothing came of it, whatever of it was read."""
        nothing: dict[str, dict[str, int]] = {key: {} for key in self._track_keys}
        return Report(
            page_file=page_file, identity=source.identity, tracks=self._track_keys, rows=0, keys=0, pages=0, counts=nothing,
            lines={}, damages=[], more_damages=0, size=0, complete=False, content="", missing=printable(why),
        )  # fmt: skip

    def _read(self, opened: OpenedInput) -> Iterator[Page | Dropped | Damage]:
        try:
            yield from read_pages(cast(BinaryIO, opened), self._rules.records, self._rules.max_page_chars)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # no input may end the run: whatever this one did to its reader, the others are read
            raise InputError(f"cannot be read on: {type(error).__name__}: {error}", opened.read_bytes) from error

    def _take(self, number: int, page: Page, table: Rows, counts: list[Counter], damages: Damages, place: int):
        """Takes a page, with its number in the file, through the rules."""
        try:
            self._take_page(number, page, table, counts)
        except MemoryError:
            raise
        except Exception as error:  # no page may end the run: the others are taken
            damages.add(place, f"{page.url}: it cannot be judged: {type(error).__name__}: {error}")
            for counter in counts:
                counter[CODE["damaged"]] += 1

    def _take_page(self, number: int, page: Page, table: Rows, counts: list[Counter]):
        steps = self._steps
        reasons = bytearray(len(counts))
        url, hashed, chance, validation, owner = url_key(page.url)
        if self._excluded_by and self._excluded_by(url):
            for counter in counts:
                counter[CODE["excluded"]] += 1
            self._hold(chance, number, -1, bytes([CODE["excluded"]]) * len(counts), page)
            return
        running = steps.all
        elsewhere = self._news if self._news and not self._is_news(url) else 0
        if elsewhere:
            running &= ~elsewhere
            for bit in bits_of(elsewhere):
                reasons[bit] = CODE["not_a_news_domain"]
        text = raw = None
        place = -1
        if running & steps.clean:
            text = steps.before(page.body, running & steps.clean, reasons)
        if running & steps.raw:
            raw = steps.before(page.body, running & steps.raw, reasons)
        if text is not None or raw is not None:
            keys = self._keys(text) if text is not None else b""
            rest = (
                page.url,
                page.content_type,
                page.content_length,
                validation,
                owner,
                keys,
                text,
                raw,
                *((page.record_id, page.refers_to, self._path, str(page.offset)) if self._provenance else ()),
            )
            place = table.next_row
            table.add((bytes(reasons), number, chance, hashed, page.timestamp, *rest), len(page.body))  # a `Row`
        elif self._keep_rows_of_dropped and running:
            place = table.next_row
            table.add(Row(bytes(reasons), number, chance, hashed, page.timestamp), 0)
        if self._samples or self._dropped:
            self._hold(chance, number, place, bytes(reasons), page)
            if self._samples and chance < self._looked.limit:
                self._looked.add(chance, LookedAt(page, url, not elsewhere), len(page.body))
        self._count(elsewhere if self._keep_rows_of_dropped else elsewhere | running, reasons, counts)

    def _hold(self, chance: int, number: int, row: int, groups: bytes, page: Page):
        """Takes the page for a sample, as far as there are not enough with lower chances, and for one that is dropped."""
        if self._dropped and any(groups):
            self._dropped.add(Candidate(chance, 0, number, row, groups, AS_READ, page.url, page.timestamp, page.body))
        if self._samples and self._lowest.wants(chance, groups):
            body = shortened(page.body)
            self._lowest.add(Candidate(chance, 0, number, row, groups, AS_READ, page.url, page.timestamp, body))

    @staticmethod
    def _count(variants: int, reasons: Sequence[int], counts: list[Counter]):
        for bit in bits_of(variants):
            if reasons[bit]:
                counts[bit][reasons[bit]] += 1
