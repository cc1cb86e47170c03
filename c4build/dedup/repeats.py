"""Repeated lines and spans: of all copies in a variant, the one on the page with the smallest rank stays."""

import hashlib

import numpy as np

from c4build.dedup.keys import REPEAT, REPEAT_KEY, group_numbers, later_in_group, meeting


def rank(url: str) -> int:
    """The order in which pages own what they share: the first 64 bits of md5(url). Hashed, so as to favour no domain."""
    return int.from_bytes(hashlib.md5(url.encode()).digest()[:8], "big")


def repeats(parts: list[tuple[int, bytes]], variants: int) -> dict[int, bytes]:
    """Decides one bucket of lines or spans.

    Args:
      parts: (file, keys of `REPEAT_KEY` as bytes), in any order; `position` counts the lines or spans of the file.
      variants: how many variants there are.

    Returns:
      For each file the positions that lose variants, as `REPEAT` bytes in order of position.
    """
    keys = np.concatenate([np.frombuffer(data, REPEAT_KEY) for _, data in parts])
    files = np.concatenate([np.full(len(data) // REPEAT_KEY.itemsize, file, np.uint32) for file, data in parts])
    shared = meeting(keys)
    keys, files = keys[shared], files[shared]
    order = np.lexsort((keys["position"], files, keys["rank"], keys["low"], keys["high"]))
    keys, files = keys[order], files[order]
    lost = later_in_group(group_numbers(keys), keys["variants"], variants)
    found = {}
    for file in np.flatnonzero(np.bincount(files[lost > 0])).tolist():
        mine = np.flatnonzero((files == file) & (lost > 0))
        repeat = np.empty(len(mine), REPEAT)
        repeat["position"], repeat["variants"] = keys["position"][mine], lost[mine]
        found[file] = repeat[np.argsort(repeat["position"])].tobytes()
    return found
