"""Does a text hold a word of the list? As TFDS searches: lower-cased, between characters that are no word characters."""

import re
from collections.abc import Callable, Iterable

from c4build.compiled import core
from c4build.rules.places import Place, lowered


def _exact(words: Iterable[str]) -> re.Pattern:
    """Of lower case; its first group is the word."""
    by_letter: dict[str, list[str]] = {}  # at most places no word has the first letter, which one look tells then
    for word in words:
        by_letter.setdefault(word[:1], []).append(re.escape(word[1:]))
    letters = "|".join(f"{re.escape(letter)}(?:{'|'.join(rest)})" for letter, rest in by_letter.items())
    return re.compile(rf"(?:\W|^)({letters})(?:\W|$)")


def bad_word_test(words: Iterable[str]) -> Callable[[str], bool]:
    """A test of texts: does one of `words` stand in it, whole and in any case?"""
    words = sorted(set(words))
    if not words:
        return lambda text: False
    exact = _exact(words)
    return lambda text: exact.search(text.lower()) is not None


def bad_word_finder(words: Iterable[str]) -> Callable[[str], list[Place]]:
    """A function of a text to where the words stand in it that `bad_word_test` finds, in order; the empty one has no place."""
    return plain_bad_word_finder(words) if core is None else core.BadWords(list(words)).places


def plain_bad_word_finder(words: Iterable[str]) -> Callable[[str], list[Place]]:
    """The same in Python."""
    words = sorted(set(filter(None, words)))
    exact = _exact(words)

    def find(text: str) -> list[Place]:
        lower, at = lowered(text)
        places, start = [], 0
        # What stands between two words is the end of one and the beginning of the next.
        while words and (found := exact.search(lower, start)):
            places.append((at[found.start(1)], at[found.end(1)]))
            start = found.end(1)
        return places

    return find
