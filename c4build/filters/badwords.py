"""Does a text hold a word of the list? As TFDS searches: lower-cased, between characters that are no word characters.

Notable choice: RE2 asks first, on bytes and in time that does not grow with the list, whether any word could be there;
only then does TFDS's own regular expression decide. RE2 takes every byte outside ASCII for a word's end, so that it
can be wrong in one direction only.
"""

import re
from typing import Callable, Iterable

import re2

# The two characters outside ASCII whose lower case holds ASCII: the Kelvin sign, and I with a dot.
FOLDED_TO_ASCII = "\u212a\u0130"
_FOLDED_BYTES = tuple(char.encode() for char in FOLDED_TO_ASCII)
_RE2_MEMORY = 64 << 20  # bytes


def bad_word_test(words: Iterable[str]) -> Callable[[str], bool]:
    """A test of texts: does one of `words` stand in it, whole and in any case?"""
    words = sorted(set(words))
    if not words:
        return lambda text: False
    exact = re.compile(rf"(?:\W|^)({'|'.join(map(re.escape, words))})(?:\W|$)")
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes
    options.case_sensitive = False
    options.never_capture = True
    options.max_mem = _RE2_MEMORY
    any_word = "|".join(re2.escape(word) for word in words).encode()
    could_hold = re2.compile(rb"(?:^|[^0-9A-Za-z_])(?:" + any_word + rb")(?:$|[^0-9A-Za-z_])", options)
    # Only of ASCII can RE2 be left to judge the case.
    only_ascii = all(word.isascii() or word.upper() == word.lower() for word in words)

    def holds(text: str) -> bool:
        data = text.encode()
        if not data.isascii() and (not only_ascii or any(char in data for char in _FOLDED_BYTES)):
            data = text.lower().encode()
        return could_hold.search(data) is not None and exact.search(text.lower()) is not None

    return holds
