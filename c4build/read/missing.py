"""How many inputs a run may go without, where their servers do not give them: what `--allow-missing` says."""

import re

from c4build.errors import UsageError

_NUMBER_OR_SHARE = re.compile(r"([0-9]{1,18})(%?)")


def most_missing(text: str, files: int) -> int:
    """The number of files that `text` lets be missing: "3", or "2%" of `files`, rounded down.

    Raises:
      UsageError: it is neither.
    """
    found = _NUMBER_OR_SHARE.fullmatch(text.strip())
    if not found or (found[2] and int(found[1]) > 100):
        raise UsageError(f"--allow-missing {text}: give a number of files, as in 3, or a share of them, as in 2%")
    return files * int(found[1]) // 100 if found[2] else int(found[1])
