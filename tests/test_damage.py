"""Damaged inputs: what can be read comes through, what cannot is named with its offset, and memory stays bounded."""

import gzip
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import wet_files
from builds import VARIANTS, build, made
from command import run_command
from fastwarc.warc import ArchiveIterator, WarcRecordType
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio import ArchiveIterator as WarcioIterator
from wet_files import Written

from c4build.errors import CountsError
from c4build.flow import clean
from c4build.flow.pagefiles import Report, key_file, open_page_file
from c4build.flow.rows import PlainRows, Row
from c4build.page import Page
from c4build.read.gz import Damage
from c4build.read.wet import read_pages
from c4build.read.wet_pages import as_page
from c4build.write.tables import read_table

RULES = ("paper", "c4-3.1.0")
RECORDS = {"paper": "warc", "c4-3.1.0": "tfds"}
GOOD = wet_files.pages(0, 6)


def body(count: int = 6) -> list[bytes]:
    return wet_files.members(GOOD[:count])


def offset_of(parts: list[bytes], index: int) -> int:
    return sum(map(len, parts[:index]))


def joined(parts: list[bytes], *, changed: int, by) -> tuple[bytes, int]:
    """The file with one member changed, and where that member starts."""
    parts = list(parts)
    parts[changed] = by(parts[changed])
    return b"".join(parts), offset_of(parts, changed)


def bad_byte(member: bytes) -> bytes:
    middle = len(member) // 2
    return member[:middle] + bytes([member[middle] ^ 0xFF]) + member[middle + 1 :]


def packed(**fields) -> bytes:
    return gzip.compress(wet_files.record(GOOD[3]._replace(**fields)), mtime=0)


# name: (the file's bytes, where the damage is, what is said of it, pages that are lost)
def damages() -> dict[str, tuple[bytes, int, str, set[str]]]:
    lost = {GOOD[3].url}
    truncated = b"".join(body())[:-40]
    return {
        "cut short": (truncated, offset_of(body(), 6), "cut short", {GOOD[5].url}),
        "a bad byte": (*joined(body(), changed=4, by=bad_byte), "bad gzip data", lost),
        "garbage between members": (*joined(body(), changed=4, by=lambda m: b"garbage" * 9 + m), "63 bytes that are not gzip", set()),
        "invalid UTF-8": (*joined(body(), changed=4, by=lambda _: packed(text=b"caf\xe9 \xff. " * 90)), "invalid UTF-8", lost),
        "no URL": (*joined(body(), changed=4, by=lambda _: packed(url=None)), "no url", lost),
        "no date": (*joined(body(), changed=4, by=lambda _: packed(date=None)), "no date", lost),
        "an empty file": (b"", 0, "the file is empty", {page.url for page in GOOD}),
        "an HTML error page": (
            b"<!DOCTYPE html><html><body><h1>503 Slow Down</h1></body></html>\n", 0,
            "this is not a WET file: it holds HTML", {page.url for page in GOOD},
        ),
        "a gzipped HTML error page": (
            gzip.compress(b"<html><body>Access Denied</body></html>"), 0, "this is not a WET file", {page.url for page in GOOD}
        ),
    }  # fmt: skip


# What WARC's own reading notices besides: TFDS never looks at the length.
def wrong_lengths() -> dict[str, tuple[bytes, int, str, set[str]]]:
    lost = {GOOD[3].url}
    size = len(GOOD[3].text.encode())
    return {
        name: (*joined(body(), changed=4, by=lambda _: packed(length=length)), said, lost)
        for name, length, said in (
            (
                "a length too large",
                size + 1000,
                f"its Content-Length is {size + 1000:,}, but {size + 4:,} bytes follow",
            ),
            (
                "a length too small",
                size - 100,
                f"its Content-Length is {size - 100:,}, but no record starts behind that",
            ),
            ("a length that is no number", "many", "its Content-Length is 'many'"),
            ("a huge length", 10**12, "its Content-Length is 1,000,000,000,000, but fewer bytes follow"),
        )
    }


@pytest.mark.parametrize(
    "rules, name",
    [(rules, name) for rules in RULES for name in damages()] + [("paper", name) for name in wrong_lengths()],
)
def test_a_damaged_input_is_named_with_its_offset_and_the_rest_comes_through(tmp_path, rules, name):
    data, offset, said, lost = (damages() | wrong_lengths())[name]
    (tmp_path / "damaged.warc.wet.gz").write_bytes(data)
    others = wet_files.pages(100, 5)
    wet_files.write_wet(tmp_path / "whole.warc.wet.gz", others)
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    done = run_command(
        "build", tmp_path, "--out", tmp_path / "out", "--rules", rules, "--format", "jsonl", "--workers", 1,
        "--badwords", tmp_path / "bad.txt", "--variants", "en.noclean",
    )  # fmt: skip
    assert done.code == 1
    (line,) = done.error_lines
    assert line.startswith(f"damaged: {tmp_path}/damaged.warc.wet.gz at byte {offset:,}: ")
    assert said in line
    (folder,) = (tmp_path / "out/c4/en.noclean").iterdir()
    urls = {
        json.loads(row)["url"] for path in folder.glob("*.json.gz") for row in gzip.open(path, "rt", encoding="utf-8")
    }
    assert urls == {page.url for page in (*GOOD, *others)} - lost
    summary = json.loads((folder / "c4build.json").read_text())
    assert [(entry["offset"], Path(entry["input"]).name) for entry in summary["damaged"]] == [
        (offset, "damaged.warc.wet.gz")
    ]
    assert summary["pages"] == summary["kept"] + sum(summary["dropped"].values())


def read(data: bytes, rules: str) -> tuple[list[Page], list[Damage]]:
    found = [*map(as_page, read_pages(io.BytesIO(data), RECORDS[rules], 190_000))]
    return [item for item in found if type(item) is Page], [item for item in found if type(item) is Damage]


@settings(max_examples=200, deadline=None)
@given(st.data())
@pytest.mark.parametrize("rules", RULES)
def test_flipped_bytes_lose_no_page_but_those_they_are_in_and_are_always_told(rules, data):
    parts = body()
    whole = bytearray(b"".join(parts))
    flips = data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=3, unique=True))
    for at in flips:
        whole[at] ^= data.draw(st.integers(1, 255))
    pages, damaged = read(bytes(whole), rules)
    hit = {
        index for index in range(len(parts)) for at in flips if 0 <= at - offset_of(parts, index) < len(parts[index])
    }
    found = {(page.url, page.text) for page in pages}
    assert {(page.url, page.text) for index, page in enumerate(GOOD, 1) if index not in hit} <= found
    # A flip in a gzip header (its time, its operating system) harms nothing.
    if found != {(page.url, page.text) for page in GOOD}:
        assert damaged
    assert found <= {(page.url, page.text) for page in GOOD}, "a damaged page came through"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**9), st.booleans())
@pytest.mark.parametrize("rules", RULES)
def test_a_file_cut_anywhere_gives_the_pages_before_the_cut(rules, place, by_record):
    parts = body()
    whole = b"".join(parts) if by_record else gzip.compress(b"".join(map(gzip.decompress, parts)), mtime=0)
    cut = place % len(whole)
    pages, damaged = read(whole[:cut], rules)
    if by_record:
        complete = sum(offset_of(parts, index + 1) <= cut for index in range(1, len(parts)))
        assert [page.url for page in pages] == [page.url for page in GOOD[:complete]]
        assert damaged or cut in {offset_of(parts, index) for index in range(1, len(parts) + 1)}
    else:
        assert damaged
        assert {(page.url, page.text) for page in pages} <= {(page.url, page.text) for page in GOOD}


@pytest.mark.parametrize("seed", range(5))
def test_warcio_and_fastwarc_read_the_same_records(seed):
    choose = random.Random(seed)
    written = [
        Written(f"http://example.org/{number}", "".join(choose.choices("aé漢\U0001f98a .\n\r\tWARC/1.0", k=choose.randrange(1, 3000))) + "x")
        for number in range(50)
    ]  # fmt: skip
    data = b"".join(wet_files.members(written))
    pages, damaged = read(data, "paper")
    assert damaged == []
    ours = [(page.url, page.timestamp, page.text) for page in pages]
    assert len(ours) == 50

    def lines(content: bytes) -> str:
        text = content.decode().replace("\r\n", "\n").replace("\r", "\n")
        return "\n".join(line.strip() for line in text.split("\n") if line.strip())

    by_warcio = [
        (record.rec_headers["WARC-Target-URI"], record.rec_headers["WARC-Date"], lines(record.content_stream().read()))
        for record in WarcioIterator(io.BytesIO(data))
        if record.rec_type == "conversion"
    ]
    by_fastwarc = [
        (record.headers["WARC-Target-URI"], record.headers["WARC-Date"], lines(record.reader.read()))
        for record in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.conversion)
    ]
    assert ours == by_warcio == by_fastwarc


def test_the_real_crawl_has_the_records_that_fastwarc_finds(shared):
    data = (shared / "wet/crawl-0.warc.wet.gz").read_bytes()
    urls = [
        record.headers["WARC-Target-URI"]
        for record in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.conversion)
    ]
    found = [*map(as_page, read_pages(io.BytesIO(data), "warc", 190_000))]
    assert len([item for item in found if type(item) is not Damage]) == len(urls) > 1000
    ours = [item.url for item in found if type(item) is Page]
    assert ours == [url for url in urls if url in set(ours)]


HUGE = 300_000_000
SHAPES = {"lines": b"one line of a page that never ends.\n" * 29_127, "one line": b"word " * 209_715}


@pytest.fixture(scope="module", params=SHAPES)
def huge(request, tmp_path_factory) -> Path:
    """A WET file with one record of 300 MB among good ones."""
    block = SHAPES[request.param]
    count = HUGE // len(block) + 1
    path = tmp_path_factory.mktemp("huge") / "huge.warc.wet.gz"
    with open(path, "wb") as file:
        file.write(b"".join(wet_files.members(GOOD[:3])))
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as member:
            head = wet_files.record(Written("http://example.org/huge", b"", length=count * len(block)))
            member.write(head.removesuffix(b"\r\n\r\n"))
            for _ in range(count):
                member.write(block)
            member.write(b"\r\n\r\n")
        file.write(b"".join(wet_files.members(GOOD[3:])[1:]))
    return path


@pytest.mark.parametrize("rules", RULES)
def test_a_record_of_300_mb_is_dropped_in_bounded_memory(huge, rules):
    code = f"""
import resource
from c4build.read.wet import read_pages
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
import io
before = peak()
found = list(read_pages(open({str(huge)!r}, "rb"), {RECORDS[rules]!r}, 190_000))
print(*(item.url if hasattr(item, "url") else item.reason for item in found if hasattr(item, "url") or hasattr(item, "reason")))
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, grown = done.stdout.splitlines()
    warcinfo = ["no_url"] if rules == "c4-3.1.0" else []
    assert said.split() == warcinfo + [page.url for page in GOOD[:3]] + ["too_long"] + [page.url for page in GOOD[3:]]
    assert int(grown) < 100, "megabytes"


def test_counts_that_do_not_add_up_end_the_run(sources, tmp_path):
    """A page that is lost after it was cleaned is noticed: here a page file is written without one of its rows."""
    build(sources.request(tmp_path, shards=2))
    page_file = str(sorted(tmp_path.glob(".c4build/pages-*/*.pages"))[0])
    rows = []
    with read_table(page_file) as pages, read_table(key_file(page_file)) as keys:
        report = Report(**pages.fields)
        for at in range(len(pages.groups)):
            rows += [{**page, **key} for page, key in zip(pages.read(at).to_pylist(), keys.read(at).to_pylist())]
    waiting = PlainRows()
    with open_page_file(page_file, waiting, samples=False) as table:
        for row in rows[1:]:
            waiting.add(Row(**row), 0)
        table.flush()
        table.tell(report._replace(rows=table.row, keys=table.key, content=table.content(), samples=0))
    for path in (
        *tmp_path.rglob("dataset_info.json"),
        *tmp_path.rglob("c4build.json"),
        *tmp_path.glob(".c4build/units/*/*"),
    ):
        path.unlink()
    with pytest.raises(CountsError, match="93 pages went in, but .* the output is not to be trusted"):
        build(sources.request(tmp_path, shards=2, samples=0))
    assert not list(tmp_path.rglob("dataset_info.json"))


def test_an_unfinished_build_of_an_older_format_is_gone_on_with_by_page_files_of_ones_own(sources, tmp_path):
    """Whatever the older ones hold: their folder has another name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clean, "FORMAT", clean.FORMAT - 1)
        clean._track_keys.cache_clear()
        build(sources.request(tmp_path, shards=2))
    clean._track_keys.cache_clear()
    wanted, (older,) = made(tmp_path), tmp_path.glob(".c4build/pages-*")
    for path in older.glob("part-*"):
        path.write_bytes(b"PAR1")
    for path in (
        *tmp_path.rglob("c4build.json"),
        *tmp_path.rglob("dataset_info.json"),
        *tmp_path.glob(".c4build/units/*/*"),
    ):
        path.unlink()
    said = build(sources.request(tmp_path, shards=2))
    assert made(tmp_path) == wanted and not any(variant["made_again"] for variant in said.values())
    assert len(list(tmp_path.glob(".c4build/pages-*/part-*.pages"))) == 2 * len(sources.wet)


def test_counts_add_up_for_every_variant(sources, tmp_path):
    for variant, said in build(sources.request(tmp_path, rules="c4-3.1.0")).items():
        assert variant in VARIANTS
        assert said["pages"] == said["kept"] + sum(said["dropped"].values()) > 0
        assert said["kept"] == sum(said["splits"].values())


def test_an_error_that_nobody_thought_of_costs_its_page_or_the_rest_of_its_input_and_no_other(
    sources, tmp_path, monkeypatch
):
    """Errors of c4build itself, such as the first release's over a length of 5,000 digits."""
    (tmp_path / "list.txt").write_text("another.example.org\n")
    asked = {"variants": ["en"], "exclude": str(tmp_path / "list.txt")}
    whole = build(sources.request(tmp_path / "whole", **asked))["en"]

    def read(file, *rest):
        for found in read_pages(file, *rest):
            if getattr(found, "url", "") == "http://news.example.com/page-30":
                raise ValueError("\x1b[31mboo")
            yield found

    def excluded(url):
        if url == "example.org/bad":
            raise ZeroDivisionError("of a page")
        return ""

    monkeypatch.setattr("c4build.flow.clean.read_pages", read)
    monkeypatch.setattr("c4build.flow.pages.exclude_test", lambda entries: excluded)
    said = build(sources.request(tmp_path / "out", **asked))["en"]
    told = {entry["input"]: entry for entry in said["damaged"]}
    assert set(told) == set(sources.wet[:2])
    assert "ValueError: \\x1b[31mboo" in told[sources.wet[0]]["what"] and told[sources.wet[0]]["offset"] > 0
    assert "http://example.org/bad: it cannot be judged: ZeroDivisionError" in told[sources.wet[1]]["what"]
    assert said["pages"] == whole["pages"] - 10 and said["dropped"]["damaged"] == 1
    assert said["kept"] + sum(said["dropped"].values()) == said["pages"]
