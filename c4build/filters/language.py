"""The language of a text by langdetect, which C4 is defined by: seeded anew for each text, so that it always answers
the same. langdetect-rs gives langdetect's answers bit for bit, about fifty times faster, and is used where it is
installed; the profiles are langdetect's own either way, loaded in the order of their names on every machine.
"""

import pathlib
from functools import lru_cache
from typing import Callable, Optional

import langdetect

try:
    import langdetect_rs as detector
except ImportError:
    detector = langdetect

SEED = 0
_MOST = 10_000  # characters: `max_text_length` of langdetect's `Detector`


def language_test(language: str, least: float, implementation=None) -> Callable[[str], Optional[str]]:
    """A function of a text to why it goes: None where it is `language` with probability `least` or more.

    Reasons: language_unknown (no letters to go by), language_unsure, other_language.
    """
    implementation = implementation or detector
    _use_sorted_profiles(implementation)
    detect = implementation.detect_langs
    no_answer = implementation.LangDetectException

    def judge(text: str) -> Optional[str]:
        try:
            found = detect(_seen(text))
        except no_answer:
            return "language_unknown"
        if not found:
            return "language_unknown"
        if found[0].prob < least:
            return "language_unsure"
        return None if found[0].lang == language else "other_language"

    return judge


def _seen(text: str) -> str:
    """What langdetect looks at of a text that is longer: it cuts it, but only when addresses are gone from all of it."""
    if len(text) <= _MOST:
        return text
    # Its table for Vietnamese makes one character of two at most.
    head = text[: 2 * _MOST]
    if "@" in head or "://" in head:
        return text
    return head[:_MOST] if head.isascii() else head


@lru_cache(maxsize=2)
def _use_sorted_profiles(implementation):
    """Puts a seeded factory with the profiles in order where `detect_langs` of the implementation looks for its own."""
    folder = pathlib.Path(langdetect.__file__).parent / "profiles"
    factory = implementation.DetectorFactory()
    profiles = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles])
    factory.set_seed(SEED)
    implementation.detector_factory._factory = factory
