"""What data is: SHA-256 of corpora, tasks' examples and vocabularies, by their content and not by their place."""

import concurrent.futures
import json
from pathlib import Path

from c4build.errors import UsageError
from c4build.t5 import digests
from c4build.t5.examples import example_files
from c4build.t5.locks import locked
from c4build.t5.records import corpus_folder, is_corpus_file
from c4build.t5.tasks import TASKS


class Fingerprints:
    """The digests of data, kept in `path` with each file's size and time, so that no file is read twice for its digest."""

    def __init__(self, path):
        self.path = Path(path)
        self.known = self.read()
        self.memo = {}

    def read(self) -> dict:
        """What is kept; nothing where it has changed, since it can be had again."""
        try:
            return digests.read_json(self.path) if self.path.exists() else {}
        except digests.ChangedFile:
            return {}

    def file(self, path) -> str:
        return self.files([Path(path)])[0][1]

    def files(self, paths) -> list[tuple[str, str]]:
        """(name, SHA-256) of some files; those that are new are read, several at a time."""
        stats = {}
        for path in paths:
            if not path.is_file():
                raise UsageError(f"{path}: no such file")
            stat = path.stat()
            stats[path] = [stat.st_size, stat.st_mtime_ns]
        new = [path for path in paths if self.known.get(str(path.absolute()), [])[:2] != stats[path]]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for path, found in zip(new, pool.map(digests.sha256, new)):
                self.known[str(path.absolute())] = [*stats[path], found]
        if new:
            with locked(self.path.with_suffix(".lock")):
                self.known = self.read() | self.known
                digests.write_json(self.path, self.known)
        return [(path.name, self.known[str(path.absolute())][2]) for path in paths]

    def corpus(self, folder) -> str:
        """All of a corpus's files: which of them are held out follows from their names and texts."""
        if folder not in self.memo:
            place = corpus_folder(folder)
            files = [place] if place.is_file() else sorted(file for file in place.iterdir() if is_corpus_file(file))
            self.memo[folder] = json.dumps(self.files(files))
        return self.memo[folder]

    def task(self, name: str, data) -> str:
        """The examples' files, or what TFDS calls the set."""
        files = example_files(TASKS[name], data)
        return json.dumps(self.files(files)) if files else f"tfds: {TASKS[name].tfds}"


class Names:
    """In place of digests the names alone: for a plan, which needs no data."""

    def file(self, path) -> str:
        return str(path)

    def corpus(self, folder) -> str:
        return str(folder)

    def task(self, name: str, data) -> str:
        return f"{name} in {data}"
