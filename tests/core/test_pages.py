"""Page files made by the compiled way beside those made in Python: the same bytes."""

import random
import shutil
import sys
import threading
from pathlib import Path

import pytest
import wet_files

from c4build.compiled import core
from c4build.dedup.keys import plain_url_key
from c4build.flow.clean import Cleaner, CleanSettings, tracks_of
from c4build.flow.pages import CompiledPages, PageRules, PlainPages, pages_of
from c4build.read.paths import identify
from c4build.read.wet import read_pages
from c4build.rules.tables import RULE_SETS, choose_variants
from c4build.sample.resources import sample_folder

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)

VARIANTS = ["en", "en.noblocklist", "en.noclean", "realnewslike", "webtextlike"]
USING_IT = ("rules.steps", "dedup.units", "read.wet")


def odd_file(path: Path) -> str:
    """Pages that are read in Python, and others that are not, among damaged ones."""
    choose = random.Random(8)
    written = wet_files.pages(0, 20) + wet_files.pages(20, 10, "news.example.com")
    of_news = (
        "NEWS.example.com#a",
        "news.example.com?b",
        "news.example.com:80/c",
        "me@news.example.com/d",
        "news.example.com./e",
        "news.example.com",
        "example.com",
        "news.example.com%2f",
        "193.0.0.1/",
        "n\u00e9ws.example.com/f",
        "news..example.com../g",
        "anexample.com/h",
        "localhost/i",
        "127.0.0.1/j",
        ".com/k",
        "..",
    )
    written += [wet_files.Written(f"http://{url}", wet_files.text(60 + n)) for n, url in enumerate(of_news)]
    written += [
        wet_files.Written("http://example.org/x?utm_x=1\u00e9\u2028/", wet_files.text(31) + "\r\nThe caf\u00e9 was closed again.\r"),
        wet_files.Written("http://example.org/header", "Content-Length: 3\r\n" + wet_files.text(32)),
        wet_files.Written("http://example.org/merged", wet_files.text(33) + "\nWARC/1.0\nWARC-Date: 2020\n" + wet_files.text(34)),
        wet_files.Written("http://example.org/length", wet_files.text(35), length=7),
        wet_files.Written("http://example.org/page-3", wet_files.text(36), "2020-01-01T00:00:00Z"),
        wet_files.Written("http://left.example.net/", wet_files.text(37)),
        wet_files.Written("http://example.org/lorem", wet_files.text(38) + "\nThe words lorem ipsum stand for text to come."),
        wet_files.Written("http://example.org/code", wet_files.text(39) + "\nThe braces {like these} are for programmers."),
        wet_files.Written("http://example.org/short", wet_files.text(40, 2)),
        wet_files.Written("http://example.org/foreign", "Die Katze lag den ganzen Tag auf dem warmen Ofen.\n" * 8),
        wet_files.Written("http://example.org/bad", wet_files.text(41) + "\nNobody called him a blorptastic fellow before."),
        wet_files.Written("http://example.org/large", "\n".join(wet_files.text(seed) for seed in range(50, 150))),
        wet_files.Written(None, wet_files.text(42)),
        wet_files.Written("http://example.org/empty", ""),
        wet_files.Written("http://example.org/no-utf8", b"caf\xe9"),
    ]  # fmt: skip
    choose.shuffle(written)
    members = wet_files.members(written)
    members.insert(9, members[9][:-9])
    path.write_bytes(b"".join(members))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("wet")
    plain = folder / "plain.warc.wet"
    plain.write_bytes(b"".join(map(wet_files.record, wet_files.pages(200, 300, "paper.example.net"))))
    return [odd_file(folder / "odd.warc.wet.gz"), str(plain), str(sample_folder() / "sample.warc.wet.gz")]


def made(settings: CleanSettings, way: type, files: list[str], folder: Path) -> dict:
    """What comes of each file: the bytes of all that is written, and the report."""
    cleaner, found = Cleaner(settings), {}
    assert type(cleaner._pages) is way
    folder.mkdir()  # in its place again, as page files name it
    for number, path in enumerate(files):
        report = cleaner.clean(identify(path), str(folder / f"{number}.pages"))
        found[number] = report
    found |= {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    return found


@pytest.mark.parametrize("rules", ["c4-3.1.0", "paper", pytest.param("paper-final", marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", [{}, {"samples": 3, "provenance": True}, {"samples": 3, "excluded": "example.net\n.left.example.net", "write_dropped": "jsonl"}], ids=["alone", "samples", "dropped"])  # fmt: skip
def test_both_ways_make_the_same_page_files(rules, options, files, tmp_path, monkeypatch):
    tracks, _ = tracks_of(RULE_SETS[rules], choose_variants(VARIANTS))
    domains = '{"example.com": true, "example.net": ["paper"], "localhost.": true, "127.0.0.1.": true, ".com": true}'
    settings = CleanSettings(RULE_SETS[rules], tracks, ("blorptastic",), domains, **options)
    compiled = made(settings, CompiledPages, files, tmp_path / "pages")
    for module in USING_IT:
        monkeypatch.setattr(f"c4build.{module}.core", None)
    monkeypatch.setattr("c4build.flow.pages.url_key", plain_url_key)
    plain = made(settings, PlainPages, files, tmp_path / "pages")
    assert compiled.keys() == plain.keys() and len(compiled) >= 3 * len(files)
    assert [compiled[number] for number in range(len(files))] == [plain[number] for number in range(len(files))]
    assert compiled == plain
    counts = compiled[0].counts[settings.track_keys()[0]]
    assert {"damaged", "no_url", "no_content"} <= set(counts) and compiled[0].damages


def test_another_thread_works_while_a_page_is_taken(tmp_path):
    """By itself Python lets no other thread in here for a minute."""
    path = tmp_path / "one.warc.wet"
    path.write_bytes(
        wet_files.record(wet_files.Written("http://example.org/", "\n".join(map(wet_files.text, range(100)))))
    )
    rules = RULE_SETS["c4-3.1.0"]
    tracks, _ = tracks_of(rules, choose_variants(["en"]))
    pages = pages_of(PageRules(rules, tracks, (), None, "", False))
    with open(path, "rb") as file:
        (page,) = read_pages(file, rules.records, rules.max_page_chars)
    pages.begin("one", 0, False)
    go, seen = threading.Lock(), []
    go.acquire()
    other = threading.Thread(target=lambda: (go.acquire(), seen.append(True)))
    other.start()
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(60)
        go.release()
        for number in range(1000):
            pages.take(number, page)
            if seen:
                break
        assert seen
    finally:
        sys.setswitchinterval(before)
        other.join()
