"""What Wikipedia and books are made of: which files a command names, how they are cut into units, what is kept."""

import os
import re
from collections import Counter
from typing import Callable, Iterator, NamedTuple, Optional, Sequence, Union

import mmh3

from c4build.commandline import counted
from c4build.corpora.collect import URLS, Found, Part, Prepared, Recipe, Unit, prepare
from c4build.corpora.links import REASONS, outbound_link
from c4build.corpora.parser_process import PAGE_SECONDS, Parser, parser
from c4build.errors import C4BuildError, UsageError, printable
from c4build.filters.language import language_test
from c4build.filters.urls import in_validation, normalize_url
from c4build.filters.wikitext import RULES, WikiRules, WikitextError, is_disambiguation, is_redirect
from c4build.read.books import BookError, check_book, find_books, read_book
from c4build.read.gz import Damage
from c4build.read.paths import Input, InputError, find_files
from c4build.read.reddit import check_submissions, read_submissions
from c4build.read.wikipedia import Piece, Site, cut_into_pieces, dump_date, page_url, placed_pages, read_site
from c4build.write.files import is_local, join
from c4build.write.metadata import Dataset

_PIECE_BYTES = 32 << 20  # of a compressed dump: a shard of some 100 MB of text
_LEAST_PIECE = 1 << 18
_USEFUL_UNITS = 16  # of a small input, for the sake of workers
_UNIT_BYTES = 32 << 20  # of books

WIKIPEDIA_CITATION = """@ONLINE {wikidump,
    author = "Wikimedia Foundation",
    title  = "Wikimedia Downloads",
    url    = "https://dumps.wikimedia.org"
}"""


# What is told of damage

_TOLD = 50  # damages of a piece of an input that are described, besides those that cut it short; all are counted


def told_damages(source: Input, found: Iterator[Union[Found, Damage]], expected: Optional[str]):
    """Yields what a reader found in an input, its damages with their path, printable, and the first of many only.

    An error that nobody thought of is a damage of this input, and no matter of the others.

    Args:
      source: the input.
      found: records and damages.
      expected: the records of which there must be one; None where there may be none.
    """
    records = damages = more = place = 0
    try:
        for one in found:
            if not isinstance(one, Damage):
                records += 1
                yield one
                continue
            damages, place = damages + 1, one.offset
            if damages <= _TOLD or one.cut:
                yield source.path, one._replace(what=printable(one.what))
            else:
                more += 1
    except (C4BuildError, MemoryError):
        raise
    except InputError as error:
        damages += 1
        yield source.path, Damage(error.offset, printable(str(error)), True, True)
    except Exception as error:
        damages += 1
        yield source.path, Damage(place, printable(f"cannot be read on from about here ({type(error).__name__}: {error})"), True, True)
    if more:
        yield source.path, Damage(place, f"and {more:,} more damages up to here")
    if expected and not records and not damages:
        yield source.path, Damage(0, f"it holds no {expected} at all", True)


# Wikipedia

WIKIPEDIA_REASONS = ("other_namespace", "redirect", "empty", "disambiguation", "unreadable", "no_text_left")


class WikipediaReader(NamedTuple):
    """Dumps to articles."""

    rules: WikiRules
    sites: dict[str, Site]  # by path
    seconds: float = PAGE_SECONDS  # of CPU time for the markup of a page

    def settings(self) -> dict:
        return {"name": self.rules.name, **self.rules._asdict(), "sites": sorted(map(list, set(self.sites.values())))}

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        with parser(self.seconds) as parse:
            for source, start, stop in unit.parts:
                whole = start == 0 and stop is None
                yield from told_damages(source, self._pages(source, Piece(start, stop), parse, note, told), "pages" if whole else None)

    def _pages(self, source: Input, piece: Piece, parse: Parser, note, told):
        site = self.sites[source.path]
        for offset, page in placed_pages(source, piece, told):
            if isinstance(page, Damage):
                yield page
                continue
            try:
                yield self._judge(page, site, parse, note)
            except WikitextError as error:
                yield Damage(offset, f"the page {page.title!r} is left out: {error}")
                yield Found("unreadable")

    def _judge(self, page, site: Site, parse: Parser, note) -> Found:
        if page.namespace != 0:
            return Found("other_namespace")
        if page.redirect or is_redirect(page.text):
            return Found("redirect")
        if not page.text.strip():
            return Found("empty")
        if is_disambiguation(page.title, page.text):
            return Found("disambiguation")
        found: Counter = Counter()
        text = parse.to_text(page.text, self.rules, found)
        for rule, times in found.items():
            note(rule, times)
        if not text.strip():
            return Found("no_text_left")
        url = page_url(site, page.title)
        return Found(
            "kept",
            {"title": page.title, "text": text, "url": url, "id": page.id},
            mmh3.mmh3_x64_128_digest(f"{site.name} {page.id}".encode()),
            int("0" + "".join(char for char in page.timestamp if char.isdecimal() and char.isascii())[:14]),
            in_validation(normalize_url(url)),
        )


_VERSIONS = {"tfds": "1.0.0", "strict": "1.1.0"}  # a folder for each


def prepare_wikipedia(
    given: Sequence[str],
    out: str,
    rules: str = "tfds",
    format: str = "tfrecord",
    shards: Optional[int] = None,
    overwrite: bool = False,
) -> Prepared:
    """Plans a corpus of the dumps that are named. Raises UsageError."""
    if rules not in RULES:
        raise UsageError(f"--rules {rules}: there are {', '.join(RULES)}")
    sources = find_files(given, (".xml", ".xml.bz2"))
    sites = {source.path: read_site(source) for source in sources}
    units = _cut(sources, shards)
    languages = {site.name.removesuffix("wiki").replace("_", "-") or "wiki" for site in sites.values()}
    config = ".".join(sorted({date for date in map(dump_date, sources) if date})[-1:] + ["-".join(sorted(languages))])
    recipe = Recipe(
        Dataset(
            name="wikipedia",
            config=config,
            version=_VERSIONS[rules],
            description=f"Wikipedia's articles without markup, made from a dump by c4build under the rules {rules}.",
            citation=WIKIPEDIA_CITATION,
            homepage="https://dumps.wikimedia.org",
            features=("title", "text", "url", "id"),
        ),
        WikipediaReader(RULES[rules], sites),
        WIKIPEDIA_REASONS,
        "pages",
        f"Wikipedia by the rules {rules}",
    )
    return prepare(recipe, units, out, format, shards, overwrite)


def _cut(sources: Sequence[Input], shards: Optional[int]) -> list[Unit]:
    """The dumps' pieces: as many as shards are wanted, else of a size that makes good shards and keeps workers busy."""
    whole = sum(source.likely_size for source in sources)
    each = max(_LEAST_PIECE, min(_PIECE_BYTES, -(-whole // _USEFUL_UNITS)))
    if shards:
        each = max(1, min(each, whole // shards))
    return [
        Unit(f"{source.name} from byte {piece.start:,}", (Part(source, piece.start, piece.stop),))
        for source in sources
        for piece in cut_into_pieces(source, each)
    ]


# Books

BOOK_REASONS = ("unreadable", "other_language", "language_unsure", "language_unknown")
_LANGUAGE, _LEAST = "en", 0.99
_HASHED = 1 << 20  # characters at a time
_JUDGED = 10_000  # characters from the middle: the beginning is titles and tables of contents


class BooksReader(NamedTuple):
    """Files of books to books or their chapters."""

    chapters: bool
    language: Optional[str]  # None: any
    least: float

    def settings(self) -> dict:
        return {"name": "chapters" if self.chapters else "books", **self._asdict()}

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        judge = language_test(self.language, self.least) if self.language else None
        size = 0
        for source, _, _ in unit.parts:
            yield from told_damages(source, self._book(source, judge), "books")
            size += max(source.size, 0)
            told(size)

    def _book(self, source: Input, judge):
        try:
            book = read_book(source)
        except BookError as error:
            yield Damage(0, str(error), error.cut)
            yield Found("unreadable")
        except InputError as error:
            yield Damage(error.offset, str(error), True, True)
            yield Found("unreadable")
        else:
            for trouble in book.troubles:
                yield Damage(0, trouble)
            yield from self._examples(source, book, judge)

    def _examples(self, source: Input, book, judge):
        parts = [chapter for chapter in book.chapters if chapter.text.strip()] if self.chapters else [None]
        text = book.text
        middle = max(0, (len(text) - _JUDGED) // 2)
        reason = judge(text[middle : middle + _JUDGED]) if judge else None
        for number, chapter in enumerate(parts, 1):
            if reason:
                yield Found(reason)
                continue
            own = text if chapter is None else chapter.text
            key = content_key(own)
            identifier = key.hex()
            example = {"title": book.title, "author": book.author, "text": own, "id": identifier, "source": source.name}
            if chapter is not None:
                example |= {"chapter": chapter.title, "number": str(number)}
            yield Found("kept", example, key, 0, in_validation(identifier))


def content_key(text: str) -> bytes:
    """The same for texts that have the same letters and digits, whatever their case, spacing and marks."""
    hasher = mmh3.mmh3_x64_128()
    for at in range(0, len(text), _HASHED):
        letters = "".join(char for char in text[at : at + _HASHED].casefold() if char.isalnum())
        hasher.update(letters.encode(errors="replace"))
    return hasher.digest()


def books_config(chapters: bool, language: str, least: float) -> str:
    """The name of a corpus by its settings, those left out that are as usual: chapters, de, en-0.9, chapters.any."""
    kept = language
    if language != "any" and least != _LEAST:
        kept = f"{language}-{least:g}"
    return ".".join((["chapters"] if chapters else []) + ([kept] if kept != _LANGUAGE else []))


def prepare_books(
    given: Sequence[str],
    out: str,
    chapters: bool = False,
    language: str = _LANGUAGE,
    least: float = _LEAST,
    format: str = "tfrecord",
    shards: Optional[int] = None,
    overwrite: bool = False,
) -> Prepared:
    """Plans a corpus of the books that are named. Raises UsageError."""
    if not re.fullmatch(r"[A-Za-z]{2,8}(?:-[A-Za-z]{2,8})?", language):
        raise UsageError(f"--language {language}: languages are named as in en or zh-cn; any keeps all")
    if not 0 <= least <= 1:
        raise UsageError(f"--least {least:g}: it is a probability, 0 to 1")
    sources = find_books(given)
    check_book(sources[0])
    if shards is not None and not 1 <= shards <= len(sources):
        raise UsageError(f"--shards {shards}: it must be 1 to {len(sources)}, the number of books")
    features = ("title", "author", "text", "id", "source", *(("chapter", "number") if chapters else ()))
    recipe = Recipe(
        Dataset(
            name="books",
            config=books_config(chapters, language, least),
            version="1.0.0",
            description="Books as plain text, made by c4build from the files of whoever ran it.",
            citation="",
            homepage="https://www.gutenberg.org",
            features=features,
        ),
        BooksReader(chapters, None if language == "any" else language, least),
        BOOK_REASONS,
        "chapters" if chapters else "books",
        "Chapters of books" if chapters else "Books",
    )
    return prepare(recipe, _group(sources, shards), out, format, shards, overwrite)


def _group(sources: Sequence[Input], shards: Optional[int]) -> list[Unit]:
    """Books in their order, so many megabytes a unit."""
    whole = sum(source.likely_size for source in sources)
    count = shards or min(len(sources), max(-(-whole // _UNIT_BYTES), min(len(sources), _USEFUL_UNITS)))
    bounds = [len(sources) * index // count for index in range(count + 1)]
    return [
        Unit(f"{counted(stop - start, 'books')} from {sources[start].name}", tuple(Part(source) for source in sources[start:stop]))
        for start, stop in zip(bounds, bounds[1:])
    ]


# URLs shared on Reddit

_SUBMISSIONS = (".zst", ".gz", ".bz2", ".xz", ".json", ".jsonl", ".ndjson")


class SubmissionsReader(NamedTuple):
    """Dumps of submissions to the links that count."""

    def settings(self) -> dict:
        return {"name": "webtext-urls"}

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        for source, _, _ in unit.parts:
            yield from told_damages(source, self._submissions(source, told), "submissions")

    def _submissions(self, source: Input, told):
        for entry in read_submissions(source, told):
            if isinstance(entry, Damage):
                yield entry
                continue
            link = outbound_link(entry.post)
            if link.url is None:
                yield Found(link.reason)
            else:
                yield Found("kept", {"url": link.url}, mmh3.mmh3_x64_128_digest(link.url.encode()))


def prepare_webtext_urls(given: Sequence[str], out: str, overwrite: bool = False) -> Prepared:
    """Plans the list of URLs for the file `out`; see `webtext_urls_file`. Raises UsageError."""
    if not out.endswith(".gz"):
        raise UsageError(f"--out {out}: the list is a gzip file, so its name must end in .gz")
    sources = find_files(given, _SUBMISSIONS)
    check_submissions(sources[0])
    out = os.path.abspath(out) if is_local(out) else out
    home, _, name = out.rpartition("/")
    recipe = Recipe(
        Dataset(
            name="webtext-urls",
            config=name,
            version="1.0.0",
            description="URLs shared on Reddit with a score of 3 or more.",
            citation="",
            homepage="",
            features=("url",),
        ),
        SubmissionsReader(),
        tuple(reason for reason in REASONS if reason != "kept"),
        "submissions",
        "URLs shared on Reddit",
    )
    units = [Unit(source.name, (Part(source),)) for source in sources]
    folder = join(home, ".c4build", "webtext-urls", name)
    return prepare(recipe, units, home or "/", URLS.name, None, overwrite, folder)
