"""EPUB: an archive of documents in XHTML, and lists of them that say in which order they are read."""

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

from c4build.read.chapters import MAX_TEXT_BYTES, Book, BookError, Chapter
from c4build.read.gutenberg import without_boilerplate
from c4build.read.xhtml import PART, read_document

_MAX_DOCUMENT_BYTES = 1 << 24  # of one document
_MAX_XML_BYTES = 1 << 23  # of the lists of its documents
_MAX_FILES = 20_000  # in an archive
_TOLD = 20  # troubles of a book that are described; all are counted


def epub_book(data: bytes, name: str) -> Book:
    """An EPUB by its spine: the documents in reading order, each a chapter."""
    troubles = _Troubles()
    try:
        with open_archive(data) as archive:
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
                title, text, trouble = read_document(content)
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
    joined = f"\n\n{PART}\n\n".join(text for _, text in documents)
    stripped = without_boilerplate(joined)
    # What was cut off at the start may have been whole documents.
    texts = stripped.text.split(PART)
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


def open_archive(data: bytes) -> zipfile.ZipFile:
    files = data.count(b"PK\x01\x02")
    if files > _MAX_FILES:
        raise BookError(f"it holds {files:,} files, more than any book")
    return zipfile.ZipFile(io.BytesIO(data))


def _lost_parts(joined: str, kept: str) -> int:
    """How many parts of `joined` end before `kept` begins."""
    return joined[: max(joined.find(kept[:2000]), 0)].count(PART)


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
        if element.tag.endswith("rootfile") and (path := element.get("full-path")):
            return path
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
