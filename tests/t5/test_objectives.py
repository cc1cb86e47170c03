"""The paper's Table 3 with its own sentence, and what must be true of every text."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.errors import UsageError
from c4build.t5 import objectives
from c4build.t5.objectives import SENTINELS, Noise, lengths, sentinels_needed

SENTENCE = "Thank you for inviting me to your party last week .".split()
WORDS = {word: number for number, word in enumerate(SENTENCE, 2)} | {"apple": 13}
X, Y, Z = "<X>", "<Y>", "<Z>"
MARKS = {X: 113, Y: 112, Z: 111}
NAMES = {number: word for word, number in (WORDS | MARKS).items()}
NOISE = Noise(first_sentinel=113, pieces=14)


def ids(text):
    return np.array([(WORDS | MARKS)[word] for word in text.split()], np.int32)


def words(tokens):
    return " ".join(NAMES[int(token)] for token in tokens)


def hide(*hidden):
    return np.array([word in hidden for word in SENTENCE])


TEXT = ids(" ".join(SENTENCE))


def test_replace_spans_is_the_papers_example():
    mask = hide("for", "inviting", "last")
    assert words(objectives.sentinels_for_spans(TEXT, mask, 113)) == "Thank you <X> me to your party <Y> week ."
    assert words(objectives.hidden_spans(TEXT, mask, 113)) == "<X> for inviting <Y> last <Z>"


def test_random_spans_are_the_papers_example():
    mask = hide("for", "inviting", "me", "your", "party", "last")
    assert words(objectives.sentinels_for_spans(TEXT, mask, 113)) == "Thank you <X> to <Y> week ."
    assert words(objectives.hidden_spans(TEXT, mask, 113)) == "<X> for inviting me <Y> your party last <Z>"


def test_mass_style_is_the_papers_example():
    masked = objectives.one_mask_token(TEXT, hide("for", "inviting", "last"), 113)
    assert words(masked).replace(X, "<M>") == "Thank you <M> <M> me to your party <M> week ."


class Scripted:
    """A random generator whose draws are written down."""

    def __init__(self, random=(), integers=(), permutation=None):
        self.draws, self.numbers, self.order = list(random), list(integers), permutation

    def random(self, size):
        return np.array(self.draws.pop(0))

    def integers(self, *arguments):
        return self.numbers.pop(0)

    def permutation(self, tokens):
        return tokens[self.order]


def draw(*hidden):
    return np.where(hide(*hidden), 0.1, 0.9)


def test_bert_style_is_the_papers_example():
    rng = Scripted([draw("for", "inviting", "last"), np.where(hide("last"), 0.05, 0.5)], [np.full(11, WORDS["apple"])])
    inputs, targets = objectives.bert_style(TEXT, NOISE, rng)
    assert words(inputs).replace(X, "<M>") == "Thank you <M> <M> me to your party apple week ."
    assert words(targets) == " ".join(SENTENCE)


def test_prefix_lm_is_the_papers_example():
    inputs, targets = objectives.prefix_lm(TEXT, NOISE, Scripted(integers=[4]))
    assert (words(inputs), words(targets)) == ("Thank you for inviting", "me to your party last week .")


def test_deshuffling_is_the_papers_example():
    shuffled = "party me for your to . last you inviting week Thank".split()
    rng = Scripted(permutation=[SENTENCE.index(word) for word in shuffled])
    inputs, targets = objectives.deshuffling(TEXT, NOISE, rng)
    assert (words(inputs), words(targets)) == (" ".join(shuffled), " ".join(SENTENCE))


def test_drop_tokens_is_the_papers_example():
    inputs, targets = objectives.drop_tokens(TEXT, NOISE, Scripted([draw("for", "inviting", "last")]))
    assert (words(inputs), words(targets)) == ("Thank you me to your party week .", "for inviting last")


def test_lm_reads_nothing_and_writes_all():
    inputs, targets = objectives.lm(TEXT, NOISE, None)
    assert (words(inputs), words(targets)) == ("", " ".join(SENTENCE))


def test_the_papers_accounting_of_lengths():
    assert lengths("span_corruption", 512, 0.15, 3.0) == (568, 114)
    rng = np.random.default_rng(0)
    inputs, targets = objectives.span_corruption(np.arange(2, 570), Noise(31000, 30000), rng)
    assert (len(inputs) + 1, len(targets) + 1) == (512, 114)


# ---- property tests

texts = st.integers(1, 700).map(lambda n: np.arange(1000, 1000 + n))
seeds = st.integers(0, 2**32 - 1)
rates = st.floats(0.01, 0.9)
LARGE = {"first_sentinel": 32099, "pieces": 32000}


def is_sentinel(tokens):
    return (tokens > 32099 - SENTINELS) & (tokens <= 32099)


@given(texts, seeds, rates, st.floats(1, 10), st.sampled_from(["replace_spans", "span_corruption"]))
def test_inputs_and_targets_together_hold_every_token_once_in_order(tokens, seed, rate, mean_span, name):
    noise = Noise(**LARGE, rate=rate, mean_span=mean_span)
    inputs, targets = objectives.OBJECTIVES[name](tokens, noise, np.random.default_rng(seed))
    spans = {}
    for token in targets:
        if is_sentinel(token):
            assert token not in spans
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    rebuilt = []
    for token in inputs:
        rebuilt += spans[token] if is_sentinel(token) else [token]
    assert rebuilt == list(tokens)


@given(texts, seeds, rates, st.floats(1, 10), st.sampled_from(["replace_spans", "span_corruption"]))
def test_sentinels_come_in_order_and_never_more_than_exist(tokens, seed, rate, mean_span, name):
    noise = Noise(**LARGE, rate=rate, mean_span=mean_span)
    for side in objectives.OBJECTIVES[name](tokens, noise, np.random.default_rng(seed)):
        marks = side[side >= 32000]
        assert len(marks) <= SENTINELS
        assert list(marks) == list(range(32099, 32099 - len(marks), -1))


@given(texts, seeds, rates)
def test_dropped_and_kept_tokens_are_the_text(tokens, seed, rate):
    inputs, targets = objectives.drop_tokens(tokens, Noise(**LARGE, rate=rate), np.random.default_rng(seed))
    assert sorted([*inputs, *targets]) == list(tokens)
    assert list(inputs) == sorted(inputs) and list(targets) == sorted(targets)


@given(texts, seeds)
def test_prefix_and_rest_are_the_text_and_neither_is_empty(tokens, seed):
    inputs, targets = objectives.prefix_lm(tokens, Noise(**LARGE), np.random.default_rng(seed))
    assert list(inputs) + list(targets) == list(tokens)
    assert len(targets) > 0 and (len(inputs) > 0 or len(tokens) == 1)


@given(texts, seeds)
def test_deshuffling_keeps_every_token(tokens, seed):
    inputs, targets = objectives.deshuffling(tokens, Noise(**LARGE), np.random.default_rng(seed))
    assert sorted(inputs) == list(tokens) and list(targets) == list(tokens)


@given(texts, seeds, st.sampled_from(["bert_style", "mass_style"]))
def test_masked_tokens_keep_their_places(tokens, seed, name):
    inputs, targets = objectives.OBJECTIVES[name](tokens, Noise(**LARGE), np.random.default_rng(seed))
    assert list(targets) == list(tokens) and len(inputs) == len(tokens)
    if name == "mass_style":
        assert set(inputs[inputs != tokens]) == {32099}


@pytest.mark.parametrize("rate", [0.1, 0.15, 0.25, 0.5])
def test_iid_hides_the_rate_asked_for(rate):
    rng = np.random.default_rng(0)
    hidden = np.mean([objectives.iid_mask(512, rate, rng).mean() for _ in range(400)])
    assert hidden == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / (400 * 512)))


@pytest.mark.parametrize("rate,mean_span", [(0.1, 2), (0.15, 3), (0.25, 5), (0.5, 10)])
def test_spans_have_the_rate_and_mean_length_asked_for(rate, mean_span):
    rng = np.random.default_rng(0)
    masks = [objectives.span_mask(568, rate, mean_span, rng) for _ in range(200)]
    assert np.mean(masks) == pytest.approx(rate, rel=0.01)
    assert np.sum(masks) / sum(objectives.starts(mask).sum() for mask in masks) == pytest.approx(mean_span, rel=0.03)
    # Every place is hidden about as often as any other, but for the first, which is always kept.
    assert np.mean(masks, 0)[50:-50].std() < 0.05


def test_a_tenth_of_berts_hidden_tokens_are_random_ones():
    rng = np.random.default_rng(0)
    text = np.arange(1000, 21000)
    inputs, _ = objectives.bert_style(text, Noise(**LARGE), rng)
    changed = inputs[inputs != text]
    assert np.mean(changed != 32099) == pytest.approx(0.1, abs=0.02)
    assert len(changed) / len(text) == pytest.approx(0.15, abs=0.01)
    assert changed[changed != 32099].max() < 32000


@settings(max_examples=60)
@given(st.sampled_from(sorted(objectives.OBJECTIVES)), st.integers(16, 600), rates, st.floats(1, 8), seeds)
def test_a_text_of_the_length_that_fits_does_fit(name, row, rate, mean_span, seed):
    text, width = lengths(name, row, rate, mean_span)
    noise = Noise(**LARGE, rate=rate, mean_span=mean_span, sentinels=sentinels_needed(name, row, rate, mean_span))
    inputs, targets = objectives.OBJECTIVES[name](np.arange(1000, 1000 + text), noise, np.random.default_rng(seed))
    assert len(inputs) + 1 <= row
    if name not in ("replace_spans", "drop_tokens"):  # there the number of targets is random
        assert len(targets) + 1 <= width + (rate == 0.5)


@pytest.mark.parametrize("name", ["replace_spans", "span_corruption"])
@pytest.mark.parametrize("rate", [0.1, 0.15, 0.25, 0.5])
def test_as_much_is_hidden_as_the_rate_says(name, rate):
    text, _ = lengths(name, 512, rate)
    noise = Noise(32000 + 200, 32000, rate, sentinels=max(SENTINELS, sentinels_needed(name, 512, rate)))
    rng = np.random.default_rng(5)
    kept = np.mean(
        [np.sum(objectives.OBJECTIVES[name](np.arange(1000, 1000 + text), noise, rng)[0] < 32000) for _ in range(2000)]
    )
    assert 1 - kept / text == pytest.approx(rate, rel=0.01)


def test_span_corruption_fills_its_row_as_t5_does():
    golden = json.loads((Path(__file__).parent / "golden" / "texts" / "texts.json").read_text(encoding="utf-8"))
    for inputs_length, rate, mean_span, text, targets in golden["span_lengths"]:
        assert lengths("span_corruption", inputs_length, rate, mean_span) == (text, targets), (
            inputs_length,
            rate,
            mean_span,
        )
    text, targets = lengths("span_corruption", 512, 0.5)
    needed = sentinels_needed("span_corruption", 512, 0.5)
    assert needed > SENTINELS
    noise = Noise(32000 + needed - 1, 32000, 0.5, sentinels=needed)
    inputs, written = objectives.span_corruption(np.arange(1000, 1000 + text), noise, np.random.default_rng(0))
    assert len(inputs) + 1 >= 511 and len(written) + 1 >= targets - 1


def test_the_targets_are_as_wide_as_t5s():
    widths = {rate: lengths("replace_spans", 512, rate)[1] for rate in (0.1, 0.15, 0.25, 0.5)}
    assert widths == {0.1: 103, 0.15: 192, 0.25: 256, 0.5: 512}
    assert lengths("drop_tokens", 512, 0.15) == (511, 104)


def test_the_baseline_does_with_t5s_hundred_sentinels_and_denser_rows_ask_for_more():
    assert sentinels_needed("replace_spans", 512, 0.15) <= SENTINELS
    assert sentinels_needed("replace_spans", 512, 0.25) == 130 and sentinels_needed("replace_spans", 512, 0.5) == 158
    rng = np.random.default_rng(0)
    most = max(objectives.starts(objectives.iid_mask(511, 0.5, rng)).sum() for _ in range(2000)) + 1
    assert 140 < most <= 158


def test_an_unknown_objective_is_refused_by_name():
    with pytest.raises(UsageError, match="no objective 'cloze'"):
        lengths("cloze")
