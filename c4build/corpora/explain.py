"""Why pages stay or go: those of a file by the rules of one variant, alone or beside a corpus that was built.

A page takes the way that a build gives it: the same reader, the same steps, the same deduplication. Plain text is read as
a WET file of one page.
"""

import io
import json
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from c4build.corpora.c4 import check_rules
from c4build.corpora.copies import Asked, Copy, Fate, find_built, find_fates
from c4build.corpora.lists import Lists, check_lists
from c4build.corpora.options import Request
from c4build.dedup.keys import hash_text, hashes, rank
from c4build.dedup.units import Unit, units_of
from c4build.errors import DamageError, UsageError
from c4build.flow.clean import CleanSettings
from c4build.page import Page
from c4build.read.gz import Damage
from c4build.read.paths import Input, InputError, identify, open_input
from c4build.read.url_list import read_urls
from c4build.read.wet import read_pages
from c4build.read.wet_pages import Dropped, as_page
from c4build.rules.exclude import exclude_test
from c4build.rules.tables import CODE, RuleSet, Variant
from c4build.rules.told import Taken, Teller
from c4build.rules.urls import news_test, normalize_url

_STDIN = "-"


@dataclass
class Explained:
    """What became of one page."""

    number: int  # of its file, from 0
    fate: str  # kept, or why it goes
    page: Page | None = None  # None where the reader gave none
    step: str = ""  # that decided it; empty where none of the variant's did
    entry: str = ""  # of the list of what is left out
    taken: list[Taken] = field(default_factory=list)
    text: str = ""  # what stays, or what the last step that it took was given
    copy: Copy | None = None  # that displaced it
    repeats: list[tuple[Unit, Copy]] = field(default_factory=list)  # what it lost, and the pages that keep it


class Explainer:
    """Explains pages by rules, one variant and its lists; `against` is the folder of a build by them, or empty."""

    def __init__(self, rules: RuleSet, variant: Variant, lists: Lists, against: str = ""):
        self.rules, self.variant = rules, variant
        self._settings = CleanSettings(self.rules, (variant,), lists.bad_words, lists.news_domains, lists.excluded)
        self.teller = Teller(self.rules, self.variant, lists.bad_words)
        self._units = units_of(self.rules)
        self._is_news = news_test(json.loads(lists.news_domains)) if lists.news_domains else None
        self._excluded_by = exclude_test(lists.excluded.split("\n") if lists.excluded else [])
        self._listed = _listed(self.variant, lists)
        self._built = find_built(against, self._settings) if against else None

    @classmethod
    def asked(cls, request: Request, against: str = "") -> "Explainer":
        """One by what a request names. Raises UsageError."""
        rules, found = check_rules(request)
        variants = tuple(variant for variant in found if variant.name in request.variants)
        if len(variants) != 1:
            raise UsageError("name one variant: a page's fate is another in each")
        return cls(rules, variants[0], check_lists(request, variants), against)

    def explain(self, found: Sequence[tuple[int, Page | Dropped]], identity: str = "") -> list[Explained]:
        """What becomes of pages of one input, each with its number in it; `identity` is the input's."""
        explained = [self._begin(number, page) for number, page in found]
        asked = [(one, one.page) for one in explained if one.page]
        pages = [self._asked(one, page) for one, page in asked]
        if self._built:
            fates = find_fates(pages, self.rules, self._listed, self._built, identity)
        else:
            fates = [fate for page in pages for fate in find_fates([page], self.rules, self._listed)]
        for (one, _), fate in zip(asked, fates):
            self._end(one, fate)
        return explained

    def _begin(self, number: int, page: Page | Dropped) -> Explained:
        """Up to deduplication."""
        if isinstance(page, Dropped):
            return Explained(number, page.reason)
        if entry := self._excluded_by(normalize_url(page.url)):
            return Explained(number, "excluded", page, entry=entry, text=page.text)
        if self._is_news and not self._is_news(normalize_url(page.url)):
            return Explained(number, "not_a_news_domain", page, text=page.text)
        text, fate, taken = self.teller.before(page)
        step, left = (taken[-1].step, taken[-1].text) if text is None else ("", text)
        return Explained(number, fate, page, step, taken=taken, text=left)

    def _asked(self, one: Explained, page: Page) -> Asked:
        keys = self._units.keys(one.text) if one.fate == "kept" and self.variant.deduplicated else b""
        url_hash = hash_text(normalize_url(page.url))
        return Asked(one.number, page.url, url_hash, page.timestamp, CODE[one.fate], rank(page.url), keys)

    def _end(self, one: Explained, fate: Fate):
        """From deduplication on."""
        if fate.reason != one.fate:
            one.fate, one.step, one.copy = fate.reason, "", fate.copy
        if one.fate != "kept":
            return
        if fate.repeats:
            units = self._units.listed(one.text)
            one.repeats = [(units[place], keeper) for place, keeper in fate.repeats.items()]
            one.text = self._units.remove(one.text, fate.repeats.keys())
        if self.variant.raw:
            return
        text, one.fate, taken = self.teller.after(one.text)
        one.taken += taken
        one.step = taken[-1].step if text is None else ""
        one.text = taken[-1].text if text is None else text


def _listed(variant: Variant, lists: Lists) -> np.ndarray | None:
    if not variant.listed_urls_only:
        return None
    return hashes(b"".join(hash_text(normalize_url(url)) for source in lists.urls for url in read_urls(source)))


class Source(NamedTuple):
    """What is read."""

    name: str
    identity: str  # of the input, as a build has it
    is_wet: bool
    data: bytes | None  # of standard input or a text
    input: Input | None


def open_source(path: str, url: str = "") -> Source:
    """What lies at `path`, or - for standard input; a text becomes a WET file of one page of `url`.

    Raises UsageError, DamageError.
    """
    if path == _STDIN:
        data, source, name = sys.stdin.buffer.read(), None, "standard input"
    else:
        if "://" not in path and os.path.isdir(path):
            raise UsageError(f"{path}: it is a folder; name one file")
        source = identify(path if "://" in path else os.path.abspath(path))
        data, name = b"", path
        try:
            with open_input(source) as file:
                data = file.read(1 << 16)
                if _is_wet(name, data):
                    return Source(name, source.identity, True, None, source)
                data += file.read()
        except InputError as error:
            raise DamageError(f"{name}: {error}") from error
    if _is_wet(name, data):
        return Source(name, "", True, data, None)
    return Source(name, "", False, _as_wet(data, url or name), None)


def _is_wet(name: str, head: bytes) -> bool:
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(31).decompress(head, 1 << 12)
        except zlib.error:
            return True  # the reader says what is wrong with it
    return head.lstrip().startswith(b"WARC/") or any(f".{kind}" in os.path.basename(name) for kind in ("warc", "wet"))


def _as_wet(text: bytes, url: str) -> bytes:
    """A record of WET."""
    url = " ".join(url.split())
    head = (
        f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {url}\r\nWARC-Date: 1970-01-01T00:00:00Z\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode(errors="replace") + text + b"\r\n\r\n"


def read_source(source: Source, rules: RuleSet, damages: list[str]) -> Iterator[tuple[int, Page | Dropped]]:
    """Yields (number, page) of all pages; adds a line to `damages` for each. Raises DamageError."""
    number = 0
    try:
        with open_input(source.input) if source.input else io.BytesIO(source.data or b"") as file:
            for found in read_pages(file, rules.records, rules.max_page_chars):
                if isinstance(found, Damage):
                    damages.append(f"{source.name} at byte {found.offset:,}: {found.what}")
                    continue
                yield number, as_page(found)
                number += 1
    except InputError as error:
        raise DamageError(f"{source.name}: {error}") from error


def choose(
    found: Iterator[tuple[int, Page | Dropped]], source: Source, url: str, record: int | None
) -> list[tuple[int, Page | Dropped]]:
    """The pages that are asked for: of a URL however it is spelled, or one by its number from 1, or all. Raises UsageError."""
    if record is not None:
        chosen = [(number, page) for number, page in found if number == record - 1]
        wanted = f"page {record:,}"
    elif url and source.is_wet:
        same = normalize_url(url)
        chosen = [
            (number, page) for number, page in found if isinstance(page, Page) and normalize_url(page.url) == same
        ]
        wanted = f"page of {url}; of pages that are empty, too long or damaged it is not known, --record shows them"
    else:
        chosen, wanted = list(found), "page"
    if not chosen:
        raise UsageError(f"{source.name}: it holds no {wanted}")
    return chosen
