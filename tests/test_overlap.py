"""`overlap` finds the documents that share a span with a corpus and no others, and where the span is."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import wet_files
from builds import build
from command import run_command
from hypothesis import given
from hypothesis import strategies as st

from c4build.corpora.c4 import Request
from c4build.corpora.examples import find_shards, read_shard
from c4build.dedup.spans import SpanFinder, normal_words, places_of_words

WORDS = 13


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A built corpus, and its texts by URL."""
    folder = tmp_path_factory.mktemp("corpus")
    inputs = [
        wet_files.write_wet(folder / f"{number}.warc.wet.gz", wet_files.pages(30 * number, 30)) for number in range(2)
    ]
    manifest = build(Request(list(map(str, inputs)), str(folder / "out"), format="jsonl"))["en"]
    texts = {one["url"]: one["text"] for shard in find_shards(manifest["folder"]) for one in read_shard(shard)}
    assert len(texts) == 60
    return folder / "out", texts


def planted(texts: dict[str, str]) -> tuple[list[dict], dict[int, tuple[str, str]]]:
    """Documents, and of those that hold a copy of 13 words or more: the URL it is from, and the words."""
    choose = random.Random(1)
    documents, copies = [], {}
    for number in range(40):
        own = " ".join(f"own{number}x{word}" for word in range(20))
        url = choose.choice(sorted(texts))
        words = texts[url].split()
        length = choose.choice([WORDS - 1, WORDS, WORDS + 9])
        start = choose.randrange(len(words) - length)
        copy = " ".join(words[start : start + length])
        if length >= WORDS:
            copies[number + 1] = (url, copy)
        if number % 2:
            copy = copy.upper().replace(" ", " -- \n ", 3).replace(",", "")
        documents.append({"question": f"{own} {copy} {own}", "choices": ["one", {"two": own}], "label": number})
    return documents, copies


def test_planted_copies_are_found_and_no_others(corpus, tmp_path):
    out, texts = corpus
    documents, copies = planted(texts)
    assert 10 < len(copies) < 30
    path = tmp_path / "set.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("".join(json.dumps(one) + "\n" for one in documents))
    done = run_command("overlap", out, "--with", path, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["pages"] == 60 and found["words"] == WORDS
    assert found["sets"] == [{"path": str(path), "documents": 40, "too_short": 0, "sharing": len(copies)}]
    assert {one["document"] for one in found["documents"]} == copies.keys()
    for one in found["documents"]:
        url, copy = copies[one["document"]]
        (place,) = [place for place in one["places"] if place["url"] == url]
        assert texts[url][place["start"] : place["end"]] == place["text"]
        assert set(normal_words(copy)) <= set(normal_words(place["text"])) and place["words"] >= len(copy.split())
    shorter = json.loads(run_command("overlap", out, "--with", path, "--json", "--words", 12).out)
    assert shorter["sets"][0]["sharing"] == 40
    done = run_command("overlap", out, "--with", path, "-n", 1)
    assert f"{len(copies)} of 40 documents share a span" in done.out and "which --json has" in done.out


def test_sets_may_be_parquet_texts_and_folders_of_them(corpus, tmp_path):
    out, texts = corpus
    copy = "\n".join(texts["http://example.org/page-7"].split()[:30])
    folder = tmp_path / "sets"
    folder.mkdir()
    (folder / "a.txt").write_text("Some words before.\n" + copy)
    (folder / "b.txt").write_text("A text of its own.")
    rows = [{"text": "nothing of it at all", "id": 1}, {"text": copy, "id": 2}]
    pq.write_table(pa.Table.from_pylist(rows), folder / "c.parquet")
    (folder / "d.json").write_text(json.dumps(rows, indent=1))
    found = json.loads(run_command("overlap", out, "--with", folder, "--json").out)
    sharing = {(Path(one["path"]).name, one["document"]) for one in found["documents"]}
    assert sharing == {("a.txt", 1), ("c.parquet", 2), ("d.json", 2)}
    pages = sum(bool(spans(copy, WORDS) & spans(text, WORDS)) for text in texts.values())
    assert found["pages_sharing"] == pages and {one["pages"] for one in found["documents"]} == {pages}
    assert {Path(one["path"]).name: one["too_short"] for one in found["sets"]} == {
        "a.txt": 0, "b.txt": 1, "c.parquet": 1, "d.json": 1,
    }  # fmt: skip


_texts = st.lists(st.sampled_from(["a", "B", "c,", "--", "\n", "d\u0301", "\u0130", "e's"]), max_size=25).map(" ".join)


def spans(text: str, words: int) -> set[tuple[str, ...]]:
    found = normal_words(text)
    return {tuple(found[start : start + words]) for start in range(len(found) - words + 1)}


@given(st.lists(st.lists(_texts, max_size=3), max_size=6), st.lists(_texts, max_size=5), st.integers(1, 5))
def test_what_is_found_is_what_sets_of_spans_have_in_common(documents, pages, words):
    finder = SpanFinder(documents, words)
    held = [set().union(*(spans(text, words) for text in texts)) for texts in documents]
    assert finder.too_short().tolist() == [not own for own in held]
    for page in pages:
        sharing, found = finder.find(page)
        own = spans(page, words)
        assert sharing.tolist() == [number for number, other in enumerate(held) if own & other]
        assert [one.document for one in found] == sharing.tolist()
        for one in found:
            shared = tuple(normal_words(page)[one.word : one.word + one.words])
            texts = [tuple(normal_words(text)) for text in documents[one.document]]
            assert len(shared) == one.words
            assert any(shared == text[at : at + one.words] for text in texts for at in range(len(text)))
            longer = spans(page, one.words + 1)
            assert not any(longer & spans(text, one.words + 1) for text in documents[one.document])
        places = places_of_words(page)
        assert [normal_words(page[start:stop]) for start, stop in places] == [[word] for word in normal_words(page)]


def test_no_command_of_a_page_reaches_the_terminal(tmp_path):
    odd = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202eback\u2066 is what the old baker of the town always said to us."
    text = wet_files.text(1) + "\n" + odd
    page = wet_files.Written("http://a.org/\x1b[2J\u202e\u2028\u2029\x85\x0b\x1c\u20601", text)
    source = wet_files.write_wet(tmp_path / "a.warc.wet.gz", [page])
    build(Request([str(source)], str(tmp_path / "out")))
    (tmp_path / "\x1b[2Jset.txt").write_text(odd)
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm"}
    for more in ([], ["--json"]):
        done = run_command(
            "overlap", tmp_path / "out", "--with", tmp_path / "\x1b[2Jset.txt", *more, environment=terminal
        )
        assert done.code == 0 and "\\u202e" in done.out
        assert "\x1b[2J" not in done.out and "\x1b[31mred" not in done.out and "\x1b]" not in done.out
        styled = done.out.replace("\n", "") if more else done.out.replace("\x1b[", "").replace("\n", "")
        assert styled.isprintable()


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("none.jsonl", None, "there is no such file or folder"),
        ("bad.jsonl", b'{"a": "b"}\nno JSON\n', "no JSON behind its document 1"),
        ("bad.parquet", b"PAR1 but not for long", "it cannot be read"),
        ("bad.txt", b"\xff\xfe\xff", "it is not UTF-8 text"),
        ("short.txt", b"Only a few words.", "no document has 13 words in a row"),
    ],
)
def test_sets_that_cannot_be_read_are_said_in_a_line(name, content, said, corpus, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = run_command("overlap", corpus[0], "--with", tmp_path / name)
    assert done.code == 2 and f"{tmp_path / name}: {said}" in done.err and len(done.err.splitlines()) == 1
