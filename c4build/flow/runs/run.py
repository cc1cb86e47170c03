"""A run as its first process tells of it: OUT/.c4build/runs/ID.json, renewed as long as it lives, and the log of the run."""

import datetime
import json
import shutil
import sys
import tempfile
import threading
import time
import uuid
from typing import Any

from c4build import __version__
from c4build.errors import C4BuildError, counted
from c4build.flow.kit import Prepared
from c4build.flow.runs import marks
from c4build.flow.runs.log import Log, instant
from c4build.flow.runs.look import Places, look
from c4build.flow.runs.tracker import Tracker
from c4build.write.files import delete, join, list_files, make_folder, seal
from c4build.write.folder import read_manifest
from c4build.write.lease import identity, this_process
from c4build.write.storage import is_local

_WORK = "/.c4build"
RENEWED = 2.0  # seconds between two signs of life, where OUT is a folder
RENEWED_REMOTELY = 30.0  # the same in an object store: each is a request
_LOOKED = 60.0  # seconds between two looks at what workers have left in an object store
_PATIENCE = 5.0  # seconds, for a sign of life that is under way


def work_folder(path: str) -> str:
    """OUT/.c4build, where `path` is that or below it."""
    return path[: path.rindex(_WORK)] + _WORK


class RunRecord:
    """A run under way. As a context manager it ends with what ended it.

    Args:
      prepared: what is run; `prepared` afterwards, whose plan says where workers leave their marks.
      engine: what a person calls it.
      local: all workers are processes of this machine.
      doing: what is done with the inputs, and what they hold.
    """

    def __init__(self, prepared: Prepared, engine: str, local: bool, doing: tuple[str, str]):
        plan = prepared.plan
        self._work = work_folder(plan.run.work)
        now = datetime.datetime.now(datetime.UTC)
        self.id = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:4]}"
        self._path = join(self._work, "runs", f"{self.id}.json")
        self._every = RENEWED if is_local(self._work) else RENEWED_REMOTELY
        self._own: str | None = None  # a folder of this machine, where OUT is none
        self._marks = self._folder_of_marks(local)
        self.prepared = prepared._replace(plan=plan.told_in(self._marks))
        self._tracker = Tracker(prepared, self._marks, *doing)
        self._log_path = join(self._work, "logs", f"{self.id}.log")
        self._log = Log(self._log_path, doing[1])
        self.handed_over = False  # the engine goes on when this process has ended
        self._afar = self._marks is not None and not is_local(self._marks)  # no events come from there
        self._places = None
        if self._marks and not local:
            folders = {path.rpartition("/")[0] for path in prepared.page_files}
            self._places = Places(
                pages={folder: self._tracker.others.get(folder, 0) for folder in folders},
                ending=prepared.page_files[0].rpartition(".")[2],
                units=plan.run.units,
                marks=self._marks,
                doing=doing[0],
                began=time.time(),
            )
        self._seen_from_afar: dict[str, Any] = {}
        self._began, self._looked = time.time(), float("-inf")
        self._lock, self._writing, self._over = threading.Lock(), threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        provenance = getattr(plan.run, "provenance", {})
        self._fixed: dict[str, Any] = {
            "id": self.id,
            "c4build": __version__,
            "process": {**this_process(), **identity(), "command": " ".join(["c4build", *sys.argv[1:]])[:1000]},
            "engine": engine,
            "options": {
                "corpora": dict(prepared.folders),
                "format": str(provenance.get("format", "")),
                "rules": str(provenance.get("rules", {}).get("name", "")),
            },
            "started": instant(self._began),
            "interval": self._every,
            "log": self._log_path,
            "places": self._places and self._places._asdict(),
        }

    def _folder_of_marks(self, local: bool) -> str | None:
        try:
            if local and not is_local(self._work):
                self._own = tempfile.mkdtemp(prefix="c4build-")
                return self._own
            folder = join(self._work, "progress")
            if is_local(folder):
                shutil.rmtree(folder, ignore_errors=True)
            folder = join(folder, self.id)
            make_folder(folder)
            make_folder(join(self._work, "runs"))
            return folder
        except (OSError, C4BuildError):
            return None  # nobody is told how far it is

    def __enter__(self) -> "RunRecord":
        who, files = self._fixed["process"], counted(len(self._tracker.names), "inputs")
        self._log.add([(self._began, f"c4build {__version__}: {who['command']}")])
        there = f", {len(self._tracker.before):,} of them from before" if self._tracker.before else ""
        self._log.add(
            [(self._began, f"process {who['pid']} on {who['host']}; {self._fixed['engine']}; {files}{there}")]
        )
        self._write(None)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _):
        self._over.set()
        self._thread.join(_PATIENCE)
        if self._marks:
            marks.leave(self._marks)
        over = "handed over" if self.handed_over else "done"
        what = over if error is None else "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        seconds = time.time() - self._began
        line = " ".join(f"{error or type(error).__name__}".split()) if what == "failed" else ""
        outcome = {"what": what, "error": line[:10_000], "ended": instant(time.time()), "seconds": round(seconds, 1)}
        if self._afar:
            self._look()
            self._seen_from_afar |= self._published() if what == "done" else {}
        state = self._write(outcome)
        told = f"{what} after {seconds:.1f} s: {_summary(state)}" + (f"; {line}" if line else "")
        self._log.add([*self._log.ended(time.time()), (time.time(), told)], last=True)
        if not self.handed_over:
            self._clear()

    def state(self) -> dict[str, Any]:
        """How far it is, as JSON."""
        with self._lock:
            self._log.events(self._tracker.events(), self._tracker.names)
            state = self._tracker.state()
        return {**self._fixed, **state, **self._seen_from_afar, "heartbeat": time.time(), "outcome": None}

    def _live(self):
        while not self._over.wait(self._every):
            if self._afar and time.monotonic() - self._looked > _LOOKED:
                self._look()
            self._write(None)

    def _look(self):
        self._looked = time.monotonic()
        self._seen_from_afar |= look(self._places, self._tracker.state())

    def _write(self, outcome: dict[str, Any] | None) -> dict[str, Any]:
        state = {**self.state(), "outcome": outcome}
        written = self._writing.acquire(timeout=_PATIENCE)
        try:
            if outcome or not self._over.is_set():  # nothing comes after the end
                marks.write_over(self._path, json.dumps(seal(state), indent=1).encode())
        except (OSError, C4BuildError):
            pass  # a full disk: the run says so by itself, where it cannot go on
        finally:
            if written:
                self._writing.release()
        return state

    def _published(self) -> dict[str, Any]:
        """What the manifest of a run that is done says, for what the last marks may not have told."""
        try:
            said = next(filter(None, map(read_manifest, self.prepared.folders.values())))
        except (StopIteration, OSError, C4BuildError):
            return {}
        state, damaged, missing = self.state(), said["damaged"], said.get("missing", [])
        inputs = len({entry["input"] for entry in damaged})
        done = {"done": state["files"]["all"] - len(missing), "missing": len(missing), "damaged": inputs}
        return {
            "records": said[self._tracker.record],
            "damages": len(damaged) + said["more_damaged"],
            "files": {**state["files"], **done},
            "units": {**state["units"], "done": state["units"]["all"]},
        }

    def _clear(self):
        """Takes away the marks, which nobody needs any more."""
        if self._marks and is_local(self._marks):
            shutil.rmtree(self._marks, ignore_errors=True)
        elif self._marks:
            try:
                for path in list_files(self._marks):
                    delete(path)
            except (OSError, C4BuildError):
                pass


def _summary(state: dict[str, Any]) -> str:
    files = state["files"]
    parts = [f"{files['done']:,} of {counted(files['all'], 'files')}", counted(state["records"], state["record"])]
    parts += [f"{files[what]:,} {what}" for what in ("damaged", "missing") if files[what]]
    return ", ".join(parts)
