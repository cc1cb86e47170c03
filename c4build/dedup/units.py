"""What deduplication compares: the lines of a page, or its spans of consecutive sentences.

Both are given by functions of the cleaned text: the keys of all its units in order, the text without the units that were
lost, and the units themselves. Positions in the second are indices into the others.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from c4build.compiled import core
from c4build.dedup.keys import hash_text
from c4build.rules.sentences import punkt, sentence_spans
from c4build.rules.tables import RuleSet


class Unit(NamedTuple):
    text: str
    lines: range  # of the page that have a part in it


class Units(NamedTuple):
    keys: Callable[[str], bytes]  # 16 bytes a unit, joined
    remove: Callable[[str, Collection[int]], str]
    listed: Callable[[str], list[Unit]]  # in their order


def line_keys(text: str) -> bytes:
    """A key for each line: of its lower case, without the spaces around it, as TFDS has it."""
    return b"".join(hash_text(line.strip().lower()) for line in text.split("\n"))


def remove_lines(text: str, lost: Collection[int]) -> str:
    return "\n".join([line for index, line in enumerate(text.split("\n")) if index not in lost])


def page_sentences(text: str) -> list[tuple[int, int, int]]:
    """(line, start, stop) of the page's sentences in order: each line is split by itself."""
    return [(index, *span) for index, line in enumerate(text.split("\n")) for span in sentence_spans(line)]


def _normalised(sentence: str) -> str:
    return " ".join(sentence.lower().split())


def span_units(length: int) -> Units:
    """Spans of `length` sentences. Two are the same whatever their case, spaces and line breaks."""

    def keys(text: str) -> bytes:
        lines = text.split("\n")
        sentences = [_normalised(lines[line][start:stop]) for line, start, stop in page_sentences(text)]
        spans = zip(*(sentences[offset:] for offset in range(length)))
        return b"".join([hash_text("\n".join(span)) for span in spans])

    def remove(text: str, lost: Collection[int]) -> str:
        gone = {position + offset for position in lost for offset in range(length)}
        lines = text.split("\n")
        kept: list[list[str]] = [[] for _ in lines]
        for number, (line, start, stop) in enumerate(page_sentences(text)):
            if number not in gone:
                kept[line].append(lines[line][start:stop].strip())
        return "\n".join(" ".join(sentences) for sentences in kept if sentences)

    def listed(text: str) -> list[Unit]:
        lines, sentences = text.split("\n"), page_sentences(text)
        spans = [sentences[first : first + length] for first in range(len(sentences) - length + 1)]
        return [
            Unit(
                " ".join(lines[line][start:stop].strip() for line, start, stop in span),
                range(span[0][0], span[-1][0] + 1),
            )
            for span in spans
        ]

    return Units(keys, remove, listed)


def listed_lines(text: str) -> list[Unit]:
    return [Unit(line, range(index, index + 1)) for index, line in enumerate(text.split("\n"))]


def plain_units(rules: RuleSet) -> Units:
    """In Python."""
    if rules.duplicates == "lines":
        return Units(line_keys, remove_lines, listed_lines)
    return span_units(rules.span_sentences)


def compiled_units(rules: RuleSet) -> Any:
    """Those of `core/units.cpp`, which must be compiled."""
    return core.Units(0 if rules.duplicates == "lines" else rules.span_sentences, punkt())


def units_of(rules: RuleSet) -> Units:
    """The same, keys and what is left by `core/units.cpp` where it is compiled."""
    plain = plain_units(rules)
    if core is None:
        return plain
    units = compiled_units(rules)
    return Units(units.keys, lambda text, lost: units.remove(text, sorted(lost)), plain.listed)
