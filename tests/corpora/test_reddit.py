"""Reddit's dumps to URLs: each kind of submission, each compression, each kind of damage."""

import bz2
import gzip
import json
import lzma
from collections import Counter

import corpora_material as material
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.corpora.reddit import REASONS, judge_url, outbound_link
from c4build.read.gz import Damage
from c4build.read.reddit import read_submissions
from c4build.rules.urls import normalize_url


def post(url="http://example.com/a", score=3, **fields) -> dict:
    return {"id": "x", "url": url, "score": score, "is_self": False, "domain": "example.com", **fields}


@pytest.mark.parametrize(
    "submission, reason, url",
    [
        (post(), "kept", "example.com/a"),
        (post(score=2), "low_score", None),
        (post(score=4000), "kept", "example.com/a"),
        (post(score=-5), "low_score", None),
        (post(score=None), "no_score", None),
        (post(score="12"), "no_score", None),
        (post(score=True), "no_score", None),
        ({"url": "http://example.com/a"}, "no_score", None),
        ({"score": 10}, "no_url", None),
        ({}, "no_url", None),
        (post(url=None), "no_url", None),
        (post(url=""), "no_url", None),
        (post(url="[deleted]"), "no_url", None),
        (post(url=17), "no_url", None),
        (post(author="[deleted]", selftext="[deleted]"), "kept", "example.com/a"),  # deleted, but it was shared
        (post(is_self=True), "self_post", None),
        (post(domain="self.books", is_self=None), "self_post", None),
        (post("/r/books/comments/abc/title/", crosspost_parent="t3_abc"), "within_reddit", None),
        (post("https://old.reddit.com/r/x"), "within_reddit", None),
        (post("https://i.redd.it/abc.png"), "within_reddit", None),
        (
            post("https://example.org/story", crosspost_parent="t3_a", crosspost_parent_list=[{"score": 1}]),
            "kept",
            "example.org/story",
        ),
        (post("https://i.imgur.com/abc"), "media_host", None),
        (post("https://IMGUR.com/gallery/abc"), "media_host", None),
        (post("https://www.youtube.com/watch?v=1"), "media_host", None),
        (post("https://notimgur.com/abc"), "kept", "notimgur.com/abc"),
        (post("http://example.com/cat.JPG"), "media_file", None),
        (post("http://example.com/paper.pdf?x=1"), "media_file", None),
        (post("http://example.com/cat.jpg.html"), "kept", "example.com/cat.jpg.html"),
        (post("ftp://example.com/a"), "not_web", None),
        (post("javascript:alert(1)"), "not_web", None),
        (post("magnet:?xt=urn"), "not_web", None),
        (post("example.com/a"), "bad_url", None),
        (post("http://"), "bad_url", None),
        (post("http://[::1"), "bad_url", None),
        (post("http://localhost/x"), "bad_url", None),
        (post("http://example.com:port/"), "bad_url", None),
        (post("http://a..b\u2024\u2024.com/"), "bad_url", None),
        ([1, 2], "broken_line", None),
        ("text", "broken_line", None),
        (None, "broken_line", None),
    ],
)
def test_each_submission_is_kept_or_left_out_for_one_reason(submission, reason, url):
    assert outbound_link(submission) == (reason, url)
    assert reason in REASONS


@pytest.mark.parametrize(
    "url, normalized",
    [
        ("https://www.example.com/page/?utm_source=reddit", "example.com/page"),
        ("HTTP://WWW.Example.COM/Page/", "example.com/Page"),
        ("http://example.com", "example.com"),
        ("http://example.com/?id=1&amp;utm_source=x", "example.com/?id=1&utm_source=x"),
        ("http://example.com/a?reference=1", "example.com/a"),
        ("http://example.com/a?feed=rss", "example.com/a"),
        ("http://example.com/a#part", "example.com/a"),
        ("  http://example.com/a b  ", "example.com/a%20b"),
        ("http://example.com:80/a", "example.com/a"),
        ("https://example.com:8443/a", "example.com:8443/a"),
        ("http://b\u00fccher.example/caf\u00e9?q=\u00fc", "xn--bcher-kva.example/caf%C3%A9?q=%C3%BC"),
        ("http://www.M\u00dcNCHEN.de/", "xn--mnchen-3ya.de"),
        ("http://stra\u00dfe.de/", "xn--strae-oqa.de"),
        ("http://\u4f8b\u3048.jp/\u9801", "xn--r8jz45g.jp/%E9%A0%81"),
        ("http://example.com/%E9%A0%81%zz", "example.com/%E9%A0%81%zz"),
        ("http://web.archive.org/web/2010/http://www.example.com/", "web.archive.org/web/2010/example.com"),
    ],
)
def test_a_url_is_spelt_as_the_pipeline_spells_those_of_common_crawl(url, normalized):
    assert judge_url(url) == ("kept", normalized)


@given(st.text(max_size=60).map(lambda tail: "http://example.com/" + tail))
def test_any_url_becomes_ascii_that_normalising_again_leaves_alone(url):
    reason, normalized = judge_url(url)
    if reason == "kept":
        assert normalized.isascii() and not any(char.isspace() for char in normalized)
        assert normalized.startswith("example.com")
        again = judge_url("http://" + normalized)
        assert again.url in (normalized, normalize_url(normalized))


@settings(max_examples=300)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda inner: st.dictionaries(
    st.sampled_from(["url", "score", "is_self", "domain", "x"]), inner, max_size=4)))  # fmt: skip
def test_any_json_at_all_comes_to_one_of_the_reasons(value):
    assert outbound_link(value).reason in REASONS


LINES = [
    post("https://www.example.com/one/?utm_campaign=a", 3),
    post("http://example.com/two", 2),
    post("http://example.com/three", 99),
    post("https://i.imgur.com/x.png", 500),
    post("http://example.com/four", 5, is_self=True),
    post("http://example.com/five", 12),
]
DUMP = b"".join(json.dumps(line).encode() + b"\n" for line in LINES)
KEPT = ["example.com/one", "example.com/three", "example.com/five"]


def long_zstd(data: bytes) -> bytes:
    """A frame as `zstd --long=31 --ultra` makes it: a window of 2 GB."""
    parameters = zstandard.ZstdCompressionParameters(window_log=31, compression_level=1, write_checksum=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(data) + packer.flush()


PACKERS = {"zst": long_zstd, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "json": bytes}


def links(path):
    found = list(read_submissions(material.source(path)))
    judged = [outbound_link(entry.post) for entry in found if not isinstance(entry, Damage)]
    damages = [tuple(entry[:2]) for entry in found if isinstance(entry, Damage)]
    return [link.url for link in judged if link.url], Counter(link.reason for link in judged), damages


@pytest.mark.parametrize("ending", PACKERS)
def test_each_compression_gives_the_same_urls_whatever_the_files_name(tmp_path, ending):
    path = tmp_path / "RS_2018-08"
    path.write_bytes(PACKERS[ending](DUMP))
    assert links(path) == (KEPT, {"kept": 3, "low_score": 1, "media_host": 1, "self_post": 1}, [])


def test_the_window_of_the_zstd_files_here_is_two_gigabytes():
    assert zstandard.get_frame_parameters(long_zstd(DUMP)).window_size == 1 << 31


@pytest.mark.parametrize("ending", PACKERS)
def test_several_frames_with_a_line_across_them_read_as_one(tmp_path, ending):
    path = tmp_path / "dump"
    cut = DUMP.index(b"three")
    path.write_bytes(PACKERS[ending](DUMP[:cut]) + PACKERS[ending](DUMP[cut:].rstrip(b"\n")))
    assert links(path)[0] == KEPT and links(path)[2] == []


@pytest.mark.parametrize("ending, what", [
    ("zst", "the file is cut short within zstd data"), ("gz", "the file is cut short within a gzip member"),
    ("bz2", "the file is cut short within a bzip2 stream"), ("xz", "the file is cut short within xz data"),
])  # fmt: skip
def test_a_truncated_frame_keeps_the_lines_before_and_tells_its_place(tmp_path, ending, what):
    path = tmp_path / "dump"
    whole = PACKERS[ending](DUMP)
    path.write_bytes(whole + whole[: len(whole) // 2])
    kept, counts, damages = links(path)
    assert kept[:3] == KEPT and counts["broken_line"] == 0
    assert damages == [(len(whole), what)]


@pytest.mark.parametrize("ending", ["zst", "gz", "bz2", "xz"])
def test_behind_a_bad_frame_the_next_ones_are_read(tmp_path, ending):
    path = tmp_path / "dump"
    bad = bytearray(PACKERS[ending](DUMP))
    for at in range(len(bad) // 2, len(bad) // 2 + 20):
        bad[at] ^= 0xA5
    path.write_bytes(PACKERS[ending](DUMP) + bytes(bad) + PACKERS[ending](DUMP))
    kept, _counts, damages = links(path)
    assert kept[:3] == KEPT and kept[-3:] == KEPT and len(kept) < 9
    assert len(damages) == 1 and len(PACKERS[ending](DUMP)) <= damages[0][0] <= 2 * len(PACKERS[ending](DUMP))


def test_broken_lines_are_counted_and_told_with_their_number(tmp_path):
    path = tmp_path / "dump.json"
    lines = DUMP.splitlines()
    path.write_bytes(
        b"\n".join([lines[0], b'{"url": "http://a.b/c", "sco', b"", b"\xff\xfe", b"[]", lines[2], b"[" * 100_000])
    )
    kept, counts, damages = links(path)
    assert kept == ["example.com/one", "example.com/three"]
    assert counts == {"kept": 2, "broken_line": 4}
    assert [what.partition(":")[0] for _, what in damages] == [
        "line 2 is not a JSON object", "line 4 is not a JSON object", "line 5 is not a JSON object", "line 7 is not a JSON object",
    ]  # fmt: skip


def test_an_empty_dump_is_a_damage_not_a_crash(tmp_path):
    path = tmp_path / "dump.zst"
    path.write_bytes(b"")
    assert links(path) == ([], {}, [(0, "the file is empty")])


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(PACKERS)), st.data())
def test_whatever_bytes_change_every_url_that_comes_out_was_in_the_dump(tmp_path_factory, ending, data):
    whole = bytearray(PACKERS[ending](DUMP) * 2)
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        del whole[at:]
    else:
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("broken") / "dump"
    path.write_bytes(whole)
    kept, _, damages = links(path)
    if ending == "json":
        return  # nothing checks the bytes of a plain file
    assert len(kept) == 6 or damages or not whole or len(whole) in (0, len(PACKERS[ending](DUMP)))
    if ending != "zst":  # zstd's checksum stands at the end of what was handed on already
        assert set(kept) <= set(KEPT)
