"""The compiled fates of lines and the lines that are samples beside the plain ones."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_steps import PAGES, RULES

from c4build.compiled import core
from c4build.flow.candidates import AS_READ, Candidate
from c4build.flow.line_samples import CompiledLineSamples, PlainLineSamples, line_samples
from c4build.rules.lines import compiled_lines, dropping_line, line_judge, lines_of, plain_dropping_line
from c4build.rules.tables import PAGE_PHRASES

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)

PHRASES = ((), *((phrase,) for phrase in PAGE_PHRASES), PAGE_PHRASES)
WAYS = {
    (name, phrases): (
        line_judge(rules, phrases),
        compiled_lines(rules, phrases).fate_of,
        plain_dropping_line(rules, phrases),
        dropping_line(rules, phrases),
    )
    for name, rules in RULES.items()
    for phrases in PHRASES
}


def same_fates(text: str):
    lines = lines_of(text)
    for plain, compiled, plain_first, first in WAYS.values():
        for line in (text, *lines):
            assert plain(line) == compiled(line)
        assert plain_first("\n".join(lines)) == first("\n".join(lines))


@given(PAGES)
@example("")
@example("It has lorem[1] ipsum. { So many words {.\nLorem ipsum has { as well.")
def test_a_line_has_the_fate_that_the_plain_rules_give_it(text):
    same_fates(text)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=20_000, deadline=None)
@given(PAGES | st.text(st.characters(exclude_categories=["Cs"])))
def test_many_lines_have_the_fates_that_the_plain_rules_give_them(text):
    same_fates(text)


CANDIDATES = st.builds(
    lambda chance, text: Candidate(chance, 0, 0, -1, b"", AS_READ, "", "", text.encode()),
    st.integers(0, 3) | st.integers(0, 2**64 - 1),
    PAGES,
)


@pytest.mark.parametrize("name", RULES)
@given(st.lists(CANDIDATES, max_size=6), st.sampled_from(PHRASES), st.integers(1, 4) | st.just(10**12))
def test_the_lines_that_are_samples_are_the_same(name, pages, phrases, most):
    plain, compiled = PlainLineSamples(RULES[name], phrases, most), line_samples(RULES[name], phrases, most)
    assert type(compiled) is CompiledLineSamples
    assert sorted(plain.of(pages), key=fate) == sorted(compiled.of(pages), key=fate)


def fate(line) -> str:
    return line.fate
