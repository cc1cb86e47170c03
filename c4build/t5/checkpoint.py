"""A run's folder and its checkpoints, by orbax.

RUN/run.json            how the run was started, and its model's numbers
RUN/vocab.model         the vocabulary
RUN/checkpoints/STEP/   state (parameters, optimiser, step) and data (each stream's place); written whole or not at all;
                        digest.json has the size and SHA-256 of each of its files
RUN/best/STEP/          fine-tuning: the parameters of each checkpoint that is best for a task, or as a whole
RUN/best.json           which those are, and their scores
RUN/metrics.jsonl       a line for every logged step and evaluation
RUN/tensorboard/        the same for TensorBoard
"""

import dataclasses
import functools
import hashlib
import json
import re
import shutil
import threading
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jax.experimental import multihost_utils

from c4build.errors import C4BuildError, UsageError
from c4build.t5 import digests, hf
from c4build.t5.config import ModelConfig, changed
from c4build.t5.model import T5
from c4build.t5.progress import say
from c4build.t5.sharding import flatten, unflatten
from c4build.t5.trained import with_adapters
from c4build.t5.vocabulary import Vocabulary

LAYER = re.compile(r"(.*\.layers)\.(\d+)\.(.*)")


def by_stack(flat: dict) -> dict:
    """Arrays by name, those of a stack's layers as one: `encoder.layers.0.o` and `encoder.layers.1.o`, as they were written
    before layers were scanned, become `encoder.layers.o`."""
    found = {}
    layers: dict[str, dict[int, np.ndarray]] = {}
    for key, array in flat.items():
        if matched := LAYER.fullmatch(key):
            layers.setdefault(f"{matched[1]}.{matched[3]}", {})[int(matched[2])] = array
        else:
            found[key] = array
    return found | {key: np.stack([arrays[number] for number in sorted(arrays)]) for key, arrays in layers.items()}


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


class DamagedCheckpoint(C4BuildError):
    """No checkpoint of a folder is as it was written."""


def everywhere_alike(number: int) -> int:
    """The first process's number, on every process."""
    return number if jax.process_count() == 1 else int(multihost_utils.broadcast_one_to_all(np.int32(number)))


class Checkpoints:
    """The checkpoints of a run: `save`, `restore`, `parameters`.

    A checkpoint is written as STEP.part by orbax, beside the training; a thread waits for the end of that, writes its
    digest, and gives it its name. So STEP is whole, or something has changed it since: then the one before is taken.
    """

    def __init__(self, folder, keep: int | None = 2):
        self.folder = Path(folder).absolute()
        self.keep = keep
        self.writer = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())
        self.sealing: threading.Thread | None = None
        self.failure: BaseException | None = None

    def steps(self) -> list[int]:
        """The steps of all checkpoints, whether they verify or not."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(name) for name in names if name.isdigit())

    def latest(self) -> int | None:
        return max(self.steps(), default=None)

    def verified(self, step: int | None = None) -> int:
        """`step`, or the latest that is as it was written.

        Raises UsageError where there is no such checkpoint, DamagedCheckpoint where none verifies.
        """
        steps = self.steps()
        if not steps:
            raise UsageError(f"{self.folder}: no checkpoint")
        if step is not None and step not in steps:
            raise UsageError(f"{self.folder}: no checkpoint of step {step}; there are {', '.join(map(str, steps))}")
        faults = []
        good = -1
        if jax.process_index() == 0:
            for candidate in [step] if step is not None else reversed(steps):
                fault = digests.fault(self.folder / str(candidate), step=candidate)
                if fault is None:
                    good = candidate
                    break
                faults.append(fault)
        good = everywhere_alike(good)
        if good < 0 and step is not None:
            raise DamagedCheckpoint(f"{'; '.join(faults)}: take it from a copy, or name another step")
        if good < 0:
            raise DamagedCheckpoint(
                f"{self.folder}: no checkpoint verifies ({'; '.join(faults)}); take it from a copy, or delete the folder to "
                f"start anew"
            )
        for fault in faults:
            say(f"{fault}: the checkpoint of step {good:,} is taken instead")
        return good

    def save(self, step: int, state, data: dict | None = None) -> None:
        """Begins to write a checkpoint; what was saved before is on the disk when this returns."""
        self.wait()
        if jax.process_index() == 0:
            for leftover in self.folder.glob("*.part*"):
                shutil.rmtree(leftover)
        items = {"state": ocp.args.StandardSave(flatten(state))}
        if data is not None:
            items["data"] = ocp.args.JsonSave(gather_states(data))
        self.writer.save(self.part(step), args=ocp.args.Composite(**items), force=True)
        self.sealing = threading.Thread(target=self.finish, args=(step,))
        self.sealing.start()

    def part(self, step: int) -> Path:
        return self.folder / f"{step}.part"

    def finish(self, step: int) -> None:
        """Gives a checkpoint that orbax has written its digest and its name, and removes those before it."""
        try:
            self.writer.wait_until_finished()
            if jax.process_index() != 0:
                return
            digests.seal(self.part(step), step=step)
            self.remove(step)  # written before a kill that lost what should have followed
            self.part(step).rename(self.folder / str(step))
            digests.sync(self.folder)
            if self.keep is not None:
                self.keep_only([s for s in self.steps() if s <= step][-self.keep :])
        except BaseException as error:  # said by the next `wait`
            self.failure = error

    def remove(self, step: int) -> None:
        if (self.folder / str(step)).exists():
            shutil.rmtree(self.folder / str(step))

    def keep_only(self, steps) -> None:
        for step in {*self.steps()} - {*steps}:
            self.remove(step)

    def restore(self, like, step: int | None = None):
        """(state, data, step): the state in the shape and on the devices of `like` (arrays, or shapes with a sharding)."""
        step = self.verified(step)
        wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), flatten(like))
        known = ocp.PyTreeCheckpointHandler().metadata(self.folder / str(step) / "state").tree.keys()
        items = {}
        if not any(LAYER.fullmatch(key) for key in known):
            items["state"] = ocp.args.StandardRestore(wanted)
        if (self.folder / str(step) / "data").exists():
            items["data"] = ocp.args.JsonRestore()
        found = self.writer.restore(self.folder / str(step), args=ocp.args.Composite(**items)) if items else {}
        state = found.get("state")
        if state is None:
            arrays = self.arrays(step)
            place = jax.make_array_from_callback
            state = {key: place(x.shape, x.sharding, arrays[key].__getitem__) for key, x in wanted.items()}
        return unflatten(like, state), found.get("data"), step

    def arrays(self, step: int) -> dict:
        """All of a checkpoint's state by name, as NumPy arrays on this host."""
        path = self.folder / str(step) / "state"
        handler = ocp.PyTreeCheckpointHandler()
        wanted = {key: ocp.RestoreArgs(restore_type=np.ndarray) for key in handler.metadata(path).tree.keys()}
        return by_stack(handler.restore(path, args=ocp.args.PyTreeRestore(restore_args=wanted)))

    def parameters(self, step: int | None = None) -> dict:
        """The parameters alone, by name, as NumPy arrays on this host."""
        prefix = "params."
        found = self.arrays(self.verified(step))
        return {key.removeprefix(prefix): np.asarray(value) for key, value in found.items() if key.startswith(prefix)}

    def wait(self) -> None:
        """Returns when the last checkpoint is on the disk; raises what went wrong with it."""
        if self.sealing:
            self.sealing.join()
            self.sealing = None
        failure, self.failure = self.failure, None
        if failure:
            raise failure

    def close(self):
        try:
            self.wait()
        finally:
            self.writer.close()


@functools.cache
def model_graph(config: ModelConfig):
    """(the model without its numbers, the shapes of its numbers)."""
    return nnx.split(nnx.eval_shape(lambda: T5(config, nnx.Rngs(0))))


# Of a run, from one start to the next: how long it goes, and how the same numbers are computed.
MAY_CHANGE = {"steps", "log_every", "checkpoint_every", "keep", "limit", "attention", "remat", "done"}


def write_run(run, config: ModelConfig, vocabulary: Vocabulary, **settings) -> None:
    """run.json and vocab.model. Raises UsageError where `run` has checkpoints of a run that was started otherwise."""
    run = Path(run)
    model = Path(vocabulary.path).read_bytes()
    fields = {
        "model": dataclasses.asdict(config),
        **settings,
        "sentinels": vocabulary.sentinels,
        "vocabulary": hashlib.sha256(model).hexdigest(),
    }
    fields = json.loads(json.dumps(fields, default=str))
    if (run / "run.json").exists():
        before = digests.read_json(run / "run.json")
        # What an older version did not write down was at its default.
        before["model"] = dataclasses.asdict(changed(ModelConfig(), **before["model"]))
        before.get("training", {}).setdefault("trained", "all")
        for field, old, new in differences(before, fields):
            if field == "vocabulary":
                raise UsageError(
                    f"{run} was started with another vocabulary than {vocabulary.path}; name another --out"
                )
            raise UsageError(f"{run} was started with {field} = {old}, not {new}; name another --out")
    if Path(vocabulary.path).absolute() != (run / "vocab.model").absolute():
        digests.write_bytes(run / "vocab.model", model)
    digests.write_json(run / "run.json", fields)


def finish_run(run, result: dict) -> None:
    """Writes into run.json that the run is done, and with what result."""
    path = Path(run) / "run.json"
    digests.write_json(path, digests.read_json(path) | {"done": result})


def result_of(run) -> dict | None:
    """What `finish_run` was given, or None for a run that is not done."""
    path = Path(run) / "run.json"
    return digests.read_json(path).get("done") if path.exists() else None


def differences(before: dict, now: dict):
    """(name, old, new) of what may not change."""
    for field in sorted({*before, *now} - MAY_CHANGE):
        old, new = before.get(field), now.get(field)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new)
        elif old != new:
            yield field, old, new


def read_run(run) -> tuple[ModelConfig, dict]:
    """(the model's numbers, how the run was started). Raises ChangedFile where run.json is not as it was written."""
    path = Path(run) / "run.json"
    if not path.exists():
        raise UsageError(f"{run}: not a run of `c4build t5` (no run.json)")
    fields = digests.read_json(path)
    return changed(ModelConfig(), **fields.pop("model")), fields


def run_vocabulary(run, fields: dict) -> Vocabulary:
    """A run's own vocabulary. Raises ChangedFile where it is not the one that the run was started with."""
    path = Path(run) / "vocab.model"
    if not path.is_file() or digests.sha256(path) != fields["vocabulary"]:
        raise digests.ChangedFile(f"{path} is not the vocabulary that the run was started with: take it from a copy")
    return Vocabulary(path, fields["sentinels"])


def best_step(run, task: str | None = None) -> int | None:
    """The step in RUN/best that is best for a task, or as a whole; None for a run that was not fine-tuned."""
    path = Path(run) / "best.json"
    best = digests.read_json(path) if path.exists() else {"step": None, "steps": {}}
    return best["steps"].get(task, best["step"])


def has_state(run, trained: str = "all", changes=None) -> bool:
    """Whether what is `trained` of a run's model goes on from a whole checkpoint: not a Hugging Face folder, not the best of a
    fine-tuned one, not where the checkpoint has no moments of it, or of arrays that are not trained."""
    run = Path(run)
    if not (run / "run.json").exists() or (run / "best.json").exists() or not (run / "checkpoints").exists():
        return False
    config, fields = read_run(run)
    before = fields.get("training", {}).get("trained", "all")
    return changed(config, **(changes or {})).adapter == config.adapter and "adapters" not in (before, trained)


def load_model(run, **changes) -> tuple[ModelConfig, Vocabulary]:
    """What a run's model is, without its parameters."""
    config, fields = read_run(run)
    return changed(config, **changes), run_vocabulary(run, fields)


def load_parameters(
    run, step: int | None = None, best: int | None = None, **changes
) -> tuple[ModelConfig, nnx.State, Vocabulary]:
    """The model of a run: of `step`, else of `best` in RUN/best, else its best as a whole, else its latest.

    A folder that Hugging Face wrote will do as well, if the vocabulary lies in it (`vocab.model` or `spiece.model`).
    """
    run = Path(run)
    if not (run / "run.json").exists() and (run / "model.safetensors").exists():
        config, params = hf.load(run, **changes)
        names = [run / "vocab.model", run / "spiece.model"]
        return config, params, Vocabulary(next((path for path in names if path.exists()), names[0]), hf.sentinels(run))
    config, vocabulary = load_model(run, **changes)
    if step is None:
        best = best_step(run) if best is None else best
    checkpoints = Checkpoints(run / ("checkpoints" if best is None else "best"), keep=None)
    try:
        flat = checkpoints.parameters(step if best is None else best)
    finally:
        checkpoints.close()
    flat = with_adapters(config, flat)
    _, shapes = model_graph(config)
    return config, jax.tree.map(jax.numpy.asarray, unflatten(shapes, flat)), vocabulary
