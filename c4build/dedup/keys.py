"""Keys as they travel between stages: fixed-size records in NumPy arrays, a few arrays a (group of files, bucket).

A key's bucket is taken from its hash, so that all equal keys meet in one bucket; the number of buckets changes no
result. The files of a group are taken as one: `page` is a row of theirs laid end to end, `position` a line or span. Groups
are numbered in the order of the run's inputs, which are sorted: ties are broken by these, the same on every runner.

Records are picked by `take`, or moved as bytes: NumPy's indices and `concatenate` go by fields, five times as slow.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import mmh3
import numpy as np

from c4build.compiled import core
from c4build.rules.urls import in_validation, normalize_url

# What a date may weigh: the 20 characters of a WARC date, and of WARC 1.1 with fractions. Longer ones are cut.
_DATE_BYTES = 32
HASH = [("high", "<u8"), ("low", "<u8")]
_PACKED_AT_ONCE = 1 << 14  # keys
MOST_VARIANTS = 60  # of one run: each is a bit of a number


def bits_dtype(variants: int) -> np.dtype:
    """A number with a bit for each variant, as small as can be."""
    return np.dtype(next(f"<u{size}" for size in (1, 2, 4, 8) if variants <= 8 * size))


def bit_weights(variants: int) -> np.ndarray:
    """[variants]: the bit of each."""
    return (1 << np.arange(variants)).astype(bits_dtype(variants))


def repeat_key_dtype(variants: int) -> np.dtype:
    return np.dtype([*HASH, ("rank", "<u8"), ("position", "<u4"), ("variants", bits_dtype(variants))])


def repeat_dtype(variants: int) -> np.dtype:
    return np.dtype([("position", "<u4"), ("variants", bits_dtype(variants))])


def loss_dtype(variants: int) -> np.dtype:
    """Of a page: the variants that it loses to another copy or for want of its URL in a list; which of them for the latter."""
    return np.dtype([("page", "<u4"), ("variants", bits_dtype(variants)), ("unlisted", bits_dtype(variants))])


# Of up to eight variants.
REPEAT_KEY, REPEAT, LOSS = (of(8) for of in (repeat_key_dtype, repeat_dtype, loss_dtype))


def url_key_dtype(variants: int) -> np.dtype:
    """Keys of URLs: hash, date, page, and for each variant the reason why the page is out (0: it is in)."""
    date = ("date", f"S{_DATE_BYTES}")
    return np.dtype([*HASH, date, ("page", "<u4"), ("reasons", "u1", (variants,))])


def hash_text(text: str) -> bytes:
    """128 bits of `text`, as 16 bytes: MurmurHash3 of its UTF-8."""
    return mmh3.mmh3_x64_128_digest(text.encode())


class UrlKey(NamedTuple):
    """What a page is known by."""

    url: str  # normalised
    hash: bytes
    chance: int  # the first half of the hash
    validation: bool  # is it held out?
    rank: int  # the order in which pages own what they share, see `rank`


def plain_url_key(url: str) -> UrlKey:
    """In Python."""
    normalized = normalize_url(url)
    hashed = hash_text(normalized)
    chance = int.from_bytes(hashed[:8], "little")
    return UrlKey(normalized, hashed, chance, in_validation(normalized), rank(url))


url_key = core.url_key if core else plain_url_key  # of a URL as it is written


def rank(url: str) -> int:
    """The order in which pages own what they share: the first 64 bits of md5(url). Hashed, so as to favour no domain."""
    return int.from_bytes(hashlib.md5(url.encode()).digest()[:8], "big")


def sortable_dates(joined: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Dates as byte strings that compare as the strings do, by code points.

    Args:
      joined: [bytes] uint8, the dates in UTF-8 one after another.
      sizes: [n] int, the bytes of each.
    """
    places = np.arange(_DATE_BYTES)
    inside = places < sizes[:, None]
    starts = np.cumsum(sizes) - sizes
    dates = np.zeros(inside.shape, np.uint8)
    # Up by one, which leaves the order: no byte of UTF-8 is 255, and NumPy's strings would drop a NUL at their end.
    dates[inside] = joined[(starts[:, None] + places)[inside]] + 1
    return dates.view(f"S{_DATE_BYTES}").reshape(-1)


def hashes(joined: bytes | np.ndarray) -> np.ndarray:
    """Hashes of 16 bytes each, joined, as an array [n] of `HASH`."""
    return np.frombuffer(joined, dtype=HASH)


class Dealt(NamedTuple):
    """Keys in the order of their buckets: those of bucket b from `bounds[b]` to `bounds[b + 1]`."""

    keys: np.ndarray
    bounds: np.ndarray


def deal(keys: np.ndarray, buckets: int) -> Dealt:
    if buckets == 1:
        return Dealt(keys, np.array([0, len(keys)]))
    bucket = (keys["high"] % np.uint64(buckets)).astype(np.uint16)
    order = np.argsort(bucket, kind="stable")
    return Dealt(keys.take(order), np.searchsorted(bucket[order], np.arange(buckets + 1)))


def by_bucket(parts: Sequence[Dealt], buckets: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (bucket, its keys of all parts) for each bucket that has any."""
    for bucket in range(buckets):
        found = [keys[bounds[bucket] : bounds[bucket + 1]] for keys, bounds in parts]
        found = [keys for keys in found if len(keys)]
        if found:
            yield bucket, found[0] if len(found) == 1 else _end_to_end(found)


def packed(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The keys that are `wanted`, [n] bool, moved to the front of their memory: new memory costs more than the copying."""
    records, size = _as_bytes(keys), 0
    for start in range(0, len(keys), _PACKED_AT_ONCE):
        stop = start + _PACKED_AT_ONCE
        found = records[start:stop].take(np.flatnonzero(wanted[start:stop]))
        records[size : size + len(found)] = found
        size += len(found)
    return keys[:size]


def _end_to_end(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([_as_bytes(part) for part in parts]).view(parts[0].dtype)


def _as_bytes(records: np.ndarray) -> np.ndarray:
    """The same memory, as records without fields."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


def later_in_group(same_group: np.ndarray, variants: np.ndarray, bits: int) -> np.ndarray:
    """Which variants each key loses to an earlier one of its group.

    Args:
      same_group: [n] int, equal for keys of one group, the keys of a group lying side by side, best first.
      variants: [n] of `bits_dtype`, a bit for each variant the key competes in.
      bits: how many variants there are.

    Returns:
      [n] of that type: the bits in which an earlier key of the group competes too.
    """
    lost = np.zeros_like(variants)
    for bit in range(bits):
        rivals = np.flatnonzero(variants & (1 << bit))
        groups = same_group[rivals]
        lost[rivals[1:][groups[1:] == groups[:-1]]] |= 1 << bit
    return lost


def group_numbers(keys: np.ndarray) -> np.ndarray:
    """[n] int: a number for each run of equal hashes in sorted `keys`."""
    new = (keys["high"][1:] != keys["high"][:-1]) | (keys["low"][1:] != keys["low"][:-1])
    return np.concatenate([[0], np.cumsum(new)]) if len(keys) else np.zeros(0, int)


def join_parts(parts: list[tuple[int, bytes]], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """(keys [n] of `dtype`, the group of each [n] uint32) of parts: (group, its keys as bytes)."""
    keys = np.frombuffer(b"".join(data for _, data in parts), dtype)
    sizes = np.array([len(data) // dtype.itemsize for _, data in parts], np.int64)
    return keys, np.repeat(np.array([group for group, _ in parts], np.uint32), sizes)


def losses_of(places: np.ndarray, lost: np.ndarray, dtype: np.dtype, unlisted: np.ndarray | None = None) -> np.ndarray:
    """What is lost, as an array of `dtype`.

    Args:
      places: [n] int, what `dtype` has first: a key's page or position.
      lost: [n] of `bits_dtype`, the variants that the key loses, a bit each.
      dtype: of `loss_dtype` or `repeat_dtype`.
      unlisted: the same as `lost`, for `loss_dtype`.
    """
    gone = np.flatnonzero(lost)
    found = np.empty(len(gone), dtype)
    place, *_ = dtype.names or ()
    found[place], found["variants"] = places[gone], lost[gone]
    if unlisted is not None:
        found["unlisted"] = unlisted[gone]
    return found


def by_group(
    groups: np.ndarray, places: np.ndarray, lost: np.ndarray, dtype: np.dtype, unlisted: np.ndarray | None = None
) -> dict[int, bytes]:
    """What is lost, for each group of files that loses anything.

    Args:
      groups: [n] int, the group of each key.
      places, lost, dtype, unlisted: see `losses_of`.

    Returns:
      For each group its places and variants as `dtype` bytes, in order of place.
    """
    gone = np.flatnonzero(lost)
    gone = gone[np.lexsort((places[gone], groups[gone]))]
    losing, starts = np.unique(groups[gone], return_index=True)
    found = losses_of(places[gone], lost[gone], dtype, None if unlisted is None else unlisted[gone])
    return {int(group): part.tobytes() for group, part in zip(losing, np.split(found, starts[1:]))}


def meeting(keys: np.ndarray) -> np.ndarray:
    """[m] int: the keys that may have an equal one among the others; most have none, and need not be sorted further."""
    order = np.argsort(keys["high"])
    high = keys["high"][order]
    shared = np.zeros(len(keys), bool)
    shared[1:] = high[1:] == high[:-1]
    shared[:-1] |= shared[1:]
    return order[shared]
