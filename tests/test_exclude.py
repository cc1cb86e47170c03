"""`--exclude`: what a list names is left out, under a rule of its own, and the counts add up."""

from urllib.parse import urlsplit

import pytest
import wet_files
from builds import build
from command import run_command
from hypothesis import given
from hypothesis import strategies as st

from c4build.corpora.c4 import prepare
from c4build.corpora.examples import find_shards, read_shard
from c4build.rules.exclude import entries_in, exclude_test
from c4build.rules.tables import RULE_SETS
from c4build.rules.urls import normalize_url
from c4build.write.lock import unlock

LIST = """
# asked to be left out
https://www.example.org/page-7/
example.org/page-3   # both copies of it
news.example.com
*.example.net
"""


def is_named(url: str) -> bool:
    """By the parser of the standard library."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return (
        (parts.hostname == "example.org" and path in ("/page-7", "/page-3"))
        or parts.hostname == "news.example.com"
        or f".{parts.hostname}".endswith(".example.net")
    )


def kept(manifest) -> set[tuple[str, str]]:
    shards = find_shards(manifest["folder"])
    return {(example["url"], example["text"]) for shard in shards for example in read_shard(shard)}


@pytest.mark.parametrize("rules", ["paper", "c4-3.1.0"])
def test_named_pages_are_left_out_and_counted_as_if_they_had_never_been_there(rules, sources, tmp_path):
    named, left = tmp_path / "optout.txt", tmp_path / "left"
    named.write_text(LIST)
    request = sources.request(tmp_path / "out", rules=rules, format="jsonl", exclude=str(named))
    made = build(request)
    left.mkdir()
    pages = _pages(rules, sources.wet)
    inputs = [
        wet_files.write_wet(left / f"{number}.warc.wet.gz", [page for page in file if not is_named(page.url)])
        for number, file in enumerate(pages)
    ]
    without = build(request._replace(inputs=inputs, out=str(tmp_path / "without"), exclude=None))
    count = sum(is_named(page.url) for file in pages for page in file)
    assert count > 30
    for name, manifest in made.items():
        dropped = dict(manifest["dropped"])
        assert dropped.pop("excluded") == count, name
        assert dropped == without[name]["dropped"], name
        assert (
            manifest["pages"] == without[name]["pages"] + count == manifest["kept"] + sum(manifest["dropped"].values())
        )
        assert kept(manifest) == kept(without[name]), name
    assert made["en"]["excluded"]["entries"] == 4


def _pages(rules: str, paths) -> list[list[wet_files.Written]]:
    from c4build.read.gz import Damage
    from c4build.read.wet import read_pages
    from c4build.read.wet_pages import Dropped

    found = []
    for path in paths:
        with open(path, "rb") as file:
            read = read_pages(file, RULE_SETS[rules].records, 190_000)
            empty = [wet_files.Written("http://example.org/empty", "")] if path == paths[1] else []
            found.append(
                [
                    wet_files.Written(page.url, page.body, page.timestamp)
                    for page in read
                    if not isinstance(page, Dropped | Damage)
                ]
                + empty
            )
    return found


def test_it_is_a_corpus_of_its_own_and_told_by_every_command(sources, tmp_path):
    named = tmp_path / "optout.txt"
    named.write_text(".example.com\n")
    line = ["build", *sources.wet, "--out", tmp_path / "out", "--badwords", sources.bad_words, "--workers", 1]
    done = run_command(*line, "--exclude", named)
    assert done.code == 0 and any(
        part.split() == ["│", "-", "excluded", "│", "11", "│"] for part in done.out.splitlines()
    )
    for other in ([], ["--exclude", named]):
        named.write_text("example.org\n")
        again = run_command(*line, *other)
        assert again.code == 2 and "holds a corpus with another list of excluded: give another --out" in again.err
    told = run_command("explain", sources.wet[0], "--record", 1, "--exclude", named)
    assert told.out.splitlines()[-1] == "dropped by the entry example.org: excluded (rules paper, variant en)"


def test_why_inputs_are_read_again_for_another_list_is_told(sources, tmp_path):
    for name, text in {"A": "example.org\n", "B": "example.net\n", "bad": "harvest\n"}.items():
        (tmp_path / name).write_text(text)
    request = sources.request(tmp_path / "out", variants=("en",), exclude=str(tmp_path / "A"), overwrite=True)
    build(request)

    def told(**changes) -> str:
        said: list[str] = []
        unlock(prepare(request._replace(**changes), said.append).plan.run.work)
        (line,) = said
        return line.removeprefix("3 inputs are read again for ")

    assert told(exclude=None) == "en: the page files were made with --exclude"
    assert told(exclude=str(tmp_path / "B")) == "en: the page files were made with another --exclude list"
    assert told(bad_words=str(tmp_path / "bad")) == "en: the page files were made with another --badwords list"
    assert told(variants=("en.noclean",)) == "en.noclean: the page files lack the raw text"


ENTRIES = [
    "a.org",
    "www.b.org",
    ".c.org",
    "*.d",
    "https://e.org/x?y=1",
    "e.org/y/",
    "b\u00fccher.example",
    "https://f.org/",
]
CASES = {
    "http://a.org/": "a.org", "https://WWW.A.org:8080/x": "a.org", "http://sub.a.org/": "", "http://user@a.org/x": "a.org",
    "http://b.org": "www.b.org", "http://c.org/x": ".c.org", "http://x.y.c.org/x": ".c.org", "http://xc.org/": "",
    "http://x.d/": ".d", "http://d/": ".d", "http://e.org/x?y=1": "https://e.org/x?y=1", "http://e.org/x": "",
    "https://www.E.org/y": "e.org/y/", "http://e.org/Y": "", "http://xn--bcher-kva.example/": "b\u00fccher.example",
    "http://f.org/": "https://f.org/", "http://f.org/x": "", "ftp://www.a.org/x": "a.org", "": "", "http://": "",
}  # fmt: skip


@pytest.mark.parametrize("url, entry", CASES.items(), ids=CASES)
def test_an_entry_names_a_page_a_host_or_all_below_a_name(url, entry):
    assert exclude_test(entries_in("\n".join(ENTRIES)))(normalize_url(url)) == entry


@given(st.text(max_size=40))
def test_any_address_can_be_asked_for(url):
    assert exclude_test(["a.org", ".b", "c.org/x"])(url) in ("a.org", ".b", "c.org/x", "")


@pytest.mark.parametrize(
    "text, said",
    [("a.org\nb org\n", "line 2 is no URL, host or suffix: 'b org'"), ("# none\n\n", "it names no page"), ("https:///x", "line 1 is")],
)  # fmt: skip
def test_a_list_that_names_nothing_is_refused_in_a_line(text, said, tmp_path, sources):
    (tmp_path / "list.txt").write_text(text)
    done = run_command("build", *sources.wet, "--out", tmp_path / "out", "--exclude", tmp_path / "list.txt")
    assert done.code == 2 and f"--exclude {tmp_path}/list.txt: {said}" in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
