"""WET files made to be wrong: nothing is lost without a word, no reading stalls, and what is kept stays small."""

import dataclasses
import gzip
import io
import time
import tracemalloc

import pytest
import wet_files
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio import ArchiveIterator
from wet_files import Written

from c4build.errors import printable
from c4build.page import Page
from c4build.read.gz import CHUNK, Chunk, Damage, read_chunks
from c4build.read.wet import _LEFT_OUT_BY_TFDS, read_pages
from c4build.read.wet_pages import Dropped, as_page

RECORDS = ("warc", "tfds")
GOOD = wet_files.pages(0, 10)
INFO = wet_files.info_record()
ALL = [INFO, *map(wet_files.record, GOOD)]


def read(data: bytes, records: str, name: str = "") -> list:
    file = io.BytesIO(data)
    file.name = name
    return [*map(as_page, read_pages(file, records, 190_000))]


def urls(found: list) -> list[str]:
    return [item.url for item in found if type(item) is Page]


def said(found: list) -> list[str]:
    return [item.what for item in found if type(item) is Damage]


def cut(found: list) -> list[bool]:
    return [item.cut for item in found if type(item) is Damage]


def members(records: list[bytes]) -> bytes:
    return b"".join(gzip.compress(record, 1, mtime=0) for record in records)


def packed(records: list[bytes], how: str) -> bytes:
    whole = b"".join(records)
    return {"members": members(records), "one member": gzip.compress(whole, 1, mtime=0), "plain": whole}[how]


HOW = ("members", "one member", "plain")


# Good pages beside bad ones


@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("before", (b"", b"\r\n", b"\xef\xbb\xbf"))
def test_all_pages_behind_a_leading_member_without_a_record_are_read(records, before):
    found = read(members([before, *ALL]), records)
    assert urls(found) == [page.url for page in GOOD]
    assert said(found) == []


@pytest.mark.parametrize("length", (10**9, 10**12, 5_000_000, 4_000_000, "9" * 18, "9" * 5000, "many", "-1", "\u0663"))
@pytest.mark.parametrize("how", ("one member", "plain"))
def test_the_records_behind_a_wrong_length_are_read(how, length):
    wrong = wet_files.record(GOOD[4]._replace(length=length))
    found = read(packed([*ALL[:5], wrong, *ALL[6:]], how), "warc")
    assert urls(found) == [page.url for page in GOOD if page is not GOOD[4]]
    assert [item.reason for item in found if type(item) is Dropped] == ["damaged"]
    (what,) = said(found)
    assert what.startswith(f"{GOOD[4].url}: its Content-Length is ") and len(what) < 300
    assert cut(found) == [False]


@pytest.mark.parametrize("how", HOW)
def test_a_length_of_5000_digits_is_damage_and_reading_goes_on(how):
    wrong = wet_files.record(GOOD[4]._replace(length="9" * 5000))
    found = read(packed([*ALL[:5], wrong, *ALL[6:]], how), "warc")
    assert said(found) == [f"{GOOD[4].url}: its Content-Length is a number of 5,000 digits"]
    assert len(urls(found)) == 9
    assert len(urls(read(packed([*ALL[:5], wrong, *ALL[6:]], how), "tfds"))) == 10


def test_the_records_before_bad_gzip_data_in_one_large_member_are_read():
    many = [wet_files.record(page) for page in wet_files.pages(0, 12_000)]
    data = bytearray(gzip.compress(b"".join([INFO, *many]), 1, mtime=0))
    at = len(data) - 100_000
    data[at : at + 50] = bytes(50)
    found = read(bytes(data), "warc")
    assert len(urls(found)) > 4000
    assert any("bad gzip data" in what for what in said(found)), said(found)


def test_a_byte_order_mark_before_a_record_harms_neither_it_nor_its_neighbours():
    for how in HOW:
        found = read(packed([*ALL[:5], b"\xef\xbb\xbf" + ALL[5], *ALL[6:]], how), "warc")
        assert (urls(found), said(found)) == ([page.url for page in GOOD], [])


def test_a_page_before_a_member_that_is_no_record_is_whole():
    found = read(members([*ALL[:5], b"garbage that is no record", *ALL[5:]]), "warc")
    assert urls(found) == [page.url for page in GOOD]
    assert said(found) == ["a record: no WARC record starts here"]


@pytest.mark.parametrize("head_too", [True, False], ids=["all of them", "behind the version"])
@pytest.mark.parametrize("end", [b"\n", b"\r"])
@pytest.mark.parametrize("how", HOW)
def test_a_record_with_other_line_ends_does_not_go_without_a_word(how, end, head_too):
    """It has no CRLF CRLF: the next one's would be taken for its own, and the next one's fields too."""
    version, _, rest = ALL[5].partition(b"\r\n")
    odd = version + (end if head_too else b"\r\n") + rest.replace(b"\r\n", end)
    found = read(packed([*ALL[:5], odd, *ALL[6:]], how), "warc")
    assert [page.url for page in GOOD if page is not GOOD[4]] == urls(found)
    assert len(said(found)) == 1


def test_of_a_field_that_stands_twice_the_first_counts_as_in_other_readers():
    twice = ALL[5].replace(b"Content-Length", b"WARC-Target-URI: http://second.example.org/\r\nContent-Length")
    found = read(members([*ALL[:5], twice, *ALL[6:]]), "warc")
    assert urls(found) == [page.url for page in GOOD]
    others = ArchiveIterator(io.BytesIO(members([*ALL[:5], twice, *ALL[6:]])))
    assert urls(found) == [
        record.rec_headers.get_header("WARC-Target-URI") for record in others if record.rec_type == "conversion"
    ]


@pytest.mark.parametrize("records", RECORDS)
def test_a_bad_first_byte_of_a_plain_file_costs_no_page(records):
    found = read(b"X" + packed(ALL, "plain")[1:], records)
    assert urls(found) == [page.url for page in GOOD]
    assert records == "tfds" or said(found) == ["a record: no WARC record starts here"]


def test_a_record_of_no_known_type_is_named():
    strange = ALL[5].replace(b"WARC-Type: conversion", b"WARC-Type: convers\x1b[2Jon")
    without = ALL[7].replace(b"WARC-Type: conversion\r\n", b"")
    found = read(members([*ALL[:5], strange, ALL[6], without, *ALL[8:]]), "warc")
    assert said(found) == [
        f"{GOOD[4].url}: a record of type 'convers\\x1b[2jon' is no page",
        f"{GOOD[6].url}: a record without a WARC-Type is no page",
    ]
    assert len(urls(found)) == 8


# Merged pages


def changed(index: int, by) -> list[bytes]:
    return [by(record) if number == index else record for number, record in enumerate(ALL)]


MERGING = {
    "a version of its own": lambda record: record.replace(b"WARC/1.0", b"WARC/1.1"),
    "an old version": lambda record: record.replace(b"WARC/1.0", b"WARC/0.18"),
    "a byte order mark": lambda record: b"\xef\xbb\xbf" + record,
    "a letter before it": lambda record: b"x" + record,
}


@pytest.mark.parametrize("name", MERGING)
@pytest.mark.parametrize("how", HOW)
def test_a_record_that_the_cut_of_tfds_merges_is_counted(how, name):
    found = read(packed(changed(5, MERGING[name]), how), "tfds")
    assert len(urls(found)) == 9 and GOOD[3].url not in urls(found), "the page before takes over its URL, as in TFDS"
    (what,) = said(found)
    assert what.startswith(
        "the file's own structure has 10 records of pages, of which the cut at lines that are WARC/1.0 made 9"
    )


@pytest.mark.parametrize("how", HOW)
def test_records_without_their_tails_are_counted(how):
    found = read(packed([INFO, *(record.rstrip(b"\r\n") for record in ALL[1:])], how), "tfds")
    assert len(urls(found)) == 1
    assert "has 10 records of pages" in said(found)[0] and "made 1 page" in said(found)[0]


@pytest.mark.parametrize("how", HOW)
def test_a_long_file_of_another_version_is_counted_past_what_is_kept(how):
    many = [wet_files.record(page).replace(b"WARC/1.0", b"WARC/1.1") for page in wet_files.pages(0, 9000)]
    found = read(packed([INFO, *many], how), "tfds")
    assert [item.reason for item in found if type(item) is Dropped] == ["too_long"]
    assert "has 9,000 records of pages" in said(found)[0]


@pytest.mark.parametrize("how", HOW)
def test_pages_that_tell_of_warc_are_no_records(how):
    text = "The first line of a header.\nWARC/1.1\nWARC-Type: conversion\nWARC-Target-URI: http://a.org\nContent-Length: 3\n\nabc"
    records = [INFO, wet_files.record(GOOD[0]._replace(text=text)), *ALL[2:]]
    assert said(read(packed(records, how), "tfds")) == []


def test_the_last_record_of_a_cut_plain_file_is_named():
    whole = packed(ALL, "plain")
    for records in RECORDS:
        found = read(whole[:-200], records)
        assert cut(found) == [True], said(found)
    assert len(urls(read(whole[:-200], "tfds"))) == 10, "the text stays as TFDS has it"


def test_the_file_that_tfds_leaves_out_is_left_out_and_said():
    from tensorflow_datasets.text import c4

    assert _LEFT_OUT_BY_TFDS == c4._KNOWN_CORRUPT_WET_FILES
    (path,) = _LEFT_OUT_BY_TFDS
    for name in (path, "/home/of/somebody/" + path.rpartition("/")[2], "https://data.commoncrawl.org/" + path):
        (damage,) = read(members(ALL), "tfds", name)
        assert "TFDS leaves this file out" in damage.what
        assert len(urls(read(members(ALL), "warc", name))) == 10


# No WET


def other(kind: str) -> bytes:
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>words of a page</html>"
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.org/\r\nWARC-Date: {wet_files.DATE}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body + b"\r\n\r\n"


@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", ("response", "request", "metadata", "resource", "revisit"))
def test_records_of_another_kind_name_the_file_as_no_wet(kind, how, records):
    found = read(packed([INFO, *[other(kind)] * 5, *ALL[1:]], how), records)
    assert said(found) == [f"this is not a WET file: it holds WARC records of type {kind}"]
    assert (urls(found), cut(found)) == ([], [True])


@pytest.mark.parametrize("records", RECORDS)
def test_a_record_of_another_kind_behind_pages_ends_the_reading(records):
    found = read(members([*ALL[:4], other("response"), *ALL[4:]]), records)
    assert (len(urls(found)), cut(found)) == (3, [True])


def test_a_page_whose_text_is_a_header_does_not_end_the_reading():
    text = "WARC/1.0\nWARC-Type: response\nContent-Length: 3\n\nabc of a page"
    for how in HOW:
        for records in RECORDS:
            found = read(packed([INFO, wet_files.record(GOOD[0]._replace(text=text)), *ALL[2:]], how), records)
            assert not any(cut(found))
            assert urls(found)[-9:] == [page.url for page in GOOD[1:]]


@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize(
    "data, holds",
    [
        (b"<!DOCTYPE html><html><body>\x1b[2J Slow Down</body></html>", "HTML"),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "XML"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
        (b"a line of text\n" * 10, "text"),
        (bytes(range(256)) * 3, "binary data"),
        (b" \r\n" * 20, "blank space"),
    ],
)
def test_a_file_that_is_no_wet_is_told_by_its_kind_and_not_by_its_bytes(data, holds, records):
    for packing in (data, gzip.compress(data)):
        (damage,) = read(packing, records)
        assert damage == Damage(0, f"this is not a WET file: it holds {holds}", True)


@pytest.mark.parametrize("records", RECORDS)
def test_what_ends_too_early_is_marked_as_cut(records):
    whole = members(ALL)
    for data in (b"", gzip.compress(b""), whole[:-30], whole + b"<html>an error</html>", whole + bytes(2 << 20)):
        found = read(data, records)
        assert cut(found)[-1:] == [True], said(found)
    assert cut(read(members(changed(5, lambda record: record)), records)) == []
    assert said(read(whole + bytes(512), records)) == [], "padding"


def test_zeros_between_members_are_a_hole_and_named():
    data = members(ALL[:5]) + bytes(5000) + members(ALL[5:])
    for records in RECORDS:
        found = read(data, records)
        assert (len(urls(found)), said(found)) == (10, ["5,000 bytes that are not gzip"])


# Bounds


@pytest.mark.parametrize("records", RECORDS)
def test_a_flood_of_damages_is_counted_and_not_listed(records):
    bad = wet_files.record(Written("http://a.org/", "text of a page", date=None))
    found = read(members([INFO, *[bad] * 5000, *ALL[1:]]), records)
    assert len(said(found)) == 101
    assert said(found)[-1] == "from here on 4,900 more damages, not listed"
    assert len(urls(found)) == 10
    assert sum(type(item) is Dropped and item.reason == "no_date" for item in found) == 5000


def test_a_flood_of_bad_gzip_is_counted_and_the_cut_is_still_said():
    fake = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 20
    found = read(members(ALL) + fake * 3000 + members(ALL)[:-40], "warc")
    assert len(said(found)) == 102 and any(cut(found))
    assert len(urls(found)) == 19


@pytest.mark.parametrize("records", RECORDS)
def test_an_address_of_megabytes_is_clipped_and_made_visible_where_it_is_named(records):
    address = "http://a.org/\x1b[31m\x07\u202e" + "x" * 3_000_000
    page = wet_files.record(Written(address, "text of a page", date=None))
    found = read(members([INFO, page, *ALL[1:]]), records)
    assert all(len(what) < 400 and what.isprintable() for what in said(found)) and said(found)
    assert urls(found) == [page.url for page in GOOD]


def test_clipped_text_is_short_and_printable():
    assert printable("a\x1b[0m\n\u202e\x85b") == "a\\x1b[0m\\n\\u202e\\x85b"
    assert printable("x" * 500) == "x" * 297 + "..."
    assert printable("\udc80") == "\\udc80"


def peak_megabytes(data: bytes, records: str) -> float:
    tracemalloc.start()
    try:
        for _ in read_pages(io.BytesIO(data), records, 190_000):
            pass
        return tracemalloc.get_traced_memory()[1] / (1 << 20)
    finally:
        tracemalloc.stop()


LARGE = {
    "header-like lines": b"WARC-Name-1: value\r\n",
    "the fields that count": b"WARC-Date: 2019\n",
    "one header line": b"WARC-",
    "empty lines": b"\n",
    "line ends behind a record": b"\r\n\r\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("name", LARGE)
def test_memory_is_bounded_whatever_a_record_is_made_of(name, records):
    block = LARGE[name]

    def file(megabytes: int) -> bytes:
        body = block * ((megabytes << 20) // len(block))
        return members([*ALL[:2], wet_files.record(GOOD[1]._replace(text=body)), *ALL[3:]])

    small, large = peak_megabytes(file(9), records), peak_megabytes(file(18), records)
    assert large < small * 1.15 + 10 and large < 260


def seconds(data: bytes, records: str) -> float:
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        for _ in read_pages(io.BytesIO(data), records, 190_000):
            pass
        best = min(best, time.process_time() - start)
    return best


def small_records(count: int) -> bytes:
    return gzip.compress(
        b"".join([INFO, *(wet_files.record(Written(f"http://a.org/{n}", "text")) for n in range(count))]), 1
    )


def tiny_members(data: bytes, size: int) -> bytes:
    return members([data[at : at + size] for at in range(0, len(data), size)])


SLOW = {
    "small records in one member": lambda n: small_records(4000 * n),
    "records with lengths of megabytes": lambda n: gzip.compress(
        b"".join([INFO, *[wet_files.record(Written("http://a.org/", "text", length=4_000_000)) for _ in range(8000 * n)]]), 1
    ),
    "a member a few bytes": lambda n: tiny_members(b"".join([INFO, *[wet_files.record(Written("http://a.org/", "text", length=4_000_000)) for _ in range(200 * n)]]), 7),
    "delimiters in one line": lambda n: members([INFO + b"WARC/1.0 " * 40_000 * n]),
    "delimiters and carriage returns": lambda n: members([INFO.replace(b"\r", b"") + b"WARC/1.0\n" * 4_000 * n]),
    "magic numbers": lambda n: members(ALL) + b"\x1f\x8b\x08" * 20_000 * n,
    "a magic number before each byte of members": lambda n: members(ALL) + (members([b""]) + b"x") * 6000 * n,
    "stored blocks that hold members": lambda n: b"".join(
        [members(ALL), (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\0\xf5\xff\x0a\0") * 3000 * n, b"\xff" * 99]
    ),
    "zeros": lambda n: members(ALL) + bytes(8_000_000 * n) + members(ALL),
    "line ends behind a record": lambda n: members([*ALL[:2], b"\r\n" * 2_000_000 * n]),
    "members of line ends": lambda n: members([*ALL[:2], *[b"\r\n"] * 4000 * n]),
    "one header without an end": lambda n: members([INFO + b"WARC/1.0\r\n" + b"WARC-Name: value\r\n" * 60_000 * n]),
}  # fmt: skip


@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("name", SLOW)
def test_the_time_is_linear_in_the_input(name, records):
    once = seconds(SLOW[name](1), records)
    four = seconds(SLOW[name](4), records)
    assert four < 4 * once * 1.9 + 0.2, f"{once:.3f} s, four times as much: {four:.3f} s"
    assert four < 8, "no stall"


class Counted(io.BytesIO):
    """Bytes that tell how many of them were asked for."""

    asked = 0

    def read(self, size=-1):
        data = super().read(size)
        self.asked += len(data)
        return data


pieces = st.one_of(
    st.sampled_from(ALL),
    st.sampled_from([b"WARC/1.0\r\n", b"\r\n\r\n", b"\r", b"\n", b"WARC-Type: conversion\r\n", b"Content-Length: 999999999999\r\n",
                     b"WARC-Target-URI: http://a.org\r\n", b"WARC/1.1\r\nWARC-Type: response\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\0" * 9,
                     b"Content-Length: -1\r\n", b"WARC-Date: \x85\r\n", b"<html>", b"PK\x03\x04", b"\x1f\x8b\x08"]),
    st.binary(max_size=40),
)  # fmt: skip


@st.composite
def files(draw) -> bytes:
    parts = draw(st.lists(st.lists(pieces, max_size=5).map(b"".join), max_size=8))
    data = packed(parts, draw(st.sampled_from(HOW)))
    data = bytearray(draw(st.sampled_from([b"", members(ALL[:2]), ALL[0] + ALL[1]])) + data)
    for _ in range(draw(st.integers(0, 3)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@settings(max_examples=400, deadline=None)
@given(files())
@pytest.mark.parametrize("records", RECORDS)
def test_whatever_the_bytes_are_they_are_read_to_what_is_named(records, data):
    file = Counted(data)
    found = [*map(as_page, read_pages(file, records, 190_000))]
    assert file.asked <= len(data)
    for item in found:
        if type(item) is Page:
            assert item.body.decode() is not None and item.url and item.timestamp
        elif type(item) is Damage:
            assert 0 <= item.offset <= len(data) and item.what.isprintable() and len(item.what) < 500
        else:
            assert type(item) is Dropped
    assert (
        found
        or not data.strip()
        or (
            urls(found) == []
            and b"warcinfo" in b"".join(chunk.data for chunk in read_chunks(io.BytesIO(data)) if type(chunk) is Chunk)
        )
    ), "something is said of a file without pages"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255), st.sampled_from(HOW))
def test_by_its_own_structure_each_page_is_a_page_or_dropped_or_its_place_is_named(at, flip, how):
    data = bytearray(packed(ALL, how))
    data[at % len(data)] ^= flip
    found = read(bytes(data), "warc")
    pages = sum(type(item) is Page for item in found)
    dropped = sum(type(item) is Dropped for item in found)
    assert pages + dropped <= 10
    assert pages == 10 or said(found) or dropped
    if how != "one member":
        assert pages >= 8


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([*ALL[1:], *(by(ALL[2]) for by in MERGING.values()), ALL[3].replace(b"\r\n", b"\n")]),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_where_the_cuts_of_members_lie_is_no_matter(records, data):
    """Split at any places, the same text gives the same pages under TFDS's cut."""
    text = b"".join([INFO, *records])
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    parts = [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)])]
    found, expected = (
        [
            dataclasses.replace(item, offset=0) if type(item) is Page else item
            for item in read(data, "tfds")
            if type(item) is not Damage
        ]
        for data in (members(parts), text)
    )
    assert found == expected


def test_chunks_have_bytes_and_a_bounded_size():
    data = members([b"", b"a", b"", bytes(3 * CHUNK), b""])
    assert [len(chunk.data) for chunk in read_chunks(io.BytesIO(data))] == [1, CHUNK, CHUNK, CHUNK]
