"""Whether finished corpora are what was written: every file of a folder against the digests of its manifest, offline."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from c4build.errors import CorruptFileError, UsageError
from c4build.write.files import base_name, check_sum, join, list_files, list_folder, read_sealed
from c4build.write.folder import (
    CLAIM,
    MANIFESTS,
    find_manifest,
    foreign_names,
    sums_in,
    version_key,
)

_THREADS = 4
_DEPTH = 8  # of folders below one that is named


class Verdict(NamedTuple):
    """What is to be said of one folder."""

    folder: str
    files: int
    bytes: int
    wrong: list[str]  # a line each: the file, and what is wrong with it


def find_corpora(folder: str) -> list[str]:
    """The folders of corpora that `folder` names: itself, its newest version, or all below it.

    Raises UsageError where there is none.
    """
    files, folders = list_folder(folder)
    versions = [name for name in folders if name.replace(".", "").isdigit()]
    if versions and not _is_corpus(files):
        found = list(_corpora_from(join(folder, max(versions, key=version_key)), 0))
    else:
        found = sorted(_corpora_from(folder))
    if not found:
        raise UsageError(
            f"{folder}: no corpus that c4build made lies here: name a folder such as OUT/c4/en/1.0.0, or OUT"
        )
    return found


def _corpora_from(folder: str, depth: int = _DEPTH) -> Iterator[str]:
    files, folders = list_folder(folder)
    if _is_corpus(files):
        yield folder
        return
    for name in folders if depth else ():
        path = join(folder, name)
        if not name.startswith(".") and not os.path.islink(path):
            yield from _corpora_from(path, depth - 1)


def _is_corpus(files: Iterable[str]) -> bool:
    return not {*MANIFESTS, CLAIM}.isdisjoint(map(base_name, files))


def verify(folder: str) -> Verdict:
    """Reads all files of a corpus."""
    path = find_manifest(folder)
    if path is None:
        return Verdict(folder, 0, 0, ["it is not complete: run the command that makes it again"])
    try:
        sums = sums_in(read_sealed(path))
    except CorruptFileError as error:
        return Verdict(folder, 0, 0, [str(error)])
    there, names = list_files(folder), sorted(sums)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda name: check_sum(join(folder, name), sums[name], there), names)
        wrong = [f"{name}: {what}" for name, what in zip(names, found) if what]
    ours = {*sums, base_name(path)}
    wrong += [f"{name}: it is not in the manifest" for name in foreign_names(folder, ours)]
    return Verdict(folder, len(sums), sum(found.bytes for found in sums.values()), wrong)
