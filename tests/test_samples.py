"""Samples are what `explain` says, even by the hash of the URL, the same however a build is run, and safe to look at."""

import json
from collections import Counter, defaultdict

import pytest
import wet_files
from builds import VARIANTS, build
from command import run_command
from test_explain import explained

from c4build.corpora.c4 import Request
from c4build.dedup.keys import hash_text
from c4build.errors import CorruptFileError
from c4build.rules.tables import RULE_SETS
from c4build.rules.urls import normalize_url
from c4build.write.samples import read_samples
from c4build.write.verify import verify


def samples(folder, *kinds: str) -> list:
    return [sample for sample in read_samples(folder) if sample.kind in kinds]


def chance(sample) -> int:
    return int.from_bytes(hash_text(normalize_url(sample.url))[:8], "little")


@pytest.mark.parametrize("rules", RULE_SETS)
def test_dropped_and_kept_pages_are_those_that_explain_tells_with_what_tripped_them(rules, sources, tmp_path):
    (tmp_path / "optout.txt").write_text(".example.net\n")
    request = sources.request(tmp_path, rules=rules, exclude=str(tmp_path / "optout.txt"))
    for name, manifest in build(request).items():
        told = [one for one in explained(request._replace(variants=[name]), request.out) if one.page]
        found = samples(manifest["folder"], "dropped_page", "kept_page")
        assert Counter(
            (one.page.url, one.page.timestamp, one.number + 1, one.fate, one.step) for one in told
        ) == Counter((one.url, one.date, one.record, one.rule, one.step) for one in found)
        tripped = {"bad_words": "blorptastic", "curly_bracket": "{", "lorem_ipsum": "lorem ipsum"}
        for sample in found:
            if sample.rule in tripped and rules != "c4-3.1.0":
                start, stop = sample.places[0]
                assert sample.text[start:stop] == tripped[sample.rule]
            assert sample.step == "" or sample.places or sample.why or sample.rule == "nothing_left"


@pytest.mark.parametrize("variants", [["en", "en.noclean"], ["webtextlike"], VARIANTS])
@pytest.mark.parametrize("rules", ["paper", "c4-3.1.0"])
def test_a_few_samples_are_those_of_the_lowest_hashes(rules, variants, sources, tmp_path):
    all_of, few_of = (
        build(sources.request(tmp_path / str(most), rules=rules, samples=most, variants=variants)) for most in (100, 3)
    )
    for name in all_of:
        everything, few = defaultdict(list), defaultdict(list)
        for folder, found in ((all_of[name]["folder"], everything), (few_of[name]["folder"], few)):
            for sample in samples(folder, "dropped_page", "kept_page"):
                found[sample.rule].append(sample)
        assert {rule: found[:3] for rule, found in everything.items()} == few
        assert all(list(map(chance, found)) == sorted(map(chance, found)) for found in everything.values())
        assert few_of[name]["samples"] == 3


def test_lines_are_those_that_explain_tells(sources, tmp_path):
    request = sources.request(tmp_path, rules="c4-3.1.0", variants=["en"])
    (manifest,) = build(request).values()
    told = run_command("explain", sources.wet[1], "--json", "--rules", "c4-3.1.0", "--badwords", sources.bad_words)
    lines = Counter(
        (page["record"], line["text"], line["fate"])
        for page in map(json.loads, told.out.splitlines())
        for line in page.get("lines", [])
        if line["fate"] not in ("kept", "repeated")
    )
    found = [one for one in samples(manifest["folder"], "dropped_line") if one.input == sources.wet[1]]
    assert Counter((one.record, one.text, one.rule) for one in found if one.rule != "repeated") == lines
    repeated = [one for one in found if one.rule == "repeated"]
    assert "http://example.org/same-lines" in {one.url for one in repeated}
    assert all(one.text in wet_files.text(5) for one in repeated if one.url.endswith("same-lines"))


def test_a_page_that_lost_other_lines_in_another_variant_is_shown_as_that_variant_had_it(tmp_path):
    """realnewslike has not the page that keeps a line in `en`; both drop what is left for the same reason."""
    shared, of_news, own = wet_files.sentences(0, 1), wet_files.sentences(1, 6), wet_files.sentences(2, 1)
    left = {"en": own, "realnewslike": shared + own}
    pages = {"http://news.org/news": of_news, "http://news.org/left": shared + of_news[:1] + own}
    for number in range(5):  # one of them keeps what is shared
        pages[f"http://example.org/{number}"] = shared + wet_files.sentences(3 + number, 5)
    written = [wet_files.Written(url, "\n".join(lines)) for url, lines in pages.items()]
    source = wet_files.write_wet(tmp_path / "a.warc.wet.gz", written)
    (tmp_path / "news.json").write_text('{"news.org": true}')
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    request = Request(
        [source], str(tmp_path / "out"), rules="c4-3.1.0", variants=list(left), bad_words=str(tmp_path / "bad.txt"),
        realnews_domains=str(tmp_path / "news.json"),
    )  # fmt: skip
    for name, manifest in build(request).items():
        (found,) = [one for one in samples(manifest["folder"], "dropped_page") if one.url == "http://news.org/left"]
        assert (found.rule, found.text) == ("too_few_sentences_left", "\n".join(left[name]))


def test_no_samples_are_kept_where_none_are_asked_for(sources, tmp_path):
    build(sources.request(tmp_path, samples=0, variants=["en"]))
    assert not list(tmp_path.rglob("*samples*"))
    done = run_command("dropped", tmp_path)
    assert done.code == 2 and "it was made without samples and statistics" in done.err
    assert len(done.err.splitlines()) == 1


def test_more_samples_than_the_page_files_hold_have_the_inputs_read_again(sources, tmp_path):
    build(sources.request(tmp_path, samples=2, variants=["en"]))
    (manifest,) = build(sources.request(tmp_path, samples=9, variants=["en"], overwrite=True)).values()
    assert max(Counter(one.rule for one in samples(manifest["folder"], "kept_page")).values()) == 9


ODD = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202eback\u2066 <script>alert(1)</script> blorptastic{ is what he said."


def test_nothing_of_a_sample_reaches_the_terminal_as_a_command(tmp_path):
    pages = [
        wet_files.Written(
            "http://a.org/\x1b[2J\u202e\u2028\u2029\x85\x0b\x1c\u2060<b>", ODD + "\n" + wet_files.text(1)
        ),
        *wet_files.pages(1, 3),
    ]
    source = wet_files.write_wet(tmp_path / "a.warc.wet.gz", pages)
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    out = tmp_path / "out"
    built = run_command("build", source, "--out", out, "--badwords", tmp_path / "bad.txt", "--format", "parquet")
    assert built.code == 0, built.err
    for more in ([], ["--json"]):
        done = run_command("dropped", out, "--rule", "curly_bracket", *more)
        assert done.code == 0 and "\\u202e" in done.out and "alert(1)" in done.out
        assert done.out.replace("\n", "").isprintable()
    assert run_command("dropped", out, "--rule", "bad_words").out.endswith("no such sample of bad_words\n")
    assert "wet_files" not in run_command("dropped", out, "--kept", "-n", 1).out
    assert verify(str(out / "c4/en/1.0.0")).wrong == []
    (out / "c4/en/1.0.0/_samples.jsonl").write_text("{}\n")
    assert any("_samples.jsonl" in line for line in verify(str(out / "c4/en/1.0.0")).wrong)
    with pytest.raises(CorruptFileError, match="_samples.jsonl: it does not hold what was written"):
        list(read_samples(str(out / "c4/en/1.0.0")))


def test_what_cannot_be_shown_is_said_in_a_line(sources, tmp_path):
    build(sources.request(tmp_path / "out", variants=["en", "en.noclean"]))
    for arguments, said in (
        (["missing"], "missing: no corpus that c4build made lies here"),
        (["out", "--rule", "nope"], "--rule nope: no rule is called so; there are samples of bad_words, "),
        (["out", "--variant", "en.x"], "no complete variant en.x lies there; variants: en, en.noclean"),
        (["out", "--near", "--kept"], "give --near or --kept, not both"),
    ):
        done = run_command("dropped", *arguments, folder=tmp_path)
        assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1
