"""Damaged books: those of the bundled sample, as plain text in some encoding and as EPUB."""

import bz2
import gzip
import io
import random
import re
import zipfile
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from damage import HTML, Kinds, Made, flip_bits, noise, span

from c4build.sample.resources import sample_books

ENDING = ".txt"
KINDS = Kinds()
MIB = 1 << 20


class Text(NamedTuple):
    """What must come of a book: its words, wherever the lines end."""

    words: str


def words(text: str) -> Text:
    return Text(" ".join(text.split()))


@cache
def texts() -> tuple[str, ...]:
    """The sample's books in plain text that no one has put a licence around."""
    found = [path.read_bytes() for path in sorted(sample_books().glob("*.txt"))]
    decoded = [data.decode() for data in found if _is_utf8(data)]
    return tuple(text.replace("\r\n", "\n") for text in decoded if "GUTENBERG" not in text.upper())


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


@cache
def epubs() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(sample_books().glob("*.epub")))


def a_text(choose: random.Random) -> str:
    """A book, with some letters and marks beyond ASCII."""
    text = choose.choice(texts())
    return text.replace(". ", ". “Très bien,” said the naïve señor – and left. ", 40)


# Plain text.


def _spoiled(what: str):
    def make(choose: random.Random) -> Made:
        text = a_text(choose)
        data = text.encode()
        left, right = span(choose, len(data))
        if what == "bits":
            data = flip_bits(data, choose)
        elif what == "cut":
            data = data[:left]
        elif what == "hole":
            data = data[:left] + data[right:]
        elif what == "zeros":
            data = data[:left] + bytes(right - left) + data[right:]
        else:
            data = data[:left] + choose.randbytes(right - left) + data[right:]
        return Made(data, [words(text)], [])

    return make


for _what, _name in {
    "bits": "bits turned over", "cut": "cut short", "hole": "bytes lost", "zeros": "bytes made zero", "noise": "bytes overwritten",
}.items():  # fmt: skip
    for _again in ("", " again", " once more"):
        KINDS.add(f"{_name}, text{_again}")(_spoiled(_what))


def _text(choose: random.Random, change: Callable[[random.Random, str], bytes]) -> Made:
    text = a_text(choose)
    return Made(change(choose, text), [words(text)], [])


def _amid(inserted: bytes):
    def change(choose: random.Random, text: str) -> bytes:
        data = text.encode()
        at = data.index(b" ", choose.randrange(len(data) // 2))
        return data[:at] + inserted + data[at:]

    return change


KINDS.add_each(
    {
        "encodings: UTF-8 with a mark": lambda choose, text: text.encode("utf-8-sig"),
        "encodings: UTF-16": lambda choose, text: text.encode("utf-16"),
        "encodings: UTF-16 without a mark": lambda choose, text: text.encode("utf-16-le"),
        "encodings: UTF-16 of an odd length": lambda choose, text: text.encode("utf-16") + b"x",
        "encodings: UTF-32": lambda choose, text: text.encode("utf-32"),
        "encodings: Windows-1252": lambda choose, text: text.encode("cp1252"),
        "encodings: a byte that is none": _amid(b"\xff"),
        "encodings: half a character": _amid("é".encode()[:1]),
        "encodings: too long forms": _amid(b"\xc0\xaf"),
        "encodings: surrogates": _amid(b"\xed\xa0\x80"),
        "encodings: zeros": _amid(b"\0\0\0"),
        "encodings: byte order marks": _amid("\ufeff".encode()),
        "encodings: controls": _amid(b"\x01\x08\x0b\x0c\x1b\x1c\x7f"),
        "encodings: what is no character": _amid("\ufdd0\ufffe\U0010ffff".encode()),
        "line ends: CR": lambda choose, text: text.replace("\n", "\r").encode(),
        "line ends: CRLF": lambda choose, text: text.replace("\n", "\r\n").encode(),
        "line ends: mixed": lambda choose, text: "".join(
            line + choose.choice(("\n", "\r\n", "\r")) for line in text.split("\n")
        ).encode(),
        "line ends: none": lambda choose, text: text.replace("\n", " ").encode(),
        "line ends: of Unicode": lambda choose, text: text.replace("\n", "\u2028").encode(),
    },
    _text,
)

# What Gutenberg's header says of the encoding is a name that Python is asked for.
KINDS.add_each(
    {
        f"headers: encoding {name.strip() or 'of nothing'}"[:60]: name
        for name in (
            "undefined", "punycode", "idna", "zlib", "hex", "rot13", "unicode_escape", "raw_unicode_escape", "utf-7", "utf-16",
            "mbcs", "x\0y", "../../etc/passwd", "U" * 10_000, "base64", "utf-8-sig", "ISO-2022-JP", "\u0665",
        )
    },
    lambda choose, name: (
        lambda text: Made(
            b"The Project Gutenberg EBook of Odd\r\n\r\nTitle: Odd\r\nCharacter set encoding: "
            + name.encode()
            + b"\r\n\r\n*** START OF THIS PROJECT GUTENBERG EBOOK ODD ***\r\n\r\n"
            + text.encode("cp1252"),
            [words(text)],
            [],
        )
    )(a_text(choose)),
)  # fmt: skip
KINDS.add_each(
    {
        "headers: a start without an end": "*** START OF THIS PROJECT GUTENBERG EBOOK ***\n\n{}",
        "headers: an end without a start": "{}\n*** END OF THIS PROJECT GUTENBERG EBOOK ***\nlicence",
        "headers: 3,000 starts": "*** START OF THIS PROJECT GUTENBERG EBOOK ***\n" * 3000 + "{}",
        "headers: a start that goes on": "*** START OF THIS PROJECT GUTENBERG EBOOK " + "x " * 50_000 + "\n{}",
        "headers: a field of 1 MiB": "The Project Gutenberg EBook\nTitle: " + "x " * (MIB // 2) + "\n\n{}",
        "headers: 20,000 fields": "The Project Gutenberg EBook\n" + "Title: x\n" * 20_000 + "\n{}",
    },
    lambda choose, frame: (lambda text: Made(frame.replace("{}", text).encode(), [words(text)], []))(a_text(choose)),
)

# Texts that are long and odd.
KINDS.add_each(
    {
        "bombs: 4 MiB of one word": lambda: "a" * (4 * MIB),
        "bombs: 4 MiB of empty lines": lambda: "a\n" + "\n" * (4 * MIB) + "b",
        "bombs: 4 MiB of blanks": lambda: "a" + " " * (4 * MIB) + "b",
        "bombs: 2 MiB of stars": lambda: "*" * (2 * MIB),
        "bombs: 2 MiB of marks on a line": lambda: "* _ " * (MIB // 2),
        "bombs: 40,000 headings": lambda: "CHAPTER I\n\n" * 40_000,
        "bombs: 20,000 chapters": lambda: "".join(f"CHAPTER {n}\n\n{'It was a day like any other day. ' * 7}\n\n" for n in range(20_000)),
        "bombs: a heading and 1 MiB of blanks": lambda: "CHAPTER " + " " * MIB + "\n\nIt was a day.",
        "bombs: the word of proof-readers and 1 MiB of blanks": lambda: (
            "*** START OF THIS PROJECT GUTENBERG EBOOK ***\n\n" + ("DISTRIBUTED" + " " * 1000) * 1000 + "\n\nIt was a day."
        ),
        "bombs: 1 MiB of thanks": lambda: "*** START OF THIS PROJECT GUTENBERG EBOOK ***\n\n" + "THANKS TO " * (MIB // 10) + "\n\nx",
        "bombs: 100,000 paragraphs of marks": lambda: "*** START OF THIS PROJECT GUTENBERG EBOOK ***\n\n" + "* * *\n\n" * 100_000 + "x",
        "bombs: START and 200,000 blanks": lambda: ("***" + " " * 200_000 + "START" + " " * 200_000 + "\n") * 3,
        "bombs: 3 MiB of odd bytes": lambda: "é\u00a0" * MIB,
    },
    lambda choose, make: Made(make().encode("latin-1") if choose.random() < 0.3 else make().encode(), [], []),
)  # fmt: skip


# EPUB.


class Epub(NamedTuple):
    """The parts of an EPUB by name, in their order."""

    parts: dict[str, bytes]

    def packed(self, method: int = zipfile.ZIP_DEFLATED) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, data in self.parts.items():
                archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, method)
        return file.getvalue()

    @property
    def package(self) -> str:
        return next(name for name in self.parts if name.endswith(".opf"))

    @property
    def documents(self) -> list[str]:
        return [name for name in self.parts if re.search(r"\.x?html?$", name) and "nav" not in name]

    def with_part(self, name: str, data: bytes | str) -> "Epub":
        return Epub({**self.parts, name: data.encode() if isinstance(data, str) else data})

    def without(self, name: str) -> "Epub":
        return Epub({key: data for key, data in self.parts.items() if key != name})

    def changed(self, name: str, old: bytes, new: bytes) -> "Epub":
        assert old in self.parts[name], (name, old)
        return self.with_part(name, self.parts[name].replace(old, new, 1))


def an_epub(choose: random.Random) -> Epub:
    with zipfile.ZipFile(io.BytesIO(choose.choice(epubs()))) as archive:
        return Epub({name: archive.read(name) for name in archive.namelist()})


def _epub_bytes(change: Callable[[random.Random, bytes], bytes]):
    def make(choose: random.Random) -> Made:
        data = an_epub(choose).packed(choose.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)))
        return Made(change(choose, data), [data], [], ".epub")

    return make


def _hole(choose: random.Random, data: bytes) -> bytes:
    left, right = span(choose, len(data))
    return data[:left] + data[right:]


def _over(fill: Callable[[random.Random, int], bytes]):
    def change(choose: random.Random, data: bytes) -> bytes:
        left, right = span(choose, len(data))
        return data[:left] + fill(choose, right - left) + data[right:]

    return change


for _name, _change in {
    "bits turned over": lambda choose, data: flip_bits(data, choose),
    "cut short": lambda choose, data: data[: choose.randrange(1, len(data))],
    "bytes lost": _hole,
    "bytes made zero": _over(lambda choose, size: bytes(size)),
    "bytes overwritten": _over(lambda choose, size: choose.randbytes(size)),
    "archives: noise first": lambda choose, data: noise(choose) + data,
    "archives: noise last": lambda choose, data: data + noise(choose),
    "archives: no directory": lambda choose, data: data[: data.rindex(b"PK\x01\x02") or None],
    "archives: another method": lambda choose, data: data.replace(b"PK\x01\x02\x14\x03\x14\0\0\0\x08\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x63\0"),
    "archives: said to be encrypted": lambda choose, data: re.sub(
        rb"(PK\x01\x02....)..", lambda match: match.group(1) + b"\x01\0", data, flags=re.DOTALL
    ),
    "archives: said to be of 4 GB": lambda choose, data: re.sub(
        rb"(PK\x01\x02.{20})....", lambda match: match.group(1) + b"\xfe\xff\xff\xff", data, flags=re.DOTALL
    ),
}.items():  # fmt: skip
    for _again in ("", " again") if ":" not in _name else ("",):
        KINDS.add(f"{_name}{', EPUB' * (':' not in _name)}{_again}")(_epub_bytes(_change))


def _epub(choose: random.Random, change: Callable[[random.Random, Epub], Epub]) -> Made:
    book = an_epub(choose)
    return Made(change(choose, book).packed(), [book.packed()], [], ".epub")


def _document(old: bytes, new: bytes):
    """Something put in place of the first `old` of some document."""
    return lambda choose, book: book.changed(choose.choice(book.documents), old, new)


def _package(old: str, new: str):
    return lambda choose, book: book.with_part(
        book.package, re.sub(old, lambda _: new, book.parts[book.package].decode(), count=1, flags=re.DOTALL)
    )


CONTAINER = "META-INF/container.xml"
KINDS.add_each(
    {
        "archives: no container": lambda choose, book: book.without(CONTAINER),
        "archives: an empty container": lambda choose, book: book.with_part(CONTAINER, b""),
        "archives: a container of another kind": lambda choose, book: book.with_part(CONTAINER, HTML),
        "archives: a container without a package": lambda choose, book: book.with_part(CONTAINER, "<container/>"),
        "archives: a package outside": lambda choose, book: book.with_part(
            CONTAINER, '<container><rootfile full-path="../../../etc/passwd"/></container>'
        ),
        "archives: a bomb of entities": lambda choose, book: book.with_part(
            CONTAINER,
            "<!DOCTYPE a [<!ENTITY a0 'aaaaaaaaaa'>"
            + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
            + "]><container><rootfile full-path='&a11;'/></container>",
        ),
        "archives: an entity from a file": lambda choose, book: book.with_part(
            CONTAINER, "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><container><rootfile full-path='&x;'/></container>"
        ),
        "archives: no package": lambda choose, book: book.without(book.package),
        "archives: half a package": lambda choose, book: book.with_part(book.package, book.parts[book.package][:300]),
        "archives: a package in UTF-16": lambda choose, book: book.with_part(
            book.package, re.sub(rb"^<\?xml[^>]*>", b"", book.parts[book.package]).decode().encode("utf-16")
        ),
        "archives: a chapter that is not there": lambda choose, book: book.without(choose.choice(book.documents)),
        "archives: an empty spine": _package("<itemref.*</spine>", "</spine>"),
        "archives: no spine": _package("<spine.*</spine>", ""),
        "archives: references to nothing": _package("</spine>", '<itemref idref="nowhere"/></spine>'),
        "archives: protected": lambda choose, book: book.with_part(
            "META-INF/encryption.xml",
            f'<encryption><CipherReference URI="{book.documents[0]}"/></encryption>',
        ),
        "archives: nothing in them": lambda choose, book: Epub({}),
        "documents: empty": lambda choose, book: book.with_part(choose.choice(book.documents), b""),
        "documents: noise": lambda choose, book: book.with_part(choose.choice(book.documents), noise(choose, 500)),
        "documents: 150,000 of <a": _document(b"</body>", b"<a " * 150_000 + b"</body>"),
        "documents: 150,000 of <!--": _document(b"</body>", b"<!-- " * 150_000 + b"</body>"),
        "documents: 150,000 of <![CDATA[": _document(b"</body>", b"<![CDATA[" * 150_000 + b"</body>"),
        "documents: 150,000 of <?": _document(b"</body>", b"<? " * 150_000 + b"</body>"),
        "documents: 150,000 of </": _document(b"</body>", b"</a " * 150_000 + b"</body>"),
        "documents: 150,000 of an open quote": _document(b"</body>", b'<a b="' * 150_000 + b"</body>"),
        "documents: 150,000 of &#": _document(b"</body>", b"&#" * 150_000 + b"</body>"),
        "documents: 100,000 deep": _document(b"</body>", b"<div>" * 100_000 + b"</body>"),
        "documents: 100,000 silent ones": _document(b"</body>", b"<object>" * 100_000 + b"</object>" * 100_000 + b"</body>"),
        "documents: a heading of 1 MiB": _document(b"</body>", b"<h1>" + b"x " * (MIB // 2) + b"</h1></body>"),
        "documents: odd references": _document(b"</body>", b"<p>&#xD800;&#0;&#99999999999;&bomb;&amp</p></body>"),
        "documents: an encoding that is none": lambda choose, book: (
            lambda name: book.with_part(name, b'<?xml version="1.0" encoding="undefined"?>' + book.parts[name].partition(b"?>")[2])
        )(choose.choice(book.documents)),
        "documents: zeros": _document(b"</body>", b"<p>\0\0\0</p></body>"),
        "documents: a byte that is none": _document(b"</body>", b"<p>caf\xe9 \xff</p></body>"),
    },
    _epub,
)  # fmt: skip


def _epub_of(documents: list[tuple[str, bytes]], references: list[str]) -> bytes:
    items = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name, _ in documents)
    spine = "".join(f'<itemref idref="{name}"/>' for name in references)
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{spine}</spine></package>'
    )
    container = '<container><rootfile full-path="a.opf"/></container>'
    return Epub({CONTAINER: container.encode(), "a.opf": package.encode(), **dict(documents)}).packed()


def _page(size: int) -> bytes:
    return b"<html><body><p>" + b"A day like any other day. " * (size // 26) + b"</p></body></html>"


KINDS.add_each(
    {
        "bombs: 20,000 references to a document": lambda: _epub_of([("a.html", _page(30_000))], ["a.html"] * 20_000),
        "bombs: 40 documents of 20 MiB": lambda: _epub_of(
            [(f"{n}.html", _page(20 * MIB)) for n in range(40)], [f"{n}.html" for n in range(40)]
        ),
        "bombs: a document of 300 MiB": lambda: _epub_of([("a.html", _page(300 * MIB))], ["a.html"]),
        "bombs: a document of 100 MiB of tags": lambda: _epub_of([("a.html", b"<p>" * (33 * MIB))], ["a.html"]),
        "bombs: 10,000 documents": lambda: _epub_of(
            [(f"{n}.html", _page(100)) for n in range(10_000)], [f"{n}.html" for n in range(10_000)]
        ),
        "bombs: 20,000 references to nothing": lambda: _epub_of(
            [("a.html", _page(3000))], [f"x{n}" for n in range(20_000)]
        ),
        "bombs: 5,000 documents that are not there": lambda: _epub_without_documents(5000),
    },
    lambda choose, make: Made(make(), [], [], ".epub"),
)


def _epub_without_documents(count: int) -> bytes:
    items = "".join(f'<item id="i{n}" href="{n}.html" media-type="application/xhtml+xml"/>' for n in range(count))
    spine = "".join(f'<itemref idref="i{n}"/>' for n in range(count))
    package = f"<package><manifest>{items}<item id='a' href='a.html'/></manifest><spine><itemref idref='a'/>{spine}</spine></package>"
    container = '<container><rootfile full-path="a.opf"/></container>'
    return Epub({CONTAINER: container.encode(), "a.opf": package.encode(), "a.html": _page(9000)}).packed()


KINDS.add_each(
    {
        "other files: empty": b"",
        "other files: blanks": b" \n\t\r\n" * 500,
        "other files: zeros": bytes(5000),
        "other files: noise": random.Random(2).randbytes(20_000),
        "other files: noise in an EPUB's name": b"PK\x03\x04" + random.Random(3).randbytes(20_000),
        "other files: an HTML page": HTML,
        "other files: gzip": gzip.compress(b"It was a day like any other day. " * 3000, mtime=0),
        "other files: bzip2": bz2.compress(b"It was a day like any other day. " * 3000),
        "other files: a picture": b"\x89PNG\r\n\x1a\n" + random.Random(4).randbytes(5000),
        "other files: a table of numbers": b"1,2,3\n" * 20_000,
    },
    lambda choose, data: Made(data, [], []),
)
