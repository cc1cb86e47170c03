"""Text and tasks in one mixture: what is drawn, what the formula says, and going on from any place. Models that write together."""

import json
import math

import jax
import numpy as np
import pytest
from flax import nnx
from small import make_corpus, make_vocabulary

from c4build.errors import UsageError
from c4build.t5 import sharding
from c4build.t5.checkpoint import model_graph
from c4build.t5.config import model_config, padded_vocabulary
from c4build.t5.decode import beam_search, greedy
from c4build.t5.ensemble import Ensemble, stacked
from c4build.t5.mixture import TEXT, Mixed, Mixture, mixing_rates
from c4build.t5.model import T5
from c4build.t5.settings import Mixing, stage_of
from c4build.t5.sources import Stream

SIZES = {"text": 2**19, "cb": 250, "mnli": 392_702, "wmt_enfr": 40_000_000, "squad": 87_599}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture")
    corpus = make_corpus(folder / "c4", 40)
    for task, count in (("sst2", 40), ("cola", 10)):
        (folder / task).mkdir()
        lines = [json.dumps({"sentence": f"Anna lost {n} lamps", "label": n % 2}) + "\n" for n in range(count)]
        for split in ("train", "validation"):
            (folder / task / f"{split}.jsonl").write_text("".join(lines))
    return folder, corpus, make_vocabulary(folder / "v.model", [corpus])


def mixture(world, **options):
    folder, corpus, vocabulary = world
    stage = stage_of(
        {
            "corpora": [str(corpus)], "tasks": ["sst2", "cola"], "task_data": str(folder), "inputs_length": 32,
            "targets_length": 8, "batch": 8, "shuffle": 20, "window": 4, "size": 50, "unknown": 1.0, **options,
        }
    )  # fmt: skip
    config = model_config("mini", vocab_size=padded_vocabulary(vocabulary.size), encoder_layers=1, decoder_layers=1)
    return Mixture(stage, vocabulary, config), config


def drawn(rates, count=10**5):
    """The share of each source among `count` draws."""

    class Endless:
        def __init__(self, value):
            self.value = value

        def __iter__(self):
            return self

        def __next__(self):
            return self.value

        def close(self):
            pass

    mixed = iter(Mixed([], list(rates.values())))
    mixed._parents = [Endless(name) for name in rates]
    found = [next(mixed) for _ in range(count)]
    return {name: found.count(name) / count for name in rates}


@pytest.mark.parametrize("options", [
    {"cap": 2**16}, {"cap": 2**19}, {"cap": 2**21, "temperature": 2.0}, {"cap": 2**21, "temperature": 8.0},
    {"mixing": "equal"}, {"cap": 2**19, "caps": {"wmt_enfr": 1000}},
])  # fmt: skip
def test_what_is_drawn_is_within_a_percent_of_the_formula(options):
    cap, caps = options.get("cap", math.inf), options.get("caps", {})
    counted = {
        n: min(size, cap, caps.get(n, math.inf)) ** (1 / options.get("temperature", 1)) for n, size in SIZES.items()
    }
    if options.get("mixing") == "equal":
        counted = dict.fromkeys(SIZES, 1)
    found = drawn(mixing_rates(SIZES, Mixing(**options)))
    for name, count in counted.items():
        expected = count / sum(counted.values())
        assert found[name] == pytest.approx(expected, rel=0.01, abs=1e-5), (
            name
        )  # one draw of 10^5 is the least there is


def test_a_temperature_of_one_is_proportional_and_a_high_one_equal():
    proportional = mixing_rates(SIZES, Mixing(temperature=1.0))
    assert proportional == {name: size / sum(SIZES.values()) for name, size in SIZES.items()}
    hot = mixing_rates(SIZES, Mixing(temperature=1e9))
    assert list(hot.values()) == pytest.approx(list(mixing_rates(SIZES, Mixing(mixing="equal")).values()), rel=1e-6)
    capped = mixing_rates(SIZES, Mixing(cap=1))
    assert set(capped.values()) == {1 / len(SIZES)}
    with pytest.raises(UsageError, match="caps has no 'wmt_enf'; did you mean 'wmt_enfr'?"):
        mixing_rates(SIZES, Mixing(caps={"wmt_enf": 7}))


def test_a_mixtures_draws_are_examples_at_its_rates(world):
    found, _ = mixture(world)
    assert found.rates == {TEXT: 0.5, "sst2": 0.4, "cola": 0.1}
    elements = iter(found.rows(Stream())._parent)
    kinds = []
    for _ in range(200):
        element = next(elements)
        kinds.append(TEXT if "tokens" in element else element["origins"][0][0].split("/")[-2])
        assert len(element["tokens"] if "tokens" in element else element["pairs"][0][0]) <= 34
    assert [kinds.count(kind) / 200 for kind in found.rates] == [0.5, 0.4, 0.1]
    assert found.said()[0] == "text   50.0000 % of the examples  (50 counted)"


@pytest.mark.parametrize("workers,join", [(0, False), (0, True), pytest.param(1, False, marks=pytest.mark.slow)])
def test_a_mixture_goes_on_to_the_example_from_any_place(world, workers, join):
    def feed():
        return mixture(world, workers=workers, join=join)[0].feed(sharding.make_mesh(1, 1), 2)

    straight = feed()
    places, batches = [], []
    for _ in range(5):
        places.append(json.loads(json.dumps(straight.state())))
        batches.append(next(straight))
    straight.close()
    for number in (1, 3):
        other = feed()
        other.restore(places[number])
        for expected, origins, _ in batches[number:]:
            found, known, _ = next(other)
            assert known == origins
            assert all((found[name] == expected[name]).all() for name in expected)
        other.close()


def test_text_among_tasks_has_to_say_what_it_counts_for(world):
    with pytest.raises(UsageError, match="text among tasks needs `size`, or `cap`"):
        mixture(world, size=None)
    assert mixture(world, size=None, cap=20)[0].rates == {TEXT: 0.4, "sst2": 0.4, "cola": 0.2}


# ---- ensembles


@pytest.fixture(scope="module", params=[pytest.param("encoder-decoder", marks=pytest.mark.slow), "prefix-lm"])
def models(request):
    """(the graph, four models' parameters, inputs, their segments)."""
    config = model_config(
        "mini", vocab_size=128, encoder_layers=1, decoder_layers=1, dropout=0.0, architecture=request.param
    )
    members = [nnx.state(T5(config, nnx.Rngs(seed))) for seed in range(4)]
    members = [jax.tree.map(lambda leaf: 3 * leaf, member) for member in members]  # so that they do not agree
    inputs = np.random.default_rng(0).integers(2, 128, (3, 8)).astype(np.int32)
    inputs[1, 5:] = 0
    return model_graph(config)[0], members, inputs, (inputs > 0).astype(np.int32)


def test_four_copies_of_a_model_write_what_it_writes(models):
    graph, members, *inputs = models
    copies = stacked([members[0]] * 4)
    alone = greedy(graph, members[0], *inputs, 6)
    assert (greedy(Ensemble(graph), copies, *inputs, 6) == alone).all()
    assert (beam_search(Ensemble(graph), copies, *inputs, 6)[0] == beam_search(graph, members[0], *inputs, 6)[0]).all()


def test_two_models_write_by_the_mean_of_their_logits(models):
    graph, members, *inputs = models
    written = np.asarray(greedy(Ensemble(graph), stacked(members[:2]), *inputs, 6))
    assert any((written != np.asarray(greedy(graph, member, *inputs, 6))).any() for member in members[:2])
    # Each token again, from scratch: the whole of what was written goes through both models.
    models_of = [nnx.merge(graph, member) for member in members[:2]]
    states = [model.start_decoding(*inputs, 6) for model in models_of]
    tokens, caches = states[0][0], [state[1] for state in states]
    for position in range(6):
        steps = [m.decode_step(tokens, position, c, s[2]) for m, c, s in zip(models_of, caches, states)]
        tokens = np.mean([np.asarray(logits) for logits, _ in steps], 0).argmax(-1).astype(np.int32)
        caches = [cache for _, cache in steps]
        going = ~(written[:, :position] == 1).any(1)
        assert (written[going, position] == tokens[going]).all()
