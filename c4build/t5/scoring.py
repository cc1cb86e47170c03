"""Writing, scoring and choosing: what a model makes of tasks' texts, and which of its checkpoints counts (section 3.1.4).

Each task's own best checkpoint counts, as in the paper: all that are best for a task, and the one that is best as a whole,
are kept in RUN/best; best.json says which is which.
"""

import json
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from c4build.errors import UsageError
from c4build.t5 import digests, sharding
from c4build.t5.checkpoint import Checkpoints, best_step, load_parameters, model_graph
from c4build.t5.decode import beam_search, greedy
from c4build.t5.ensemble import Ensemble, stacked
from c4build.t5.examples import examples as task_examples
from c4build.t5.mixture import encode_pair, unique_tasks
from c4build.t5.progress import say, silent
from c4build.t5.tasks import group_score, suite_score, table_score, tasks_of

ALPHA = 0.6  # of the length penalty, section 3.1.4


class Writer:
    """Texts in, texts out, with one compiled program for each shape."""

    def __init__(
        self, config, params, vocabulary, mesh=None, inputs_length=512, targets_length=128, batch=64, graph=None
    ):
        self.graph = graph or model_graph(config)[0]
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
            inputs[len(chosen) :] = inputs[0]  # rows without a text end when others do
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
    scores: dict[str, dict] = {}
    predictions: list[dict] = []
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


class BestCheckpoints:
    """Scores a run's model on its tasks whenever it is called, and keeps the parameters that are best: RUN/best, best.json
    and predictions.jsonl."""

    def __init__(self, run, config, mixture, mesh):
        self.run, self.config, self.mixture, self.mesh = Path(run), config, mixture, mesh
        self.path = self.run / "best.json"
        self.checkpoints = Checkpoints(self.run / "best", keep=None)

    def __call__(self, step, state, log) -> None:
        stage, mixture = self.mixture.stage, self.mixture
        training = stage.training
        writer = Writer(
            self.config, state["params"], mixture.vocabulary, self.mesh, training.inputs_length, training.targets_length,
            training.batch,
        )  # fmt: skip
        scores, predictions = score_tasks(writer, mixture.tasks, stage.mixing.task_data, stage.scoring.limit, log.say)
        flat = {
            f"{t}/{s}/{m}": v for t, splits in scores.items() for s, found in splits.items() for m, v in found.items()
        }
        mean = suite_score(scores)
        log.write(step, f"step {step:,}  score {mean:.2f}  " + describe(flat), score=mean, **flat)
        before = digests.read_json(self.path) if self.path.exists() else None
        best = take_best(before, step, scores)
        if best != before:
            self.keep(step, state, best, predictions, before)

    def keep(self, step, state, best, predictions, before) -> None:
        self.checkpoints.save(step, {"params": state["params"]})
        self.checkpoints.wait()
        if jax.process_index() == 0:
            path = self.run / "predictions.jsonl"
            kept = [line for line in (read_lines(path) if before else []) if best["steps"][line["task"]] != step]
            write_lines(path, kept + [p for p in predictions if best["steps"][p["task"]] == step])
            digests.write_json(self.path, best)
            self.checkpoints.keep_only({best["step"], *best["steps"].values()})

    def found(self) -> dict:
        return digests.read_json(self.path)

    def close(self):
        self.checkpoints.close()


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


def column_score(name: str, scores: dict) -> float:
    """The number of a task or a suite in the paper's table."""
    return suite_score({task.name: scores[task.name] for task in tasks_of(name) if task.name in scores})


def exact_matches(scores: dict) -> dict[str, float]:
    """The exact match of MultiRC and ReCoRD, which the paper looks at by corpus (section 3.4.1)."""
    found = {name: scores[name]["validation"] for name in ("multirc", "record") if name in scores}
    return {name: metrics["em"] for name, metrics in found.items()}


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
    tasks = scored_tasks(unique_tasks(names))
    steps = {task.name: step or best_step(run, task.name) for task in tasks}
    scores: dict[str, dict] = {}
    predictions: list[dict] = []
    for chosen in dict.fromkeys(steps.values()):
        config, params, vocabulary = load_parameters(run, step, best=chosen if step is None else None)
        writer = Writer(config, params, vocabulary, mesh, inputs_length, targets_length, batch)
        found, lines = score_tasks(writer, [t for t in tasks if steps[t.name] == chosen], task_data, limit, say)
        scores |= found
        predictions += lines
    scores = {task.name: scores[task.name] for task in tasks}
    numbers = {task.name: table_score(task, scores[task.name]) for task in tasks}
    return {"score": suite_score(scores), "numbers": numbers, "scores": scores}, predictions


def evaluate_together(
    runs, names, *, task_data=None, inputs_length=512, targets_length=128, batch=64, limit=None, mesh=None
):
    """{task: {split: metrics}} of runs that write together, each with its own best checkpoint of the task."""
    scores: dict[str, dict] = {}
    params: dict[tuple, nnx.State] = {}
    for task in scored_tasks(unique_tasks(names)):
        steps = tuple(best_step(run, task.name) for run in runs)
        if steps not in params:
            found = [load_parameters(run, best=step) for run, step in zip(runs, steps)]
            config, _, vocabulary = found[0]
            params = {steps: stacked([one for _, one, _ in found])}
        graph = Ensemble(model_graph(config)[0])
        writer = Writer(config, params[steps], vocabulary, mesh, inputs_length, targets_length, batch, graph)
        scores |= score_tasks(writer, [task], task_data, limit)[0]
    return scores


def predict(run, texts, *, beams=1, kind="t5", inputs_length=512, targets_length=128, batch=16, step=None) -> list[str]:
    config, params, vocabulary = load_parameters(run, step)
    writer = Writer(config, params, vocabulary, None, inputs_length, targets_length, min(batch, max(len(texts), 1)))
    return writer(texts, beams, kind)
