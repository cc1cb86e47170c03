"""Books as files: which there are, and each as a `Book`, be it plain text or EPUB."""

import os
import re
from collections.abc import Iterable

from c4build.errors import UsageError
from c4build.read.chapters import Book, BookError
from c4build.read.epub import epub_book, open_archive
from c4build.read.finding import find_files
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, open_input
from c4build.read.plain_text import plain_book

ENDINGS = (".txt", ".epub")
MAX_BOOK_BYTES = 1 << 28  # of a file, pictures and all


def find_books(given: Iterable[str], most_connections: int | None = None) -> list[Input]:
    """The books that the command names, each once, sorted by name: files, and folders searched for .txt and .epub.

    `most_connections`: as for `find_files`.

    Raises:
      UsageError: something named is not there, or is no book.
    """
    sources = find_files(given, ENDINGS, most_connections)
    for source in sources:
        if not source.name.lower().endswith(ENDINGS):
            raise UsageError(f"{source.path}: books are .txt or .epub files, or folders of them")
    return sources


def read_book(source: Input, transport: Transport | None = None) -> Book:
    """The book in a file, which is fetched as `transport` says.

    Raises:
      BookError: it is no book, holds no text, or is protected.
      InputError: the file cannot be read.
    """
    with open_input(source, transport) as file:
        pieces, size = [], 0
        while block := file.read(1 << 20):
            pieces.append(block)
            size += len(block)
            if size > MAX_BOOK_BYTES:
                raise BookError(f"it is over {MAX_BOOK_BYTES >> 20} MiB long")
    data = b"".join(pieces)
    del pieces
    if kind := _other_kind(data):
        raise BookError(f"it is no book but {kind}")
    name = os.path.splitext(source.name)[0]
    try:
        book = epub_book(data, name) if data.startswith(_ZIP) else plain_book(data, name)
    except (BookError, UsageError):
        raise
    except Exception as error:  # nothing in one book ends the run
        raise BookError(f"it cannot be read ({type(error).__name__}: {error})") from error
    if not any(chapter.text for chapter in book.chapters):
        raise BookError("it holds no text")
    return book


def check_book(source: Input):
    """Raises UsageError where the file is plainly of another kind, such as a page of HTML or a ZIP that is no EPUB."""
    try:
        with open_input(source) as file:
            head = file.read(1 << 12)
            kind = _other_kind(head)
            if head.startswith(_ZIP) and not kind and 0 <= source.size <= MAX_BOOK_BYTES:
                kind = _other_zip(head + file.read())
    except InputError:
        return  # a damage, told when it is read
    if kind:
        raise UsageError(f"{source.path}: this is no book but {kind}; books are plain text or EPUB")


_ZIP = b"PK\x03\x04"
_OTHER_KINDS = (
    (re.compile(rb"\x1f\x8b\x08"), "a gzip file"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "a bzip2 file"),
    (re.compile(rb"\xfd7zXZ\0|7z\xbc\xaf\x27\x1c|\x28\xb5\x2f\xfd|Rar!"), "a packed file"),
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"\{\\rtf"), "RTF"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s{0,99}WARC/\d"), "a WARC file"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s{0,99}(?:<\?xml[^>]{0,99}>\s{0,99})?<(?:!doctype\s{1,9}html|html)\b", re.I), "a page of HTML"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s{0,99}(?:<\?xml[^>]{0,99}>\s{0,99})?<mediawiki\b"), "a dump of MediaWiki"),
)  # fmt: skip


def _other_kind(data: bytes) -> str | None:
    return next((name for pattern, name in _OTHER_KINDS if pattern.match(data)), None)


def _other_zip(data: bytes) -> str | None:
    """What a whole ZIP is that has nothing of an EPUB in it; None for an EPUB, and for what cannot be told."""
    try:
        with open_archive(data) as archive:
            names = set(archive.namelist())
    except Exception:  # damaged; zipfile has many ways to say it
        return None
    return None if names & {"META-INF/container.xml", "mimetype"} else "a ZIP without the parts of an EPUB"
