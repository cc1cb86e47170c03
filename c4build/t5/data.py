"""From a corpus's folder to batches, with grain: read, tokenise, shuffle, mix, corrupt, pack, batch, prefetch.

Every iterator's place is a small JSON object, so that a run resumes to the example. A run's data is dealt out by
`streams`, each of which makes batch / S rows of each batch. A host reads some of the streams; the batches are the same
however many hosts there are.
"""

import grain
import numpy as np
from absl import flags
from grain.experimental import ThreadPrefetchIterDataset, WindowShuffleIterDataset

from c4build.errors import UsageError
from c4build.t5.packing import stack
from c4build.t5.rows import Rows, batch_of, ranges
from c4build.t5.sources import CorpusTokens, JoinedTexts, Stream


def corpus_texts(
    corpora, rates, vocabulary, text_length, *, limit=None, seed=0, stream=Stream(), shuffle=1000, join=False
):
    """Texts of one or several corpora without end, in ids; several are mixed by `rates`, equally without them: text by text,
    or, with `join`, piece by piece of joined texts."""
    sources = []
    for number, corpus in enumerate(corpora):
        tokens = CorpusTokens(corpus, vocabulary, "train", limit, seed + number, stream)
        texts = WindowShuffleIterDataset(tokens, window_size=shuffle, seed=seed + 7919 * stream.index + number)
        sources.append(JoinedTexts(texts, text_length) if join else texts)
    shares = list(rates) if rates else [1.0 / len(sources)] * len(sources)
    return sources[0] if len(sources) == 1 else grain.IterDataset.mix(sources, shares)


def corpus_rows(
    corpora, rates, vocabulary, examples, lengths: tuple[int, int], *,
    limit=None, seed=0, stream=Stream(), shuffle=1000, window=64, join=False,
):  # fmt: skip
    """Packed rows of text alone."""
    texts = corpus_texts(
        corpora, rates, vocabulary, examples.text_length, limit=limit, seed=seed, stream=stream, shuffle=shuffle, join=join
    )  # fmt: skip
    return Rows(texts, examples, *lengths, seed=seed + 104729 * stream.index, window=window)


def held_out_batches(corpus, vocabulary, examples, lengths: tuple[int, int], batch: int, batches: int | None, seed=0):
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

    A batch is (arrays [rows of this host, length], origins, how often the corpus was repeated up to here). Each stream's
    part is made and read ahead by a thread, or by `workers` processes; what is only read ahead is no repeat.
    """

    def __init__(
        self, streams: dict, rows_per_stream: int, ahead: int = 8, workers: int = 0, of_streams: int | None = None
    ):
        self.scale = (of_streams or len(streams)) / len(streams)  # other hosts repeat as this one does
        self.repeats = dict.fromkeys(map(str, streams), 0.0)
        # What a place in the data counts. Workers once sent row by row: such a place means another one now.
        self.unit = "batches" if workers else "rows"
        self.iterators = {}
        for index, rows in streams.items():
            batches = rows.batch(rows_per_stream, batch_fn=batch_of)
            if workers:
                parse_flags()
                batches = batches.mp_prefetch(
                    grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=4)
                )
            else:
                batches = ThreadPrefetchIterDataset(batches, prefetch_buffer_size=ahead)
            self.iterators[index] = iter(batches)

    def __next__(self):
        parts = {index: next(iterator) for index, iterator in self.iterators.items()}
        for index, part in parts.items():
            self.repeats[str(index)] += part.pop("repeats")
        origins = ranges(part.pop("origins") for part in parts.values())
        arrays = list(parts.values())
        whole = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
        return whole, [said(*origin) for origin in origins], self.scale * sum(self.repeats.values())

    def state(self) -> dict:
        return {
            str(index): {self.unit: iterator.get_state(), "repeats": self.repeats[str(index)]}
            for index, iterator in self.iterators.items()
        }

    def restore(self, state: dict) -> None:
        """Raises UsageError where the place is that of other streams, or of an older version's workers."""
        for index, iterator in self.iterators.items():
            if str(index) not in state:
                raise UsageError(f"the checkpoint has no data stream {index}, only {', '.join(state)}: keep --streams")
            if self.unit not in state[str(index)]:
                raise UsageError(
                    "the checkpoint's place in the data was counted by an older c4build's --workers, in rows: it cannot be "
                    "gone on from there; export the run, and start another --out with --from-hf"
                )
            iterator.set_state(state[str(index)][self.unit])
            self.repeats[str(index)] = state[str(index)]["repeats"]

    def close(self):
        for iterator in self.iterators.values():
            iterator.close()


def said(file: str, first: int, last: int) -> str:
    return f"{file}@{first}" if first == last else f"{file}@{first}-{last}"
