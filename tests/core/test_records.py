"""Pages read with the compiled functions beside those read in Python alone: the same, whatever the bytes."""

import gzip
import io
import sys
from pathlib import Path

import pytest
import wet_files
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.compiled import core
from c4build.page import Page
from c4build.read.gz import plain_next_member
from c4build.read.wet import read_pages
from c4build.read.wet_pages import as_page

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))
SHARED = Path(__file__).parents[3] / "shared/wet"
HOW = ("tfds", "warc")


def read_both(data: bytes, how: str, max_chars: int = 190_000) -> list:
    """What both readers say, which must be one."""
    compiled = [*map(as_page, read_pages(io.BytesIO(data), how, max_chars))]
    assert compiled == list(read_pages(io.BytesIO(data), how, max_chars, compiled=False))
    return compiled


# Pieces of records, most as they are, some odd.
ENDS = st.sampled_from(["\r\n"] * 30 + ["\n", "\r", "\n\r", "\r\r\n"])
NAMES = st.sampled_from(
    ["WARC-Target-URI", "WARC-Date", "Content-Type", "WARC-Record-ID", "WARC-Refers-To", "Content-Length", "WARC-Type"] * 4
    + ["warc-target-uri", "WARC-DATE", "Content-Length ", " WARC-Type", "content-length", "WARC-Target-URIx", "Content-", "WARC"]
    + ["CONTENT-LENGTH", "X-Odd", "", "\u212aind", "WARC-Typ\u00e9", "\u2028WARC-Date", "WARC-Type\x1c", "WARC/1.0"]
)  # fmt: skip
VALUES = st.sampled_from(
    [" http://example.org/a", " 2019-04-18T12:00:00Z", " text/plain", " <urn:uuid:1>", " conversion", " 7", "", " ", "\u00a0",
     " caf\u00e9 \u2028", "\x85x\x1f", " response", " Conversion", " \u0663", " WARC/1.0", " +7", " 7_0", " " + "9" * 19, "\t12 ",
     " warcinfo", " conversion\n", "a\rb", "\0"]
)  # fmt: skip
ODD_BYTES = [
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\x80",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xc0\x80",
    b"\0",
]
WORDS = st.sampled_from(
    [b"a line of text"] * 6
    + [b"", b"", b" ", b"\xc2\xa0", b"\xe2\x80\xa8", b"caf\xc3\xa9", "中文字".encode(), "🙂".encode(), b"\x1c", b"~", b"C", b"CO"]
    + [b"WARC/1.0", b" WARC/1.0 ", b"WARC", b"Content-", b"Content-Length: 3", b"CONTENT-", b"xContent-Type", b"WARC-Date: x", b"WAR"]
    + [b"WARC-Type: conversion", b"WARC/1.1", *ODD_BYTES]
)  # fmt: skip
LINE_ENDS = st.sampled_from([b"\n"] * 6 + [b"\r\n", b"\r", b"\n\n", b"\r\n\r\n"])
TAILS = st.sampled_from(
    [b"\r\n\r\n"] * 12 + [b"", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n\r\n", b"\r\n\r\n\xef\xbb\xbf", b"x", b"\r\n" * 6]
)
VERSIONS = st.sampled_from(
    ["WARC/1.0"] * 12 + ["WARC/1.1", "WARC/1.0 ", "\ufeffWARC/1.0", "WARC/", "WARC/1.0x", "warc/1.0", ""]
)


@st.composite
def bodies(draw) -> bytes:
    return b"".join(draw(st.lists(st.builds(bytes.__add__, WORDS, LINE_ENDS), max_size=6))) + draw(WORDS)


@st.composite
def records(draw) -> bytes:
    """A record, with a chance of something odd in each of its places."""
    body = draw(bodies())
    fields = [
        ("WARC-Type", " conversion"), ("WARC-Target-URI", " http://example.org/"), ("WARC-Date", " 2019-04-18T12:00:00Z"),
        ("WARC-Record-ID", " <urn:uuid:2>"), ("Content-Type", " text/plain"),
        ("Content-Length", f" {len(body) + draw(st.sampled_from([0] * 12 + [1, -1, 8, -8, 9, -9]))}"),
    ]  # fmt: skip
    for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=2)):
        fields.insert(draw(st.integers(0, len(fields))), (name, value))
    if draw(st.integers(0, 7)) == 0:
        fields.pop(draw(st.integers(0, len(fields) - 1)))
    lines = [draw(VERSIONS), *(f"{name}:{value}" for name, value in fields)]
    if draw(st.integers(0, 15)) == 0:
        lines.insert(
            draw(st.integers(1, len(lines))), draw(st.sampled_from(["no colon", "WARC-without", "Content-without"]))
        )
    head = "".join(line + draw(ENDS) for line in lines).encode()
    if draw(st.integers(0, 15)) == 0:
        place = draw(st.integers(0, len(head)))
        head = head[:place] + draw(st.sampled_from(ODD_BYTES)) + head[place:]
    return head + b"\r\n" + body + draw(TAILS)


@st.composite
def files(draw) -> bytes:
    """A file of records: a member each, one member, plain, or split anywhere; cut or changed now and then."""
    parts = [wet_files.info_record()] * draw(st.booleans()) + draw(st.lists(records(), min_size=1, max_size=4))
    how = draw(st.sampled_from(["members", "members", "one", "plain", "split"]))
    if how == "split":
        text = b"".join(parts)
        places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
        parts = [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)])]
    if how == "one" or how == "plain":
        parts = [b"".join(parts)]
    data = bytearray(b"".join(parts if how == "plain" else (gzip.compress(part, 1, mtime=0) for part in parts)))
    if data and draw(st.integers(0, 7)) == 0:
        data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
    if draw(st.integers(0, 7)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@pytest.mark.parametrize("examples", [300, pytest.param(30_000, marks=pytest.mark.slow)])
def test_both_readers_say_the_same_of_odd_files(examples):
    @settings(max_examples=examples, deadline=None)
    @given(files(), st.sampled_from([3, 40, 190_000]))
    def check(data, max_chars):
        for how in HOW:
            read_both(data, how, max_chars)

    check()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "body", ["\u3053\u308c\u306f\u672c\u3067\u3059\u3002\n\u307b\u3093", "\u00a0\u3000\u0416", "a"]
)
def test_a_page_without_a_letter_of_ascii_is_nothing_out_of_the_ordinary(body, how):
    data = gzip.compress(wet_files.record(wet_files.Written("http://example.org/", body)))
    (found,) = read_pages(io.BytesIO(data), how, 190_000)
    assert not isinstance(found, Page) and as_page(found).body.decode().startswith(body)
    read_both(data, how)


@pytest.mark.parametrize("body", ["", " \n ", "\u00a0\u3000\n\u2028", "\x1c\u2029\x85"])
def test_a_page_of_white_space_is_left_to_the_readers_that_know_its_kinds(body):
    for how in HOW:
        read_both(gzip.compress(wet_files.record(wet_files.Written("http://example.org/", body))), how)


ANY_BYTES = st.lists(st.binary(max_size=4) | st.text(max_size=9).map(str.encode) | WORDS | LINE_ENDS, max_size=8).map(
    b"".join
)


@pytest.mark.parametrize("examples", [300, pytest.param(100_000, marks=pytest.mark.slow)])
def test_both_readers_say_the_same_of_any_bytes_in_a_right_record(examples):
    @settings(max_examples=examples, deadline=None)
    @given(ANY_BYTES)
    def check(body):
        for how in HOW:
            read_both(wet_files.record(wet_files.Written("http://example.org/", body)), how)

    check()


WHOLE = wet_files.record(wet_files.pages(7, 1)[0])
HEAD, BODY = WHOLE.split(b"\r\n\r\n", 1)
LENGTH = b"\r\nContent-Length: "


def with_length(more: int, tail: bytes) -> bytes:
    """A record whose length says so much more than it has, before another tail."""
    size = len(BODY) - 4
    return HEAD.replace(b": %d" % size, b": %d" % (size + more)) + b"\r\n\r\n" + BODY[:-4] + tail


ODD = {
    "each field twice": b"".join(WHOLE.partition(LENGTH)[:1])
    + HEAD.partition(b"\r\n")[2].replace(b": ", b": x").replace(b": xconversion", b": conversion").join([b"\r\n", b""])
    + b"".join(WHOLE.partition(LENGTH)[1:]),
    "an ID twice": WHOLE.replace(LENGTH, b"\r\nWARC-Record-ID: b\r\nWARC-Refers-To: c\r\nWARC-Refers-To: d" + LENGTH),
    "a type twice": WHOLE.replace(LENGTH, b"\r\nWARC-Type: conversion" + LENGTH).replace(b"The", b"xContent-The"),
    "a type beyond 1,024 bytes": WHOLE.replace(b"WARC-Type", b"WARC-X: " + b"x" * 1000 + b"\r\nWARC-Type"),
    "a header over 64 KiB": WHOLE.replace(b"WARC-Type", b"WARC-X: " + b"x" * 65_000 + b"\r\nWARC-Y: " + b"y" * 600 + b"\r\nWARC-Type"),
    "a line end alone": WHOLE.replace(b"WARC-Date: ", b"WARC-Date: \n"),
    "a delimiter in the header": WHOLE.replace(b"WARC-Date: ", b"WARC-Date: WARC/1.0"),
    "a space in a name": WHOLE.replace(b"WARC-Date", b"WARC-Date "),
    "a name with a letter beyond ASCII": WHOLE.replace(b"WARC-Date", "WARC-Date\u2003".encode()),
    "another name": WHOLE.replace(b"WARC-Date", b"wArC-dAtE"),
    "a word of WARC": WHOLE.replace(b"The", b"xWARC-The"),
    "a line of Content-": WHOLE.replace(b"The", b"\r\n\xc2\xa0Content-Length: 3\r\n\r The"),
    "a word of Content-": WHOLE.replace(b"The", b"\r\n\xc2\xa0a Content-Length: 3 \r\n\r The"),
    "a long number": WHOLE.replace(LENGTH, LENGTH + b"0" * 17),
    "no text": HEAD.rpartition(LENGTH)[0] + LENGTH + b"3\r\n\r\n\xe2\x80\xa8\r\n\r\n",
    **{f"{more} bytes of {tail}": with_length(more, tail) for more in (-9, -8, -5, -4, -1, 0, 1, 4)
       for tail in (b"\r\n\r\n", b"\r\n", b"", b"x\r\n\r\n", b"\r\n\r\nx", b"\r\n" * 5)},
}  # fmt: skip


@pytest.mark.parametrize("max_chars", [190_000, 100])
def test_both_readers_say_the_same_of_odd_records(max_chars):
    for name, odd in ODD.items():
        for parts in ([WHOLE, odd, WHOLE], [odd]):
            for data in (b"".join(parts), b"".join(gzip.compress(part, 1, mtime=0) for part in parts)):
                for how in HOW:
                    assert read_both(data, how, max_chars), name


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"\x1f", b"\x8b", b"\x1f\x8b\x08", b"\0", b"\x08", b"\xe0", b"\x1f\x8b\x08\0", b"\x1f\x8b\x08\x20"])).map(b"".join), st.integers(0, 9), st.integers(0, 20))  # fmt: skip
def test_both_find_the_next_gzip_member(data, start, most):
    assert core.next_member(data, start, most) == plain_next_member(data, start, most)


def test_most_records_are_ordinary():
    """Else the tests here would say little."""
    data = b"".join(wet_files.members(wet_files.pages(0, 20)))
    for how in HOW:
        assert sum(type(found) is Page for found in read_both(data, how)) == 20
    for record in map(wet_files.record, wet_files.pages(0, 20)):
        assert core.records.tfds(record, 0, 190_000) and core.records.warc(record, 0, 0, 1 << 22, 190_000)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["articles", *(pytest.param(f"crawl-{n}", marks=pytest.mark.slow) for n in range(4))])
def test_both_readers_say_the_same_of_real_files(name, how):
    path = SHARED / f"{name}.warc.wet.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    data = path.read_bytes()
    assert len(read_both(data, how)) > 100
    assert len(read_both(gzip.decompress(data), how, 5000)) > 100


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_both_readers_say_the_same_of_damaged_files(count):
    from damage import generate
    from wet_damage import KINDS

    for file in generate(KINDS, count):
        if len(file.made.data) < 1 << 20:
            for how in HOW:
                read_both(file.made.data, how)
