"""Fine-tuning: a run that starts from another and reads tasks (section 3.1.3)."""

from c4build.t5.progress import say, silent
from c4build.t5.run import go_on_from, run
from c4build.t5.settings import Training, finetuning


def finetune(folder, start, names, training: Training, *, mesh=None, quiet=False, **options) -> dict:
    """Trains the model of the run `start` (or a Hugging Face folder) on tasks or suites; returns the best scores.

    `options` are those of `settings.Stage` by name; `task_data` is a folder with TASK/SPLIT.jsonl. With `optimizer` "continue"
    the optimiser's moments and its step go on from the run's last checkpoint, as in T5; with "fresh", or where there are none,
    they start anew. A task of whose target tokens more than `unknown` are unknown to the vocabulary is refused. Resumes what
    is in `folder`.
    """
    stage = finetuning(tasks=tuple(names), **{**vars(training), **options})
    result, _ = run(
        folder, stage, go_on_from(start, stage, silent if quiet else say), start=start, mesh=mesh, quiet=quiet
    )
    return result
