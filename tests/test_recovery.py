"""A build that is stopped, however hard, goes on from there; one that cannot write says so in one line."""

import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import wet_files
from builds import build, made
from command import Command, processes_of_group, run_command, run_installed

from c4build.corpora.c4 import Request


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Six WET files that take a second or two to clean, and a word list."""
    folder = tmp_path_factory.mktemp("recovery")
    for number in range(6):
        wet_files.write_wet(folder / f"part-{number}.warc.wet.gz", wet_files.pages(number * 200, 200))
    (folder / "bad.txt").write_text("blorptastic\n")
    return folder


def arguments(inputs, out, *more):
    return ["build", inputs, "--out", out, "--badwords", inputs / "bad.txt", "--variants", "en,en.noclean", *more]


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    """For a number of workers, (shards, seconds) of a build that nobody stops."""
    run_command("--version")  # the first command waits for what all are forked from

    @cache
    def build(workers: int = 1) -> tuple[dict[str, bytes], float]:
        out = tmp_path_factory.mktemp("undisturbed")
        start = time.monotonic()
        assert run_command(*arguments(inputs, out, "--workers", workers)).code == 0
        return made(out), time.monotonic() - start

    return build


def page_files(out) -> dict[str, tuple[int, int]]:
    """When each page file was made, and which file it is."""
    files = Path(out).glob(".c4build/pages-*/*.pages")
    return {path.name: ((status := path.stat()).st_mtime_ns, status.st_ino) for path in files}


def start_and_wait_for_a_page_file(inputs, out, workers: int) -> Command:
    """A build that has cleaned a file and has others to clean."""
    command = Command(*arguments(inputs, out, "--workers", workers))
    while command.running() and not page_files(out):
        time.sleep(0.005)
    return command


@pytest.mark.parametrize(
    "workers, kills", [(1, 5), *(pytest.param(workers, 10, marks=pytest.mark.slow) for workers in (1, 2))]
)
def test_a_build_killed_at_random_moments_comes_to_the_same_bytes(inputs, undisturbed, tmp_path, workers, kills):
    expected, seconds = undisturbed(workers)
    choose = random.Random(kills * workers)
    killed, there = 0, {}
    for _ in range(kills):
        command = Command(*arguments(inputs, tmp_path, "--workers", workers))
        time.sleep(choose.uniform(0.02, 0.6) * seconds)
        killed += command.running()
        command.kill_group()
        found = page_files(tmp_path)
        assert there.items() <= found.items(), "a file that was cleaned before was cleaned again"
        there = found
    assert killed >= kills / 2
    done = run_command(*arguments(inputs, tmp_path, "--workers", workers))
    assert done.code == 0, done.err
    assert made(tmp_path) == expected
    assert there.items() <= page_files(tmp_path).items()
    assert not list(tmp_path.rglob("*.tmp-*"))


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_with_130_and_one_line_and_leaves_nothing_running(inputs, tmp_path, workers):
    command = start_and_wait_for_a_page_file(inputs, tmp_path, workers)
    os.kill(command.pid, signal.SIGINT)
    start = time.monotonic()
    done = command.finish(30)
    assert time.monotonic() - start < 5
    assert done.code == 130
    assert done.error_lines == ["c4build: interrupted; run the same command again and it goes on from here"]
    assert processes_of_group(command.pid) == []
    assert not list(tmp_path.rglob("dataset_info.json"))


@pytest.mark.parametrize("command", ["explain", "diff"])
def test_ctrl_c_of_a_command_that_keeps_nothing_says_that_it_starts_anew(command, tmp_path):
    pipe = tmp_path / "pipe.txt"  # it is read, and never comes to its end
    os.mkfifo(pipe)
    arguments = [pipe]
    if command == "diff":
        for out, pages in (("a", 20), ("b", 19)):
            source = wet_files.write_wet(tmp_path / f"{out}.warc.wet.gz", wet_files.pages(0, pages))
            build(Request([str(source)], str(tmp_path / out)))
        arguments = [tmp_path / "a", tmp_path / "b", "--badwords", pipe]
    running = Command(command, *arguments)
    with opened_by_now(pipe):
        os.kill(running.pid, signal.SIGINT)
        done = running.finish(30)
    assert (done.code, done.out) == (130, "")
    assert done.error_lines == ["c4build: interrupted; the same command starts from the beginning"]


@contextmanager
def opened_by_now(pipe: Path):
    """The writing end of a pipe, when something reads from it."""
    end = None
    while end is None:
        try:
            end = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.02)
    yield
    os.close(end)


def test_ctrl_c_in_a_terminal_reaches_workers_too_and_they_stay_silent(inputs, tmp_path):
    command = start_and_wait_for_a_page_file(inputs, tmp_path, 2)
    os.killpg(command.pid, signal.SIGINT)
    done = command.finish(30)
    assert (done.code, len(done.error_lines)) == (130, 1)
    assert processes_of_group(command.pid) == []


def test_a_worker_that_is_killed_is_told_of_and_not_waited_for(inputs, tmp_path):
    command = start_and_wait_for_a_page_file(inputs, tmp_path, 2)
    os.kill(next(pid for pid in processes_of_group(command.pid) if pid != command.pid), signal.SIGKILL)
    done = command.finish(30)
    assert done.code == 3
    assert len(done.error_lines) == 1 and done.error_lines[0].startswith("c4build: a worker process died (")
    assert processes_of_group(command.pid) == []


@contextmanager
def mounted(folder: Path, options: str):
    """A file system in memory at `folder`; skips the test where it may not be made."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder])


def assert_one_line(done, folder, *reasons):
    assert done.code == 3
    assert len(done.error_lines) == 1, done.err
    line = done.error_lines[0]
    assert line.startswith(f"c4build: cannot write {folder}/")
    assert line.endswith(reasons)


@pytest.mark.parametrize(
    "kilobytes, workers",
    # full at the first page file, at the fourth, at the shards
    [(200, 1), (1600, 1), (3300, 1), pytest.param(1600, 2, marks=pytest.mark.slow)],
)
def test_a_full_disk_ends_in_one_clear_line(inputs, tmp_path, kilobytes, workers):
    with mounted(tmp_path / "small", f"size={kilobytes}k") as small:
        done = run_command(*arguments(inputs, small, "--workers", workers))
        assert_one_line(done, small, "No space left on device")
        assert not list(small.rglob("dataset_info.json"))


def test_a_build_on_a_full_disk_goes_on_when_there_is_room(inputs, undisturbed, tmp_path):
    with mounted(tmp_path / "small", "size=1600k") as small:
        assert run_command(*arguments(inputs, small, "--workers", 1)).code == 3
        there = page_files(small)
        assert len(there) >= 1
        subprocess.run(["mount", "-o", "remount,size=100m", small], check=True)
        assert run_command(*arguments(inputs, small, "--workers", 1)).code == 0
        assert there.items() <= page_files(small).items()
        assert made(small) == undisturbed()[0]


def test_a_limit_on_file_sizes_ends_in_one_clear_line(inputs, tmp_path):
    done = run_command(*arguments(inputs, tmp_path, "--workers", 1), largest_file=20_000)
    assert_one_line(done, tmp_path, "File too large")


def test_a_read_only_folder_ends_in_one_clear_line(inputs, tmp_path):
    with mounted(tmp_path / "fixed", "ro") as fixed:
        done = run_command(*arguments(inputs, fixed, "--workers", 1))
        assert_one_line(done, fixed, "Read-only file system")
        done = run_command(*arguments(inputs, fixed / "new", "--workers", 2))
        assert_one_line(done, fixed / "new", "Read-only file system")


def test_an_output_path_that_is_a_file_ends_in_one_clear_line(inputs, tmp_path):
    (tmp_path / "out").write_text("a file")
    done = run_installed(*arguments(inputs, tmp_path / "out"))
    assert_one_line(done, tmp_path / "out", "Not a directory", "File exists")
