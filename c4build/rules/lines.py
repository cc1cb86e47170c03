"""Which lines of a page stay: the heart of C4's cleaning. `core/lines.cpp` is the same, compiled."""

import re
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from c4build.compiled import core
from c4build.errors import counted
from c4build.rules.places import Seen, places_of
from c4build.rules.tables import PAGE_PHRASES, RuleSet

_WORD = re.compile(r"\S+")
_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
LOREM_IPSUM = "lorem ipsum"


def lines_of(text: str) -> list[str]:
    """The lines of a page as they were read, without empty ones."""
    return [line for line in text.splitlines() if line]


# A line to its fate by the tests of the line itself, and what stays of it; and what stays to its fate by phrases.
_Tests = tuple[Callable[[str], tuple[str, str]], Callable[[str], str]]


def _line_tests(rules: RuleSet, page_phrases: Collection[str]) -> _Tests:
    lorem_ipsum = rules.page_phrases_in_lines and "lorem_ipsum" in page_phrases
    curly = rules.curly_brackets if rules.page_phrases_in_lines and "curly_bracket" in page_phrases else ()
    javascript = "javascript" in rules.drop_lines_with

    def has_too_long_word(line: str) -> bool:
        return len(line) > rules.max_word_chars > 0 and max(map(len, line.split()), default=0) > rules.max_word_chars

    def without_citations(line: str) -> str:
        return _CITATION.sub("", line) if rules.remove_citations else line

    def ends_well(line: str) -> bool:
        return line[-1:] in rules.end_marks and not line.endswith(rules.refused_endings)

    def has_too_few_words(line: str) -> bool:
        return len(line.split()) < rules.min_words_per_line

    def judge(line: str) -> tuple[str, str]:
        if has_too_long_word(line):
            return "too_long_word", ""
        line = without_citations(line.strip())
        if not ends_well(line):
            return "no_end_mark", ""
        if has_too_few_words(line):
            return "too_few_words", ""
        return "kept", line

    def judge_phrases(line: str) -> str:
        lower = line.lower()
        if lorem_ipsum and LOREM_IPSUM in lower:
            return "lorem_ipsum"
        if javascript and "javascript" in lower:
            return "javascript"
        if any(bracket in line for bracket in curly):
            return "curly_bracket"
        if any(phrase in lower for phrase in rules.drop_lines_with):
            return "policy"
        return "kept"

    return judge, judge_phrases


def line_filter(
    rules: RuleSet, page_phrases: Collection[str] = PAGE_PHRASES
) -> Callable[[str, Counter], tuple[str, str | None]]:
    """A function of a page as it was read and a counter of lines to the text that stays and why the page goes, if it does.

    The order of tests is that of TFDS's `clean_page`. Each line of the page is counted once: as `kept`, by the rule
    that dropped it, or under `of_dropped_pages` where a phrase in a line drops the whole page. Of the steps that look
    for such phrases, where the rules look for them in lines, those named in `page_phrases` are taken.
    """
    judge, judge_phrases = _line_tests(rules, page_phrases)

    def keep(page: str, counts: Counter) -> tuple[str, str | None]:
        judged = [judge(line) for line in lines_of(page)]
        passed = [line for fate, line in judged if fate == "kept"]
        counts["read"] += len(judged)
        counts.update(fate for fate, _ in judged if fate != "kept")
        kept: list[str] = []
        for number, line in enumerate(passed):
            fate = judge_phrases(line)
            if fate in PAGE_PHRASES:
                counts["of_dropped_pages"] += len(passed) - number + len(kept)
                return "", fate
            if fate == "kept":
                kept.append(line)
            else:
                counts[fate] += 1
        counts["kept"] += len(kept)
        return "\n".join(kept).strip(), None

    return keep


def line_judge(rules: RuleSet, page_phrases: Collection[str] = PAGE_PHRASES) -> Callable[[str], tuple[str, str]]:
    """A function of a line to its fate and what stays of it, without spaces around it: that of a page of this line alone.

    A fate is what `line_filter` counts a line under, or why a line drops its page.
    """
    judge, judge_phrases = _line_tests(rules, page_phrases)

    def fate_of(line: str) -> tuple[str, str]:
        fate, left = judge(line)
        if fate == "kept":
            fate = judge_phrases(left)
        return fate, left.strip() if fate == "kept" else ""

    return fate_of


def compiled_lines(rules: RuleSet, page_phrases: Collection[str] = PAGE_PHRASES) -> Any:
    """`core.Lines`, which must be compiled: its `fate_of` is that of `line_judge`, its `dropping_line` of `dropping_line`."""
    return core.Lines(rules.to_json(), *(phrase in page_phrases for phrase in ("lorem_ipsum", "curly_bracket")))


def dropping_line(rules: RuleSet, page_phrases: Collection[str] = PAGE_PHRASES) -> Callable[[str], str]:
    """A function of lines, one below the other, to the first with which its page goes for a phrase; "" where none is such."""
    return (
        plain_dropping_line(rules, page_phrases) if core is None else compiled_lines(rules, page_phrases).dropping_line
    )


def plain_dropping_line(rules: RuleSet, page_phrases: Collection[str] = PAGE_PHRASES) -> Callable[[str], str]:
    """The same in Python."""
    fate_of = line_judge(rules, page_phrases)
    marks = re.compile("|".join(map(re.escape, (*rules.curly_brackets, "["))))

    def find(text: str) -> str:
        lines = text.split("\n")
        if LOREM_IPSUM not in text.lower():  # it may come to be where a citation mark goes
            lines = [line for line in lines if marks.search(line)]
        return next((line for line in lines if fate_of(line)[0] in PAGE_PHRASES), "")

    return find


def line_marks(rules: RuleSet) -> Callable[[str, str], Seen]:
    """A function of a line and its fate, of `line_judge`, to what of the line tripped the rule."""

    def end(line: str) -> Seen:
        left = _CITATION.sub("", line.strip()) if rules.remove_citations else line.strip()
        if not left:
            return Seen([], "nothing but a citation mark" if line.strip() else "it is blank")
        refused = [ending for ending in rules.refused_endings if left.endswith(ending)]
        ending = max(refused, key=len, default=left[-1])
        stop = line.rindex(ending) + len(ending)
        return Seen([(stop - len(ending), stop)], f"it ends in {ending}, which counts for no end" if refused else "")

    def long_words(line: str) -> Seen:
        words = [word for word in _WORD.finditer(line) if len(word.group()) > rules.max_word_chars]
        longest = max((len(word.group()) for word in words), default=0)
        return Seen(
            [word.span() for word in words], f"a word of {longest:,} characters, {rules.max_word_chars:,} at most"
        )

    def few_words(line: str) -> Seen:
        left = _CITATION.sub("", line) if rules.remove_citations else line
        return Seen([], f"{counted(len(left.split()), 'words')}, {rules.min_words_per_line} at least")

    def phrases(*words: str) -> Callable[[str], Seen]:
        return lambda line: Seen(places_of(line, words))

    tell = {
        "no_end_mark": end,
        "too_long_word": long_words,
        "too_few_words": few_words,
        "javascript": phrases("javascript"),
        "policy": phrases(*(phrase for phrase in rules.drop_lines_with if phrase != "javascript")),
        "lorem_ipsum": phrases(LOREM_IPSUM),
        "curly_bracket": phrases(*rules.curly_brackets),
    }
    return lambda line, fate: tell[fate](line) if fate in tell else Seen([])
