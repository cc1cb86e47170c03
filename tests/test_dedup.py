"""The decisions on a bucket of keys, against plain dictionaries; and that their time does not grow with the files."""

import time
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c4build.compiled import core
from c4build.dedup.keys import LOSS, REPEAT, REPEAT_KEY, packed, repeat_key_dtype, url_key_dtype
from c4build.dedup.newest import newest
from c4build.dedup.repeats import combine, lost_repeats, plain_lost_repeats, repeats
from c4build.rules.tables import REASONS

VARIANTS = 3
BITS = 1 << VARIANTS

keys_of_lines = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2), st.integers(0, BITS - 1)), max_size=40
)  # file, hash, rank, variants


@given(keys_of_lines)
def test_of_repeated_keys_the_one_of_the_smallest_rank_file_and_position_stays(rows):
    position = defaultdict(int)
    parts, copies = defaultdict(list), defaultdict(list)
    for file, text, rank, variants in rows:
        parts[file].append((text, text, rank, position[file], variants))
        for bit in range(VARIANTS):
            if variants >> bit & 1:
                copies[text, bit].append((rank, file, position[file]))
        position[file] += 1
    wanted = defaultdict(int)
    for (_, bit), found in copies.items():
        for _, file, place in sorted(found)[1:]:
            wanted[file, place] |= 1 << bit
    got = (
        repeats([(file, np.array(keys, REPEAT_KEY).tobytes()) for file, keys in parts.items()], VARIANTS)
        if rows
        else {}
    )
    assert {
        (file, place): variants
        for file, data in got.items()
        for place, variants in np.frombuffer(data, REPEAT).tolist()
    } == dict(wanted)
    assert all(np.all(np.diff(np.frombuffer(data, REPEAT)["position"].astype(int)) > 0) for data in got.values())


@pytest.mark.skipif(core is None, reason="there was no compiler at installation")
@given(st.sampled_from([1, 8, 9, 20, 60]), st.integers(0, 2**32 - 1), st.integers(0, 3000))
def test_the_compiled_decision_on_lines_is_that_of_python(variants, seed, count):
    random = np.random.default_rng(seed)
    keys = np.zeros(count, repeat_key_dtype(variants))
    # Hashes of one first half and different second ones, and neighbours, are told apart.
    keys["high"] = random.choice(np.array([0, 1, 2**63, *random.integers(0, 2**63, 500)], np.uint64), count)
    keys["low"], keys["rank"] = random.integers(0, 3, count), random.integers(0, 4, count)
    keys["position"] = random.integers(0, 2**32, count)
    keys["variants"] = random.integers(0, 2**variants, count)
    groups = random.integers(0, 4, count).astype(np.uint32)
    found = lost_repeats(keys, groups, variants)
    assert found.dtype == keys["variants"].dtype
    np.testing.assert_array_equal(found, plain_lost_repeats(keys, groups, variants))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 100, 40_000]), st.sampled_from([0, 0.5, 0.99, 1]))
def test_packed_keys_are_those_that_are_wanted_in_their_order(seed, count, share):
    random = np.random.default_rng(seed)
    keys = np.frombuffer(random.bytes(count * REPEAT_KEY.itemsize), REPEAT_KEY).copy()
    wanted = random.random(count) < share
    expected = keys[wanted].tobytes()
    assert packed(keys, wanted).tobytes() == expected


@given(st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_what_a_group_decides_by_itself_is_what_a_bucket_of_its_keys_alone_would_decide(variants, seed, count):
    random = np.random.default_rng(seed)
    keys = np.zeros(count, repeat_key_dtype(variants))
    keys["high"], keys["rank"] = random.integers(0, 50, count), random.integers(0, 3, count)
    keys["position"], keys["variants"] = np.arange(count), random.integers(0, 2**variants, count)
    given_variants = keys["variants"].copy()
    decided = repeats([(0, keys.tobytes())], variants)
    left, gone = combine(keys.copy(), variants)
    assert gone.tobytes() == decided.get(0, b"")
    assert repeats([(0, left.tobytes())], variants) == {}
    given_variants[gone["position"]] &= ~gone["variants"]
    running = np.flatnonzero(given_variants)
    assert (
        left["position"].tolist() == running.tolist() and left["variants"].tolist() == given_variants[running].tolist()
    )


keys_of_urls = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 4), st.sampled_from([b"2019-04-18", b"2019-04-19"]),
        st.tuples(*[st.sampled_from([0, 0, 1, 2])] * VARIANTS),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@given(keys_of_urls, st.booleans())
def test_of_the_copies_of_a_url_the_newest_of_the_first_file_stays(rows, all_compete):
    dtype = url_key_dtype(VARIANTS)
    competes = np.full(len(REASONS), all_compete)
    competes[0] = True
    parts, copies, page = defaultdict(list), defaultdict(list), defaultdict(int)
    for file, url, date, reasons in rows:
        parts[file].append((url, url, date, page[file], reasons))
        for bit in range(VARIANTS):
            if competes[reasons[bit]]:
                copies[url, bit].append((date, -file, -page[file]))
        page[file] += 1
    wanted = defaultdict(int)
    for (_, bit), found in copies.items():
        for _, file, place in sorted(found, reverse=True)[1:]:
            wanted[-file, -place] |= 1 << bit
    given_parts = [(file, np.array(keys, dtype).tobytes()) for file, keys in parts.items()]
    got, _ = newest(given_parts, None, 0, competes, VARIANTS)
    assert {
        (file, place): (variants, unlisted)
        for file, data in got.items()
        for place, variants, unlisted in np.frombuffer(data, LOSS).tolist()
    } == {of: (variants, 0) for of, variants in wanted.items()}


def seconds(files: int, kind: str) -> float:
    """CPU time of a bucket of 400,000 keys of so many files; the best of two."""
    choose, total = np.random.default_rng(5), 400_000
    dtype = REPEAT_KEY if kind == "lines" else url_key_dtype(1)
    keys = np.zeros(total, dtype)
    keys["high"] = keys["low"] = choose.integers(0, total // 3, total)
    if kind == "lines":
        keys["variants"] = 1
    parts = [(file, part.tobytes()) for file, part in enumerate(np.array_split(keys, files))]
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        found = repeats(parts, 1) if kind == "lines" else newest(parts, None, 0, np.ones(len(REASONS), bool), 1)[0]
        best = min(best, time.process_time() - start)
    assert len(found) > files // 2
    return best


@pytest.mark.parametrize("kind", ["lines", "urls"])
def test_the_time_of_a_bucket_does_not_grow_with_the_square_of_the_files(kind):
    assert seconds(20_000, kind) < 3 * seconds(200, kind)
