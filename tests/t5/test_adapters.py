"""Section 3.5.1: adapters, which begin as nothing and are trained alone, and layers that are unfrozen one by one."""

import contextlib
import functools
import json

import jax
import numpy as np
import optax
import pytest
from small import make_corpus, make_vocabulary, random_parameters

from c4build.errors import UsageError
from c4build.t5 import hf, sharding
from c4build.t5.checkpoint import Checkpoints, has_state, load_parameters, model_graph, write_run
from c4build.t5.config import changed, model_config, padded_vocabulary
from c4build.t5.finetune import finetune
from c4build.t5.flops import step_flops
from c4build.t5.log import read_metrics
from c4build.t5.optimizer import adafactor, constant
from c4build.t5.packing import make_row, stack
from c4build.t5.sharding import flatten
from c4build.t5.step import batch_losses, make_step, start_state, training_loss
from c4build.t5.train import Training
from c4build.t5.trained import ADAPTER, TRAINED, joined, partition, with_adapters

PLAIN = model_config("mini", vocab_size=128, encoder_layers=3, decoder_layers=2, dropout=0.1)
ADAPTED = changed(PLAIN, adapter=6)


def batch(seed=0, config=PLAIN):
    rng = np.random.default_rng(seed)
    lengths = (0, 24) if config.decoder_only else (16, 8)
    return stack([make_row([(rng.integers(3, 100, 12), rng.integers(3, 100, 5))], *lengths) for _ in range(8)])


def numbers(state) -> dict:
    """Copies of parameters by name: a step gives up those that go in."""
    return {name: np.array(leaf) for name, leaf in flatten(state).items()}


def train_steps(config, trained, steps, total=None, mesh=None, accumulate=1, begun_at=0, optimizer=None):
    """The parameters by name before the first of some steps and after each, and the steps' metrics."""
    config = changed(config, dropout=0.0)  # which only takes long to compile
    mesh = mesh or sharding.make_mesh(1, 1)
    optimizer = optimizer or adafactor(constant(0.01))
    state = start_state(random_parameters(config), optimizer, mesh, trained) | {"step": np.int32(begun_at)}
    step = make_step(model_graph(config)[0], optimizer, mesh, accumulate, 0.0, trained, total)
    seen, metrics = [numbers(state["params"])], []
    for number in range(steps):
        state, found = step(state, sharding.put_batch(batch(number, config), mesh), 0, begun_at)
        seen.append(numbers(state["params"]))
        metrics.append({name: float(value) for name, value in found.items()})
    return seen, metrics, state


def moved(before, after) -> set:
    return {name for name in after if (before[name].tobytes() != after[name].tobytes())}


@pytest.mark.parametrize("architecture", [pytest.param("encoder-decoder", marks=pytest.mark.slow), "prefix-lm"])
def test_at_the_start_a_model_with_adapters_is_that_without_them(architecture):
    plain = changed(PLAIN, architecture=architecture)
    adapted = changed(plain, adapter=6)
    flat = flatten(random_parameters(plain))
    stacks = ["encoder", "decoder"] if architecture == "encoder-decoder" else ["decoder"]
    ends = "adapter.down.kernel", "adapter.up.kernel", "adapter_norm.scale"
    with_new = with_adapters(adapted, flat)
    assert with_new.keys() - flat.keys() == {f"{stack}.layers.{end}" for stack in stacks for end in ends}
    assert all(with_new[name] is flat[name] for name in flat)
    assert {float(with_new[f"{stack}.layers.adapter.up.kernel"].std()) for stack in stacks} == {0.0}
    assert all(float(with_new[f"{stack}.layers.adapter.down.kernel"].std()) > 0.1 for stack in stacks)
    graph, shapes = model_graph(adapted)
    params = sharding.unflatten(shapes, with_new)
    row = batch(0, plain)

    @functools.partial(jax.jit, static_argnums=0)
    def losses(graph, params):
        return [batch_losses(graph, params, row, key)[0] for key in (None, jax.random.key(1))]

    found, expected = losses(graph, params), losses(model_graph(plain)[0], random_parameters(plain))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])  # with dropout too
    assert (found[0] != found[1]).any()


@pytest.mark.parametrize("accumulate,devices", [(1, (1, 1)), pytest.param(2, (4, 2), marks=pytest.mark.slow)])
def test_adapters_and_layer_norms_are_trained_and_all_else_keeps_its_bits(accumulate, devices):
    config = changed(ADAPTED, architecture="prefix-lm")
    seen, metrics, state = train_steps(config, "adapters", 3, mesh=sharding.make_mesh(*devices), accumulate=accumulate)
    trained = {name for name in seen[0] if ADAPTER.search(name) or name.endswith(".scale")}
    assert moved(seen[0], seen[-1]) == trained and len(trained) < len(seen[0])
    # Moments are kept of what is trained alone.
    kept = {name.partition(".v.")[2] for name in flatten(state["optimizer"]) if ".v." in name}
    assert kept == trained
    assert metrics[-1]["gradient_norm"] > 0


def products(jaxpr) -> int:
    """FLOPs of all matrix products in a program; those of a scan as often as it goes."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval
            total += 2 * equation.outvars[0].aval.size * int(np.prod([left.shape[axis] for axis in contracted]))
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                total += times * products(inner)
    return total


def test_gradients_of_frozen_matrices_are_not_computed():
    config = changed(PLAIN, adapter=6, dropout=0.0, attention="plain")
    graph, params = model_graph(config)[0], random_parameters(config)
    row = batch()

    def flops(trained):
        own, fixed = partition(params, trained)

        def loss(own):
            return training_loss(graph, joined(own, fixed), row, None, 0.0)[0]

        return products(jax.make_jaxpr(jax.grad(loss))(own).jaxpr)

    saved = 1 - flops("adapters") / flops("all")
    counted = 1 - step_flops(config, 8, 16, 8, "adapters") / step_flops(config, 8, 16, 8)
    assert saved > 0.2 and saved == pytest.approx(counted, abs=0.06)


@pytest.mark.slow
def test_layers_are_unfrozen_one_by_one_from_the_last():
    """Three layers, nine steps: the encoder's last one for three steps, and so on; the decoder has two, and is done after six."""
    begun_at = 100  # the optimiser's step goes on from pre-training
    seen, _, _ = train_steps(PLAIN, "gradual", 9, total=9, begun_at=begun_at, optimizer=optax.sgd(0.01))

    def layers(step) -> dict:
        """{stack: the layers whose matrices a step (from 1) changed}."""
        found = {}
        for name, after in seen[step].items():
            if ".layers." in name and not name.endswith(".scale"):
                changed_layers = {
                    layer
                    for layer in range(len(after))
                    if after[layer].tobytes() != seen[step - 1][name][layer].tobytes()
                }
                found.setdefault(name.partition(".")[0], set()).add(frozenset(changed_layers))
        assert all(len(sets) == 1 for sets in found.values())  # all matrices of a layer together
        return {stack: sorted(*sets) for stack, sets in found.items()}

    assert [layers(step) for step in (1, 3)] == [{"encoder": [2], "decoder": [1]}] * 2
    assert [layers(step) for step in (4, 6)] == [{"encoder": [1, 2], "decoder": [0, 1]}] * 2
    assert [layers(step) for step in (7, 9)] == [{"encoder": [0, 1, 2], "decoder": [0, 1]}] * 2
    for step in range(1, 10):
        others = moved(seen[step - 1], seen[step]) - {name for name in seen[0] if ".layers." in name}
        tables = {"decoder.relative_bias"} if step > 3 else set()  # the first layer's
        tables |= {"encoder.relative_bias"} if step > 6 else set()
        assert others == {"embedding", "encoder.norm.scale", "decoder.norm.scale"} | tables
        assert {name for name in moved(seen[step - 1], seen[step]) if ".layers." in name and ".scale" in name} == {
            name for name in seen[0] if ".layers." in name and ".scale" in name
        }


@pytest.mark.slow
def test_adapters_of_a_folder_are_new_ones_and_its_run_goes_on_to_the_same_losses(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", 60, shards=1)
    vocabulary = make_vocabulary(tmp_path / "vocab.model", [corpus])
    config = model_config("mini", vocab_size=padded_vocabulary(vocabulary.size), encoder_layers=1, decoder_layers=1)
    params = random_parameters(config)
    hf.save(tmp_path / "start", config, params, vocabulary)
    before = numbers(params)
    for split in ("train", "validation"):
        lines = [{"sentence": f"Anna lost {n} lamps", "label": n % 2} for n in range(8)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def tune(name, start="start", steps=2, **changes):
        training = Training(
            steps=steps,
            batch=8,
            inputs_length=48,
            targets_length=8,
            log_every=1,
            checkpoint_every=1,
            trained="adapters",
        )
        finetune(
            tmp_path / name, tmp_path / start, ["sst2"], training, task_data=tmp_path, mesh=sharding.make_mesh(1, 1),
            limit=2, quiet=True, **(changes or {}), unknown=1.0, learning_rate=0.01,
        )  # fmt: skip
        with contextlib.closing(Checkpoints(tmp_path / name / "checkpoints")) as checkpoints:
            return checkpoints.parameters(), [line["loss"] for line in read_metrics(tmp_path / name) if "loss" in line]

    after, losses = tune("whole", adapter=4)
    assert all(np.array_equal(before[name], after[name]) for name in before if not name.endswith(".scale"))
    assert any(after[name].any() for name in after if name.endswith("adapter.up.kernel"))
    tune("stopped", steps=1, adapter=4)
    assert tune("stopped", adapter=4)[1] == losses
    config, params, _ = load_parameters(tmp_path / "whole")
    assert config.adapter == 4 and flatten(params).keys() == after.keys()
    with pytest.raises(UsageError, match="has no place for adapters"):
        hf.save(tmp_path / "hf", config, params)
    with pytest.raises(UsageError, match="adapter = 8: the model has adapters of 4, and keeps them"):
        tune("wider", "whole", adapter=8)
    with pytest.raises(UsageError, match="trained = 'adapters': the model has none; say how wide they are"):
        tune("none")


def test_adapters_have_no_moments_to_go_on_with(tmp_path):
    corpus = make_corpus(tmp_path / "corpus", 60, shards=1)
    vocabulary = make_vocabulary(tmp_path / "vocab.model", [corpus])
    for trained in TRAINED:
        write_run(tmp_path / trained, ADAPTED, vocabulary, training={"trained": trained})
        (tmp_path / trained / "checkpoints").mkdir()
    assert has_state(tmp_path / "all") and has_state(tmp_path / "all", "gradual") and has_state(tmp_path / "gradual")
    assert not has_state(tmp_path / "all", "adapters") and not has_state(tmp_path / "all", "all", {"adapter": 8})
    assert not has_state(tmp_path / "adapters")


def test_a_word_that_means_nothing_is_refused():
    with pytest.raises(UsageError, match="trained = 'some': it must be one of all, adapters, gradual"):
        Training(trained="some")
