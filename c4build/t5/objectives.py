"""The unsupervised objectives (sections 3.1.4 and 3.3, the paper's Table 3): pure functions of NumPy arrays.

An objective takes a text's tokens and gives the ids that the encoder reads and those that the decoder must write, both
without the end token. Where an objective hides tokens, choosing them (a mask) and rewriting the text by the mask are
separate functions, so that the paper's own example can be written down as a test.

Sentinels stand for hidden spans. They are numbered from 0, and `first_sentinel - n` is the n-th one's id: T5 counts
them down from the top of the vocabulary. How many there are belongs to the vocabulary; `sentinels_needed` says how many a
row takes. What T5's code does where there are too few, going on with ordinary pieces, is not done here.
"""

import dataclasses
import math

import numpy as np

from c4build.errors import UsageError

SENTINELS = 100  # as many as T5 has


@dataclasses.dataclass(frozen=True)
class Noise:
    """What an objective needs to know. `first_sentinel` is the highest id, `pieces` the number of ordinary ids."""

    first_sentinel: int
    pieces: int
    rate: float = 0.15
    mean_span: float = 3.0
    sentinels: int = SENTINELS


# ---- which tokens are hidden


def iid_mask(length: int, rate: float, rng) -> np.ndarray:
    """Each token by itself with probability `rate`; one at random if that hides none, since nothing would be asked."""
    mask = rng.random(length) < rate
    if length and not mask.any():
        mask[rng.integers(length)] = True
    return mask


def random_partition(total: int, parts: int, rng) -> np.ndarray:
    """`parts` positive lengths that sum to `total`, every such choice equally likely."""
    cuts = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def span_counts(length: int, rate: float, mean_span: float) -> tuple[int, int]:
    """(hidden tokens, hidden spans) of a text of `length` >= 2 tokens: both fixed, only their places are random."""
    hidden = min(max(round(length * rate), 1), length - 1)
    return hidden, min(max(round(hidden / mean_span), 1), length - hidden)


def span_mask(length: int, rate: float, mean_span: float, rng) -> np.ndarray:
    """Spans of hidden tokens, `mean_span` long on average, that take turns with kept ones; a kept one comes first."""
    if length < 2:
        return np.zeros(length, bool)
    hidden, spans = span_counts(length, rate, mean_span)
    lengths = np.stack([random_partition(length - hidden, spans, rng), random_partition(hidden, spans, rng)], 1)
    return np.repeat(np.arange(2 * spans) % 2 == 1, lengths.reshape(-1))


def starts(mask: np.ndarray) -> np.ndarray:
    """The first token of every hidden span."""
    return mask & ~np.concatenate([[False], mask[:-1]])


def limit(mask: np.ndarray, sentinels: int) -> np.ndarray:
    """Shows the last spans again where there are more of them than sentinels: of a row that drew unusually many."""
    spans = np.cumsum(starts(mask))
    goes_on = len(mask) > 0 and not mask[-1]  # then one more sentinel ends the targets
    if not len(mask) or spans[-1] + goes_on <= sentinels:
        return mask
    return mask & (spans < sentinels)


# ---- the text rewritten by a mask


def sentinels_for_spans(tokens: np.ndarray, mask: np.ndarray, first_sentinel: int) -> np.ndarray:
    """Thank you <X> me to your party <Y> week . : one sentinel for each hidden span."""
    first = starts(mask)
    marked = np.where(first, first_sentinel + 1 - np.cumsum(first), tokens)
    return marked[~mask | first]


def hidden_spans(tokens: np.ndarray, mask: np.ndarray, first_sentinel: int) -> np.ndarray:
    """<X> for inviting <Y> last <Z> : each hidden span after its sentinel; one more if the text goes on after it."""
    first = starts(mask)
    ids = first_sentinel + 1 - np.cumsum(first)
    # A sentinel goes in before the span's first token: two columns a token, most of the left ones left out.
    columns = np.stack([ids, tokens], 1)
    written = columns[np.stack([first, mask], 1)]
    goes_on = len(mask) > 0 and not mask[-1]
    return np.append(written, first_sentinel - first.sum()) if goes_on else written


def one_mask_token(tokens: np.ndarray, mask: np.ndarray, mask_token: int) -> np.ndarray:
    """Thank you <M> <M> me to your party <M> week . : the same id for every hidden token."""
    return np.where(mask, mask_token, tokens)


# ---- the objectives: (tokens, noise, rng) -> (inputs, targets)


def prefix_lm(tokens, noise, rng):
    """Thank you for inviting -> me to your party last week . : cut at a random place."""
    cut = rng.integers(1, len(tokens)) if len(tokens) > 1 else 0
    return tokens[:cut], tokens[cut:]


def lm(tokens, noise, rng):
    """Nothing -> the whole text."""
    return tokens[:0], tokens


def bert_style(tokens, noise, rng):
    """Hidden tokens become <M>, a tenth of them a random token instead -> the whole text."""
    mask = iid_mask(len(tokens), noise.rate, rng)
    inputs = one_mask_token(tokens, mask, noise.first_sentinel)
    swapped = mask & (rng.random(len(tokens)) < 0.1)
    return np.where(swapped, rng.integers(2, noise.pieces, len(tokens)), inputs), tokens


def mass_style(tokens, noise, rng):
    """Hidden tokens become <M> -> the whole text."""
    return one_mask_token(tokens, iid_mask(len(tokens), noise.rate, rng), noise.first_sentinel), tokens


def deshuffling(tokens, noise, rng):
    """The tokens in any order -> the whole text."""
    return rng.permutation(tokens), tokens


def replace_spans(tokens, noise, rng):
    """The paper's baseline: tokens hidden one by one, neighbours share a sentinel -> the hidden spans."""
    mask = limit(iid_mask(len(tokens), noise.rate, rng), noise.sentinels)
    return (
        sentinels_for_spans(tokens, mask, noise.first_sentinel),
        hidden_spans(tokens, mask, noise.first_sentinel),
    )


def span_corruption(tokens, noise, rng):
    """The paper's final choice: whole spans hidden, of a fixed number and mean length -> the hidden spans."""
    mask = limit(span_mask(len(tokens), noise.rate, noise.mean_span, rng), noise.sentinels)
    return (
        sentinels_for_spans(tokens, mask, noise.first_sentinel),
        hidden_spans(tokens, mask, noise.first_sentinel),
    )


def drop_tokens(tokens, noise, rng):
    """Hidden tokens are just left out -> the hidden tokens."""
    mask = iid_mask(len(tokens), noise.rate, rng)
    return tokens[~mask], tokens[mask]


OBJECTIVES = {
    "replace_spans": replace_spans,
    "span_corruption": span_corruption,
    "prefix_lm": prefix_lm,
    "lm": lm,
    "bert_style": bert_style,
    "mass_style": mass_style,
    "drop_tokens": drop_tokens,
    "deshuffling": deshuffling,
}


# ---- how long a text fills a row

# The targets' widths in T5's own configs (models/gin/objectives), for 512 inputs. What does not fit is hidden, and not
# asked for: at 10 % that is the end of two texts in five.
T5_TARGETS = {
    ("replace_spans", 0.10): 103, ("replace_spans", 0.15): 192, ("replace_spans", 0.25): 256, ("replace_spans", 0.50): 512,
    ("drop_tokens", 0.15): 104,
}  # fmt: skip


def lengths(objective: str, inputs_length: int = 512, rate: float = 0.15, mean_span: float = 3.0) -> tuple[int, int]:
    """(tokens of text, targets) that go with `inputs_length` inputs, end tokens counted with inputs and targets.

    Span corruption shortens a text by a known amount: 568 tokens become exactly 512 inputs and 114 targets at 15 % and
    3 (T5's `random_spans_helper`). Where tokens are hidden one by one the number of targets is random: T5's own width
    where it has one, else four standard deviations above the mean, to the next multiple of 8. The others write the whole
    text.
    """
    check(objective, inputs_length, rate, mean_span)
    if objective == "span_corruption":
        text = 2
        while inputs_of(text + 1, rate, mean_span) <= inputs_length:
            text += 1
        hidden, spans = span_counts(text, rate, mean_span)
        targets = hidden + spans + 1
        if rate == 0.5 and targets > inputs_length:  # T5 prefers targets as long as the inputs
            text, targets = text - 1, targets - 1
        return text, targets
    text = inputs_length - 1
    if objective not in ("replace_spans", "drop_tokens"):
        return text, inputs_length
    if inputs_length == 512 and (objective, rate) in T5_TARGETS:
        return text, T5_TARGETS[objective, rate]
    deviation = math.sqrt(text * rate * (1 - rate))
    marks = text * rate * (1 - rate) if objective == "replace_spans" else 0.0
    width = text * rate + marks + 2 + 4 * deviation * (2 if marks else 1)
    return text, min(8 * math.ceil(width / 8), inputs_length)


def inputs_of(text: int, rate: float, mean_span: float) -> int:
    """How many inputs span corruption makes of `text` tokens, with the end token."""
    hidden, spans = span_counts(text, rate, mean_span)
    return text - hidden + spans + 1


def sentinels_needed(objective: str, inputs_length: int = 512, rate: float = 0.15, mean_span: float = 3.0) -> int:
    """How many sentinels a row takes: exactly with span corruption; five standard deviations above the mean where tokens
    are hidden one by one, whose runs number n p (1 - p) with a variance of n p (1 - p) (1 - 3 p (1 - p))."""
    check(objective, inputs_length, rate, mean_span)
    if objective == "span_corruption":
        return span_counts(lengths(objective, inputs_length, rate, mean_span)[0], rate, mean_span)[1] + 1
    if objective == "replace_spans":
        p = rate * (1 - rate)
        mean = (inputs_length - 1) * p
        return math.ceil(mean + 5 * math.sqrt(mean * (1 - 3 * p))) + 1
    return 1 if objective in ("bert_style", "mass_style") else 0


def check(objective, inputs_length, rate, mean_span) -> None:
    """Raises UsageError where these mean nothing."""
    if objective not in OBJECTIVES:
        raise UsageError(f"no objective {objective!r}; there are {', '.join(OBJECTIVES)}")
    if not 0 < rate < 1:
        raise UsageError(f"a noise rate of {rate}: it lies between 0 and 1")
    if not mean_span >= 1:
        raise UsageError(f"a mean span of {mean_span} tokens: it is 1 or more")
    if inputs_length < 4:
        raise UsageError(f"an input of {inputs_length} tokens is too short to hide anything in")
