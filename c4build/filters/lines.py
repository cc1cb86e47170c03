"""Which lines of a page stay: the heart of C4's cleaning.

Notable choices:
- The end of a line is looked at before anything else: nine lines in ten go there.
- Phrases are searched once in all kept lines together; only a page that has one is gone through line by line.
"""

import re
from collections import Counter
from typing import Callable, Optional

from c4build.filters.badwords import FOLDED_TO_ASCII
from c4build.rules import RuleSet

_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_LOREM_IPSUM = "lorem ipsum"
_SPACES = frozenset(char for char in map(chr, range(0x3001)) if char.isspace())


def _phrase_test(phrases: tuple[str, ...]) -> Callable[[str], bool]:
    """A quick test of texts: could the lower case of one hold one of `phrases`? Never wrong when it says no."""
    searched = _without_supersets([phrase.lower().encode() for phrase in phrases])
    doubtful = [char.encode() for char in FOLDED_TO_ASCII]
    exact = all(phrase.isascii() for phrase in phrases)

    def test(text: str) -> bool:
        data = text.encode().lower()
        if not data.isascii() and (not exact or any(char in data for char in doubtful)):
            return True
        return any(phrase in data for phrase in searched)

    return test


def _without_supersets(phrases: list[bytes]) -> list[bytes]:
    """`phrases` without those that hold another of them."""
    return [phrase for phrase in phrases if not any(other != phrase and other in phrase for other in phrases)]


def has_longer_word(line: str, longest: int) -> bool:
    """True if a word of `line` has more than `longest` characters."""
    # A space in every block of half that length leaves no room for one.
    block = max(longest // 2, 1)
    if all(line.find(" ", start, start + block) >= 0 for start in range(0, len(line) - block + 1, block)):
        return False
    return max(map(len, line.split()), default=0) > longest


def line_filter(rules: RuleSet) -> Callable[[list[str], Counter], tuple[list[str], Optional[str]]]:
    """A function of a page's lines and a counter of lines to the lines that stay and why the page goes, if it does.

    The order of tests is that of TFDS's `clean_page`. Each line of the page is counted once: as `kept`, by the rule
    that dropped it, or under `of_dropped_pages` where a phrase in a line drops the whole page.
    """
    marks = frozenset(rules.end_marks)
    # What the last character of a line can be for it to stay: a mark, or what is taken away to lay one bare.
    ends = marks | _SPACES | ({"]"} if rules.remove_citations else set())
    refused = rules.refused_endings
    least_words = rules.min_words_per_line
    longest = rules.max_word_chars
    in_lines = rules.page_phrases_in_lines
    curly = rules.curly_brackets
    might_hold = _phrase_test((*rules.drop_lines_with, *((_LOREM_IPSUM, *curly) if in_lines else ())))

    def shorten(lines: list[str], counts: Counter) -> list[str]:
        kept = [line for line in lines if len(line) <= longest or not has_longer_word(line, longest)]
        counts["too_long_word"] += len(lines) - len(kept)
        return kept

    def judge_phrases(lines: list[str], counts: Counter) -> tuple[list[str], Optional[str]]:
        kept = []
        for line in lines:
            lower = line.lower()
            if in_lines and _LOREM_IPSUM in lower:
                return kept, "lorem_ipsum"
            if "javascript" in lower and "javascript" in rules.drop_lines_with:
                counts["javascript"] += 1
                continue
            if in_lines and any(bracket in line for bracket in curly):
                return kept, "curly_bracket"
            if any(phrase in lower for phrase in rules.drop_lines_with):
                counts["policy"] += 1
                continue
            kept.append(line)
        return kept, None

    def keep(lines: list[str], counts: Counter) -> tuple[list[str], Optional[str]]:
        counts["read"] += len(lines)
        if longest and lines and len(max(lines, key=len)) > longest:
            lines = shorten(lines, counts)
        candidates = [line for line in lines if line[-1:] in ends]
        no_end_mark = len(lines) - len(candidates)
        too_few_words = 0
        kept = []
        for line in candidates:
            line = line.strip()
            if "[" in line and rules.remove_citations:
                line = _CITATION.sub("", line)
            if line[-1:] not in marks or line.endswith(refused):
                no_end_mark += 1
            elif len(line.split(None, least_words - 1)) < least_words:
                too_few_words += 1
            else:
                kept.append(line)
        counts["no_end_mark"] += no_end_mark
        counts["too_few_words"] += too_few_words
        if kept:
            if might_hold("\n".join(kept)):
                candidates = len(kept)
                dropped = counts["javascript"] + counts["policy"]
                kept, reason = judge_phrases(kept, counts)
                if reason:
                    counts["of_dropped_pages"] += candidates - (counts["javascript"] + counts["policy"] - dropped)
                    return [], reason
        counts["kept"] += len(kept)
        return kept, None

    return keep
