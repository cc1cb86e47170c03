"""A run's folder and its checkpoints, by orbax.

    RUN/run.json            how the run was started, and its model's numbers
    RUN/vocab.model         the vocabulary
    RUN/checkpoints/STEP/   state (parameters, optimiser, step) and data (each stream's place); written whole or not at all
    RUN/best/STEP/          the parameters of the best-scored checkpoint of a fine-tuning run
    RUN/metrics.jsonl       a line for every logged step and evaluation
    RUN/tensorboard/        the same for TensorBoard
"""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jax.experimental import multihost_utils

from c4build.errors import UsageError
from c4build.t5 import hf
from c4build.t5.config import ModelConfig, changed
from c4build.t5.model import T5
from c4build.t5.sharding import name
from c4build.t5.vocabulary import Vocabulary


def flatten(tree) -> dict:
    return {name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def unflatten(tree, flat: dict):
    """The leaves of `flat` in the shape of `tree`."""
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    return jax.tree_util.tree_unflatten(structure, [flat[name(path)] for path, _ in paths])


def gather_states(states: dict) -> dict:
    """Every host's stream states on every host."""
    if jax.process_count() == 1:
        return states
    data = np.frombuffer(json.dumps(states).encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.array([len(data)]))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: len(data)] = data
    everyone = multihost_utils.process_allgather(padded)
    merged = {}
    for row, size in zip(everyone, sizes.reshape(-1)):
        merged.update(json.loads(bytes(row[:size]).decode()))
    return merged


class Checkpoints:
    """The checkpoints of a run: `save`, `restore`, `latest`."""

    def __init__(self, folder, keep: int | None = 2):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=True)
        self.folder = Path(folder).absolute()
        self.manager = ocp.CheckpointManager(self.folder, options=options)

    def latest(self) -> int | None:
        return self.manager.latest_step()

    def existing(self, step: int | None) -> int:
        """`step`, or the latest. Raises UsageError where there is no such checkpoint."""
        steps = self.manager.all_steps()
        if not steps:
            raise UsageError(f"{self.folder}: no checkpoint")
        if step is not None and step not in steps:
            raise UsageError(f"{self.folder}: no checkpoint of step {step}; there are {', '.join(map(str, sorted(steps)))}")
        return max(steps) if step is None else step

    def save(self, step: int, state, data: dict | None = None) -> None:
        if step in self.manager.all_steps():  # written before a kill that lost what should have followed
            self.manager.delete(step)
        items = {"state": ocp.args.StandardSave(flatten(state))}
        if data is not None:
            items["data"] = ocp.args.JsonSave(gather_states(data))
        self.manager.save(step, args=ocp.args.Composite(**items), force=True)

    def restore(self, like, step: int | None = None):
        """(state, data): the state in the shape and on the devices of `like` (arrays, or shapes with a sharding)."""
        step = self.existing(step)
        wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), flatten(like))
        items = {"state": ocp.args.StandardRestore(wanted)}
        if (self.folder / str(step) / "data").exists():
            items["data"] = ocp.args.JsonRestore()
        found = self.manager.restore(step, args=ocp.args.Composite(**items))
        return unflatten(like, found["state"]), found.get("data")

    def parameters(self, step: int | None = None) -> dict:
        """The parameters alone, by name, as NumPy arrays on this host."""
        path = self.folder / str(self.existing(step)) / "state"
        handler = ocp.PyTreeCheckpointHandler()
        wanted = {key: ocp.RestoreArgs(restore_type=np.ndarray) for key in handler.metadata(path).tree.keys()}
        found = handler.restore(path, args=ocp.args.PyTreeRestore(restore_args=wanted))
        prefix = "params."
        return {key.removeprefix(prefix): np.asarray(value) for key, value in found.items() if key.startswith(prefix)}

    def close(self):
        self.manager.wait_until_finished()
        self.manager.close()


@functools.cache
def model_graph(config: ModelConfig):
    """(the model without its numbers, the shapes of its numbers)."""
    return nnx.split(nnx.eval_shape(lambda: T5(config, nnx.Rngs(0))))


MAY_CHANGE = {"steps", "log_every", "checkpoint_every", "keep", "limit"}  # of a run, from one start to the next


def write_run(run, config: ModelConfig, vocabulary: Vocabulary, **settings) -> None:
    """run.json and vocab.model. Raises UsageError where `run` has checkpoints of a run that was started otherwise."""
    run = Path(run)
    fields = {"model": dataclasses.asdict(config), **settings}
    fields = json.loads(json.dumps(fields, default=str))
    if (run / "run.json").exists():
        before = json.loads((run / "run.json").read_text())
        for name, old, new in differences(before, fields):
            raise UsageError(f"{run} was started with {name} = {old}, not {new}; name another --out")
        if (run / "vocab.model").read_bytes() != Path(vocabulary.path).read_bytes():
            raise UsageError(f"{run} was started with another vocabulary than {vocabulary.path}; name another --out")
    run.mkdir(parents=True, exist_ok=True)
    if Path(vocabulary.path).absolute() != (run / "vocab.model").absolute():
        shutil.copyfile(vocabulary.path, run / "vocab.model")
    part = run / "run.json.part"
    part.write_text(json.dumps(fields, indent=2) + "\n")
    part.rename(run / "run.json")


def differences(before: dict, now: dict):
    """(name, old, new) of what may not change."""
    for name in sorted({*before, *now} - MAY_CHANGE):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new)
        elif old != new:
            yield name, old, new


def read_run(run) -> tuple[ModelConfig, dict]:
    path = Path(run) / "run.json"
    if not path.exists():
        raise UsageError(f"{run}: not a run of `c4build t5` (no run.json)")
    fields = json.loads(path.read_text())
    return ModelConfig(**fields.pop("model")), fields


def load_parameters(run, step: int | None = None, **changes) -> tuple[ModelConfig, nnx.State, Vocabulary]:
    """The model of a run: of `step`, else its best checkpoint, else its latest.

    A folder that Hugging Face wrote will do as well, if the vocabulary lies in it (`vocab.model` or `spiece.model`).
    """
    run = Path(run)
    if not (run / "run.json").exists() and (run / "model.safetensors").exists():
        config, params = hf.load(run, **changes)
        names = [run / "vocab.model", run / "spiece.model"]
        return config, params, Vocabulary(next((path for path in names if path.exists()), names[0]))
    config, _ = read_run(run)
    config = changed(config, **changes)
    best = run / "best"
    folder = best if step is None and best.exists() else run / "checkpoints"
    checkpoints = Checkpoints(folder, keep=None)
    try:
        flat = checkpoints.parameters(step)
    finally:
        checkpoints.close()
    _, shapes = model_graph(config)
    return config, jax.tree.map(jax.numpy.asarray, unflatten(shapes, flat)), Vocabulary(run / "vocab.model")
