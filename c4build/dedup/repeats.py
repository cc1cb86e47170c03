"""Repeated lines and spans: of all copies in a variant, the one on the page with the smallest rank stays."""

import hashlib

import numpy as np

from c4build.dedup.keys import REPEAT, REPEAT_KEY, by_file, group_numbers, join_parts, later_in_group, meeting


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
    keys, files = join_parts(parts, REPEAT_KEY)
    shared = meeting(keys)
    keys, files = keys[shared], files[shared]
    order = np.lexsort((keys["position"], files, keys["rank"], keys["low"], keys["high"]))
    keys, files = keys[order], files[order]
    lost = later_in_group(group_numbers(keys), keys["variants"], variants)
    return by_file(files, keys["position"], lost, REPEAT)
