"""Folders of finished corpora, looked at from outside: what lies in them, and what their manifests say of it."""

import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from command import _be_command, run_command

MANIFESTS = ("c4build.json", "_c4build.json")  # the second where every other file is Parquet
SHARD = re.compile(r"\d{5}-of-\d{5}")
_COUNTS = (
    "pages", "articles", "books", "chapters", "submissions", "kept", "dropped", "repeats_removed", "splits", "lines",
    "words", "bytes",
)  # fmt: skip


def tree(folder) -> dict[str, bytes]:
    """Every file below `folder`, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()
    }


def stamps(folder) -> dict[str, tuple[int, int]]:
    """Of every file below `folder`: which file it is and when it was written, by path."""
    found = {path: path.stat() for path in Path(folder).rglob("*") if path.is_file()}
    return {str(path.relative_to(folder)): (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


def corpus_files(out) -> dict[str, bytes]:
    """All that corpora consist of, by path: shards and metadata, without the manifests, which tell of the run too."""
    return {
        path: data
        for path, data in tree(out).items()
        if not any(part.startswith(".") for part in Path(path).parts) and Path(path).name not in MANIFESTS
    }


def shards(out) -> dict[str, bytes]:
    return {path: data for path, data in corpus_files(out).items() if SHARD.search(path)}


def manifest_path(folder) -> Path:
    """The one manifest of a complete folder."""
    (found,) = [path for name in MANIFESTS if (path := Path(folder, name)).is_file()]
    return found


def manifest(folder) -> dict:
    return json.loads(manifest_path(folder).read_bytes())


def complete_folders(out) -> list[Path]:
    """The folders with a manifest, those of work on the way left out."""
    found = {path.parent for name in MANIFESTS for path in Path(out).rglob(name)}
    return sorted(folder for folder in found if ".c4build" not in folder.relative_to(out).parts)


def counts(out) -> dict[str, dict]:
    """What the manifests count, by folder."""
    return {
        str(folder.relative_to(out)): {name: said[name] for name in _COUNTS if name in said}
        for folder in complete_folders(out)
        if (said := manifest(folder))
    }


def assert_manifests_are_true(out):
    """Each manifest lists every file of its folder with its size and digest, and no temporary file lies anywhere."""
    assert complete_folders(out)
    for folder in complete_folders(out):
        lying = {
            path.name: path for path in folder.iterdir() if path.name not in MANIFESTS and not path.name.startswith(".")
        }
        listed = manifest(folder)["files"]
        assert set(listed) == set(lying), folder
        for name, path in lying.items():
            data = path.read_bytes()
            assert listed[name] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}, path
    assert not temporary_files(out)


def page_files(out) -> list[Path]:
    """The page files of a work folder."""
    return sorted(Path(out).glob(".c4build/pages*/**/*.pages"))


def said_to_be_there(done) -> set[str]:
    """The variants that a command found there already, by its lines on stderr."""
    found = (re.fullmatch(r"c4build: (.+) (?:is|are) there already", line) for line in done.error_lines)
    return {name for match in found if match for name in re.split(", | and ", match[1])}


def temporary_files(folder) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if ".tmp-" in path.name]


class Whole(NamedTuple):
    """What a corpus must be in the end."""

    files: dict[str, bytes]
    counts: dict[str, dict]

    @classmethod
    def of(cls, out) -> "Whole":
        return cls(corpus_files(out), counts(out))


def differences(found: dict, wanted: dict) -> list[str]:
    """The names of what is not as it should be, for messages that can be read."""
    return [
        f"{name}: {'missing' if name not in found else 'extra' if name not in wanted else 'other'}"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]


def assert_same(out, wanted: Whole, but: str = "", but_files: str = ""):
    """The corpora in `out` are those, to the byte and to the count, `but` for the count of that name and files of that."""
    found, right = (
        {path: data for path, data in files.items() if Path(path).name != but_files}
        for files in (corpus_files(out), wanted.files)
    )
    assert differences(found, right) == []
    found, right = (
        {folder: {name: value for name, value in said.items() if name != but} for folder, said in of.items()}
        for of in (counts(out), wanted.counts)
    )
    assert found == right
    assert_manifests_are_true(out)


def make(arguments, out) -> Whole:
    """Runs `arguments` into `out` from nothing; returns what came of it, whole by its own manifest's counts."""
    shutil.rmtree(out, ignore_errors=True)
    done = run_command(*arguments, "--out", out, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    return Whole.of(out)


def write_library(folder: Path, books: int = 5) -> Path:
    """Books of plain English, and a copy of one under another name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(books):
        nights = (
            f"It was the night of day {day} in the year {number}, and the old sailor told them what he had seen at sea."
            for day in range(30)
        )
        (folder / f"book-{number}.txt").write_text(f"Book {number}\n\n" + "\n\n".join(nights))
    (folder / "copy.txt").write_text((folder / "book-3.txt").read_text().replace("\n\n", "\r\n\r\n"))
    return folder


def be_command_in_the_temporary_folder_of_its_environment(*arguments):
    """In place of `command._be_command`: the process that is forked may know the folder of another environment."""
    tempfile.tempdir = None
    _be_command(*arguments)
