"""How far a run is, for the person who waits for it."""

import sys
import threading
from collections.abc import Mapping

from c4build.errors import counted
from c4build.flow.runs.log import words

_UNSEEN = 0.5  # seconds in which a run starts, before what shows it is loaded
_PLAIN_SECONDS = 10  # between two lines where there is no terminal


class Progress:
    """Shows files done, records a second and the time left while a run is under way: a bar on a terminal, lines elsewhere."""

    def __init__(self, run):
        self._run = run  # a `runs.run.RunRecord`
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        if self._stop.wait(_UNSEEN):
            return
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        if console.is_terminal:
            with Bar(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[state]}"),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            ) as bar:
                task = bar.add_task("starting", total=1.0, state="")
                while not self._stop.wait(0.5):
                    state = self._run.state()
                    bar.update(task, description=state["stage"], completed=state["share"], state=how_far(state))
        else:
            said = ""
            while not self._stop.wait(_PLAIN_SECONDS):
                state = self._run.state()
                if (line := f"{state['stage']} {how_far(state)}") != said:
                    print(f"c4build: {line}", file=sys.stderr, flush=True)
                said = line


def how_far(state: Mapping) -> str:
    """How far a run is in the stage that it is at, in numbers; `state` as `runs.tracker.Tracker.state` has it."""
    left = f", {duration(int(state['left']))} left" if state["left"] and state["left"] >= 1 else ""
    files, units = state["files"], state["units"]
    if state["stage"] in ("writing", "publishing"):
        return f"{units['done']:,} of {counted(units['all'], 'shards')}{left}"
    done = f"{files['done']:,} of {counted(files['all'], 'files')}"
    if state["stage"] == "deduplicating":
        return f"{done}, {words(state['step'])}"
    return f"{done}, {state['rate']:,.0f} {state['record']}/s{left}"


def duration(seconds: float) -> str:
    """As in 1:02:03, 1:05 or 5 s."""
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
