"""The training loop: a step and another one, a line now and then, checkpoints, and nothing that a resume could lose.

A step's dropout comes from the seed and the step's number; the data's place is in the checkpoint; so a run that was
stopped anywhere goes on to the same numbers.
"""

import contextlib
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from c4build.errors import UsageError
from c4build.t5 import sharding
from c4build.t5.checkpoint import Checkpoints, flatten, model_graph
from c4build.t5.config import ModelConfig
from c4build.t5.flops import step_flops
from c4build.t5.log import Log, hours
from c4build.t5.packing import row_widths
from c4build.t5.settings import Training
from c4build.t5.step import make_step, new_parameters, start_state
from c4build.t5.trained import check_trained
from c4build.t5.watch import Finite, Speed, progress_line


def check_batch(training: Training, mesh, streams: int) -> None:
    """Raises UsageError where a batch's rows cannot be shared out evenly."""
    if training.batch % (mesh.shape["data"] * training.accumulate):
        raise UsageError(
            f"a batch of {training.batch} rows does not divide over {mesh.shape['data']} devices in "
            f"{training.accumulate} parts"
        )
    if training.batch % streams:
        raise UsageError(f"a batch of {training.batch} rows cannot be dealt out to {streams} streams")


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

    check_trained(training.trained, config)
    graph, _shapes = model_graph(config)
    optimizer = adafactor(schedule)
    checkpoints = Checkpoints(Path(run) / "checkpoints", training.keep)
    first = checkpoints.latest()
    if params is None:
        params = new_parameters(config, training.seed, mesh)
    state = start_state(params, optimizer, mesh, training.trained)
    del params
    if first is not None:
        state, data, first = checkpoints.restore(state)
        feed.restore(data)
    elif state_from is not None:
        with contextlib.closing(Checkpoints(Path(state_from) / "checkpoints")) as before:
            state, _, _ = before.restore(state)
    first = first or 0
    begun_at = int(state["step"]) - first  # the run's own steps count from there
    log = Log(run, first, quiet)
    step_function = make_step(
        graph, optimizer, mesh, training.accumulate, training.z_loss, training.trained, training.steps
    )
    check, speed = Finite(checkpoints, log), Speed(mesh.size)
    log.say(
        f"{sum(leaf.size for leaf in jax.tree.leaves(state['params'])):,} parameters on {mesh.size} x "
        f"{jax.devices()[0].device_kind}, from step {first + 1:,}; reading the first batch"
    )
    pending = None
    begun = time.perf_counter()
    with contextlib.closing(log), contextlib.closing(checkpoints):
        for step in range(first + 1, training.steps + 1):
            with speed.waiting():
                arrays, origins, repeats = next(feed)
                batch = sharding.put_batch(arrays, mesh)
            if step == first + 1:
                speed.flops = step_flops(config, training.batch, *row_widths(arrays), training.trained)
                log.say(f"the first batch is there after {hours(time.perf_counter() - begun)}; compiling the step")
            state, metrics = step_function(state, batch, training.seed, begun_at)
            if pending:  # the step before: reading its loss now does not hold up the device
                check(*pending)
            pending = (step, metrics, origins)
            if step == first + 1:  # compiling is not training
                loss = check(*pending)
                log.say(f"step {step:,} is done after {hours(time.perf_counter() - begun)}, loss {loss:.4f}")
                speed.restart(step)
            last = step == training.steps
            saves = last or step % training.checkpoint_every == 0
            if step % training.log_every == 0 or last or (saves and after):
                values = {
                    "loss": check(*pending), "targets": int(metrics["targets"]),
                    "gradient_norm": float(metrics["gradient_norm"]), "learning_rate": float(schedule(jnp.asarray(step - 1))),
                    "repeats": repeats, **speed.measured(step, float(metrics["tokens"])),
                }  # fmt: skip
                log.write(step, progress_line(step, training.steps, values), **values)
                speed.restart(step)
            if saves:
                check(*pending)
                if after:  # before the checkpoint: a kill in between loses nothing
                    after(step, state, log)
                checkpoints.save(step, state, feed.state())
                speed.restart(step)
    return state


def to_host(state) -> dict:
    """Parameters by name as NumPy arrays."""
    return {name: np.asarray(value) for name, value in flatten(state["params"]).items()}
