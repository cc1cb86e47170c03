"""Books: files of plain text and EPUB to books or their chapters."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import mmh3

from c4build.corpora.told import told_damages
from c4build.errors import UsageError, counted
from c4build.flow.kit import Prepared, absolute, check_connections, transport
from c4build.flow.records import prepare
from c4build.flow.units import Found, Part, Recipe, Unit
from c4build.read.books import check_book, find_books, read_book
from c4build.read.chapters import BookError
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError
from c4build.rules.language import language_test
from c4build.rules.urls import in_validation
from c4build.write.metadata import Dataset

REASONS = ("unreadable", "other_language", "language_unsure", "language_unknown")
_LANGUAGE, _LEAST = "en", 0.99
_HASHED = 1 << 20  # characters at a time
_JUDGED = 10_000  # characters from the middle: the beginning is titles and tables of contents
_USEFUL_UNITS = 16  # of a small input, for the sake of workers
_UNIT_BYTES = 32 << 20


class BooksReader(NamedTuple):
    """Files of books to books or their chapters."""

    chapters: bool
    language: str | None  # None: any
    least: float
    transport: Transport | None = None

    def settings(self) -> dict:
        return {
            "name": "chapters" if self.chapters else "books",
            "chapters": self.chapters,
            "language": self.language,
            "least": self.least,
        }

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        judge = language_test(self.language, self.least) if self.language else None
        size = 0
        for source, _, _ in unit.parts:
            yield from told_damages(source, self._book(source, judge), "books")
            size += max(source.size, 0)
            told(size)

    def _book(self, source: Input, judge):
        try:
            book = read_book(source, self.transport)
        except BookError as error:
            yield Damage(0, str(error), error.cut)
            yield Found("unreadable")
        except InputError as error:
            yield Damage.of(error)
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
    shards: int | None = None,
    overwrite: bool = False,
    max_connections: int = 10,
) -> Prepared:
    """Plans a corpus of the books that are named. Raises UsageError."""
    if not re.fullmatch(r"[A-Za-z]{2,8}(?:-[A-Za-z]{2,8})?", language):
        raise UsageError(f"--language {language}: languages are named as in en or zh-cn; any keeps all")
    if not 0 <= least <= 1:
        raise UsageError(f"--least {least:g}: it is a probability, 0 to 1")
    check_connections(max_connections)
    sources = find_books(given, max_connections)
    check_book(sources[0])
    if shards is not None and not 1 <= shards <= len(sources):
        raise UsageError(f"--shards {shards}: it must be 1 to {len(sources)}, the number of books")
    fetching = transport(absolute(out), max_connections, [source.path for source in sources])
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
        BooksReader(chapters, None if language == "any" else language, least, fetching),
        REASONS,
        "chapters" if chapters else "books",
        "Chapters of books" if chapters else "Books",
    )
    return prepare(recipe, _group(sources, shards), out, format, shards, overwrite)


def _group(sources: Sequence[Input], shards: int | None) -> list[Unit]:
    """Books in their order, so many megabytes a unit."""
    whole = sum(source.likely_size for source in sources)
    count = shards or min(len(sources), max(-(-whole // _UNIT_BYTES), min(len(sources), _USEFUL_UNITS)))
    bounds = [len(sources) * index // count for index in range(count + 1)]
    return [
        Unit(
            f"{counted(stop - start, 'books')} from {sources[start].name}",
            tuple(Part(source) for source in sources[start:stop]),
        )
        for start, stop in itertools.pairwise(bounds)
    ]
