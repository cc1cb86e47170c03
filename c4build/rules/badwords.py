"""Does a text hold a word of the list? As TFDS searches: lower-cased, between characters that are no word characters.

Notable choice: TFDS's own regular expression decides, but is asked only where quicker tests leave a doubt.
"""

import re
from collections.abc import Callable, Iterable

from c4build.rules.places import Place, lowered
from c4build.rules.prefilter import may_hold, surely_holds


def _exact(words: Iterable[str]) -> re.Pattern:
    """Of lower case; its first group is the word."""
    return re.compile(rf"(?:\W|^)({'|'.join(map(re.escape, words))})(?:\W|$)")


def bad_word_test(words: Iterable[str]) -> Callable[[str], bool]:
    """A test of texts: does one of `words` stand in it, whole and in any case?"""
    words = sorted(set(words))
    if not words:
        return lambda text: False
    exact = _exact(words)
    could_hold = may_hold(words, whole_words=True)
    holds_for_certain = surely_holds(filter(str.isascii, words))

    def holds(text: str) -> bool:
        return could_hold(text) and (holds_for_certain(text) or exact.search(text.lower()) is not None)

    return holds


def bad_word_finder(words: Iterable[str]) -> Callable[[str], list[Place]]:
    """A function of a text to where the words stand in it that `bad_word_test` finds, in order."""
    words = sorted(set(words))
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
