"""Does a text hold a word of the list? As TFDS searches: lower-cased, between characters that are no word characters.

Notable choice: TFDS's own regular expression decides, but is asked only where quicker tests leave a doubt.
"""

import re
from collections.abc import Callable, Iterable

from c4build.rules.prefilter import may_hold, surely_holds


def bad_word_test(words: Iterable[str]) -> Callable[[str], bool]:
    """A test of texts: does one of `words` stand in it, whole and in any case?"""
    words = sorted(set(words))
    if not words:
        return lambda text: False
    exact = re.compile(rf"(?:\W|^)({'|'.join(map(re.escape, words))})(?:\W|$)")
    could_hold = may_hold(words, whole_words=True)
    holds_for_certain = surely_holds(filter(str.isascii, words))

    def holds(text: str) -> bool:
        return could_hold(text) and (holds_for_certain(text) or exact.search(text.lower()) is not None)

    return holds
