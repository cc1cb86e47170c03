"""Phrases and bad words of the compiled rules beside Python's own regular expressions, and the rule in Python."""

import gzip
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.rules.badwords import bad_word_finder, bad_word_test, plain_bad_word_finder
from c4build.rules.lines import LOREM_IPSUM
from c4build.rules.tables import POLICY_PHRASES
from c4build.sample.resources import bad_words_file, sample_folder

core = pytest.importorskip(
    "c4build._core", reason="c4build._core is not compiled: there was no compiler at installation"
)
parts = core.parts

PHRASES = ["javascript", *POLICY_PHRASES, LOREM_IPSUM, "{"]
BAD_WORDS = bad_words_file().read_text().splitlines()
# What has another length or letter when lower-cased, letters that join words or part them, ends of lines.
ODD = list(
    "kKsSaAiI_- \n\r.,'0\0\u212a\u0130\u017f\u03a3\u03c3\u0301\u00ad\u200b\u0660\u00e9\u00c9\u4e2d\U0001d400\u2019"
)
LETTERS = st.text(st.sampled_from(ODD), max_size=6)
CASES = st.sampled_from([str.lower, str.upper, str.title, str])


def texts_of(words):
    pieces = st.tuples(CASES, st.sampled_from(words) | LETTERS).map(lambda made: made[0](made[1]))
    return st.lists(pieces, max_size=8).map("".join)


def as_words(words):
    """The rule in one regular expression."""
    found = re.compile(rf"(?:\W|^)({'|'.join(map(re.escape, words))})(?:\W|$)").search
    return lambda text: bool(words) and found(text.lower()) is not None


@st.composite
def lists_and_texts(draw):
    words = draw(st.lists(LETTERS, max_size=5))
    return words, draw(texts_of(words or [""]))


def phrases_are_found(words, text):
    phrases = parts.Phrases(words)
    holds = any(word in text.lower() for word in words)
    assert phrases.may_stand_in(text.encode()) == phrases.stands_in(text.lower().encode()) == holds


def words_are_found(words, text):
    holds = as_words(words)(text)
    assert core.BadWords(words).stands_in(text.encode()) == holds
    assert core.BadWords(words).places(text) == plain_bad_word_finder(words)(text)
    if all(word == word.lower() for word in words):
        assert bad_word_test(words)(text) == holds


FINDERS = bad_word_finder(BAD_WORDS), plain_bad_word_finder(BAD_WORDS)
OF_RULES = {kind: kind(words) for kind, words in ((parts.Phrases, PHRASES), (core.BadWords, BAD_WORDS))}
IN_PYTHON = as_words(BAD_WORDS), bad_word_test(BAD_WORDS)


def those_of_the_rules_are_found(text):
    data = text.encode()
    held = any(phrase in text.lower() for phrase in PHRASES)
    assert OF_RULES[parts.Phrases].may_stand_in(data) == held
    assert {test(text) for test in IN_PYTHON} == {OF_RULES[core.BadWords].stands_in(data)}
    compiled, plain = (find(text) for find in FINDERS)
    assert compiled == plain


RULES_TEXTS = texts_of(PHRASES) | texts_of(BAD_WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=150)


@settings(max_examples=300)
@given(lists_and_texts())
def test_any_phrases_and_words_are_found_as_python_finds_them(made):
    phrases_are_found(*made)
    words_are_found(*made)


@settings(max_examples=300)
@given(RULES_TEXTS)
def test_the_phrases_and_words_of_the_rules_are_found_as_python_finds_them(text):
    those_of_the_rules_are_found(text)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=100_000)
@given(lists_and_texts(), RULES_TEXTS)
def test_many_phrases_and_words_are_found_as_python_finds_them(made, text):
    phrases_are_found(*made)
    words_are_found(*made)
    those_of_the_rules_are_found(text)


@pytest.mark.parametrize("width", [0, 1, 61, 62, 63, 64, 65, 127])
def test_words_are_found_wherever_they_stand(width):
    """The text is looked at in blocks of 64 bytes."""
    words = core.BadWords(["bad", "bad word"])
    for text in (f"{'.' * width}bad", f"{'x' * width} bad", f"{'é' * width} bad\u2019s", f"{' ' * width}BAD word"):
        assert words.stands_in(text.encode())
    for text in (f"{'x' * (width + 1)}bad", f"{' ' * width}bad\u00e9", f"{'é' * (width + 1)}bad word"):
        assert not words.stands_in(text.encode())


@pytest.mark.parametrize(
    "words, text, places",
    [
        (["bad"], "Bad bad", [(0, 3), (4, 7)]),
        (["a", "-a"], "-a -a", [(1, 2), (3, 5)]),
        (["-"], "--", [(1, 2)]),
        (["é-", "é"], "é-é É-", [(0, 1), (2, 3), (4, 5)]),
        (["i"], "İ İi", [(0, 0), (2, 2), (3, 4)]),
        (["σας"], "ΣΑΣ", [(0, 3)]),
        (["bad", ""], "-x  bad", [(4, 7)]),
        ([""], "", []),
    ],
)
def test_places_of_words_are_those_of_the_expression(words, text, places):
    assert plain_bad_word_finder(words)(text) == bad_word_finder(words)(text) == places


def pages(paths):
    for path in paths:
        yield from gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("WARC/1.0")


def test_the_pages_of_the_sample_are_judged_alike():
    for text in pages(sorted(sample_folder().glob("*.gz"))):
        those_of_the_rules_are_found(text)


@pytest.mark.slow
def test_pages_of_real_crawls_are_judged_alike(shared):
    for text in pages(sorted(shared.glob("wet/*.gz"))):
        those_of_the_rules_are_found(text)
