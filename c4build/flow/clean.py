"""One WET file to one page file: reads it, takes each page through the rules before deduplication, keeps what is needed.

Variants that differ only in what comes later share a track: a byte of the column `reasons`. A page file's name says of
which input it is, its folder which tracks it has, so that a second run, and one of other variants, finds it and reads
nothing again. What the file no longer holds is read from the input again. Of an input that cannot be fetched there is no
page file, and the next run asks for it again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import BinaryIO, NamedTuple, cast

from c4build.errors import printable
from c4build.flow.candidates import AS_READ, Candidate, DroppedTable, write_candidates
from c4build.flow.file_figures import FileFigures
from c4build.flow.kit import Damages, may_be_gone, read_once
from c4build.flow.pagefiles import FORMAT, Report, find_page_file, open_page_file
from c4build.flow.pages import PageRules, pages_of
from c4build.flow.runs.marks import Task
from c4build.page import Page
from c4build.read.attempts import FetchError
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, OpenedInput, one_name, open_input
from c4build.read.wet import read_pages
from c4build.read.wet_pages import Dropped
from c4build.rules.tables import CODE, PAGE_PHRASES, REASONS, RuleSet, Variant
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
        self._pages = pages_of(
            PageRules(
                settings.rules,
                settings.tracks,
                settings.bad_words,
                settings.news_domains,
                settings.excluded,
                settings.provenance,
            )
        )
        self._provenance = settings.provenance
        self._samples, self._keep_dropped = settings.samples, settings.write_dropped != ""
        self._figures = FileFigures(settings.rules, settings.tracks, settings.bad_words) if settings.samples else None

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
        damages = Damages()
        others: Counter[str] = Counter()  # pages that do not come to the rules, by reason
        pages, complete = 0, True
        self._pages.begin(one_name(source.path), self._samples, self._keep_dropped)
        waiting = self._pages.waiting
        with open_page_file(page_file, waiting, self._samples > 0, self._keep_dropped, self._provenance) as table:
            self._dropped = DroppedTable(table.dropped) if table.dropped else None
            size = 0
            try:
                with open_input(source, self._transport) as opened:
                    for found in self._read(opened):
                        if type(found) is Damage:
                            damages.add(found.offset, found.what)
                            complete &= not may_be_gone(found, source.path)
                            continue
                        if type(found) is Dropped:
                            pages += 1
                            others[found.reason] += 1
                            continue
                        self._take(pages, found, others, damages, size)
                        pages += 1
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
            if self._figures and table.samples:
                write_candidates(table.samples, self._pages.take_lowest())
                table.samples.fields = self._figures.of(self._pages.looked())
            report = Report(
                page_file=page_file,
                identity=source.identity,
                tracks=self._track_keys,
                rows=table.row,
                keys=table.key,
                pages=pages,
                counts={key: _by_reason(counts, others) for key, counts in zip(self._track_keys, self._pages.counts())},
                lines=dict(sorted(self._pages.counted_lines().items())),
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

    def _take(self, number: int, page: Page, others: Counter[str], damages: Damages, place: int):
        """Takes a page, with its number in the file, through the rules."""
        try:
            taken = self._pages.take(number, page)
            if taken and self._dropped:
                chance, row, reasons, *_ = taken
                page_of = page.url, page.timestamp, page.body
                self._dropped.add(Candidate(chance, 0, number, row, reasons, AS_READ, *page_of))
        except MemoryError:
            raise
        except Exception as error:  # no page may end the run: the others are taken
            damages.add(place, f"{page.url}: it cannot be judged: {type(error).__name__}: {error}")
            others["damaged"] += 1


def _by_reason(counts: Mapping[int, int], others: Mapping[str, int]) -> dict[str, int]:
    """The pages of a track that end here, with those that do not come to the rules, in the order of `REASONS`."""
    found = Counter({REASONS[code]: count for code, count in counts.items()}) + Counter(others)
    return dict(sorted(found.items(), key=lambda one: CODE[one[0]]))
