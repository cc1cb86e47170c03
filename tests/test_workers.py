"""Whatever fails in a worker ends the run at once, in one line, and leaves nothing running."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import steps_that_fail
import wet_files
from command import _CONTEXT, Command, processes_of_group
from steps_that_fail import flow

from c4build import errors
from c4build.flow.local import run_flow
from c4build.flow.workers import process
from c4build.write.lock import lock, unlock

# Threads of Beam fail with the connection they read from, when workers are ended.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
_SECONDS = 60  # far more than it takes, far less than for good


def failure(tmp_path, workers: int, *calls) -> errors.C4BuildError:
    """What a flow fails with; it must do so soon, and leave no worker."""
    with pytest.raises(errors.C4BuildError) as raised:
        run_flow(flow(*calls), str(tmp_path), len(calls), workers)
    assert [child for child in psutil.Process().children() if "c4build.flow.workers.process" in child.cmdline()] == []
    return raised.value


@pytest.mark.timeout(_SECONDS)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "call, kind, text",
    [
        (("ours", "a: one\nb: two"), errors.DamageError, "a: one\nb: two"),
        (("ours", "a [while running b] c"), errors.DamageError, "a [while running b] c"),
        (("ours_while_another", "a:\n  File \"b\""), steps_that_fail.OfTwoLines, "a:\n  File \"b\""),
        (("disk", "/x"), errors.OutputError, "step Do failed: cannot write: No space left on device: '/x'"),
        (("denied", "/x"), errors.C4BuildError, "step Do failed: Permission denied: '/x'"),
        (("memory", 0), errors.WorkerError, "step Do failed: out of memory; run the same command again with fewer --workers"),
    ],
)  # fmt: skip
def test_an_error_of_a_step_is_told_whole_and_in_its_kind(tmp_path, workers, call, kind, text):
    error = failure(tmp_path, workers, call, ("sleep", 0))
    assert (type(error), str(error)) == (kind, text)


@pytest.mark.timeout(_SECONDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_that_nobody_foresaw_is_one_line_and_a_report(tmp_path, workers):
    error = failure(tmp_path, workers, ("fault", "a\nb"), ("sleep", 0))
    log = tmp_path / "workers.log"
    assert str(error) == f'step Do failed: KeyError: "a\\nb"; the whole report is in {log}'
    assert "in fault\n    raise KeyError(text)" in log.read_text()


@pytest.mark.timeout(_SECONDS)
@pytest.mark.parametrize("call", [("end", 0), ("end", 5), ("stop_python", 0), ("unspeakable", 0)])
def test_a_worker_that_ends_is_told_of_whatever_its_exit_code(tmp_path, call):
    error = failure(tmp_path, 2, call, ("sleep", 1))
    assert type(error) in (errors.WorkerError, errors.C4BuildError)
    assert "\n" not in str(error)


@pytest.mark.timeout(_SECONDS)
@pytest.mark.parametrize("call", [("ours", "broken"), ("end", 1)])
def test_a_worker_that_has_not_failed_is_not_waited_for(tmp_path, call):
    start = time.monotonic()
    failure(tmp_path, 2, ("sleep", 3600), call)
    assert time.monotonic() - start < _SECONDS


def build_of(folder: Path, repeats: int) -> list:
    """Arguments of a build of two files, each of as many times 10,000 pages."""
    for number in range(2):
        path = folder / f"part-{number}.warc.wet.gz"
        wet_files.write_wet(path, wet_files.pages(number * 10_000, 10_000))
        path.write_bytes(path.read_bytes() * repeats)
    return ["build", folder, "--variants", "en.noblocklist", "--workers", 2]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Arguments of a build that is still at work when what is done to it happens, on the fastest machine too."""
    return build_of(tmp_path_factory.mktemp("long"), 20)


def workers_of(command: Command, least: int = 2) -> list[psutil.Process]:
    """The workers of a command, once it has them."""
    while command.running():
        found = psutil.Process(command.pid).children(recursive=True)
        if len(found) >= least:
            return found
        time.sleep(0.005)
    raise AssertionError("it had no workers")


def gone(processes: list[psutil.Process], seconds: float = 20) -> bool:
    return psutil.wait_procs(processes, seconds)[1] == []


def socket_folder(command: Command) -> Path:
    while command.running():
        for found in psutil.Process(command.pid).net_connections("unix"):
            if found.laddr.endswith("/beam"):
                return Path(found.laddr).parent
        time.sleep(0.005)
    raise AssertionError("it had no socket")


@pytest.mark.parametrize("seconds", [0.2, 2])  # when it was just told to connect, at work
def test_workers_end_when_their_parent_is_killed(long, tmp_path, seconds):
    command = Command(*long, "--out", tmp_path)
    workers = workers_of(command)
    folder = socket_folder(command)
    time.sleep(seconds)
    os.kill(command.pid, signal.SIGKILL)
    assert gone(workers)
    assert not folder.exists()


def test_workers_that_wait_to_be_told_what_to_do_end_with_their_parent(tmp_path):
    starting = _CONTEXT.Process(target=_wait_with_workers, args=(tmp_path / "workers",))
    starting.start()
    while not (tmp_path / "workers").exists():
        time.sleep(0.01)
    workers = [psutil.Process(int(pid)) for pid in (tmp_path / "workers").read_text().split()]
    assert len(workers) == 2
    starting.kill()
    assert gone(workers)


def _wait_with_workers(told: Path):
    with process.forked(2):
        found = [str(child.pid) for child in psutil.Process().children()]
        told.with_suffix(".part").write_text(" ".join(found))
        told.with_suffix(".part").rename(told)
        time.sleep(_SECONDS)


@pytest.mark.skipif(sys.platform != "linux", reason="a fork is safe on Linux alone")
def test_workers_of_a_command_are_copies_of_it_which_hold_nothing_of_its_but_memory(long, tmp_path):
    command = Command(*long, "--out", tmp_path)
    workers = workers_of(command)
    socket_folder(command)
    for worker in workers:
        assert worker.cmdline() == psutil.Process(command.pid).cmdline()
        assert [file.path for file in worker.open_files() if file.path.endswith("/lock")] == []
    workers[0].suspend()
    os.kill(command.pid, signal.SIGKILL)
    command.finish()
    lock(str(tmp_path / ".c4build"), str(tmp_path))  # which that worker, who lives, does not keep
    unlock(str(tmp_path / ".c4build"))
    workers[0].resume()
    assert gone(workers)


@pytest.mark.timeout(_SECONDS)
@pytest.mark.skipif(sys.platform != "linux", reason="a fork is safe on Linux alone")
@pytest.mark.parametrize(
    "call, kind, text",
    [
        (("ours", "a: one\nb: two"), "DamageError", "a: one\nb: two"),
        (("end", 5), "WorkerError", "a worker process died (exit code 5), "),
        (("stop_python", 0), "C4BuildError", "step Do failed: RuntimeError: SystemExit: 0; "),
        (("fault", "a"), "C4BuildError", 'step Do failed: KeyError: "a"; the whole report is in '),
    ],
)
def test_what_fails_in_a_forked_worker_is_told_as_from_any_other(tmp_path, call, kind, text):
    running = _CONTEXT.Process(target=_fail_forked, args=(tmp_path, call, ("sleep", 0)))
    running.start()
    running.join(_SECONDS)
    said = (tmp_path / "said").read_text()
    assert said.startswith(f"{kind}: {text}")


def _fail_forked(folder: Path, *calls):
    assert process.can_fork()
    with process.forked(2) as ready:
        try:
            run_flow(flow(*calls), str(folder), len(calls), 2, ready=ready)
        except errors.C4BuildError as error:
            assert ready == [] and psutil.Process().children() == []
            (folder / "said").write_text(f"{type(error).__name__}: {error}")
    os._exit(0)


def test_a_process_with_threads_is_not_forked():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert not process.can_fork()
    stop.set()
    thread.join()


def test_a_worker_that_is_killed_before_it_has_connected_ends_the_run(long, tmp_path):
    command = Command(*long, "--out", tmp_path)
    workers_of(command)[1].kill()
    done = command.finish(_SECONDS)
    assert done.code == 3
    (line,) = done.error_lines
    assert line.startswith("c4build: a worker process died (signal 9), killed or out of memory; ")
    assert processes_of_group(command.pid) == []


def test_ctrl_c_ends_a_worker_that_is_stopped(long, tmp_path):
    command = Command(*long, "--out", tmp_path)
    workers = workers_of(command)
    workers[0].suspend()
    time.sleep(1)
    os.kill(command.pid, signal.SIGINT)
    done = command.finish(_SECONDS)
    assert (done.code, len(done.error_lines)) == (130, 1)
    assert gone(workers)


def test_a_build_goes_on_when_a_worker_that_was_stopped_does(tmp_path):
    command = Command(*build_of(tmp_path, 2), "--out", tmp_path / "out")
    worker = workers_of(command)[0]
    worker.suspend()
    time.sleep(2)
    assert command.running()
    worker.resume()
    assert command.finish().code == 0
