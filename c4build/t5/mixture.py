"""What a stage reads: text, tasks, or both in one mixture (section 3.5.2 of the paper).

A source's share of the mixture is min(size, K) ** (1 / T), sizes counted in examples: T = 1 is proportional to the sizes, a
large T nearly equal. Sources are mixed before examples are packed into rows.
"""

import math

import grain
import numpy as np

from c4build.errors import UsageError
from c4build.t5 import sharding
from c4build.t5.config import ModelConfig
from c4build.t5.data import Feed, corpus_texts
from c4build.t5.examples import examples as task_examples
from c4build.t5.rows import Corrupt, Rows, corrupter, row_lengths
from c4build.t5.settings import Mixing, Stage, check_keys
from c4build.t5.sources import Pieces, Stream
from c4build.t5.tasks import tasks_of
from c4build.t5.vocabulary import EOS, check_rates

TEXT = "text"  # the unsupervised source's name
TASK_WINDOW = 16  # rows that are packed together where there are tasks alone


def mixing_rates(sizes: dict, mixing: Mixing) -> dict[str, float]:
    """{source: its share of the draws}; `sizes` are numbers of examples."""
    if mixing.mixing == "equal":
        return dict.fromkeys(sizes, 1 / len(sizes))
    check_keys(mixing.caps or {}, sizes, "caps")
    caps = dict.fromkeys(sizes, mixing.cap or math.inf) | (mixing.caps or {})
    counted = {name: min(size, caps[name]) ** (1 / mixing.temperature) for name, size in sizes.items()}
    return {name: count / sum(counted.values()) for name, count in counted.items()}


class Mixed(grain.IterDataset):
    """Elements of several endless datasets, each in its share: drawn from the one that is furthest behind its rate, so that
    the number of draws is never more than a few away from rate x draws."""

    def __init__(self, parents, rates):
        super().__init__(parents)
        self.rates = np.asarray(rates, np.float64)

    def __iter__(self):
        return MixedIterator([iter(parent) for parent in self._parents], self.rates)


class MixedIterator(grain.DatasetIterator):
    def __init__(self, parents, rates):
        super().__init__(parents)
        self.rates = rates
        self.counts = np.zeros(len(rates), np.int64)

    def __next__(self):
        chosen = int(np.argmax(self.rates * (self.counts.sum() + 1) - self.counts))
        self.counts[chosen] += 1
        return next(self._parents[chosen])

    def get_state(self):
        return {"counts": self.counts.tolist(), "parents": [parent.get_state() for parent in self._parents]}

    def set_state(self, state):
        self.counts = np.array(state["counts"], np.int64)
        for parent, place in zip(self._parents, state["parents"], strict=True):
            parent.set_state(place)


# ---- tasks


def encode_pair(pair, vocabulary, inputs_length, targets_length):
    """Two texts as ids with end tokens, cut to what a row holds."""
    inputs, targets = vocabulary.encode(pair[0])[: inputs_length - 1], vocabulary.encode(pair[1])[: targets_length - 1]
    return np.array([*inputs, EOS], np.int32), np.array([*targets, EOS], np.int32)


class TaskPairs:
    """A task's training examples as pairs of ids: a sequence for grain."""

    def __init__(self, task, task_data, vocabulary, inputs_length, targets_length):
        self.task, self.found = task, task_examples(task, "train", task_data)
        self.vocabulary, self.lengths = vocabulary, (inputs_length, targets_length)
        self.chosen = None
        if task.train_filter:
            self.chosen = [index for index in range(len(self.found)) if task.train_filter(self.found[index])]

    def __len__(self):
        return len(self.found if self.chosen is None else self.chosen)

    def example(self, index: int):
        return self.found[index if self.chosen is None else self.chosen[index]]

    def __getitem__(self, index):
        pairs = [encode_pair(pair, self.vocabulary, *self.lengths) for pair in self.task.pairs(self.example(index))]
        origin = str(getattr(self.found, "path", f"{self.task.tfds} train")), int(index), int(index)
        return {"pairs": pairs, "origins": [origin], "repeats": 0.0}


def check_targets(source: TaskPairs, unknown: float) -> None:
    """Raises UsageError where a task asks for what the vocabulary cannot write: of a thousand of its examples."""
    some = [source.example(int(i)) for i in np.linspace(0, len(source) - 1, min(len(source), 1000))]
    share = source.vocabulary.unknown_share([pair[1] for example in some for pair in source.task.pairs(example)])
    if share > unknown:
        raise UsageError(
            f"{source.task.name}: {share:.1%} of the target tokens are unknown to {source.vocabulary.path}; train a vocabulary "
            f"on such text too (`c4build t5 vocab --rates`), or allow it by --unknown {math.ceil(1000 * share) / 1000}"
        )


class Examples:
    """A document's examples: a task's are made already, a text's are made by the objective."""

    def __init__(self, corrupt=None):
        self.corrupt = corrupt

    def __call__(self, document, rng):
        return document["pairs"] if "pairs" in document else self.corrupt(document, rng)


# ---- the whole


class Mixture:
    """A stage's sources and their rates, and the rows they are packed into.

    `rates` {source: share}, `sizes` {source: examples}, `targets_length` of a row. Raises UsageError where there is nothing to
    read, or where a mixture does not say how many examples its text counts for.
    """

    def __init__(self, stage: Stage, vocabulary, config: ModelConfig):
        text, mixing, training = stage.text, stage.mixing, stage.training
        self.stage, self.vocabulary = stage, vocabulary
        self.tasks = unique_tasks(mixing.tasks)
        self.inputs_length, self.targets_length = training.inputs_length, training.targets_length
        self.corrupt, self.sizes = None, {}
        if text.corpora:
            check_rates(text.corpora, text.rates and list(text.rates))
            self.corrupt, width = corrupter(
                vocabulary, text.objective, training.inputs_length, text.noise_rate, text.mean_span, config.decoder_only
            )
            self.targets_length = max(width, training.targets_length) if self.tasks else width
            self.sizes[TEXT] = mixing.size or mixing.cap or math.inf
        self.sources = [
            TaskPairs(task, mixing.task_data, vocabulary, self.inputs_length, training.targets_length)
            for task in self.tasks
        ]
        for source in self.sources:
            if not len(source):
                raise UsageError(f"{source.task.name}: nothing to train on")
            check_targets(source, stage.scoring.unknown)
            self.sizes[source.task.name] = len(source)
        if len(self.sizes) > 1 and math.inf in self.sizes.values() and mixing.mixing != "equal":
            raise UsageError("text among tasks needs `size`, or `cap`: how many examples it counts for in the mixture")
        if not self.sizes:
            raise UsageError("nothing to train on: neither text nor tasks are named")
        objective = text.objective if self.corrupt and not self.tasks else None
        self.row_lengths = row_lengths(config, self.inputs_length, self.targets_length, objective)
        self.rates = mixing_rates(self.sizes, mixing) if len(self.sizes) > 1 else dict.fromkeys(self.sizes, 1.0)

    def said(self) -> list[str]:
        """A line for each source of several, before the run."""
        width = max(map(len, self.rates))
        return [
            f"{name:{width}}  {100 * rate:8.4f} % of the examples  ({self.sizes[name]:,} counted)"
            for name, rate in self.rates.items()
        ]

    def texts(self, corrupt: Corrupt, stream: Stream):
        text, seed = self.stage.text, self.stage.training.seed
        found = corpus_texts(
            text.corpora, text.rates, self.vocabulary, corrupt.text_length, limit=text.tokens, seed=seed,
            stream=stream, shuffle=text.shuffle, join=text.join,
        )  # fmt: skip
        return Pieces(found, corrupt.text_length) if self.tasks and not text.join else found

    def pairs(self, source: TaskPairs, stream: Stream):
        part = grain.MapDataset.source(source).seed(self.stage.training.seed).shuffle()[stream.index :: stream.count]
        return part.repeat().to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=64))

    def rows(self, stream: Stream) -> Rows:
        """The packed rows of one stream, without end."""
        parents = [self.texts(self.corrupt, stream)] if self.corrupt else []
        parents += [self.pairs(source, stream) for source in self.sources]
        mixed = parents[0] if len(parents) == 1 else Mixed(parents, list(self.rates.values()))
        seed = self.stage.training.seed + (104729 if self.corrupt else 1) * stream.index
        window = self.stage.text.window if self.corrupt else TASK_WINDOW
        return Rows(mixed, Examples(self.corrupt), *self.row_lengths, seed=seed, window=window)

    def feed(self, mesh, streams: int) -> Feed:
        rows = {index: self.rows(Stream(index, streams)) for index in sharding.host_streams(mesh, streams)}
        batch = self.stage.training.batch // streams
        return Feed(rows, batch, workers=self.stage.feeding.workers, of_streams=streams)


def unique_tasks(names) -> list:
    """The tasks of some names and suites, each once."""
    return list({task.name: task for name in names for task in tasks_of(name)}.values())
