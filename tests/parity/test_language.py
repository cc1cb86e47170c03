"""Each of the language detectors answers as langdetect does, to the last bit."""

import math
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import langdetect
import langdetect_rs
import pytest
from adversarial import lines
from hypothesis import given, settings
from hypothesis import strategies as st
from langdetect.utils import unicode_block
from langdetect.utils.ngram import NGram

from c4build.compiled import core
from c4build.read.wet import read_pages
from c4build.rules.language import (
    Detect,
    compiled_detector,
    fastest_detector,
    language_test,
    library_detector,
    likely_languages,
)
from c4build.sample.resources import sample_folder

compiled_only = pytest.mark.skipif(core is None, reason="there was no compiler at installation")
texts = st.one_of(
    st.text(max_size=60), st.lists(lines, max_size=8).map(" ".join), st.lists(lines, max_size=8).map("\n".join)
)
words = st.sampled_from(
    "the river The RIVER rIVER \u00c4pfel \u00c4PFEL \u00fcber d\u00e9j\u00e0 \u0219i \u021bar\u0103 \u1ea0\u1eadp ng\u01b0\u1eddi \u2019s don\u2019t \u2192 \u2122 \u2028 \u00a0 \u00ab A I 7 _ [ \u0130 \u01c5 \ufb01n \uff21\uff22 \U0001f98a \U0001f130\U0001f131 \ufeff".split(
        " "
    )
)
mixed = st.lists(st.tuples(words, st.sampled_from(["", " ", "  "])).map("".join), min_size=1, max_size=40).map("".join)
foreign = st.lists(st.sampled_from(
    "река Река РЕКА ріка ποταμός Ποταμός نهر رودخانه دریا נהר नदी নদী นที 河流 江河 川の流れ カワ ㄅㄆ 강물 გ Ọ o\u0323 E\u0300 a\u0300\u0301 丈丈，為 \u0300 the THE \u2605 \U00010400 𠀀".split()
    + [" ", ", "]
), max_size=30).map("".join)  # fmt: skip


LETTERS = "wirgehenheutenochnachhause" * 100
URLS = [
    "http://",
    "https://",
    "http:/",
    "https:/a",
    "http//a",
    "httpss://a",
    "http://a",
    "https://a.de/\u00e9",
    "HTTP://a",
    "hhttp://a~b",
]
HOSTS = [
    "",
    ".",
    "b",
    "b.",
    ".b",
    "bc",
    "b-_c",
    "b.c.d",
    "b..",
    "bc@de.fr",
    "b@c.de",
    "bc.de@fg.hi",
    "b\u00e9.de",
    "bc de",
]


def sample_texts() -> list[str]:
    with open(sample_folder() / "sample.warc.wet.gz", "rb") as file:
        return [found.text for found in read_pages(file, "tfds", 190_000) if hasattr(found, "text")]


@compiled_only
@settings(max_examples=400, deadline=None)
@given(st.one_of(texts, mixed, foreign))
def test_the_compiled_detector_answers_as_langdetect_does(text):
    assert fastest_detector()(text) == library_detector(langdetect)(text)


@compiled_only
@settings(max_examples=300, deadline=None)
@given(st.one_of(texts, mixed, foreign))
def test_a_text_is_judged_by_what_langdetect_answers(text):
    check_judgements(text, library_detector(langdetect), compiled_detector())


@compiled_only
@pytest.mark.parametrize("compensated", [False, True])
def test_pages_are_judged_by_what_is_detected(compensated):
    detector = compiled_detector(compensated=compensated)
    for text in sample_texts():
        # Parts too: many languages come and go before the trials of a short text end.
        for part in (text, text[:300], text[-60:]):
            check_judgements(part, lambda text: detector(text.encode()), detector)


SENTENCES = [
    "The river was high after the rain. ",
    "Con sông dâng cao sau cơn mưa. ",
    "После дождя река поднялась высоко. ",
    "Το ποτάμι ανέβηκε μετά τη βροχή. ",
    "ارتفع النهر بعد المطر. ",
    "雨后河水涨得很高。",
]


@compiled_only
@pytest.mark.parametrize("first", range(len(SENTENCES)))
@pytest.mark.parametrize("second", range(len(SENTENCES)))
def test_texts_in_two_scripts_are_judged_by_what_is_detected(first, second):
    # The quick trial asks the languages of one script, and knows a bound of the others.
    detector = compiled_detector()
    for size in (6, 24):
        for of_first in range(size + 1):
            text = SENTENCES[first] * of_first + SENTENCES[second] * (size - of_first)
            check_judgements(text, lambda text: detector(text.encode()), detector)


def check_judgements(text: str, detect: Detect, judging):
    """Also where it is a matter of the last bit, which the quick way cannot see."""
    found = detect(text) or ("en", 0.5)
    language, probability = found
    near = [probability + away for away in (-1e-9, -1e-12, 0, 1e-16, 1e-12, 1e-9)]
    for least in (0.0, 0.1, 0.5, 0.99, 1.0, math.nextafter(probability, 2), math.nextafter(probability, 0), *near):
        for asked in {language, "en", "xx"}:
            assert judging.judge(text.encode(), asked, least) == language_test(asked, least, detect)(text)


@settings(max_examples=200)
@given(st.one_of(texts, mixed, foreign))
def test_all_likely_languages_are_those_of_langdetect_in_its_order(text):
    library_detector(langdetect)
    try:
        wanted = [(found.lang, found.prob) for found in langdetect.detect_langs(text)]
    except langdetect.LangDetectException:
        wanted = []
    assert likely_languages(text) == wanted


@compiled_only
def test_every_character_is_taken_for_the_letter_that_langdetect_takes_it_for():
    normalized = compiled_detector().normalized
    some = [*range(0x11000), *range(0x11000, sys.maxunicode + 1, 997)]
    wrong = [code for code in some if normalized(code) != ord(NGram.normalize(chr(code)))]
    assert wrong == []


@compiled_only
@pytest.mark.parametrize("text", [
    *URLS,
    *(f"http://{LETTERS[:length]}" for length in (2075, 2076, 2077, 2090)),
    *(f"name@{host}" for host in HOSTS), "@", "@bc.de", "\u00e9@bc.de",
    *(f"{LETTERS[:length]}@bc.de" for length in (63, 64, 65, 200)),
    *(f"a@{LETTERS[:length]}{rest}" for length in (254, 255, 256, 510, 511, 600) for rest in ("", ".", ".de")),
    *(f"a@b.{LETTERS[:length]}" for length in (254, 255, 256, 600)),
])  # fmt: skip
def test_addresses_are_left_out_as_by_langdetect(text):
    for long in (text, f"Der Fluss {text} war still", f"The river was {text}", f"{text}{text}", f"https://a{text} und"):
        assert fastest_detector()(long) == library_detector(langdetect)(long)


@compiled_only
@pytest.mark.parametrize("digits", [9_990, 9_997, 9_998, 9_999, 10_000])
def test_as_much_of_a_text_is_read_as_by_langdetect(digits):
    for text in ("7" * digits + "wir gehen", "a@b.de " + "7" * (digits - 2) + "wir gehen"):
        assert fastest_detector()(text) == library_detector(langdetect)(text)


@compiled_only
@pytest.mark.parametrize("letters", ["\u2605", "\u0436\u0438 ", "\u4e2d", "\u03b1\u0300"])
@pytest.mark.parametrize("times", range(1, 19))
def test_the_latin_letters_of_a_text_with_few_are_left_out_as_by_langdetect(letters, times):
    for text in ("the river" + letters * times, letters * times + "A[z" + letters, ("the" + letters) * times):
        assert fastest_detector()(text) == library_detector(langdetect)(text)


@compiled_only
def test_what_is_no_latin_letter_is_so_in_every_block_of_unicode():
    edges = {edge for _, first, last in unicode_block._unicode_blocks for edge in (first - 1, first, last)}
    for code in sorted(edges - {-1, *range(0xD800, 0xE000)}):
        for times in (16, 17):  # of eight Latin letters are left out beside more than sixteen others
            text = "the river" + chr(code) * times
            assert fastest_detector()(text) == library_detector(langdetect)(text), (hex(code), times)


@settings(max_examples=150, deadline=None)
@given(st.one_of(texts, mixed))
def test_langdetect_rs_answers_as_langdetect_does(text):
    assert library_detector(langdetect_rs)(text) == library_detector(langdetect)(text)


@compiled_only
@pytest.mark.parametrize("compensated", [False, True])
def test_the_compiled_detector_adds_as_each_python_does(compensated, monkeypatch):
    monkeypatch.setattr(langdetect_rs.detector_factory, "_NEUMAIER_SUM", compensated)
    peer = library_detector.__wrapped__(langdetect_rs)
    ours, other = (compiled_detector(compensated=each) for each in (compensated, not compensated))
    texts = sample_texts()
    assert [ours(text.encode()) for text in texts] == [peer(text) for text in texts]
    assert [ours(text.encode()) for text in texts] != [other(text.encode()) for text in texts]
    library_detector.cache_clear()  # the peer took the place of the one that is cached


@compiled_only
@pytest.mark.parametrize(
    "text", ["", " ", "7", "a", "ab", "Ab", "AB", "q" * 20_000, "ab " * 5000, "z\u00df\u00e6" * 4000]
)
def test_texts_with_nothing_to_tell_languages_apart_are_judged_alike(text):
    # In some of these no language stands out after a thousand draws.
    assert fastest_detector()(text) == library_detector(langdetect)(text)


@compiled_only
def test_threads_share_a_detector():
    texts = sample_texts() * 5
    alone = list(map(fastest_detector(), texts))
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(fastest_detector(), texts)) == alone


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no compiler here")
def test_where_there_is_a_compiler_it_was_used():
    assert core is not None, "c4build._core is not compiled: install again"


@pytest.mark.parametrize("times", [600, 1200, 3000])
@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(
    ["plain words. ", "ein Wort ", "a@b.de ", "https://a.org/b?c ", "a\u0300", "o\u0303", "\u4e2d", "\u0430\u0431 ", "  ", "\n", "@", "://"]
), min_size=1, max_size=6))  # fmt: skip
def test_of_long_texts_the_part_that_langdetect_looks_at_is_told_apart(times, pieces):
    text = "".join(piece * (times // len(pieces)) for piece in pieces)
    ends = "an english text of plain words that says where it was cut "
    for long in (text, text + ends * 5, (ends * 200)[: 10_000 - len(pieces)] + text):
        found = library_detector(langdetect_rs)(long)
        expected = "language_unknown"
        if found:
            expected = None if found[0] == "en" else "other_language"
            expected = "language_unsure" if found[1] < 0.99 else expected
        assert language_test("en", 0.99)(long) == expected
