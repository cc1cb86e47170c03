"""Damaged dumps of MediaWiki: pages of the bundled sample, in many bzip2 streams, in one, or plain."""

import bz2
import random
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from damage import HTML, Kinds, Made, flip_bits, noise, span

from c4build.sample.resources import sample_dump

ENDING = ".xml.bz2"
LAYOUTS = ("streams", "one stream", "plain")
KINDS = Kinds()


class Page(NamedTuple):
    """What must come of a page of a dump."""

    id: str
    title: str
    namespace: int
    timestamp: str
    text: str


def _between(fragment: str, tag: str) -> str:
    found = re.search(f"<{tag}[^>]*>(.*?)</{tag}>", fragment, re.DOTALL)
    value = found.group(1) if found else ""
    for escaped, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        value = value.replace(escaped, char)
    return value


def page_of(fragment: str) -> Page:
    """A page of the sample, whose markup has no entities but these."""
    title, identifier, timestamp, text = (_between(fragment, tag) for tag in ("title", "id", "timestamp", "text"))
    return Page(identifier, title, int(_between(fragment, "ns")), timestamp, text)


@cache
def sample() -> tuple[str, tuple[str, ...], str]:
    """(the head, the pages, the tail) of the bundled dump."""
    text = bz2.decompress(sample_dump().read_bytes()).decode()
    pages = re.findall(r"  <page>.*?</page>\n", text, re.DOTALL)
    head, tail = text.partition("  <page>")[0], text.rpartition("</page>\n")[2]
    assert text == head + "".join(pages) + tail
    return head, tuple(pages), tail


def some(choose: random.Random) -> list[str]:
    return choose.sample(sample()[1], choose.randint(5, 9))


def lay_out(parts: list[bytes], layout: str) -> list[bytes]:
    if layout == "streams":
        return list(map(bz2.compress, parts))
    return [bz2.compress(b"".join(parts))] if layout == "one stream" else parts


def packed(pages: list[str], layout: str) -> list[bytes]:
    """A file in parts: the head, the pages, the tail; in one stream a single part."""
    head, _, tail = sample()
    return lay_out([part.encode("utf-8", "surrogateescape") for part in (head, *pages, tail)], layout)


def made(pages: list[str], data: bytes, hit, layout: str) -> Made:
    """The file, and the pages of all parts but those whose numbers are in `hit` (0: the head)."""
    before = list(map(page_of, pages))
    whole = [page for number, page in enumerate(before, 1) if number not in hit]
    return Made(data, before, whole, ".xml" if layout == "plain" else "")


def place(parts: list[bytes], number: int) -> int:
    return sum(map(len, parts[:number]))


# Bytes of the file.


def _spoil_bytes(what: str, layout: str):
    def make(choose: random.Random) -> Made:
        pages = some(choose)
        parts = packed(pages, layout)
        data = b"".join(parts)
        number = choose.randrange(len(parts))
        start, stop = place(parts, number), place(parts, number + 1)
        if what == "bits":
            data = flip_bits(data, choose, start, stop)
            hit = {number}
        elif what == "cut":
            number = choose.randrange(1, len(parts) - 1) if layout != "one stream" else 0
            start, stop = place(parts, number), place(parts, number + 1)
            data = data[: choose.randrange(start + 20, stop - 20)]
            hit = set(range(number, len(pages) + 1))
        else:
            left, right = span(choose, len(data))
            if what == "hole":
                data = data[:left] + data[right:]
            elif what == "zeros":
                data = data[:left] + bytes(right - left) + data[right:]
            elif what == "noise":
                data = data[:left] + choose.randbytes(right - left) + data[right:]
            else:
                data = data[:right] + data[left:]
            hit = {at for at in range(len(parts)) if place(parts, at) < right and left < place(parts, at + 1)}
        return made(pages, data, range(len(pages) + 1) if layout == "one stream" else hit, layout)

    return make


for _what, _name in {
    "bits": "bits turned over", "cut": "cut short", "hole": "bytes lost", "zeros": "bytes made zero",
    "noise": "bytes overwritten", "doubled": "bytes doubled",
}.items():  # fmt: skip
    for _layout in LAYOUTS:
        KINDS.add(f"{_name}, {_layout}")(_spoil_bytes(_what, _layout))


# Streams of bzip2.


def _with(at: Callable[[list[bytes]], int], inserted: Callable[[random.Random], bytes]):
    def change(choose: random.Random, parts: list[bytes]) -> list[bytes]:
        where = at(parts)
        return [*parts[:where], inserted(choose), *parts[where:]]

    return change


def _first(parts) -> int:
    return 0


def _middle(parts) -> int:
    return len(parts) // 2


KINDS.add_each(
    {
        "streams: an empty one first": _with(_first, lambda choose: bz2.compress(b"")),
        "streams: empty ones between": _with(_middle, lambda choose: bz2.compress(b"") * 3),
        "streams: noise first": _with(_first, noise),
        "streams: noise between": _with(_middle, noise),
        "streams: noise last": _with(len, noise),
        "streams: zeros last": _with(len, lambda choose: bytes(choose.randint(1, 9000))),
        "streams: an HTML page between": _with(_middle, lambda choose: HTML),
        "streams: marks without more between": _with(_middle, lambda choose: b"BZh91AY&SY" * choose.randint(1, 50)),
        "streams: no head": lambda choose, parts: parts[1:],
        "streams: no tail": lambda choose, parts: parts[:-1],
        "streams: in another order": lambda choose, parts: choose.sample(parts, len(parts)),
    },
    lambda choose, change: (
        lambda pages: made(pages, b"".join(change(choose, packed(pages, "streams"))), (), "streams")
    )(some(choose)),
)


@KINDS.add("streams: two dumps, one behind the other")
def _two_dumps(choose: random.Random) -> Made:
    pages = some(choose)
    return made(pages * 2, b"".join(packed(pages, "streams") * 2), (), "streams")


@KINDS.add("streams: a wrong checksum at the end")
def _wrong_checksum(choose: random.Random) -> Made:
    pages = some(choose)
    parts = packed(pages, "streams")
    number = choose.randrange(1, len(parts) - 1)
    parts[number] = parts[number][:-6] + choose.randbytes(6)
    return made(pages, b"".join(parts), {number}, "streams")


# Pages: one of them changed as text, in any of the layouts.


def _page(choose: random.Random, change: Callable[[random.Random, str], str | bytes], neighbours: int = 0) -> Made:
    """One page changed. `neighbours` pages before it cannot be told from it where its own start is lost."""
    pages, layout = some(choose), choose.choice(LAYOUTS)
    number = choose.randrange(1 + neighbours, len(pages) + 1)
    head, _, tail = sample()
    parts = [part.encode() for part in (head, *pages, tail)]
    changed = change(choose, pages[number - 1])
    parts[number] = changed if isinstance(changed, bytes) else changed.encode("utf-8", "surrogatepass")
    return made(pages, b"".join(lay_out(parts, layout)), {number, number - neighbours}, layout)


def _swap(old: str, new: str):
    return lambda choose, page: page.replace(old, new, 1)


def _field(tag: str, *values: str | None):
    """Another value of an element, or none of it."""

    def change(choose: random.Random, page: str) -> str:
        value = choose.choice(values)
        new = "" if value is None else f"<{tag}>{value}</{tag}>"
        return re.sub(f"<{tag}[^>]*>.*?</{tag}>", lambda _: new, page, count=1, flags=re.DOTALL)

    return change


def _text(value: str | Callable[[random.Random], str]):
    """Another wikitext, between two sentences."""

    def change(choose: random.Random, page: str) -> str:
        inner = value if isinstance(value, str) else value(choose)
        escaped = inner.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return _field("text", f"A sentence before it stands here.\n{escaped}\nA sentence behind it stands here.")(
            choose, page
        )

    return change


_DIGITS = "9" * 5000
KINDS.add_each(
    {
        "elements: no start of a page": _swap("<page>", ""),
        "elements: no end of a page": _swap("</page>", ""),
        "elements: a blank in a page's start": _swap("<page>", "<page >"),
        "elements: an attribute of a page": _swap("<page>", '<page xml:space="preserve">'),
        "elements: a page's start in capitals": _swap("<page>", "<PAGE>"),
        "elements: a page in a page": _swap("<revision>", "<page></page><revision>"),
        "elements: no number": _field("id", None, ""),
        "elements: a number of letters": _field("id", "twelve", "1.5", "0x10", "-7"),
        "elements: a number of 5,000 digits": _field("id", _DIGITS),
        "elements: a number in another script": _field("id", "١٢٣", "²"),
        "elements: no namespace": _field("ns", None),
        "elements: a namespace of letters": _field("ns", "", "main", "0.0", _DIGITS),
        "elements: no title": _field("title", None, ""),
        "elements: a title of 1 MiB": _field("title", "t" * (1 << 20)),
        "elements: no date": _field("timestamp", None, ""),
        "elements: an odd date": _field(
            "timestamp", "yesterday", "9" * 5000, "٢٠١٩-٠٤-١٨", "-1", "2019-99-99T99:99:99Z"
        ),
        "elements: no text": _field("text", None, ""),
        "elements: a text that was deleted": lambda choose, page: re.sub(
            "<text.*</text>", '<text deleted="deleted" />', page, flags=re.DOTALL
        ),
        "elements: no revision": lambda choose, page: re.sub("<revision>.*</revision>", "", page, flags=re.DOTALL),
        "elements: two revisions": lambda choose, page: page.replace(
            "</revision>", "</revision>" + re.search("<revision>.*</revision>", page, re.DOTALL).group(), 1
        ),
        "elements: an end that is not closed": _swap("</title>", "</titel>"),
        "elements: an attribute without quotes": _swap("<revision>", "<revision a=b>"),
        "elements: 50,000 deep": _swap("<revision>", "<a>" * 50_000 + "<revision>"),
        "elements: 50,000 attributes": lambda choose, page: page.replace(
            "<revision>", "<revision " + " ".join(f'a{n}="{n}"' for n in range(50_000)) + ">"
        ),
        "elements: a comment": _swap("<revision>", "<!-- <page> --><revision>"),
        "elements: a text in CDATA": lambda choose, page: re.sub(
            "(<text[^>]*>).*?</text>", r"\1<![CDATA[A text with <b> and </page> in it.]]></text>", page, flags=re.DOTALL
        ),
        "entities: unknown": _swap("</text>", " &nbsp;&bomb; </text>"),
        "entities: a zero": _swap("</text>", " &#0;&#x1F; </text>"),
        "entities: a surrogate": _swap("</text>", " &#xD800; </text>"),
        "entities: far beyond": _swap("</text>", " &#99999999999; </text>"),
        "entities: an ampersand alone": _swap("</text>", " a & b &lt </text>"),
        "entities: a bracket alone": _swap("</text>", " a < b </text>"),
        "entities: a bomb": lambda choose, page: (
            '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]>\n'
            + page.replace("</text>", "&b;&b;&b;</text>")
        ),
        "encodings: zeros": _swap("</text>", "\0\0</text>"),
        "encodings: control characters": _swap("</text>", "\x01\x08\x0b\x1f\x7f\x85</text>"),
        "encodings: a byte that is none": lambda choose, page: page.encode().replace(
            b"</text>", b"caf\xe9 \xff</text>"
        ),
        "encodings: surrogates": _swap("</text>", "\ud800\udc00</text>"),
        "encodings: what is no character": _swap("</text>", "\ufdd0\ufffe\U0010ffff</text>"),
        "encodings: Latin-1": lambda choose, page: page.replace("</text>", "é ü ß</text>").encode("latin-1", "replace"),
        "encodings: UTF-16": lambda choose, page: page.encode("utf-16"),
        "encodings: byte order marks": _swap("<revision>", "\ufeff<revision>"),
        "line ends: CRLF": lambda choose, page: page.replace("\n", "\r\n"),
        "line ends: CR": lambda choose, page: page.replace("\n", "\r"),
        "line ends: none": lambda choose, page: page.replace("\n", ""),
        "line ends: of Unicode": lambda choose, page: page.replace("\n", "\u2028"),
    },
    lambda choose, change: _page(choose, change),
)

_MARKUP = {
    "an open template and 3,000 blanks": "{{" + " " * 3000,
    "many open templates and blanks": ("{{" + " " * 300) * 30,
    "open references": "<ref " * 2000,
    "open references that end": "<ref>" * 3000,
    "references in references": "<ref>" * 500 + "x" + "</ref>" * 500,
    "open links to elsewhere": "[http://a " * 5000,
    "boxes that are not closed": "<div>" * 5000,
    "boxes in boxes": "<div>" * 300 + "x" + "</div>" * 300,
    "open templates": "{{" * 5000,
    "open templates with names": "{{a|" * 2000,
    "open parameters": "{{{" * 5000,
    "templates in templates": "{{a|" * 500 + "}}" * 500,
    "open links": "[[" * 5000,
    "open links with names": "[[a|" * 5000,
    "open files": "[[File:a.png|thumb|" * 2000,
    "links in links": "[[a|" * 500 + "]]" * 500,
    "open tables": "{|\n" * 3000,
    "tables in tables": "{|\n|\n" * 200 + "|}\n" * 200,
    "table cells": "{|\n" + "|| " * 20_000,
    "quotes": "''" * 10_000,
    "quotes by three and two": "'''a''b" * 5000,
    "open comments": "<!--" * 10_000,
    "entities": "&#x41;&amp;&zzz;&#" * 5000,
    "equal signs": "=" * 20_000,
    "headings": "== a ==\n" * 5000,
    "open headings": "==\n" * 5000,
    "bars": "|" * 20_000,
    "braces": "{" * 20_000 + "}" * 20_000,
    "brackets": "[" * 20_000 + "]" * 20_000,
    "mixed brackets": "{[" * 10_000,
    "list marks": ":;*#" * 5000,
    "addresses": "http://" * 5000,
    "addresses with ends": "http://a.b/c " * 5000,
    "tags without ends": "<b><i><u>" * 3000,
    "ends without tags": "</b></ref></div>" * 3000,
    "tags with open quotes": '<ref name="' * 1500,
    "literal text that is not closed": "<nowiki>" * 5000,
    "formulas that are not closed": "<math>{{[[" * 3000,
    "galleries that are not closed": "<gallery>\n" * 3000,
    "language marks": "-{" * 5000,
    "signatures": "~" * 20_000,
    "magic words": "__NOTOC__" * 5000,
    "lines of dashes": "----\n" * 5000,
    "redirects": "#REDIRECT [[" * 3000,
    "one word": "a" * 500_000,
    "empty lines": "\n" * 200_000,
    "blanks": " " * 200_000,
    "marks that hide brackets": "\ufdd0\ufdd1\ufdd2{{[[" * 3000,
}  # fmt: skip
KINDS.add_each(
    {f"markup: {name}": value for name, value in _MARKUP.items()}, lambda choose, value: _page(choose, _text(value))
)


# The head.


def _head(choose: random.Random, change: Callable[[str], str | bytes]) -> Made:
    pages = some(choose)
    head, _, tail = sample()
    layout = choose.choice(LAYOUTS)
    changed = change(head)
    parts = [
        changed if isinstance(changed, bytes) else changed.encode(),
        *(page.encode() for page in pages),
        tail.encode(),
    ]
    return made(pages, b"".join(lay_out(parts, layout)), (), layout)


KINDS.add_each(
    {
        "heads: none": lambda head: "",
        "heads: half of one": lambda head: head[: len(head) // 2],
        "heads: no address": lambda head: head.replace("<base>", "<bse>"),
        "heads: an odd address": lambda head: re.sub("<base>.*</base>", "<base>\u202e://[::1</base>", head),
        "heads: no name": lambda head: re.sub("<dbname>.*</dbname>\n", "", head),
        "heads: an odd name": lambda head: re.sub("<dbname>.*</dbname>", "<dbname>../../etc wiki\0</dbname>", head),
        "heads: a name of 10,000 letters": lambda head: re.sub(
            "<dbname>.*</dbname>", f"<dbname>{'x' * 10_000}</dbname>", head
        ),
        "heads: bytes that are no text": lambda head: head.encode().replace(b"samplewiki", b"sample\xff\xfewiki"),
        "heads: 5 MiB of blanks": lambda head: head + " " * (5 << 20),
        "heads: a bomb of entities": lambda head: '<!DOCTYPE a [<!ENTITY a "a"><!ENTITY b "&a;&a;&a;">]>' + head,
    },
    _head,
)


# Bombs, and files that are something else.

MIB = 1 << 20


def _bomb(choose: random.Random, middle: bytes) -> Made:
    """Streams of their own between those of two pages."""
    pages = some(choose)
    parts = packed(pages, "streams")
    at = choose.randrange(2, len(parts) - 1)
    return made(pages, b"".join([*parts[:at], middle, *parts[at:]]), (), "streams")


def _huge(block: str, size: int) -> bytes:
    page = sample()[1][0]
    start, end = re.match("(.*<text[^>]*>).*(</text>.*)", page, re.DOTALL).groups()
    return bz2.compress((start + block * (size // len(block)) + end).encode(), 1)


KINDS.add_each(
    {
        "bombs: a page of 80 MiB": lambda: _huge("word ", 80 * MIB),
        "bombs: a page of 3 MiB of markup": lambda: _huge("{{a|[[b]]}} ''c'' ", 3 * MIB),
        "bombs: a page of 20 MiB of empty lines": lambda: _huge("\n", 20 * MIB),
        "bombs: 100 MiB between pages": lambda: bz2.compress(b" " * (100 * MIB)),
        "bombs: 20,000 empty streams": lambda: bz2.compress(b"") * 20_000,
        "bombs: 50,000 marks of streams": lambda: b"BZh91AY&SY" * 50_000,
        "bombs: 50,000 starts of pages": lambda: bz2.compress(b"<page>\n" * 50_000),
        "bombs: 50,000 empty pages": lambda: bz2.compress(b"<page></page>\n" * 50_000),
        "bombs: 50,000 ends of pages": lambda: bz2.compress(b"</page>\n" * 50_000),
    },
    lambda choose, middle: _bomb(choose, middle()),
)

# No dump at all: told before any work.
FOREIGN = {
    "empty": b"",
    "an HTML page": HTML,
    "an HTML page in bzip2": bz2.compress(HTML),
    "zeros": bytes(5000),
    "noise": random.Random(1).randbytes(5000),
    "half a stream": bz2.compress(sample()[0].encode())[:100],
    "another kind of XML": b"<?xml version='1.0'?><rss><channel><title>News</title></channel></rss>",
}


def holds_a_dump(data: bytes) -> bool:
    """Whether anything of a dump can be got out of the file at all."""
    if b"<page>" in data or b"<mediawiki" in data:
        return True
    for start in re.finditer(b"BZh", data):
        inflate, got = bz2.BZ2Decompressor(), b""
        try:
            for at in range(start.start(), len(data), 1000):
                got += inflate.decompress(data[at : at + 1000])
        except (OSError, EOFError):
            pass
        if b"<page>" in got or b"<mediawiki" in got:
            return True
    return False
