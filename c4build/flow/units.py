"""What a corpus other than C4 brings to the flow of `records`: its input in units, a reader of them, what it found."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from c4build.read.gz import Damage
from c4build.read.paths import Input
from c4build.write.files import digest
from c4build.write.metadata import Dataset


class Part(NamedTuple):
    """A file, or the bytes of it from `start` to `stop` (None: to its end)."""

    source: Input
    start: int = 0
    stop: int | None = None


class Unit(NamedTuple):
    """What one worker reads at a time."""

    name: str
    parts: tuple[Part, ...]

    @property
    def likely_size(self) -> int:
        return sum((p.source.likely_size if p.stop is None else p.stop) - p.start for p in self.parts)

    @property
    def identity(self) -> str:
        return digest([[part.source.identity, part.start, part.stop] for part in self.parts])

    def to_json(self) -> list:
        return [self.name, [[list(part.source), part.start, part.stop] for part in self.parts]]

    @classmethod
    def from_json(cls, name: str, parts: list) -> "Unit":
        return cls(name, tuple(Part(Input(*source), start, stop) for source, start, stop in parts))


class Found(NamedTuple):
    """What came of one record: an example, or the reason why there is none."""

    reason: str  # "kept" with an example
    example: Mapping[str, str] | None = None
    key: bytes = b"\0" * 16  # examples with one key are copies of each other
    rank: int = 0  # the copy with the highest stays, then the first
    held_out: bool = False  # for the validation split


Yielded = Found | tuple[str, Damage]  # the latter with the path of its input


class Reader(Protocol):
    """Reads units of one kind. It is pickled to the workers."""

    def settings(self) -> dict:
        """All that decides what comes out, as JSON."""

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]) -> Iterator[Yielded]:
        """Yields what it finds; calls `note` with what rules did, `told` with bytes read so far."""


class Recipe(NamedTuple):
    """A kind of corpus."""

    dataset: Dataset
    reader: Reader
    reasons: tuple[str, ...]  # in the order in which a person reads them
    record: str  # what is counted: articles, books
    title: str
