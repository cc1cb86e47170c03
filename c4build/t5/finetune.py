"""Fine-tuning, scoring and predicting: tasks as text (section 3.1.3 and 3.1.4).

Several tasks are mixed in proportion to their sizes. Every checkpoint is scored on the validation splits. Each task's own
best checkpoint counts, as in the paper: all that are best for a task, and the one that is best as a whole, are kept in
RUN/best; best.json says which is which.
"""

import contextlib
import dataclasses
import json
import math
from functools import partial
from pathlib import Path

import grain
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from c4build.errors import UsageError
from c4build.t5 import digests, sharding
from c4build.t5.checkpoint import Checkpoints, best_step, has_state, load_model, load_parameters, model_graph, write_run
from c4build.t5.data import Feed
from c4build.t5.decode import beam_search, greedy
from c4build.t5.optimizer import constant
from c4build.t5.progress import say, silent
from c4build.t5.rows import Rows, row_lengths
from c4build.t5.tasks import examples as task_examples
from c4build.t5.tasks import group_score, suite_score, table_score, tasks_of
from c4build.t5.train import Training, check_batch, train
from c4build.t5.vocabulary import EOS

OPTIMIZERS = ("continue", "fresh")
UNKNOWN = 0.001  # of a task's target tokens may be unknown
ALPHA = 0.6  # of the length penalty, section 3.1.4


def encode_pair(pair, vocabulary, inputs_length, targets_length):
    """Two texts as ids with end tokens, cut to what a row holds."""
    inputs, targets = vocabulary.encode(pair[0])[: inputs_length - 1], vocabulary.encode(pair[1])[: targets_length - 1]
    return np.array([*inputs, EOS], np.int32), np.array([*targets, EOS], np.int32)


class TrainingPairs:
    """All training examples of some tasks one after another: a sequence for grain."""

    def __init__(self, tasks, task_data, vocabulary, inputs_length, targets_length):
        self.parts = [(task, task_examples(task, "train", task_data)) for task in tasks]
        self.ends = np.cumsum([len(part) for _, part in self.parts])
        self.encode = partial(
            encode_pair, vocabulary=vocabulary, inputs_length=inputs_length, targets_length=targets_length
        )

    def __len__(self):
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, index):
        part = int(np.searchsorted(self.ends, index, "right"))
        task, found = self.parts[part]
        index -= int(self.ends[part - 1]) if part else 0
        example = found[index]
        pairs = task.pairs(example) if task.train_filter(example) else []
        origin = str(getattr(found, "path", f"{task.tfds} train")), index, index
        return {"pairs": [self.encode(pair) for pair in pairs], "origins": [origin], "repeats": 0.0}


def check_targets(source: TrainingPairs, vocabulary, unknown: float) -> None:
    """Raises UsageError where a task asks for what the vocabulary cannot write: of a thousand examples of each task."""
    for task, found in source.parts:
        some = [found[int(i)] for i in np.linspace(0, len(found) - 1, min(len(found), 1000))]
        targets = [pair[1] for example in some if task.train_filter(example) for pair in task.pairs(example)]
        share = vocabulary.unknown_share(targets)
        if share > unknown:
            raise UsageError(
                f"{task.name}: {share:.1%} of the target tokens are unknown to {vocabulary.path}; train a vocabulary on such text "
                f"too (`c4build t5 vocab --rates`), or allow it by --unknown {math.ceil(1000 * share) / 1000}"
            )


def document_pairs(document, rng):
    return document["pairs"]


def training_feed(source, config, training, mesh, streams, seed, window=16) -> Feed:
    rows, lengths = {}, row_lengths(config, training.inputs_length, training.targets_length)
    for index in sharding.host_streams(mesh, streams):
        dataset = grain.MapDataset.source(source).seed(seed).shuffle()[index::streams].repeat()
        read = grain.ReadOptions(num_threads=2, prefetch_buffer_size=64)
        parent = dataset.to_iter_dataset(read)
        rows[index] = Rows(parent, document_pairs, *lengths, seed + index, window)
    return Feed(rows, training.batch // streams, of_streams=streams)


class Writer:
    """Texts in, texts out, with one compiled program for each shape."""

    def __init__(self, config, params, vocabulary, mesh=None, inputs_length=512, targets_length=128, batch=64):
        self.graph, _ = model_graph(config)
        self.params, self.vocabulary = params, vocabulary
        self.mesh = mesh or sharding.make_mesh(1, 1)
        self.inputs_length, self.targets_length = inputs_length, targets_length
        self.batch = -(-batch // self.mesh.shape["data"]) * self.mesh.shape["data"]

    def put(self, array):
        place = NamedSharding(self.mesh, P("data"))
        return jax.make_array_from_callback(array.shape, place, lambda index: array[index])

    def __call__(self, texts, beams: int = 1, kind: str = "t5") -> list[str]:
        """What the model writes for each text, in order. Texts of like length share a batch, cut to a round length.

        `kind` is the kind of beam search, see `decode`.
        """
        ids = [encode_pair((text, ""), self.vocabulary, self.inputs_length, 1)[0] for text in texts]
        order = np.argsort([len(tokens) for tokens in ids], kind="stable")
        written = [""] * len(texts)
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            longest = max(len(ids[i]) for i in chosen)
            length = min(max(16, 1 << (longest - 1).bit_length()), self.inputs_length)
            inputs = np.zeros((self.batch, length), np.int32)
            for row, i in enumerate(chosen):
                inputs[row, : len(ids[i])] = ids[i]
            segments = (np.arange(length) < (inputs > 0).sum(1, keepdims=True)).astype(np.int32)
            arguments = self.graph, self.params, self.put(inputs), self.put(segments), self.targets_length
            out = greedy(*arguments) if beams == 1 else beam_search(*arguments, beams, ALPHA, kind)[0]
            out = np.asarray(multihost_utils.process_allgather(out, tiled=True))
            for row, i in enumerate(chosen):
                written[i] = self.vocabulary.decode(out[row])
        return written


def scored_tasks(tasks):
    """Those with a validation split. Raises UsageError where there is none."""
    scored = [task for task in tasks if task.validation]
    if not scored:
        raise UsageError(
            f"{', '.join(task.name for task in tasks)}: only trained on, with others; nothing could be scored"
        )
    return scored


def score_tasks(writer: Writer, tasks, task_data=None, limit=None, say=silent) -> tuple[dict, list[dict]]:
    """({task: {split: metrics}}, the predictions): every validation split of every task."""
    scores, predictions = {}, []
    for task in scored_tasks(tasks):
        scores[task.name] = {}
        for split in task.validation:
            found = task_examples(task, split, task_data)
            some = [found[i] for i in range(min(len(found), limit or len(found)))]
            pairs = [task.pairs(example)[0] for example in some]
            search = f", {task.beams} beams with T5's length penalty of {ALPHA}" if task.beams > 1 else ""
            say(f"scoring {task.name}, {split}: {len(some):,} examples{search}")
            written = writer([pair[0] for pair in pairs], task.beams)
            scores[task.name][split] = task.score(written, some)
            predictions += [
                {"task": task.name, "split": split, "input": pair[0], "target": pair[1], "written": text}
                for pair, text in zip(pairs, written)
            ]
    return scores, predictions


def finetune(
    run, start, names, training: Training, *, task_data=None, learning_rate=0.001, changes=None, optimizer="continue",
    unknown=UNKNOWN, mesh=None, streams=1, limit=None, quiet=False,
):  # fmt: skip
    """Trains the model of the run `start` (or a Hugging Face folder) on tasks or suites; returns the best scores.

    With `optimizer` "continue" the optimiser's moments and its step go on from the run's last checkpoint, as in T5; with
    "fresh", or where there are none, they start anew. A task of whose target tokens more than `unknown` are unknown to the
    vocabulary is refused. Resumes what is in `run`. `limit` scores only so many examples of
    a split. `changes` are numbers of the model that are other than the run's (`dropout`, `attention`, `remat`).
    """
    if optimizer not in OPTIMIZERS:
        raise UsageError(f"optimizer = {optimizer!r}: it must be one of {', '.join(OPTIMIZERS)}")
    run = Path(run)
    mesh = mesh or sharding.make_mesh()
    tasks = list({task.name: task for name in names for task in tasks_of(name)}.values())
    scored_tasks(tasks)
    goes_on = optimizer == "continue" and has_state(start, training.trained, changes)
    if goes_on:
        config, vocabulary = load_model(start, **(changes or {}))
        params = None
    else:
        config, params, vocabulary = load_parameters(start, **(changes or {}))
    if optimizer == "continue" and not goes_on and not quiet and jax.process_index() == 0:
        say(f"{start} holds no optimiser's state of what is trained: the optimiser starts anew")
    check_batch(training, mesh, streams)
    source = TrainingPairs(tasks, task_data, vocabulary, training.inputs_length, training.targets_length)
    if not len(source):
        raise UsageError(f"{', '.join(names)}: nothing to train on")
    check_targets(source, vocabulary, unknown)
    if jax.process_index() == 0:
        write_run(
            run, config, vocabulary, kind="finetune", start=str(start), tasks=[task.name for task in tasks],
            learning_rate=learning_rate, optimizer=optimizer, unknown=unknown, streams=streams, training=dataclasses.asdict(training), limit=limit,
        )  # fmt: skip
    best_path = run / "best.json"
    best_checkpoints = Checkpoints(run / "best", keep=None)

    def score(step, state, log):
        writer = Writer(
            config, state["params"], vocabulary, mesh, training.inputs_length, training.targets_length, training.batch
        )
        scores, predictions = score_tasks(writer, tasks, task_data, limit, log.say)
        flat = {
            f"{t}/{s}/{m}": v for t, splits in scores.items() for s, found in splits.items() for m, v in found.items()
        }
        mean = suite_score(scores)
        log.write(step, f"step {step:,}  score {mean:.2f}  " + describe(flat), score=mean, **flat)
        before = digests.read_json(best_path) if best_path.exists() else None
        best = take_best(before, step, scores)
        if best != before:
            best_checkpoints.save(step, {"params": state["params"]})
            best_checkpoints.wait()
            if jax.process_index() == 0:
                of_before = read_lines(run / "predictions.jsonl") if before else []
                kept = [line for line in of_before if best["steps"][line["task"]] != step]
                write_lines(
                    run / "predictions.jsonl", kept + [p for p in predictions if best["steps"][p["task"]] == step]
                )
                digests.write_json(best_path, best)
                best_checkpoints.keep_only({best["step"], *best["steps"].values()})

    feed = training_feed(source, config, training, mesh, streams, training.seed)
    with contextlib.closing(feed), contextlib.closing(best_checkpoints):
        state_from = start if goes_on else None
        train(run, config, training, feed, constant(learning_rate), mesh, params, state_from, after=score, quiet=quiet)
    return digests.read_json(best_path)


def take_best(best: dict | None, step: int, scores: dict) -> dict:
    """`best` with what is better at `step`, as T5's `metric_group_max` counts: each task's own best checkpoint.

    {"score": the mean of the tasks' numbers, each at its own best, "scores": {task: {split: metrics}}, "steps": {task:
    step}, "step", "mean": the checkpoint that is best as a whole, and its score}. A task's best is that with the highest
    mean of all its metrics.
    """
    best = best or {"scores": {}, "steps": {}, "mean": -np.inf}
    better = [
        name
        for name, found in scores.items()
        if name not in best["scores"] or group_score(found) > group_score(best["scores"][name])
    ]
    kept = {name: scores[name] if name in better else best["scores"][name] for name in scores}
    whole = {"step": step, "mean": suite_score(scores)}
    if whole["mean"] <= best["mean"]:
        whole = {"step": best["step"], "mean": best["mean"]}
    steps = {name: step if name in better else best["steps"][name] for name in scores}
    return {**whole, "score": suite_score(kept), "scores": kept, "steps": steps}


def describe(flat: dict) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in flat.items())


def write_lines(path, lines) -> None:
    part = Path(f"{path}.part")
    part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    part.rename(path)


def read_lines(path) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def evaluate(
    run, names, *, task_data=None, inputs_length=512, targets_length=128, batch=64, limit=None, step=None, mesh=None
):
    """The scores of a run's best checkpoints, each task at its own (or of `step`): {"score", "scores"}."""
    tasks = scored_tasks(list({task.name: task for name in names for task in tasks_of(name)}.values()))
    steps = {task.name: step or best_step(run, task.name) for task in tasks}
    scores, predictions = {}, []
    for chosen in dict.fromkeys(steps.values()):
        config, params, vocabulary = load_parameters(run, step, best=chosen if step is None else None)
        writer = Writer(config, params, vocabulary, mesh, inputs_length, targets_length, batch)
        found, lines = score_tasks(writer, [t for t in tasks if steps[t.name] == chosen], task_data, limit, say)
        scores |= found
        predictions += lines
    scores = {task.name: scores[task.name] for task in tasks}
    numbers = {task.name: table_score(task, scores[task.name]) for task in tasks}
    return {"score": suite_score(scores), "numbers": numbers, "scores": scores}, predictions


def predict(run, texts, *, beams=1, kind="t5", inputs_length=512, targets_length=128, batch=16, step=None) -> list[str]:
    config, params, vocabulary = load_parameters(run, step)
    writer = Writer(config, params, vocabulary, None, inputs_length, targets_length, min(batch, max(len(texts), 1)))
    return writer(texts, beams, kind)
