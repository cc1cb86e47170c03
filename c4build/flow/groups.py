"""The keys of a group of files, taken as one file, and what the group loses, cut up to its files again. Pure, but for reading
page files."""

from collections.abc import Iterable, Iterator

import numpy as np

from c4build.dedup.keys import (
    bit_weights,
    by_bucket,
    deal,
    hashes,
    loss_dtype,
    packed,
    repeat_dtype,
    repeat_key_dtype,
    sortable_dates,
    url_key_dtype,
)
from c4build.dedup.repeats import combine
from c4build.flow.pagefiles import PageFile, read_keys, reasons_in
from c4build.flow.settings import FinishSettings
from c4build.rules.tables import bits_where
from c4build.write.tables import joined


class Group:
    """Some files laid end to end: row r of the i-th is row `rows[i]` + r of the group, and so with keys."""

    def __init__(self, files: Iterable[PageFile]):
        self.files = sorted(files)
        self.rows = np.cumsum([0, *(file.rows for file in self.files)]).tolist()
        self.keys = np.cumsum([0, *(file.keys for file in self.files)]).tolist()

    def contents(self) -> list:
        """What tells the group from another, as JSON."""
        return [[file.file, file.content] for file in self.files]


def url_keys(group: Group, settings: FinishSettings, buckets: int) -> Iterator[tuple[int, bytes]]:
    """Yields (bucket, keys of URLs)."""
    dealt = []
    for file, start in zip(group.files, group.rows):
        columns = settings.columns_in(file)
        all_keys = np.empty(file.rows, url_key_dtype(len(columns)))
        for first, _, batch in read_keys(file, ["reasons", "url_hash", "timestamp"]):
            keys = all_keys[first : first + batch.num_rows]
            hashed = hashes(joined(batch.column("url_hash"))[0])
            keys["high"], keys["low"] = hashed["high"], hashed["low"]
            keys["date"] = sortable_dates(*joined(batch.column("timestamp")))
            keys["page"] = np.arange(start + first, start + first + batch.num_rows)
            keys["reasons"] = reasons_in(batch)[:, columns]
        dealt.append(deal(all_keys, buckets))
    for bucket, keys in by_bucket(dealt, buckets):
        yield bucket, keys.tobytes()


def repeat_keys(group: Group, losses: bytes, settings: FinishSettings, buckets: int) -> Iterator[tuple[int, bytes]]:
    """Yields (bucket, keys of lines or spans of the pages that are still in), in the end (-1, repeats found at home).

    What a line loses to another of its file or of its group it loses for good, and does not travel.
    """
    variants = len(settings.variants)
    lost = _in_order(np.frombuffer(losses, loss_dtype(variants)))
    dealt, gone = [], []
    for file, row, key in zip(group.files, group.rows, group.keys):
        keys, repeated = combine(_repeat_keys(file, key, _within(lost, row, file.rows), settings), variants)
        gone.append(repeated)
        dealt.append(deal(keys, buckets))
    for bucket, keys in by_bucket(dealt, buckets):
        if len(dealt) > 1:
            keys, repeated = combine(keys, variants)
            gone.append(repeated)
        yield bucket, keys.tobytes()
    yield -1, np.concatenate([np.empty(0, repeat_dtype(variants)), *gone]).tobytes()


def _repeat_keys(file: PageFile, start: int, losses: np.ndarray, settings: FinishSettings) -> np.ndarray:
    variants, columns = settings.variants, settings.columns_in(file)
    weights = bit_weights(len(variants))
    lost = np.zeros(file.rows, weights.dtype)
    lost[losses["page"]] = losses["variants"]
    wanted = bits_where(lambda variant: variant.deduplicated, variants)
    all_keys = np.empty(file.keys, repeat_key_dtype(len(variants)))
    for row, position, batch in read_keys(file, ["reasons", "rank", "keys"]):
        running = ((reasons_in(batch)[:, columns] == 0) * weights).sum(axis=1).astype(weights.dtype)
        running &= ~lost[row : row + batch.num_rows] & weights.dtype.type(wanted)
        data, sizes = joined(batch.column("keys"))
        hashed, counts = hashes(data), sizes // 16
        keys = all_keys[position : position + len(hashed)]
        keys["high"], keys["low"] = hashed["high"], hashed["low"]
        keys["rank"] = np.repeat(batch.column("rank").to_numpy(), counts)
        keys["position"] = np.arange(start + position, start + position + len(keys))
        keys["variants"] = np.repeat(running, counts)
    return packed(all_keys, all_keys["variants"] > 0)


def cut(group: Group, losses: bytes, repeats: bytes, variants: int) -> Iterator[tuple[int, bytes]]:
    """Yields (file, its losses), (file, its repeats) for each file in order, by place."""
    lost = _in_order(np.frombuffer(losses, loss_dtype(variants)))
    repeated = _merged(np.frombuffer(repeats, repeat_dtype(variants)))
    for file, row, key in zip(group.files, group.rows, group.keys):
        yield file.file, _within(lost, row, file.rows).tobytes()
        yield file.file, _within(repeated, key, file.keys).tobytes()


def _in_order(losses: np.ndarray) -> np.ndarray:
    return losses.take(np.argsort(losses[_place_in(losses)], kind="stable"))  # which sees what is in order already


def _place_in(losses: np.ndarray) -> str:
    """The field that says where they lie."""
    assert losses.dtype.names is not None  # they have fields
    return losses.dtype.names[0]


def _merged(repeats: np.ndarray) -> np.ndarray:
    """By position: one may lose some variants at home and others abroad."""
    repeats = _in_order(repeats)
    positions, starts = np.unique(repeats["position"], return_index=True)
    merged = np.empty(len(positions), repeats.dtype)
    merged["position"] = positions
    merged["variants"] = np.bitwise_or.reduceat(repeats["variants"], starts) if len(positions) else 0
    return merged


def _within(losses: np.ndarray, start: int, size: int) -> np.ndarray:
    """Of a group's losses in order of place those of one file, with places in that file."""
    place = _place_in(losses)
    first, stop = np.searchsorted(losses[place], [start, start + size])
    found = losses[first:stop].copy()
    found[place] -= start
    return found
