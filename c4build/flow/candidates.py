"""Pages that may become samples: of each group those whose URLs have the lowest hashes, while pages pass, and tables of them.

Clean leaves such a table beside each page file, a unit one of its own, and `samples` takes what is left of these for
the corpus. What is lowest of all is lowest of its file and of its unit: so nothing depends on which of these there are.
Nor does it on the units that were finished before in the same process, of which a further one is held to what they left.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from heapq import heappush, heappushpop
from itertools import count
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from c4build.compiled import core
from c4build.errors import CorruptFileError
from c4build.flow.rows import arrow_column
from c4build.rules.tables import CODE
from c4build.write.files import is_local, open_file
from c4build.write.tables import TableReader, TableWriter, joined, open_table, read_table

EVERY = 1 << 64  # above all chances
MOST_HELD = 1 << 16  # bytes of a page
_ROW_GROUP_BYTES = 1 << 23

# What `Candidate.body` is.
AS_READ, CLEANED, KEPT, REPEATED = range(4)
# Groups besides reasons.
NONE, READ, NEAR_LANGUAGE, NEAR_SENTENCES, REPEATED_GROUP = range(255, 250, -1)
_OUTSIDE = (CODE["not_a_news_domain"], CODE["excluded"])  # pages that reach no rule

_SCHEMA = pa.schema(
    [
        ("chance", pa.uint64()),  # the first half of the hash of the normalised URL
        ("file", pa.int64()),
        ("number", pa.int64()),
        ("row", pa.int64()),
        ("groups", pa.binary()),
        ("stage", pa.uint8()),
        ("url", pa.string()),
        ("timestamp", pa.string()),
        ("body", pa.binary()),
    ]
)


class Candidate(NamedTuple):
    """A page, or what it lost, and the groups that it may be a sample of."""

    chance: int  # the lower, the sooner it is one
    file: int  # the input's number; 0 beside a page file
    number: int  # of the page in its file; of a repeated line or span, with its place in the page
    row: int  # in the page file, -1 where it has none
    groups: bytes  # for each track, or variant: the code of a reason, 0 where it is in, or another group
    stage: int  # what `body` is
    url: str
    timestamp: str
    body: bytes  # UTF-8; as much of it as `MOST_HELD`


class Limit(NamedTuple):
    """The last of the candidates that a group has room for."""

    at: int  # the track or variant
    group: int
    chance: int
    file: int
    number: int

    @property
    def place(self) -> tuple[int, int]:
        return self.at, self.group


@lru_cache(maxsize=1 << 12)
def _places(groups: bytes, stage: int) -> tuple[tuple[int, int], ...]:
    """(track or variant, group) of all groups of a candidate."""
    named = [(at, group) for at, group in enumerate(groups) if group != NONE and (group or stage != AS_READ)]
    if stage == AS_READ:
        named += [(at, READ) for at, group in enumerate(groups) if group != NONE and group not in _OUTSIDE]
    return tuple(named)


def shortened(body: bytes, most: int = MOST_HELD) -> bytes:
    """The body, or so many bytes of it, up to a whole character."""
    return body if len(body) <= most else body[:most].decode(errors="ignore").encode()


class Lowest(Protocol):
    """Of each group the candidates with the lowest chances, `most` of them, or all where there are fewer."""

    def wants(self, chance: int, groups: bytes, stage: int) -> bool:
        """False where a page of these groups, at this stage, would not be held."""
        ...

    def limit(self, groups: bytes, stage: int) -> int | None:
        """The chance that pages of these groups must lie below; None where any will do."""
        ...

    def add(self, candidate: Candidate): ...

    def add_rows(self, rows: pa.RecordBatch):
        """Adds those of a row group of a table."""
        ...

    def begin(self):
        """Goes on with what is to stand in a table of its own."""
        ...

    def row_groups(self) -> Iterator[list[pa.Array]]:
        """All since it was begun, as they stand in a table."""
        ...

    def held(self) -> list[Candidate]:
        """All since it was begun, in the same order however they came."""
        ...

    def limits(self) -> list[Limit]:
        """Of each group that is full: no candidate up to there is missing of those that came since it was begun."""
        ...

    def of(self, at: int, group: int) -> list[Candidate]:
        """Those of a group, the lowest first."""
        ...

    def groups_of(self, at: int) -> list[int]: ...


def lowest(most: int) -> Lowest:
    """The compiled one, where there is one."""
    return CompiledLowest(core.Lowest(most, MOST_HELD, bytes(_OUTSIDE))) if core else PlainLowest(most)


class CompiledLowest:
    """By `core/samples.cpp`."""

    def __init__(self, compiled: Any):
        self.compiled = compiled
        self.wants: Callable[[int, bytes, int], bool] = compiled.wants
        self.limit: Callable[[bytes, int], int | None] = compiled.limit
        self.add: Callable[[Candidate], None] = compiled.add
        self.begin: Callable[[], None] = compiled.begin
        self.groups_of: Callable[[int], list[int]] = compiled.groups_of

    def add_rows(self, rows: pa.RecordBatch):
        texts = (pa.string(), pa.binary())
        self.compiled.add_rows([joined(one) if one.type in texts else one.to_numpy() for one in rows.columns])

    def row_groups(self) -> Iterator[list[pa.Array]]:
        for rows, columns in self.compiled.row_groups(_ROW_GROUP_BYTES):
            yield [arrow_column(field.type, rows, column) for field, column in zip(_SCHEMA, columns)]

    def held(self) -> list[Candidate]:
        return [*map(Candidate._make, self.compiled.held())]

    def limits(self) -> list[Limit]:
        return [*map(Limit._make, self.compiled.limits())]

    def of(self, at: int, group: int) -> list[Candidate]:
        return [*map(Candidate._make, self.compiled.of(at, group))]


class PlainLowest:
    """In Python."""

    def __init__(self, most: int):
        self._most = most
        self._heaps: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
        self._limits: dict[tuple[bytes, bool], int] = {}  # by groups; of pages as read apart, which go to others
        self._held: dict[int, Candidate] = {}
        self._uses: dict[int, int] = {}
        self._ids = count()
        self._first = 0

    def wants(self, chance: int, groups: bytes, stage: int) -> bool:
        return chance < self._limits.get((groups, stage == AS_READ), EVERY)

    def limit(self, groups: bytes, stage: int) -> int | None:
        limit = self._limits.get((groups, stage == AS_READ), EVERY)
        return limit if limit < EVERY else None

    def add(self, candidate: Candidate):
        id, uses, limit = next(self._ids), 0, 0
        self._held[id] = candidate
        item = (-candidate.chance, -candidate.file, -candidate.number, id)
        for place in _places(candidate.groups, candidate.stage):
            heap = self._heaps.setdefault(place, [])
            uses += 1
            if len(heap) < self._most:
                heappush(heap, item)
            else:
                *_, gone = heappushpop(heap, item)
                if gone == id:
                    uses -= 1
                else:
                    self._let_go(gone)
            # Of two of one chance either may be the lower.
            limit = max(limit, 1 - heap[0][0] if len(heap) == self._most else EVERY)
        self._limits[candidate.groups, candidate.stage == AS_READ] = limit
        if uses:
            self._uses[id] = uses
        else:
            del self._held[id]

    def _let_go(self, id: int):
        self._uses[id] -= 1
        if not self._uses[id]:
            del self._uses[id], self._held[id]

    def add_rows(self, rows: pa.RecordBatch):
        for candidate in _candidates_of(rows):
            self.add(candidate)

    def row_groups(self) -> Iterator[list[pa.Array]]:
        waiting: list[Candidate] = []
        size = 0
        for candidate in self.held():
            waiting.append(candidate)
            size += len(candidate.url.encode()) + len(candidate.body)
            if size >= _ROW_GROUP_BYTES:
                yield _columns_of(waiting)
                waiting, size = [], 0
        if waiting:
            yield _columns_of(waiting)

    def begin(self):
        self._first = next(self._ids)

    def held(self) -> list[Candidate]:
        return sorted(candidate for id, candidate in self._held.items() if id >= self._first)

    def limits(self) -> list[Limit]:
        full = ((place, heap[0]) for place, heap in sorted(self._heaps.items()) if len(heap) == self._most)
        return [Limit(*place, -chance, -file, -number) for place, (chance, file, number, _) in full]

    def of(self, at: int, group: int) -> list[Candidate]:
        return [self._held[id] for *_, id in sorted(self._heaps.get((at, group), []), reverse=True)]

    def groups_of(self, at: int) -> list[int]:
        return sorted(group for where, group in self._heaps if where == at)


def candidates_file(page_file: str) -> str:
    """Beside a page file."""
    return page_file.removesuffix(".pages") + ".samples"


@contextmanager
def open_candidates(path: str, large: bool = False) -> Iterator[TableWriter]:
    """A table of candidates, there when the block ends well.

    It is compressed where it goes to a store, or is large: to write a small one as it is takes less time.
    """
    with open_table(path, _SCHEMA, compression="zstd" if large or not is_local(path) else None) as table:
        yield table


def write_candidates(table: TableWriter, held: Lowest):
    for columns in held.row_groups():
        table.write(columns)


def wrong_candidates(path: str, content: str) -> Iterator[str]:
    """What is wrong with a table: it is not there, or is not what was written with this `content`."""
    try:
        with open_file(path) as file:
            found = TableReader(path, file)
            found.check()
            if found.fields["content"] != content:
                yield f"{path}: it is made of something else"
    except FileNotFoundError:
        yield f"{path}: it is missing"
    except CorruptFileError as error:
        yield str(error)


class DroppedTable:
    """The table of all pages that are dropped, written as they come."""

    def __init__(self, table: TableWriter):
        self._table = table
        self._waiting: list[Candidate] = []
        self._size = 0

    def add(self, page: Candidate):
        self._waiting.append(page)
        self._size += len(page.url.encode()) + len(page.body)
        if self._size >= _ROW_GROUP_BYTES:
            self.flush()

    def flush(self):
        if self._waiting:
            self._table.write(_columns_of(self._waiting))
        self._waiting, self._size = [], 0


def _columns_of(candidates: list[Candidate]) -> list[pa.Array]:
    columns = zip(*candidates)
    return [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA)]


def _candidates_of(rows: pa.RecordBatch) -> Iterator[Candidate]:
    return map(Candidate._make, zip(*(column.to_pylist() for column in rows.columns)))


@contextmanager
def read_rows(path: str, content: str) -> Iterator[tuple[dict[str, Any], Iterator[pa.RecordBatch]]]:
    """What is said with a table, and its row groups. Raises CorruptFileError, also where `content` is not what is said."""
    with read_table(path) as found:
        if found.fields["content"] != content:
            raise CorruptFileError(f"{path}: it is another file than at the start; run the same command again")
        yield found.fields, (found.read(group) for group in range(len(found.groups)))


@contextmanager
def read_candidates(path: str, content: str) -> Iterator[tuple[dict[str, Any], Iterator[Candidate]]]:
    """The same, with its candidates."""
    with read_rows(path, content) as (said, groups):
        yield said, (candidate for rows in groups for candidate in _candidates_of(rows))
