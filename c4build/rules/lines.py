"""Which lines of a page stay: the heart of C4's cleaning.

Notable choices:
- The last byte of a line is looked at before anything else, for many pages at once: nine lines in ten go there, and
  are never made strings.
- Phrases are searched once in all kept lines together; only a page that has one is gone through line by line.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from c4build.errors import counted
from c4build.rules.places import Seen, places_of
from c4build.rules.prefilter import may_hold
from c4build.rules.tables import PAGE_PHRASES, RuleSet

_WORD = re.compile(r"\S+")
_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
LOREM_IPSUM = "lorem ipsum"
# What `str.splitlines` ends a line at, besides \n.
_MORE_LINE_ENDS = [end.encode() for end in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"]

_SPACES = [char.encode() for char in map(chr, range(0x3001)) if char.isspace()]
# [256] bool: can a space begin, or end, with this byte of UTF-8?
_SPACE_BEGINS, _SPACE_ENDS = (np.isin(np.arange(256), [space[at] for space in _SPACES]) for at in (0, -1))


class Lines(NamedTuple):
    """The lines of a page that may stay, in order, and how many it has."""

    candidates: list[str]
    total: int
    too_long_word: int  # lines with a word that is too long, none of them among the candidates
    stripped: bool  # no line of the page is empty or has a space around it, as far as was looked
    doubtful: Sequence[int]  # the candidates that may not end as they must, or may have a space around them


def candidate_lines(bodies: Sequence[bytes], rules: RuleSet) -> list[Lines]:
    """The lines of each body, UTF-8 with \\n as line end, that end in what may be an end mark, or in a space behind one.

    Lines are those of `str.splitlines`, unstripped, without empty ones.
    """
    joined = b"\n".join([*bodies, b""])
    data = np.frombuffer(joined, np.uint8)
    stops = np.flatnonzero(data == 10)
    starts = np.concatenate([[0], stops[:-1] + 1])
    lengths = stops - starts
    last_bytes = data[stops - 1]
    chosen = _may_end(rules)[last_bytes] & (lengths > 0)
    spaced = _SPACE_BEGINS[data[starts]] | _SPACE_ENDS[last_bytes]
    unstripped = np.flatnonzero(spaced)
    # A line of more bytes than a word may have characters is looked at by itself.
    limit = rules.max_word_chars
    long = np.flatnonzero(lengths > limit) if limit else np.zeros(0, np.intp)
    bad = [index for index in long if has_longer_word(joined[starts[index] : stops[index]].decode(), limit)]
    chosen[bad] = False
    page_stops = np.cumsum([len(body) + 1 for body in bodies])
    last_lines = np.searchsorted(stops, page_stops - 1) + 1
    counts = np.diff(np.cumsum(lengths > 0)[last_lines - 1], prepend=0).tolist()
    bad_counts = np.diff(np.searchsorted(bad, last_lines), prepend=0).tolist()
    stripped = (np.diff(np.searchsorted(unstripped, last_lines), prepend=0) == 0).tolist()
    # A line that ends in two equal marks may end in a refused way, as "..." is.
    doubtful = spaced | (last_bytes == data[np.maximum(stops - 2, 0)]) | ~_is_mark(rules)[last_bytes]
    chosen = np.flatnonzero(chosen)
    doubtful = doubtful[chosen].tolist()
    bounds = np.searchsorted(chosen, last_lines).tolist()
    spans = list(zip(starts[chosen].tolist(), stops[chosen].tolist()))
    found, first = [], 0
    for bound, total, too_long, is_stripped in zip(bounds, counts, bad_counts, stripped):
        doubts = [index for index, doubt in enumerate(doubtful[first:bound]) if doubt]
        candidates = [joined[start:stop].decode() for start, stop in spans[first:bound]]
        found.append(Lines(candidates, total, too_long, is_stripped, doubts))
        first = bound
    if _has_more_line_ends(joined, data):
        for index, body in enumerate(bodies):
            if any(end in body for end in _MORE_LINE_ENDS):
                found[index] = _of_text(body.decode(), limit)
    return found


def _has_more_line_ends(joined: bytes, data: np.ndarray) -> bool:
    """True if one of `_MORE_LINE_ENDS` stands in `joined`, whose bytes `data` are; NumPy looks faster than `in` does."""
    if any(end in joined for end in _MORE_LINE_ENDS if len(end) == 1):
        return True
    next_line = data[1:][data[:-1] == 0xC2]
    if (next_line == 0x85).any():
        return True
    at = np.flatnonzero(data[:-2] == 0xE2)
    return bool(((data[at + 1] == 0x80) & ((data[at + 2] | 1) == 0xA9)).any())


def _of_text(text: str, limit: int) -> Lines:
    lines = [line for line in text.splitlines() if line]
    kept = [line for line in lines if not limit or not has_longer_word(line, limit)]
    return Lines(kept, len(lines), len(lines) - len(kept), stripped=False, doubtful=range(len(kept)))


@cache
def _may_end(rules: RuleSet) -> np.ndarray:
    """[256] bool: can a line whose last byte this is stay?"""
    ends = [*rules.end_marks, *(["]"] if rules.remove_citations else [])]
    return _SPACE_ENDS | np.isin(np.arange(256), [end.encode()[-1] for end in ends])


@cache
def _is_mark(rules: RuleSet) -> np.ndarray:
    """[256] bool: is this byte an end mark, and no refused ending ends in it but after itself?"""
    table = np.zeros(256, bool)
    for mark in rules.end_marks:
        if mark.isascii():
            table[ord(mark)] = all(end[-1] != mark or end[-2:] == 2 * mark for end in rules.refused_endings)
    return table


def has_longer_word(line: str, longest: int) -> bool:
    """True if a word of `line` has more than `longest` characters."""
    if len(line) <= longest:
        return False
    # A space in every block of half that length leaves no room for one.
    block = max(longest // 2, 1)
    if all(line.find(" ", start, start + block) >= 0 for start in range(0, len(line) - block + 1, block)):
        return False
    return max(map(len, line.split()), default=0) > longest


def line_filter(
    rules: RuleSet, page_phrases: Collection[str] = PAGE_PHRASES
) -> Callable[[Lines, Counter], tuple[str, str | None]]:
    """A function of a page's lines and a counter of lines to the text that stays and why the page goes, if it does.

    The order of tests is that of TFDS's `clean_page`. Each line of the page is counted once: as `kept`, by the rule
    that dropped it, or under `of_dropped_pages` where a phrase in a line drops the whole page. Of the steps that look
    for such phrases, where the rules look for them in lines, those named in `page_phrases` are taken.
    """
    marks = frozenset(rules.end_marks)
    refused = rules.refused_endings
    least_words = rules.min_words_per_line
    lorem_ipsum = rules.page_phrases_in_lines and "lorem_ipsum" in page_phrases
    curly = rules.curly_brackets if rules.page_phrases_in_lines and "curly_bracket" in page_phrases else ()
    citations = rules.remove_citations
    might_hold = may_hold((*rules.drop_lines_with, *((LOREM_IPSUM,) if lorem_ipsum else ()), *curly))

    def judge_phrases(lines: list[str], counts: Counter) -> tuple[list[str], str | None]:
        kept: list[str] = []
        for line in lines:
            lower = line.lower()
            if lorem_ipsum and LOREM_IPSUM in lower:
                return kept, "lorem_ipsum"
            if "javascript" in lower and "javascript" in rules.drop_lines_with:
                counts["javascript"] += 1
                continue
            if any(bracket in line for bracket in curly):
                return kept, "curly_bracket"
            if any(phrase in lower for phrase in rules.drop_lines_with):
                counts["policy"] += 1
                continue
            kept.append(line)
        return kept, None

    def ended(candidates: Sequence[str], doubtful: Iterable[int]) -> list[str]:
        """Those of the lines, the doubtful ones stripped and without citations, that end as they must."""
        lines = list(candidates)
        for index in doubtful:
            line = lines[index].strip()
            if citations and "[" in line:
                line = _CITATION.sub("", line)
            lines[index] = line if line[-1:] in marks and not line.endswith(refused) else ""
        return [line for line in lines if line]

    def keep(lines: Lines, counts: Counter) -> tuple[str, str | None]:
        found = lines.candidates
        doubtful: Collection[int] = lines.doubtful
        if citations and "[" in "\n".join(found):
            doubtful = {*doubtful, *(index for index, line in enumerate(found) if "[" in line)}
        if doubtful:
            found = ended(found, doubtful)
        kept = [line for line in found if len(line.split(None, least_words - 1)) >= least_words]
        too_few_words = len(found) - len(kept)
        counts["read"] += lines.total
        counts["no_end_mark"] += lines.total - lines.too_long_word - too_few_words - len(kept)
        if lines.too_long_word:
            counts["too_long_word"] += lines.too_long_word
        if too_few_words:
            counts["too_few_words"] += too_few_words
        if not kept:
            return "", None
        text = "\n".join(kept)
        if might_hold(text):
            passed = len(kept)
            dropped = counts["javascript"] + counts["policy"]
            kept, reason = judge_phrases(kept, counts)
            if reason:
                counts["of_dropped_pages"] += passed - (counts["javascript"] + counts["policy"] - dropped)
                return "", reason
            text = "\n".join(kept)
        counts["kept"] += len(kept)
        return text.strip(), None

    return keep


def line_judge(
    rules: RuleSet, page_phrases: Collection[str] = PAGE_PHRASES
) -> Callable[[Sequence[str]], list[tuple[str, str]]]:
    """A function of lines to the fate of each and what stays of it, without spaces around it: the filter of pages, given
    pages that are these lines alone.

    A fate is what `line_filter` counts a line under, or why a line drops its page.
    """
    keep = line_filter(rules, page_phrases)

    def judge_one(line: Lines) -> tuple[str, str]:
        counts: Counter = Counter()
        text, reason = keep(line, counts)
        del counts["read"]
        return reason or next(fate for fate, count in counts.items() if count), text

    def judge(lines: Sequence[str]) -> list[tuple[str, str]]:
        return [judge_one(line) for line in candidate_lines([line.encode() for line in lines], rules)] if lines else []

    return judge


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
