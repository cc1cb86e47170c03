"""Documents to examples, examples to packed rows, rows to batches."""

import dataclasses

import grain
import numpy as np

from c4build.errors import UsageError
from c4build.t5.config import ModelConfig
from c4build.t5.objectives import OBJECTIVES, Noise, lengths, sentinels_needed
from c4build.t5.packing import make_row, pack, stack
from c4build.t5.sources import Refilled
from c4build.t5.vocabulary import EOS


def ranges(origins) -> list[tuple[str, int, int]]:
    """Lists of (file, first position, last position) as one, with each file once."""
    found: dict[str, tuple[int, int]] = {}
    for file, first, last in (origin for some in origins for origin in some):
        known = found.get(file, (first, last))
        found[file] = min(first, known[0]), max(last, known[1])
    return [(file, *found[file]) for file in sorted(found)]


class Rows(grain.IterDataset):
    """Documents to packed rows, `window` rows at a time, in an order drawn from the seed.

    `examples(document, rng)` gives a document's examples: pairs of ids with end tokens. A row has the arrays of
    `packing`, `origins` of its documents (see `ranges`) and the `repeats` of its examples, which share their document's.
    """

    def __init__(self, parent, examples, inputs_length, targets_length, seed=0, window=64, shuffle=True, packed=True):
        super().__init__(parent)
        self.examples, self.inputs_length, self.targets_length = examples, inputs_length, targets_length
        self.seed, self.window, self.shuffle, self.packed = seed, window, shuffle, packed

    def __iter__(self):
        return RowsIterator(iter(self._parent), self)


class RowsIterator(Refilled):
    """A fill is a window of rows; `number` counts them."""

    def __init__(self, parent, rows: Rows):
        super().__init__(parent)
        self.rows = rows
        self.number = 0

    def fill(self):
        rows = self.rows
        rng = np.random.default_rng([rows.seed, self.number])
        examples, about = [], []
        length = rows.inputs_length or rows.targets_length
        room = rows.window * length
        filled = 0
        while filled < room:
            try:
                document = next(self._parent)
            except StopIteration:
                break
            made = list(rows.examples(document, rng))
            for example in made:
                examples.append(example)
                about.append((document["origins"], document["repeats"] / len(made)))
                # A row is full when either side is; unpacked, an example is a row.
                share = (
                    max(len(example[0]), len(example[1]) * length // rows.targets_length)
                    if rows.inputs_length
                    else len(example[0]) + len(example[1])
                )
                filled += share if rows.packed else length
        groups = (
            pack(examples, rows.inputs_length, rows.targets_length)
            if rows.packed
            else [[i] for i in range(len(examples))]
        )
        order = rng.permutation(len(groups)) if rows.shuffle else range(len(groups))
        self.ready = [
            make_row([examples[i] for i in groups[g]], rows.inputs_length, rows.targets_length)
            | {"origins": ranges(about[i][0] for i in groups[g]), "repeats": sum(about[i][1] for i in groups[g])}
            for g in order
        ]

    def refill(self):
        self.number += bool(self.ready)
        super().refill()

    def get_state(self):
        return super().get_state() | {"window": self.number}

    def set_state(self, state):
        self.number = state["window"]
        super().set_state(state)


@dataclasses.dataclass(frozen=True)
class Corrupt:
    """A document's examples: its tokens in pieces that fit a row, each through the objective, end tokens added.

    Targets that are too long lose their end, as T5 trims them. For a decoder alone inputs without a token have no end
    token either: the text is a row of its own.
    """

    objective: str
    noise: Noise
    text_length: int
    targets_length: int
    decoder_only: bool = False

    def __call__(self, document, rng):
        tokens = document["tokens"]
        for start in range(0, len(tokens), self.text_length):
            piece = tokens[start : start + self.text_length]
            inputs, targets = OBJECTIVES[self.objective](piece, self.noise, rng)
            targets = targets[: self.targets_length - 1]
            inputs = inputs if self.objective == "lm" and self.decoder_only else np.append(inputs, EOS)
            yield inputs.astype(np.int32), np.append(targets, EOS).astype(np.int32)


def corrupter(
    vocabulary, objective, inputs_length, rate=0.15, mean_span=3.0, decoder_only=False
) -> tuple[Corrupt, int]:
    """The examples' maker and the width of the targets that goes with it. Raises UsageError for too few sentinels."""
    text_length, targets_length = lengths(objective, inputs_length, rate, mean_span)
    if objective == "prefix_lm" and decoder_only:
        text_length -= 1  # both end tokens are in one row: two texts fill it
    needed = sentinels_needed(objective, inputs_length, rate, mean_span)
    if needed > vocabulary.sentinels:
        raise UsageError(
            f"{objective} of {rate:.0%} of {inputs_length} tokens takes {needed} sentinels, there are {vocabulary.sentinels}: "
            f"ask for --sentinels {needed}"
        )
    noise = Noise(vocabulary.first_sentinel, vocabulary.pieces, rate, mean_span, vocabulary.sentinels)
    return Corrupt(objective, noise, text_length, targets_length, decoder_only), targets_length


def row_lengths(config: ModelConfig, inputs_length: int, targets_length: int, objective=None) -> tuple[int, int]:
    """How long a model's rows are, as `packing` takes it. A decoder alone reads inputs and targets in one row as long as
    both (T5's `_dynamic_text2self`), and, as a language model, of texts without inputs, rows of the targets' length."""
    if not config.decoder_only:
        return inputs_length, targets_length
    return 0, targets_length + (inputs_length if objective != "lm" else 0)


def batch_of(rows) -> dict:
    """Rows as one element for grain: their arrays [rows, length], `origins` as ranges, `repeats` in all."""
    about = {"origins": ranges(row["origins"] for row in rows), "repeats": sum(row["repeats"] for row in rows)}
    return stack(rows) | about
