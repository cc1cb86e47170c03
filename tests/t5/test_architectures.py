"""The architectures of section 3.2: one set of weights as encoder and decoder, and decoders alone, against what is not ours."""

import dataclasses
import functools
import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small import make_corpus, make_vocabulary, random_parameters
from test_model import t5s_beam_search

from c4build.errors import UsageError
from c4build.t5 import digests, hf, sharding
from c4build.t5.checkpoint import model_graph, read_run, write_run
from c4build.t5.config import model_config, padded_vocabulary
from c4build.t5.decode import beam_search, greedy
from c4build.t5.finetune import finetune
from c4build.t5.flops import step_flops
from c4build.t5.log import read_metrics
from c4build.t5.packing import make_row, pack, stack
from c4build.t5.pretrain import make_feed, pretrain
from c4build.t5.rows import corrupter, row_lengths
from c4build.t5.scoring import predict
from c4build.t5.sharding import flatten
from c4build.t5.step import batch_losses
from c4build.t5.train import Training

DECODERS = ["lm", "prefix-lm"]
WIDTH = 40


@functools.cache
def model(architecture, **changes):
    config = model_config(
        "mini", vocab_size=128, d_ff=48, buckets=8, max_distance=12, architecture=architecture, **changes
    )
    return config, model_graph(config)[0], random_parameters(config)


def some_examples(seed=0, sizes=((9, 6), (5, 8), (0, 7))):
    rng = np.random.default_rng(seed)
    return [
        (
            np.append(rng.integers(3, 100, n - 1), 1) if n else np.zeros(0, int),
            np.append(rng.integers(3, 100, m - 1), 1),
        )
        for n, m in sizes
    ]


# ---- a decoder in NumPy, one example at a time


def bucket(distance: int, both_ways: bool, buckets: int, furthest: int) -> int:
    """Of a key that stands `distance` to the right of its query."""
    first = 0
    if both_ways:
        buckets //= 2
        first = buckets if distance > 0 else 0
    near = abs(distance) if both_ways else max(-distance, 0)
    exact = buckets // 2
    if near < exact:
        return first + near
    return first + min(
        exact + int(math.log(near / exact) / math.log(furthest / exact) * (buckets - exact)), buckets - 1
    )


def written_out(config, params, inputs, targets):
    """The logits of each token of [inputs, targets], float64."""
    weights = {name: np.asarray(leaf, np.float64) for name, leaf in flatten(params).items()}
    both_ways = config.architecture == "prefix-lm"

    def norm(x, scale):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config.epsilon) * scale

    read = [0, *inputs, *targets][:-1]
    prefix = len(inputs) + 1 if both_ways and len(inputs) else 0
    bias = np.full((len(read), len(read), config.heads), -np.inf)
    for query in range(len(read)):
        for key in range(len(read)):
            if key <= query or key < prefix:
                at = bucket(key - query, both_ways, config.buckets, config.max_distance)
                bias[query, key] = weights["decoder.relative_bias"][at]
    x = weights["embedding"][read]
    for layer in range(config.decoder_layers):
        own = {
            name.removeprefix("decoder.layers."): array[layer]
            for name, array in weights.items()
            if name.startswith("decoder.layers.")
        }
        y = norm(x, own["attention_norm.scale"])
        q, k, v = ((y @ own[f"attention.{n}.kernel"]).reshape(len(read), config.heads, -1) for n in "qkv")
        scores = np.einsum("qhd,khd->qkh", q, k) + bias
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        x = x + np.einsum("qkh,khd->qhd", shares, v).reshape(len(read), -1) @ own["attention.o.kernel"]
        y = norm(x, own["feed_forward_norm.scale"])
        x = x + np.maximum(y @ own["feed_forward.wi.kernel"], 0) @ own["feed_forward.wo.kernel"]
    return norm(x, weights["decoder.norm.scale"]) * config.d_model**-0.5 @ weights["embedding"].T


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@functools.partial(jax.jit, static_argnums=0)
def joint_logits(graph, params, row):
    it = nnx.merge(graph, params)
    return it.logits(it.joint_hidden(row["tokens"], row["segments"], row["is_target"]))


@pytest.mark.parametrize("attention", ["plain", "fused"])
@pytest.mark.parametrize("architecture", DECODERS)
def test_a_decoder_alone_is_the_one_written_out_in_numpy_and_its_loss_is_of_targets_alone(architecture, attention):
    config, graph, params = model(architecture, attention=attention)
    examples = some_examples()
    row = stack([make_row(examples, 0, WIDTH)])
    logits = np.asarray(joint_logits(graph, params, row))[0]
    losses = np.asarray(batch_losses(graph, params, row)[0])[0]
    at, expected = 0, np.zeros(WIDTH)
    for inputs, targets in examples:
        wanted = written_out(config, params, inputs, targets)
        end = at + len(inputs) + len(targets)
        np.testing.assert_allclose(logits[at:end], wanted, rtol=1e-4, atol=1e-4)
        asked = np.arange(len(inputs), len(inputs) + len(targets))
        expected[at + asked] = -log_softmax(wanted)[asked, targets]
        at = end
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)
    assert at < WIDTH and (losses[:9] == 0).all() and (losses[9:15] > 0).all()


@pytest.mark.parametrize("architecture", DECODERS)
def test_what_stands_behind_changes_nothing_before_it_and_in_a_prefix_it_does(architecture):
    _, graph, params = model(architecture)
    row = stack(
        [make_row(some_examples(), 0, WIDTH)]
    )  # inputs 0-8, targets 9-14; inputs 15-19, targets 20-27; targets 28-34
    before = np.asarray(joint_logits(graph, params, row))[0]

    def changed(place):
        tokens = row["tokens"].copy()
        tokens[0, place] = tokens[0, place] % 90 + 5
        after = np.asarray(joint_logits(graph, params, row | {"tokens": tokens}))[0]
        return set(np.flatnonzero((before != after)[:35].any(1)))  # the places where a token's logits are others

    for target, end in ((9, 15), (12, 15), (22, 28), (30, 35)):
        assert changed(target) == set(range(target + 1, end))
    for place, start, end in ((4, 0, 15), (8, 0, 15), (16, 15, 28)):
        first = start if architecture == "prefix-lm" else place + 1
        assert changed(place) == set(range(first, end))


@pytest.mark.parametrize("architecture", DECODERS)
def test_greedy_and_beams_go_on_behind_prefixes_of_any_length(architecture):
    config, graph, params = model(architecture)
    prefixes = [inputs for inputs, _ in some_examples(3, ((9, 1), (2, 1), (5, 1)))]
    inputs, segments = np.zeros((2, 3, 12), np.int32)
    for row, prefix in enumerate(prefixes):
        inputs[row, : len(prefix)], segments[row, : len(prefix)] = prefix, 1
    length = 5
    table = np.array(params["embedding"][...])
    table[1] *= 1.5  # so that something ends
    params = nnx.State({**params, "embedding": params["embedding"].replace(jnp.asarray(table))})
    ids = np.asarray(greedy(graph, params, inputs, segments, length))
    beams, scores = beam_search(graph, params, inputs, segments, length, 3, 0.6, "t5")
    for row, prefix in enumerate(prefixes):

        def after(tokens):
            return log_softmax(written_out(config, params, prefix, [*tokens, 0])[-1])

        written = []
        while len(written) < length and 1 not in written:
            written.append(int(after(written).argmax()))
        assert list(ids[row]) == written + [0] * (length - len(written))
        expected, score = t5s_beam_search(lambda tokens: after(tokens).tolist(), length, 3, 0.6)
        assert list(np.asarray(beams[row])[: len(expected)]) == expected
        assert float(scores[row]) == pytest.approx(score, rel=1e-4)


def test_shared_weights_are_an_encoder_decoder_with_two_copies_of_them():
    config, graph, params = model("shared", dropout=0.1)
    other_config, other = hf.as_encoder_decoder(config, params)
    other_graph, _ = model_graph(other_config)
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(p)) for p in (params, other)]
    assert sizes[1] - sizes[0] == sum(leaf.size for leaf in jax.tree.leaves(other["encoder"])) > sizes[0] / 4
    batch = stack(
        [make_row(some_examples(5, ((9, 6), (5, 8))), 20, 16), make_row(some_examples(6, ((14, 3),)), 20, 16)]
    )

    @functools.partial(jax.jit, static_argnums=0)
    def losses(graph, params):
        return [batch_losses(graph, params, batch, key)[0] for key in (None, jax.random.key(3))]

    found, expected = losses(graph, params), losses(other_graph, other)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])  # with dropout too
    assert (found[0] != found[1]).any()
    inputs, segments = batch["inputs"], (batch["input_segments"] == 1).astype(np.int32)
    np.testing.assert_array_equal(
        greedy(graph, params, inputs, segments, 4), greedy(other_graph, other, inputs, segments, 4)
    )


def test_a_model_that_transformers_has_not_is_no_export(tmp_path):
    config, _, params = model("shared")
    hf.save(tmp_path / "shared", config, params)
    again, loaded = hf.load(tmp_path / "shared")
    assert again.architecture == "encoder-decoder" and again.encoder_layers == config.encoder_layers
    np.testing.assert_array_equal(loaded["encoder"]["norm"]["scale"][...], params["decoder"]["norm"]["scale"][...])
    with pytest.raises(UsageError, match="has no place for the architecture 'lm'"):
        hf.save(tmp_path / "lm", *[model("lm")[i] for i in (0, 2)])
    with pytest.raises(UsageError, match="holds an encoder-decoder, no 'lm'"):
        hf.load(tmp_path / "shared", architecture="lm")
    with pytest.raises(
        UsageError, match="architecture = 'gpt': it must be one of encoder-decoder, shared, lm, prefix-lm"
    ):
        model_config("mini", architecture="gpt")
    with pytest.raises(UsageError, match="encoder_layers = 2 and decoder_layers = 3 must be the same number"):
        model_config("mini", architecture="shared", decoder_layers=3)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    corpora = [make_corpus(folder / "one", 120, shards=2)]
    return folder, corpora, make_vocabulary(folder / "vocab.model", corpora)


def one_layer(vocabulary, **changes):
    size = padded_vocabulary(vocabulary.size)
    return model_config("mini", vocab_size=size, encoder_layers=1, decoder_layers=1, **changes)


@pytest.mark.parametrize(
    "objective,filled", [("lm", 0.9), ("prefix_lm", 0.9), ("replace_spans", 0.6), ("span_corruption", 0.9)]
)
def test_rows_of_a_decoder_alone_hold_the_examples_of_an_encoder_decoder_side_by_side(world, objective, filled):
    _, corpora, vocabulary = world
    config = one_layer(vocabulary, architecture="lm")
    corrupt, width = corrupter(vocabulary, objective, 32, decoder_only=True)
    lengths = row_lengths(config, 32, width, objective)
    assert lengths == (0, width if objective == "lm" else 32 + width)
    feed = make_feed(
        corpora, [1.0], vocabulary, corrupt, lengths, 64, sharding.make_mesh(1, 1),
        streams=1, seed=0, limit=None, workers=0, shuffle=10, window=64, join=True,
    )  # fmt: skip
    batch, origins, _ = next(feed)
    feed.close()
    assert {name: array.shape for name, array in batch.items()} == dict.fromkeys(
        ("tokens", "segments", "is_target"), (64, lengths[1])
    )
    assert origins and (batch["segments"] > 0).mean() > filled
    for row in range(64):
        for segment in range(1, batch["segments"][row].max() + 1):
            own = batch["segments"][row] == segment
            tokens, asked = batch["tokens"][row][own], batch["is_target"][row][own]
            inputs, targets = tokens[asked == 0], tokens[asked == 1]
            assert (np.diff(asked) >= 0).all() and targets[-1] == 1 and (targets[:-1] > 1).all()
            assert len(inputs) == 0 if objective == "lm" else inputs[-1] == 1 and (inputs[:-1] > 1).all()
    with pytest.raises(ValueError, match="an example of 9 tokens in rows of 8"):
        pack(some_examples(0, ((5, 4),)), 0, 8)


def pretrained(world, name, config, objective, mesh):
    """A run of four steps with a checkpoint in the middle, begun, or gone on with: (its folder, its last state)."""
    folder, corpora, vocabulary = world
    training = Training(steps=4, batch=16, inputs_length=32, log_every=1, checkpoint_every=2, keep=5, seed=3)
    state = pretrain(
        folder / name, corpora, vocabulary, config, training, objective=objective, shuffle=30, window=8, streams=2,
        mesh=mesh, quiet=True,
    )  # fmt: skip
    return folder / name, state


CASES = [
    ("prefix-lm", "prefix_lm"),
    ("shared", "replace_spans"),
    ("lm", "lm"),
    ("lm", "replace_spans"),
    ("prefix-lm", "span_corruption"),
    ("shared", "prefix_lm"),
]


@pytest.mark.slow
@pytest.mark.parametrize("architecture,objective", CASES)
def test_it_resumes_to_the_last_bit_and_eight_devices_have_the_losses_of_one(world, architecture, objective):
    folder, _, vocabulary = world
    config = one_layer(vocabulary, architecture=architecture)

    def losses(name, data=1, parallel=1):
        _, state = pretrained(world, name, config, objective, sharding.make_mesh(data, parallel))
        assert len(state["params"]["embedding"][...].sharding.device_set) == data * parallel
        return [line["loss"] for line in read_metrics(folder / name) if "loss" in line]

    run = f"{architecture}-{objective}"
    whole = losses(run)
    for name in ("again", "devices"):
        shutil.copytree(folder / run, folder / f"{run}-{name}")
        shutil.rmtree(folder / f"{run}-{name}" / "checkpoints" / "4")
    assert losses(f"{run}-again") == whole
    eight = losses(f"{run}-devices", 4, 2)
    assert len(whole) == 4
    np.testing.assert_allclose(eight, whole, rtol=1e-5)
    assert whole[-1] < whole[0]


def test_a_run_of_before_there_were_architectures_goes_on(world, tmp_path):
    _, _, vocabulary = world
    settings = {"training": dataclasses.asdict(Training(steps=4))}
    write_run(tmp_path, one_layer(vocabulary), vocabulary, **settings)
    fields = digests.read_json(tmp_path / "run.json")
    del fields["model"]["architecture"], fields["model"]["adapter"], fields["training"]["trained"]
    digests.write_json(tmp_path / "run.json", fields)
    write_run(tmp_path, one_layer(vocabulary), vocabulary, **settings)
    assert read_run(tmp_path)[0] == one_layer(vocabulary)
    with pytest.raises(UsageError, match="was started with architecture = encoder-decoder, not shared"):
        write_run(tmp_path, one_layer(vocabulary, architecture="shared"), vocabulary, **settings)


@pytest.mark.slow
def test_a_decoder_alone_is_fine_tuned_scored_and_asked(world, tmp_path):
    _, _, vocabulary = world
    config = one_layer(vocabulary, architecture="prefix-lm")
    start, _ = pretrained(world, "prefix-lm-prefix_lm", config, "prefix_lm", sharding.make_mesh(1, 1))
    for split in ("train", "validation"):
        lines = [{"sentence": f"Anna lost {n} lamps", "label": n % 2} for n in range(8)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    training = Training(steps=2, batch=8, inputs_length=48, targets_length=8, log_every=1, checkpoint_every=2)
    best = finetune(
        tmp_path / "run", start, ["sst2"], training, task_data=tmp_path, mesh=sharding.make_mesh(1, 1), quiet=True, unknown=1.0
    )  # fmt: skip
    assert 0 <= best["score"] <= 100 and best["step"] == 2
    assert len(predict(tmp_path / "run", ["sst2 sentence: Anna lost 3 lamps"], inputs_length=48, targets_length=8)) == 1


@pytest.mark.parametrize("architecture", ["encoder-decoder", "shared", "lm", "prefix-lm"])
def test_the_flops_formula_counts_every_product_of_the_forward_pass(architecture):
    """A third of a step's, against XLA's own count of a model of one layer, whose scans go once."""
    config = model_config("tiny", vocab_size=1024, architecture=architecture, encoder_layers=1, decoder_layers=1)
    graph, params = model_graph(config)
    rows = (0, 96) if config.decoder_only else (64, 32)
    batch = {name: jax.ShapeDtypeStruct((4, *array.shape), jnp.int32) for name, array in make_row([], *rows).items()}
    found = jax.jit(lambda p, b: batch_losses(graph, p, b)[0].sum()).lower(params, batch).cost_analysis()
    assert step_flops(config, 4, *rows) / 3 == pytest.approx(found["flops"], rel=0.12)
