"""The compiled steps beside the plain ones, on pages that hypothesis makes and on those of real files."""

import dataclasses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from c4build.compiled import core
from c4build.dedup.keys import plain_url_key, url_key
from c4build.dedup.units import compiled_units, plain_units, units_of
from c4build.page import page_text
from c4build.rules.steps import CompiledSteps, PlainSteps
from c4build.rules.tables import RULE_SETS, VARIANTS, Variant
from c4build.write.example import encode_example, frame

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)

BAD_WORDS = ["badword", "two words", "мат", "ßad", "x-x"]
RULES = {
    **RULE_SETS,
    "all limits": dataclasses.replace(RULE_SETS["c4-3.1.0"], max_word_chars=6, min_words_per_line=2, min_sentences=2),
    "other marks": dataclasses.replace(
        RULE_SETS["paper-final"], end_marks=("。", "!", "\u3000"), refused_endings=("!!", "?!"), drop_lines_with=("ÜBER", "über"), span_sentences=2
    ),
}  # fmt: skip
OWN = [
    Variant(f"en - {step}", "", VARIANTS["en"].steps - {step}, "language" != step)
    for step in ("lorem_ipsum", "curly_bracket", "sentences", "language")
]
PIECES = st.sampled_from([
    "This is a plain line, as long as it must be. ", "It has two. ", "Mr. Smith went out! ", "Did he? ", "He said: “Yes.” ",
    "Lorem ipsum ", "LOREM IPSUM", "JavaScript ", "javascript", "{", "}", "cookie policy ", "Terms of Use. ", "use cookies. ", "ÜBER ", "über ",
    "[12]", "[edit]", "[citation needed]", "[", "]", "[1", "[٣]", "...", ".", "!", "?", '"', "”", "。", "\u3000", "!!", "?!",
    "badword ", "BADWORD. ", "two words ", "МАТ ", "ßad", "x-x", "averyverylongword", " ", "  ", "\t", "\x0b", "\x1c", "\x85", "\u2028", "\xa0", "\r", "İ", "ΑΣ ", "K", "é", "中文", "🙂",
    "\n", "\n", "\n",
])  # fmt: skip
PAGES = st.lists(PIECES, max_size=30).map("".join)


def judged(steps, body: bytes, running: int, names: int):
    reasons = bytearray(names)
    text = steps.before(body, running, reasons)
    return text, bytes(reasons), {name: count for name, count in steps.counted_lines().items() if count}


def left(steps, text: str, running: int, names: int):
    reasons = bytearray(names)
    return steps.after(text, running, reasons), bytes(reasons)


MADE = {}


def both(name: str) -> tuple[CompiledSteps, PlainSteps]:
    if name not in MADE:
        variants = [*VARIANTS.values(), *OWN]
        MADE[name] = tuple(made(RULES[name], variants, BAD_WORDS) for made in (CompiledSteps, PlainSteps))
    return MADE[name]


def same_fate(name: str, page: str):
    compiled, plain = both(name)
    names = compiled.all.bit_length()
    for running in {compiled.clean, compiled.raw, compiled.clean & 1, compiled.clean & ~1}:
        assert judged(compiled, page.encode(), running, names) == judged(plain, page.encode(), running, names)
    text = page_text(page)
    assert left(compiled, text, compiled.clean, names) == left(plain, text, plain.clean, names)
    units, plainly = units_of(RULES[name]), plain_units(RULES[name])
    keys = plainly.keys(text)
    assert units.keys(text) == keys
    for lost in ([0], [1, 2], range(0, len(keys) // 16, 3)):
        lost = [position for position in lost if position < len(keys) // 16]
        assert units.remove(text, lost) == plainly.remove(text, lost)
        listed = plainly.listed(text)
        assert compiled_units(RULES[name]).at(text, lost) == [listed[position].text for position in lost]


@pytest.mark.parametrize("name", RULES)
@given(PAGES)
@example("One.\n\nTwo [1] three four five six.")
def test_a_page_has_the_fate_that_the_plain_rules_give_it(name, page):
    same_fate(name, page)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", RULES)
@settings(max_examples=20_000, deadline=None)
@given(PAGES)
def test_many_pages_have_the_fates_that_the_plain_rules_give_them(name, page):
    same_fate(name, page)


TEXTS = st.text(max_size=200) | st.binary(max_size=200)


@given(st.dictionaries(st.sampled_from(["text", "url", "timestamp", "content-type", "é"]), TEXTS))
def test_an_example_is_framed_as_by_the_plain_code(features):
    framed = core.framed_example(list(features), list(features.values()))
    assert framed == frame(encode_example(features))


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 70_000])
def test_lengths_of_an_example_are_written_as_by_the_plain_code(size):
    features = {"text": b"a" * size, "url": b"u"}
    assert core.framed_example(list(features), list(features.values())) == frame(encode_example(features))


URL_PIECES = st.sampled_from(
    ["http", "https", "s", "://", "www.", "/", "?", "utm_", "ref", "feed", "=", "a.com", "\n", "é", "HTTP://"]
)


@given(st.lists(URL_PIECES, max_size=14).map("".join) | st.text(st.characters(exclude_categories=["Cs"])))
def test_a_url_has_the_keys_that_the_plain_code_gives_it(url):
    assert url_key is core.url_key
    assert url_key(url) == plain_url_key(url)
