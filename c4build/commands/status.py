"""How far a run into a folder is, or how it ended: for a person, or as JSON."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from c4build.commands.run_progress import duration, how_far
from c4build.errors import counted, visible
from c4build.flow.runs.log import instant, words
from c4build.flow.runs.look import Places, is_published, last_run, look, silence

_SHOWN = 20  # workers, and inputs of each kind
_EVERY = 2.0  # seconds between two looks, at least


def show(out: str, as_json: bool, watch: bool):
    """Prints how far the newest run into `out` is, once, or until it ends. Raises as `last_run` does."""
    screen = watch and not as_json and sys.stdout.isatty()
    while True:
        state = newest(out)
        text = json.dumps(state) if as_json else "\n".join(map(visible, describe(state)))
        print("\033[H\033[2J" * screen + text, flush=True)
        if not watch or state["outcome"] or state["dead"]:
            return
        time.sleep(max(_EVERY, state["interval"]))
        if not screen and not as_json:
            print()


def newest(out: str) -> dict[str, Any]:
    """What the newest run says of itself, and `dead`: why it is taken for dead, if it is. Raises as `last_run` does."""
    state = last_run(out)
    handed_over = bool(state["outcome"]) and state["outcome"]["what"] == "handed over"
    dead = "" if state["outcome"] else silence(state)
    if (dead or handed_over) and state["places"]:  # its workers may go on without it
        state |= look(Places(**state["places"]), state)
        dead = dead and silence(state)
    if handed_over and is_published(state):
        state["outcome"]["what"] = "done"
    return {**state, "dead": dead}


def describe(state: Mapping[str, Any]) -> Iterator[str]:
    """The same in lines for a person; `state` is of a run, with `dead`."""
    who, outcome, files, took = state["process"], state["outcome"], state["files"], state["transport"]
    yield f"run {state['id']}: {who['command']}"
    yield from _row("by", f"process {who['pid']} on {who['host']}, {state['engine']}, since {state['started']}")
    if state["options"]["corpora"]:
        yield from _row("makes", f"{', '.join(state['options']['corpora'])} ({state['options']['format']})")
    yield from _row("now", _now(state))
    before = f", {files['before']:,} of them from before" if files["before"] else ""
    yield from _row("files", f"{files['done']:,} of {files['all']:,} done{before}")
    yield from _row(state["record"], f"{state['records']:,}, {state['rate']:,.0f} a second")
    yield from _row("shards", f"{state['units']['done']:,} of {state['units']['all']:,} done")
    if took["requests"]:
        yield from _row(
            "requests",
            f"{took['requests']:,}, {took['retries']:,} tried again, {took['refusals']:,} refused (403, 429, 503)",
        )
    for what, count, more in (
        ("damaged", files["damaged"], f", in {counted(state['damages'], 'places')}"),
        ("missing", files["missing"], ""),
    ):
        if count:
            yield from _row(what, f"{counted(count, 'files')}{more}")
            yield from (f"  {one['input']}: {one['why']}" for one in state[what][:_SHOWN])
    for at, worker in enumerate([] if outcome else sorted(state["workers"], key=lambda one: one["seen"])[:_SHOWN]):
        yield from _row(
            "" if at else "workers", _of_worker(worker, state["heartbeat"] if state["dead"] else time.time())
        )
    if not outcome and len(state["workers"]) > _SHOWN:
        yield from _row("", f"and {len(state['workers']) - _SHOWN:,} more, seen since")
    yield from _row("log", state["log"])


def _row(name: str, text: str) -> Iterator[str]:
    yield f"{name:<9} {text}"


def _now(state: Mapping[str, Any]) -> str:
    outcome, far = state["outcome"], f"{state['stage']} {how_far(state)}"
    if outcome and outcome["what"] == "handed over":
        return f"handed over to {state['engine']} at {outcome['ended']}: {far}"
    if outcome and outcome["what"] == "done":
        return f"done at {outcome['ended']}, after {duration(outcome['seconds'])}"
    if outcome:
        why = f": {outcome['error']}" if outcome["error"] else ""
        return f"{outcome['what']} at {outcome['ended']}, after {duration(outcome['seconds'])}, while {state['stage']}{why}"
    if state["dead"]:
        return (
            f"{state['dead']}; last seen at {instant(state['heartbeat'])}, {far}; run the same command again and it goes on "
            "from there"
        )
    return f"{far}; seen {_ago(state['heartbeat'], time.time())}"


def _of_worker(worker: Mapping[str, Any], now: float) -> str:
    doing = " ".join(filter(None, [words(worker["step"]), worker["input"]])) or "waiting"
    return f"process {worker['pid']} on {worker['host']}: {doing}, seen {_ago(worker['seen'], now)}"


def _ago(when: float, now: float) -> str:
    return f"{duration(max(int(now - when), 0))} ago"
