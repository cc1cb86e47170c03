"""What is held for samples and figures by the compiled way beside what is held in Python: the same pages."""

import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c4build.compiled import core
from c4build.flow import figures, pages, sampling
from c4build.flow.candidates import (
    AS_READ,
    CLEANED,
    KEPT,
    NONE,
    REPEATED,
    Candidate,
    CompiledLowest,
    PlainLowest,
    lowest,
)
from c4build.page import Page
from c4build.rules.steps import CompiledSteps, PlainSteps
from c4build.rules.tables import CODE, RULE_SETS, VARIANTS

pytestmark = pytest.mark.skipif(
    core is None, reason="c4build._core is not compiled: there was no compiler at installation"
)

STAGES = (AS_READ, CLEANED, KEPT, REPEATED)
GROUPS = st.lists(
    st.sampled_from([0, 1, 253, CODE["not_a_news_domain"], CODE["excluded"], NONE]), min_size=2, max_size=2
)
CANDIDATES = st.builds(
    Candidate,
    *(st.integers(0, 30).map(lambda chance: chance << 59), st.integers(0, 1), st.integers(0, 4), st.just(-1)),
    *(GROUPS.map(bytes), st.integers(0, 3), st.just("http://example.org/"), st.just(""), st.binary(max_size=1)),
)


@given(st.lists(CANDIDATES, max_size=60), st.integers(1, 4), st.integers(0, 60))
def test_the_lowest_of_each_group_are_the_same(candidates, most, begun):
    plain, compiled = PlainLowest(most), lowest(most)
    assert type(compiled) is CompiledLowest
    for at, candidate in enumerate(candidates):
        for found in (plain, compiled):
            if at == begun:
                found.begin()
            found.add(candidate)
        assert all(plain.limit(candidate.groups, stage) == compiled.limit(candidate.groups, stage) for stage in STAGES)
    assert plain.held() == compiled.held()
    assert plain.limits() == compiled.limits()
    for at in range(3):
        assert plain.groups_of(at) == compiled.groups_of(at)
        for group in range(256):
            assert plain.of(at, group) == compiled.of(at, group)
    for candidate in candidates:
        asked = candidate.chance, candidate.groups, candidate.stage
        assert plain.wants(*asked) == compiled.wants(*asked)
    again, again_plain = lowest(most), PlainLowest(most)
    for columns, columns_plain in zip(compiled.row_groups(), plain.row_groups(), strict=True):
        assert columns == columns_plain
        again.add_rows(pa.record_batch(columns, names=[*map(str, range(9))]))
        again_plain.add_rows(pa.record_batch(columns, names=[*map(str, range(9))]))
    assert again.held() == again_plain.held()
    assert plain.limit(b"other", KEPT) is compiled.limit(b"other", KEPT) is None


@given(st.lists(CANDIDATES, max_size=60), st.integers(1, 4))
def test_what_lies_above_the_limit_of_its_groups_would_change_nothing(candidates, most):
    found = lowest(most)
    for candidate in candidates:
        limit, before = found.limit(candidate.groups, candidate.stage), found.held()
        found.add(candidate)
        assert limit is None or candidate.chance < limit or found.held() == before


UNITS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 30).map(lambda chance: chance << 59), GROUPS.map(bytes), st.sampled_from(STAGES))
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("way", [lowest, PlainLowest])
@given(UNITS, st.lists(st.integers(0, 3), max_size=5), st.integers(1, 4))
def test_what_a_process_leaves_of_its_units_is_lowest_of_all_in_whatever_order(way, units, order, most):
    of_units = [
        [
            Candidate(chance, unit, number, -1, groups, stage, "", "", b"")
            for number, (chance, groups, stage) in enumerate(of)
        ]
        for unit, of in enumerate(units)
    ]
    left = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "lowest", way)
        held = sampling.LowestOfUnits(most)
        for unit in [one for one in order if one < len(units)] + [*range(len(units))]:
            found = held.of(unit)
            for page in of_units[unit]:
                if found.wants(page.chance, page.groups, page.stage):
                    found.add(page)
            left[unit] = found.held(), found.limits()
    of_all, of_left = way(most), way(most)
    for unit, of in enumerate(of_units):
        for page in of:
            of_all.add(page)
        for page in left[unit][0]:
            of_left.add(page)
    assert of_left.limits() == of_all.limits()
    for at in range(2):
        assert of_left.groups_of(at) == of_all.groups_of(at)
        assert all(of_left.of(at, group) == of_all.of(at, group) for group in of_all.groups_of(at))
    least = {limit.place: limit for limit in of_all.limits()}
    assert all(least[limit.place] <= limit for _, limits in left.values() for limit in limits)


BODIES = st.lists(
    st.sampled_from(["This line is one of them. ", "Lorem ipsum.", "{", "ä", "中", "🙂", "\n"]), max_size=20
)
URLS = st.builds(
    "http://{}/{}".format, st.sampled_from(["example.org", "example.com", "left.example.net"]), st.integers(0, 99)
)


@given(st.lists(st.tuples(URLS, BODIES.map("".join)), max_size=40))
def test_the_pages_of_a_file_that_are_held_and_looked_at_are_the_same(found):
    rules = dataclasses.replace(RULE_SETS["c4-3.1.0"], min_sentences=1, min_language_probability=0.0)
    variants = [VARIANTS["en"], VARIANTS["realnewslike"]]
    asked = pages.PageRules(
        rules, variants, [], '{"example.com": true, "example.net": true}', ".left.example.net", False
    )
    with pytest.MonkeyPatch.context() as patch:
        for module, name, most in (
            (pages, "MOST_HELD", 50),
            (pages, "MOST_COUNTED", 9),
            (pages, "MOST_JUDGED", 4),
            (pages, "MOST_BYTES", 1500),
        ):
            patch.setattr(module, name, most)
            if hasattr(figures, name):
                patch.setattr(figures, name, most)
        patch.setattr(pages, "shortened", lambda body: body[:50].decode(errors="ignore").encode())
        ways = (
            pages.CompiledPages(asked, CompiledSteps(rules, variants, [])),
            pages.PlainPages(asked, PlainSteps(rules, variants, [])),
        )
        for way in ways:
            for samples in (3, 0, 2):
                way.begin("a", samples, every_dropped=False)
                for number, (url, body) in enumerate(found):
                    assert way.take(number, Page(url, body.encode(), "2019", "", "")) is None
        compiled, plain = ways
        assert compiled.take_lowest().held() == plain.take_lowest().held()
        assert compiled.looked() == plain.looked()
