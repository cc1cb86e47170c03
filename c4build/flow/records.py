"""Corpora whose records need no web rules, such as Wikipedia and books: the data flow, top to bottom.

    units ─► Take ─► files of examples ─────────────────────────┐
               └─► keys ─► by bucket ─► Copies, by unit ─────────┤
                                          Write, by shard ◄───────┘
                                            └─► Publish

A unit is a piece of the input, read by a `Reader`. Its examples lie in one file named by the unit and the reader's
settings: a second run finds it made. Of examples with one key one stays. As in `web`, text never goes through a
shuffle, counts travel as elements, what is found made is checked, and a folder that has its manifest is complete.
"""

import datetime
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import apache_beam as beam
import numpy as np
import pyarrow as pa

from c4build import __version__
from c4build.errors import CorruptFileError, CountsError, NothingReadError, UsageError, printable, say
from c4build.flow.elements import Keyed, by_kind, par_do, publish_all, tag
from c4build.flow.inputs import check_missing
from c4build.flow.kit import Prepared, may_be_gone
from c4build.flow.runs import marks
from c4build.read.gz import Damage
from c4build.read.paths import Input
from c4build.write.files import (
    FileSums,
    check_sums,
    digest,
    is_local,
    join,
    make_folder,
    open_file,
    read_own,
    read_sealed,
    write_sealed,
)
from c4build.write.folder import (
    as_json,
    claim,
    complete,
    is_complete,
    lock,
    nothing_read,
    seconds_since,
    sums_in,
    sweep,
    unlock,
)
from c4build.write.metadata import Dataset, Split, write_metadata
from c4build.write.shards import (
    FORMATS,
    Format,
    encoded_size,
    file_names,
    is_installed,
    open_gzip,
    shard_name,
    validation_shards,
)
from c4build.write.tables import TableReader, joined, open_table, read_table

COPY = "copy"  # the reason of all but one of the examples with one key

# A list of URLs, one a line: members of a gzip file, which can be put one behind the other.
URLS = Format(
    "urls",
    "{dataset}-{split}-{index:05d}-of-{shards:05d}.txt.gz",
    lambda example: example["url"].encode() + b"\n",
    open_gzip,
)
_FORMATS = {**FORMATS, URLS.name: URLS}

_GROUP_BYTES = 1 << 23  # of text in a row group: what a process holds
_GROUP_ROWS = 1000
_MOST_DAMAGES = 100  # of one unit that are told; the others are counted
_MOST_LISTED = 10_000  # in the manifest
_KEY = np.dtype([("high", "<u8"), ("low", "<u8"), ("rank", "<i8"), ("unit", "<u4"), ("row", "<u4")])


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


class Found(NamedTuple):
    """What came of one record: an example, or the reason why there is none."""

    reason: str  # "kept" with an example
    example: Mapping[str, str] | None = None
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
    """Where finished shards are recorded."""

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
    progress: str | None = None  # a folder for marks, see `runs`

    @property
    def units_folder(self) -> str:
        return join(self.work, "units", self.fingerprint)

    @property
    def finish(self) -> "Watched":
        return Watched(self.units_folder, self.shards)

    def examples_file(self, unit: Unit) -> str:
        return join(self.taken, unit.identity + ".parquet")

    def done_file(self, shard: int) -> str:
        return join(self.units_folder, f"{shard:05d}.json")

    def validation_file(self, shard: int) -> str:
        return join(self.units_folder, f"{shard:05d}.validation.parquet")

    @property
    def buckets(self) -> int:
        return min(256, max(4, self.units // 4))


class Report(NamedTuple):
    """What came of one unit."""

    unit: int
    rows: int
    counts: dict[str, int]  # of records, by reason
    notes: dict[str, int]
    damages: list[tuple[str, int, str]]  # (path, offset, what), the first of them
    more_damages: int
    complete: bool  # False where an input could not be read to its end: the next run tries again
    content: str  # a digest of the examples
    missing: list[tuple[str, str]]  # (path, why) of the inputs that could not be fetched
    remade: str = ""  # why a file of examples that was there was not taken


class ShardResult(NamedTuple):
    shard: int
    kept: int  # examples of the training split
    held_out: int
    copies: int
    size: int  # bytes of the training examples, before compression
    words: int
    files: dict[str, dict]  # what was written
    validation: str  # a digest of the examples held out
    made_from: str  # a digest of what is known of all units
    remade: list[str] = []  # what was there before, but not as it was written


def prepare(
    recipe: Recipe,
    units: Sequence[Unit],
    out: str,
    format: str = "tfrecord",
    shards: int | None = None,
    overwrite: bool = False,
    folder: str | None = None,
    say: Callable[[str], object] = say,
) -> Prepared:
    """Plans a run; touches nothing but the output folder (`folder`, or one below `out` named as TFDS does it).

    The output folder is locked from here on until the run is done, or nothing need be. `say` is told in a line what must
    be made again.

    Raises:
      UsageError: with what to mend.
      InUseError: another process writes to the output folder.
      CorruptFileError: what says what lies in the output folder is not what was written.
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
    sources = _sources(units)
    made_from = {
        **settings,
        "corpus": f"{dataset.name}/{dataset.config}",
        "inputs": digest([unit.identity for unit in units]),
        "format": format,
        "shards": shards,
    }
    fingerprint = digest(made_from)
    taken = join(work, f"examples-{digest(settings)}")
    provenance = {
        "c4build": __version__,
        "corpus": join(dataset.name, dataset.config) if dataset.config else dataset.name,
        "fingerprint": fingerprint,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "rules": settings,
        "format": format,
        "shards": shards,
        "made_from": made_from,
    }
    units_file = join(work, f"units-{fingerprint}.json")
    plan = CollectPlan(recipe, units_file, len(units), shards, format, folder, work, taken, fingerprint, provenance)
    lock(work, out)
    try:
        done = is_complete(folder, made_from, sources, overwrite, say)
        if not done:
            _make_ready(plan, units)
    except BaseException:
        unlock(work)
        raise
    if done:
        unlock(work)
    files = [plan.examples_file(unit) for unit in units]
    return Prepared(plan, list(units), files, {dataset.config or dataset.name: folder}, done)


def _sources(units: Sequence[Unit]) -> dict[str, str]:
    """The identities of all inputs, by path."""
    return {part.source.path: part.source.identity for unit in units for part in unit.parts}


def _make_ready(plan: CollectPlan, units: Sequence[Unit]):
    """Makes the folders, and takes away what a run that was killed left unfinished in them."""
    claim(plan.folder, set(file_names(_FORMATS[plan.format], plan.recipe.dataset.name, plan.shards)))
    for folder in (plan.work, plan.taken, plan.units_folder):
        make_folder(folder)
    sweep(plan.work)
    listed = [[unit.name, [[list(p.source), p.start, p.stop] for p in unit.parts]] for unit in units]
    write_sealed(plan.units_file, {"units": listed})


def collect(root: beam.Pipeline, plan: CollectPlan) -> beam.PCollection:
    """Adds the whole flow to a pipeline; the result is one element, the summary as JSON."""
    units = root | beam.Create([plan.units_file]) | "List units" >> par_do(ListUnits())
    taken = units | "Spread units" >> beam.GroupByKey() | "Take" >> par_do(Take(plan))
    reports = taken | "Reports" >> beam.Map(tag, "report").with_output_types(Keyed)
    opened = taken | "To the gate" >> beam.Map(_to_gate).with_output_types(Keyed) | "All units" >> beam.GroupByKey()
    opened = opened | "Gate" >> par_do(Gate(plan))
    copies = (
        (reports, opened)
        | "Units that may go on" >> beam.Flatten()
        | "By number" >> beam.GroupByKey()
        | "Keys" >> par_do(Keys(plan))
        | "Keys by bucket" >> beam.GroupByKey()
        | "Copies" >> par_do(Copies(plan))
    )
    known = (reports, copies) | "Reports and copies" >> beam.Flatten()
    written = (
        known
        | "To shards" >> beam.Map(_to_shard, plan.units, plan.shards).with_output_types(Keyed)
        | "By shard" >> beam.GroupByKey()
        | "Write" >> par_do(Write(plan))
    )
    return publish_all((reports, written), Publish(plan))


def _to_gate(element: Keyed) -> Keyed:
    return 0, (element[0], element[1].missing)


def _to_shard(element: Keyed, units: int, shards: int) -> Keyed:
    return element[0] * shards // units, element


class ListUnits(beam.DoFn):
    """The file of units to (number, unit)."""

    def process(self, element: str) -> Iterator[Keyed]:
        for number, (name, parts) in enumerate(read_own(element)["units"]):
            yield number, Unit(name, tuple(Part(Input(*source), start, stop) for source, start, stop in parts))


class _Step(beam.DoFn):
    def __init__(self, plan: CollectPlan):
        self.plan = plan

    def start_bundle(self):
        marks.begin(self.plan.progress, type(self).__name__)

    def finish_bundle(self):
        marks.end(self.plan.progress)


class Take(_Step):
    """(number, unit) to (number, `Report` of its file of examples), made now or found made."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        number, units = element
        (unit,) = units
        path, remade = self.plan.examples_file(unit), ""
        task = marks.Task(self.plan.progress and join(self.plan.progress, str(number)))
        try:
            report = _check_examples(path, unit)
            if report.complete:
                _tell(task, "found", report, 0)
                yield number, report._replace(unit=number)
                return
        except FileNotFoundError:
            pass
        except (CorruptFileError, OSError) as error:
            remade = str(error)
        report = self._take(number, unit, path, task)._replace(remade=remade)
        _tell(task, "missing" if report.missing else "read", report, unit.likely_size)
        yield number, report

    def _take(self, number: int, unit: Unit, path: str, task: marks.Task) -> Report:
        counts, notes, damages, missing = Counter(), Counter(), [], []
        failures: list[str] = []
        more, complete = 0, True

        def note(name: str, times: int = 1):
            notes[name] += times

        def tell(size: int):
            task.at(sum(counts.values()), size)

        with open_examples(path, self.plan.recipe.dataset.features) as write:
            for found in self._read(unit, note, tell, failures):
                if isinstance(found, Found):
                    counts[found.reason] += 1
                    if found.example is not None:
                        write(found)
                    continue
                source, damage = found
                if damage.missing:
                    missing.append((source, damage.what))
                elif len(damages) < _MOST_DAMAGES:
                    damages.append((source, damage.offset, printable(damage.what)))
                else:
                    more += 1
                complete &= not may_be_gone(damage, source)
            if write.rows != counts["kept"]:
                raise CountsError(f"{unit.name}: {counts['kept']:,} records kept, but {write.rows:,} examples written")
            complete &= not failures
            content = write.content()
            report = Report(number, write.rows, dict(counts), dict(notes), damages, more, complete, content, missing)
            write.table.fields = {**report._asdict(), "identity": unit.identity}
        return report

    def _read(self, unit: Unit, note, tell, failures: list[str]) -> Iterator["Yielded"]:
        """What the reader finds; an error that nobody foresaw ends this unit, not the run: it is one of `failures`."""
        try:
            yield from self.plan.recipe.reader.read(unit, note, tell)
        except (MemoryError, CorruptFileError):
            raise
        except Exception as error:
            failures.append(f"cannot be read on: {type(error).__name__}: {error}")
            yield unit.parts[0].source.path, Damage(unit.parts[0].start, failures[-1])


def _check_examples(path: str, unit: Unit) -> Report:
    """What is said in a file of examples that is whole and of this unit. Raises CorruptFileError."""
    with open_file(path) as file:
        found = TableReader(path, file)
        if found.fields.pop("identity") != unit.identity:
            raise CorruptFileError(f"{path}: it is the file of another input")
        found.check()
    return Report(**found.fields)


def _tell(task: marks.Task, how: str, report: Report, size: int):
    """Tells what came of a unit."""
    damaged = next((f"{path} at byte {offset:,}: {what}" for path, offset, what in report.damages), report.remade)
    why = next((f"{path}: {why}" for path, why in report.missing), damaged)
    damages = len(report.damages) + report.more_damages
    task.done(how, sum(report.counts.values()), size, damages, why, max(1, len(report.missing)))


class _Examples:
    """Writes examples with their keys, in row groups of a few megabytes."""

    def __init__(self, table, schema: pa.Schema):
        self.table, self._schema = table, schema
        self._waiting: list[dict] = []
        self._size = self.rows = 0

    def __call__(self, found: Found):
        self._waiting.append({"key": found.key, "rank": found.rank, "held_out": found.held_out, **found.example})
        self.rows += 1
        self._size += sum(map(len, found.example.values()))
        if len(self._waiting) == _GROUP_ROWS or self._size > _GROUP_BYTES:
            self.flush()

    def flush(self):
        if self._waiting:
            self.table.write([pa.array([row[f.name] for row in self._waiting], f.type) for f in self._schema])
        self._waiting.clear()
        self._size = 0

    def content(self) -> str:
        """A digest of all that was written."""
        self.flush()
        return self.table.content()


@contextmanager
def open_examples(path: str, features: Sequence[str]) -> Iterator[_Examples]:
    """A file of examples, there when the block ends well."""
    schema = pa.schema(
        [
            ("key", pa.binary(16)),
            ("rank", pa.int64()),
            ("held_out", pa.bool_()),
            *((name, pa.string()) for name in features),
        ]
    )
    with open_table(path, schema, compression="lz4") as table:
        examples = _Examples(table, schema)
        yield examples
        examples.flush()


def read_rows(path: str, content: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yields columns of a file of examples, a row group at a time. Raises CorruptFileError."""
    with read_table(path) as found:
        if digest(found.groups) != content:
            raise CorruptFileError(f"{path}: it is another file than at the start")
        for group in range(len(found.groups)):
            yield found.read(group, columns)


def _examples_of(plan: CollectPlan) -> list[str]:
    return [plan.examples_file(unit) for _, unit in ListUnits().process(plan.units_file)]


class Gate(_Step):
    """(0, (unit, missing inputs) of all) to (unit, leave to go on). Raises MissingInputsError."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        missing = dict(one for _, of_unit in element[1] for one in of_unit)
        if missing:
            inputs = len(_read_sources(self.plan))
            check_missing(sorted(missing.items()), inputs, join(self.plan.work, "missing.txt"))
        for number in range(self.plan.units):
            yield number, ("opened", None)


class Keys(_Step):
    """(unit, its report and leave to go on) to (bucket, keys of its examples)."""

    def setup(self):
        self._files = _examples_of(self.plan)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        number, values = element
        (report,) = by_kind(values)["report"]
        keys = np.zeros(report.rows, _KEY)
        row = 0
        for batch in read_rows(self._files[number], report.content, ["key", "rank"]):
            part = keys[row : row + batch.num_rows]
            hashed = joined(batch.column("key"))[0].view("<u8").reshape(-1, 2)
            part["high"], part["low"] = hashed[:, 0], hashed[:, 1]
            part["rank"] = batch.column("rank").to_numpy()
            row += batch.num_rows
        keys["unit"], keys["row"] = number, np.arange(report.rows)
        buckets = keys["high"] % np.uint64(self.plan.buckets)
        for bucket in np.unique(buckets).tolist():
            yield int(bucket), keys[buckets == bucket].tobytes()


class Copies(_Step):
    """(bucket, keys) to (unit, rows of it that go): of each key all but the highest rank, then but the first."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
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

    def process(self, element: Keyed) -> Iterator[Keyed]:
        shard, values = element
        reports: dict[int, Report] = {}
        lost: dict[int, set[int]] = {}
        for number, (kind, value) in values:
            rows = lost.setdefault(number, set())
            if kind == "report":
                reports[number] = value
            else:
                rows.update(np.frombuffer(value, "<u4").tolist())
        made_from = digest([[number, reports[number].content, sorted(lost[number])] for number in sorted(reports)])
        done, remade = self.plan.done_file(shard), []
        try:
            found = ShardResult(**read_sealed(done))
            if (found.shard, found.made_from) == (shard, made_from) and not (remade := list(self._wrong(found))):
                marks.unit_done(self.plan.progress, shard)
                yield shard, ("shard", found)
                return
        except FileNotFoundError:
            pass
        except (CorruptFileError, OSError, TypeError) as error:
            remade = [str(error)]
        result = self._write(shard, reports, lost, made_from)
        write_sealed(done, result._asdict())
        marks.unit_done(self.plan.progress, shard)
        yield shard, ("shard", result._replace(remade=remade))

    def _wrong(self, found: ShardResult) -> Iterator[str]:
        """What of a shard's files is not there, or is not what it was."""
        for name, what in check_sums(self.plan.folder, sums_in(found._asdict())):
            yield f"{join(self.plan.folder, name)}: {what}"
        path = self.plan.validation_file(found.shard)
        try:
            for _ in read_rows(path, found.validation, self.plan.recipe.dataset.features):
                pass
        except CorruptFileError as error:
            yield str(error)

    def _write(self, shard: int, reports: dict[int, Report], lost: dict[int, set[int]], made_from: str) -> ShardResult:
        plan, features = self.plan, self.plan.recipe.dataset.features
        format = _FORMATS[plan.format]
        path = join(plan.folder, shard_name(format, plan.recipe.dataset.name, "train", shard, plan.shards))
        kept = size = held_out = words = 0
        sums: FileSums = {}
        with format.open(path, features, sums) as write, open_examples(plan.validation_file(shard), features) as hold:
            for number in sorted(lost):
                for row, example, is_held_out in _rows(self._files[number], reports[number].content, features):
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
            validation = hold.content()
        copies = sum(map(len, lost.values()))
        return ShardResult(shard, kept, held_out, copies, size, words, as_json(sums), validation, made_from)


def _rows(path: str, content: str, features: Sequence[str]) -> Iterator[tuple[int, dict[str, str], bool]]:
    row = 0
    for batch in read_rows(path, content, ["held_out", *features]):
        for example in batch.to_pylist():
            yield row, example, example.pop("held_out")
            row += 1


class Publish(_Step):
    """(0, all reports and shard results) to the summary of the run: counts that add up, validation, metadata."""

    def process(self, element: Keyed) -> Iterator[str]:
        kinds = by_kind(element[1])
        yield json.dumps(publish(self.plan, sorted(kinds["report"]), sorted(kinds["shard"])))


def publish(plan: CollectPlan, reports: Sequence[Report], results: Sequence[ShardResult]) -> dict:
    """Writes what makes the folder complete, and returns the summary. Raises CountsError where they do not add up."""
    counts: Counter = sum((Counter(report.counts) for report in reports), Counter())
    damaged = [
        {"input": path, "offset": offset, "what": what} for report in reports for path, offset, what in report.damages
    ]
    records, taken = sum(counts.values()), counts.pop("kept", 0)
    if not records:
        raise NothingReadError(nothing_read(plan.recipe.record, list(_read_sources(plan)), damaged))
    if counts_copies := sum(result.copies for result in results):
        counts[COPY] = counts_copies
    kept = sum(result.kept + result.held_out for result in results)
    if records != kept + sum(counts.values()) or len(reports) != plan.units or len(results) != plan.shards:
        raise CountsError(
            f"{plan.folder}: {records:,} {plan.recipe.record} went in ({taken:,} of them examples), but {kept:,} kept and "
            f"{sum(counts.values()):,} dropped came out ({dict(counts)}); the output is left incomplete"
        )
    sums = {name: found for result in results for name, found in sums_in(result._asdict()).items()}
    validation = _write_validation(plan, results, sums)
    if sum(validation.shard_lengths) != sum(result.held_out for result in results):
        raise CountsError(f"{plan.folder}: validation examples were lost on the way; the output is left incomplete")
    splits = {
        "train": Split([result.kept for result in results], sum(result.size for result in results)),
        "validation": validation,
    }
    summary = {
        **plan.provenance,
        "folder": plan.folder,
        "inputs": _inputs(plan, reports),
        plan.recipe.record: records,
        "kept": kept,
        "dropped": {reason: counts[reason] for reason in (*plan.recipe.reasons, COPY) if counts[reason]},
        "notes": dict(sorted(sum((Counter(report.notes) for report in reports), Counter()).items())),
        "damaged": damaged[:_MOST_LISTED],
        "more_damaged": len(damaged[_MOST_LISTED:]) + sum(report.more_damages for report in reports),
        "made_again": [*(r.remade for r in reports if r.remade), *(what for r in results for what in r.remade)],
        "bytes": sum(split.num_bytes for split in splits.values()),
        "words": sum(result.words for result in results),
        "splits": {name: sum(split.shard_lengths) for name, split in splits.items()},
        "seconds": round(seconds_since(plan.provenance["started"]), 1),
    }
    if unnamed := set(counts) - {*plan.recipe.reasons, COPY}:
        raise CountsError(f"{plan.folder}: records were dropped for reasons without a name: {sorted(unnamed)}")
    if _FORMATS[plan.format].tfds:
        write_metadata(plan.folder, plan.recipe.dataset, splits, _FORMATS[plan.format].tfds, sums)
    complete(plan.folder, plan.format, sums, summary)
    return summary


def _read_sources(plan: CollectPlan) -> dict[str, Input]:
    return {part.source.path: part.source for _, unit in ListUnits().process(plan.units_file) for part in unit.parts}


def _inputs(plan: CollectPlan, reports: Sequence[Report]) -> list[dict]:
    """The inputs by path; one that is in several units is read to its end where all of them are."""
    whole: dict[str, bool] = {}
    for (_, unit), report in zip(ListUnits().process(plan.units_file), reports):
        for part in unit.parts:
            whole[part.source.path] = whole.get(part.source.path, True) and report.complete
    return [
        {"path": path, "identity": source.identity, "bytes": source.size, "read_to_its_end": whole[path]}
        for path, source in _read_sources(plan).items()
    ]


def _write_validation(plan: CollectPlan, results: Sequence[ShardResult], sums: FileSums) -> Split:
    format, features = _FORMATS[plan.format], plan.recipe.dataset.features
    shards = validation_shards(plan.shards)
    lengths, size = [0] * shards, 0
    for index in range(shards):
        path = join(plan.folder, shard_name(format, plan.recipe.dataset.name, "validation", index, shards))
        with format.open(path, features, sums) as write:
            for result in results[index * plan.shards // shards : (index + 1) * plan.shards // shards]:
                for _, example, _ in _rows(plan.validation_file(result.shard), result.validation, features):
                    encoded = format.encode(example)
                    write(encoded)
                    lengths[index] += 1
                    size += encoded_size(encoded)
    return Split(lengths, size)


Yielded = Found | tuple[str, Damage]
