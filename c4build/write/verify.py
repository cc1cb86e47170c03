"""Whether finished corpora are what was written: every file of a folder against the digests of its manifest, offline."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from c4build.errors import CorruptFileError, UsageError
from c4build.write.files import check_sums, exists, is_local, join, list_folders
from c4build.write.folder import (
    CLAIM,
    MANIFESTS,
    find_manifest,
    foreign_names,
    is_under_way,
    read_manifest,
    sums_in,
    version_key,
)

_THREADS = 4


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
    if not is_local(folder) or _is_corpus(folder):
        found = [folder] if _is_corpus(folder) else []
    else:
        versions = [name for name in list_folders(folder) if name.replace(".", "").isdigit()]
        if versions:
            newest = join(folder, max(versions, key=version_key))
            found = [newest] if _is_corpus(newest) else []
        else:
            below = (path for path, folders, _ in os.walk(folder) if _descend(folders))
            found = sorted(path for path in below if _is_corpus(path))
    if not found:
        raise UsageError(f"{folder}: no corpus that c4build made lies here: name a folder such as OUT/c4/en/1.0.0, or OUT")
    return found


def _is_corpus(folder: str) -> bool:
    return any(exists(join(folder, name)) for name in (*MANIFESTS, CLAIM))


def _descend(folders: list[str]) -> bool:
    """Keeps a walk out of hidden folders; always true."""
    folders[:] = sorted(name for name in folders if not name.startswith("."))
    return True


def verify(folder: str) -> Verdict:
    """Reads all files of a corpus."""
    if is_under_way(folder):
        return Verdict(folder, 0, 0, ["it is not complete: run the command that makes it again"])
    try:
        sums = sums_in(read_manifest(folder))
    except CorruptFileError as error:
        return Verdict(folder, 0, 0, [str(error)])
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda name: list(check_sums(folder, {name: sums[name]})), sorted(sums))
        wrong = [f"{name}: {what}" for each in found for name, what in each]
    ours = {*sums, find_manifest(folder).rpartition("/")[2]}
    wrong += [f"{name}: it is not in the manifest" for name in foreign_names(folder, ours)]
    return Verdict(folder, len(sums), sum(found.bytes for found in sums.values()), wrong)

