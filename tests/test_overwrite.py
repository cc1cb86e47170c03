"""One folder, several corpora one after the other: the last that was asked for lies there; what is not ours stays."""

import os
import random
import re
import subprocess
import time
from pathlib import Path

import pytest
from command import Command, run_command
from corpus_folders import (
    Whole,
    assert_same,
    be_command_in_the_temporary_folder_of_its_environment,
    complete_folders,
    corpus_files,
    counts,
    differences,
    make,
    manifest,
    manifest_path,
    page_files,
    stamps,
    temporary_files,
    tree,
    write_library,
)

from c4build.report.card import make_card
from c4build.report.gather import look
from c4build.sample.resources import sample_dump


def commands(sources) -> dict[str, list]:
    """Corpora that all go into the same folders: by other rules, of other inputs, in other shards, in other formats."""
    lists = ["--badwords", sources.bad_words, "--variants", "en,en.noclean"]
    same_folder = ["--set", "version=1.0.0"]
    return {
        "paper": ["build", *sources.wet, *lists, "--shards", 2],
        "other rules": ["build", *sources.wet, *lists, "--shards", 2, "--set", "min_sentences=12", *same_folder],
        "the paper's last rules": [
            "build",
            *sources.wet,
            *lists,
            "--shards",
            2,
            "--rules",
            "paper-final",
            *same_folder,
        ],
        "other inputs": ["build", *sources.wet[:2], *lists, "--shards", 2],
        "more shards": ["build", *sources.wet, *lists, "--shards", 3],
        "JSONL": ["build", *sources.wet, *lists, "--shards", 2, "--format", "jsonl"],
        "Parquet": ["build", *sources.wet, *lists, "--shards", 2, "--format", "parquet"],
    }


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return write_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def collections(library) -> dict[str, dict[str, list]]:
    """For books and Wikipedia, corpora that go into one folder."""
    few = [library / f"book-{number}.txt" for number in range(2)]
    return {
        "books": {
            "all": ["books", library, "--shards", 2],
            "few": ["books", *few, "--shards", 2],
            "more shards": ["books", library, "--shards", 3],
            "JSONL": ["books", library, "--shards", 2, "--format", "jsonl"],
        },
        "wikipedia": {
            "tfds": ["wikipedia", sample_dump(), "--shards", 1],
            "JSONL": ["wikipedia", sample_dump(), "--shards", 1, "--format", "jsonl"],
        },
    }


@pytest.fixture(scope="module")
def wholes(sources, collections, tmp_path_factory):
    """What each of the commands makes in a folder where nothing was before."""
    made: dict[tuple, Whole] = {}

    def whole(arguments) -> Whole:
        key = tuple(map(str, arguments))
        if key not in made:
            made[key] = make(arguments, tmp_path_factory.mktemp("alone") / "out")
        return made[key]

    return whole


def overwrite(arguments, out, workers: int = 1):
    done = run_command(*arguments, "--out", out, "--workers", workers, "--overwrite")
    assert done.code == 0, done.err[-500:]
    return done


def assert_corpora(out, wanted: Whole, told: object = None):
    """Those corpora are in `out`; a card that JSONL has left there tells of what is there now."""
    card = Path(out, "README.md")
    assert not card.exists() or card.read_bytes() == make_card(look(str(out))), told
    found, right = (
        {path: data for path, data in files.items() if path != card.name} for files in (corpus_files(out), wanted.files)
    )
    assert differences(found, right) == [], told
    assert_same(out, wanted, but_files=card.name)


# A, then B, then A again


@pytest.mark.parametrize(
    "between",
    [
        "other rules",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("JSONL", "the paper's last rules", "other inputs", "more shards", "Parquet")),
    ],
)  # fmt: skip
def test_after_a_then_b_then_a_again_a_corpus_of_a_lies_there(sources, wholes, tmp_path, between):
    first, second = (commands(sources)[name] for name in ("paper", between))
    assert wholes(first).files != wholes(second).files
    for arguments in (first, second, first):
        overwrite(arguments, tmp_path)
        assert_corpora(tmp_path, wholes(arguments))


@pytest.mark.slow
def test_after_a_then_b_then_a_again_by_two_workers_a_corpus_of_a_lies_there(sources, wholes, tmp_path):
    first, second = (commands(sources)[name] for name in ("paper", "other rules"))
    for arguments, workers in ((first, 1), (second, 1), (first, 2)):
        overwrite(arguments, tmp_path, workers)
    assert_same(tmp_path, wholes(first))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["books", "wikipedia"])
def test_after_a_then_b_then_a_again_another_corpus_of_a_lies_there(collections, wholes, tmp_path, name):
    first, *others = collections[name].values()
    for second in others:
        for arguments in (first, second, first):
            overwrite(arguments, tmp_path)
            assert_corpora(tmp_path, wholes(arguments))


def walk(choices: list, wholes, out: Path, steps: int, seed: int):
    """Makes one of `choices` after the other in one folder, page files gone in between now and then."""
    choose = random.Random(seed)
    for step in range(steps):
        arguments = choose.choice(choices)
        if choose.random() < 0.4:
            for path in page_files(out):
                if choose.random() < 0.5:
                    path.unlink()
        overwrite(arguments, out)
        assert_corpora(out, wholes(arguments), (seed, step, arguments))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 12))
def test_corpora_in_any_order_with_page_files_gone_in_between_are_those_asked_for(sources, wholes, tmp_path, seed):
    walk(list(commands(sources).values()), wholes, tmp_path, 8, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_books_in_any_order_are_those_asked_for(collections, wholes, tmp_path, seed):
    walk(list(collections["books"].values()), wholes, tmp_path, 8, seed)


# A stop between the metadata and the manifest


def assert_tfds_reads(out, name: str):
    """TFDS opens the folder and reads as many examples as the manifest counts."""
    tfds = pytest.importorskip("tensorflow_datasets")
    for folder in complete_folders(out):
        builder = tfds.builder_from_directory(str(folder))
        read = builder.as_data_source() if builder.info.file_format.value == "array_record" else builder.as_dataset()
        found = {split: sum(1 for _ in examples) for split, examples in read.items()}
        assert found == {split: count for split, count in manifest(folder)["splits"].items() if count}, name


_COMPLETING = ("dataset_info.json", "c4build.json", "features.json")


@pytest.mark.parametrize(
    "gone",
    [["dataset_info.json", "c4build.json"], *(pytest.param([name], marks=pytest.mark.slow) for name in _COMPLETING)],
    ids=" and ".join,
)
def test_a_stop_between_metadata_and_manifest_is_made_good_by_the_same_command(sources, wholes, tmp_path, gone):
    arguments = commands(sources)["paper"]
    for variants in (["en"], ["en.noclean"], ["en", "en.noclean"]):
        if not tmp_path.joinpath("c4").exists():
            assert run_command(*arguments, "--out", tmp_path, "--workers", 1).code == 0
        for variant in variants:
            for name in gone:
                (tmp_path / "c4" / variant / "1.0.0" / name).unlink()
        done = run_command(*arguments, "--out", tmp_path, "--workers", 1)
        assert done.code == 0, done.err[-500:]
        assert "Traceback" not in done.err
        assert_same(tmp_path, wholes(arguments))
        assert_tfds_reads(tmp_path, f"{gone} of {variants}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "gone", [["dataset_info.json"], ["c4build.json"], ["dataset_info.json", "c4build.json"]], ids=" and ".join
)
@pytest.mark.parametrize("name", ["books", "wikipedia"])
def test_a_stop_between_metadata_and_manifest_of_another_corpus_is_made_good(collections, wholes, tmp_path, name, gone):
    arguments = next(iter(collections[name].values()))
    assert run_command(*arguments, "--out", tmp_path, "--workers", 1).code == 0
    (folder,) = complete_folders(tmp_path)
    for path in gone:
        (folder / path).unlink()
    done = run_command(*arguments, "--out", tmp_path, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert_same(tmp_path, wholes(arguments))
    assert_tfds_reads(tmp_path, name)


@pytest.mark.parametrize("name", [pytest.param("jsonl", marks=pytest.mark.slow), "parquet"])
def test_a_manifest_alone_makes_a_folder_of_jsonl_or_parquet_complete(sources, tmp_path, name):
    arguments = ["build", *sources.wet, "--badwords", sources.bad_words, "--shards", 2, "--format", name]
    whole = make(arguments, tmp_path / "out")
    assert manifest_path(tmp_path / "out/c4/en/1.0.0").name == (
        "_c4build.json" if name == "parquet" else "c4build.json"
    )
    manifest_path(tmp_path / "out/c4/en/1.0.0").unlink()
    done = run_command(*arguments, "--out", tmp_path / "out", "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert_same(tmp_path / "out", whole)


def test_the_manifest_is_written_last_of_a_folder(sources, tmp_path):
    assert run_command(*commands(sources)["paper"], "--out", tmp_path, "--workers", 1).code == 0
    for folder in complete_folders(tmp_path):
        times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert max(times, key=times.get) == "c4build.json", times


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper", "Parquet"])
def test_killed_where_the_folders_are_being_completed_it_comes_to_the_same(sources, wholes, tmp_path, name):
    arguments = commands(sources)[name]
    wanted = wholes(arguments)
    choose = random.Random(3)
    stops = [path for path in wanted.files if "validation" in path or path.endswith(".json")]
    for folder in ("c4/en/1.0.0", "c4/en.noclean/1.0.0"):
        stops.append(f"{folder}/{'_' if name == 'Parquet' else ''}c4build.json")
    for stop in choose.sample(stops, min(5, len(stops))):
        for path in [
            path for folder in ("en", "en.noclean") for path in (tmp_path / f"c4/{folder}/1.0.0").glob("[!.]*.json")
        ]:
            path.unlink()  # so that there is something to stop
        (tmp_path / stop).unlink(missing_ok=True)
        command = Command(*arguments, "--out", tmp_path, "--workers", 1)
        while command.running() and not (tmp_path / stop).exists():
            time.sleep(0.0005)
        time.sleep(choose.choice([0, 0, 0.001, 0.003]))
        command.kill_group()
    done = run_command(*arguments, "--out", tmp_path, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert_same(tmp_path, wanted)
    if name == "paper":
        assert_tfds_reads(tmp_path, name)


@pytest.fixture
def own_temporary_folder(monkeypatch):
    """Lets TMPDIR in a command's environment be where Python puts its temporary files."""
    monkeypatch.setattr("command._be_command", be_command_in_the_temporary_folder_of_its_environment)


@pytest.fixture
def one_page_of_room(tmp_path, own_temporary_folder):
    """A file system in memory where a single block is free: a few bytes can be written, two files cannot."""
    folder = tmp_path / "full"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder])


@pytest.mark.slow
@pytest.mark.parametrize(
    "format, workers",
    [
        ("tfrecord", 2),
        *(pytest.param(name, 1, marks=pytest.mark.slow) for name in ("tfrecord", "array_record", "parquet")),
    ],
)
def test_a_full_temporary_file_system_is_no_matter(sources, tmp_path, one_page_of_room, format, workers):
    if format == "array_record":
        pytest.importorskip("array_record")
    lists = ["--badwords", sources.bad_words, "--variants", "en,en.noclean"]
    arguments = ["build", *sources.wet, *lists, "--shards", 2, "--format", format]
    wanted = make(arguments, tmp_path / "alone")
    out = tmp_path / "out"
    done = run_command(*arguments, "--out", out, "--workers", workers, environment={"TMPDIR": str(one_page_of_room)})
    assert done.code == 0, done.err[-500:]
    assert_same(out, wanted)
    if format != "parquet":
        assert_tfds_reads(out, format)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["books", "wikipedia"])
def test_a_full_temporary_file_system_is_no_matter_to_another_corpus(
    collections, wholes, tmp_path, one_page_of_room, name
):
    arguments = next(iter(collections[name].values()))
    out = tmp_path / "out"
    done = run_command(*arguments, "--out", out, "--workers", 1, environment={"TMPDIR": str(one_page_of_room)})
    assert done.code == 0, done.err[-500:]
    assert_same(out, wholes(arguments))
    assert_tfds_reads(out, name)


@pytest.mark.parametrize(
    "format",
    ["tfrecord", *(pytest.param(name, marks=pytest.mark.slow) for name in ("array_record", "jsonl", "parquet"))],
)
@pytest.mark.parametrize(
    "flow", ["build", *(pytest.param(name, marks=pytest.mark.slow) for name in ("books", "wikipedia"))]
)
def test_no_temporary_file_lies_outside_out_nor_in_it_when_all_is_done(
    sources, library, tmp_path, own_temporary_folder, flow, format
):
    if format == "array_record":
        pytest.importorskip("array_record")
    inputs = {
        "build": [*sources.wet, "--badwords", sources.bad_words],
        "books": [library],
        "wikipedia": [sample_dump()],
    }
    empty, out = tmp_path / "temporary", tmp_path / "out"
    empty.mkdir()
    seen = set()
    arguments = [flow, *inputs[flow], "--format", format, "--out", out, "--workers", 1]
    command = Command(*arguments, environment={"TMPDIR": str(empty)})
    while command.running():
        seen.update(os.listdir(empty))
        time.sleep(0.0005)
    assert command.finish().code == 0
    # Python tries whether it can write there, by a file of such a name that is gone at once; Beam makes a folder and
    # puts nothing into it.
    assert {name for name in seen if not re.fullmatch(r"[a-z0-9_]{8}|beam-pipeline-temp\w+", name)} == set()
    assert list(empty.iterdir()) == []
    assert temporary_files(out) == []
    assert temporary_files(tmp_path) == []


# Files that are not ours


FOREIGN = {
    "a README": ("README.md", b"# My notes\nDo not lose these.\n"),
    "a shard of another program": ("c4-train.tfrecord-00000-of-00007", b"another program's records"),
    "a shard of another program by a name of ours": ("c4-train.tfrecord-00000-of-00002", b"another program's records"),
    "another program's metadata": ("dataset_info.json", b'{"name": "c4", "version": "1.0.0"}'),
}


@pytest.mark.parametrize(
    "overwriting",
    [
        pytest.param([], id="without --overwrite", marks=pytest.mark.slow),
        pytest.param(["--overwrite"], id="with --overwrite"),
    ],
)
@pytest.mark.parametrize("file, data", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_not_ours_is_named_and_nothing_is_changed(sources, tmp_path, file, data, overwriting):
    folder = tmp_path / "c4/en/1.0.0"
    folder.mkdir(parents=True)
    (folder / file).write_bytes(data)
    before, when = tree(tmp_path / "c4"), stamps(tmp_path / "c4")
    done = run_command(*commands(sources)["paper"], "--out", tmp_path, "--workers", 1, *overwriting)
    assert (done.code, len(done.error_lines)) == (2, 1), done.err
    assert str(folder) in done.error_lines[0] and file in done.error_lines[0]
    assert (tree(tmp_path / "c4"), stamps(tmp_path / "c4")) == (before, when)


@pytest.mark.parametrize(
    "overwriting",
    [
        pytest.param([], id="without --overwrite", marks=pytest.mark.slow),
        pytest.param(["--overwrite"], id="with --overwrite"),
    ],
)
@pytest.mark.parametrize(
    "name, folder", [("books", "books/1.0.0"), pytest.param("wikipedia", None, marks=pytest.mark.slow)]
)
def test_a_file_that_is_not_ours_stops_another_corpus_too(collections, tmp_path, name, folder, overwriting):
    arguments = next(iter(collections[name].values()))
    if folder is None:
        make(arguments, tmp_path / "alone")
        folder = complete_folders(tmp_path / "alone")[0].relative_to(tmp_path / "alone")
    out = tmp_path / "out"
    (out / folder).mkdir(parents=True)
    (out / folder / "notes.txt").write_text("mine")
    done = run_command(*arguments, "--out", out, "--workers", 1, *overwriting)
    assert (done.code, len(done.error_lines)) == (2, 1), done.err
    assert "notes.txt" in done.error_lines[0]
    assert tree(out / Path(folder).parts[0]) == {str(Path(*Path(folder).parts[1:], "notes.txt")): b"mine"}


def test_a_folder_within_the_corpus_is_not_ours_either(sources, tmp_path):
    kept = tmp_path / "c4/en/1.0.0/older/c4-train.tfrecord-00000-of-00002"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept by hand")
    done = run_command(*commands(sources)["paper"], "--out", tmp_path, "--workers", 1, "--overwrite")
    assert (done.code, len(done.error_lines)) == (2, 1), done.err
    assert "older" in done.error_lines[0]
    assert kept.read_bytes() == b"kept by hand"
    assert [path.name for path in (tmp_path / "c4/en/1.0.0").iterdir()] == ["older"]


def test_the_demo_replaces_no_corpus_but_its_own(sources, tmp_path):
    make(commands(sources)["paper"], tmp_path / "out")
    before = tree(tmp_path / "out")
    done = run_command("demo", "--out", tmp_path / "out")
    assert (done.code, done.error_lines) == (
        2, [f"c4build: {tmp_path}/out holds c4/en/1.0.0, which the demo did not make: give another --out"],
    )  # fmt: skip
    assert tree(tmp_path / "out") == before


@pytest.mark.slow
def test_the_demo_is_made_again_where_it_was(tmp_path):
    for more in ([], [], ["--format", "jsonl"]):
        assert run_command("demo", "--out", tmp_path, *more).code == 0
    assert list(tmp_path.glob("c4/en/1.0.0/*.json.gz"))


def test_a_list_that_is_not_ours_is_named_and_stays(tmp_path):
    (tmp_path / "RS_2018-08.jsonl").write_text('{"url": "http://example.com/a", "score": 5}\n')
    out = tmp_path / "lists/urls.txt.gz"
    out.parent.mkdir()
    out.write_bytes(b"mine")
    arguments = ["webtext-urls", tmp_path / "RS_2018-08.jsonl", "--out", out, "--workers", 1]
    for more in ([], ["--overwrite"]):
        done = run_command(*arguments, *more)
        assert (done.code, len(done.error_lines)) == (
            2,
            1,
        ) and f"{out} is there, and c4build has no record of it" in done.err
        assert tree(out.parent) == {"urls.txt.gz": b"mine"}
    out.unlink()
    assert run_command(*arguments).code == 0
    made = out.read_bytes()
    assert run_command(*arguments).code == 0
    assert run_command(*arguments, "--overwrite").code == 0
    assert out.read_bytes() == made


@pytest.mark.slow
def test_a_card_written_by_hand_beside_a_finished_corpus_is_named_and_stays(sources, tmp_path):
    arguments = commands(sources)
    make(arguments["paper"], tmp_path / "out")
    card = tmp_path / "out/c4/en.noclean/1.0.0/README.md"
    card.write_text("A card.")
    before, when = tree(tmp_path / "out/c4"), stamps(tmp_path / "out/c4")
    for other in ("other rules", "more shards", "JSONL"):
        for overwriting in ([], ["--overwrite"]):
            done = run_command(*arguments[other], "--out", tmp_path / "out", "--workers", 1, *overwriting)
            assert (done.code, len(done.error_lines)) == (2, 1), done.err
            if overwriting:
                assert str(card.parent) in done.error_lines[0] and card.name in done.error_lines[0]
            assert (tree(tmp_path / "out/c4"), stamps(tmp_path / "out/c4")) == (before, when)
    # The very same corpus is there: nothing is to be done, and nothing is touched.
    done = run_command(*arguments["paper"], "--out", tmp_path / "out", "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert (tree(tmp_path / "out/c4"), stamps(tmp_path / "out/c4")) == (before, when)


@pytest.mark.slow
def test_hidden_files_are_left_alone_and_do_not_hinder(sources, wholes, tmp_path):
    arguments = commands(sources)
    folder = tmp_path / "c4/en/1.0.0"
    (folder / ".git").mkdir(parents=True)
    hidden = {".DS_Store": b"of the Finder", ".gitattributes": b"* filter=lfs", ".git/HEAD": b"ref: refs/heads/main"}
    for name, data in hidden.items():
        (folder / name).write_bytes(data)
    for name in ("paper", "other rules", "JSONL", "paper"):
        overwrite(arguments[name], tmp_path)
        assert_same(
            tmp_path, wholes(arguments[name]), but_files="README.md"
        )  # made for JSONL, and kept true from then on
        assert {name: (folder / name).read_bytes() for name in hidden} == hidden


@pytest.mark.slow
def test_what_a_former_run_of_ours_left_goes(sources, wholes, tmp_path):
    arguments = commands(sources)
    for name in ("more shards", "paper", "JSONL", "Parquet", "paper"):
        overwrite(arguments[name], tmp_path)
        assert_corpora(tmp_path, wholes(arguments[name]), name)


def test_what_a_killed_run_of_ours_left_goes_too(sources, wholes, tmp_path):
    """Shards that lie there without a manifest, as many as the next corpus has not."""
    arguments = commands(sources)
    for name in ("more shards", "JSONL"):
        command = Command(*arguments[name], "--out", tmp_path, "--workers", 1, "--overwrite")
        while command.running() and not any("train" in path.name for path in (tmp_path / "c4").rglob("*")):
            time.sleep(0.0005)
        command.kill_group()
    done = run_command(*arguments["paper"], "--out", tmp_path, "--workers", 1, "--overwrite")
    assert done.code == 0, done.err[-500:]
    assert_same(tmp_path, wholes(arguments["paper"]))


def test_the_same_command_again_touches_nothing(sources, tmp_path):
    arguments = commands(sources)["paper"]
    whole = make(arguments, tmp_path)
    when = stamps(tmp_path / "c4")
    for overwriting in ([], ["--overwrite"]):
        done = run_command(*arguments, "--out", tmp_path, "--workers", 1, *overwriting)
        assert (done.code, done.error_lines) == (0, [])
        assert stamps(tmp_path / "c4") == when
    assert (corpus_files(tmp_path), counts(tmp_path)) == whole


# Killed at random moments, with other rules among the runs


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills, workers", [(20, 1), (20, 2)])
def test_after_random_kills_with_changed_rules_among_the_runs_the_last_corpus_is_whole(
    sources, wholes, tmp_path, kills, workers
):
    choices = list(commands(sources).values())
    start = time.monotonic()
    run_command(*choices[0], "--out", tmp_path / "timed", "--workers", workers)
    seconds = time.monotonic() - start
    out, choose, killed = tmp_path / "out", random.Random(kills + workers), 0
    while killed < kills:
        command = Command(*choose.choice(choices), "--out", out, "--workers", workers, "--overwrite")
        time.sleep(choose.uniform(0.02, 1.0) * seconds)
        killed += command.running()
        command.kill_group()
    last = choose.choice(choices)
    overwrite(last, out, workers)
    assert_corpora(out, wholes(last))
    overwrite(choices[0], out, workers)
    assert_corpora(out, wholes(choices[0]))


@pytest.mark.parametrize("kills", [pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_after_random_kills_with_other_books_among_the_runs_the_last_corpus_is_whole(
    collections, wholes, tmp_path, kills
):
    choices = list(collections["books"].values())
    start = time.monotonic()
    run_command(*choices[0], "--out", tmp_path / "timed", "--workers", 1)
    seconds = time.monotonic() - start
    out, choose, killed = tmp_path / "out", random.Random(kills), 0
    while killed < kills:
        command = Command(*choose.choice(choices), "--out", out, "--workers", 1, "--overwrite")
        time.sleep(choose.uniform(0.02, 1.0) * seconds)
        killed += command.running()
        command.kill_group()
    for last in choices[:2]:
        overwrite(last, out)
        assert_corpora(out, wholes(last))
