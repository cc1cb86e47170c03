"""Sentences of the compiled Punkt beside NLTK 3.8.1 and the rule in Python."""

import gzip

import pytest
import tfds_c4
from hypothesis import given, settings
from hypothesis import strategies as st
from punkt.data import english

from c4build.rules.sentences import has_sentences, sentence_spans
from c4build.rules.steps import plain_count_sentences, sentences_in_lines
from c4build.sample.resources import sample_folder

core = pytest.importorskip(
    "c4build._core", reason="c4build._core is not compiled: there was no compiler at installation"
)
punkt = core.Punkt(
    list(english.ABBREV_TYPES), list(english.COLLOCATIONS), list(english.SENT_STARTERS), dict(english.ORTHO_CONTEXT)
)

# Marks, what closes and opens, ellipses, dashes, spaces of all kinds, capitals, titlecase, digits and letters of others.
CHARS = list(
    ".?!.?! \n\"')]}({[,:;-@*#&`\t\r\x0b\x0c\x1c\x85\xa0\u2028\u3000\0aBi5_T\u01c5\u00e9\u03a3\u0130\u0660\u00b2\u4e2d\u201d\u2026\U0001d400"
)
SPACES = st.sampled_from([" ", " ", " ", "", "\n", "  ", "\t", "\u00a0", "\u3000", "\x1c", " \n "])
# Abbreviations, initials, numbers, collocations and starters, as they are and in other cases.
WORDS = st.sampled_from(
    "Mr. mr. etc. i.e. u.s. U.S. U.S. Ph.D. ph.d no. No. a. B. J. i. é. Σ. _. 5. 3. 1,5. -1.5. .5. ,5. -.5. 5-. ٣. 1984. x-mr. X-Co. -co. ... .. "
    ". ? ! what?! ... .... -- --- - , ,. ) \") .) ' '' ]} ( (and `` # & : ; . . . The the It However however Aron aron Smith Who who abreast "
    "4th plain. Words. caf\u00e9. CAF\u00c9. \u1e9e. \u01c5. \u0130. a.b.c. a,b a.) (a.) a.--b e.g., said. \u0391\u03a3. II. and And in In. 5 12 B C".split(
        " "
    )
)
TEXTS = (
    st.text(st.sampled_from(CHARS), max_size=40)
    | st.lists(st.tuples(WORDS, SPACES), max_size=12).map(lambda parts: "".join(map("".join, parts)))
    | st.lists(WORDS | st.sampled_from(sorted(english.ORTHO_CONTEXT)) | st.sampled_from(sorted(english.ABBREV_TYPES)).map("{}.".format), max_size=12).map(" ".join)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
)  # fmt: skip


def compiled_spans(text):
    """In code points."""
    data = text.encode()
    if text.isascii():
        return punkt.spans(data)
    place, at = {}, 0
    for index, char in enumerate(text):
        place[at] = index
        at += len(char.encode())
    place[at] = len(text)
    return [(place[start], place[stop]) for start, stop in punkt.spans(data)]


def sentences_are_those_of_nltk(text):
    spans = compiled_spans(text)
    assert spans == list(sentence_spans(text))
    assert spans == list(tfds_c4.sentence_tokenizer_cached().span_tokenize(text))


def sentences_are_counted_alike(text, least):
    data, lines = text.encode(), "\n".join(filter(str.strip, text.split("\n")))
    assert (
        punkt.count_sentences(data, False)
        == len(punkt.spans(data))
        == (plain_count_sentences(text, False) if text else 0)
    )
    assert punkt.count_sentences(data, True) == plain_count_sentences(text, True)
    assert punkt.has_sentences(data, least) == (len(punkt.spans(data)) >= least)
    assert punkt.sentences_in_lines(data, least) == (plain_count_sentences(text, True) >= least)
    if lines and least:  # of these the rules in Python tell
        assert punkt.has_sentences(lines.encode(), least) == has_sentences(lines, least)
        assert punkt.sentences_in_lines(lines.encode(), least) == sentences_in_lines(lines, least)


@settings(max_examples=300)
@given(TEXTS, st.integers(0, 6))
def test_sentences_are_those_of_nltk(text, least):
    sentences_are_those_of_nltk(text)
    sentences_are_counted_alike(text, least)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=100_000)
@given(TEXTS, st.integers(0, 6))
def test_many_sentences_are_those_of_nltk(text, least):
    sentences_are_those_of_nltk(text)
    sentences_are_counted_alike(text, least)


def test_time_grows_with_the_text_alone():
    """Each of these would take minutes if a mark, a space or a word were gone over again for every other."""
    for piece in ("a.)", "? ", ".\u3000", "!", "a.b", ". ", "-.", ",", "x. \n", ".'", "a\u00a0."):
        text = (piece * 200_000).encode()
        assert punkt.count_sentences(text, False) >= 1
        assert punkt.count_sentences(text, True) >= 1


def pages(paths):
    for path in paths:
        yield from gzip.decompress(path.read_bytes()).decode("utf-8", "replace").split("WARC/1.0")


def test_the_pages_of_the_sample_have_the_sentences_of_the_rule_in_python():
    for text in pages(sorted(sample_folder().glob("*.gz"))):
        assert compiled_spans(text) == list(sentence_spans(text))
        assert punkt.count_sentences(text.encode(), True) == plain_count_sentences(text, True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_pages_of_real_crawls_have_the_sentences_of_nltk(shared):
    for text in pages(sorted(shared.glob("wet/*.gz"))):
        sentences_are_those_of_nltk(text)
        sentences_are_counted_alike(text, 3)
