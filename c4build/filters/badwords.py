"""Does a text hold a word of the list? As TFDS searches: lower-cased, between characters that are no word characters.

Notable choice: the text's ASCII tokens are looked up in a set first. Every listed word has a token that would have to
be there; only a page that has one is searched with a regular expression, and only for the words it could hold.
"""

import re
from typing import Callable, Iterable

# Every byte but a-z, 0-9 and _ becomes a space: each such byte is, or belongs to, a character that may end a word.
_TOKEN_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789_"
_TO_TOKENS = bytes(byte if byte in _TOKEN_BYTES else 32 for byte in range(256))


def bad_word_test(words: Iterable[str]) -> Callable[[str], bool]:
    """A test of texts: does one of `words` stand in it, whole and in any case?"""
    by_token: dict[bytes, list[str]] = {}
    without_token = []
    for word in sorted(set(words)):
        tokens = word.encode().translate(_TO_TOKENS).split()
        # A word with letters outside ASCII has its tokens cut at other places than a text would: search it directly.
        if tokens and word.isascii():
            by_token.setdefault(max(tokens, key=len), []).append(word)
        else:
            without_token.append(word)
    tokens = frozenset(by_token)
    patterns = {word: re.compile(rf"(?:\W|^){re.escape(word)}(?:\W|$)") for word in set(words)}

    def holds(text: str) -> bool:
        lower = text.lower()
        for word in without_token:
            if word in lower and patterns[word].search(lower):
                return True
        found = tokens.intersection(lower.encode("utf-8", "surrogatepass").translate(_TO_TOKENS).split())
        return any(word in lower and patterns[word].search(lower) for token in found for word in by_token[token])

    return holds
