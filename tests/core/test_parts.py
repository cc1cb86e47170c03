"""The compiled rules' parts beside Python's own: text, and digests."""

import hashlib
import re
import sys

import google_crc32c
import mmh3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from c4build.flow.figures import plain_count
from c4build.page import page_text

core = pytest.importorskip(
    "c4build._core", reason="c4build._core is not compiled: there was no compiler at installation"
)
parts = core.parts

EVERY = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
SPACE, WORD, DIGIT, UPPER, LOWER, LINE_END, CHANGES = (1 << bit for bit in range(7))
# Letters of every length and case, spaces of all kinds, sigmas, what is passed over around them.
LETTERS = st.sampled_from(list("aZ. \t\n\r\x0b\x1c\x85\xa0\u2028\u3000éÉßİıΣσςΑ\u0301'\u00ad𝐀𐐀中🙂"))
TEXTS = st.text(LETTERS, max_size=40) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def test_every_character_is_of_the_kinds_that_python_says():
    for kind, says in (
        (SPACE, str.isspace),
        (WORD, re.compile(r"\w").fullmatch),
        (DIGIT, re.compile(r"\d").fullmatch),
        (UPPER, str.isupper),
        (LOWER, str.islower),
        (LINE_END, lambda char: len(f"{char}a".splitlines()) == 2),
        (CHANGES, lambda char: char.lower() != char),
    ):
        wrong = [char for char in EVERY if bool(parts.kinds(ord(char)) & kind) != bool(says(char))]
        assert not wrong, kind


def test_every_character_has_the_lower_case_that_python_gives_it():
    for around in ("{}", "a{}", "{}Σ", "aΣ{}", "a{}Σ", "aΣ{}a"):
        text = "\n".join(around.format(char) for char in EVERY)
        assert parts.lower(text.encode()).decode() == text.lower()


@given(TEXTS)
def test_texts_are_split_stripped_and_lowered_as_python_does_it(text):
    data = text.encode()
    assert parts.lower(data).decode() == text.lower()
    assert parts.strip(data).decode() == text.strip()
    assert parts.rstrip(data).decode() == text.rstrip()
    assert core.count_text(data) == plain_count(text)
    assert core.page_text(data) == page_text(text).encode()
    assert core.count_text(core.page_text(data)) == plain_count(page_text(text))
    assert [line.decode() for line in parts.splitlines(data)] == text.splitlines()
    words = text.split()
    for number in range(len(words) + 2):
        assert parts.has_words(data, number) == (len(words) >= number)
    longest = max(map(len, words), default=0)
    for most in range(longest + 2):
        assert parts.has_longer_word(data, most) == (longest > most)


@given(st.text("".join(map(chr, range(128))) + "aaaaaa é\x85\u3000", max_size=200))
def test_counted_in_blocks(text):
    assert core.count_text(text.encode()) == plain_count(text)


@given(st.lists(st.sampled_from([bytes([byte]) for byte in b"\xe2\x80\xcc\xce\xa3\xf3\xc2\x85 a\n"])).map(b"".join))
@example(b"\xe2\x80\xcc\x80\x80\xce\xa3")  # a sigma: what stands before it is looked at
def test_of_bytes_that_are_no_utf_8_none_is_looked_at_that_is_not_there(data):
    """Where one is, the compiled rules end the process."""
    assert parts.strip(data) in data and data.startswith(parts.rstrip(data))
    assert len(b"".join(parts.splitlines(data))) <= len(data)
    assert core.count_text(data)[3] == len(data)
    assert len(parts.lower(data)) <= len(data)


@given(st.binary(max_size=12) | TEXTS.map(str.encode))
def test_bytes_are_utf_8_where_python_decodes_them(data):
    try:
        data.decode()
        decodes = True
    except UnicodeDecodeError:
        decodes = False
    assert parts.is_utf8(data) == decodes


@given(st.binary(max_size=300))
def test_digests_are_those_of_the_libraries(data):
    assert parts.murmur3(data) == mmh3.mmh3_x64_128_digest(data)
    assert parts.md5(data) == hashlib.md5(data).digest()
    assert parts.rank(data) == int.from_bytes(hashlib.md5(data).digest()[:8], "big")
    assert parts.crc32c(data) == google_crc32c.value(data)


def test_one_url_in_a_thousand_is_held_out():
    urls = [b"example.com/%d" % number for number in range(5000)]
    held = [url for url in urls if parts.in_validation(url)]
    assert held == [url for url in urls if int.from_bytes(hashlib.md5(url).digest(), "big") % 1000 == 0] != []
