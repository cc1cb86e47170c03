"""A corpus as a stream of tokens, over and over, by grain: text by text, or texts joined and cut.

Every iterator's place is a small JSON object, so that a run resumes to the example. A corpus is dealt out by streams:
stream s of S reads its own files, or its own records where there are fewer files than streams.
"""

import dataclasses
import functools
from collections.abc import Iterator

import grain
import numpy as np

from c4build.errors import UsageError
from c4build.t5.records import corpus_files, in_part, read_texts


@dataclasses.dataclass(frozen=True)
class Stream:
    """Which part of a corpus to read: stream `index` of `count`."""

    index: int = 0
    count: int = 1


class CorpusTokens(grain.IterDataset):
    """One corpus's texts as ids, over and over: {"tokens", "origins": [(file, position, position)], "repeats"}.

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
        self.reader: Iterator | None = None
        self.drawn = functools.lru_cache(1)(self.files)

    def files(self, epoch: int):
        """An epoch's files for this stream, and whether single records have to be dealt out."""
        source = self.source
        order = np.random.default_rng([source.seed, epoch]).permutation(len(source.files))
        files = [source.files[i] for i in order]
        if len(files) >= source.stream.count:
            return files[source.stream.index :: source.stream.count], False
        return files, True

    def __next__(self):
        source, place = self.source, self.place
        while True:
            files, by_record = self.drawn(0 if source.limit else place["epoch"])
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
            return {"tokens": tokens, "origins": [(str(file), position, position)], "repeats": repeats}

    def get_state(self):
        return dict(self.place)

    def set_state(self, state):
        self.place = dict(state)
        self.reader = None


class Refilled(grain.DatasetIterator):
    """Makes several elements at a time of the parent's next ones: `fill` leaves them in `ready`, none at the end.

    Its state is the parent's before a fill, and how many elements of the fill are out.
    """

    def __init__(self, parent):
        super().__init__(parent)
        self.given = 0
        self.ready = []
        self.parent_state = parent.get_state()

    def refill(self):
        self.parent_state = self._parent.get_state()
        self.given = 0
        self.fill()

    def __next__(self):
        if self.given >= len(self.ready):
            self.refill()
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


class JoinedTextsIterator(Refilled):
    """A fill is a group of texts."""

    def __init__(self, parent, length: int):
        super().__init__(parent)
        self.length = length

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
            origins = [origin for document in group[first : last + 1] for origin in document["origins"]]
            share = np.diff(np.interp([start, start + len(piece)], [0, *ends], [0.0, *repeats]))[0]
            self.ready.append({"tokens": piece, "origins": origins, "repeats": float(share)})


class Pieces(grain.IterDataset):
    """Each text cut into pieces of `length` tokens, each an element: what a draw from a mixture counts."""

    def __init__(self, parent, length: int):
        super().__init__(parent)
        self.length = length

    def __iter__(self):
        return PiecesIterator(iter(self._parent), self.length)


class PiecesIterator(Refilled):
    """A fill is a text."""

    def __init__(self, parent, length: int):
        super().__init__(parent)
        self.length = length

    def fill(self):
        document = next(self._parent)
        tokens = document["tokens"]
        cut = [tokens[start : start + self.length] for start in range(0, len(tokens), self.length)]
        self.ready = [
            {**document, "tokens": piece, "repeats": document["repeats"] * len(piece) / len(tokens)} for piece in cut
        ]
