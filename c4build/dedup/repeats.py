"""Repeated lines and spans: of all copies in a variant, the one on the page with the smallest rank stays."""

import numpy as np

from c4build.compiled import core
from c4build.dedup.keys import (
    by_group,
    group_numbers,
    join_parts,
    later_in_group,
    losses_of,
    meeting,
    packed,
    repeat_dtype,
    repeat_key_dtype,
)


def repeats(parts: list[tuple[int, bytes]], variants: int) -> dict[int, bytes]:
    """Decides one bucket of lines or spans.

    Args:
      parts: (group of files, keys of `repeat_key_dtype` as bytes), in any order; `position` counts the group's lines or spans.
      variants: how many variants there are.

    Returns:
      For each group the positions that lose variants, as `repeat_dtype` bytes in order of position.
    """
    keys, groups = join_parts(parts, repeat_key_dtype(variants))
    return by_group(groups, keys["position"], lost_repeats(keys, groups, variants), repeat_dtype(variants))


def combine(keys: np.ndarray, variants: int) -> tuple[np.ndarray, np.ndarray]:
    """Decides what some of the files can among themselves: what loses to one of them loses to all.

    Args:
      keys: [n] of `repeat_key_dtype`, of one group; their memory is used for what is returned.
      variants: how many variants there are.

    Returns:
      The keys that are still in, without the variants that they lost, and the positions that lost any, as `repeat_dtype`.
    """
    lost = lost_repeats(keys, np.zeros(len(keys), np.uint32), variants)
    gone = losses_of(keys["position"], lost, repeat_dtype(variants))
    keys["variants"] &= ~lost
    return packed(keys, keys["variants"] > 0), gone


def lost_repeats(keys: np.ndarray, groups: np.ndarray, variants: int) -> np.ndarray:
    """[n] of `bits_dtype`: the variants that each key loses to another, a bit each."""
    if core is None:
        return plain_lost_repeats(keys, groups, variants)
    found = core.lost_repeats(np.ascontiguousarray(keys).data.cast("B"), keys.itemsize, np.ascontiguousarray(groups))
    return np.frombuffer(found, keys["variants"].dtype)


def plain_lost_repeats(keys: np.ndarray, groups: np.ndarray, variants: int) -> np.ndarray:
    """In Python."""
    lost = np.zeros_like(keys["variants"])
    shared = meeting(keys)
    some = keys.take(shared)
    order = np.lexsort((some["position"], groups[shared], some["rank"], some["low"], some["high"]))
    some = some.take(order)
    lost[shared[order]] = later_in_group(group_numbers(some), some["variants"], variants)
    return lost
