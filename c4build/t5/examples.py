"""The examples of a task: JSONL files with TFDS's fields, or TFDS itself."""

import json
from pathlib import Path

import numpy as np

from c4build.errors import DamageError, UsageError
from c4build.t5.tasks import Task


class JsonLines:
    """A JSONL file as a sequence: only the lines' places are in memory."""

    def __init__(self, path, task: Task):
        self.path, self.task = Path(path), task
        sizes = [len(line) for line in open(self.path, "rb")]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        blank = [len(line.strip()) == 0 for line in open(self.path, "rb")]
        self.starts = self.starts[~np.array(blank, bool)] if len(sizes) else self.starts[:0]

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, index):
        with open(self.path, "rb") as file:
            file.seek(int(self.starts[index]))
            try:
                example = json.loads(file.readline())
            except ValueError as error:
                raise DamageError(f"{self.path}: no JSON at byte {self.starts[index]} ({error})") from error
        if not isinstance(example, dict):
            raise DamageError(f"{self.path}: no JSON object at byte {self.starts[index]}")
        missing = [field for field in self.task.fields if field not in example]
        if missing:
            raise UsageError(f"{self.path}: example {index} has no {', '.join(missing)}, which {self.task.name} needs")
        return example


class TfdsExamples:
    """A split from TFDS, prepared before, with texts as `str`."""

    def __init__(self, task: Task, split: str, data_dir=None):
        import tensorflow_datasets as tfds

        self.task, self.split = task, split
        self.source = tfds.data_source(task.tfds, split=split, data_dir=data_dir, download=True)

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        return as_text(self.source[index])


def as_text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        return [as_text(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


DEMO = Path(__file__).with_name("demo_tasks")


def example_file(task: Task, split: str, task_data=None) -> Path | None:
    """The JSONL file of a split: `task_data`/TASK/SPLIT.jsonl or `task_data`/SPLIT.jsonl, for the demonstration's tasks also
    the one that ships; None where it comes from TFDS. Raises UsageError that names both places."""
    demo = DEMO / task.name / f"{split}.jsonl"
    if task_data is None:
        return demo if task.tfds == "-" else None
    places = [Path(task_data) / task.name / f"{split}.jsonl", Path(task_data) / f"{split}.jsonl"]
    found = next((place for place in places if place.is_file()), demo if task.tfds == "-" else None)
    if found is None:
        raise UsageError(f"{task.name}: neither {places[0]} nor {places[1]} exists")
    return found


def example_files(task: Task, task_data=None) -> list[Path]:
    """All files of a task's examples; none where they come from TFDS."""
    files = [example_file(task, split, task_data) for split in ("train", *task.validation)]
    return [file for file in files if file]


def examples(task: Task, split: str, task_data=None):
    """The examples of a split, from its file, else from TFDS. Raises UsageError."""
    file = example_file(task, split, task_data)
    if file:
        return JsonLines(file, task)
    try:
        return TfdsExamples(task, split)
    except Exception as error:
        install = "pip install 'c4build[tasks]', or " if isinstance(error, ImportError) else ""
        raise UsageError(
            f"{task.name}: TFDS could not give {task.tfds} ({type(error).__name__}: {error}); "
            f"{install}name a folder with {split}.jsonl by --task-data"
        ) from error
