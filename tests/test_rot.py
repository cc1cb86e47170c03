"""A rotten work folder: whatever happens to a file, the same command again gives the same bytes or fails by name.

Every file under OUT/.c4build and every file of a corpus is flipped in one bit, cut in half, emptied, swapped with
another of its kind and deleted, one at a time, in builds that are unfinished, killed and finished. Ordinary runs take a
sample that has each kind of file and each kind of rot; the slow marker takes them all.
"""

import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from builds import build
from command import Command, Finished, run_command
from corpus_folders import (
    MANIFESTS,
    SHARD,
    Whole,
    corpus_files,
    counts,
    differences,
    make,
    page_files,
    temporary_files,
    write_library,
)

from c4build.flow.keyfiles import fetch, send
from c4build.sample.resources import sample_dump
from c4build.write.folder import CLAIM

ROT = ("flipped", "cut", "emptied", "swapped", "deleted")


class Flow(NamedTuple):
    """A command without its --out, and a folder at whose `out` it is run: paths are in what it writes."""

    arguments: list
    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def run(self) -> Finished:
        return run_command(*self.arguments, "--out", self.out, "--workers", 1)


class Rot(NamedTuple):
    path: str
    how: str


def kind(path: str) -> str:
    """What sort of file it is: those of one kind differ in numbers and digests only, and lie in folders of one sort."""
    name = Path(path).name
    if ".c4build" in Path(path).parts:
        folder = next((part for part in reversed(Path(path).parts[:-1]) if not re.fullmatch(r"[0-9a-f]{16}", part)), "")
        name = re.sub(r"\.warc\.wet\.gz|part-\d", "", name)
        return re.sub(r"[0-9a-f]{16,}|[\d.]*\d+", "#", f"{folder}/{name}")
    split = next((split for split in ("train", "validation") if split in name), None)
    return f"{split} shard" if split and SHARD.search(name) else name


def rot_of(out: Path) -> list[Rot]:
    """All that can be done to the files of a folder, one at a time."""
    paths = [str(path.relative_to(out)) for path in sorted(out.rglob("*")) if path.is_file()]
    several = {path for path in paths if sum(kind(path) == kind(other) for other in paths) > 1}
    return [Rot(path, how) for path in paths for how in ROT if how != "swapped" or path in several]


def sample(cases: list[Rot], number: int, seed: int) -> list[Rot]:
    """So many cases: one file for each pair of a kind and a rot, kinds taken in turn; the sample is always the same."""
    choose = random.Random(seed)
    found: dict[tuple[str, str], list[Rot]] = {}
    for case in cases:
        found.setdefault((kind(case.path), case.how), []).append(case)
    pairs = list(found)
    choose.shuffle(pairs)
    turns: dict[str, int] = {}
    order = {}
    for pair in pairs:
        order[pair] = turns.get(pair[0], 0)
        turns[pair[0]] = order[pair] + (1 if matters_most(pair[0]) else 2)
    return [choose.choice(found[pair]) for pair in sorted(pairs, key=order.__getitem__)[:number]]


def matters_most(kind: str) -> bool:
    """True for what holds text or counts: of these the sample has twice as many."""
    return kind.startswith(("pages", "units")) or kind == "train shard"


def spoil(out: Path, case: Rot):
    """Does it. A case always does the same to the same bytes."""
    path, choose = out / case.path, random.Random(f"{kind(case.path)} {case.how}")
    data = bytearray(path.read_bytes())
    if case.how == "deleted":
        path.unlink()
    elif case.how == "flipped" and data:
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        path.write_bytes(data)
    elif case.how == "swapped":
        others = [other for other in sorted(out.rglob("*")) if other.is_file() and other != path]
        same = [other for other in others if kind(str(other.relative_to(out))) == kind(case.path)]
        other = next((other for other in same if other.read_bytes() != data), same[0])
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
    else:
        path.write_bytes(data[: len(data) // 2 if case.how == "cut" else 0])


def wrongs(flow: Flow, wanted: Whole, case: Rot, must_be_said: bool) -> Iterator[str]:
    """Spoils one file, runs the command again, and yields what is wrong with what came of it."""
    before = (flow.out / case.path).read_bytes()
    spoil(flow.out, case)
    path = flow.out / case.path
    rotten = path.read_bytes() if path.exists() else None
    beside = contents(path.parent)
    done = flow.run()
    if "Traceback" in done.err:
        yield f"a traceback: {done.err.strip().splitlines()[-1]}"
    made_again = [line for line in done.error_lines if line.startswith("c4build: made again: ")]
    if done.code == 3:
        clear = [line for line in done.error_lines if line not in made_again]
        if len(clear) != 1 or not clear[0].startswith("c4build: "):
            yield f"exit 3 without one clear line: {done.err[-200:]!r}"
        if is_ours_to_mend(case.path):
            yield f"exit 3 where the file can be made again: {clear}"
        return
    if done.code == 2 and is_the_record(case):
        yield from not_told_or_touched(path.parent, beside, done)
        return
    if done.code != 0:
        yield f"exit {done.code}: {done.err[-200:]!r}"
        return
    yield from (f"exit 0, but {difference}" for difference in differences(corpus_files(flow.out), wanted.files))
    if counts(flow.out) != wanted.counts:
        yield f"exit 0, but other counts: {differences(counts(flow.out), wanted.counts)}"
    if left := temporary_files(flow.out):
        yield f"exit 0, but {left} is left"
    if must_be_said and rotten != before and not any(path.name in line for line in made_again):
        yield f"it was made again without a word: {done.error_lines}"
    if other := [line for line in done.error_lines if line not in made_again and " there already" not in line]:
        yield f"exit 0, but it says {other}"


def is_the_record(case: Rot) -> bool:
    """True where what says which files of a corpus' folder are ours is gone: they may be somebody else's then."""
    return Path(case.path).name == CLAIM and case.how == "deleted"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def not_told_or_touched(folder: Path, before: dict[str, bytes], done: Finished) -> Iterator[str]:
    if len(done.error_lines) != 1 or f"{folder} holds what c4build has no record of: " not in done.error_lines[0]:
        yield f"exit 2 without one clear line: {done.err[-200:]!r}"
    if contents(folder) != before:
        yield "exit 2, but the files of the folder are not what they were"


def is_ours_to_mend(path: str) -> bool:
    """True for what every run can make again from the inputs: no excuse to fail over it."""
    return bool(SHARD.search(path)) or path.endswith((".pages", ".validation", "dataset_info.json", "features.json"))


def check(flow: Flow, state: Path, wanted: Whole, cases: list[Rot], must_be_said=lambda case: False):
    """Each case from the same `state` of OUT, put back before; all that is wrong is told at once."""
    found = []
    for case in cases:
        shutil.rmtree(flow.out)
        shutil.copytree(state, flow.out)
        found += [f"{case.path} {case.how}: {wrong}" for wrong in wrongs(flow, wanted, case, must_be_said(case))]
    assert not found, f"{len(found)} wrong in {len(cases)} cases:\n" + "\n".join(found)


def keep(flow: Flow, name: str) -> Path:
    state = flow.folder / name
    shutil.copytree(flow.out, state)
    return state


def unfinish(out: Path):
    """Takes away what makes folders complete, and what says of the first unit of the shards that it is done."""
    for name in (*MANIFESTS, "dataset_info.json"):
        for path in out.rglob(name):
            if ".c4build" not in path.relative_to(out).parts:
                path.unlink()
    first = min(out.glob(".c4build/units/**/*.json"), default=None)
    if first:
        first.unlink()


class States(NamedTuple):
    flow: Flow
    wanted: Whole
    finished: Path
    unfinished: Path


def states_of(flow: Flow) -> States:
    wanted = make(flow.arguments, flow.out)
    finished = keep(flow, "finished")
    unfinish(flow.out)
    return States(flow, wanted, finished, keep(flow, "unfinished"))


def build_arguments(sources, rules: str, *more) -> list:
    lists = ["--badwords", sources.bad_words, "--webtext-urls", sources.urls, "--variants", "en,en.noclean,webtextlike"]
    return ["build", *sources.wet, *lists, "--shards", 2, "--rules", rules, *more]


@pytest.fixture(scope="module", params=["paper", pytest.param("c4-3.1.0", marks=pytest.mark.slow)])
def builds_of(request, sources, tmp_path_factory) -> States:
    return states_of(Flow(build_arguments(sources, request.param), tmp_path_factory.mktemp("rot")))


def few_or_all(few: int) -> list:
    """How many cases: a few, and all of them under the slow marker."""
    return [few, pytest.param(10**6, marks=[pytest.mark.slow, pytest.mark.timeout(3600)], id="all")]


# Shards and metadata that are in a manifest


@pytest.mark.parametrize("number", few_or_all(6))
def test_a_corpus_that_was_finished_and_has_rotted_is_made_again(builds_of, number):
    cases = [case for case in rot_of(builds_of.finished) if ".c4build" not in case.path]
    check(
        builds_of.flow, builds_of.finished, builds_of.wanted, sample(cases, number, 1),
        must_be_said=lambda case: Path(case.path).name not in MANIFESTS,
    )  # fmt: skip


@pytest.mark.parametrize("number", few_or_all(3))
def test_work_files_that_have_rotted_after_the_end_are_no_matter(builds_of, number):
    cases = [case for case in rot_of(builds_of.finished) if ".c4build" in case.path]
    check(builds_of.flow, builds_of.finished, builds_of.wanted, sample(cases, number, 2))


# Page files, units and shards of a build that is not done


def is_recorded(case: Rot) -> bool:
    """True for what an unfinished build has finished, and knows of: the first unit it does not know any more."""
    name = Path(case.path).name
    if ".c4build" in case.path:
        made_of_text = ("/pages" in case.path and name.endswith(".pages")) or "/units" in case.path
        return made_of_text and case.how != "deleted" and not name.startswith("00000")
    return "train" in name and "00001-of-00002" in name


@pytest.mark.parametrize("number", few_or_all(5))
def test_an_unfinished_build_whose_files_have_rotted_comes_to_the_same_bytes(builds_of, number):
    cases = rot_of(builds_of.unfinished)
    check(builds_of.flow, builds_of.unfinished, builds_of.wanted, sample(cases, number, 3), must_be_said=is_recorded)


@pytest.mark.parametrize("number", few_or_all(3))
def test_a_killed_build_whose_files_have_rotted_comes_to_the_same_bytes(builds_of, tmp_path, number):
    flow = builds_of.flow
    for _ in range(20):  # it may be done before it is killed
        shutil.rmtree(flow.out)
        command = Command(*flow.arguments, "--out", flow.out, "--workers", 1)
        while command.running() and not list(flow.out.rglob("*train*00001-of-00002")):
            time.sleep(0.001)
        command.kill_group()
        if not list(flow.out.glob("c4/*/*/*c4build.json")):
            break
    else:
        raise AssertionError("it was always done before it was killed")
    state = tmp_path / "killed"
    shutil.copytree(flow.out, state)
    check(flow, state, builds_of.wanted, sample(rot_of(state), number, 4))


@pytest.mark.parametrize(
    "format",
    [pytest.param("array_record", marks=pytest.mark.slow), "jsonl", pytest.param("parquet", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("number", few_or_all(1))
def test_rotten_shards_of_any_format_are_made_again(sources, tmp_path, format, number):
    if format == "array_record":
        pytest.importorskip("array_record")
    states = states_of(Flow(build_arguments(sources, "paper", "--format", format), tmp_path))
    for state in (states.finished, states.unfinished):
        cases = [case for case in rot_of(state) if "-of-" in case.path and "00001-of" in case.path]
        check(states.flow, state, states.wanted, sample(cases, number, 5), must_be_said=lambda case: True)


def test_a_key_file_says_whose_it_is(tmp_path):
    """Those of two steps change places, as they may after a kill; each is whole."""
    given = {"one": [(0, b"a"), (1, b"bc")], "two": [(0, b"d"), (1, b"ef")]}

    def sent() -> dict:
        return {
            name: [(target, fetch(data)) for target, data in send(parts, str(tmp_path), "keys", [name])]
            for name, parts in given.items()
        }

    assert sent() == given
    one, two = tmp_path.iterdir()
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    assert sent() == given
    assert (one.read_bytes(), two.read_bytes()) == contents


def test_a_page_file_says_whose_it_is(builds_of):
    """All page files are put in a ring: each is whole, and none is of the input that it is named after."""
    flow = builds_of.flow
    shutil.rmtree(flow.out)
    shutil.copytree(builds_of.unfinished, flow.out)
    paths = page_files(flow.out)
    contents = [path.read_bytes() for path in paths]
    assert len(set(contents)) == 3
    for path, data in zip(paths, contents[1:] + contents[:1]):
        path.write_bytes(data)
    for path in flow.out.rglob("*train*"):
        path.unlink()
    done = flow.run()
    assert done.code == 0, done.err[-500:]
    assert differences(corpus_files(flow.out), builds_of.wanted.files) == []
    assert counts(flow.out) == builds_of.wanted.counts
    for path in paths:
        assert any(line.startswith("c4build: made again: ") and path.name in line for line in done.error_lines), (
            done.err
        )


@pytest.mark.parametrize("flips", [2, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a_bit_of_a_page_file_that_flips_changes_nothing(builds_of, flips):
    """Anywhere in the file: the columns, the foot with the counts in it, what stands behind the foot."""
    flow, choose, wrong = builds_of.flow, random.Random(6), []
    for number in range(flips):
        shutil.rmtree(flow.out)
        shutil.copytree(builds_of.unfinished, flow.out)
        path = choose.choice(page_files(flow.out))
        data = bytearray(path.read_bytes())
        # Every second one in the foot, a small part of the file, where the report and the places of columns are.
        place = choose.randrange(len(data) - len(data) // 20 if number % 2 else 0, len(data))
        data[place] ^= 1 << choose.randrange(8)
        path.write_bytes(data)
        done = flow.run()
        if done.code != 0 or "Traceback" in done.err:
            wrong.append(f"byte {place} of {path.name}: exit {done.code}: {done.err[-200:]!r}")
        elif (corpus_files(flow.out), counts(flow.out)) != builds_of.wanted:
            wrong.append(f"byte {place} of {path.name}: other bytes or counts")
        elif not any(line.startswith("c4build: made again: ") and path.name in line for line in done.error_lines):
            wrong.append(f"byte {place} of {path.name}: not a word")
    assert not wrong, "\n".join(wrong)


def test_a_shard_of_another_corpus_in_place_of_ours_is_noticed_by_two_workers_too(builds_of):
    flow = builds_of.flow
    shutil.rmtree(flow.out)
    shutil.copytree(builds_of.unfinished, flow.out)
    (version,) = (flow.out / "c4/en").iterdir()
    own, other = (
        version / "c4-train.tfrecord-00001-of-00002",
        next(flow.out.glob("c4/en.noclean/*/c4-train*-00001-of-00002")),
    )
    own.write_bytes(other.read_bytes())
    done = run_command(*flow.arguments, "--out", flow.out, "--workers", 2)
    assert done.code == 0, done.err[-500:]
    assert differences(corpus_files(flow.out), builds_of.wanted.files) == []


# What is written is on the disk before it gets its name


@pytest.mark.parametrize("format", ["tfrecord", "array_record", "jsonl", "parquet"])
def test_all_that_is_written_is_on_the_disk_before_it_gets_its_name(sources, tmp_path, monkeypatch, format):
    """Between fsync and rename nothing can be lost by a machine that stops; what tells how far it is may be."""
    if format == "array_record":
        pytest.importorskip("array_record")
    synced, named, wrong = set(), [], []
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda file, do=getattr(os, name): (note_sync(file), do(file))[1])
    for name in ("replace", "rename", "link"):
        monkeypatch.setattr(os, name, lambda old, new, *rest, do=getattr(os, name), **more: (
            note_name(str(old), str(new)), do(old, new, *rest, **more)
        )[1])  # fmt: skip

    def note_sync(file):
        synced.add(os.stat(file if isinstance(file, int) else file.fileno()).st_ino)

    def note_name(old: str, new: str):
        # Keys on their way and what tells how far a run is are of no use to any other run.
        if new.startswith(str(tmp_path)) and not {"progress", "runs", "keys"} & set(Path(new).parts):
            named.append(Path(new).name)
            if os.stat(old).st_ino not in synced:
                wrong.append(new)

    build(sources.request(tmp_path, format=format, shards=2, variants=("en", "en.noclean")))
    assert wrong == []
    assert sum(bool(SHARD.search(name)) for name in named) == 6 and "part-0.warc.wet.gz" in " ".join(named)


# The other corpora


@pytest.fixture(scope="module")
def books(tmp_path_factory) -> States:
    folder = tmp_path_factory.mktemp("books")
    library = write_library(folder / "library")
    return states_of(Flow(["books", library, "--shards", 2], folder))


@pytest.fixture(scope="module")
def wikipedia(tmp_path_factory) -> States:
    return states_of(Flow(["wikipedia", sample_dump()], tmp_path_factory.mktemp("wikipedia")))


@pytest.fixture(scope="module")
def truncated(books, tmp_path_factory) -> States:
    (corpus,) = books.finished.glob("books/*")
    return states_of(Flow(["truncate", corpus, "--words", "700,1500"], tmp_path_factory.mktemp("truncated")))


@pytest.mark.parametrize("number", few_or_all(3))
@pytest.mark.parametrize("name", ["books", "wikipedia", "truncated"])
def test_another_corpus_that_was_finished_and_has_rotted_is_made_again(request, name, number):
    states = request.getfixturevalue(name)
    check(
        states.flow, states.finished, states.wanted, sample(rot_of(states.finished), number, 7),
        must_be_said=lambda case: ".c4build" not in case.path and Path(case.path).name not in MANIFESTS,
    )  # fmt: skip


@pytest.mark.parametrize("number", few_or_all(3))
@pytest.mark.parametrize("name", ["books", "wikipedia", "truncated"])
def test_another_corpus_that_is_unfinished_and_has_rotted_comes_to_the_same_bytes(request, name, number):
    states = request.getfixturevalue(name)
    check(states.flow, states.unfinished, states.wanted, sample(rot_of(states.unfinished), number, 8))


@pytest.mark.parametrize("number", few_or_all(7))
def test_a_rotten_list_of_shared_urls_is_made_again(tmp_path, number):
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for month in (8, 9):
        posts = ({"url": f"http://example.com/{month}-{number}", "score": number % 7} for number in range(40))
        (dumps / f"RS_2018-0{month}.jsonl").write_text("".join(json.dumps(post) + "\n" for post in posts))
    out = tmp_path / "lists/urls.txt.gz"
    out.parent.mkdir()
    arguments = ["webtext-urls", dumps, "--out", out, "--workers", 1]
    assert run_command(*arguments).code == 0
    wanted = out.read_bytes()
    work = tmp_path / "work"
    shutil.copytree(out.parent, work)
    found = []
    for case in sample(rot_of(work), number, 9):
        shutil.rmtree(out.parent)
        shutil.copytree(work, out.parent)
        spoil(out.parent, case)
        done = run_command(*arguments)
        if "Traceback" in done.err or done.code not in (0, 3):
            found.append(f"{case}: exit {done.code}: {done.err[-200:]!r}")
        elif done.code == 3 and len(done.error_lines) != 1:
            found.append(f"{case}: exit 3 without one clear line: {done.err[-200:]!r}")
        elif done.code == 0 and (not out.exists() or out.read_bytes() != wanted):
            found.append(f"{case}: another list")
    assert not found, "\n".join(found)
