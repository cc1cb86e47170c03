"""What one unit writes: a training shard of every variant, and its few validation pages in a file of their own."""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pyarrow as pa

from c4build.flow.corpus import Written, format_named, open_shard
from c4build.flow.outcomes import Outcomes, Surviving
from c4build.flow.settings import FinishSettings, features_of
from c4build.flow.validation import ValidationPart
from c4build.rules.steps import bits_of
from c4build.rules.tables import bits_where
from c4build.write.files import FileSum
from c4build.write.shards import Example, encoded_size
from c4build.write.tables import truths

_COLUMN = {
    "content-type": "content_type",
    "content-length": "content_length",
}  # of a page file, the others as the feature


class UnitShards:
    """Those of one unit. They are there when the stack that was given is closed."""

    def __init__(self, unit: int, settings: FinishSettings, stack: ExitStack):
        run, corpora = settings.run, settings.corpora
        self._features = features_of(settings.clean.provenance)
        self._names = [feature.encode() for feature in self._features]
        self._columns = [_COLUMN.get(feature, feature) for feature in self._features[1:]]  # the first is the text
        self._format = format_named(run.format)
        self._shards = [stack.enter_context(open_shard(run, corpus, "train", unit)) for corpus in corpora]
        self._validation = stack.enter_context(ValidationPart(run.held_out_file(unit), self._features))
        self.held_out = [0] * len(corpora)
        variants = settings.variants
        self._alike = [  # those that may keep the same texts
            bits_where(lambda variant: variant.raw, variants),
            bits_where(lambda variant: not variant.raw, variants),
        ]

    def write(self, pages: Surviving, outcomes: Outcomes):
        """Writes what is kept of a row group."""
        held_out = truths(pages.rows.column("validation"))
        left = outcomes.kept != 0
        if self._format.frames and outcomes.frames:
            columns = [*map(pages.joined, self._columns)]
            for variants in filter(None, self._alike):
                frames = outcomes.frames(variants, self._names, columns, held_out)
                for bit in bits_of(variants):
                    self._shards[bit].write_many(*frames.of(bit))
            left &= held_out[outcomes.rows]
        for row, variants, example in self._examples(pages, outcomes, np.flatnonzero(left)):
            if held_out[row]:
                for bit in bits_of(variants):
                    self._validation.write(bit, example)
                    self.held_out[bit] += 1
                continue
            encoded = self._format.encode(example)
            size = encoded_size(encoded)
            for bit in bits_of(variants):
                self._shards[bit].write(encoded, size)

    def _examples(self, pages: Surviving, outcomes: Outcomes, of: np.ndarray) -> Iterator[tuple[int, int, Example]]:
        """Yields (row, the variants that keep it, example) of some outcomes."""
        if not len(of):
            return
        # Strings need not be made.
        columns = [pages.rows.column(name).view(pa.binary()).to_pylist() for name in self._columns]
        for at, row, variants in zip(of.tolist(), outcomes.rows[of].tolist(), outcomes.kept[of].tolist()):
            rest = (column[row] for column in columns)
            yield row, variants, dict(zip(self._features, (outcomes.text(at), *rest)))

    def written(self) -> list[Written]:
        """The training shards, when they are closed."""
        return [shard.written() for shard in self._shards]

    def validation(self) -> FileSum:
        """The file of validation pages, when it is closed."""
        return self._validation.sum()
