"""Books as files: plain text in whatever encoding, EPUB in its reading order, and either as Project Gutenberg has them."""

import codecs
import functools
import io
import itertools
import os
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

import charset_normalizer

from c4build.errors import UsageError
from c4build.read.gutenberg import even, header_field, without_boilerplate
from c4build.read.paths import Input, InputError, find_files, open_input

ENDINGS = (".txt", ".epub")
MAX_BOOK_BYTES = 1 << 28  # of a file, pictures and all
MAX_TEXT_BYTES = (
    1 << 25
)  # of a plain text, or of an EPUB's documents together: the whole Encyclopaedia Britannica a few times
_MAX_DOCUMENT_BYTES = 1 << 24  # of one document within an EPUB
_MAX_XML_BYTES = 1 << 23  # of an EPUB's lists of its documents
_MAX_FILES = 20_000  # in an EPUB
_TOLD = 20  # troubles of a book that are described; all are counted
_WASTED = 8  # times a document may be looked through in vain for the ends of tags
_LEAST_CHAPTER = 200  # characters: a line of a table of contents is no chapter
_LONGEST_HEADING = 400
_PART = "\ufdd0"  # stands alone on a line between two parts of a book while it is cleaned: no character of any text


class BookError(Exception):
    """The file is no book that can be read; the text says why. `cut` where there may be more of it than was read."""

    def __init__(self, message: str, cut: bool = False):
        super().__init__(message)
        self.cut = cut


class Chapter(NamedTuple):
    title: str  # empty for what stands before the first
    text: str


class Book(NamedTuple):
    title: str
    author: str
    chapters: list[Chapter]
    troubles: list[str]  # what of it could not be read

    @property
    def text(self) -> str:
        return "\n\n".join(chapter.text for chapter in self.chapters)


def find_books(given: Iterable[str]) -> list[Input]:
    """The books that the command names, each once, sorted by name: files, and folders searched for .txt and .epub.

    Raises:
      UsageError: something named is not there, or is no book.
    """
    sources = find_files(given, ENDINGS)
    for source in sources:
        if not source.name.lower().endswith(ENDINGS):
            raise UsageError(f"{source.path}: books are .txt or .epub files, or folders of them")
    return sources


def read_book(source: Input) -> Book:
    """The book in a file.

    Raises:
      BookError: it is no book, holds no text, or is protected.
      InputError: the file cannot be read.
    """
    with open_input(source) as file:
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
        book = _epub(data, name) if data.startswith(_ZIP) else _plain(data, name)
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
        with _archive(data) as archive:
            names = set(archive.namelist())
    except Exception:  # damaged; zipfile has many ways to say it
        return None
    return None if names & {"META-INF/container.xml", "mimetype"} else "a ZIP without the parts of an EPUB"


# Plain text


def decode(data: bytes) -> tuple[str, bool]:
    """The text of a file of unknown encoding, and whether each of its bytes could be read.

    What is valid UTF-8 is that, and what is so but for a few bytes; else a byte order mark decides, then what Gutenberg's
    header says, then the statistics of charset-normalizer, and Windows-1252 for what is left.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            text = data.decode(encoding, errors="replace")
            return text, "\ufffd" not in text
    text = _decoded(data, "utf-8")
    if text is None and (text := _nearly_utf8(data)) is not None:
        return text, False
    if text is not None and "\0" not in text:
        return text, True
    for encoding in _guesses(data):
        text = _decoded(data, encoding)
        if text is not None and "\0" not in text:
            return text, True
    text = data.decode("cp1252", errors="replace").replace("\0", "\ufffd")
    return text, False


def _nearly_utf8(data: bytes) -> str | None:
    """The text of a file in UTF-8 with a few bad bytes, which stand as U+FFFD; None where it is in another encoding.

    In one of single bytes hardly any two of them are a character of UTF-8 by chance.
    """
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", errors="ignore")) - bad
    return text if good >= 4 * bad and "\0" not in text else None


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text; None where the bytes are not in this encoding, or it is none that a book is in."""
    try:
        if codecs.lookup(encoding).name in _NO_ENCODINGS:
            return None
        text = data.decode(encoding)
    except (ValueError, LookupError):
        return None
    return None if _SURROGATES.search(text) else text


# Python's names for what is no encoding of books; punycode takes time with the square of the length.
_NO_ENCODINGS = frozenset(("punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"))
_SURROGATES = re.compile("[\ud800-\udfff]")


def _guesses(data: bytes) -> Iterator[str]:
    head = data[:20_000].decode("latin-1")
    declared = header_field(head, "Character set encoding") or ""
    if re.search(r"8859-1\b|latin-?1\b|1252|ascii", declared, re.IGNORECASE):
        yield "cp1252"
    elif declared:
        yield declared
    best = None
    if b"\0" not in data:
        best = _western(data)
    if best is None:
        # Where all else is plain ASCII, only the other lines tell.
        telling = data if b"\0" in data else b"\n".join(line for line in data.splitlines() if not line.isascii())
        found = charset_normalizer.from_bytes(telling[: 1 << 18]).best()
        best = found.encoding if found else None
    if best is not None:
        yield best
    yield "cp1252"


def _western(data: bytes) -> str | None:
    """Which of the encodings of western languages makes most of the odd bytes letters and marks that books in English
    have; None where there are too many such bytes for English."""
    sample = data[: 1 << 22]
    odd = sample.translate(None, bytes(range(128)))
    if len(odd) > len(sample) // 4:
        return None
    scores = {name: sum(char in _USUAL for char in odd.decode(name, errors="replace")) for name in _WESTERN}
    return max(scores, key=scores.get)


_WESTERN = ("cp1252", "mac_roman", "cp437", "cp850")  # the earlier wins where two do as well
_USUAL = frozenset(
    "\u00e0\u00e1\u00e2\u00e4\u00e5\u00e6\u00e7\u00e8\u00e9\u00ea\u00eb\u00ec\u00ed\u00ee\u00ef\u00f1\u00f2\u00f3\u00f4\u00f6\u00f8\u00f9\u00fa\u00fb\u00fc\u0153\u00df"
    "\u00c0\u00c2\u00c4\u00c6\u00c7\u00c8\u00c9\u00ca\u00d6\u00d8\u00dc\u0152\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00a3\u00b0\u00a7\u00a9\u00bd\u00bc\u00be\u2020\u2021\u00ab\u00bb"
)


def _plain(data: bytes, name: str) -> Book:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")) and data.count(b"\0") < len(data) // 8:
        raise BookError("it is not text")
    if len(data) > MAX_TEXT_BYTES:
        raise BookError(f"it is over {MAX_TEXT_BYTES >> 20} MiB of text")
    text, whole = decode(data)
    stripped = without_boilerplate(tidy(text))
    troubles = [] if whole else ["some bytes are in no known encoding; they stand as U+FFFD"]
    return Book(stripped.title or name, stripped.author or "", split_chapters(stripped.text), troubles)


def tidy(text: str) -> str:
    """`text` with line feeds only, without blanks at the ends of lines, and with one empty line where were more."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").lstrip("\ufeff")
    return even(text)


_NUMBER = r"(?:[IVXLC]+|\d{1,3}|[A-Z][a-z]+(?:-[a-z]+)?|[A-Z]+(?:-[A-Z]+)?)"
_HEADING = re.compile(
    rf"^[ \t]*(?:(?:CHAPTER|Chapter|BOOK|Book|PART|Part|LETTER|Letter|CANTO|Canto|STAVE|Stave|ACT|SCENE)\s+(?:THE\s+)?{_NUMBER}\b[^\n]{{0,80}}"
    r"|(?:PROLOGUE|EPILOGUE|PREFACE|INTRODUCTION|CONCLUSION|AFTERWORD|FOREWORD|Prologue|Epilogue|Preface|Introduction)\.?)[ \t]*$"
)


def split_chapters(text: str) -> list[Chapter]:
    """The chapters of a plain text: each from a line such as `CHAPTER IV` that stands apart to the next with text in between.

    Together they are the whole text.
    """
    bounds, titles = [0], [""]
    heading: _Heading | None = None  # the last that was met
    for found in itertools.chain(_headings(text), [None]):
        if heading is not None and heading.start:
            # Characters between this heading and the next, without the empty lines between paragraphs.
            stop, paragraph = (len(text), None) if found is None else (found.start - 2, found.paragraph)
            if (
                paragraph is None
                or stop - heading.stop - heading.goes_on - 2 * (paragraph - heading.paragraph - 1) >= _LEAST_CHAPTER
            ):
                bounds.append(heading.start)
                titles.append(heading.title)
        elif heading is not None:
            titles[0] = heading.title
        heading = found
    return [
        Chapter(title, text[start : stop - 2] if stop is not None else text[start:])
        for title, start, stop in zip(titles, bounds, [*bounds[1:], None])
    ]


class _Heading(NamedTuple):
    """A line that may begin a chapter."""

    start: int  # of the line in the text
    stop: int
    paragraph: int  # its number
    goes_on: bool  # its paragraph has more lines
    title: str


def _headings(text: str) -> Iterator[_Heading]:
    start = number = 0
    while start <= len(text):
        end = text.find("\n\n", start)
        end = len(text) if end < 0 else end
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if stop - start <= _LONGEST_HEADING and _HEADING.match(line := text[start:stop]):
            yield _Heading(start, stop, number, stop < end, line.strip())
        start, number = end + 2, number + 1


# EPUB


def _epub(data: bytes, name: str) -> Book:
    """An EPUB by its spine: the documents in reading order, each a chapter."""
    troubles = _Troubles()
    try:
        with _archive(data) as archive:
            package_path = _package_path(archive)
            package = _xml(archive, package_path)
            documents, left = [], MAX_TEXT_BYTES
            for path in _spine(package, package_path, troubles):
                try:
                    content = _read(archive, path, _MAX_DOCUMENT_BYTES)
                except BookError as error:
                    troubles.add(path, str(error))
                    continue
                left -= len(content)
                if left < 0:
                    raise BookError(f"its documents are over {MAX_TEXT_BYTES >> 20} MiB together")
                title, text, trouble = _document(content)
                documents.append((title, text))
                if trouble:
                    troubles.add(path, trouble)
            if _is_protected(archive):
                raise BookError("it is protected against reading (DRM)")
    except BookError:
        raise
    except Exception as error:  # zipfile has many ways to say it
        raise BookError(f"it is no whole EPUB ({error})", cut=True) from error
    if not documents:
        raise BookError("; ".join(troubles.lines()) or "its spine is empty")
    joined = f"\n\n{_PART}\n\n".join(text for _, text in documents)
    stripped = without_boilerplate(joined)
    # What was cut off at the start may have been whole documents.
    texts = stripped.text.split(_PART)
    titles = [title for title, _ in documents]
    offset = _lost_parts(joined, stripped.text)
    chapters = [
        Chapter(titles[offset + number] if offset + number < len(titles) else "", text.strip())
        for number, text in enumerate(texts)
    ]
    chapters = [chapter for chapter in chapters if chapter.text]
    found = {tag.rpartition("}")[2]: (element.text or "").strip() for tag, element in _metadata(package)}
    title, author = found.get("title") or stripped.title or name, found.get("creator") or stripped.author or ""
    return Book(title, author, chapters, troubles.lines())


class _Troubles:
    """What of a book could not be read: the first are described, the others counted."""

    def __init__(self):
        self._lines: list[str] = []
        self._more = 0

    def add(self, path: str, what: str):
        if len(self._lines) < _TOLD:
            self._lines.append(f"{path[:200]}: {what}")
        else:
            self._more += 1

    def lines(self) -> list[str]:
        return self._lines + ([f"and {self._more:,} more of its documents have troubles"] if self._more else [])


def _archive(data: bytes) -> zipfile.ZipFile:
    files = data.count(b"PK\x01\x02")
    if files > _MAX_FILES:
        raise BookError(f"it holds {files:,} files, more than any book")
    return zipfile.ZipFile(io.BytesIO(data))


def _lost_parts(joined: str, kept: str) -> int:
    """How many parts of `joined` end before `kept` begins."""
    return joined[: max(joined.find(kept[:2000]), 0)].count(_PART)


def _read(archive: zipfile.ZipFile, path: str, most: int) -> bytes:
    """A file of the archive, unpacked by and by: its size in the directory may be a lie."""
    try:
        information = archive.getinfo(path)
        if information.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BookError("it is packed in a way that no EPUB is")
        pieces, size = [], 0
        with archive.open(information) as file:
            while piece := file.read(1 << 18):
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise BookError(f"it is over {most >> 20} MiB long")
        return b"".join(pieces)
    except KeyError:
        raise BookError("it is not in the file") from None
    except BookError:
        raise
    except Exception as error:  # zipfile raises whatever its decompressors do
        raise BookError(f"it cannot be unpacked ({error})") from error


def _xml(archive: zipfile.ZipFile, path: str) -> ElementTree.Element:
    """A small XML file of the archive. Entities that grow without end are refused by expat itself."""
    try:
        return ElementTree.fromstring(_read(archive, path, _MAX_XML_BYTES))
    except ElementTree.ParseError as error:
        raise BookError(f"{path} is not well-formed XML ({error})") from error
    except (ValueError, LookupError) as error:
        raise BookError(f"{path} is in no known encoding ({error})") from error
    except BookError as error:
        raise BookError(f"it is no EPUB: {path}: {error}") from error


def _package_path(archive: zipfile.ZipFile) -> str:
    for element in _xml(archive, "META-INF/container.xml").iter():
        if element.tag.endswith("rootfile") and element.get("full-path"):
            return element.get("full-path")
    raise BookError("it is no EPUB: META-INF/container.xml names no package")


def _spine(package: ElementTree.Element, package_path: str, troubles: "_Troubles") -> Iterator[str]:
    """Paths of the documents in reading order, each once, without those outside of it and the navigation document."""
    items = {element.get("id"): element for element in package.iter() if element.tag.rpartition("}")[2] == "item"}
    references = [
        element.get("idref")
        for element in package.iter()
        if element.tag.rpartition("}")[2] == "itemref" and element.get("linear") != "no"
    ]
    paths = set()
    for reference in dict.fromkeys(references):
        item = items.get(reference)
        if item is None:
            troubles.add(str(reference), "the reading order names it, but not the list of files")
            continue
        if "nav" in (item.get("properties") or "").split():
            continue
        if not re.search(r"html|xml", item.get("media-type") or "html"):
            continue
        href = unquote((item.get("href") or "").partition("#")[0])
        path = posixpath.normpath(posixpath.join(posixpath.dirname(package_path), href))
        if path not in paths:
            paths.add(path)
            yield path


def _metadata(package: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    seen = set()
    for element in package.iter():
        if element.tag.startswith("{http://purl.org/dc/elements/") and element.tag not in seen:
            seen.add(element.tag)
            yield element.tag, element


def _is_protected(archive: zipfile.ZipFile) -> bool:
    try:
        encryption = _xml(archive, "META-INF/encryption.xml")
    except BookError:
        return False
    paths = [element.get("URI", "") for element in encryption.iter() if element.tag.endswith("CipherReference")]
    return any(path.lower().endswith(("html", "htm", "xml")) for path in paths)  # fonts alone do no harm


def _document(data: bytes) -> tuple[str, str, str | None]:
    """(title, text, what could not be read if anything) of one XHTML document."""
    declared = re.match(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)", data[:200])
    text = _decoded(data, declared.group(1).decode()) if declared else None
    text = decode(data)[0] if text is None else text
    parser, trouble = _Text(_WASTED * len(text)), None
    try:
        parser.feed(text)
        parser.close()
    except _Unclosed:
        trouble = "too many of its tags have no end; what follows them is left out"
    except Exception as error:  # html.parser raises AssertionError for some declarations, ValueError for some entities
        trouble = f"its markup cannot be read to the end ({str(error)[:100]})"
    return parser.heading(), parser.text(), trouble


class _Unclosed(Exception):
    """The document's end was looked for in vain too many times."""


_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "div", "dl", "dt", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
))  # fmt: skip
_PARAGRAPHS = frozenset(
    ("p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr", "pre", "table", "ul", "ol", "dl", "div", "section")
)
_SILENT = frozenset(("script", "style", "head", "svg", "math", "rt", "rp", "template", "audio", "video", "object"))


class _Text(HTMLParser):
    """Collects a document's text: blocks on lines of their own, paragraphs apart, everything else run together.

    Args:
      wasted: characters that may be looked through for the ends of tags that have none.
    """

    def __init__(self, wasted: int):
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._pre = 0
        self._gap = 0  # line feeds due before the next text
        self._heading: list[str] | None = None
        self._first_heading = ""
        self._left = wasted  # characters that may yet be looked through in vain

    def handle_starttag(self, tag, attributes):
        if tag in _SILENT:
            if tag not in self._silent:  # its first one decides how far its end tag reaches
                self._silent.append(tag)
        elif tag == "br":
            self._pieces.append("\n" * max(self._gap, 1))
            self._gap = 0
        elif tag in ("td", "th"):
            self._pieces.append(" ")
        elif tag in _BLOCKS:
            self._break(tag)
            self._pre += tag == "pre"
        if tag in ("h1", "h2", "h3") and not self._first_heading and self._heading is None:
            self._heading = []

    def handle_startendtag(self, tag, attributes):
        if tag not in _SILENT:  # <script/> and <title/> end where they begin
            self.handle_starttag(tag, attributes)
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in _SILENT:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
        elif tag in _BLOCKS:
            if tag == "pre":
                self._pre = max(self._pre - 1, 0)
            self._break(tag)
        if tag in ("h1", "h2", "h3") and self._heading is not None:
            self._first_heading, self._heading = " ".join("".join(self._heading).split()), None

    def handle_data(self, data):
        if self._silent:
            return
        if not self._pre:
            data = re.sub(r"[ \t\r\n\f]+", " ", data)
        if self._gap and data != " ":
            self._pieces.append("\n" * self._gap)
            self._gap = 0
        self._pieces.append(data)
        if self._heading is not None:
            self._heading.append(data)

    def _break(self, tag: str):
        self._gap = max(self._gap, 2 if tag in _PARAGRAPHS else 1)

    def heading(self) -> str:
        return self._first_heading

    def text(self) -> str:
        joined = "".join(self._pieces).replace(_PART, " ")
        lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip(" ") for line in joined.split("\n")]
        return tidy("\n".join(lines))

    def _bounded(parse: Callable[..., int]) -> Callable[..., int]:
        """One of html.parser's methods for a tag or declaration at a place. Where it has no end, the whole document is
        looked through, and again for the next one: that is done for so many characters only."""

        @functools.wraps(parse)
        def bounded(self, at: int, *more) -> int:
            end = parse(self, at, *more)
            if end < 0:
                self._left -= len(self.rawdata) - at
                if self._left < 0:
                    raise _Unclosed
            return end

        return bounded

    parse_starttag = _bounded(HTMLParser.parse_starttag)
    parse_endtag = _bounded(HTMLParser.parse_endtag)
    parse_pi = _bounded(HTMLParser.parse_pi)
    parse_html_declaration = _bounded(HTMLParser.parse_html_declaration)
    parse_comment = _bounded(HTMLParser.parse_comment)
    del _bounded
