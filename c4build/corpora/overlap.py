"""Which documents of evaluation sets share a span of words with a corpus, and where: one pass, nothing is dropped."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from c4build.corpora.diff import Side, Tell, read_side
from c4build.corpora.texts import read_documents
from c4build.dedup.spans import SpanFinder, places_of_words
from c4build.errors import DamageError, UsageError

_PLACES = 5  # that are kept of a document


class Place(NamedTuple):
    """Where a corpus has the longest span that a page shares with a document."""

    url: str  # of the page, or what else it is called
    start: int  # in characters of the page's text
    end: int
    words: int
    text: str


class Evaluation:
    """The documents of evaluation sets. Raises UsageError where they cannot be read, or there are none."""

    def __init__(self, paths: Sequence[str], words: int):
        self.named: list[tuple[str, int]] = []  # (file, number in it) of each document

        def texts():
            for document in read_documents(paths):
                self.named.append((document.path, document.number))
                yield document.texts

        self.finder = SpanFinder(texts(), words)
        self.too_short = self.finder.too_short()
        if self.too_short.all():
            raise UsageError(f"--with {', '.join(paths)}: no document has {words} words in a row")


class Overlap(NamedTuple):
    """What came of one corpus."""

    pages: int  # read
    sharing: int  # pages that share a span with any document
    counts: np.ndarray  # [documents]: of each how many pages share a span with it
    places: dict[int, list[Place]]  # of each document that shares any, the first in the order of the shards


def find_overlap(evaluation: Evaluation, side: Side, tell: Tell = lambda what, done, of: None) -> Overlap:
    """Reads a corpus once. Raises DamageError where a shard is not what was written."""
    finder = evaluation.finder
    counts = np.zeros(finder.documents, np.int64)
    places: dict[int, list[Place]] = {}
    pages = sharing = 0
    for _, _, example in read_side(side, "reading", tell):
        pages += 1
        text = example.get("text", "")
        documents, found = finder.find(text)
        if not len(documents):
            continue
        sharing += 1
        counts[documents] += 1
        name = next((example[name] for name in ("url", "title", "id") if example.get(name)), f"example {pages:,}")
        words: list[tuple[int, int]] = []
        for one in found:
            kept = places.setdefault(one.document, [])
            if len(kept) < _PLACES:
                words = words or places_of_words(text)
                start, end = words[one.word][0], words[one.word + one.words - 1][1]
                kept.append(Place(name, start, end, one.words, text[start:end]))
    if pages != side.examples:
        raise DamageError(
            f"{side.folder}: it has {pages:,} examples, and its manifest says {side.examples:,}: c4build verify tells which "
            "file is wrong"
        )
    return Overlap(pages, sharing, counts, places)
