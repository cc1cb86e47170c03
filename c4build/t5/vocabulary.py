"""The vocabulary: sentencepiece unigram with pad 0, eos 1, unk 2, and 100 sentinels above the pieces, as T5's own.

The pieces have ids 0 to size - 1. The sentinels `<extra_id_0>` to `<extra_id_99>` are not in the model file; they are
counted down from the top: with 32,000 pieces `<extra_id_0>` is 32,099 and `<extra_id_99>` 32,000. There can be more of
them, for rows with more hidden spans: a run says how many in its run.json, an export in tokenizer_config.json.
"""

import io
import itertools
import re
from pathlib import Path

import sentencepiece

from c4build.errors import UsageError
from c4build.t5.objectives import SENTINELS
from c4build.t5.progress import Pace, silent
from c4build.t5.records import corpus_files, read_texts

PAD, EOS, UNK = 0, 1, 2
SENTINEL = re.compile(r"<extra_id_(\d+)>")


class Vocabulary:
    """Text to ids and back. Made from a sentencepiece file; can be sent to another process."""

    def __init__(self, path, sentinels: int = SENTINELS):
        self.path, self.sentinels = str(path), sentinels
        if not Path(path).is_file():
            raise UsageError(f"{path}: no vocabulary; make one with `c4build t5 vocab`")
        try:
            self.model = sentencepiece.SentencePieceProcessor(model_file=self.path)
        except RuntimeError as error:
            raise UsageError(f"{path}: no sentencepiece file ({error})") from error
        got = (self.model.pad_id(), self.model.eos_id(), self.model.unk_id())
        if got != (PAD, EOS, UNK):
            raise UsageError(f"{path}: pad, eos and unk are {got}; T5 has them at 0, 1 and 2")

    @property
    def pieces(self) -> int:
        return self.model.get_piece_size()

    @property
    def size(self) -> int:
        """All ids, sentinels counted."""
        return self.pieces + self.sentinels

    @property
    def first_sentinel(self) -> int:
        return self.size - 1

    def encode(self, text: str) -> list[int]:
        """Ids without the end token; a written `<extra_id_7>` becomes that sentinel."""
        ids, rest = [], text
        while (match := SENTINEL.search(rest)) and int(match[1]) < self.sentinels:
            ids += [*self.model.encode(rest[: match.start()]), self.first_sentinel - int(match[1])]
            rest = rest[match.end() :]
        return ids + self.model.encode(rest)

    def decode(self, ids) -> str:
        """The text up to the end token; padding is left out, sentinels are written as `<extra_id_7>`."""
        parts: list[str] = []
        pieces: list[int] = []
        for token in map(int, ids):
            if token == EOS:
                break
            if token >= self.pieces:
                parts += [self.model.decode(pieces), f"<extra_id_{self.first_sentinel - token}>"]
                pieces = []
            elif token != PAD:
                pieces.append(token)
        return " ".join(part for part in [*parts, self.model.decode(pieces)] if part)

    def unknown_share(self, texts) -> float:
        """The share of the texts' tokens that are unknown to the vocabulary."""
        tokens = [token for ids in self.model.encode(list(texts)) for token in ids]
        return tokens.count(UNK) / max(len(tokens), 1)

    def __reduce__(self):
        return Vocabulary, (self.path, self.sentinels)


def sample_texts(corpora, characters: int, rates=None, say=silent):
    """Texts of several corpora, until `characters` characters are out or all corpora are.

    The characters given of each corpus stay in the proportion of `rates`, equal without them; a corpus named twice counts
    twice. A corpus gives one text of each of its files in turn, so that no file speaks for the whole.
    """

    def one(corpus):
        files, _ = corpus_files(corpus, "train")
        readers = [read_texts(file) for file in files]
        while readers:
            for reader in list(readers):
                text = next(reader, None)
                if text is None:
                    readers.remove(reader)
                else:
                    yield text[2]

    shares = dict.fromkeys(map(str, corpora), 0.0)
    for corpus, rate in zip(corpora, rates or [1.0] * len(corpora), strict=True):
        shares[str(corpus)] += rate
    readers, given = {corpus: one(corpus) for corpus in shares}, dict.fromkeys(shares, 0)
    left = characters
    while readers and left > 0:
        corpus = min(readers, key=lambda corpus: given[corpus] / shares[corpus])
        text = next(readers[corpus], None)
        if text is None:
            del readers[corpus]
            wanted = int(characters * shares[corpus] / sum(shares.values()))
            if len(shares) > 1:
                say(f"{corpus} has only {given[corpus]:,} characters, not the {wanted:,} of its share")
            continue
        given[corpus] += len(text)
        left -= len(text)
        yield text


def check_rates(corpora, rates) -> None:
    """Raises UsageError where there is not one rate above 0 for each corpus."""
    if rates and len(rates) != len(corpora):
        raise UsageError(f"{len(corpora)} corpora and {len(rates)} rates")
    if not all(rate > 0 for rate in rates or []):
        raise UsageError(f"rates {rates}: each must be above 0")


def sample_lines(corpora, characters: int, rates, size: int, extra_texts, say):
    """The lines of the sample that are not blank; says what is read and how far it is."""
    for corpus in dict.fromkeys(map(str, corpora)):
        say(f"reading {corpus}")
    pace, texts, read = Pace(), 0, 0
    for text in itertools.chain(extra_texts, sample_texts(corpora, characters, rates, say)):
        texts, read = texts + 1, read + len(text)
        if pace():
            say(f"{read:,} of {characters:,} characters read")
        yield from (line for line in text.splitlines() if line.strip())
    say(
        f"{read:,} characters of {texts:,} texts read; sentencepiece makes {size:,} pieces of them, which can take minutes"
    )


def train_vocabulary(
    corpora, out, size: int = 32000, characters: int = 100_000_000, extra_texts=(), threads: int = 2, strict: bool = True,
    rates=None, say=silent,
):  # fmt: skip
    """Trains `size` pieces on a sample and writes the sentencepiece file `out`.

    The paper's vocabulary has 32,000 pieces from English, German, French and Romanian text, 10 to 1 to 1 to 1 (section
    2.4.1): `rates` [10, 1, 1, 1]. Raises UsageError where the sample is too small for `size` pieces; without `strict` it
    makes as many as it can.
    """
    check_rates(corpora, rates)
    failures = []

    def lines():
        try:
            yield from sample_lines(corpora, characters, rates, size, extra_texts, say)
        except BaseException as error:  # sentencepiece makes a RuntimeError of it
            failures.append(error)
            raise

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines(),
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            character_coverage=0.99995,
            byte_fallback=False,
            normalization_rule_name="nmt_nfkc",
            pad_id=PAD,
            eos_id=EOS,
            unk_id=UNK,
            bos_id=-1,
            hard_vocab_limit=strict,
            num_threads=threads,
            max_sentence_length=16384,
            minloglevel=2,
        )
    except RuntimeError as error:
        if failures:
            raise failures[0] from error
        raise UsageError(
            f"sentencepiece could not make {size} pieces of {', '.join(map(str, corpora))}: {error}"
        ) from error
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(model.getvalue())
    return Vocabulary(out)
