"""What lies in S3 and Google Cloud Storage: listed 1,000 names a request."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from c4build.read.attempts import Attempts
from c4build.read.hosts import Transport
from c4build.read.stores import Listing

SCHEMES = ("s3", "gs")


def list_objects(prefix: str, deep: bool, settings: Transport | None = None) -> tuple[dict[str, int], list[str]]:
    """The objects whose paths start with `prefix`, with their sizes in bytes, and the paths of folders.

    Args:
      prefix: as s3://bucket/a/b/
      deep: lists those in folders below the prefix as well; else only these folders.
      settings: how to ask, else `attempts.DEFAULT`.

    Raises:
      FetchError: the store does not say.
    """
    attempts = Attempts(prefix, settings, "listed")
    files: dict[str, int] = {}
    folders: list[str] = []
    after = ""

    def page() -> Listing:
        answer = attempts.answer_to(lambda: attempts.store.list(prefix, deep, after))
        if answer.status != 200:
            raise attempts.refused(answer)
        return answer.said

    while True:
        found = attempts.run(page)
        # A name that ends in / stands for a folder, as consoles make them.
        files |= {path: size for path, size in found.files.items() if not path.endswith("/")}
        folders += [path.rstrip("/") for path in found.folders]
        after = found.next
        if not after:
            return files, folders


def objects_below(folder: str, endings: tuple[str, ...]) -> list[str]:
    """The objects below a folder whose names have one of the endings and are not hidden. Raises FetchError."""
    paths = [path for path in list_objects(folder, deep=True)[0] if path.lower().endswith(endings)]
    return [path for path in paths if not path.rpartition("/")[2].startswith(".")]


def glob_objects(pattern: str) -> list[str]:
    """The objects that a pattern names: * and ? and [abc] stand for something but a /, ** for folders. Raises FetchError."""
    start = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    files, _ = list_objects(start, deep=True)
    return [path for path in files if _matches(path.split("/"), pattern.split("/"))]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    hidden = bool(parts) and parts[0].startswith(".") and not pattern[0].startswith(".")
    return bool(parts) and not hidden and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
