"""Two builds into one folder at once: the second is told who is there, the first goes on, the dead hold nothing."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import wet_files
from command import Command, run_command
from corpus_folders import (
    assert_same,
    complete_folders,
    corpus_files,
    make,
    page_files,
    stamps,
    temporary_files,
    write_library,
)

from c4build.errors import InUseError
from c4build.write.lease import identity, this_process
from c4build.write.lock import lock, unlock


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Four WET files that take a second or so to clean, and a word list."""
    folder = tmp_path_factory.mktemp("lock")
    for number in range(4):
        wet_files.write_wet(folder / f"part-{number}.warc.wet.gz", wet_files.pages(number * 150, 150))
    (folder / "bad.txt").write_text("blorptastic\n")
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return write_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def wanted(inputs, tmp_path_factory):
    return make(build(inputs), tmp_path_factory.mktemp("alone") / "out")


def build(inputs, *more) -> list:
    return ["build", inputs, "--badwords", inputs / "bad.txt", *more]


def still_runs(process: int) -> bool:
    """True for a process that waits for the disk, and so stands still a little later than it is told to."""
    try:
        return psutil.Process(process).status() not in (
            psutil.STATUS_STOPPED,
            psutil.STATUS_TRACING_STOP,
            psutil.STATUS_ZOMBIE,
        )
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running(arguments, out, workers: int = 1):
    """The command in the middle of its work: it has cleaned an input, and stands still until it is told to go on."""
    command = Command(*arguments, "--out", out, "--workers", workers)
    try:
        while command.running() and not page_files(out):
            time.sleep(0.002)
        os.killpg(command.pid, signal.SIGSTOP)
        while any(
            map(
                still_runs,
                (command.pid, *(child.pid for child in psutil.Process(command.pid).children(recursive=True))),
            )
        ):
            time.sleep(0.002)
        assert command.running()
        yield command
    finally:
        if command.running():
            command.kill_group()


def go_on(command: Command):
    os.killpg(command.pid, signal.SIGCONT)
    return command.finish()


def assert_told_of(done, command: Command):
    """One line: who holds the folder, on which machine, since when."""
    assert (done.code, len(done.error_lines)) == (3, 1), done.err[-500:]
    (line,) = done.error_lines
    assert line.startswith("c4build: ")
    assert socket.gethostname() in line
    assert re.search(rf"\b{command.pid}\b", line), line
    assert re.search(r"since .*\d\d:\d\d", line), line


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_build_into_the_same_folder_ends_at_once_and_the_first_is_not_disturbed(
    inputs, wanted, tmp_path, workers
):
    with running(build(inputs), tmp_path, workers) as first:
        before = stamps(tmp_path)
        start = time.monotonic()
        second = run_command(*build(inputs), "--out", tmp_path, "--workers", 1)
        assert time.monotonic() - start < 30
        assert_told_of(second, first)
        assert stamps(tmp_path) == before
        done = go_on(first)
    assert (done.code, done.error_lines) == (0, []), done.err[-500:]
    assert_same(tmp_path, wanted)


@pytest.mark.parametrize(
    "more",
    [["--overwrite"], ["--rules", "paper-final"], ["--format", "jsonl", "--overwrite"], ["--variants", "en.noclean"]],
    ids=" ".join,
)  # fmt: skip
def test_another_corpus_into_the_same_folder_is_told_of_the_first_too(inputs, wanted, tmp_path, more):
    with running(build(inputs), tmp_path) as first:
        assert_told_of(run_command(*build(inputs, *more), "--out", tmp_path, "--workers", 1), first)
        assert go_on(first).code == 0
    assert_same(tmp_path, wanted)


@pytest.mark.slow
def test_a_folder_written_in_another_way_is_the_same_folder(inputs, wanted, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with running(build(inputs), tmp_path / "out") as first:
        for other in (f"{tmp_path}/out/", f"{tmp_path}/./out", tmp_path / "link"):
            assert_told_of(run_command(*build(inputs), "--out", other, "--workers", 1), first)
        assert_told_of(run_command(*build(inputs), "--out", "out", "--workers", 1, folder=tmp_path), first)
        assert go_on(first).code == 0
    assert_same(tmp_path / "out", wanted)


def test_two_builds_started_at_the_same_moment_are_one_that_works_and_one_that_is_told(inputs, wanted, tmp_path):
    both = [Command(*build(inputs), "--out", tmp_path, "--workers", 1) for _ in range(2)]
    done = {command: command.finish() for command in both}
    assert sorted(one.code for one in done.values()) == [0, 3], [one.err[-300:] for one in done.values()]
    works, told = sorted(both, key=lambda command: done[command].code)
    assert_told_of(done[told], works)
    assert_same(tmp_path, wanted)


@pytest.mark.parametrize("stale", [False, True], ids=["empty", "says who had it before"])
def test_who_has_taken_the_lock_but_not_yet_said_so_is_waited_for(tmp_path, stale):
    """A lock is taken first and says by whom a moment later: until then its file is empty, or tells of a run long over."""
    path = tmp_path / "lock"
    if stale:
        lock(str(tmp_path), "out")
        unlock(str(tmp_path))
        over = subprocess.Popen([sys.executable, "-c", ""])
        over.wait()
        path.write_text(json.dumps({**json.loads(path.read_text()), "pid": over.pid}))
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        says = {**this_process(), **identity(), "host": "a-host", "since": "12:00"}
        later = threading.Timer(0.3, path.write_text, [json.dumps(says)])
        later.start()
        with pytest.raises(InUseError, match=f"process {os.getpid()} on a-host since 12:00"):
            lock(str(tmp_path), "out")
        later.join()


def test_who_never_says_so_is_another_process(tmp_path):
    with (tmp_path / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InUseError, match="out is being written to by another process: wait"):
            lock(str(tmp_path), "out")


def test_books_into_the_folder_of_a_running_build_are_told_of_it(inputs, library, wanted, tmp_path):
    with running(build(inputs), tmp_path) as first:
        assert_told_of(run_command("books", library, "--out", tmp_path, "--workers", 1), first)
        assert not (tmp_path / "books").exists()
        assert go_on(first).code == 0
    assert_same(tmp_path, wanted)
    done = run_command("books", library, "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])


@pytest.mark.slow
def test_a_cut_corpus_into_the_folder_of_a_running_build_is_told_of_it(inputs, library, wanted, tmp_path):
    make(["books", library], tmp_path / "books")
    (corpus,) = complete_folders(tmp_path / "books")
    with running(build(inputs), tmp_path / "out") as first:
        done = run_command("truncate", corpus, "--words", 500, "--out", tmp_path / "out", "--workers", 1)
        assert_told_of(done, first)
        assert go_on(first).code == 0
    assert_same(tmp_path / "out", wanted)


def test_a_folder_beside_it_is_another_one(inputs, wanted, tmp_path):
    with running(build(inputs), tmp_path / "one") as first:
        done = run_command(*build(inputs), "--out", tmp_path / "two", "--workers", 1)
        assert (done.code, done.error_lines) == (0, [])
        assert go_on(first).code == 0
    for out in ("one", "two"):
        assert_same(tmp_path / out, wanted)


def test_inspect_and_verify_work_meanwhile(inputs, library, tmp_path):
    make(["books", library], tmp_path)
    (corpus,) = complete_folders(tmp_path)
    with running(build(inputs), tmp_path) as first:
        looked = run_command("inspect", corpus)
        assert (looked.code, looked.error_lines) == (0, [])
        verified = run_command("verify", corpus)
        assert (verified.code, verified.error_lines) == (0, []), verified.err[-500:]
        assert go_on(first).code == 0


def test_the_very_same_command_of_a_finished_corpus_is_told_too_while_another_works_there(inputs, library, tmp_path):
    """It may have to mend something, which it can not while another writes."""
    make(["books", library], tmp_path)
    with running(build(inputs), tmp_path) as first:
        done = run_command("books", library, "--out", tmp_path, "--workers", 1)
        assert done.code in (0, 3)
        if done.code == 3:
            assert_told_of(done, first)
        assert go_on(first).code == 0


def test_the_lock_of_a_killed_build_is_taken_over_without_a_word(inputs, wanted, tmp_path):
    for _ in range(3):
        with running(build(inputs), tmp_path) as killed:
            killed.kill_group()
        for path in page_files(tmp_path):  # so that the next has something to do
            path.unlink()
    done = run_command(*build(inputs), "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, []), done.err[-500:]
    assert_same(tmp_path, wanted)


def test_the_lock_of_a_build_that_was_killed_without_its_workers_is_taken_over(inputs, wanted, tmp_path):
    command = Command(*build(inputs), "--out", tmp_path, "--workers", 2)
    try:
        while command.running() and not page_files(tmp_path):
            time.sleep(0.002)
        os.kill(command.pid, signal.SIGKILL)
        while command.running():
            time.sleep(0.01)
        done = run_command(*build(inputs), "--out", tmp_path, "--workers", 1)
        assert (done.code, done.error_lines) == (0, []), done.err[-500:]
    finally:
        try:
            os.killpg(command.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert_same(tmp_path, wanted)


def test_the_lock_of_a_build_that_was_interrupted_is_free(inputs, wanted, tmp_path):
    command = Command(*build(inputs), "--out", tmp_path, "--workers", 1)
    while command.running() and not page_files(tmp_path):
        time.sleep(0.002)
    os.kill(command.pid, signal.SIGINT)
    assert command.finish().code == 130
    done = run_command(*build(inputs), "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])
    assert_same(tmp_path, wanted)


def test_a_command_that_was_wrong_leaves_the_folder_free(inputs, wanted, tmp_path):
    assert run_command(*build(inputs), "--out", tmp_path, "--workers", 1).code == 0
    assert run_command(*build(inputs, "--shards", 3), "--out", tmp_path, "--workers", 1).code == 2
    done = run_command(*build(inputs), "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])


def test_what_is_locked_cannot_be_read_as_part_of_a_corpus(inputs, tmp_path):
    make(build(inputs), tmp_path)
    assert all("lock" not in path for path in corpus_files(tmp_path))
    assert temporary_files(tmp_path) == []
