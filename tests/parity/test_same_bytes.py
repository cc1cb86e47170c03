"""Under c4-3.1.0 the same pages with the same bytes as TFDS's own functions give."""

import glob
import json
import os
import struct

import langdetect
import langdetect_rs
import pytest
import tfds_c4
from adversarial import lines, pack, wet_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2
from tensorflow_datasets.text import c4_utils

from c4build.compiled import core
from c4build.corpora.c4 import Request, prepare
from c4build.errors import NothingReadError
from c4build.flow.local import run
from c4build.rules.badwords import bad_word_test
from c4build.rules.lines import line_filter
from c4build.rules.sentences import has_sentences, punkt, sentence_spans
from c4build.rules.steps import CompiledSteps, sentences_in_lines
from c4build.rules.tables import PAGE_PHRASES, RULE_SETS, Variant
from c4build.rules.urls import in_validation, normalize_url
from c4build.sample.resources import bad_words_file, sample_folder

RULES = RULE_SETS["c4-3.1.0"]
WORDS = bad_words_file().read_text().splitlines()
DOMAINS = {"a.org": True, "b.org": ["news"], "c.co.uk": ["", "www"]}


def built(inputs, out, domains, url_list) -> dict[str, set]:
    """What the pipeline writes, by variant."""
    request = Request(
        inputs=list(map(str, inputs)),
        out=str(out),
        rules="c4-3.1.0",
        variants=tfds_c4.VARIANTS,
        realnews_domains=str(domains),
        webtext_urls=[str(url_list)],
    )
    prepared = prepare(request)
    run(prepared)
    return {name: read_tfrecords(folder) for name, folder in prepared.folders.items()}


def read_tfrecords(folder: str) -> set:
    """The examples of a folder, by a reader of its own on the protobuf classes of TFDS."""
    found = set()
    for path in glob.glob(os.path.join(folder, "c4-*.tfrecord-*")):
        split = os.path.basename(path).split("-")[1].split(".")[0]
        with open(path, "rb") as file:
            while head := file.read(12):
                example = tf_example_pb2.Example.FromString(file.read(struct.unpack("<Q", head[:8])[0]))
                file.read(4)
                value = {
                    name: feature.bytes_list.value[0].decode() for name, feature in example.features.feature.items()
                }
                names = ("url", "text", "timestamp", "content-type", "content-length")
                found.add((*(value[name] for name in names), split))
    return found


def expected(inputs, domains, url_list, detector) -> dict[str, set]:
    """What TFDS makes of the same files. Which of several copies of the same date is newest it leaves open: ours is the
    first in the inputs, which are sorted by name."""
    with open(url_list, newline="\n") as file:
        urls = [line.rstrip("\n") for line in file]
    done: dict = {}
    return {
        variant: tfds_c4.corpus(
            sorted(map(str, inputs)),
            variant,
            bad_words=WORDS,
            realnews_domains=domains,
            webtext_urls=urls,
            detector=detector,
            done=done,
        ).examples
        for variant in tfds_c4.VARIANTS
    }


def assert_same(ours: dict[str, set], theirs: dict[str, set]):
    for variant in tfds_c4.VARIANTS:
        missing, extra = theirs[variant] - ours[variant], ours[variant] - theirs[variant]
        assert not missing and not extra, f"{variant}: missing {sorted(missing)[:2]}, too many {sorted(extra)[:2]}"


def test_the_sample_gives_what_tfds_gives(tmp_path):
    sample = sample_folder()
    inputs = [sample / "sample.warc.wet.gz"]
    domains, url_list = sample / "realnews_domains.json", sample / "webtext_urls.txt"
    theirs = expected(inputs, domains, url_list, langdetect)
    assert all(len(theirs[variant]) > 50 for variant in tfds_c4.VARIANTS)
    assert_same(built(inputs, tmp_path, domains, url_list), theirs)


def test_real_crawls_and_articles_give_what_tfds_gives(tmp_path, shared):
    inputs = sorted((shared / "wet").glob("*.wet.gz"))
    tfds_c4.use_tfds()
    pages = [page for path in inputs for page in c4_utils.split_wet_file(str(path))]
    spellings = ("{}", "http://{}", "https://www.{}/", "{}?utm_medium=x")
    url_list = tmp_path / "urls.txt"
    listed = [page.normalized_url for page in pages[::3]]
    url_list.write_text(
        "".join(spellings[n % 3 if "?" in url else n % 4].format(url) + "\n" for n, url in enumerate(listed))
    )
    domains = tmp_path / "domains.json"
    real = json.loads((shared / "lists" / "realnews_domains.json").read_text())
    # None of the pages is of a news domain: two of theirs are added.
    domains.write_text(json.dumps({**real, "uci.edu": ["www.ics", "archive.ics", ""], "html-pages.org": True}))
    theirs = expected(inputs, domains, url_list, langdetect_rs)
    assert all(len(theirs[variant]) > 100 for variant in tfds_c4.VARIANTS)
    assert_same(built(inputs, tmp_path / "out", domains, url_list), theirs)


def same_for_made_up_files(files, one_member, folder):
    folder.mkdir()
    inputs = []
    for number, records in enumerate(files):
        inputs.append(folder / f"{number}.warc.wet.gz")
        inputs[-1].write_bytes(pack(records, one_member))
    domains, url_list = folder / "domains.json", folder / "urls.txt"
    domains.write_text(json.dumps(DOMAINS))
    url_list.write_text("https://www.a.org/x/\nd.org/\u00e9\n\n", encoding="utf-8")
    theirs = expected(inputs, domains, url_list, langdetect_rs)
    try:
        ours = built(inputs, folder / "out", domains, url_list)
    except NothingReadError:  # no page at all has an address: nothing is published
        assert not any(page.url for path in inputs for page in c4_utils.split_wet_file(str(path)))
        return
    assert_same(ours, theirs)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=st.lists(wet_files(), min_size=1, max_size=2), one_member=st.booleans())
def test_files_that_hypothesis_makes_give_what_tfds_gives(files, one_member, tmp_path_factory):
    same_for_made_up_files(files, one_member, tmp_path_factory.mktemp("made") / "up")


@pytest.mark.slow
@pytest.mark.timeout(1200)  # five minutes on a quiet machine
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=st.lists(wet_files(), min_size=1, max_size=3), one_member=st.booleans())
def test_many_files_that_hypothesis_makes_give_what_tfds_gives(files, one_member, tmp_path_factory):
    same_for_made_up_files(files, one_member, tmp_path_factory.mktemp("made") / "up")


texts = st.one_of(
    st.text(max_size=60), st.lists(lines, max_size=8).map(" ".join), st.lists(lines, max_size=8).map("\n".join)
)
punctuated = st.text(st.sampled_from(".?! \n\"')]}({[,:;-@*\u201d\u2026\x0b\xa0aBiT5"), max_size=40)


@settings(max_examples=1500, deadline=None)
@given(st.one_of(texts, punctuated))
def test_sentences_are_those_of_nltk(text):
    expected = list(tfds_c4.sentence_tokenizer_cached().span_tokenize(text))
    assert list(sentence_spans(text)) == expected
    if core:
        data = text.encode()
        found = [(len(data[:start].decode()), len(data[:stop].decode())) for start, stop in punkt().spans(data)]
        assert found == expected


# Ends of sentences of all kinds, and what may follow them.
tokens = st.sampled_from(
    "Mr. etc. i.e. u.s. U.S. no. No. a. B. 3. 1,5. ... plain. Words. x\u00a0y. caf\u00e9. so? Ha! what?! ) \") (and .) ' The word 4th "
    "-- supercalifragilisticexpialidocious. word\tword. \n".split(" ")
)
spaced = st.lists(
    st.tuples(tokens, st.sampled_from([" ", " ", " ", "\n", "  ", "\t", "\u00a0"])), min_size=1, max_size=12
)


@settings(max_examples=1500, deadline=None)
@given(spaced.map(lambda parts: "".join(map("".join, parts)).strip()).filter(bool))
def test_a_text_has_as_many_sentences_as_nltk_finds(text):
    total = len(tfds_c4.sentence_tokenizer_cached().tokenize(text))
    assert has_sentences(text, total) and not has_sentences(text, total + 1)
    if core:
        assert punkt().has_sentences(text.encode(), total) and not punkt().has_sentences(text.encode(), total + 1)
    lines = [line for line in text.split("\n") if line.strip()]
    total = sum(len(tfds_c4.sentence_tokenizer_cached().tokenize(line)) for line in lines)
    text = "\n".join(lines)
    assert sentences_in_lines(text, total) and not sentences_in_lines(text, total + 1)
    if core:
        assert punkt().sentences_in_lines(text.encode(), total) and not punkt().sentences_in_lines(
            text.encode(), total + 1
        )


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(lines, punctuated.filter(str.strip)), min_size=1, max_size=5), st.integers(1, 6))
def test_sentences_are_counted_as_far_as_needed(found, least):
    found = [line for line in ("".join(line.splitlines()) for line in found) if line.strip()]
    total = sum(len(tfds_c4.sentence_tokenizer_cached().tokenize(line)) for line in found)
    if found and all(len(tfds_c4.sentence_tokenizer_cached().tokenize(line)) for line in found):
        assert sentences_in_lines("\n".join(found), least) == (total >= least)


compiled_lines = core and CompiledSteps(RULES, [Variant("lines", "", frozenset(["lines", *PAGE_PHRASES]))], [])


@settings(max_examples=800, deadline=None)
@given(st.lists(st.one_of(lines, texts), max_size=10).map("\n".join))
def test_lines_are_cleaned_as_tfds_cleans_them(text):
    tfds_c4.use_tfds()
    counts = tfds_c4.Counter()
    page = c4_utils.PageFeatures(text=text)
    cleaned = list(
        c4_utils.get_clean_page_fn()(page, counter_inc_fn=lambda name, amount=1: counts.update({name: amount}))
    )
    body = text.replace("\r\n", "\n").replace("\r", "\n")
    ours = tfds_c4.Counter()
    kept, reason = line_filter(RULES)(body, ours)
    if core:
        reasons = bytearray(1)
        assert compiled_lines.before(body.encode(), 1, reasons) == (None if reason else kept)
        assert compiled_lines.counted_lines() == {name: count for name, count in ours.items() if count}
    if reason:
        assert counts["filtered:" + {"lorem_ipsum": "loremipsum", "curly_bracket": "squigglybracket"}[reason]] == 1
        return
    enough = sentences_in_lines(kept, RULES.min_sentences)
    assert [page.text for page in cleaned] == ([kept] if enough else [])
    for name in ("too_long_word", "too_short", "javascript", "policy"):
        assert ours["too_few_words" if name == "too_short" else name] == counts["line-filtered:" + name]


@settings(max_examples=800, deadline=None)
@given(
    st.lists(st.one_of(texts, st.sampled_from(WORDS), st.sampled_from("\u212a\u0130_\u200b\u0301-2 \n")), max_size=8),
    st.booleans(),
)
def test_bad_words_are_found_as_tfds_finds_them(pieces, upper):
    text = "".join(pieces).upper() if upper else "".join(pieces)
    tfds_c4.use_tfds()
    keep = c4_utils.get_badwords_filter_fn({"en": WORDS})
    drops = not keep(c4_utils.PageFeatures(text=text, language="en"))
    assert bad_words(text) == drops
    if core:
        assert compiled_bad_words(text.encode()) == drops


bad_words = bad_word_test(WORDS)
compiled_bad_words = core and core.BadWords(WORDS).stands_in


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["http://", "https://", "www.", "HTTP://", "a.org", "/", "?", "utm_x", "ref", "feed", "=", "\n", "\u00e9"]
        )
    ).map("".join)
)
def test_urls_are_normalised_as_tfds_normalises_them(url):
    tfds_c4.use_tfds()
    assert normalize_url(url) == c4_utils.normalize_url(url)
    page = c4_utils.PageFeatures(normalized_url=url)
    assert in_validation(url) == c4_utils.get_hashed_url_filter_fn(lambda value: value % 1000 == 0)(page)
