"""The card of the corpora in a folder: a README.md as the Hugging Face Hub has them, by which `datasets` tells them apart."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from c4build.errors import CorruptFileError
from c4build.write.files import delete, join, list_folders, open_file, whole_file
from c4build.write.folder import read_manifest

CARD = "README.md"

_DEPTH = 3  # of folders below OUT: c4/en/1.0.0
_MARK = "# Made by c4build, and made anew by its next run as long as nobody changes it. sha256 of what follows: "
_KINDS = {"jsonl": "json", "parquet": "parquet"}  # what `datasets` calls our formats
_SHARD = re.compile(r"(?P<start>.+-(?P<split>train|validation)[.-])\d+-of-\d+(?P<end>\.json\.gz|\.parquet)")


class Corpus(NamedTuple):
    """A complete corpus."""

    place: tuple[str, ...]  # its folder below OUT, the version last
    kind: str  # json | parquet
    splits: dict[str, str]  # the pattern of each split's files, relative to OUT
    examples: dict[str, int]
    rules: str


def write_card(out: str) -> str | None:
    """Writes OUT/README.md with a config for every complete JSONL or Parquet corpus below OUT: c4.en, books.

    A README.md that somebody else wrote or changed is left alone; then the line to tell so is returned, else None.
    A card of ours goes where no such corpus is left.
    """
    path = join(out, CARD)
    there = _read(path)
    corpora = sorted(_corpora(out))
    if there is not None and not is_ours(there):
        return f"{path} is not c4build's, or was changed, and is left as it is" if corpora else None
    if corpora:
        content = make_card(corpora)
        if content != there:
            with whole_file(path) as file:
                file.write(content)
    elif there is not None:
        delete(path)
    return None


def is_ours(content: bytes) -> bool:
    """True for a card as `make_card` made it, unchanged."""
    head, line, rest = content.partition(b"\n")
    mark, _line, rest = rest.partition(b"\n")
    return head == b"---" and mark == (_MARK + hashlib.sha256(rest).hexdigest()).encode()


def make_card(corpora: list[Corpus]) -> bytes:
    """The card of the corpora."""
    names = _config_names(corpora)
    # `datasets` reads all configs of a card as files of one kind.
    kind = corpora[0].kind
    configs = ["configs:"]
    for name, corpus in zip(names, corpora):
        if corpus.kind == kind:
            configs += [f"- config_name: {json.dumps(name)}", "  data_files:"]
            for split, pattern in corpus.splits.items():
                configs += [f"  - split: {split}", f"    path: {json.dumps(pattern)}"]
    rows = [
        f"| `{name}` | {corpus.examples.get('train', 0):,} | {corpus.examples.get('validation', 0):,} | {corpus.rules} |"
        for name, corpus in zip(names, corpora)
    ]
    others = [
        f'\n`{name}` is of another format: `load_dataset("{corpus.kind}", data_files={json.dumps(corpus.splits)})`.'
        for name, corpus in zip(names, corpora)
        if corpus.kind != kind
    ]
    lines = [
        *configs, "---", "", "# Corpora made by c4build", "",
        f'`datasets.load_dataset(FOLDER, "{names[0]}")` loads one of them.', "",
        "| config | train | validation | rules |", "|---|---|---|---|", *rows, *others,
    ]  # fmt: skip
    rest = ("\n".join(lines) + "\n").encode()
    return b"---\n" + (_MARK + hashlib.sha256(rest).hexdigest()).encode() + b"\n" + rest


def _config_names(corpora: list[Corpus]) -> list[str]:
    """c4.en; where there are several versions of it, c4.en.1.0.0."""
    versions: dict[tuple[str, ...], int] = defaultdict(int)
    for corpus in corpora:
        versions[corpus.place[:-1]] += 1
    return [".".join(c.place if versions[c.place[:-1]] > 1 else c.place[:-1] or c.place) for c in corpora]


def _corpora(folder: str, place: tuple[str, ...] = ()) -> Iterator[Corpus]:
    try:
        manifest = read_manifest(folder)
    except CorruptFileError:  # `c4build verify` says so
        return
    if manifest is not None:
        corpus = _corpus(place, manifest)
        if corpus.splits:
            yield corpus
    elif len(place) < _DEPTH:
        for name in list_folders(folder):
            if not name.startswith("."):
                yield from _corpora(join(folder, name), (*place, name))


def _corpus(place: tuple[str, ...], manifest: dict) -> Corpus:
    """What `datasets` has to know; without splits where it cannot load the corpus, or where that is empty."""
    kind = _KINDS.get(manifest.get("format", ""), "")
    examples = {split: count for split, count in manifest.get("splits", {}).items() if count}
    patterns = {}
    for name in sorted(manifest["files"]) if kind else ():
        found = _SHARD.fullmatch(name)
        if found and found["split"] in examples:
            patterns[found["split"]] = "/".join([*place, f"{found['start']}*-of-*{found['end']}"])
    rules = manifest.get("rules", {}).get("name", "")
    return Corpus(place, kind, {split: patterns[split] for split in examples if split in patterns}, examples, rules)


def _read(path: str) -> bytes | None:
    try:
        with open_file(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
