"""Books as files: plain text in whatever encoding, EPUB in its reading order, and either as Project Gutenberg has them."""

import io
import os
import posixpath
import re
import zipfile
from html.parser import HTMLParser
from typing import Iterable, Iterator, NamedTuple, Optional
from urllib.parse import unquote
from xml.etree import ElementTree

import charset_normalizer

from c4build.errors import UsageError
from c4build.read.gutenberg import header_field, without_boilerplate
from c4build.read.paths import Input, InputError, find_files, open_input

ENDINGS = (".txt", ".epub")
MAX_BOOK_BYTES = 1 << 28
_LEAST_CHAPTER = 200  # characters: a line of a table of contents is no chapter
_PART = "\ufdd0"  # stands alone on a line between two parts of a book while it is cleaned: no character of any text


class BookError(Exception):
    """The file is no book that can be read; the text says why."""


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
      BookError: it cannot be read, holds no text, or is protected.
    """
    try:
        with open_input(source) as file:
            data = b""
            while block := file.read(1 << 20):
                data += block
                if len(data) > MAX_BOOK_BYTES:
                    raise BookError(f"it is over {MAX_BOOK_BYTES >> 20} MiB long")
    except InputError as error:
        raise BookError(str(error)) from error
    name = os.path.splitext(source.name)[0]
    book = _epub(data, name) if data[:4] == b"PK\x03\x04" else _plain(data, name)
    if not any(chapter.text for chapter in book.chapters):
        raise BookError("it holds no text")
    return book


# Plain text


def decode(data: bytes) -> tuple[str, bool]:
    """The text of a file of unknown encoding, and whether each of its bytes could be read.

    What is valid UTF-8 is that; else a byte order mark decides, then what Gutenberg's header says, then the statistics
    of charset-normalizer, and Windows-1252 for what is left.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            text = data.decode(encoding, errors="replace")
            return text, "\ufffd" not in text
    for encoding in ["utf-8", *_guesses(data)]:
        try:
            text = data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text:
            return text, True
    text = data.decode("cp1252", errors="replace").replace("\0", "\ufffd")
    return text, False


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


def _western(data: bytes) -> Optional[str]:
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
    text, whole = decode(data)
    stripped = without_boilerplate(tidy(text))
    troubles = [] if whole else ["some bytes are in no known encoding; they stand as U+FFFD"]
    return Book(stripped.title or name, stripped.author or "", split_chapters(stripped.text), troubles)


def tidy(text: str) -> str:
    """`text` with line feeds only, without blanks at the ends of lines, and with one empty line where were more."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").lstrip("\ufeff")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


_NUMBER = r"(?:[IVXLC]+|\d{1,3}|[A-Z][a-z]+(?:-[a-z]+)?|[A-Z]+(?:-[A-Z]+)?)"
_HEADING = re.compile(
    rf"^[ \t]*(?:(?:CHAPTER|Chapter|BOOK|Book|PART|Part|LETTER|Letter|CANTO|Canto|STAVE|Stave|ACT|SCENE)\s+(?:THE\s+)?{_NUMBER}\b[^\n]{{0,80}}"
    r"|(?:PROLOGUE|EPILOGUE|PREFACE|INTRODUCTION|CONCLUSION|AFTERWORD|FOREWORD|Prologue|Epilogue|Preface|Introduction)\.?)[ \t]*$"
)


def split_chapters(text: str) -> list[Chapter]:
    """The chapters of a plain text: each from a line such as `CHAPTER IV` that stands apart to the next with text in between.

    Together they are the whole text.
    """
    paragraphs = text.split("\n\n")
    starts = [number for number, paragraph in enumerate(paragraphs) if _HEADING.match(paragraph.partition("\n")[0])]
    bounds = [0]
    for start, following in zip(starts, [*starts[1:], len(paragraphs)]):
        length = sum(map(len, paragraphs[start + 1 : following])) + len(paragraphs[start].partition("\n")[2])
        if start and (length >= _LEAST_CHAPTER or following == len(paragraphs)):
            bounds.append(start)
    chapters = []
    for start, stop in zip(bounds, [*bounds[1:], len(paragraphs)]):
        first = paragraphs[start].partition("\n")[0].strip()
        title = first if start in starts else ""
        chapters.append(Chapter(title, "\n\n".join(paragraphs[start:stop])))
    return chapters


# EPUB


def _epub(data: bytes, name: str) -> Book:
    """An EPUB by its spine: the documents in reading order, each a chapter."""
    troubles: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            package_path = _package_path(archive)
            package = _xml(archive, package_path)
            documents = []
            for path in _spine(package, package_path):
                try:
                    documents.append(_document(_read(archive, path)))
                except BookError as error:
                    troubles.append(f"{path}: {error}")
            if _is_protected(archive):
                raise BookError("it is protected against reading (DRM)")
    except BookError:
        raise
    except Exception as error:  # zipfile has many ways to say it
        raise BookError(f"it is no whole EPUB ({error})") from error
    if not documents:
        raise BookError("; ".join(troubles) or "its spine is empty")
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
    return Book(title, author, chapters, troubles)


def _lost_parts(joined: str, kept: str) -> int:
    """How many parts of `joined` end before `kept` begins."""
    return joined[: max(joined.find(kept[:2000]), 0)].count(_PART)


def _read(archive: zipfile.ZipFile, path: str) -> bytes:
    try:
        information = archive.getinfo(path)
        if information.file_size > MAX_BOOK_BYTES:
            raise BookError(f"it is over {MAX_BOOK_BYTES >> 20} MiB long")
        return archive.read(information)
    except KeyError:
        raise BookError("it is not in the file") from None
    except Exception as error:  # zipfile raises whatever its decompressors do
        raise BookError(f"it cannot be unpacked ({error})") from error


def _xml(archive: zipfile.ZipFile, path: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(_read(archive, path))
    except ElementTree.ParseError as error:
        raise BookError(f"{path} is not well-formed XML ({error})") from error
    except BookError as error:
        raise BookError(f"it is no EPUB: {path}: {error}") from error


def _package_path(archive: zipfile.ZipFile) -> str:
    for element in _xml(archive, "META-INF/container.xml").iter():
        if element.tag.endswith("rootfile") and element.get("full-path"):
            return element.get("full-path")
    raise BookError("it is no EPUB: META-INF/container.xml names no package")


def _spine(package: ElementTree.Element, package_path: str) -> Iterator[str]:
    """Paths of the documents in reading order, without those outside of it and the navigation document."""
    items = {
        element.get("id"): element for element in package.iter() if element.tag.rpartition("}")[2] == "item"
    }
    for element in package.iter():
        if element.tag.rpartition("}")[2] != "itemref" or element.get("linear") == "no":
            continue
        item = items.get(element.get("idref"))
        if item is None or "nav" in (item.get("properties") or "").split():
            continue
        if not re.search(r"html|xml", item.get("media-type") or "html"):
            continue
        href = unquote((item.get("href") or "").partition("#")[0])
        yield posixpath.normpath(posixpath.join(posixpath.dirname(package_path), href))


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


def _document(data: bytes) -> tuple[str, str]:
    """(title, text) of one XHTML document."""
    declared = re.match(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)", data[:200])
    text = None
    if declared:
        try:
            text = data.decode(declared.group(1).decode())
        except (UnicodeDecodeError, LookupError):
            pass
    parser = _Text()
    parser.feed(decode(data)[0] if text is None else text)
    parser.close()
    return parser.heading(), parser.text()


_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "div", "dl", "dt", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
))  # fmt: skip
_PARAGRAPHS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr", "pre", "table", "ul", "ol", "dl", "div", "section"))
_SILENT = frozenset(("script", "style", "head", "svg", "math", "rt", "rp", "template", "audio", "video", "object"))


class _Text(HTMLParser):
    """Collects a document's text: blocks on lines of their own, paragraphs apart, everything else run together."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._pre = 0
        self._gap = 0  # line feeds due before the next text
        self._heading: Optional[list[str]] = None
        self._first_heading = ""

    def handle_starttag(self, tag, attributes):
        if tag in _SILENT:
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
