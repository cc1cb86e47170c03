"""How far a command is that reads corpora: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

_PLAIN_SECONDS = 10  # between two lines where there is no terminal


@contextmanager
def shown() -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function that is told what is done, how much of it, and of how much."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(what: str, done: int, of: int):
            bar.update(task, description=what, completed=done, total=of)

        yield tell


def _plain() -> Callable[[str, int, int], None]:
    said = time.monotonic()

    def tell(what: str, done: int, of: int):
        nonlocal said
        if time.monotonic() - said >= _PLAIN_SECONDS:
            said = time.monotonic()
            print(f"c4build: {what} {done:,} of {of:,}", file=sys.stderr, flush=True)

    return tell
