"""Damaged WET files: pages of the bundled sample, laid out as Common Crawl does, in one gzip member, or plain."""

import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import zstandard
from damage import DATES, HTML, URLS, Kinds, Made, flip_bits, noise, span

from c4build.sample.resources import sample_folder

ENDING = ".warc.wet.gz"
LAYOUTS = ("members", "one member", "plain")
_PREFIXES = ("WARC", "CONTENT-", "Content-")
_END = b"\r\n\r\n"
KINDS = Kinds()


class Page(NamedTuple):
    """What must come of a record, in whatever way it is read."""

    url: str
    date: str
    text: str


def lines(body: bytes) -> str:
    """The text of a body as pages have it: lines stripped, none empty, none that TFDS takes for metadata."""
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(
        line.strip() for line in text.split("\n") if line.strip() and not line.strip().startswith(_PREFIXES)
    )


class Record(NamedTuple):
    fields: tuple[tuple[str, str], ...]
    body: bytes
    version: str = "WARC/1.0"
    tail: bytes = _END

    def field(self, name: str) -> str:
        return dict(self.fields).get(name, "")

    def replace(self, name: str, value: str | None) -> "Record":
        """With another value of a field; without it where that is None."""
        return self._replace(
            fields=tuple(
                (key, value if key == name else old) for key, old in self.fields if key != name or value is not None
            )
        )

    def with_body(self, body: bytes) -> "Record":
        return self._replace(body=body).replace("Content-Length", str(len(body)))

    @property
    def page(self) -> Page:
        return Page(self.field("WARC-Target-URI"), self.field("WARC-Date"), lines(self.body))

    def packed(self, end: str = "\r\n") -> bytes:
        head = end.join([self.version, *(f"{name}: {value}" for name, value in self.fields)]) + end + end
        return head.encode("utf-8", "surrogateescape") + self.body + self.tail


def members_of(data: bytes) -> list[bytes]:
    """What each gzip member of a file holds."""
    found = []
    while data:
        inflate = zlib.decompressobj(31)
        found.append(inflate.decompress(data))
        data = inflate.unused_data
    return found


@cache
def sample() -> tuple[Record, ...]:
    """The records of the bundled sample: the opening one, then those that are a page of text."""
    found = []
    for data in members_of((sample_folder() / "sample.warc.wet.gz").read_bytes()):
        head, _, rest = data.partition(_END)
        fields = tuple(tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")[1:])
        record = Record(fields, rest[: int(dict(fields)["Content-Length"])])
        # Lines that start as metadata does are text by the one reader and metadata by the other.
        if not found or (
            400 < len(record.body) < 6000 and not any(line.startswith(_PREFIXES) for line in lines(record.body))
        ):
            found.append(record)
    return tuple(found)


def some(choose: random.Random, least: int = 6, most: int = 10) -> list[Record]:
    """An opening record and a few pages of different addresses."""
    info, *pages = sample()
    chosen: dict[str, Record] = {}
    wanted = choose.randint(least, most)
    while len(chosen) < wanted:
        record = choose.choice(pages)
        chosen.setdefault(record.field("WARC-Target-URI"), record)
    return [info, *chosen.values()]


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def lay_out(parts: list[bytes], layout: str) -> list[bytes]:
    """The parts of a file, one a record; in one member, a file of one part."""
    if layout == "members":
        return [gz(part) for part in parts]
    return [gz(b"".join(parts))] if layout == "one member" else parts


def made(records: list[Record], data: bytes, hit) -> Made:
    """The file, and the pages of all records but those whose numbers are in `hit`."""
    pages = [record.page for record in records[1:]]
    return Made(data, pages, [page for number, page in enumerate(pages, 1) if number not in hit])


def place(parts: list[bytes], number: int) -> int:
    return sum(map(len, parts[:number]))


# Bytes of the file: wherever they fall.


def _spoil_bytes(what: str, layout: str):
    def make(choose: random.Random) -> Made:
        records = some(choose)
        parts = lay_out([record.packed() for record in records], layout)
        number = choose.randrange(len(parts))
        start, stop = place(parts, number), place(parts, number + 1)
        data = b"".join(parts)
        everything = range(len(records))
        if what == "bits":
            data = flip_bits(data, choose, start, stop)
            hit = {number}
        elif what == "cut":
            # Within a body, behind which more was to follow.
            number = choose.randrange(1, len(parts)) if layout != "one member" else 0
            start, stop = place(parts, number), place(parts, number + 1)
            inner = parts[number].find(_END) + 5 if layout == "plain" else 1
            data = data[: choose.randrange(start + inner, stop - 8)]
            hit = set(range(number, len(records)))
        else:
            left, right = span(choose, len(data))
            if what == "hole":
                data = data[:left] + data[right:]
            elif what == "zeros":
                data = data[:left] + bytes(right - left) + data[right:]
            elif what == "noise":
                data = data[:left] + choose.randbytes(right - left) + data[right:]
            elif what == "doubled":
                data = data[:right] + data[left:]
            hit = {at for at in range(len(parts)) if place(parts, at) < right and left < place(parts, at + 1)}
        if layout == "one member":
            hit = everything
        elif layout == "plain":
            # Where no record starts behind a page, nobody can say which of the two it is that is wrong.
            hit = hit | {at - 1 for at in hit}
        return made(records, data, hit)

    return make


for _what, _name in {
    "bits": "bits turned over", "cut": "cut short", "hole": "bytes lost", "zeros": "bytes made zero",
    "noise": "bytes overwritten", "doubled": "bytes doubled",
}.items():  # fmt: skip
    for _layout in LAYOUTS:
        KINDS.add(f"{_name}, {_layout}")(_spoil_bytes(_what, _layout))


# Gzip members.


def _members(change: Callable[[random.Random, list[bytes], int], tuple[list[bytes], bool]]):
    """`change` gets the members and the number of one; returns the file's parts, and whether that one was hit."""

    def make(choose: random.Random) -> Made:
        records = some(choose)
        number = choose.randrange(1, len(records))
        parts, hit = change(choose, lay_out([record.packed() for record in records], "members"), number)
        # TFDS's cut joins what has no delimiter at its start to the page before.
        return made(records, b"".join(parts), {number, number - 1} if hit else ())

    return make


def _with(at: int, *inserted: bytes):
    """Puts members in front of the one that `at` says (0: the first of all)."""
    return lambda choose, parts, number: ([*parts[: number * at], *inserted, *parts[number * at :]], False)


def _one(by: Callable[[random.Random, bytes], bytes], hit: bool = True):
    return lambda choose, parts, number: ([*parts[:number], by(choose, parts[number]), *parts[number + 1 :]], hit)


def _with_flags(choose: random.Random, member: bytes) -> bytes:
    """The optional fields of a gzip header, all that there are."""
    head = bytearray(member[:10])
    head[3] = 2 | 4 | 8 | 16
    extra, name, comment = noise(choose, 0, 200), b"a name\0", b"\xe9 comment\0"
    fields = bytes(head) + struct.pack("<H", len(extra)) + extra + name + comment
    return fields + struct.pack("<H", zlib.crc32(fields) & 0xFFFF) + member[10:]


def _in_two(choose: random.Random, member: bytes) -> bytes:
    data = gzip.decompress(member)
    cut = choose.randrange(1, len(data))
    return gz(data[:cut]) + gz(data[cut:])


def _poke(at: int, value: int) -> Callable:
    return _one(lambda choose, member: member[:at] + bytes([value]) + member[at + 1 :])


KINDS.add_each(
    {
        "members: an empty one first": _with(0, gz(b"")),
        "members: empty ones between": _with(1, *[gz(b"")] * 3),
        "members: noise between": lambda choose, parts, number: (
            [*parts[:number], noise(choose), *parts[number:]],
            False,
        ),
        "members: noise first": lambda choose, parts, number: ([noise(choose), *parts], False),
        "members: noise last": lambda choose, parts, number: ([*parts, noise(choose)], False),
        "members: zeros last": lambda choose, parts, number: ([*parts, bytes(choose.randint(1, 9000))], False),
        "members: an HTML page between": _with(1, HTML),
        "members: a plain record in place of one": _one(lambda choose, member: gzip.decompress(member)),
        "members: one record in two": _one(_in_two, hit=False),
        "members: all optional fields": _one(_with_flags, hit=False),
        "members: a flag that is not defined": _poke(3, 0xE0),
        "members: another method": _poke(2, 7),
        "members: a wrong checksum": _one(lambda choose, member: member[:-8] + choose.randbytes(4) + member[-4:]),
        "members: a wrong size": _one(lambda choose, member: member[:-4] + choose.randbytes(4)),
        "members: no checksum": _one(lambda choose, member: member[:-8]),
        "members: one twice": _one(lambda choose, member: member * 2, hit=False),
        "members: packed twice": _one(lambda choose, member: gz(member + b"\r\n")),
        "members: in another order": lambda choose, parts, number: (choose.sample(parts, len(parts)), False),
        "members: in pairs": lambda choose, parts, number: (
            [gz(b"".join(map(gzip.decompress, parts[at : at + 2]))) for at in range(0, len(parts), 2)],
            False,
        ),
    },
    lambda choose, change: _members(change)(choose),
)


# Records: heads, lengths, line ends, texts. In any of the layouts.


def _record(
    choose: random.Random,
    change: Callable,
    with_the_one_before: bool = False,
    every: float = 0.0,
    with_the_next: bool = False,
) -> Made:
    """One record changed to a `Record` or to bytes, or (with the probability `every`) all of them."""
    records = some(choose)
    numbers = set(range(1, len(records))) if choose.random() < every else {choose.randrange(1, len(records))}
    parts = [record.packed() for record in records]
    for number in numbers:
        changed = change(choose, records[number])
        parts[number] = changed if isinstance(changed, bytes) else changed.packed()
    hit = numbers | {number - 1 for number in numbers if with_the_one_before}
    hit |= {number + 1 for number in numbers if with_the_next}
    return made(records, b"".join(lay_out(parts, choose.choice(LAYOUTS))), hit)


def _set(name: str, *values: str | None):
    return lambda choose, record: record.replace(name, choose.choice(values))


def _bytes(by: Callable[[random.Random, bytes], bytes]):
    return lambda choose, record: by(choose, record.packed())


def _twice(choose: random.Random, record: Record) -> Record:
    name, value = choose.choice(record.fields)
    return record._replace(fields=(*record.fields, (name, choose.choice((value, value[::-1], "", "1")))))


def _more_fields(*fields: tuple[str, str]):
    return lambda choose, record: record._replace(fields=(*record.fields, *fields))


def _names(by: Callable[[str], str]):
    return lambda choose, record: record._replace(fields=tuple((by(name), value) for name, value in record.fields))


KINDS.add_each(
    {
        "heads: no type": _set("WARC-Type", None),
        "heads: another type": _set("WARC-Type", "Conversion ", "", "x"),
        "heads: no address": _set("WARC-Target-URI", None, ""),
        "heads: no date": _set("WARC-Date", None, ""),
        "heads: no content type": _set("Content-Type", None, ""),
        "heads: a field twice": _twice,
        "heads: names in lower case": _names(str.lower),
        "heads: names in upper case": _names(str.upper),
        "heads: blanks around names": _names(lambda name: f" {name}\t"),
        "heads: a folded line": _more_fields(("X-Folded", "one\r\n two\r\n\tthree")),
        "heads: a line without a colon": _bytes(
            lambda choose, data: data.replace(b"\r\n", b"\r\nno colon here\r\n", 1)
        ),
        "heads: a line of 1 MiB": _more_fields(("WARC-X", "x" * (1 << 20))),
        "heads: 20,000 lines": _more_fields(*[("WARC-X", "x")] * 20_000),
        "heads: zeros and controls": _more_fields(("X-Odd", "\0\x01\x0b\x0c\x1c\x85\u2028")),
        "heads: bytes that are no text": _more_fields(("X-Odd", "\udcff\udcfe\udc80")),
        "heads: no end": _bytes(lambda choose, data: data.replace(_END, b"\r\n", 1)),
        "heads: nothing but a version": _bytes(lambda choose, data: b"WARC/1.0\r\n\r\n\r\n\r\n"),
    },
    _record,
)


@KINDS.add("heads: a type of another file")
def _of_another_file(choose: random.Random) -> Made:
    """A file is read up to the first record that no WET file has."""
    records = some(choose)
    number = choose.randrange(1, len(records))
    records[number] = _set("WARC-Type", "response", "request", "metadata", "resource", "revisit", "continuation")(
        choose, records[number]
    )
    parts = [record.packed() for record in records]
    return made(
        records, b"".join(lay_out(parts, choose.choice(LAYOUTS))), range(number if number > 1 else 0, len(records))
    )


KINDS.add_each(
    {
        "versions: WARC/1.1": "WARC/1.1",
        "versions: WARC/0.18": "WARC/0.18",
        "versions: WARC/2.0": "WARC/2.0",
        "versions: in lower case": "warc/1.0",
        "versions: blanks around it": " WARC/1.0 \t",
        "versions: a byte order mark before it": "\ufeffWARC/1.0",
        "versions: a line of something else": "HTTP/1.1 200 OK",
        "versions: half of one": "WARC/",
    },
    lambda choose, version: _record(choose, lambda _, record: record._replace(version=version), True, every=0.5),
)
KINDS.add("tails: none")(
    # TFDS's cut joins the page behind it to this one.
    lambda choose: _record(choose, lambda _, record: record._replace(tail=b""), every=0.5, with_the_next=True)
)
KINDS.add_each(
    {"tails: one line end": b"\r\n", "tails: line feeds": b"\n\n", "tails: fifty line ends": b"\r\n" * 50,
     "tails: blanks": b"\r\n  \r\n"},
    lambda choose, tail: _record(choose, lambda _, record: record._replace(tail=tail), True, every=0.5),
)  # fmt: skip

# What TFDS does not look at may be anything.
_LENGTHS = {
    "too large": lambda choose, size: size + choose.randint(5, 3000),
    "too small": lambda choose, size: size - choose.randint(1, size - 1),
    "one more": lambda choose, size: size + 1,
    "one less": lambda choose, size: size - 1,
    "0": lambda choose, size: 0,
    "negative": lambda choose, size: -size,
    "10^9": lambda choose, size: 10**9,
    "10^30": lambda choose, size: 10**30,
    "5,000 digits": lambda choose, size: "9" * 5000,
    "5,000 zeros before it": lambda choose, size: "0" * 5000 + str(size),
    "words": lambda choose, size: choose.choice(
        ("many", "", "None", "0x45b", f"{size}.0", f"+{size}", f"{size} bytes", "1e3")
    ),
    "digits of another script": lambda choose, size: choose.choice(("١٢٣", "１２３", "²³")),
}
KINDS.add_each(
    {f"lengths: {name}": length for name, length in _LENGTHS.items()},
    lambda choose, length: _record(
        choose, lambda _, record: record.replace("Content-Length", str(length(choose, len(record.body))))
    ),
)
KINDS.add("lengths: none")(lambda choose: _record(choose, _set("Content-Length", None)))


def _ends(end: str, all_of_it: bool = False):
    def change(choose: random.Random, record: Record):
        data = record.packed(end)
        return data.replace(b"\r\n", end.encode()) if all_of_it else data

    return change


def _mixed_ends(choose: random.Random, record: Record) -> bytes:
    head, _, rest = record.packed().partition(_END)
    return b"".join(line + choose.choice((b"\n", b"\r", b"\r\n")) for line in head.split(b"\r\n")) + b"\r\n" + rest


def _body_ends(end: str):
    return lambda choose, record: record.with_body(record.body.replace(b"\n", end.encode()))


for _end, _name in {"\n": "line feeds", "\r": "carriage returns"}.items():
    for _all in (False, True):
        KINDS.add(f"line ends: {_name} {'everywhere' if _all else 'in heads'}")(
            lambda choose, change=_ends(_end, _all): _record(choose, change, True, every=0.5)
        )
KINDS.add_each(
    {
        "line ends: mixed in a head": _mixed_ends,
        "line ends: a text's are CRLF": _body_ends("\r\n"),
        "line ends: a text's are CR": _body_ends("\r"),
        "line ends: a text's are of Unicode": _body_ends("\u2028\u2029\x85\x0b\x0c\x1c"),
        "line ends: a text has none": _body_ends(" "),
    },
    _record,
)


def _text(by: Callable[[str, random.Random], bytes]):
    return lambda choose, record: record.with_body(by(record.body.decode(), choose))


def _amid(inserted: bytes):
    return _text(lambda text, choose: text.encode().replace(b" ", b" " + inserted + b" ", choose.randint(1, 20)))


_ACCENTED = "Café naïve übergroß, señor – “déjà vu”. "
KINDS.add_each(
    {
        "encodings: Latin-1": _text(lambda text, _: (_ACCENTED[:20] * 5 + text).encode("cp1252", "replace")),
        "encodings: UTF-16": _text(lambda text, _: (_ACCENTED + text).encode("utf-16")),
        "encodings: Shift JIS": _text(lambda text, _: ("日本語の文章です。" * 9 + text).encode("shift-jis", "replace")),
        "encodings: UTF-7": _text(lambda text, _: (_ACCENTED + text).encode("utf-7")),
        "encodings: a byte that is none": _amid(b"\xff"),
        "encodings: too long forms": _amid(b"\xc0\xaf\xe0\x80\xaf"),
        "encodings: surrogates": _amid(b"\xed\xa0\x80\xed\xb0\x80"),
        "encodings: half a character": _text(lambda text, _: text.encode() + "é".encode()[:1]),
        "encodings: zeros": _amid(b"\0"),
        "encodings: byte order marks": _amid("\ufeff".encode()),
        "encodings: what is no character": _amid("\ufdd0\ufffe\U0010ffff\ufffd".encode()),
        "encodings: right to left": _amid("\u202e\u2066\u200f\u05d0".encode()),
        "encodings: a thousand marks on a letter": _amid(("e" + "\u0301" * 1000).encode()),
        "texts: the delimiter amid them": _text(lambda text, _: text.replace("\n", "\nWARC/1.0\n", 1).encode()),
        "texts: a whole record amid them": _text(lambda text, choose: text.encode() + b"\r\n\r\n" + some(choose)[1].packed()),
        "texts: lines like a head's": _text(lambda text, _: text.replace("\n", "\nContent-Length: 5\n", 2).encode()),
        "texts: one word": _text(lambda text, choose: choose.choice("aé漢{.0'") .encode() * 180_000),
        "texts: marks alone": _text(lambda text, choose: (choose.choice((". ", "? ", "' ", "e.g. ", "1. ", "...\n")) * 60_000).encode()),
        "texts: one line again and again": _text(lambda text, _: ("The very same words in the very same order.\n" * 4000).encode()),
    },
    _record,
)  # fmt: skip
KINDS.add_each(
    {f"dates: {name}": value for name, value in DATES.items()},
    lambda choose, value: _record(choose, _set("WARC-Date", value)),
)
KINDS.add_each(
    {f"addresses: {name}": value for name, value in URLS.items()},
    lambda choose, value: _record(choose, _set("WARC-Target-URI", value)),
)


# Files that are something else.


def _as_warc(kind: str, body: Callable[[Record], bytes], content: str):
    def change(choose: random.Random, records: list[Record]) -> bytes:
        changed = [
            record.replace("WARC-Type", kind).replace("Content-Type", content).with_body(body(record))
            for record in records[1:]
        ]
        return b"".join(lay_out([record.packed() for record in (records[0], *changed)], "members"))

    return change


def _zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.warc.wet", data)
    return file.getvalue()


def _packed(by: Callable[[bytes], bytes]):
    return lambda choose, records: by(b"".join(record.packed() for record in records))


KINDS.add_each(
    {
        "other files: WARC": _as_warc(
            "response", lambda record: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body>" + record.body, "application/http"
        ),
        "other files: WAT": _as_warc("metadata", lambda record: b'{"Container":{"Filename":"a.warc.gz"}}', "application/json"),
        "other files: empty": lambda choose, records: b"",
        "other files: an empty member": lambda choose, records: gz(b""),
        "other files: zeros": lambda choose, records: bytes(5000),
        "other files: noise": lambda choose, records: noise(choose, 2000, 20_000),
        "other files: an HTML page": lambda choose, records: HTML,
        "other files: an HTML page in gzip": lambda choose, records: gz(HTML),
        "other files: UTF-16": lambda choose, records: b"".join(r.packed() for r in records).decode().encode("utf-16"),
        "other files: gzip in gzip": lambda choose, records: gz(b"".join(gz(record.packed()) for record in records)),
        "other files: bzip2": _packed(bz2.compress),
        "other files: xz": _packed(lzma.compress),
        "other files: zstd": _packed(zstandard.ZstdCompressor().compress),
        "other files: zip": _packed(_zip),
    },
    lambda choose, by: (lambda records: made(records, by(choose, records), range(len(records))))(some(choose)),
)  # fmt: skip


@KINDS.add("other files: nothing but the opening record")
def _only_the_opening(choose: random.Random) -> Made:
    return Made(gz(sample()[0].packed()), [], [])


# Bombs: little that becomes much. Whole pages stand before and behind.

MIB = 1 << 20


def _bomb(choose: random.Random, middle: Callable[[random.Random], bytes]) -> Made:
    """`middle` is put between two members, as bytes of the file; to the page before TFDS's cut may join it."""
    records = some(choose)
    parts = lay_out([record.packed() for record in records], "members")
    at = choose.randrange(2, len(parts))
    return made(records, b"".join([*parts[:at], middle(choose), *parts[at:]]), {at - 1})


def _huge(block: bytes, size: int, head: bytes | None = None) -> bytes:
    """A member of a record whose text is so many bytes of a block."""
    count = size // len(block)
    page = (
        sample()[1]
        .replace("WARC-Target-URI", "http://bomb.example.org/")
        .replace("Content-Length", str(count * len(block)))
    )
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as member:
        member.write(page._replace(body=b"", tail=b"").packed() if head is None else head)
        many = block * max(1, MIB // len(block))
        for _ in range(count * len(block) // len(many)):
            member.write(many)
        member.write(block * (count * len(block) % len(many) // len(block)) + _END)
    return file.getvalue()


KINDS.add_each(
    {
        "bombs: 64 MiB of one line": lambda choose: _huge(b"word ", 64 * MIB),
        "bombs: 64 MiB of lines": lambda choose: _huge(b"A line of a page that never ends.\n", 64 * MIB),
        "bombs: 64 MiB of empty lines": lambda choose: _huge(choose.choice((b"\n", b"\r\n", b"\r", b" ", b"\0")), 64 * MIB),
        "bombs: 64 MiB of lines like a head's": lambda choose: _huge(b"Content-X: a\n", 64 * MIB),
        "bombs: 64 MiB of a head": lambda choose: _huge(b"WARC-X: a\r\n", 64 * MIB, b"WARC/1.0\r\nWARC-Type: conversion\r\n"),
        "bombs: 8 MiB of delimiters": lambda choose: _huge(b"WARC/1.0", 8 * MIB),
        "bombs: 200,000 delimiters on lines": lambda choose: gz(b"WARC/1.0\r\n" * 200_000),
        "bombs: 50,000 empty members": lambda choose: gz(b"") * 50_000,
        "bombs: 50,000 marks of gzip": lambda choose: (b"\x1f\x8b\x08\xff" + b"x" * choose.randint(0, 40)) * 50_000,
        "bombs: 20,000 members of no record": lambda choose: gz(b"no record\r\n") * 20_000,
        "bombs: 20,000 records without an address": lambda choose: gz(
            sample()[1].replace("WARC-Target-URI", None).with_body(b"x").packed() * 20_000
        ),
    },
    _bomb,
)  # fmt: skip


@KINDS.add("bombs: 12,000 small records in one member")
def _many_small(choose: random.Random) -> Made:
    records = [sample()[0]] + [
        sample()[1]
        .replace("WARC-Target-URI", f"http://small.example.org/{number}")
        .with_body(b"A page of a few words.")
        for number in range(12_000)
    ]
    return made(records, gz(b"".join(record.packed() for record in records)), ())
