"""The newest copy of each URL, and which URLs stand in a list."""

from collections import Counter

import numpy as np

from c4build.dedup.keys import (
    HASH,
    bit_weights,
    bits_dtype,
    by_group,
    group_numbers,
    join_parts,
    later_in_group,
    loss_dtype,
    meeting,
    url_key_dtype,
)
from c4build.rules.tables import CODE, REASONS, RuleSet


def competing(rules: RuleSet) -> np.ndarray:
    """[reasons] bool: does a page that is out for this reason still displace an older copy of its URL?"""
    competes = np.full(len(REASONS), rules.newest_of == "all")
    competes[CODE["kept"]] = True
    competes[[CODE["not_a_news_domain"], CODE["excluded"]]] = False
    return competes


def newest(
    parts: list[tuple[int, bytes]], listed: bytes | None, listed_bits: int, competes: np.ndarray, variants: int
) -> tuple[dict[int, bytes], Counter]:
    """Decides one bucket of URLs.

    Args:
      parts: (group of files, keys of `url_key_dtype` as bytes), in any order.
      listed: hashes of the listed URLs of this bucket as bytes; None where no variant asks for a list.
      listed_bits: the variants that take listed URLs only, a bit each.
      competes: [reasons] bool, see `competing`.
      variants: how many variants there are.

    Returns:
      For each group the pages that lose variants here, also those that are out there, as `loss_dtype` bytes; and (variant, reason code) counts of every page
      that ends here, for each variant: displaced, not listed, or out before for a reason that competes.
    """
    keys, groups = join_parts(parts, url_key_dtype(variants))
    bits = bits_dtype(variants)
    weights = bit_weights(variants)
    reasons = keys["reasons"]
    running = (competes[reasons] * weights).sum(axis=1).astype(bits)
    displaced = displaced_in(keys, groups, running, variants)
    unlisted = np.zeros(len(keys), bits)
    if listed is not None and listed_bits:
        found = np.isin(as_values(keys), as_values(np.frombuffer(listed, HASH)))
        unlisted = np.where(found, 0, running & ~displaced & listed_bits).astype(bits)
    counts: Counter = Counter()
    for variant in range(variants):
        bit = 1 << variant
        counts[variant, CODE["duplicate_url"]] += int(np.count_nonzero(displaced & bit))
        counts[variant, CODE["not_in_url_list"]] += int(np.count_nonzero(unlisted & bit))
        ended = reasons[(running & ~displaced & ~unlisted & bit) > 0, variant]
        for code, count in enumerate(np.bincount(ended).tolist()):
            if code and count:
                counts[variant, code] += count
    return by_group(groups, keys["page"], displaced | unlisted, loss_dtype(variants), unlisted), counts


def displaced_in(keys: np.ndarray, groups: np.ndarray, running: np.ndarray, variants: int) -> np.ndarray:
    """[n] of `bits_dtype`: the variants in which a better copy of its URL displaces each key.

    Args:
      keys: [n] of `url_key_dtype`.
      groups: [n] uint32, the group of files of each.
      running: [n] of `bits_dtype`, the variants in which it competes.
      variants: how many variants there are.
    """
    # Of most URLs there is one copy: only the others are sorted further, the best copy last, then turned round.
    several = meeting(keys)
    fields = keys.take(several)
    best_last = np.lexsort(
        (-fields["page"].astype(np.int64), ~groups[several], fields["date"], fields["low"], fields["high"])
    )
    several = several[best_last[::-1]]
    displaced = np.zeros_like(running)
    displaced[several] = later_in_group(group_numbers(keys.take(several)), running[several], variants)
    return displaced


def as_values(keys: np.ndarray) -> np.ndarray:
    """[n] complex: both halves of each hash as one value that NumPy can look up; only equality of its bits matters."""
    halves = np.stack([keys["high"], keys["low"]], axis=1)
    return np.ascontiguousarray(halves).view("V16").reshape(-1)
