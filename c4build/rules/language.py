"""The language of a text by langdetect, which C4 is defined by: seeded anew for each text, so that it always answers
the same, with its profiles in the order of their names on every machine.

Three programs give its answers, bit for bit. langdetect is one of them; langdetect-rs is some fifty times faster, and
core/language.cpp, which is there where a compiler was at installation, several times faster still.
"""

import importlib
import pathlib
import random
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

import langdetect
from langdetect.utils.ngram import NGram

from c4build.compiled import core

SEED = 0
_MOST = 10_000  # characters: `max_text_length` of langdetect's `Detector`
_WORDS = 1 << 15  # seven trials of a thousand draws each come by with half of them

# The likeliest language of a text and its probability; None where there is nothing to go by.
Detect = Callable[[str], tuple[str, float] | None]


def language_test(language: str, least: float, detect: Detect | None = None) -> Callable[[str], str | None]:
    """A function of a text to why it goes: None where it is `language` with probability `least` or more.

    Reasons: language_unknown (no letters to go by), language_unsure, other_language.
    """
    detect = detect or fastest_detector()

    def judge(text: str) -> str | None:
        found = detect(_seen(text))
        if found is None:
            return "language_unknown"
        name, probability = found
        if probability < least:
            return "language_unsure"
        return None if name == language else "other_language"

    return judge


def likely_languages(text: str) -> list[tuple[str, float]]:
    """The languages that langdetect finds likely, with their probabilities, the likeliest first: what `language_test` asks."""
    seen = _seen(text)
    if core is not None:
        return compiled_detector().likely(seen.encode("utf-8", "surrogatepass"))
    library = _fastest_library()
    library_detector(library)  # makes it ready
    return _by_library(library, seen)


def likeliest_language(text: str) -> tuple[str, float] | None:
    """The likeliest language of a text and its probability: what `language_test` goes by."""
    return fastest_detector()(_seen(text))


@lru_cache(maxsize=1)
def fastest_detector() -> Detect:
    if core is None:
        return library_detector(_fastest_library())
    detector = compiled_detector()
    return lambda text: detector(text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=2)
def compiled_detector(seed: int = SEED, compensated: bool = sys.version_info >= (3, 12)):
    """langdetect compiled: called with a text in UTF-8, gives what `Detect` does.

    Args:
      seed: of its random numbers, for each text.
      compensated: whether `sum` of floats is compensated, by default as in this Python.
    """
    return core.LanguageDetector(
        profiles=read_profiles(),
        latin1_spaces=NGram.LATIN1_EXCLUDED.encode(),
        kanji=[kanji.encode() for kanji in NGram.CJK_CLASS],
        vietnamese_letters=NGram.TO_NORMALIZE_VI_CHARS.encode(),
        vietnamese_marks=NGram.DMARK_CLASS.encode(),
        vietnamese=[letters.encode() for letters in NGram.NORMALIZED_VI_CHARS],
        random_words=random.Random(seed).randbytes(4 * _WORDS),
        compensated=compensated,
    )


def _fastest_library() -> ModuleType:
    try:
        return importlib.import_module("langdetect_rs")
    except ImportError:
        return langdetect


@lru_cache(maxsize=2)
def library_detector(library) -> Detect:
    """By `langdetect` or `langdetect_rs`."""
    factory = library.DetectorFactory()
    factory.load_json_profile([profile.decode() for profile in read_profiles()])
    factory.set_seed(SEED)
    library.detector_factory._factory = factory  # where `detect_langs` looks for its own

    def detect(text: str) -> tuple[str, float] | None:
        found = _by_library(library, text)
        return found[0] if found else None

    return detect


def _by_library(library, text: str) -> list[tuple[str, float]]:
    try:
        return [(found.lang, found.prob) for found in library.detect_langs(text)]
    except library.LangDetectException:
        return []


def read_profiles() -> list[bytes]:
    """langdetect's profiles, each as JSON, in the order of their files' names."""
    folder = pathlib.Path(langdetect.__file__).parent / "profiles"
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return [path.read_bytes() for path in files]


def _seen(text: str) -> str:
    """What langdetect looks at of a text that is longer: it cuts it, but only when addresses are gone from all of it."""
    if len(text) <= _MOST:
        return text
    # Its table for Vietnamese makes one character of two at most.
    head = text[: 2 * _MOST]
    if "@" in head or "://" in head:
        return text
    return head[:_MOST] if head.isascii() else head
