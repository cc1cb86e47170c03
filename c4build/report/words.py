"""What rules, counters and steps are called, and what each means under the rules that were taken, in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from c4build.errors import counted

_FIXED, _HYPHEN = "\u00a0", "\u2011"  # a space, and a hyphen, at which no line is broken
STEPS = {
    "ListInputs": "the inputs are listed and asked for their sizes",
    "Clean": "pages are read, and go through the rules before deduplication",
    "Gate": "all inputs are read; those that are missing are counted",
    "UrlKeys": "keys of URLs are sorted",
    "Newest": "of pages with one URL the newest is chosen",
    "RepeatKeys": "keys of lines or spans are sorted",
    "Repeats": "of lines or spans with one text the first is chosen",
    "Cut": "what was decided is dealt to the shards",
    "Finish": "repeats are cut out, the rules after it are applied, shards are written",
    "Take": "records are read, and go through the rules",
    "Keys": "keys of texts are sorted",
    "Copies": "of equal texts one is chosen",
    "Write": "shards are written",
    "Validation": "validation shards are put together",
    "Publish": "sums are checked, metadata is written",
}


def name(word: str) -> str:
    """bad_words -> bad words."""
    return word.replace("_", " ")


def amount(size: float) -> str:
    """Of bytes: 1536 -> 1.5 KiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:,.0f}{_FIXED}{unit}" if unit == "bytes" else f"{size:,.1f}{_FIXED}{unit}"
        size /= 1024
    raise AssertionError


def share(part: int, whole: int) -> str:
    """In per cent, with as many digits as tell it from none and from all."""
    if not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.01 or 99.99 < percent < 100:
        text = "<0.01" if percent < 50 else ">99.99"
    else:
        text = f"{percent:.0f}" if percent in (0, 100) else f"{percent:.2f}" if percent < 1 else f"{percent:.1f}"
    return f"{text}{_FIXED}%"


def duration(seconds: float) -> str:
    """0.9 s, 12.5 min, 3.4 h."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:,.1f}{_FIXED}{unit}"
    return f"{seconds:,.1f}{_FIXED}s"


def moment(instant: str) -> str:
    """2026-11-26T17:58:41Z as a person reads it."""
    return instant.replace("T", _FIXED).replace("-", _HYPHEN).removesuffix("Z").removesuffix("+00:00") + f"{_FIXED}UTC"


def money(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 0.01 or not dollars else "<$0.01"


def meaning(reason: str, manifest: Mapping[str, Any]) -> str:
    """Why a page or a line is dropped, with the thresholds that its run had; empty where the name says it all."""
    rules = manifest["rules"]
    tell = _MEANINGS.get(reason)
    try:
        return tell(rules, manifest) if tell else ""
    except (KeyError, TypeError, ValueError):  # rules of another program, or of other records
        return ""


def _either(words: Sequence[str]) -> str:
    return " or ".join(f"“{word}”" for word in words)


def _sentences(rules, _) -> str:
    return f"fewer than {counted(rules['min_sentences'], 'sentences')} in the lines that are left"


def _bad_words(_, manifest) -> str:
    return f"a word of the list of {counted(manifest['bad_words']['words'], 'words')} stands in the text"


def _least(rules) -> str:
    return f"{100 * rules.get('min_language_probability', rules.get('least')):g} %"


_MEANINGS = {
    "damaged": lambda *_: "the record cannot be read",
    "no_url": lambda *_: "the record has no URL",
    "no_content": lambda *_: "the record has no text",
    "no_date": lambda *_: "the record has no date that can be read",
    "too_long": lambda rules, _: f"more than {counted(rules['max_page_chars'], 'characters')}",
    "not_a_news_domain": lambda *_: "its host is not in the list of news domains",
    "duplicate_url": lambda *_: "another page has its URL, and is newer or comes first",
    "not_in_url_list": lambda *_: "its URL is not in the lists of shared URLs",
    "excluded": lambda *_: "its URL, host or suffix is in the list of what is left out",
    "lorem_ipsum": lambda *_: "the phrase “lorem ipsum” stands in it",
    "curly_bracket": lambda rules, _: f"{_either(rules['curly_brackets'])} stands in it, as in code",
    "bad_words": _bad_words,
    "too_few_sentences": _sentences,
    "language_unknown": lambda *_: "no language can be told from it",
    "language_unsure": lambda rules, _: f"langdetect is less than {_least(rules)} sure of its likeliest language",
    "other_language": lambda rules, _: f"another language than “{rules['language']}” is the likeliest",
    "nothing_left": lambda *_: "deduplication took all of its text",
    "too_few_sentences_left": lambda rules, _: (
        f"fewer than {counted(rules['min_sentences'], 'sentences')} are left by deduplication"
    ),
    "no_end_mark": lambda rules, _: f"it ends in none of {' '.join(rules['end_marks'])}",
    "too_few_words": lambda rules, _: f"fewer than {counted(rules['min_words_per_line'], 'words')}",
    "too_long_word": lambda rules, _: f"a word of more than {counted(rules['max_word_chars'], 'characters')}",
    "javascript": lambda *_: "the word “javascript” stands in it",
    "policy": lambda rules, _: f"{_either([p for p in rules['drop_lines_with'] if p != 'javascript'])} stands in it",
    "of_dropped_pages": lambda *_: "lines that passed, of pages that another of their lines dropped",
    "repeated": lambda *_: "it stands on another page, which keeps it",
    "copy": lambda *_: "another has the same text",
}
