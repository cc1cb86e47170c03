"""Two corpora of any size met by the names of their examples, in bounded memory.

Of each example a record of fixed size goes to a file on disk, which is chosen by the hash of its name, so that examples of
one name meet in one file of either side; the files are then compared one after the other. What is kept of names and texts are
digests that nobody can bring to collide.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from c4build.dedup.keys import HASH, group_numbers
from c4build.write.files import output_errors

# An example: the hashes of its name, its text and its other fields; its shard, and its place in that.
ENTRY = np.dtype([*HASH, ("text", "<u8"), ("rest", "<u8"), ("shard", "<u4"), ("row", "<u4")])
_FILE_BYTES = 1 << 26  # of one side of a partition, which are held with the other side's while they are compared
_MOST_FILES = 512  # open at once
_WAITING = 1 << 16  # entries held before they are written


def entry(example: Mapping[str, str], shard: int, row: int, compared: Collection[str]) -> tuple:
    """The record of an example. It is named by its URL; without one by all its fields but the text, or else by that.

    Fields that are not among `compared` do not count.
    """
    fields = {name: value for name, value in example.items() if name != "text" and name in compared}
    name = {"url": fields.pop("url")} if "url" in fields else fields or example
    high, low = _hashed(name, 2)
    (text,) = _hashed({"text": example.get("text", "")}, 1)
    (rest,) = _hashed(fields, 1)
    return high, low, text, rest, shard, row


def _hashed(fields: Mapping[str, str], numbers: int) -> tuple[int, ...]:
    found = hashlib.blake2b(digest_size=8 * numbers)
    for name, value in sorted(fields.items()):
        data = value.encode(errors="surrogatepass") if isinstance(value, str) else repr(value).encode()
        found.update(b"%d %d " % (len(name), len(data)) + name.encode() + data)
    digest = found.digest()
    return tuple(int.from_bytes(digest[at : at + 8], "little") for at in range(0, len(digest), 8))


def partitions_for(examples: int) -> int:
    """How many files each side of so many examples is dealt to."""
    return min(_MOST_FILES, max(1, -(-examples * ENTRY.itemsize // _FILE_BYTES)))


def scratch_bytes(examples: int) -> int:
    """What the entries of so many examples take on disk."""
    return examples * ENTRY.itemsize


def deal_out(entries: Iterable[tuple], folder: str, partitions: int) -> int:
    """Writes the entries of one side to `folder`, which exists and is empty; returns how many. Raises OutputError."""
    waiting: list[tuple] = []
    count = 0

    def flush():
        found = np.array(waiting, ENTRY)
        part = _partition(found, partitions)
        for number in np.unique(part).tolist():
            with output_errors(folder), open(_file(folder, number), "ab") as file:
                file.write(found[part == number].tobytes())
        waiting.clear()

    for one in entries:
        waiting.append(one)
        count += 1
        if len(waiting) == _WAITING:
            flush()
    if waiting:
        flush()
    return count


def _partition(entries: np.ndarray, partitions: int) -> np.ndarray:
    """[n] int: the file of each, so that the files in their order are in the order of `high`."""
    return ((entries["high"] >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int64)


def _file(folder: str, number: int) -> str:
    return os.path.join(folder, f"{number:03d}")


class Meeting:
    """What came of a comparison: counts, and the first of the examples that differ, in the order of their names' hashes."""

    def __init__(self, most: int):
        self.same = self.only_a = self.only_b = self.other_text = self.other_fields = 0
        self.examples_a: list[np.void] = []  # only in A
        self.examples_b: list[np.void] = []
        self.pairs: list[tuple[np.void, np.void]] = []  # of A and of B, of one name with other texts
        self._most = most

    def add(self, a: np.ndarray, b: np.ndarray):
        """Compares the entries of one partition of each side."""
        both = np.concatenate([a, b])
        is_b = np.repeat([False, True], [len(a), len(b)])
        order = np.lexsort((is_b, both["low"], both["high"]))
        both, is_b = both[order], is_b[order]
        group = group_numbers(both)
        sizes = np.bincount(group)
        starts = np.cumsum(sizes) - sizes
        in_b = np.bincount(group, is_b).astype(np.int64) if len(group) else sizes
        single, paired = sizes == 1, (sizes == 2) & (in_b == 1)
        alone = starts[single].tolist()
        pairs = [(start, start + 1) for start in starts[paired & self._differ(both, starts, paired)].tolist()]
        self.same += int(paired.sum()) - len(pairs)
        for number in np.flatnonzero(~(single | paired)).tolist():
            places = range(int(starts[number]), int(starts[number] + sizes[number]))
            first_b = int(starts[number] + sizes[number] - in_b[number])
            matched, left = _match(both, places[: first_b - places.start], places[first_b - places.start :])
            pairs += [(one, two) for one, two in matched if _told(both[one]) != _told(both[two])]
            self.same += sum(_told(both[one]) == _told(both[two]) for one, two in matched)
            alone += left
        self._take(both, is_b, sorted(alone), sorted(pairs))

    @staticmethod
    def _differ(both: np.ndarray, starts: np.ndarray, paired: np.ndarray) -> np.ndarray:
        """[groups] bool: of groups of one entry of each side, whether these differ."""
        differ = np.zeros(len(starts), bool)
        first = starts[paired]
        one, two = both[first], both[first + 1] if len(first) else both[first]
        differ[paired] = (one["text"] != two["text"]) | (one["rest"] != two["rest"])
        return differ

    def _take(self, both: np.ndarray, is_b: np.ndarray, alone: list[int], pairs: list[tuple[int, int]]):
        sides = is_b[alone].astype(bool) if alone else np.zeros(0, bool)
        self.only_b += int(sides.sum())
        self.only_a += len(alone) - int(sides.sum())
        places = np.array(alone, np.int64)
        for kept, chosen in ((self.examples_a, places[~sides]), (self.examples_b, places[sides])):
            kept += list(both[chosen[: self._most - len(kept)]])
        texts = [(one, two) for one, two in pairs if both["text"][one] != both["text"][two]]
        self.other_text += len(texts)
        self.other_fields += len(pairs) - len(texts)
        self.pairs += [(both[one], both[two]) for one, two in texts[: self._most - len(self.pairs)]]


def _told(one: np.void) -> tuple[int, int]:
    return int(one["text"]), int(one["rest"])


def _match(both: np.ndarray, a: Iterable[int], b: Iterable[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs examples of one name: the same with the same first, then those of one text, then in order; and what is left."""
    a, b, pairs = list(a), list(b), []
    for what in (_told, lambda one: int(one["text"]), lambda one: 0):
        waiting: dict = defaultdict(list)
        for place in reversed(b):
            waiting[what(both[place])].append(place)
        left = []
        for place in a:
            same = waiting[what(both[place])]
            if same:
                pairs.append((place, same.pop()))
            else:
                left.append(place)
        a, b = left, sorted(place for places in waiting.values() for place in places)
    return pairs, a + b


def meet(
    folder_a: str, folder_b: str, partitions: int, most: int, tell: Callable[[int], object] = lambda done: None
) -> Meeting:
    """Compares what was dealt out to two folders; `tell` is told how many partitions are done.

    Args:
      folder_a, folder_b: see `deal_out`.
      partitions: of each.
      most: examples of a kind that are kept.
    """
    found = Meeting(most)
    for number in range(partitions):
        found.add(*(_read(_file(folder, number)) for folder in (folder_a, folder_b)))
        tell(number + 1)
    return found


def _read(path: str) -> np.ndarray:
    return np.fromfile(path, ENTRY) if os.path.exists(path) else np.zeros(0, ENTRY)
