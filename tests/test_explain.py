"""`explain` gives each page the fate that the build gave it, tells what tripped a rule, and prints nothing that acts."""

import json
import subprocess
import sys
from collections import Counter

import pytest
import wet_files
from adversarial import lines, pack
from adversarial import wet_files as odd_wet_files
from builds import VARIANTS, build
from command import run_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c4build.corpora.c4 import Request
from c4build.corpora.examples import find_shards, read_shard
from c4build.corpora.explain import Explainer, open_source, read_source
from c4build.errors import NothingReadError
from c4build.rules.badwords import bad_word_finder, bad_word_test
from c4build.rules.lines import line_filter, line_judge, lines_of
from c4build.rules.tables import PAGE_PHRASES, RULE_SETS
from c4build.sample.resources import sample_folder

SAMPLE = sample_folder()
_DOMAINS = {"a.org": True, "b.org": ["news"], "c.co.uk": ["", "www"]}


def explained(request: Request, against: str = "") -> list:
    """What `explain` says of all pages of all inputs, in their order."""
    explainer = Explainer.asked(request, against)
    found = []
    for path in sorted(request.inputs):
        source = open_source(str(path))
        found += explainer.explain(list(read_source(source, explainer.rules, [])), source.identity)
    return found


def assert_as_built(request: Request):
    """Counts by rule are those of the manifests, and what is kept is, page by page, what was written."""
    for name, manifest in build(request).items():
        told = explained(request._replace(variants=[name]), request.out)
        fates = Counter(one.fate for one in told)
        assert fates.pop("kept", 0) == manifest["kept"], name
        assert fates == manifest["dropped"], name
        written = Counter(
            (example["url"], example["timestamp"], example["text"])
            for shard in find_shards(manifest["folder"])
            for example in read_shard(shard)
        )
        assert Counter((one.page.url, one.page.timestamp, one.text) for one in told if one.fate == "kept") == written
        assert sum(len(one.repeats) for one in told) == manifest["repeats_removed"]


def of_sample(inputs, out, rules: str) -> Request:
    return Request(
        inputs=list(map(str, inputs)),
        out=str(out),
        rules=rules,
        variants=VARIANTS,
        realnews_domains=str(SAMPLE / "realnews_domains.json"),
        webtext_urls=[str(SAMPLE / "webtext_urls.txt")],
        format="jsonl",
    )


@pytest.mark.parametrize("rules", RULE_SETS)
def test_pages_of_the_sample_have_the_fates_that_the_build_gave_them(rules, tmp_path):
    assert_as_built(of_sample([SAMPLE / "sample.warc.wet.gz"], tmp_path, rules))


@pytest.mark.parametrize("rules", RULE_SETS)
def test_pages_of_several_inputs_have_the_fates_that_the_build_gave_them(rules, tmp_path, sources):
    (tmp_path / "optout.txt").write_text(".example.net\n")
    own = {"leave_one_out": True, "exclude": str(tmp_path / "optout.txt")}
    assert_as_built(sources.request(tmp_path, rules=rules, format="jsonl", **own))


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULE_SETS)
@pytest.mark.parametrize("files", ["articles.warc.wet.gz", "crawl-*.warc.wet.gz"])
def test_real_pages_have_the_fates_that_the_build_gave_them(files, rules, tmp_path, shared):
    assert_as_built(of_sample(sorted((shared / "wet").glob(files)), tmp_path, rules))


def assert_made_up_files_as_built(files, one_member: bool, folder, rules: str):
    folder.mkdir()
    inputs = []
    for number, records in enumerate(files):
        inputs.append(folder / f"{number}.warc.wet.gz")
        inputs[-1].write_bytes(pack(records, one_member))
    (folder / "domains.json").write_text(json.dumps(_DOMAINS))
    (folder / "urls.txt").write_text("https://www.a.org/x/\nd.org/\u00e9\n\n", encoding="utf-8")
    request = of_sample(inputs, folder / "out", rules)
    lists = {"realnews_domains": str(folder / "domains.json"), "webtext_urls": [str(folder / "urls.txt")]}
    try:
        assert_as_built(request._replace(**lists))
    except NothingReadError:
        pass


FILES = st.lists(odd_wet_files(), min_size=1, max_size=2)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=FILES, one_member=st.booleans(), rules=st.sampled_from(sorted(RULE_SETS)))
def test_pages_that_hypothesis_makes_have_the_fates_that_the_build_gave_them(
    files, one_member, rules, tmp_path_factory
):
    assert_made_up_files_as_built(files, one_member, tmp_path_factory.mktemp("made") / "up", rules)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=FILES, one_member=st.booleans(), rules=st.sampled_from(sorted(RULE_SETS)))
def test_many_pages_that_hypothesis_makes_have_the_fates_that_the_build_gave_them(
    files, one_member, rules, tmp_path_factory
):
    assert_made_up_files_as_built(files, one_member, tmp_path_factory.mktemp("made") / "up", rules)


def test_a_page_is_told_line_by_line_with_what_tripped_each_rule(tmp_path):
    kept = wet_files.sentences(1, 5)
    text = [
        "Home", "It goes on and on and on...", "Two words.", "Please switch JavaScript on to see it.", *kept,
        "See our Privacy Policy before you go on.", "It was finished late.[12]",
    ]  # fmt: skip
    source = wet_files.write_wet(tmp_path / "a.warc.wet.gz", [wet_files.Written("http://a.org/x", "\n".join(text))])
    done = run_command("explain", source, "--url", "https://www.a.org/x/", "--rules", "c4-3.1.0")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[1:12]] == [
        "no_end_mark", "no_end_mark", "too_few_words", "javascript", *["kept"] * 5, "policy", "too_few_words",
    ]  # fmt: skip
    assert [line.rpartition("  [")[2] for line in (*lines[1:5], *lines[10:12])] == [
        "e]", "...; it ends in ..., which counts for no end]", "2 words, 5 at least]", "JavaScript]", "Privacy Policy]",
        "4 words, 5 at least]",
    ]  # fmt: skip
    assert lines[-1] == "kept (rules c4-3.1.0, variant en)"
    stricter = run_command("explain", source, "--record", 2, "--rules", "c4-3.1.0", "--set", "min_sentences=6")
    assert "sentences       drops the page: 5 sentences, 6 at least" in stricter.out
    assert (
        stricter.out.splitlines()[-1]
        == "dropped by the step sentences: too_few_sentences (rules c4-3.1.0+, variant en)"
    )


def test_no_command_of_a_page_reaches_the_terminal(tmp_path):
    odd = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202eback\u2066 a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\rh\u2060 \u200f\x08 blorptastic{ is what the old baker of the town said."
    page = wet_files.Written("http://a.org/\x1b[2J\u202e\u2028\u2029\x85\x0b\x1c\u2060", odd + "\n" + wet_files.text(1))
    source = wet_files.write_wet(tmp_path / "a.warc.wet.gz", [page])
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    for more in (["--record", 1], [], ["--record", 1, "--json"]):
        done = run_command(
            "explain",
            source,
            "--badwords",
            tmp_path / "bad.txt",
            *more,
            environment={"FORCE_COLOR": "1", "TERM": "xterm"},
        )
        styled = (
            done.out.replace("\x1b[", "").replace("\n", "") if more == ["--record", 1] else done.out.replace("\n", "")
        )
        assert done.code == 0 and "\\u202e" in done.out
        assert styled.isprintable()
        assert "\x1b[2J" not in done.out and "\x1b[31mred" not in done.out


def test_a_text_and_standard_input_are_pages(tmp_path, monkeypatch):
    text = wet_files.text(3)
    (tmp_path / "page.txt").write_text(text)
    done = run_command("explain", tmp_path / "page.txt", "--json", "--url", "http://a.org/")
    told = json.loads(done.out)
    assert (told["fate"], told["url"], told["text"]) == ("kept", "http://a.org/", text)
    assert told["figures"]["sentences"] == 8 and told["figures"]["languages"][0][0] == "en"
    assert [step["did"] for step in told["steps"]] == ["passed"] * 7
    with open(tmp_path / "page.txt", "rb") as file:
        explain = [sys.executable, "-m", "c4build.commands.main", "explain", "-", "--json"]
        piped = subprocess.run(explain, stdin=file, capture_output=True, check=True, text=True)
    assert json.loads(piped.stdout)["text"] == text


def test_against_a_build_tells_which_page_displaced_it_and_which_keep_its_lines(tmp_path, sources):
    request = sources.request(tmp_path, variants=["en"], rules="c4-3.1.0")
    build(request)
    told = {one.page.url: one for one in explained(request, request.out) if one.page and one.fate != "kept"}
    older = next(one for one in explained(request, request.out) if one.page and one.page.url.endswith("/page-3"))
    assert (older.fate, older.copy.url, older.copy.input) == (
        "duplicate_url",
        "http://example.org/page-3",
        sources.wet[1],
    )
    same = told["http://example.org/same-lines"]
    assert same.fate == "nothing_left" and {copy.url for _, copy in same.repeats} == {"http://example.org/page-5"}
    (tmp_path / "new.txt").write_text(wet_files.text(7) + "\n" + wet_files.text(9999, 3))
    lists = ["--badwords", sources.bad_words, "--rules", "c4-3.1.0"]
    done = run_command("explain", tmp_path / "new.txt", "--against", tmp_path, *lists)
    assert done.code == 0 and "8 repeated, 3 kept" in done.out
    assert f"[kept by http://example.org/page-7 (page 9 of {sources.wet[0]})]" in done.out
    other = run_command("explain", tmp_path / "new.txt", "--against", tmp_path, *lists[:3], "paper")
    assert other.code == 2 and "no corpus lies in" in other.err


@pytest.mark.parametrize("rules", RULE_SETS)
@given(text=lines, phrases=st.sampled_from([(), PAGE_PHRASES]))
def test_a_line_has_the_fate_of_a_page_that_is_this_line_alone(rules, text, phrases):
    rules = RULE_SETS[rules]
    for line in lines_of(text):
        fate, left = line_judge(rules, phrases)(line)
        counts = Counter()
        assert line_filter(rules, phrases)(line, counts) == (left, fate if fate in PAGE_PHRASES else None)
        assert fate in PAGE_PHRASES or counts == {"read": 1, fate: 1, "kept": fate == "kept"}


@given(
    st.lists(st.sampled_from(["ass", "Ass ", "\u0130ass", "ass\u00e9", " ASS-ass ", "quimble dash", "\u212b ", "\n"]))
)
def test_bad_words_are_found_where_the_build_finds_any(parts):
    words = ["ass", "quimble dash", "\u00e5"]
    text = "".join(parts)
    places = bad_word_finder(words)(text)
    assert bool(places) == bad_word_test(words)(text)
    assert {text[start:stop].lower() for start, stop in places} <= set(words)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["missing.warc.wet.gz"], "missing.warc.wet.gz: "),
        (["."], "it is a folder; name one file"),
        (["a.warc.wet.gz", "--record", 9], "a.warc.wet.gz: it holds no page 9"),
        (["a.warc.wet.gz", "--url", "http://b.org/"], "a.warc.wet.gz: it holds no page of http://b.org/"),
        (["a.warc.wet.gz", "--url", "http://b.org/", "--record", 1], "give --url or --record, not both"),
        (["a.warc.wet.gz", "--variant", "en,en.noclean"], "name one variant: a page's fate is another in each"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_line(arguments, said, tmp_path):
    wet_files.write_wet(tmp_path / "a.warc.wet.gz", wet_files.pages(0, 2))
    done = run_command("explain", *arguments, folder=tmp_path)
    assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1
