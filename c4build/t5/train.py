"""The training loop: one jitted step over a mesh, a line now and then, checkpoints, and nothing that a resume could lose.

A step's dropout comes from the seed and the step's number; the data's place is in the checkpoint; so a run that was
stopped anywhere goes on to the same numbers.
"""

import contextlib
import dataclasses
import functools
import json
import math
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from c4build.errors import C4BuildError, UsageError
from c4build.t5 import sharding
from c4build.t5.checkpoint import Checkpoints, flatten, model_graph
from c4build.t5.config import ModelConfig
from c4build.t5.digests import ChangedFile
from c4build.t5.flops import device_peak, step_flops
from c4build.t5.model import T5, shift_right, token_losses

SOME = 20  # origins that an error names; the log has them all


@dataclasses.dataclass(frozen=True)
class Training:
    """How long, how large, how often. The defaults are the paper's baseline (section 3.1)."""

    steps: int = 2**19
    batch: int = 128
    inputs_length: int = 512
    targets_length: int = 512
    accumulate: int = 1
    seed: int = 0
    log_every: int = 100
    checkpoint_every: int = 5000
    keep: int = 2
    z_loss: float = 1e-4  # T5's own; 0 for the loss of transformers

    def __post_init__(self):
        if (
            isinstance(self.z_loss, bool)
            or not isinstance(self.z_loss, (int, float))
            or not 0 <= self.z_loss < math.inf
        ):
            raise UsageError(f"z_loss = {self.z_loss}: it must be 0 or more")
        for name, value in dataclasses.asdict(self).items():
            if name != "z_loss" and (not isinstance(value, int) or value < 1 and name != "seed"):
                raise UsageError(f"{name} = {value}: it must be 1 or more")


def check_batch(training: Training, mesh, streams: int) -> None:
    """Raises UsageError where a batch's rows cannot be shared out evenly."""
    if training.batch % (mesh.shape["data"] * training.accumulate):
        raise UsageError(
            f"a batch of {training.batch} rows does not divide over {mesh.shape['data']} devices in "
            f"{training.accumulate} parts"
        )
    if training.batch % streams:
        raise UsageError(f"a batch of {training.batch} rows cannot be dealt out to {streams} streams")


class NotFinite(C4BuildError):
    """The loss became NaN or infinite; the message names the step, the files and the last good checkpoint."""


@functools.cache
def initialiser(config: ModelConfig, mesh):
    _, shapes = model_graph(config)
    places = sharding.parameter_shardings(shapes, mesh)
    return jax.jit(lambda key: nnx.state(T5(config, nnx.Rngs(key))), out_shardings=places)


def new_parameters(config: ModelConfig, seed: int, mesh) -> nnx.State:
    """Random parameters, made where they belong."""
    return initialiser(config, mesh)(jax.random.key(seed))


def start_state(params: nnx.State, optimizer, mesh) -> dict:
    params = jax.tree.map(jax.device_put, params, sharding.parameter_shardings(params, mesh))
    shapes = jax.eval_shape(optimizer.init, params)  # AdaFactor's moments all start at zero
    places = sharding.optimizer_shardings(shapes, params, mesh)
    moments = jax.tree.map(lambda leaf, place: jax.device_put(np.zeros(leaf.shape, leaf.dtype), place), shapes, places)
    step = jax.device_put(np.zeros((), np.int32), sharding.everywhere(mesh))
    return {"params": params, "optimizer": moments, "step": step}


def batch_logits(graph, params, batch, key=None):
    model = nnx.merge(graph, params)
    decoder_inputs = shift_right(batch["targets"], batch["target_segments"])
    return model(batch["inputs"], batch["input_segments"], decoder_inputs, batch["target_segments"], key)


def batch_loss(graph, params, batch, key=None):
    """(sum of the target tokens' losses in nats, number of target tokens)."""
    losses = token_losses(batch_logits(graph, params, batch, key), batch["targets"], batch["target_segments"])
    return losses.sum(), (batch["target_segments"] > 0).sum()


def training_loss(graph, params, batch, key, z_loss: float):
    """(what is minimised, (sum of the losses in nats, number of target tokens)).

    What is minimised has `z_loss` times the square of log Z more for each target token, Z being the softmax's sum: it keeps
    the logits from drifting (as in Mesh TensorFlow, which trained the paper's models). It is not part of the loss that is logged.
    """
    logits = batch_logits(graph, params, batch, key)
    real = batch["target_segments"] > 0
    loss = token_losses(logits, batch["targets"], batch["target_segments"]).sum()
    log_z = jnp.where(real, jax.nn.logsumexp(logits, -1), 0.0)
    return loss + z_loss * (log_z * log_z).sum(), (loss, real.sum())


@functools.cache
def make_step(graph, optimizer, accumulate: int = 1, z_loss: float = 0.0):
    """state, batch, seed -> state, {"loss", "targets", "tokens", "gradient_norm", "parameter_norm"}; jitted, the old state given up.

    The loss is the mean over the batch's target tokens, however it is cut up: with `accumulate`, gradients of sums are
    added up part by part and divided by the whole batch's count at the end.
    """

    def whole(params, batch, key):
        compute = jax.value_and_grad(lambda p: training_loss(graph, p, batch, key, z_loss), has_aux=True)
        (_, (total, count)), gradients = compute(params)
        return total, count, gradients

    def in_parts(params, batch, key):
        # Part p takes the rows p, p + parts, ...: each device's rows are spread over all parts.
        parts = {n: jnp.swapaxes(x.reshape(-1, accumulate, x.shape[-1]), 0, 1) for n, x in batch.items()}

        def add(sums, part):
            arrays, part_key = part
            return jax.tree.map(jnp.add, sums, whole(params, arrays, part_key)), None

        zeros = (jnp.zeros(()), jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))
        return jax.lax.scan(add, zeros, (parts, jax.random.split(key, accumulate)))[0]

    def step(state, batch, seed):
        key = jax.random.fold_in(jax.random.key(seed), state["step"])
        compute = whole if accumulate == 1 else in_parts
        total, count, gradients = compute(state["params"], batch, key)
        gradients = jax.tree.map(lambda g: g / count, gradients)
        updates, moments = optimizer.update(gradients, state["optimizer"], state["params"])
        metrics = {
            "loss": total / count,
            "targets": count,
            "tokens": (batch["input_segments"] > 0).sum() + count,
            "gradient_norm": optax.tree.norm(gradients),
        }
        params = optax.apply_updates(state["params"], updates)
        metrics["parameter_norm"] = optax.tree.norm(params)
        return {"params": params, "optimizer": moments, "step": state["step"] + 1}, metrics

    return jax.jit(step, donate_argnums=0)


compiled_loss = jax.jit(batch_loss, static_argnums=0)


def evaluate_loss(graph, params, batches, mesh) -> dict:
    """The mean loss in nats of a target token over `batches` of arrays, dropout off."""
    total, count = 0.0, 0
    for arrays in batches:
        part, number = compiled_loss(graph, params, sharding.put_batch(arrays, mesh))
        total, count = total + float(part), count + int(number)
    return {"loss": total / max(count, 1), "targets": count}


class Log:
    """metrics.jsonl, TensorBoard files and the progress line; only the first host writes."""

    def __init__(self, run, first_step: int = 0, quiet: bool = False):
        self.quiet = quiet
        self.active = jax.process_index() == 0
        if not self.active:
            return
        from tensorboardX import SummaryWriter

        run = Path(run)
        run.mkdir(parents=True, exist_ok=True)
        self.path = run / "metrics.jsonl"
        if self.path.exists():  # what was logged after the checkpoint will be logged again
            kept = [line for line in read_metrics(run) if line["step"] <= first_step]
            part = self.path.with_name("metrics.jsonl.part")
            part.write_text("".join(json.dumps(line) + "\n" for line in kept))
            part.rename(self.path)
        self.file = open(self.path, "a", buffering=1)
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=first_step + 1 if first_step else None)

    def write(self, step: int, line: str | None = None, **values) -> None:
        if not self.active:
            return
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            if isinstance(value, (int, float)):
                self.board.add_scalar(name, value, step)
        if line:
            self.say(line)

    def say(self, line: str) -> None:
        if self.active and not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def close(self):
        if self.active:
            self.file.close()
            self.board.close()


def read_metrics(run) -> list[dict]:
    """The lines of a run's log, without a last one that was cut off by a kill. Raises ChangedFile for one that is no line of a log."""
    path = Path(run) / "metrics.jsonl"
    data = path.read_bytes()
    found = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            fields = json.loads(line)
            fields["step"] + 0
        except (KeyError, TypeError, ValueError) as error:
            raise ChangedFile(
                f"{path}: line {number} is not as it was written; delete it, or start in another folder"
            ) from error
        found.append(fields)
    return found


def hours(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def train(
    run, config: ModelConfig, training: Training, feed, schedule, mesh, params=None, state_from=None, after=None, quiet=False
):  # fmt: skip
    """Trains to `training.steps`, from the run's last checkpoint if there is one; returns the final state.

    `feed` gives (arrays of this host's rows, origins, repeats) and has `state` and `restore`. A new run starts with the whole
    state (parameters, optimiser, step) of the last checkpoint of the run `state_from`, else with `params`, else at random;
    its own steps count from 1 all the same. `after(step, state, log)` is called just before each checkpoint.
    Raises NotFinite.
    """
    from c4build.t5.optimizer import adafactor

    graph, shapes = model_graph(config)
    optimizer = adafactor(schedule)
    checkpoints = Checkpoints(Path(run) / "checkpoints", training.keep)
    first = checkpoints.latest()
    if params is None:
        params = new_parameters(config, training.seed, mesh)
    state = start_state(params, optimizer, mesh)
    del params
    if first is not None:
        state, data, first = checkpoints.restore(state)
        feed.restore(data)
    elif state_from is not None:
        with contextlib.closing(Checkpoints(Path(state_from) / "checkpoints")) as before:
            state, _, _ = before.restore(state)
    first = first or 0
    log = Log(run, first, quiet)
    step_function = make_step(graph, optimizer, training.accumulate, training.z_loss)
    flops = step_flops(config, training.batch, training.inputs_length, training.targets_length)
    peak, peak_source = device_peak(jax.devices()[0])
    peak *= mesh.size

    def check(step, metrics, origins):
        loss, size = float(metrics["loss"]), float(metrics["parameter_norm"])
        if math.isfinite(loss) and math.isfinite(size):  # a bad gradient shows in what it did to the parameters
            return loss
        what = f"loss {loss} at step {step}" if not math.isfinite(loss) else f"parameters not finite after step {step}"
        some = ", ".join(origins[:SOME]) + (f" and {len(origins) - SOME} more" if len(origins) > SOME else "")
        checkpoints.wait()  # the last may still be on its way to the disk
        good = checkpoints.latest()
        where = (
            "no checkpoint was written yet"
            if good is None
            else f"last good checkpoint: {checkpoints.folder / str(good)}"
        )
        message = f"{what}; the batch came from {some}; {where}"
        log.write(step, error=message, origins=origins)
        raise NotFinite(message)

    log.say(
        f"{sum(leaf.size for leaf in jax.tree.leaves(state['params'])):,} parameters on {mesh.size} x "
        f"{jax.devices()[0].device_kind}, from step {first + 1:,}; reading the first batch"
    )
    waiting = tokens = 0.0
    pending = None
    begun = since = time.perf_counter()
    since_step = first
    with contextlib.closing(log), contextlib.closing(checkpoints):
        for step in range(first + 1, training.steps + 1):
            before = time.perf_counter()
            arrays, origins, repeats = next(feed)
            batch = sharding.put_batch(arrays, mesh)
            waiting += time.perf_counter() - before
            if step == first + 1:
                log.say(f"the first batch is there after {hours(time.perf_counter() - begun)}; compiling the step")
            state, metrics = step_function(state, batch, training.seed)
            if pending:  # the step before: reading its loss now does not hold up the device
                check(*pending)
            pending = (step, metrics, origins)
            if step == first + 1:  # compiling is not training
                loss = check(*pending)
                log.say(f"step {step:,} is done after {hours(time.perf_counter() - begun)}, loss {loss:.4f}")
                waiting, since, since_step = 0.0, time.perf_counter(), step
            last = step == training.steps
            saves = last or step % training.checkpoint_every == 0
            if step % training.log_every == 0 or last or (saves and after):
                loss = check(*pending)
                seconds = max(time.perf_counter() - since, 1e-9)
                count = step - since_step
                speed = count / seconds
                rate = float(schedule(jnp.asarray(step - 1)))
                tokens = float(metrics["tokens"])
                values = dict(
                    loss=loss, targets=int(metrics["targets"]), gradient_norm=float(metrics["gradient_norm"]),
                    learning_rate=rate, repeats=repeats,
                )  # fmt: skip
                if count:
                    values |= dict(
                        tokens_per_second=tokens * speed, steps_per_second=speed, mfu=flops * speed / peak,
                        peak_from=peak_source, waiting=waiting / seconds,
                    )  # fmt: skip
                line = f"step {step:,}/{training.steps:,}  loss {loss:.4f}"
                if count:
                    line += (
                        f"  {values['tokens_per_second']:,.0f} tokens/s  {100 * values['mfu']:.1f} % of peak"
                        f"  {100 * values['waiting']:.1f} % waiting  {repeats:.1f} repeats"
                        f"  {hours((training.steps - step) / speed)} left"
                    )
                log.write(step, line, **values)
                waiting, since, since_step = 0.0, time.perf_counter(), step
            if saves:
                check(*pending)
                if after:  # before the checkpoint: a kill in between loses nothing
                    after(step, state, log)
                checkpoints.save(step, state, feed.state())
                waiting, since, since_step = 0.0, time.perf_counter(), step
    return state


def to_host(state) -> dict:
    """Parameters by name as NumPy arrays."""
    return {name: np.asarray(value) for name, value in flatten(state["params"]).items()}
