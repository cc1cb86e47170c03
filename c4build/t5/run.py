"""A run: one stage of training in a folder of its own, from a start to a result.

Pre-training reads text, fine-tuning tasks, multi-task training both; what is read, how long and how fast, and what goes on from
the stage before are the stage's options (`settings.Stage`).
"""

import contextlib
import dataclasses
import statistics
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from c4build.errors import UsageError
from c4build.t5 import digests, sharding
from c4build.t5.checkpoint import finish_run, has_state, load_model, load_parameters, write_run
from c4build.t5.config import ModelConfig
from c4build.t5.log import read_metrics
from c4build.t5.mixture import Mixture
from c4build.t5.optimizer import constant, inverse_square_root
from c4build.t5.progress import say, silent
from c4build.t5.records import corpus_files
from c4build.t5.scoring import BestCheckpoints, scored_tasks
from c4build.t5.settings import Stage
from c4build.t5.train import check_batch, train
from c4build.t5.vocabulary import Vocabulary


@dataclasses.dataclass
class Beginning:
    """Where a run starts: a model's numbers and its vocabulary, and either parameters, or a run whose whole state goes on, or
    neither: at random."""

    config: ModelConfig
    vocabulary: Vocabulary
    params: nnx.State | None = None
    state_from: Path | None = None


def go_on_from(start, stage: Stage, say=silent) -> Beginning:
    """From the run `start`, or a Hugging Face folder: with the optimiser's moments and step where there are any and the stage
    wants them."""
    changes = stage.changes.given()
    if stage.start.optimizer == "continue" and has_state(start, stage.training.trained, changes):
        return Beginning(*load_model(start, **changes), state_from=Path(start))
    config, params, vocabulary = load_parameters(start, **changes)
    if stage.start.optimizer == "continue":
        say(f"{start} holds no optimiser's state of what is trained: the optimiser starts anew")
    return Beginning(config, vocabulary, params)


def schedule_of(stage: Stage):
    pace = stage.pace
    if pace.schedule == "constant":
        return constant(pace.learning_rate)
    return inverse_square_root(pace.warmup, pace.learning_rate)


def identity(stage: Stage, mixture: Mixture, start) -> dict:
    """What run.json says of how a run was started."""
    text, mixing = stage.text, stage.mixing
    found: dict[str, Any] = {
        "kind": "pretrain" if start is None else "finetune",
        "training": dataclasses.asdict(stage.training),
    }
    found["training"]["targets_length"] = mixture.targets_length
    found |= {"learning_rate": stage.pace.learning_rate, "streams": stage.feeding.streams}
    if text.corpora:
        found |= dataclasses.asdict(text) | {"corpora": [str(corpus) for corpus in text.corpora]}
        found |= {"rates": text.rates or [1.0 / len(text.corpora)] * len(text.corpora)}
        found |= {"warmup": stage.pace.warmup, "workers": stage.feeding.workers}
    if mixing.tasks:
        found |= {"tasks": [task.name for task in mixture.tasks], **dataclasses.asdict(stage.scoring)}
    if start is not None:
        found |= {"start": str(start), "optimizer": stage.start.optimizer}
    if len(mixture.rates) > 1:
        found |= {"mixture": mixture.rates}
    usual = "constant" if not text.corpora else "inverse_square_root"
    return found | ({"schedule": stage.pace.schedule} if stage.pace.schedule != usual else {})


def run(
    folder, stage: Stage, beginning: Beginning, *, start=None, mesh=None, quiet: bool = False, scored: bool = True
) -> tuple[dict, dict]:
    """Trains one stage in `folder` to its last step, going on with what lies there; (its result, the final state).

    `start` is what run.json names as the stage before. The result is {"loss", "repeats"} of the last tenth of the log, and,
    where the stage has tasks and is `scored`, also what best.json says.
    """
    folder, config, vocabulary = Path(folder), beginning.config, beginning.vocabulary
    if config.vocab_size < vocabulary.size:
        raise UsageError(f"{vocabulary.path} has {vocabulary.size} ids, the model only {config.vocab_size}")
    mesh = mesh or sharding.make_mesh()
    streams = stage.feeding.streams or 1
    stage = dataclasses.replace(stage, feeding=dataclasses.replace(stage.feeding, streams=streams))
    scored = scored and bool(stage.mixing.tasks)
    first = jax.process_index() == 0
    check_batch(stage.training, mesh, streams)
    mixture = Mixture(stage, vocabulary, config)
    if scored:
        scored_tasks(mixture.tasks)
    if first and not quiet:
        describe(stage, mixture)
    if first:
        write_run(folder, config, vocabulary, **identity(stage, mixture, start))
    training = dataclasses.replace(stage.training, targets_length=mixture.targets_length)
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(contextlib.closing(mixture.feed(mesh, streams)))
        best = (
            stack.enter_context(contextlib.closing(BestCheckpoints(folder, config, mixture, mesh))) if scored else None
        )
        state = train(
            folder, config, training, feed, schedule_of(stage), mesh, beginning.params, beginning.state_from, after=best,
            quiet=quiet,
        )  # fmt: skip
    result = last_losses(folder) | (digests.read_json(folder / "best.json") if scored else {})
    if first:
        finish_run(folder, result)
    return result, state


def describe(stage: Stage, mixture: Mixture) -> None:
    for corpus in stage.text.corpora:
        files, _ = corpus_files(corpus, "train")
        say(f"reading {corpus}: {len(files):,} file{'s' if len(files) > 1 else ''}")
    if len(mixture.rates) > 1:
        for line in mixture.said():
            say(line)


def last_losses(folder) -> dict:
    """{"loss": the mean of the last tenth of the logged losses, "repeats"}."""
    lines = [line for line in read_metrics(folder) if "loss" in line]
    tail = [line["loss"] for line in lines[-max(1, len(lines) // 10) :]]
    return {"loss": statistics.fmean(tail), "repeats": lines[-1]["repeats"]}
