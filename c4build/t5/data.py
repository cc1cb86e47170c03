"""From a corpus's folder to batches, with grain: read, tokenise, shuffle, mix, corrupt, pack, batch, prefetch.

Every iterator's place is a small JSON object, so that a run resumes to the example. A run's data is dealt out by
`streams`: stream s of S reads its own files (or its own records, if there are fewer files than streams) and makes
batch / S rows of each batch. A host reads some of the streams; the batches are the same however many hosts there are.
"""

import dataclasses

import grain
import numpy as np
from absl import flags
from grain.experimental import ThreadPrefetchIterDataset, WindowShuffleIterDataset

from c4build.errors import UsageError
from c4build.t5.objectives import OBJECTIVES, Noise, lengths, sentinels_needed
from c4build.t5.packing import make_row, pack, stack
from c4build.t5.records import corpus_files, in_part, read_texts
from c4build.t5.vocabulary import EOS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Which part of a corpus to read: stream `index` of `count`."""

    index: int = 0
    count: int = 1


class CorpusTokens(grain.IterDataset):
    """One corpus's texts as ids, over and over: {"tokens", "origin": "file@position", "repeats"}.

    `repeats` is the text's share of all of this corpus, of the parts that all streams read, where it was read before, else
    0: summed over what was trained on, it says how often the corpus was repeated.

    The order of files is drawn anew for every epoch. With `limit`, the corpus is only its first `limit` tokens, the last
    text cut, in an order of files drawn once: the paper's data-size study (section 3.4.2). `epochs` ends it.
    """

    def __init__(self, corpus, vocabulary, part="train", limit=None, seed=0, stream=Stream(), epochs=None):
        super().__init__()
        self.files, self.held_out = corpus_files(corpus, part)
        self.corpus, self.vocabulary, self.part, self.seed, self.epochs = corpus, vocabulary, part, seed, epochs
        self.limit = limit and max(limit // stream.count, 1)
        self.stream = stream

    def set_slice(self, slice_, sequential_slice=False):
        """How grain's worker processes share the work: each takes a part of this stream."""
        self.stream = Stream(self.stream.index * slice_.step + slice_.start, self.stream.count * slice_.step)
        self.limit = self.limit and max(self.limit // slice_.step, 1)

    def __iter__(self):
        return CorpusTokensIterator(self)


class CorpusTokensIterator(grain.DatasetIterator):
    def __init__(self, source: CorpusTokens):
        super().__init__()
        self.source = source
        self.place = {"epoch": 0, "file": 0, "position": 0, "record": 0, "tokens": 0, "size": 0}
        self.reader = None

    def files(self):
        """This epoch's files for this stream, and whether single records have to be dealt out."""
        source = self.source
        epoch = 0 if source.limit else self.place["epoch"]
        order = np.random.default_rng([source.seed, epoch]).permutation(len(source.files))
        files = [source.files[i] for i in order]
        if len(files) >= source.stream.count:
            return files[source.stream.index :: source.stream.count], False
        return files, True

    def __next__(self):
        source, place = self.source, self.place
        while True:
            files, by_record = self.files()
            if place["file"] >= len(files) or (source.limit and place["tokens"] >= source.limit):
                if not place["tokens"]:
                    raise UsageError(f"{source.corpus}: no text in the {source.part} split for stream {source.stream}")
                if source.epochs and place["epoch"] + 1 >= source.epochs:
                    raise StopIteration
                place.update(epoch=place["epoch"] + 1, file=0, position=0, record=0, tokens=0, size=place["tokens"])
                self.reader = None
                continue
            file = files[place["file"]]
            if self.reader is None:
                self.reader = read_texts(file, place["position"])
            found = next(self.reader, None)
            if found is None:
                place.update(file=place["file"] + 1, position=0)
                self.reader = None
                continue
            position, place["position"], text = found
            if not in_part(text, source.part, source.held_out):
                continue
            mine = not by_record or place["record"] % source.stream.count == source.stream.index
            place["record"] += 1
            if not mine:
                continue
            tokens = np.array(source.vocabulary.encode(text), np.int32)
            if source.limit:
                tokens = tokens[: source.limit - place["tokens"]]
            if not len(tokens):
                continue
            place["tokens"] += len(tokens)
            repeats = len(tokens) / place["size"] / source.stream.count if place["epoch"] else 0.0
            return {"tokens": tokens, "origin": f"{file}@{position}", "repeats": repeats}

    def get_state(self):
        return dict(self.place)

    def set_state(self, state):
        self.place = dict(state)
        self.reader = None


JOINED = 128  # texts, as T5's `reduce_concat_tokens` takes them


class JoinedTexts(grain.IterDataset):
    """Texts joined, 128 at a time, and cut into pieces of `length` tokens, as T5's unsupervised tasks do.

    Only the last piece of a group is shorter. A piece can hold the end of a text, whole ones and the beginning of
    another; nothing stands between them.
    """

    def __init__(self, parent, length: int):
        super().__init__(parent)
        self.length = length

    def __iter__(self):
        return JoinedTextsIterator(iter(self._parent), self.length)


class JoinedTextsIterator(grain.DatasetIterator):
    """Its state is the parent's at the start of the group, and how many of the group's pieces are out."""

    def __init__(self, parent, length: int):
        super().__init__(parent)
        self.length = length
        self.given = 0
        self.ready = []
        self.parent_state = parent.get_state()

    def fill(self):
        group = [document for _, document in zip(range(JOINED), self._parent)]
        self.ready = []
        if not group:
            return
        tokens = np.concatenate([document["tokens"] for document in group])
        ends = np.cumsum([len(document["tokens"]) for document in group])
        repeats = np.cumsum([document["repeats"] for document in group])
        for start in range(0, len(tokens), self.length):
            piece = tokens[start : start + self.length]
            first, last = np.searchsorted(ends, [start, start + len(piece) - 1], "right")
            origin = group[first]["origin"] if first == last else f"{group[first]['origin']} to {group[last]['origin']}"
            share = np.diff(np.interp([start, start + len(piece)], [0, *ends], [0.0, *repeats]))[0]
            self.ready.append({"tokens": piece, "origin": origin, "repeats": float(share)})

    def __next__(self):
        if self.given >= len(self.ready):
            self.parent_state = self._parent.get_state()
            self.given = 0
            self.fill()
            if not self.ready:
                raise StopIteration
        self.given += 1
        return self.ready[self.given - 1]

    def get_state(self):
        return {"parent": self.parent_state, "given": self.given}

    def set_state(self, state):
        self.parent_state = state["parent"]
        self._parent.set_state(state["parent"])
        self.given, self.ready = state["given"], []
        if self.given:
            self.fill()


class Rows(grain.IterDataset):
    """Documents to packed rows, `window` rows at a time, in an order drawn from the seed.

    `examples(document, rng)` gives a document's examples: pairs of ids with end tokens. A row has the four arrays of
    `packing`, `origins` of its documents and the `repeats` of its examples, which share their document's.
    """

    def __init__(self, parent, examples, inputs_length, targets_length, seed=0, window=64, shuffle=True, packed=True):
        super().__init__(parent)
        self.examples, self.inputs_length, self.targets_length = examples, inputs_length, targets_length
        self.seed, self.window, self.shuffle, self.packed = seed, window, shuffle, packed

    def __iter__(self):
        return RowsIterator(iter(self._parent), self)


class RowsIterator(grain.DatasetIterator):
    """Its state is the parent's at the start of the window, and how many of the window's rows are out."""

    def __init__(self, parent, rows: Rows):
        super().__init__(parent)
        self.rows = rows
        self.number = 0
        self.given = 0
        self.ready = []
        self.parent_state = parent.get_state()

    def fill(self):
        rows = self.rows
        rng = np.random.default_rng([rows.seed, self.number])
        examples, about, room = [], [], rows.window * rows.inputs_length
        filled = 0
        while filled < room:
            try:
                document = next(self._parent)
            except StopIteration:
                break
            made = list(rows.examples(document, rng))
            for example in made:
                examples.append(example)
                about.append((document["origin"], document["repeats"] / len(made)))
                # A row is full when either side is; unpacked, an example is a row.
                share = len(example[0]), len(example[1]) * rows.inputs_length // rows.targets_length
                filled += max(share) if rows.packed else rows.inputs_length
        groups = (
            pack(examples, rows.inputs_length, rows.targets_length)
            if rows.packed
            else [[i] for i in range(len(examples))]
        )
        order = rng.permutation(len(groups)) if rows.shuffle else range(len(groups))
        self.ready = [
            make_row([examples[i] for i in groups[g]], rows.inputs_length, rows.targets_length)
            | {"origins": sorted({about[i][0] for i in groups[g]}), "repeats": sum(about[i][1] for i in groups[g])}
            for g in order
        ]

    def __next__(self):
        if self.given >= len(self.ready):
            if self.ready:
                self.number += 1
            self.parent_state = self._parent.get_state()
            self.given = 0
            self.fill()
            if not self.ready:
                raise StopIteration
        self.given += 1
        return self.ready[self.given - 1]

    def get_state(self):
        return {"parent": self.parent_state, "window": self.number, "given": self.given}

    def set_state(self, state):
        self.parent_state = state["parent"]
        self._parent.set_state(state["parent"])
        self.number, self.given, self.ready = state["window"], state["given"], []
        if self.given:
            self.fill()


@dataclasses.dataclass(frozen=True)
class Corrupt:
    """A document's examples: its tokens in pieces that fit a row, each through the objective, end tokens added.

    Targets that are too long lose their end, as T5 trims them.
    """

    objective: str
    noise: Noise
    text_length: int
    targets_length: int

    def __call__(self, document, rng):
        tokens = document["tokens"]
        for start in range(0, len(tokens), self.text_length):
            piece = tokens[start : start + self.text_length]
            inputs, targets = OBJECTIVES[self.objective](piece, self.noise, rng)
            targets = targets[: self.targets_length - 1]
            yield np.append(inputs, EOS).astype(np.int32), np.append(targets, EOS).astype(np.int32)


def corrupter(vocabulary, objective, inputs_length, rate=0.15, mean_span=3.0) -> tuple[Corrupt, int]:
    """The examples' maker and the width of the targets that goes with it. Raises UsageError for too few sentinels."""
    text_length, targets_length = lengths(objective, inputs_length, rate, mean_span)
    needed = sentinels_needed(objective, inputs_length, rate, mean_span)
    if needed > vocabulary.sentinels:
        raise UsageError(
            f"{objective} of {rate:.0%} of {inputs_length} tokens takes {needed} sentinels, there are {vocabulary.sentinels}: "
            f"ask for --sentinels {needed}"
        )
    noise = Noise(vocabulary.first_sentinel, vocabulary.pieces, rate, mean_span, vocabulary.sentinels)
    return Corrupt(objective, noise, text_length, targets_length), targets_length


def corpus_rows(
    corpora, rates, vocabulary, examples, lengths, *, limit=None, seed=0, stream=Stream(), shuffle=1000, window=64, join=False
):  # fmt: skip
    """Packed rows of one or several corpora without end; several are mixed by `rates`: text by text, or, with `join`, piece
    by piece of joined texts."""
    sources = []
    for number, corpus in enumerate(corpora):
        tokens = CorpusTokens(corpus, vocabulary, "train", limit, seed + number, stream)
        texts = WindowShuffleIterDataset(tokens, window_size=shuffle, seed=seed + 7919 * stream.index + number)
        sources.append(JoinedTexts(texts, examples.text_length) if join else texts)
    mixed = sources[0] if len(sources) == 1 else grain.IterDataset.mix(sources, rates)
    return Rows(mixed, examples, *lengths, seed=seed + 104729 * stream.index, window=window)


def held_out_batches(corpus, vocabulary, examples, lengths, batch: int, batches: int | None, seed=0):
    """Batches of a corpus's validation split, once through in order, always the same; empty rows fill the last."""
    tokens = CorpusTokens(corpus, vocabulary, "validation", seed=seed, epochs=1)
    rows = iter(Rows(tokens, examples, *lengths, seed=seed, shuffle=False))
    number = 0
    while batches is None or number < batches:
        group = [row for _, row in zip(range(batch), rows)]
        if not group:
            return
        yield stack(group, batch)
        number += 1


def parse_flags() -> None:
    """grain's worker processes read absl's flags, which only `app.run` would parse: here they are at their defaults."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


class Feed:
    """The batches of this host's streams, one after another: `next(feed)`, `feed.state()`, `feed.restore(state)`.

    A batch is (arrays [rows of this host, length], origins, how often the corpus was repeated up to here). Each stream is
    read ahead by a thread, or by `workers` processes; what is only read ahead is no repeat.
    """

    def __init__(
        self, streams: dict, rows_per_stream: int, ahead: int = 8, workers: int = 0, of_streams: int | None = None
    ):
        self.rows_per_stream = rows_per_stream
        self.scale = (of_streams or len(streams)) / len(streams)  # other hosts repeat as this one does
        self.repeats = dict.fromkeys(map(str, streams), 0.0)
        self.iterators = {}
        for index, rows in streams.items():
            if workers:
                parse_flags()
                rows = rows.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
            else:
                rows = ThreadPrefetchIterDataset(rows, prefetch_buffer_size=ahead * rows_per_stream)
            self.iterators[index] = iter(rows)

    def __next__(self):
        rows = []
        for index, iterator in self.iterators.items():
            mine = [next(iterator) for _ in range(self.rows_per_stream)]
            self.repeats[str(index)] += sum(row["repeats"] for row in mine)
            rows += mine
        origins = sorted({origin for row in rows for origin in row["origins"]})
        return stack(rows), origins, self.scale * sum(self.repeats.values())

    def state(self) -> dict:
        return {
            str(index): {"rows": iterator.get_state(), "repeats": self.repeats[str(index)]}
            for index, iterator in self.iterators.items()
        }

    def restore(self, state: dict) -> None:
        for index, iterator in self.iterators.items():
            if str(index) not in state:
                raise UsageError(f"the checkpoint has no data stream {index}, only {', '.join(state)}: keep --streams")
            iterator.set_state(state[str(index)]["rows"])
            self.repeats[str(index)] = state[str(index)]["repeats"]

    def close(self):
        for iterator in self.iterators.values():
            iterator.close()
