"""Repeated lines and spans: of all copies in a variant, the one on the page with the smallest rank stays."""

import hashlib

import numpy as np

from c4build.dedup.keys import (
    REPEAT,
    REPEAT_KEY,
    by_group,
    group_numbers,
    join_parts,
    later_in_group,
    losses_of,
    meeting,
)


def rank(url: str) -> int:
    """The order in which pages own what they share: the first 64 bits of md5(url). Hashed, so as to favour no domain."""
    return int.from_bytes(hashlib.md5(url.encode()).digest()[:8], "big")


def repeats(parts: list[tuple[int, bytes]], variants: int) -> dict[int, bytes]:
    """Decides one bucket of lines or spans.

    Args:
      parts: (group of files, keys of `REPEAT_KEY` as bytes), in any order; `position` counts the group's lines or spans.
      variants: how many variants there are.

    Returns:
      For each group the positions that lose variants, as `REPEAT` bytes in order of position.
    """
    keys, groups = join_parts(parts, REPEAT_KEY)
    return by_group(groups, keys["position"], _lost(keys, groups, variants), REPEAT)


def combine(keys: np.ndarray, variants: int) -> tuple[np.ndarray, np.ndarray]:
    """Decides what some of the files can among themselves: what loses to one of them loses to all.

    Args:
      keys: [n] of `REPEAT_KEY`, of one group.
      variants: how many variants there are.

    Returns:
      The keys that are still in, without the variants that they lost, and the positions that lost any, as `REPEAT`.
    """
    lost = _lost(keys, np.zeros(len(keys), np.uint32), variants)
    left = keys.copy()
    left["variants"] &= ~lost
    return left[left["variants"] > 0], losses_of(keys["position"], lost, REPEAT)


def _lost(keys: np.ndarray, groups: np.ndarray, variants: int) -> np.ndarray:
    """[n] uint8: the variants that each key loses to another, a bit each."""
    lost = np.zeros(len(keys), np.uint8)
    shared = meeting(keys)
    some = keys[shared]
    order = np.lexsort((some["position"], groups[shared], some["rank"], some["low"], some["high"]))
    some = some[order]
    lost[shared[order]] = later_in_group(group_numbers(some), some["variants"], variants)
    return lost
