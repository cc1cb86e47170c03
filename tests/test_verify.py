"""`c4build verify`: a finished folder against its own manifest, offline, each wrong file by name."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import run_command
from corpus_folders import MANIFESTS, complete_folders, make, manifest, manifest_path, stamps, tree, write_library

from c4build.corpora.c4 import read_summary
from c4build.errors import CorruptFileError
from c4build.sample.resources import sample_dump
from c4build.write.verify import verify

FORMATS = ["tfrecord", "array_record", "jsonl", "parquet"]


@pytest.fixture(scope="module")
def sound(sources, tmp_path_factory) -> Path:
    """An OUT of two variants under two rule sets, and books."""
    out = tmp_path_factory.mktemp("sound") / "out"
    arguments = ["build", *sources.wet, "--badwords", sources.bad_words, "--shards", 2, "--variants", "en,en.noclean"]
    for rules in ("paper", "c4-3.1.0"):
        done = run_command(*arguments, "--rules", rules, "--out", out, "--workers", 1)
        assert done.code == 0, done.err[-500:]
    done = run_command("books", write_library(out.parent / "library"), "--out", out, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert len(complete_folders(out)) == 5
    return out


@pytest.fixture
def out(sound, tmp_path) -> Path:
    """A copy to be spoilt."""
    shutil.copytree(sound, tmp_path / "out")
    return tmp_path / "out"


def flip(path: Path, seed: int = 1):
    data, choose = bytearray(path.read_bytes()), random.Random(seed)
    data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    path.write_bytes(data)


def cut(path: Path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path):
    path.write_bytes(path.read_bytes() + b"\n")


def replace_by_as_many_bytes(path: Path):
    path.write_bytes(bytes(path.stat().st_size))


SPOIL = (flip, cut, lengthen, replace_by_as_many_bytes, Path.unlink)
FILES = (
    "c4-train.tfrecord-00000-of-00002", "c4-train.tfrecord-00001-of-00002", "c4-validation.tfrecord-00000-of-00001",
    "dataset_info.json", "features.json",
)  # fmt: skip


def assert_sound(done):
    assert (done.code, done.error_lines) == (0, []), done.err[-500:]
    assert len(done.out.splitlines()) >= 1 and "Traceback" not in done.err


def names_wrong(done) -> str:
    """All that a failed check says; with exit code 1 and no traceback."""
    assert done.code == 1, (done.code, done.out, done.err[-500:])
    assert "Traceback" not in done.err
    return done.out + done.err


def is_named(path: Path, said: str) -> bool:
    """True where a line tells of the file, and in which folder it lies."""
    return any(str(path.parent) in line and path.name in line for line in said.splitlines())


def test_a_sound_folder_ends_with_0_and_a_line(sound):
    done = run_command("verify", sound / "c4/en/1.0.0")
    assert_sound(done)
    (line,) = done.out.splitlines()
    assert str(sound / "c4/en/1.0.0") in line


def test_the_manifest_has_the_size_and_the_sha256_of_every_file(sound):
    for folder in complete_folders(sound):
        lying = {
            path.name: path.read_bytes()
            for path in folder.iterdir()
            if path.name not in MANIFESTS and not path.name.startswith(".")
        }
        assert manifest(folder)["files"] == {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in lying.items()
        }
        assert any("train" in name for name in lying)


def test_a_folder_whose_manifest_goes_meanwhile_is_not_complete(out):
    folder = out / "c4/en/1.0.0"
    manifest_path(folder).unlink()
    assert [verify(str(folder)).wrong] == [["it is not complete: run the command that makes it again"]]
    with pytest.raises(CorruptFileError, match=f"{folder}: its manifest is gone; run the same command again"):
        read_summary({"en": str(folder)})


@pytest.mark.parametrize("spoil", SPOIL, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_wrong_is_named_and_no_other(out, file, spoil):
    folder = out / "c4/en/1.0.0"
    spoil(folder / file)
    said = names_wrong(run_command("verify", folder))
    assert is_named(folder / file, said)
    assert not [other for other in FILES if other != file and other in said]
    assert ("missing" in said) == (spoil is Path.unlink)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 100))])
def test_any_bit_of_any_file_matters(out, seed):
    choose = random.Random(seed)
    folder = choose.choice(complete_folders(out))
    path = choose.choice([path for path in sorted(folder.iterdir()) if path.stat().st_size and path.name[0] != "."])
    flip(path, seed)
    assert path.name in names_wrong(run_command("verify", out))


def test_two_files_that_were_swapped_are_both_named(out):
    first, second = (out / "c4/en/1.0.0" / name for name in FILES[:2])
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    said = names_wrong(run_command("verify", out / "c4/en/1.0.0"))
    assert first.name in said and second.name in said


@pytest.mark.parametrize(
    "name", ["README.md", "c4-train.tfrecord-00002-of-00003", "c4-train.tfrecord-00000-of-00002.bak"]
)
def test_a_file_too_many_is_named(out, name):
    (out / "c4/en/1.0.0" / name).write_bytes(b"not of the manifest")
    assert name in names_wrong(run_command("verify", out / "c4/en/1.0.0"))


def test_hidden_files_are_not_looked_at(out):
    (out / "c4/en/1.0.0/.DS_Store").write_bytes(b"of the Finder")
    assert_sound(run_command("verify", out / "c4/en/1.0.0"))


def test_all_that_is_wrong_is_named_at_once(out):
    folder = out / "c4/en/1.0.0"
    flip(folder / FILES[0])
    (folder / FILES[1]).unlink()
    cut(folder / "features.json")
    (folder / "notes.txt").write_text("mine")
    said = names_wrong(run_command("verify", folder))
    for name in (FILES[0], FILES[1], "features.json", "notes.txt"):
        assert name in said
    assert FILES[2] not in said and "dataset_info.json" not in said


# The manifest itself


def test_a_manifest_of_which_a_bit_has_flipped_is_said(out):
    path = out / "c4/en/1.0.0/c4build.json"
    for seed in range(12):
        before = path.read_bytes()
        flip(path, seed)
        assert path.name in names_wrong(run_command("verify", path.parent)), seed
        path.write_bytes(before)
    assert_sound(run_command("verify", path.parent))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b'{"files": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_none_is_said_without_a_traceback(out, data):
    path = out / "c4/en/1.0.0/c4build.json"
    path.write_bytes(data)
    assert path.name in names_wrong(run_command("verify", path.parent))


def test_a_count_changed_by_hand_is_said(out):
    path = out / "c4/en/1.0.0/c4build.json"
    said = json.loads(path.read_text())
    said["kept"] += 1
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    assert path.name in names_wrong(run_command("verify", path.parent))


def test_a_shard_changed_along_with_its_digest_in_the_manifest_is_said(out):
    path = out / "c4/en/1.0.0/c4build.json"
    shard = path.parent / FILES[0]
    flip(shard)
    said = json.loads(path.read_text())
    said["files"][shard.name]["sha256"] = hashlib.sha256(shard.read_bytes()).hexdigest()
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    assert path.name in names_wrong(run_command("verify", path.parent))


def test_a_manifest_that_names_files_elsewhere_does_not_lead_there(out, tmp_path):
    """Only names in the folder itself are looked at."""
    path = out / "c4/en/1.0.0/c4build.json"
    (tmp_path / "elsewhere").write_text("x")
    said = json.loads(path.read_text())
    said["files"]["../../../../elsewhere"] = {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    assert path.name in names_wrong(run_command("verify", path.parent))


# Which folder


def test_a_folder_without_a_manifest_ends_with_2_and_one_line(out, tmp_path):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / FILES[0]).write_bytes(b"of another program")
    for folder in (tmp_path / "hollow", tmp_path / "others", tmp_path / "none", out / "c4/en/1.0.0" / FILES[0]):
        done = run_command("verify", folder)
        assert (done.code, len(done.error_lines)) == (2, 1), done.err[-500:]
        assert done.error_lines[0].startswith(f"c4build: {folder}")


def test_a_folder_of_ours_that_is_not_complete_is_said_in_one_line(out):
    manifest_path(out / "c4/en/1.0.0").unlink()
    done = run_command("verify", out / "c4/en/1.0.0")
    assert done.code in (1, 2) and len(done.error_lines) == 1, done.err[-500:]
    assert str(out / "c4/en/1.0.0") in done.error_lines[0]


def test_no_folder_is_no_command():
    assert run_command("verify").code == 2


def test_the_folder_of_a_variant_stands_for_its_newest_version(out):
    done = run_command("verify", out / "c4/en")
    assert_sound(done)
    assert str(out / "c4/en/3.1.0") in done.out and str(out / "c4/en/1.0.0") not in done.out
    flip(out / "c4/en/1.0.0" / FILES[0])
    assert_sound(run_command("verify", out / "c4/en"))
    flip(out / "c4/en/3.1.0" / FILES[0])
    assert is_named(out / "c4/en/3.1.0" / FILES[0], names_wrong(run_command("verify", out / "c4/en")))


def test_versions_are_numbers_not_words(sources, tmp_path):
    arguments = ["build", *sources.wet, "--badwords", sources.bad_words, "--shards", 2]
    for version in ("9.0.0", "10.0.0"):
        done = run_command(*arguments, "--set", f"version={version}", "--out", tmp_path, "--workers", 1)
        assert done.code == 0, done.err[-500:]
    done = run_command("verify", tmp_path / "c4/en")
    assert_sound(done)
    assert str(tmp_path / "c4/en/10.0.0") in done.out and str(tmp_path / "c4/en/9.0.0") not in done.out


def test_out_stands_for_every_corpus_below_it(out):
    done = run_command("verify", out)
    assert_sound(done)
    for folder in complete_folders(out):
        assert str(folder) in done.out
    for folder in complete_folders(out):
        path = next(path for path in sorted(folder.iterdir()) if "train" in path.name)
        before = path.read_bytes()
        flip(path)
        said = names_wrong(run_command("verify", out))
        assert is_named(path, said)
        path.write_bytes(before)


def test_a_corpus_that_is_not_complete_among_others_is_not_passed_over_in_silence(out):
    """A folder of shards without a manifest below OUT: the others are checked, and it is named."""
    manifest_path(out / "c4/en/3.1.0").unlink()
    done = run_command("verify", out)
    assert done.code != 0
    assert str(out / "c4/en/3.1.0") in done.out + done.err and "Traceback" not in done.err


def test_a_folder_with_a_slash_at_its_end_and_a_relative_one_are_taken(out):
    assert_sound(run_command("verify", f"{out}/c4/en/1.0.0/"))
    assert_sound(run_command("verify", "c4/en/1.0.0", folder=out))
    assert_sound(run_command("verify", ".", folder=out / "c4/en/1.0.0"))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_checked(sources, tmp_path, format):
    if format == "array_record":
        pytest.importorskip("array_record")
    make(["build", *sources.wet, "--badwords", sources.bad_words, "--shards", 2, "--format", format], tmp_path)
    folder = tmp_path / "c4/en/1.0.0"
    assert_sound(run_command("verify", folder))
    assert manifest_path(folder).name == ("_c4build.json" if format == "parquet" else "c4build.json")
    shard = next(path for path in sorted(folder.iterdir()) if "train" in path.name)
    flip(shard)
    assert shard.name in names_wrong(run_command("verify", folder))


def test_wikipedia_and_cut_corpora_are_checked_too(sound, tmp_path):
    make(["wikipedia", sample_dump()], tmp_path / "wikipedia")
    make(["truncate", sound / "books/1.0.0", "--words", "500,1000"], tmp_path / "cut")
    for out, number in ((tmp_path / "wikipedia", 1), (tmp_path / "cut", 2)):
        assert len(complete_folders(out)) == number
        assert_sound(run_command("verify", out))
        for folder in complete_folders(out):
            shard = next(path for path in folder.iterdir() if "train" in path.name)
            flip(shard)
            assert is_named(shard, names_wrong(run_command("verify", out)))
            flip(shard)


# Nothing but the folder is needed, and nothing is written


def test_neither_inputs_nor_work_files_are_needed(out):
    shutil.rmtree(out / ".c4build")
    assert_sound(run_command("verify", out))
    assert_sound(run_command("verify", out / "books"))


def test_a_folder_that_was_moved_is_the_same_corpus(out, tmp_path):
    shutil.move(out / "c4/en/1.0.0", tmp_path / "elsewhere")
    assert_sound(run_command("verify", tmp_path / "elsewhere"))


def test_nothing_is_written(out):
    before, when = tree(out), stamps(out)
    assert run_command("verify", out).code == 0
    assert run_command("verify", out / "c4/en").code == 0
    assert (tree(out), stamps(out)) == (before, when)


def test_it_works_without_a_network(sound):
    script = Path(sys.executable).with_name("c4build")
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("a process cannot be cut off from the network here")
    done = subprocess.run([*alone, script, "verify", sound], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]


def test_the_help_lists_it():
    assert " verify " in run_command("--help").out
