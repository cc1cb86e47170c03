"""Whether files are still those that were written: sizes and SHA-256, beside the files, on the disk before they count.

    DIR/digest.json     {..., "files": {name: {"size", "sha256"}}}: what `seal` found in a folder when it was whole
    any JSON file       its last key `sha256` is of all the others (`write_json`, `read_json`)

Both are compared byte for byte with what would be written, so that a changed bit in the digest itself is seen as well.
"""

import concurrent.futures
import hashlib
import json
import os
from pathlib import Path

from c4build.errors import C4BuildError

DIGEST = "digest.json"


class ChangedFile(C4BuildError):
    """A file is no longer what was written; the message names it."""


def sync(path) -> None:
    """Waits until a file's data, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path, data: bytes) -> None:
    """The whole file or none of it, on the disk before it has its name."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    sync(part)
    part.rename(path)
    sync(path.parent)


def rendered(fields: dict) -> bytes:
    return (json.dumps(fields, indent=2) + "\n").encode()


def sha256(path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- JSON files


def write_json(path, fields: dict) -> None:
    write_bytes(path, rendered({**fields, "sha256": hashlib.sha256(rendered(fields)).hexdigest()}))


def read_json(path) -> dict:
    """What `write_json` was given. Raises ChangedFile."""
    data = Path(path).read_bytes()
    try:
        fields = json.loads(data)
        expected = fields.pop("sha256")
    except (AttributeError, KeyError, ValueError):
        expected = fields = None
    if expected is None or data != rendered({**fields, "sha256": hashlib.sha256(rendered(fields)).hexdigest()}):
        raise ChangedFile(f"{path} is not as it was written: take it from a copy, or start anew in another folder")
    return fields


# ---- folders


def names_in(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != DIGEST)


def describe(path: Path) -> dict:
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def describe_all(folder: Path, names) -> dict:
    with concurrent.futures.ThreadPoolExecutor() as pool:  # hashing frees the interpreter
        return dict(zip(names, pool.map(describe, [folder / name for name in names])))


def seal(folder, names=None, **about) -> None:
    """Writes the folder's digest last of all: of `names`, else of every file; `about` says what the folder is."""
    folder = Path(folder)
    whole = names is None
    names = names_in(folder) if whole else names
    for name in names:
        sync(folder / name)
    for below in [path for path in folder.rglob("*") if path.is_dir()] if whole else []:
        sync(below)
    write_bytes(folder / DIGEST, rendered({**about, "files": describe_all(folder, names)}))


def fault(folder, whole: bool = True, **about) -> str | None:
    """What of a sealed folder is not as it was written, or None. `whole`: another file in it is a fault as well.

    Sizes are looked at first, since they cost nothing.
    """
    folder = Path(folder)
    path = folder / DIGEST
    if not path.is_file():
        return f"{path} is missing"
    data = path.read_bytes()
    try:
        fields = json.loads(data)
        files = fields.pop("files")
        sizes = {name: files[name]["size"] for name in files}
    except (AttributeError, KeyError, TypeError, ValueError):
        return f"{path} is damaged"
    if data != rendered({**fields, "files": files}) or fields.keys() != about.keys():
        return f"{path} is damaged"
    for name, value in fields.items():
        if value != about[name]:
            return f"{folder} is the checkpoint of {name} {value}"
    there = names_in(folder) if whole else [name for name in sizes if (folder / name).is_file()]
    for name in sorted({*sizes} ^ {*there}):
        return f"{folder / name} is missing" if name in sizes else f"{folder / name} was not written with the rest"
    for name, size in sizes.items():
        if (folder / name).stat().st_size != size:
            return f"{folder / name} has {(folder / name).stat().st_size:,} bytes, not {size}"
    for name, found in describe_all(folder, list(files)).items():
        if found != files[name]:
            return f"{folder / name} is not as it was written"
    return None
