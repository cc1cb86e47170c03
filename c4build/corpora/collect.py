"""Corpora whose records need no web rules, such as Wikipedia and books: the data flow, top to bottom.

    units ─► Take ─► files of examples ─────────────────────────┐
               └─► keys ─► by bucket ─► Copies, by unit ─────────┤
                                          Write, by shard ◄───────┘
                                            └─► Publish

A unit is a piece of the input, read by a `Reader`. Its examples lie in one file named by the unit and the reader's
settings: a second run finds it made. Of examples with one key one stays. As in `corpus`, text never goes through a
shuffle, counts travel as elements, and a folder that has dataset_info.json is complete.
"""

import hashlib
import json
import os
import time
from collections import Counter
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from c4build.errors import CountsError, UsageError
from c4build.read.gz import Damage
from c4build.read.paths import Input
from c4build.write.files import (
    delete, exists, is_local, join, list_files, make_folder, open_file, read_json, whole_file, write_json,
)  # fmt: skip
from c4build.write.metadata import Dataset, Split, write_metadata
from c4build.write.shards import FORMATS, Format, encoded_size, is_installed, open_gzip, shard_name

SUMMARY = "c4build.json"
COPY = "copy"  # the reason of all but one of the examples with one key

# A list of URLs, one a line: members of a gzip file, which can be put one behind the other.
URLS = Format(
    "urls",
    "{dataset}-{split}-{index:05d}-of-{shards:05d}.txt.gz",
    lambda example: example["url"].encode() + b"\n",
    open_gzip,
)
_FORMATS = {**FORMATS, URLS.name: URLS}

_Keyed = Tuple[int, Any]
_GROUP_BYTES = 1 << 23  # of text in a row group: what a process holds
_GROUP_ROWS = 1000
_SHARDS_A_VALIDATION_SHARD = 128
_KEY = np.dtype([("high", "<u8"), ("low", "<u8"), ("rank", "<i8"), ("unit", "<u4"), ("row", "<u4")])


class Part(NamedTuple):
    """A file, or the bytes of it from `start` to `stop` (None: to its end)."""

    source: Input
    start: int = 0
    stop: Optional[int] = None


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


class Found(NamedTuple):
    """What came of one record: an example, or the reason why there is none."""

    reason: str  # "kept" with an example
    example: Optional[Mapping[str, str]] = None
    key: bytes = b"\0" * 16  # examples with one key are copies of each other
    rank: int = 0  # the copy with the highest stays, then the first
    held_out: bool = False  # for the validation split


class Reader(Protocol):
    """Reads units of one kind. It is pickled to the workers."""

    def settings(self) -> dict:
        """All that decides what comes out, as JSON."""

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        """Yields `Found`, or (path, `Damage`); calls `note` with what rules did, `told` with bytes read so far."""


class Recipe(NamedTuple):
    """A kind of corpus."""

    dataset: Dataset
    reader: Reader
    reasons: tuple[str, ...]  # in the order in which a person reads them
    record: str  # what is counted: articles, books
    title: str


class Watched(NamedTuple):
    """Where `terminal.Progress` looks for finished shards."""

    units: str  # their folder
    shards: int


class CollectPlan(NamedTuple):
    """A run: what the steps need to know."""

    recipe: Recipe
    units_file: str
    units: int
    shards: int
    format: str
    folder: str  # of the data set
    work: str
    taken: str  # folder of the units' examples
    fingerprint: str
    provenance: dict
    progress: Optional[str]

    @property
    def units_folder(self) -> str:
        return join(self.work, "units", self.fingerprint)

    @property
    def finish(self) -> "Watched":
        return Watched(self.units_folder, self.shards)

    def page_file(self, unit: Unit) -> str:
        return join(self.taken, unit.identity + ".json")

    def examples_file(self, unit: Unit) -> str:
        return join(self.taken, unit.identity + ".parquet")

    def done_file(self, shard: int) -> str:
        return join(self.units_folder, f"{shard:05d}.json")

    def validation_file(self, shard: int) -> str:
        return join(self.units_folder, f"{shard:05d}.validation.parquet")

    @property
    def buckets(self) -> int:
        return min(256, max(4, self.units // 4))


class Prepared(NamedTuple):
    plan: CollectPlan
    inputs: list[Unit]
    folders: dict[str, str]
    complete: bool


class Report(NamedTuple):
    """What came of one unit."""

    unit: int
    rows: int
    counts: dict[str, int]  # of records, by reason
    notes: dict[str, int]
    damages: list[tuple[str, int, str]]  # (path, offset, what)


class ShardResult(NamedTuple):
    shard: int
    kept: int  # examples of the training split
    held_out: int
    copies: int
    size: int  # bytes of the training examples, before compression
    words: int


def digest(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def prepare(
    recipe: Recipe,
    units: Sequence[Unit],
    out: str,
    format: str = "tfrecord",
    shards: Optional[int] = None,
    overwrite: bool = False,
    folder: Optional[str] = None,
) -> Prepared:
    """Plans a run; touches nothing but the output folder (`folder`, or one below `out` named as TFDS does it).

    Raises UsageError with what to mend.
    """
    if format not in _FORMATS:
        raise UsageError(f"--format {format}: there are {', '.join(FORMATS)}")
    if not is_installed(_FORMATS[format]):
        raise UsageError(f"--format {format} needs a package: pip install 'c4build[array-record]'")
    if shards is not None and not 1 <= shards <= len(units):
        raise UsageError(f"--shards {shards}: it must be 1 to {len(units)}, the number of pieces that the input has")
    shards = shards or len(units)
    dataset = recipe.dataset
    out = os.path.abspath(out) if is_local(out) else out.rstrip("/")
    folder = folder or join(out, *(part for part in (dataset.name, dataset.config, dataset.version) if part))
    work = join(out, ".c4build")
    settings = {**recipe.reader.settings(), "features": list(dataset.features)}
    fingerprint = digest([settings, dataset.config, [unit.identity for unit in units], shards, format])
    taken = join(work, f"examples-{digest(settings)}")
    provenance = {
        "corpus": join(dataset.name, dataset.config) if dataset.config else dataset.name,
        "fingerprint": fingerprint,
        "started": time.time(),
        "rules": settings,
        "format": format,
        "shards": shards,
    }
    progress = join(work, "progress") if is_local(out) else None
    units_file = join(work, f"units-{fingerprint}.json")
    plan = CollectPlan(
        recipe, units_file, len(units), shards, format, folder, work, taken, fingerprint, provenance, progress
    )
    complete = is_complete(folder, fingerprint, overwrite)
    if not complete:
        for path in (work, taken, join(work, "units", fingerprint), folder, *([progress] if progress else [])):
            make_folder(path)
        for path in [join(folder, "dataset_info.json"), join(folder, SUMMARY), *(list_files(progress) if progress else [])]:
            delete(path)
        write_json(units_file, [[unit.name, [[list(p.source), p.start, p.stop] for p in unit.parts]] for unit in units])
    return Prepared(plan, list(units), {dataset.config or dataset.name: folder}, complete)


def is_complete(folder: str, fingerprint: str, overwrite: bool) -> bool:
    """True if this very corpus is there; UsageError where another is, unless it may be overwritten."""
    summary = join(folder, SUMMARY)
    if exists(summary):
        if read_json(summary).get("fingerprint") == fingerprint:
            return True
    elif not exists(join(folder, "dataset_info.json")):
        return False
    if not overwrite:
        raise UsageError(f"{folder} holds a corpus made of other inputs or by other rules: give another --out, or --overwrite")
    return False


def collect(root: beam.Pipeline, plan: CollectPlan) -> beam.PCollection:
    """Adds the whole flow to a pipeline; the result is one element, the summary as JSON."""
    units = root | beam.Create([plan.units_file]) | "List units" >> _par_do(ListUnits())
    taken = units | "Spread units" >> beam.GroupByKey() | "Take" >> _par_do(Take(plan))
    copies = (
        taken
        | "Keys" >> _par_do(Keys(plan))
        | "Keys by bucket" >> beam.GroupByKey()
        | "Copies" >> _par_do(Copies(plan))
    )
    reports = taken | "Reports" >> beam.Map(_tag, "report").with_output_types(_Keyed)
    known = (reports, copies) | "Reports and copies" >> beam.Flatten()
    written = (
        known
        | "To shards" >> beam.Map(_to_shard, plan.units, plan.shards).with_output_types(_Keyed)
        | "By shard" >> beam.GroupByKey()
        | "Write" >> _par_do(Write(plan))
    )
    return (
        (reports, written)
        | "All results" >> beam.Flatten()
        | "To one place" >> beam.Map(_to_one).with_output_types(_Keyed)
        | "Together" >> beam.GroupByKey()
        | "Publish" >> beam.ParDo(Publish(plan))
    )


def _par_do(function: beam.DoFn) -> beam.PTransform:
    return beam.ParDo(function).with_output_types(_Keyed)


def _tag(element: _Keyed, kind: str) -> _Keyed:
    return element[0], (kind, element[1])


def _to_shard(element: _Keyed, units: int, shards: int) -> _Keyed:
    return element[0] * shards // units, element


def _to_one(element: _Keyed) -> _Keyed:
    return 0, element[1]


class ListUnits(beam.DoFn):
    """The file of units to (number, unit)."""

    def process(self, element: str) -> Iterator[_Keyed]:
        for number, (name, parts) in enumerate(read_json(element)):
            yield number, Unit(name, tuple(Part(Input(*source), start, stop) for source, start, stop in parts))


class _Step(beam.DoFn):
    def __init__(self, plan: CollectPlan):
        self.plan = plan


class Take(_Step):
    """(number, unit) to (number, `Report` of its file of examples), made now or found made."""

    def process(self, element: _Keyed) -> Iterator[_Keyed]:
        number, units = element
        (unit,) = units
        try:
            yield number, Report(**{**read_json(self.plan.page_file(unit)), "unit": number})
            return
        except (OSError, ValueError, TypeError):
            pass
        counts, notes, damages, rows = Counter(), Counter(), [], 0

        def note(name: str, times: int = 1):
            notes[name] += times

        tell = teller(self.plan.progress and join(self.plan.progress, str(number)), lambda: sum(counts.values()))
        with open_examples(self.plan.examples_file(unit), self.plan.recipe.dataset.features) as write:
            for found in self.plan.recipe.reader.read(unit, note, tell):
                if not isinstance(found, Found):
                    path, damage = found
                    damages.append((path, damage.offset, damage.what))
                    continue
                counts[found.reason] += 1
                if found.example is not None:
                    write(found)
                    rows += 1
        if rows != counts["kept"]:
            raise CountsError(f"{unit.name}: {counts['kept']:,} records kept, but {rows:,} examples written")
        tell(unit.likely_size, True)
        report = Report(number, rows, dict(counts), dict(notes), damages)
        write_json(self.plan.page_file(unit), report._asdict())
        yield number, report


def teller(path: Optional[str], records: Callable[[], int]) -> Callable[..., None]:
    """A function that leaves (records, bytes read) where the progress bar looks, twice a second at most."""
    last = 0.0

    def tell(size: int, now: bool = False):
        nonlocal last
        if path and (now or time.monotonic() - last > 0.5):
            last = time.monotonic()
            try:
                with open(path + ".tmp", "w") as file:
                    file.write(f"{records()} {size}")
                os.replace(path + ".tmp", path)
            except OSError:
                pass

    return tell


@contextmanager
def open_examples(path: str, features: Sequence[str]) -> Iterator[Callable[[Found], None]]:
    """A file of examples with their keys, written in row groups of a few megabytes."""
    schema = pa.schema(
        [("key", pa.binary(16)), ("rank", pa.int64()), ("held_out", pa.bool_()), *((name, pa.string()) for name in features)]
    )
    rows: list[dict] = []
    size = 0
    with whole_file(path) as file, pq.ParquetWriter(file, schema, compression="lz4") as writer:

        def flush():
            nonlocal size
            writer.write_table(pa.Table.from_pylist(rows, schema))
            rows.clear()
            size = 0

        def write(found: Found):
            nonlocal size
            rows.append({"key": found.key, "rank": found.rank, "held_out": found.held_out, **found.example})
            size += sum(map(len, found.example.values()))
            if len(rows) == _GROUP_ROWS or size > _GROUP_BYTES:
                flush()

        yield write
        flush()


def read_rows(path: str, columns: Optional[list[str]] = None) -> Iterator[pa.RecordBatch]:
    """Yields a Parquet file's columns, a row group at a time."""
    with open_file(path) as file:
        table = pq.ParquetFile(file)
        for group in range(table.num_row_groups):
            yield table.read_row_group(group, columns, use_threads=False)


def _examples_of(plan: CollectPlan) -> list[str]:
    return [plan.examples_file(unit) for _, unit in ListUnits().process(plan.units_file)]


class Keys(_Step):
    """(unit, report) to (bucket, keys of its examples)."""

    def setup(self):
        self._files = _examples_of(self.plan)

    def process(self, element: _Keyed) -> Iterator[_Keyed]:
        number, report = element
        keys = np.zeros(report.rows, _KEY)
        row = 0
        for batch in read_rows(self._files[number], ["key", "rank"]):
            part = keys[row : row + batch.num_rows]
            hashed = np.frombuffer(b"".join(batch.column("key").to_pylist()), "<u8").reshape(-1, 2)
            part["high"], part["low"] = hashed[:, 0], hashed[:, 1]
            part["rank"] = batch.column("rank").to_numpy()
            row += batch.num_rows
        keys["unit"], keys["row"] = number, np.arange(report.rows)
        buckets = keys["high"] % np.uint64(self.plan.buckets)
        for bucket in np.unique(buckets).tolist():
            yield int(bucket), keys[buckets == bucket].tobytes()


class Copies(_Step):
    """(bucket, keys) to (unit, rows of it that go): of each key all but the highest rank, then but the first."""

    def process(self, element: _Keyed) -> Iterator[_Keyed]:
        for number, rows in copies(element[1]).items():
            yield number, ("copies", rows)


def copies(keys: Iterable[bytes]) -> dict[int, bytes]:
    """By unit, the rows (32 bits each) whose key another example has that stays."""
    found = np.frombuffer(b"".join(keys), _KEY)
    order = np.lexsort((found["row"], found["unit"], -found["rank"], found["low"], found["high"]))
    found = found[order]
    again = np.zeros(len(found), bool)
    again[1:] = (found["high"][1:] == found["high"][:-1]) & (found["low"][1:] == found["low"][:-1])
    lost = found[again]
    return {int(unit): lost["row"][lost["unit"] == unit].astype("<u4").tobytes() for unit in np.unique(lost["unit"])}


class Write(_Step):
    """(shard, (unit, reports and copies)) to (shard, `ShardResult`): writes the shard, or finds it written."""

    def setup(self):
        self._files = _examples_of(self.plan)

    def process(self, element: _Keyed) -> Iterator[_Keyed]:
        shard, values = element
        try:
            yield shard, ("shard", ShardResult(**read_json(self.plan.done_file(shard))))
            return
        except (OSError, ValueError, TypeError):
            pass
        lost: dict[int, set[int]] = {}
        for number, (kind, value) in values:
            rows = lost.setdefault(number, set())
            if kind == "copies":
                rows.update(np.frombuffer(value, "<u4").tolist())
        plan, features = self.plan, self.plan.recipe.dataset.features
        format = _FORMATS[plan.format]
        path = join(plan.folder, shard_name(format, plan.recipe.dataset.name, "train", shard, plan.shards))
        kept = size = held_out = words = 0
        with format.open(path, features) as write, open_examples(plan.validation_file(shard), features) as hold:
            for number in sorted(lost):
                for row, example, is_held_out in _rows(self._files[number], features):
                    if row in lost[number]:
                        continue
                    words += len(example.get("text", "").split())
                    if is_held_out:
                        hold(Found("kept", example, held_out=True))
                        held_out += 1
                    else:
                        encoded = format.encode(example)
                        write(encoded)
                        kept += 1
                        size += encoded_size(encoded)
        result = ShardResult(shard, kept, held_out, sum(map(len, lost.values())), size, words)
        write_json(plan.done_file(shard), result._asdict())
        yield shard, ("shard", result)


def _rows(path: str, features: Sequence[str]) -> Iterator[tuple[int, dict[str, str], bool]]:
    row = 0
    for batch in read_rows(path, ["held_out", *features]):
        for example in batch.to_pylist():
            yield row, example, example.pop("held_out")
            row += 1


class Publish(_Step):
    """(0, all reports and shard results) to the summary of the run: counts that add up, validation, metadata."""

    def process(self, element: _Keyed) -> Iterator[str]:
        kinds: dict[str, list] = {"report": [], "shard": []}
        for kind, value in element[1]:
            kinds[kind].append(value)
        yield json.dumps(publish(self.plan, sorted(kinds["report"]), sorted(kinds["shard"])))


def publish(plan: CollectPlan, reports: Sequence[Report], results: Sequence[ShardResult]) -> dict:
    """Writes what makes the folder complete, and returns the summary. Raises CountsError where they do not add up."""
    counts: Counter = sum((Counter(report.counts) for report in reports), Counter())
    records, taken = sum(counts.values()), counts.pop("kept", 0)
    if counts_copies := sum(result.copies for result in results):
        counts[COPY] = counts_copies
    kept = sum(result.kept + result.held_out for result in results)
    if records != kept + sum(counts.values()) or len(reports) != plan.units or len(results) != plan.shards:
        raise CountsError(
            f"{plan.folder}: {records:,} {plan.recipe.record} went in ({taken:,} of them examples), but {kept:,} kept and "
            f"{sum(counts.values()):,} dropped came out ({dict(counts)}); the output is left incomplete"
        )
    validation = _write_validation(plan)
    if sum(validation.shard_lengths) != sum(result.held_out for result in results):
        raise CountsError(f"{plan.folder}: validation examples were lost on the way; the output is left incomplete")
    splits = {
        "train": Split([result.kept for result in results], sum(result.size for result in results)),
        "validation": validation,
    }
    summary = {
        **plan.provenance,
        "folder": plan.folder,
        "inputs": _inputs(plan),
        plan.recipe.record: records,
        "kept": kept,
        "dropped": {reason: counts[reason] for reason in (*plan.recipe.reasons, COPY) if counts[reason]},
        "notes": dict(sorted(sum((Counter(report.notes) for report in reports), Counter()).items())),
        "damaged": [
            {"input": path, "offset": offset, "what": what} for report in reports for path, offset, what in report.damages
        ],
        "bytes": sum(split.num_bytes for split in splits.values()),
        "words": sum(result.words for result in results),
        "splits": {name: sum(split.shard_lengths) for name, split in splits.items()},
        "seconds": round(time.time() - plan.provenance["started"], 1),
    }
    if unnamed := set(counts) - {*plan.recipe.reasons, COPY}:
        raise CountsError(f"{plan.folder}: records were dropped for reasons without a name: {sorted(unnamed)}")
    complete_folder(plan.folder, plan.recipe.dataset, splits, plan.format, summary)
    return summary


def _inputs(plan: CollectPlan) -> list[dict]:
    sizes = {part.source.path: part.source.size for _, unit in ListUnits().process(plan.units_file) for part in unit.parts}
    return [{"path": path, "bytes": size} for path, size in sizes.items()]


def _write_validation(plan: CollectPlan) -> Split:
    format, features = _FORMATS[plan.format], plan.recipe.dataset.features
    shards = max(1, plan.shards // _SHARDS_A_VALIDATION_SHARD)
    lengths, size = [0] * shards, 0
    for index in range(shards):
        path = join(plan.folder, shard_name(format, plan.recipe.dataset.name, "validation", index, shards))
        with format.open(path, features) as write:
            for part in range(index * plan.shards // shards, (index + 1) * plan.shards // shards):
                for _, example, _ in _rows(plan.validation_file(part), features):
                    encoded = format.encode(example)
                    write(encoded)
                    lengths[index] += 1
                    size += encoded_size(encoded)
    return Split(lengths, size)


def complete_folder(folder: str, dataset: Dataset, splits: Mapping[str, Split], format: str, summary: dict):
    """Takes away what earlier runs left among the shards, then writes the summary and TFDS's metadata, the last last."""
    kind = _FORMATS[format]
    names = {
        shard_name(kind, dataset.name, split, index, len(splits[split].shard_lengths))
        for split in splits
        for index in range(len(splits[split].shard_lengths))
    }
    for path in list_files(folder):
        if path.rpartition("/")[2] not in names:
            delete(path)
    write_json(join(folder, SUMMARY), summary)
    if kind.tfds:
        write_metadata(folder, dataset, splits, kind.tfds)


Yielded = Union[Found, Tuple[str, Damage]]
