"""Files that we replace only where they are ours and unchanged: each holds the sha256 of the rest of itself."""

import hashlib
import re

from c4build.errors import UsageError
from c4build.write.files import open_file, whole_file

# Stands once in a file before it is sealed, before anything that is from outside.
UNSEALED = "c4build:" + "0" * 64
_SEAL = re.compile(rb"c4build:([0-9a-f]{64})")


def write_own(path: str, content: bytes):
    """Writes a file that has `UNSEALED` in it. Raises UsageError where a file of somebody else, or a changed one, lies there."""
    there = read_there(path)
    if there is not None and not _is_ours(there):
        raise UsageError(f"{left_alone(path)}; move it away for a new one")
    with whole_file(path) as file:
        file.write(content.replace(UNSEALED.encode(), b"c4build:" + _digest(content), 1))


def left_alone(path: str) -> str:
    return f"{path} is not c4build's, or was changed, and is left as it is"


def read_there(path: str) -> bytes | None:
    """What a file holds; None where there is none."""
    try:
        with open_file(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _is_ours(content: bytes) -> bool:
    found = _SEAL.search(content)
    return found is not None and found[1] == _digest(_SEAL.sub(UNSEALED.encode(), content, count=1))


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
