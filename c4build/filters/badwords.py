"""Does a text hold a word of the list? As TFDS searches: lower-cased, between characters that are no word characters.

Notable choices:
- The text's ASCII tokens are looked up in a set first. Every listed word has a token that would have to be there; only
  a page that has one is searched with a regular expression, and only for the words it could hold.
- That first look needs no lower case but that of ASCII, so it works on bytes.
"""

import re
from functools import lru_cache
from typing import Callable, Iterable

# a-z, 0-9 and _ stay, A-Z become a-z, and every other byte a space: it is, or belongs to, a character that ends a word.
_TOKEN_BYTES = b"abcdefghijklmnopqrstuvwxyz0123456789_"
_TO_TOKENS = bytes(
    lower if (lower := byte + 32 if 65 <= byte <= 90 else byte) in _TOKEN_BYTES else 32 for byte in range(256)
)
# The two characters outside ASCII whose lower case holds ASCII: the Kelvin sign, and I with a dot.
FOLDED_TO_ASCII = "\u212a\u0130"
_FOLDED_BYTES = tuple(char.encode() for char in FOLDED_TO_ASCII)


# Tokens of listed phrases that many pages hold: a phrase is looked for by another of its tokens where it has one.
_COMMON = frozenset(
    b"s m one two make me come on up the to in of how hot big group date hand hands hard style action images phone "
    b"buttons double black white piece straight huge reverse girl girls spot spread dream time baby".split()
)


def _rarity(token: bytes) -> tuple[bool, int]:
    return token not in _COMMON, len(token)


def bad_word_test(words: Iterable[str]) -> Callable[[str], bool]:
    """A test of texts: does one of `words` stand in it, whole and in any case?"""
    by_token: dict[bytes, list[str]] = {}
    without_token = []
    for word in sorted(set(words)):
        tokens = word.encode().translate(_TO_TOKENS).split()
        # A word with letters outside ASCII has its tokens cut at other places than a text would: search it directly.
        if tokens and word.isascii():
            by_token.setdefault(max(tokens, key=_rarity), []).append(word)
        else:
            without_token.append(word)
    looked_for = frozenset(by_token)
    # Emoji and the like can be looked for in the text as it is.
    caseless = [word for word in without_token if word.upper() == word.lower()]
    cased = [word for word in without_token if word not in caseless]

    @lru_cache(maxsize=None)
    def pattern(word: str) -> re.Pattern:
        return re.compile(rf"(?:\W|^){re.escape(word)}(?:\W|$)")

    def holds(text: str) -> bool:
        data = text.encode()
        if not data.isascii() and any(folded in data for folded in _FOLDED_BYTES):
            data = text.lower().encode()
        tokens = looked_for.intersection(data.translate(_TO_TOKENS).split())
        found = []
        if tokens:
            data = data.lower()
            found = [word for token in tokens for word in by_token[token] if word.lower().encode() in data]
        found += [word for word in caseless if word in text]
        if not found and not cased:
            return False
        lower = text.lower()
        return any(word in lower and pattern(word).search(lower) for word in (*found, *cased))

    return holds
