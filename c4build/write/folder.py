"""A corpus' folder: which of its files are ours, when it is complete, and who is writing below an output folder.

A folder is complete when its manifest is there, which is written last and lists every file with its size and digest. A
hidden file, the claim, is written first: it lists the names that are written, and those written before. Only files that
one of the two names are ever replaced or deleted.
"""

import datetime
import errno
import functools
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from c4build.errors import CorruptFileError, InUseError, OutputError, UsageError
from c4build.write import lease, objects
from c4build.write.files import (
    FileSum,
    base_name,
    check_sums,
    delete,
    exists,
    is_local,
    join,
    list_files,
    list_folder,
    make_folder,
    output_errors,
    read_sealed,
    sweep,
    sync_folder,
    write_sealed,
)
from c4build.write.storage import storage_of, temporary_for

MANIFEST = "c4build.json"
# Readers of Parquet take every file of a folder for Parquet, unless its name begins with a _ or a dot.
PARQUET_MANIFEST = "_c4build.json"
MANIFESTS = (MANIFEST, PARQUET_MANIFEST)
CLAIM = ".c4build-files.json"
_LOCK = "lock"
_NAMED = 3  # files that an error names
_MUCH = 1 << 30  # bytes: to read them takes a while


def manifest_name(format: str) -> str:
    return PARQUET_MANIFEST if format == "parquet" else MANIFEST


def find_manifest(folder: str) -> str | None:
    """The path of a complete folder's manifest; None where the folder is not complete."""
    return next((path for name in MANIFESTS if exists(path := join(folder, name))), None)


def read_manifest(folder: str) -> dict | None:
    """A complete folder's manifest, None where it is not complete. Raises CorruptFileError."""
    for name in MANIFESTS:
        try:
            return read_sealed(join(folder, name))
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            return None
    return None


def manifest_of(folder: str) -> dict:
    """The manifest of a folder that was complete a moment ago. Raises CorruptFileError, also where it is gone."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise CorruptFileError(f"{folder}: its manifest is gone; run the same command again")
    return manifest


def is_under_way(folder: str) -> bool:
    """True where c4build has begun to write a corpus and has not completed it."""
    return exists(join(folder, CLAIM)) and not find_manifest(folder)


def sums_in(manifest: Mapping) -> dict[str, FileSum]:
    """The files that a manifest, or a record like it, lists."""
    return {name: FileSum(found["bytes"], found["sha256"]) for name, found in manifest.get("files", {}).items()}


def as_json(sums: Mapping[str, FileSum]) -> dict[str, dict]:
    return {name: sums[name]._asdict() for name in sorted(sums)}


def foreign_names(folder: str, ours: Collection[str]) -> list[str]:
    """What lies in the folder besides hidden files and those of `ours`."""
    files, folders = list_folder(folder)
    names = sorted([*map(base_name, files), *folders])
    return [name for name in names if not name.startswith(".") and (temporary_for(name) or name) not in ours]


def ours_in(folder: str) -> set[str]:
    """The names in the folder that are ours by its manifest or its claim. Raises CorruptFileError where neither tells."""
    ours, corrupt = {*MANIFESTS, CLAIM}, None
    read = 0
    there = list_files(folder)
    for path in (join(folder, name) for name in (*MANIFESTS, CLAIM)):
        if path in there:
            try:
                ours |= set(read_sealed(path).get("files", {}))
                read += 1
            except CorruptFileError:
                corrupt = path
    if corrupt and not read:
        raise CorruptFileError(
            f"{corrupt} does not hold what was written, so that nothing tells which files are c4build's: if all of {folder} "
            "is, delete it and run the same command again"
        )
    return ours if read else set()


def check_foreign(folder: str) -> set[str]:
    """Fails with a UsageError that names what in the folder is not ours; touches nothing. Returns the names that are."""
    ours = ours_in(folder)
    if foreign := foreign_names(folder, ours):
        more = f" and {len(foreign) - _NAMED:,} more" if len(foreign) > _NAMED else ""
        raise UsageError(
            f"{folder} holds what c4build has no record of: {', '.join(foreign[:_NAMED])}{more}; move it away, or give "
            "another --out"
        )
    return ours


def claim(folder: str, names: Collection[str]):
    """Makes the folder ours to write `names` into: incomplete from here on, without what a former run left besides.

    Raises UsageError where other files lie there.
    """
    make_folder(folder)
    ours = check_foreign(folder)
    kept = {*ours, *names} - {CLAIM, *MANIFESTS}  # which are ours wherever they lie beside a claim
    write_sealed(join(folder, CLAIM), {"files": dict.fromkeys(sorted(kept), {})})
    # The manifest first, then what else makes a reader take the folder for a corpus.
    first = {MANIFEST: 0, PARQUET_MANIFEST: 0, "dataset_info.json": 1}
    found = [name for name in map(base_name, list_files(folder)) if name in ours or temporary_for(name) in ours]
    for name in sorted(found, key=lambda name: first.get(name, 2)):
        if name != CLAIM and (name in first or name not in names):
            delete(join(folder, name))
    if not is_local(folder):
        sweep(folder)
        _claimed.add(folder)


def complete(folder: str, format: str, sums: Mapping[str, FileSum], fields: dict):
    """Writes the manifest, which makes the folder complete: `fields`, and `sums` of all its files."""
    sync_folder(folder)
    write_sealed(join(folder, manifest_name(format)), {**fields, "files": as_json(sums)})
    sync_folder(folder)


def is_complete(
    folder: str, made_from: Mapping, sources: Mapping[str, str], overwrite: bool, say: Callable[[str], object]
) -> bool:
    """True if this very corpus is there, as it was written; False where it can be written, now or again.

    Args:
      folder: of the corpus.
      made_from: all that decides what is in it, by name; `corpus` is its own name.
      sources: the identities of the inputs, by path.
      overwrite: another corpus that is there may be replaced.
      say: is told in a line which file is not what it was.

    Raises:
      UsageError: another corpus is there, and in what it differs; or files that are not ours.
      CorruptFileError: nobody can tell what is there.
    """
    try:
        manifest = read_manifest(folder)
    except CorruptFileError as error:
        raise CorruptFileError(
            f"{error}; if all in {folder} is c4build's, delete it and run the same command again"
        ) from error
    made_from = json.loads(json.dumps(made_from))  # as the manifest has it
    if manifest is not None and manifest.get("made_from", {}).get("corpus") != made_from["corpus"]:
        raise CorruptFileError(
            f"{find_manifest(folder)} is the manifest of another corpus; if all in {folder} is c4build's, delete it and run "
            "the same command again"
        )
    done = False
    if manifest is not None and manifest.get("made_from") == made_from:
        sums = sums_in(manifest)
        if sum(found.bytes for found in sums.values()) > _MUCH:
            say(f"reading {folder} once to see that it is what was written")
        wrong = list(check_sums(folder, sums))
        for name, what in wrong:
            say(f"made again: {join(folder, name)}: {what}")
        # What could not be read to its end is tried again.
        done = not wrong and all(source["read_to_its_end"] for source in manifest["inputs"])
    elif manifest is not None and not overwrite:
        differences = ", ".join(_differences(manifest, made_from, sources))
        raise UsageError(f"{folder} holds a corpus with {differences}: give another --out, or --overwrite")
    if not done:
        check_foreign(folder)
    return done


def _differences(manifest: Mapping, made_from: Mapping, sources: Mapping[str, str]) -> Iterator[str]:
    """In what a complete folder differs from what is asked for: `shards = 2, not 3`."""
    old, new = ({**of, **of.get("rules", {})} for of in (manifest.get("made_from", {}), made_from))
    for name in dict.fromkeys([*new, *old]):
        was, is_now = old.get(name), new.get(name)
        if name in ("inputs", "rules") or was == is_now:
            continue
        if isinstance(is_now, dict):  # of identities, by path
            yield f"other {name}: " + _changed(was or {}, is_now)
        elif name in _LISTS:
            yield f"another list of {name}"
        else:
            yield f"{name} = {_short(was)}, not {_short(is_now)}"
    if old.get("inputs") != new["inputs"]:
        before = {source["path"]: source.get("identity") for source in manifest.get("inputs", [])}
        yield "other inputs: " + (_changed(before, sources) or "in other pieces")


_LISTS = ("bad_words", "news_domains", "excluded")  # digests in place of content


def _short(value) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, (list, tuple)) else str(value)


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    kinds = {
        "added": [path for path in now if path not in before],
        "removed": [path for path in before if path not in now],
        "changed": [path for path in now if path in before and before[path] != now[path]],
    }
    said = [
        f"{len(paths):,} {kind} ({paths[0]}{', ...' if paths[1:] else ''})" for kind, paths in kinds.items() if paths
    ]
    return ", ".join(said)


def nothing_read(record: str, paths: Sequence[str], damaged: Sequence[Mapping]) -> str:
    """What to say where no page, or what `record` calls it, came of the inputs."""
    told = "; ".join(f"{entry['input']} at byte {entry['offset']:,}: {entry['what']}" for entry in damaged[:3])
    of = paths[0] if len(paths) == 1 else f"{len(paths):,} inputs"
    return f"no {record} came of {of}{': ' + told if told else ''}; nothing is published"


def keeps_nothing(name: str, record: str, manifest: Mapping) -> str | None:
    """A warning where a corpus is empty, with the rules that took everything, the one that took most first."""
    if manifest["kept"]:
        return None
    dropped = sorted(manifest["dropped"].items(), key=lambda taken: -taken[1])
    took = ", ".join(f"{reason.replace('_', ' ')} took {count:,}" for reason, count in dropped[:3])
    return f"warning: {name} keeps no {record.removesuffix('s')}: {took}"


def seconds_since(started: str) -> float:
    """From an ISO date to now."""
    return (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(started)).total_seconds()


# One process at a time writes below an output folder


_claimed: set[str] = set()  # remote folders that this process writes to
_held: dict[str, tuple[Callable[[], object], int]] = {}  # by folder: what gives the lock back, how often it was taken


def lock(work: str, out: str):
    """Takes the lock of an output folder for this process, until as many calls of `unlock` or its end.

    Args:
      work: the folder that the lock lies in; one on what Beam alone has a file system for has none.
      out: what the error names.

    Raises:
      InUseError: with who has it.
    """
    if work in _held:
        held, times = _held[work]
        _held[work] = held, times + 1
        return
    release: Callable[[], object] | None
    if is_local(work):
        release = _lock_file(work, out)
    else:
        taken = lease.take(join(work, _LOCK), out) if storage_of(work) is objects else None
        release = functools.partial(_give_back, taken, work, out) if taken else None
    if release is not None:
        _held[work] = release, 1


def unlock(work: str):
    """Gives the lock of `work` back where this process has it."""
    if work in _held:
        release, times = _held.pop(work)
        if times > 1:
            _held[work] = release, times - 1
        else:
            release()


def _give_back(taken: lease.Lease, work: str, out: str):
    """Ends the lock of a remote folder, and what uploads a run that was stopped left unfinished in it."""
    claimed = {folder for folder in _claimed if folder.startswith(f"{out}/")}
    _claimed.difference_update(claimed)
    try:
        for folder in {*claimed, work} if claimed else ():
            sweep(folder)
    except OutputError:
        pass  # the next run does it
    taken.release()


def _lock_file(work: str, out: str) -> Callable[[], object] | None:
    """Locks a file in a local folder; the end of the process, however it comes, ends the lock as `os.close` does."""
    make_folder(work)
    path = join(work, _LOCK)
    with output_errors(path):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                return None  # who cannot write disturbs nobody; what must be written says so
            raise
    if not _take(handle):
        holder = _holder(handle)
        os.close(handle)
        raise InUseError(f"{out} is being written to by {holder}: wait for it, stop it, or give another --out")
    with output_errors(path):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(lease.this_process()).encode() + b"\n", 0)
    return functools.partial(os.close, handle)


def _take(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # not POSIX: no lock
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _holder(handle: int) -> str:
    try:
        return lease.told(json.loads(os.pread(handle, 1 << 12, 0)))
    except (OSError, ValueError):
        return "another process"


def version_key(path: str) -> list:
    """Numbers in names count as numbers: 1.10.0 comes after 1.9.0."""
    parts = re.split(r"(\d+)", path.rpartition("/")[2])
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
