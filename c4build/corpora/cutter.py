"""Reads blocks of a shuffled corpus, the last page of a size cut to what is left."""

from collections.abc import Callable
from typing import NamedTuple

import mmh3
import numpy as np

from c4build.corpora.measure import Measure, text_bytes, tokens, words
from c4build.corpora.shuffle import load_order, read_early
from c4build.errors import CorruptFileError, UsageError
from c4build.flow.units import Found, Unit
from c4build.read.gz import Damage


class Cutter(NamedTuple):
    """Reads blocks of the shuffled order."""

    identity: str
    unit: str
    vocabulary: str | None
    early: tuple[str, ...] = ()  # where the early pages of each shard lie, without the ends of the files' names
    damages: tuple[tuple[str, Damage], ...] = ()

    def settings(self) -> dict:
        return {"name": "truncated", "of": self.identity, "unit": self.unit}

    @property
    def measure(self) -> Measure:
        if self.unit == "tokens":
            if self.vocabulary is None:
                raise UsageError("tokens are counted by a SentencePiece model: give --vocab")
            return tokens(self.vocabulary)
        return words() if self.unit == "words" else text_bytes()

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        if unit.parts[0].start == 0:
            yield from self.damages
        for source, start, stop in unit.parts:
            identity, _, cut = source.identity.partition(" cut at ")
            pages = load_order(source.path, start, stop, identity)
            for rank, example in enumerate(self._examples(pages), start):
                if cut:
                    text = self.measure.cut(example["text"], int(cut))
                    if text is None:
                        raise CorruptFileError(
                            f"{source.path}: page {rank:,} cannot be cut to {cut} {self.unit}, as it could before"
                        )
                    example["text"] = text
                yield Found("kept", example, mmh3.mmh3_x64_128_digest(f"{rank}".encode()))

    def _examples(self, pages: np.ndarray) -> list[dict[str, str]]:
        """Those of neighbours in the order."""
        places = {place: at for at, place in enumerate(zip(pages["shard"].tolist(), pages["row"].tolist()))}
        low, high = int(pages["order"].min()), int(pages["order"].max())
        found: list = [None] * len(pages)
        for shard in np.unique(pages["shard"]).tolist():
            for row, example in read_early(self.early[shard], low, high):
                if (at := places.get((shard, row))) is not None:
                    found[at] = example
        return found

    def can_cut(self, page: np.ndarray, length: int) -> bool:
        """True if a start of the one page is `length` units long."""
        (example,) = self._examples(page)
        return self.measure.cut(example["text"], length) is not None
