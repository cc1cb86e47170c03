"""langdetect's answers by language.c: its tables, and the call. It knows texts in Latin letters, and leaves the others
to langdetect itself.

The tables are made at the first call, by langdetect's own rules: a character's class is what its `NGram.normalize` makes
of it, and a row of weights has an n-gram's share of each profile.
"""

import ctypes
import pathlib
import random
import re
import sys
from functools import lru_cache

import numpy as np
from langdetect.utils.ngram import NGram
from langdetect.utils.unicode_block import unicode_block

# Latin letters, and what is found among them in any text: punctuation, signs, fonts' own icons, ligatures, marks of byte
# order and of emoji, wide letters, emoji. Never U+0300 to U+036F, of which langdetect makes letters of Vietnamese.
_RANGES = (
    (0x0000, 0x0300), (0x1E00, 0x1F00), (0x2000, 0x2C00), (0xF000, 0xF300), (0xFB00, 0xFB07), (0xFE00, 0xFE10),
    (0xFEFF, 0xFF66), (0xFFF9, 0xFFFE), (0x1F000, 0x1FB00),
)  # fmt: skip
_CHARACTERS = _RANGES[-1][1]
_SPACE, _LETTER, _CAPITAL, _FIRST, _OUTSIDE = 0, 1, 2, 3, 255  # classes; letters that no profile knows are two of them
_UPPER, _LATIN, _OTHER, _STEP = 1 << 8, 1 << 9, 1 << 10, 8
_WORDS = 1 << 15  # seven trials of a thousand draws each come by with half of them
_NO_FEATURES, _GAVE_UP = -1, -2
_UTF_32 = "utf-32-" + sys.byteorder[0] + "e"


class GaveUp(Exception):
    """The tables do not suffice for this text."""


@lru_cache(maxsize=1)
def load_library() -> ctypes.CDLL | None:
    """language.c compiled, None where there was no compiler at installation."""
    try:
        library = ctypes.CDLL(str(pathlib.Path(__file__).with_name("_language.so")))
    except OSError:
        return None
    library.best_language.restype = ctypes.c_int
    library.best_language.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_double)
    ]  # fmt: skip
    return library


class _Tables(ctypes.Structure):
    """As `Tables` in language.c, which says what they are."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("letters", "pairs", "trigrams", "weights", "words")),
        *((name, ctypes.c_int32) for name in ("characters", "languages", "columns", "word_count", "compensated")),
    ]


class CompiledDetector:
    """Called with a text, gives its likeliest language and that one's probability, None without any letters.

    Args:
      profiles: langdetect's, as in its JSON files, in the order in which it is to load them.
      seed: of its random numbers, for each text.
      compensated: whether `sum` of floats is compensated, by default as in this Python.

    Raises:
      GaveUp: when called with a text that is not mainly Latin.
      RuntimeError: there is no library.
    """

    def __init__(self, profiles: list[dict], seed: int, compensated: bool = sys.version_info >= (3, 12)):
        library = load_library()
        if library is None:
            raise RuntimeError("language.c was not compiled")
        self._best_language = library.best_language
        self._languages = [profile["name"] for profile in profiles]
        classes = _classes(set().union(*(gram for profile in profiles for gram in profile["freq"])))
        words = np.frombuffer(random.Random(seed).randbytes(4 * _WORDS), "<u4").astype(np.uint32)
        unigrams, pairs, trigrams, weights = _gram_tables(profiles, classes)
        letters = _letters(classes, unigrams)
        self._arrays = {"letters": letters, "pairs": pairs, "trigrams": trigrams, "weights": weights, "words": words}
        self._tables = ctypes.byref(_Tables(
            **{name: array.ctypes.data for name, array in self._arrays.items()},
            characters=_CHARACTERS, languages=len(profiles), columns=weights.shape[1], word_count=_WORDS,
            compensated=compensated,
        ))  # fmt: skip

    def __call__(self, text: str) -> tuple[str, float] | None:
        probability = ctypes.c_double()  # one for each call: threads share the detector
        characters = text.encode(_UTF_32, "surrogatepass")
        best = self._best_language(self._tables, characters, len(text), ctypes.byref(probability))
        if best == _GAVE_UP:
            raise GaveUp
        return None if best == _NO_FEATURES else (self._languages[best], probability.value)


def _characters() -> list[str]:
    return [chr(code) for start, stop in _RANGES for code in range(start, stop)]


def _classes(known: set[str]) -> dict[str, int]:
    """The classes of the letters that profiles know, by the letter that `NGram.normalize` makes of them."""
    letters = sorted({NGram.normalize(character) for character in _characters()} & known - {" "})
    return {" ": _SPACE, **{letter: _FIRST + index for index, letter in enumerate(letters)}}


def _letters(classes: dict[str, int], unigrams: np.ndarray) -> np.ndarray:
    """[characters] uint32: class, marks and unigram of each."""
    letters = np.full(_CHARACTERS, _OUTSIDE, np.uint32)
    for character in _characters():
        letter = NGram.normalize(character)
        found = classes.get(letter, _CAPITAL if letter.isupper() else _LETTER)
        marks = _UPPER if letter.isupper() else 0
        # As `Detector.cleaning_text` counts them.
        if "A" <= character <= "z":
            marks |= _LATIN
        elif character >= "\u0300" and unicode_block(character) != "Latin Extended Additional":
            marks |= _OTHER
        letters[ord(character)] = found | marks | int(unigrams[found]) << 16
    return letters


def _gram_tables(profiles: list[dict], classes: dict[str, int]) -> tuple[np.ndarray, ...]:
    """The rows of unigrams by class, `pairs`, `trigrams` and `weights`. No profile has an n-gram with a space inside."""
    is_known = re.compile("[" + re.escape("".join(classes)) + "]{1,3}").fullmatch
    grams = dict.fromkeys(gram for profile in profiles for gram in profile["freq"])
    rows = {gram: row for row, gram in enumerate(filter(is_known, grams), 1)}
    unigrams = np.zeros(256, np.uint16)
    bigrams, blocks = np.zeros((2, 256, 256), np.uint32)
    starts = sorted({gram[:2] for gram in rows if len(gram) == 3})
    trigrams = np.zeros((len(starts) + 1, 256), np.uint16)
    for block, (first, second) in enumerate(starts, 1):
        blocks[classes[first], classes[second]] = block
    for gram, row in rows.items():
        *before, last = map(classes.__getitem__, gram)
        if not before:
            unigrams[last] = row if last != _SPACE else 0
        elif len(before) == 1:
            bigrams[before[0], last] = row
        else:
            trigrams[blocks[tuple(before)], last] = row
    weights = np.zeros((len(rows) + 1, -(-len(profiles) // _STEP) * _STEP))  # row 0 takes what is in no table
    for language, profile in enumerate(profiles):
        found = [rows.get(gram, 0) for gram in profile["freq"]]
        total = np.array(profile["n_words"])[[len(gram) - 1 for gram in profile["freq"]]]
        weights[found, language] = list(profile["freq"].values()) / total
    return unigrams, bigrams | blocks << 16, trigrams, weights
