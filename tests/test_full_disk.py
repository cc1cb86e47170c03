"""Where there is no room, in the output folder or for temporary files, a command ends at once and says so in one line."""

import time

import pytest
import wet_files
from builds import shards
from command import Command, processes_of_group, run_command
from test_recovery import assert_one_line, mounted

_SECONDS = 60  # far more than it takes, far less than for good


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Four WET files, and a word list."""
    folder = tmp_path_factory.mktemp("full_disk")
    for number in range(4):
        wet_files.write_wet(folder / f"part-{number}.warc.wet.gz", wet_files.pages(number * 200, 200))
    (folder / "bad.txt").write_text("blorptastic\n")
    return folder


@pytest.fixture(scope="module")
def expected(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected")
    assert run_command(*arguments(inputs, out, 1)).code == 0
    return shards(out)


def arguments(inputs, out, workers: int) -> list:
    options = ["--badwords", inputs / "bad.txt", "--variants", "en,en.noclean", "--workers", workers]
    return ["build", inputs, "--out", out, *options]


def finish(command: Command):
    """What a command said; it must end soon and leave nothing running."""
    done = command.finish(_SECONDS)
    for _ in range(50):
        if processes_of_group(command.pid) == []:
            return done
        time.sleep(0.1)
    raise AssertionError("it left processes behind")


@pytest.mark.parametrize(
    "kilobytes, workers",
    # full at the first page file, at the third, at the shards
    [(200, 2), (900, 2), (2200, 2), *(pytest.param(size, 1, marks=pytest.mark.slow) for size in (200, 900, 2200))],
)
def test_a_full_disk_ends_in_one_clear_line(inputs, tmp_path, kilobytes, workers):
    with mounted(tmp_path / "small", f"size={kilobytes}k") as small:
        done = finish(Command(*arguments(inputs, small, workers)))
        assert_one_line(done, small, "No space left on device")
        assert not list(small.rglob("dataset_info.json"))


@pytest.mark.parametrize("kilobytes", [4, 40])
def test_a_disk_that_is_full_from_the_start_ends_in_one_clear_line(inputs, tmp_path, kilobytes):
    with mounted(tmp_path / "small", f"size={kilobytes}k") as small:
        done = finish(Command(*arguments(inputs, small, 2)))
        assert_one_line(done, small, "No space left on device")


def test_a_log_that_cannot_be_written_changes_nothing(inputs, expected, tmp_path):
    (tmp_path / ".c4build").mkdir()
    (tmp_path / ".c4build/workers.log").symlink_to("/dev/full")
    done = finish(Command(*arguments(inputs, tmp_path, 2)))
    assert done.code == 0, done.err
    assert shards(tmp_path) == expected


def test_an_error_of_a_worker_is_told_where_its_log_cannot_be_written(inputs, tmp_path):
    (tmp_path / ".c4build").mkdir()
    (tmp_path / ".c4build/workers.log").symlink_to("/dev/full")
    done = finish(Command(*arguments(inputs, tmp_path, 2), largest_file=20_000))
    assert_one_line(done, tmp_path, "File too large")


@pytest.mark.parametrize(
    "state, workers",
    [
        ("missing", 2), ("full", 1), ("full", 2),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("a file", 2), ("read-only", 2), ("missing", 1))),
    ],
)  # fmt: skip
def test_no_room_for_temporary_files_changes_nothing(inputs, expected, tmp_path, state, workers):
    temporary, out = tmp_path / "temporary", tmp_path / "out"
    command = arguments(inputs, out, workers)
    if state in ("full", "read-only"):
        with mounted(temporary, "size=64k" if state == "full" else "ro"):
            if state == "full":
                with pytest.raises(OSError), open(temporary / "filler", "wb", buffering=0) as file:
                    while file.write(bytes(4096)):
                        pass
            done = finish(Command(*command, environment={"TMPDIR": str(temporary)}))
    else:
        if state == "a file":
            temporary.write_text("")
        done = finish(Command(*command, environment={"TMPDIR": str(temporary)}))
    assert done.code == 0, done.err
    assert shards(out) == expected
