"""One WET file to one page file: reads it, takes each page through the rules before deduplication, keeps what is needed.

The page file is a Parquet file of `PAGE_SCHEMA`, written whole or not at all. Its name says which input and which rules
made it, so that a second run finds it and reads nothing again. Counts and damages of the reading are in its metadata.
"""

import hashlib
import json
import os
import time
from collections import Counter
from typing import Iterator, NamedTuple, Optional, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from c4build.dedup.keys import hash_text
from c4build.dedup.repeats import rank
from c4build.dedup.units import units_of
from c4build.filters.lines import Lines, candidate_lines
from c4build.filters.steps import Steps, bits_of
from c4build.filters.urls import in_validation, news_test, normalize_url
from c4build.page import PAGE_SCHEMA, Page
from c4build.read.paths import Input, InputError, open_input
from c4build.read.wet import Dropped, read_pages
from c4build.rules import CODE, REASONS, RuleSet, Variant
from c4build.write.files import exists, open_file, output_errors, whole_file

_BATCH_PAGES = 128  # whose lines are looked at together
_ROW_GROUP_ROWS = 2048
_ROW_GROUP_CHARS = 1 << 23
_FORMAT = 4  # of page files: part of their names


class CleanSettings(NamedTuple):
    """All that decides what is in a page file besides its input."""

    rules: RuleSet
    variants: tuple[Variant, ...]
    bad_words: tuple[str, ...]
    news_domains: Optional[str]  # the list as JSON text

    def fingerprint(self) -> str:
        parts = {
            "format": _FORMAT,
            "rules": self.rules.to_json(),
            "variants": [variant.name for variant in self.variants],
            "bad_words": sorted(self.bad_words),
            "news_domains": self.news_domains,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class Report(NamedTuple):
    """What the reading of one input came to."""

    page_file: str
    rows: int
    pages: int  # read, used or not
    counts: dict[str, dict[str, int]]  # variant: reason: pages that end here for good
    lines: dict[str, int]
    damages: list[tuple[int, str]]  # (offset in bytes, what)
    size: int  # bytes read of the input
    complete: bool  # False where the input could not be read to its end: the next run tries again


class Cleaner:
    """Makes page files. One is made ready a process and used for many inputs."""

    def __init__(self, settings: CleanSettings):
        self._rules, self._variants = settings.rules, settings.variants
        self._steps = Steps(settings.rules, settings.variants, settings.bad_words)
        self._keys = units_of(settings.rules).keys
        self._news = sum(1 << bit for bit, variant in enumerate(settings.variants) if variant.news_only)
        self._is_news = news_test(json.loads(settings.news_domains)) if self._news else None
        # A page that is out can still displace an older copy of its URL, unless it never was in that variant.
        self._keep_rows_of_dropped = settings.rules.newest_of == "all"

    def clean(self, source: Input, page_file: str, progress: Optional[str] = None) -> Report:
        """Makes `page_file` of `source`, or finds it made before. `progress` is a file to tell how far it is."""
        if exists(page_file) and (report := read_report(page_file)).complete:
            return report
        told = time.monotonic()
        self._steps.lines.clear()
        counts = [Counter() for _ in self._variants]
        damages: list[tuple[int, str]] = []
        pages = rows = 0
        complete = True
        with whole_file(page_file) as file, pq.ParquetWriter(
            file, PAGE_SCHEMA, compression="none", use_dictionary=False, write_statistics=False
        ) as writer:
            table = _Rows()
            batch: list[Page] = []
            try:
                with open_input(source) as opened:
                    for found in read_pages(opened, self._rules.records, self._rules.max_page_chars):
                        if type(found) is Page:
                            batch.append(found)
                            if len(batch) < _BATCH_PAGES:
                                continue
                        elif type(found) is Dropped:
                            pages += 1
                            for counter in counts:
                                counter[CODE[found.reason]] += 1
                            continue
                        else:
                            damages.append(tuple(found))
                            continue
                        pages += len(batch)
                        self._take(batch, table, counts)
                        batch.clear()
                        if table.full:
                            rows += table.write_to(writer)
                        if progress and time.monotonic() - told > 0.5:
                            told = time.monotonic()
                            _tell(progress, pages, opened.read_bytes)
                    size = opened.read_bytes
            except InputError as error:
                damages.append((error.offset, str(error)))
                size, complete = error.offset, False
            pages += len(batch)
            self._take(batch, table, counts)
            rows += table.write_to(writer)
            report = Report(
                page_file=page_file,
                rows=rows,
                pages=pages,
                counts={
                    variant.name: {REASONS[code]: count for code, count in sorted(counter.items())}
                    for variant, counter in zip(self._variants, counts)
                },
                lines=dict(sorted(self._steps.lines.items())),
                damages=damages,
                size=size,
                complete=complete,
            )
            with output_errors(page_file):
                writer.add_key_value_metadata({"c4build": json.dumps(report._asdict())})
        if progress:
            _tell(progress, pages, size)
        return report

    def _take(self, pages: Sequence[Page], table: "_Rows", counts: list[Counter]):
        if not pages:
            return
        for page, lines in zip(pages, candidate_lines([page.body for page in pages], self._rules)):
            page.stripped = lines.stripped
            self._take_page(page, lines, table, counts)

    def _take_page(self, page: Page, lines: Lines, table: "_Rows", counts: list[Counter]):
        steps = self._steps
        reasons = bytearray(len(counts))
        url = normalize_url(page.url)
        running = steps.all
        if self._news and not self._is_news(url):
            running &= ~self._news
            for bit in bits_of(self._news):
                reasons[bit] = CODE["not_a_news_domain"]
            self._count(self._news, reasons, counts)
        text = raw = None
        if running & steps.clean:
            text = steps.before(page, lines, running & steps.clean, reasons)
        if running & steps.raw and steps.before(page, lines, running & steps.raw, reasons) is not None:
            raw = page.utf8
        if not self._keep_rows_of_dropped:
            self._count(running, reasons, counts)
        if text is None and raw is None:
            if self._keep_rows_of_dropped and running:
                table.add((bytes(reasons), hash_text(url), page.timestamp, *_NOTHING), 0)
            return
        keys = self._keys(text) if text is not None else b""
        rest = (page.url, page.content_type, page.content_length, in_validation(url), rank(page.url), keys, text, raw)
        table.add((bytes(reasons), hash_text(url), page.timestamp, *rest), len(page.body))

    @staticmethod
    def _count(variants: int, reasons: Sequence[int], counts: list[Counter]):
        for bit in bits_of(variants):
            if reasons[bit]:
                counts[bit][reasons[bit]] += 1


_NOTHING = (None, None, None, None, 0, None, None, None)  # rank 0: a column of numbers without nulls


class _Rows:
    """Rows of a page file that wait to be written."""

    def __init__(self):
        self._rows: list[tuple] = []
        self._chars = 0

    def add(self, row: tuple, chars: int):
        self._rows.append(row)
        self._chars += chars

    @property
    def full(self) -> bool:
        return len(self._rows) >= _ROW_GROUP_ROWS or self._chars >= _ROW_GROUP_CHARS

    def write_to(self, writer: pq.ParquetWriter) -> int:
        if not self._rows:
            return 0
        columns = [pa.array(column, field.type) for column, field in zip(zip(*self._rows), PAGE_SCHEMA)]
        writer.write_batch(pa.record_batch(columns, schema=PAGE_SCHEMA))
        count = len(self._rows)
        self._rows.clear()
        self._chars = 0
        return count


def read_report(page_file: str) -> Report:
    with open_file(page_file) as file:
        metadata = pq.read_metadata(file).metadata
    return Report(**{**json.loads(metadata[b"c4build"]), "page_file": page_file})


def read_columns(page_file: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yields the columns of a page file, a row group at a time."""
    with open_file(page_file) as file:
        table = pq.ParquetFile(file)
        for group in range(table.num_row_groups):
            yield table.read_row_group(group, columns, use_threads=False)


def _tell(progress: str, pages: int, size: int):
    """Leaves (pages, bytes) where the progress bar looks for them; nothing depends on it."""
    try:
        with open(progress + ".tmp", "w") as file:
            file.write(f"{pages} {size}")
        os.replace(progress + ".tmp", progress)
    except OSError:
        pass
