"""It learns, it resumes to the last bit after SIGKILL, it gives the same losses on any number of devices."""

import collections
import contextlib
import dataclasses
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from small import make_corpus, make_vocabulary

from c4build.errors import UsageError
from c4build.t5 import sharding
from c4build.t5.checkpoint import Checkpoints, flatten, model_graph
from c4build.t5.config import model_config, padded_vocabulary
from c4build.t5.decode import greedy
from c4build.t5.finetune import finetune
from c4build.t5.log import read_metrics
from c4build.t5.optimizer import adafactor, constant, inverse_square_root
from c4build.t5.packing import make_row, stack
from c4build.t5.pretrain import corpus_loss, make_feed, pretrain
from c4build.t5.rows import corrupter
from c4build.t5.settings import Training
from c4build.t5.sources import CorpusTokens
from c4build.t5.step import batch_losses, compiled_loss, make_step, new_parameters, start_state
from c4build.t5.train import train
from c4build.t5.watch import NotFinite

CHILD = Path(__file__).with_name("child.py")
SHORT = Training(steps=10, batch=16, inputs_length=32, log_every=1, checkpoint_every=3, seed=3)
SETTINGS = {"rates": [0.7, 0.3], "streams": 2, "shuffle": 30, "window": 8}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    corpora = [make_corpus(folder / "one", 200), make_corpus(folder / "two", 120, shards=2, seed=9)]
    vocabulary = make_vocabulary(folder / "vocab.model", corpora)
    return folder, corpora, vocabulary


def one_layer(vocabulary, **changes):
    """Half of what a mini compiles to, which takes longer than its training."""
    size = padded_vocabulary(vocabulary.size)
    return model_config("mini", vocab_size=size, encoder_layers=1, decoder_layers=1, **changes)


def losses(run):
    return {line["step"]: line["loss"] for line in read_metrics(run) if "loss" in line}


def go_on(world, run, quiet=True):
    """The run, here: begun, or gone on with."""
    _, corpora, vocabulary = world
    mesh = sharding.make_mesh(1, 1)
    return pretrain(run, corpora, vocabulary, one_layer(vocabulary), SHORT, mesh=mesh, quiet=quiet, **SETTINGS)


@pytest.fixture(scope="module")
def reference(world):
    """The run that nothing interrupts, on one device."""
    go_on(world, world[0] / "reference")
    return losses(world[0] / "reference")


def child_arguments(world, run, steps=SHORT.steps, devices=8, **more):
    folder, corpora, vocabulary = world
    training = dataclasses.replace(SHORT, steps=steps)
    arguments = dict(
        run=str(run), corpora=[str(corpus) for corpus in corpora], vocabulary=vocabulary.path,
        training=dataclasses.asdict(training), settings=SETTINGS, devices=devices, **more,
    )  # fmt: skip
    path = folder / f"{run.name}.json"
    path.write_text(json.dumps(arguments))
    return path


def start_child(path, *more):
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(path), *more], stderr=subprocess.PIPE, text=True, env=child_environment()
    )


def child_environment():
    package = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": package + os.pathsep + os.environ.get("PYTHONPATH", "")}


def test_a_run_killed_and_resumed_has_the_same_losses_to_the_last_bit(world, reference, capsys):
    run = world[0] / "killed"
    child = start_child(child_arguments(world, run))
    for line in child.stderr:
        if line.startswith("step 8/"):
            child.send_signal(signal.SIGKILL)
            break
    child.stderr.close()
    assert child.wait() == -signal.SIGKILL
    go_on(world, run, quiet=False)
    said = capsys.readouterr().err.splitlines()
    resumed = [
        int(line.split()[1].split("/")[0]) for line in said if line.startswith("step ") and "/" in line.split()[1]
    ]
    assert 1 < resumed[0] <= 8  # it went on from a checkpoint, it did not start again
    assert losses(run) == reference
    assert len(reference) == SHORT.steps


def test_a_run_whose_last_checkpoint_has_changed_goes_on_from_the_one_before_to_the_same_losses(
    world, reference, capsys
):
    run = world[0] / "changed"
    shutil.copytree(world[0] / "reference", run)
    largest = max(
        (run / "checkpoints" / "10").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0
    )
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 16
    largest.write_bytes(data)
    go_on(world, run, quiet=False)
    errors = capsys.readouterr().err
    said = f"c4build: {largest} is not as it was written: the checkpoint of step 9 is taken instead"
    assert said in errors.splitlines()
    assert "step 10/10  loss" in errors and "step 9/10  loss" not in errors
    assert losses(run) == reference
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["10", "9"]


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", range(1, SHORT.steps + 1))
def test_a_run_killed_at_any_step_has_the_same_losses(world, reference, kill_at):
    run = world[0] / f"killed-{kill_at}"
    path = child_arguments(world, run)
    child = start_child(path)
    for line in child.stderr:
        if line.startswith(f"step {kill_at}/"):
            child.send_signal(signal.SIGKILL)
            break
    child.stderr.close()
    child.wait()
    child = start_child(path)
    _, errors = child.communicate(timeout=200)
    assert child.returncode == 0, errors
    assert losses(run) == reference


@pytest.mark.slow
def test_two_processes_over_loopback_have_the_losses_of_one_device(world, reference):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    run = world[0] / "two-processes"
    path = child_arguments(world, run, steps=5, devices=1, coordinator=address, processes=2, mesh=[2, 1])
    children = [start_child(path, str(index)) for index in range(2)]
    for child in children:
        _, errors = child.communicate(timeout=250)
        assert child.returncode == 0, errors
    got = losses(run)
    assert list(got) == [1, 2, 3, 4, 5]
    np.testing.assert_allclose([got[s] for s in got], [reference[s] for s in got], rtol=1e-5)


@pytest.mark.parametrize(
    "data,model", [(4, 2), *(pytest.param(*mesh, marks=pytest.mark.slow) for mesh in ((8, 1), (1, 8)))]
)
def test_eight_devices_have_the_losses_of_one(world, reference, data, model):
    folder, corpora, vocabulary = world
    run = folder / f"mesh-{data}-{model}"
    short, mesh = dataclasses.replace(SHORT, steps=5), sharding.make_mesh(data, model)
    state = pretrain(run, corpora, vocabulary, one_layer(vocabulary), short, mesh=mesh, quiet=True, **SETTINGS)
    got = losses(run)
    assert list(got) == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(list(got.values()), [reference[step] for step in got], rtol=1e-5)
    # It is compiled once: the state that comes out lies where that which went in lay.
    optimizer = adafactor(inverse_square_root(10_000, 1.0))
    assert make_step(model_graph(one_layer(vocabulary))[0], optimizer, mesh, 1, 1e-4)._cache_size() == 1
    kernel = state["params"]["encoder"]["layers"]["feed_forward"]["wi"]["kernel"][...]
    assert kernel.addressable_shards[0].data.shape == (1, 32, 64 // model)


@pytest.mark.slow
def test_gradients_in_four_parts_are_the_gradients_of_the_whole(world):
    _, corpora, vocabulary = world
    config = one_layer(vocabulary, dropout=0.0)
    mesh = sharding.make_mesh(2, 1)
    graph, params = model_graph(config)[0], new_parameters(config, 0, mesh)
    corrupt, width = corrupter(vocabulary, "span_corruption", 32)
    feed = make_feed(
        corpora, [0.5, 0.5], vocabulary, corrupt, (32, width), 16, mesh,
        streams=1, seed=0, limit=None, workers=0, shuffle=10, window=8,
    )  # fmt: skip
    batch = sharding.put_batch(next(feed)[0], mesh)
    feed.close()
    got = []
    for parts in (1, 4):
        optimizer = adafactor(constant())
        state = start_state(jax.tree.map(lambda x: x.copy(), params), optimizer, mesh)
        state, metrics = make_step(graph, optimizer, mesh, parts)(state, batch, 0)
        got.append((float(metrics["loss"]), float(metrics["gradient_norm"])))
    np.testing.assert_allclose(got[0], got[1], rtol=1e-5)


def unigram_entropy(corpus, vocabulary):
    """Nats a token of the held-out text under the training text's own frequencies."""
    counts = collections.Counter()
    for document in CorpusTokens(corpus, vocabulary, epochs=1):
        counts.update(document["tokens"].tolist())
    total = sum(counts.values()) + vocabulary.pieces
    held_out = [t for d in CorpusTokens(corpus, vocabulary, "validation", epochs=1) for t in d["tokens"].tolist()]
    return -sum(math.log((counts[t] + 1) / total) for t in held_out) / len(held_out)


@pytest.mark.slow
def test_a_tiny_model_beats_the_unigram_entropy_by_a_nat(world):
    folder, corpora, vocabulary = world
    run = folder / "learner"
    training = Training(steps=200, batch=32, inputs_length=64, log_every=100, checkpoint_every=200)
    pretrain(
        run, corpora[:1], vocabulary, one_layer(vocabulary, dropout=0.0), training, objective="lm", warmup=400,
        mesh=sharding.make_mesh(1, 1), quiet=True,
    )  # fmt: skip
    # Every target of `lm` is a token of the text, so that its loss and the entropy are of the same tokens.
    loss = corpus_loss(run, corpora[:1], batches=None)["loss"]
    assert loss < unigram_entropy(corpora[0], vocabulary) - 1.0


def fit(world, examples, steps):
    _, _, vocabulary = world
    config = one_layer(vocabulary, dropout=0.0)
    mesh = sharding.make_mesh(1, 1)
    graph, params = model_graph(config)[0], new_parameters(config, 1, mesh)
    optimizer = adafactor(constant(0.02))
    state = start_state(params, optimizer, mesh)
    step = make_step(graph, optimizer, mesh)
    batch = sharding.put_batch(stack([make_row([example], 32, 16) for example in examples]), mesh)
    for _ in range(steps):
        state, metrics = step(state, batch, 0)
    return graph, state["params"], float(metrics["loss"])


def test_one_batch_is_learnt_by_heart(world):
    rng = np.random.default_rng(0)
    examples = [(rng.integers(3, 100, 20), np.append(rng.integers(3, 100, 8), 1)) for _ in range(8)]
    _, _, loss = fit(world, examples, 200)
    assert loss < 0.01


@pytest.mark.slow
def test_shuffled_labels_teach_nothing_about_new_examples_and_true_ones_do(world):
    rng = np.random.default_rng(0)
    texts = rng.integers(10, 90, (192, 12))
    truth = np.where((texts == 42).any(1), 5, 6)
    texts[::2, 3] = 42
    truth[::2] = 5

    def right(labels):
        train_set = [(text, np.array([label, 1])) for text, label in zip(texts[:128], labels[:128])]
        graph, params, _ = fit(world, train_set, 150)
        batch = stack(
            [make_row([(text, np.array([label, 1]))], 32, 16) for text, label in zip(texts[128:], truth[128:])]
        )
        written = greedy(graph, params, batch["inputs"], batch["input_segments"], 2)
        return float(np.mean(written[:, 0] == truth[128:]))

    # 64 new examples, half of each kind: chance is 0.5 with a standard deviation of 0.0625.
    assert right(truth) > 0.85
    assert right(rng.permutation(truth)) < 0.5 + 3 * 0.0625


def test_a_nan_stops_the_run_and_names_step_files_and_checkpoint(world):
    folder, corpora, vocabulary = world
    config = one_layer(vocabulary)
    mesh = sharding.make_mesh(1, 1)
    corrupt, width = corrupter(vocabulary, "span_corruption", 32)
    training = Training(steps=20, batch=8, inputs_length=32, targets_length=width, log_every=5, checkpoint_every=3)

    def schedule(step):  # the update of step 6 sends the parameters to infinity
        return jax.numpy.where(step == 5, np.inf, 0.01)

    def stopped(run, params=None):
        feed = make_feed(
            corpora[:1], [1.0], vocabulary, corrupt, (32, width), 8, mesh,
            streams=1, seed=0, limit=None, workers=0, shuffle=10, window=8,
        )  # fmt: skip
        with contextlib.closing(feed), pytest.raises(NotFinite) as error:
            train(run, config, training, feed, schedule, mesh, params, quiet=True)
        last = read_metrics(run)[-1]
        assert last["error"] == str(error.value)
        assert f"the batch came from {', '.join(last['origins'])}; " in str(error.value)
        assert last["origins"][0].startswith(str(corpora[0] / "1.0.0" / "c4-train.tfrecord-0000"))
        return str(error.value)

    run = folder / "nan"
    error = stopped(run)
    assert "parameters not finite after step 6" in error  # before they are saved
    assert f"last good checkpoint: {run / 'checkpoints' / '3'}" in error
    params = jax.tree.map(lambda leaf: leaf.at[0].set(np.nan), new_parameters(config, 0, mesh))
    error = stopped(folder / "nan-from-the-start", params)
    assert "loss nan at step 1;" in error and error.endswith("no checkpoint was written yet")


def test_fine_tuning_goes_on_with_the_optimisers_state_and_step_or_starts_afresh(world, reference, tmp_path):
    folder, _, vocabulary = world
    config, mesh = one_layer(vocabulary), sharding.make_mesh(1, 1)
    for split in ("train", "validation"):
        lines = [{"sentence": f"Anna lost {n} lamps", "label": n % 2} for n in range(8)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def state_of(run):
        like = start_state(new_parameters(config, 0, mesh), adafactor(constant(0.001)), mesh)
        with contextlib.closing(Checkpoints(run / "checkpoints")) as checkpoints:
            state, _, step = checkpoints.restore(like)
        return flatten(state), step

    def tune(name, start=folder / "reference", **more):
        training = Training(steps=1, batch=8, inputs_length=32, targets_length=8, log_every=1, checkpoint_every=1)
        finetune(
            tmp_path / name, start, ["sst2"], training, task_data=tmp_path, mesh=mesh, limit=2, quiet=True, **more
        )  # fmt: skip
        state, step = state_of(tmp_path / name)
        assert step == 1  # the run's own steps count from 1
        return state

    def counts(state):
        return {int(value) for name, value in state.items() if name.endswith("count")} | {int(state["step"])}

    on, fresh = tune("on"), tune("fresh", optimizer="fresh")
    assert counts(on) == {SHORT.steps + 1} and counts(fresh) == {1}
    # After one step afresh the moments are that step's gradients alone; going on they hold a part of pre-training's.
    before, _ = state_of(folder / "reference")
    moments = [name for name in before if name.startswith("optimizer.0.v.") and before[name].size > 1]
    assert moments and any(not np.allclose(on[name], fresh[name], rtol=0.1) for name in moments)
    decay = 1 - (SHORT.steps + 1) ** -0.8
    for name in moments:
        gradients = np.asarray(on[name] - decay * before[name]) / (1 - decay)  # what the step adds
        assert (gradients > -1e-6 * np.abs(before[name]).max()).all(), name
    # What was fine-tuned has its best parameters alone.
    assert counts(tune("again", tmp_path / "on")) == {1}
    with pytest.raises(UsageError, match="optimizer = 'new': it must be one of continue, fresh"):
        tune("new", optimizer="new")


def test_the_log_has_speed_waiting_and_share_of_peak(world, reference):
    last = read_metrics(world[0] / "reference")[-1]
    assert last["step"] == SHORT.steps
    assert last["tokens_per_second"] > 0 and 0 <= last["waiting"] < 1 and 0 < last["mfu"] < 1.5
    assert list((world[0] / "reference" / "tensorboard").glob("events.out.tfevents.*"))


def test_packed_and_unpacked_examples_have_the_same_losses(world):
    _, _, vocabulary = world
    config = one_layer(vocabulary)
    graph, params = model_graph(config)[0], new_parameters(config, 2, sharding.make_mesh(1, 1))
    rng = np.random.default_rng(0)
    examples = [
        (np.append(rng.integers(3, 100, n), 1), np.append(rng.integers(3, 100, m), 1))
        for n, m in [(40, 11), (5, 3), (17, 20), (1, 1), (60, 9)]
    ]
    losses_of = jax.jit(lambda batch: batch_losses(graph, params, batch)[0])

    def token_loss(row):
        return np.asarray(losses_of(stack([row])))[0]

    packed = token_loss(make_row(examples, 144, 64))
    at = 0
    for example in examples:
        alone = token_loss(make_row([example], 144, 64))
        length = len(example[1])
        np.testing.assert_allclose(packed[at : at + length], alone[:length], rtol=2e-5)
        at += length
    assert (packed[at:] == 0).all()
    total, count = compiled_loss(graph, params, stack([make_row(examples, 144, 64)]))
    assert int(count) == at and float(total) == pytest.approx(packed.sum(), rel=1e-5)
