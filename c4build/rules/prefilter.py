"""Could a text hold one of many phrases? RE2 answers on bytes, in time that does not grow with their number.

It knows the case of ASCII only, and takes every other byte for a word's end: what it lets through is looked at again.
"""

from collections.abc import Callable, Iterable

import re2

# The two characters outside ASCII whose lower case holds ASCII: the Kelvin sign, and I with a dot. Either is a doubt.
_FOLDED_TO_ASCII = rb"|\xe2\x84\xaa|\xc4\xb0"
_MEMORY = 64 << 20  # bytes


def may_hold(phrases: Iterable[str], whole_words: bool = False) -> Callable[[str], bool]:
    """A test of texts: may the lower case of one hold one of `phrases`, lower-cased? Never wrong when it says no.

    With `whole_words` only between characters that are no word characters.
    """
    phrases = [phrase.lower() for phrase in phrases]
    if not phrases:
        return lambda text: False
    pattern = _any_of(phrases)
    if whole_words:
        pattern = _between(rb"[^0-9A-Za-z_]", pattern)
    search = _search(pattern + _FOLDED_TO_ASCII)
    # Only of ASCII can RE2 be left to judge the case.
    only_ascii = all(phrase.isascii() or phrase.upper() == phrase for phrase in phrases)

    def test(text: str) -> bool:
        return search((text if only_ascii else text.lower()).encode()) is not None

    return test


def surely_holds(words: Iterable[str]) -> Callable[[str], bool]:
    """A test of texts: does one of `words`, of ASCII alone, stand in it in any case, between characters of ASCII that are
    no word characters, or its ends? It says no where other characters stand beside a word.
    """
    words = list(words)
    if not words:
        return lambda text: False
    search = _search(_between(rb"[\x00-/:-@\[-^`{-\x7f]", _any_of(words)))
    return lambda text: search(text.encode()) is not None


def _any_of(phrases: Iterable[str]) -> bytes:
    return b"(?:" + "|".join(map(re2.escape, phrases)).encode() + b")"


def _between(edge: bytes, pattern: bytes) -> bytes:
    return b"(?:^|" + edge + b")" + pattern + b"(?:$|" + edge + b")"


def _search(pattern: bytes) -> Callable[[bytes], object]:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes
    options.case_sensitive = False
    options.never_capture = True
    options.max_mem = _MEMORY
    return re2.compile(pattern, options).search
