"""A run's log: metrics.jsonl, TensorBoard's files, and the lines that a person reads."""

import json
import sys
from pathlib import Path

import jax

from c4build.t5.digests import ChangedFile


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
