"""Dumps to pages: in one piece and in many, whole and damaged."""

import bz2
import itertools
import random
import re
import tracemalloc

import corpora_material as material
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.errors import UsageError
from c4build.read.bz2_streams import read_streams
from c4build.read.gz import Damage
from c4build.read.paths import Input
from c4build.read.wikipedia import Piece, Site, WikiPage, cut_into_pieces, page_url, read_pages, read_site

PAGES = [material.page(number, f"Title {number}", f"Text of {number}. " * (1 + number % 5)) for number in range(1, 21)]
WHOLE = material.HEAD + "".join(PAGES) + material.TAIL


@pytest.fixture
def dump(tmp_path):
    def write(data: bytes, name: str = "simplewiki-20240501-pages-articles.xml.bz2"):
        path = tmp_path / name
        path.write_bytes(data)
        return material.source(path)

    return write


def titles(found) -> list[str]:
    return [page.title for page in found if isinstance(page, WikiPage)]


def damages(found) -> list[tuple[int, str]]:
    return [tuple(damage[:2]) for damage in found if isinstance(damage, Damage)]


ALL = [f"Title {number}" for number in range(1, 21)]


def test_a_page_has_its_id_title_namespace_redirect_time_and_wikitext(dump):
    text = "A < b & \"c\" ''d'' \u00e9\U0001f431\n\nNext <ref>x</ref>"
    pages = [
        material.page(5, 'Caf\u00e9 & "B"', text),
        material.page(6, "Talk:X", "t", 1),
        material.page(7, "R", "#REDIRECT [[Y]]", 0, "Y"),
    ]
    assert list(read_pages(dump(material.multistream(pages)))) == [
        WikiPage("5", 'Caf\u00e9 & "B"', 0, False, "2024-05-01T00:00:05Z", text),
        WikiPage("6", "Talk:X", 1, False, "2024-05-01T00:00:06Z", "t"),
        WikiPage("7", "R", 0, True, "2024-05-01T00:00:07Z", "#REDIRECT [[Y]]"),
    ]


def test_the_head_names_the_database_and_the_addresses_of_pages(dump):
    site = read_site(dump(material.multistream(PAGES)))
    assert site == Site("simplewiki", "https://simple.wikipedia.org/wiki/")
    assert page_url(site, "AC/DC (band)") == "https://simple.wikipedia.org/wiki/AC/DC_(band)"
    assert page_url(site, "What? 50% & \u00e9") == "https://simple.wikipedia.org/wiki/What%3F_50%25_%26_%C3%A9"


def test_a_dump_whose_head_is_damaged_is_known_by_its_name(dump):
    data = bytearray(material.multistream(PAGES))
    data[20] ^= 0xFF
    assert read_site(dump(bytes(data), "dewiki-20240501-pages-articles.xml.bz2")) == Site(
        "dewiki", "https://de.wikipedia.org/wiki/"
    )


@pytest.mark.parametrize("data", [b"", b"no dump", b"BZh9no bzip2", bz2.compress(b"<html>"), b"\x1f\x8b\x08\0"])
def test_a_file_that_is_no_dump_is_refused_by_name(dump, data):
    source = dump(data, "other.xml")
    with pytest.raises(UsageError, match="other.xml: this is not a dump of MediaWiki"):
        read_site(source)


def test_a_dump_that_is_not_there_is_a_clear_error():
    with pytest.raises(UsageError, match="nowhere.xml.bz2: cannot be opened: No such file or directory"):
        read_site(Input("/nowhere.xml.bz2", 10, "x"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(WHOLE.encode())), max_size=12), st.integers(1, 30), st.booleans())
def test_pieces_give_each_page_once_in_order_wherever_streams_and_pieces_end(tmp_path_factory, cuts, pieces, plain):
    whole = WHOLE.encode()
    cuts = sorted({0, *cuts, len(whole)})
    data = whole if plain else b"".join(bz2.compress(whole[a:b]) for a, b in itertools.pairwise(cuts))
    path = tmp_path_factory.mktemp("dump") / "simplewiki.xml"
    path.write_bytes(data)
    source = material.source(path)
    found = [page for piece in cut_into_pieces(source, -(-source.size // pieces)) for page in read_pages(source, piece)]
    assert titles(found) == ALL and damages(found) == []


def test_a_multistream_dump_is_cut_into_as_many_pieces_as_asked_each_with_pages_of_its_own(dump):
    source = dump(material.multistream(PAGES))
    pieces = cut_into_pieces(source, -(-source.size // 4))
    shares = [titles(read_pages(source, piece)) for piece in pieces]
    assert len(pieces) == 4 and all(shares) and sum(shares, []) == ALL


def test_a_dump_of_a_single_stream_is_one_piece(dump):
    assert cut_into_pieces(dump(bz2.compress(WHOLE.encode())), 100) == [Piece(0, None)]


def test_the_sample_in_seven_pieces_gives_the_same_pages_as_in_one(dump):
    sample = material.shared("wiki/enwiki-sample.xml.bz2")
    raw = bz2.open(sample).read()
    ends = [*[0, raw.index(b"  <page>"), *(match.end() for match in re.finditer(b"</page>\n", raw))][::10], len(raw)]
    source = dump(b"".join(bz2.compress(raw[a:b]) for a, b in itertools.pairwise(ends)))
    pieces = cut_into_pieces(source, -(-source.size // 7))
    whole = list(read_pages(material.source(sample)))
    assert len(pieces) == 7 and len(whole) == 206
    assert [page for piece in pieces for page in read_pages(source, piece)] == whole


def test_a_damaged_stream_costs_its_pages_and_is_told_with_its_place(dump):
    streams = material.multistream(PAGES, 4)
    starts = [match.start() for match in re.finditer(b"BZh91AY", streams)]
    data = bytearray(streams)
    data[starts[2] + 60] ^= 0xFF  # pages 5 to 8
    found = list(read_pages(dump(bytes(data))))
    assert titles(found) == ALL[:4] + ALL[8:]
    assert damages(found) == [(starts[2] + 4, "a bad bzip2 block")]


def test_a_bad_block_of_a_single_stream_costs_its_pages_only(dump):
    random.seed(5)
    words = [f"{random.getrandbits(48):x}" for _ in range(40_000)]
    pages = [material.page(n, f"Title {n}", " ".join(random.choices(words, k=12_000))) for n in range(1, 21)]
    data = bytearray(bz2.compress((material.HEAD + "".join(pages) + material.TAIL).encode(), 5))
    data[len(data) // 2] ^= 0x40
    found = list(read_pages(dump(bytes(data))))
    kept = titles(found)
    assert 14 <= len(kept) <= 18 and kept == [title for title in ALL if title in kept]
    assert kept[0] == "Title 1" and kept[-1] == "Title 20"
    assert next(what for _, what in damages(found)) == "a bad bzip2 block"
    missing = [title for title in ALL if title not in kept]
    assert damages(found)[1][1] == f"the page '{missing[0]}' is cut off by this damage and left out"
    assert len(data) * 0.4 < damages(found)[0][0] < len(data) // 2


def test_a_dump_cut_short_keeps_the_pages_before_and_says_where(dump):
    data = material.multistream(PAGES, 4)
    starts = [match.start() for match in re.finditer(b"BZh91AY", data)]
    found = list(read_pages(dump(data[: starts[4] + 100])))
    assert titles(found) == ALL[:12]
    assert damages(found) == [(starts[4], "the file is cut short within a bzip2 stream")]


def test_a_plain_dump_cut_short_within_a_page_keeps_the_pages_before(dump):
    end = WHOLE.index("Text of 9") + 20
    found = list(read_pages(dump(WHOLE[:end].encode(), "simplewiki.xml")))
    assert titles(found) == ALL[:8]
    assert damages(found) == [(0, "the file ends within the page 'Title 9', which is left out")]


def test_rubbish_between_streams_is_stepped_over_and_told(dump):
    parts = [bz2.compress(part.encode()) for part in [material.HEAD, *PAGES, material.TAIL]]
    parts.insert(3, b"rubbish here")
    found = list(read_pages(dump(b"".join(parts))))
    assert titles(found) == ALL
    assert damages(found) == [(sum(map(len, parts[:3])), "12 bytes that are not bzip2")]


def test_a_page_that_is_not_xml_or_has_no_end_does_not_concern_the_others(dump):
    bad = PAGES[3].replace("</title>", "</titel>", 1)
    endless = PAGES[6].replace("</page>", "")
    control = PAGES[9].replace("Text of 10", "Text\x01of\x0210")
    data = material.HEAD + "".join(PAGES[:3]) + bad + "".join(PAGES[4:6]) + endless + "".join(PAGES[7:9]) + control
    data = (data + "".join(PAGES[10:]) + material.TAIL).encode().replace(b"Text of 12", b"Text \xff\xfe 12")
    found = list(read_pages(dump(data, "simplewiki.xml")))
    assert titles(found) == [title for title in ALL if title not in ("Title 4", "Title 7")]
    assert [what for _, what in damages(found)] == [
        "a page is not well-formed XML (mismatched tag: line 2, column 20) and is left out",
        "the page 'Title 7' has no end and is left out",
        "the page 'Title 10' has bytes that are not text; they stand as U+FFFD",
        "the page 'Title 12' has bytes that are not text; they stand as U+FFFD",
    ]
    texts = {page.title: page.text for page in found if isinstance(page, WikiPage)}
    assert texts["Title 10"] == "Text\ufffdof\ufffd10. "
    assert texts["Title 12"].startswith("Text \ufffd\ufffd 12. ")


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_whatever_bytes_change_no_page_is_made_up_and_nothing_is_raised(tmp_path_factory, data):
    whole = bytearray(material.multistream(PAGES, 3))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "drop", "insert"]))
        if kind == "flip":
            whole[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del whole[at:]
        elif kind == "drop":
            del whole[at : at + data.draw(st.integers(1, 300))]
        else:
            whole[at:at] = data.draw(st.binary(min_size=1, max_size=50))
        if not whole:
            break
    path = tmp_path_factory.mktemp("broken") / "simplewiki.xml.bz2"
    path.write_bytes(whole)
    found = list(read_pages(material.source(path)))
    true = {page.title: page for page in _parsed(PAGES)}
    pages = [page for page in found if isinstance(page, WikiPage)]
    assert all(page == true.get(page.title) for page in pages)
    assert len({page.title for page in pages}) == len(pages)
    assert len(pages) == len(PAGES) or damages(found) or bytes(whole) in _cut_between_streams()


def _parsed(pages):
    return [
        WikiPage(str(n), f"Title {n}", 0, False, f"2024-05-01T00:00:{n:02}Z", f"Text of {n}. " * (1 + n % 5))
        for n in range(1, len(pages) + 1)
    ]


def _cut_between_streams() -> set[bytes]:
    """Dumps that lack whole streams at the end: nothing in them tells."""
    whole = material.multistream(PAGES, 3)
    return {whole[: match.start()] for match in re.finditer(b"BZh91AY", whole)}


def test_streams_end_in_padding_without_a_complaint(tmp_path):
    path = tmp_path / "x.bz2"
    path.write_bytes(bz2.compress(b"one") + bz2.compress(b"") + bz2.compress(b"two") + b"\0" * 1000)
    with open(path, "rb") as file:
        assert [(type(part).__name__, part[1]) for part in read_streams(file) if part[1]] == [
            ("Data", b"one"),
            ("Data", b"two"),
        ]


def test_a_page_over_the_limit_is_left_out_without_being_held(dump, monkeypatch):
    monkeypatch.setattr("c4build.read.wikipedia.MAX_PAGE_BYTES", 1 << 20)
    huge = material.page(99, "Huge", "x" * (40 << 20))
    source = dump(bz2.compress((material.HEAD + PAGES[0] + huge + PAGES[1] + material.TAIL).encode()))
    tracemalloc.start()
    found = list(read_pages(source))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert titles(found) == ALL[:2]
    assert damages(found) == [(0, "the page 'Huge' is over 1 MiB long and left out")]
    assert peak < 30 << 20
