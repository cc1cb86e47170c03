"""Page files to shards: takes out what was lost, goes through the rules after deduplication, writes every variant.

The inputs, laid end to end, are cut into as many equal parts as there are shards; a part is a unit of work. Unit k
writes shard k of every variant, and keeps its few validation pages in a file of its own, from which the validation
shards are put together at the end.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from contextlib import ExitStack
from typing import Iterator, NamedTuple, Optional, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from c4build.clean import CleanSettings, Report, read_columns
from c4build.dedup.keys import LOSS, REPEAT
from c4build.dedup.units import units_of
from c4build.filters.steps import Steps, bits_of
from c4build.page import FEATURES
from c4build.rules import REASONS
from c4build.write.files import join, make_folder, read_json, whole_file, write_json
from c4build.write.shards import FORMATS, Example, Text, encoded_size, shard_name

DATASET = "c4"
_BYTES = ["url", "content_type", "content_length", "timestamp"]  # written as they are, so never made strings
_FIELDS = [*_BYTES, "validation", "text", "raw"]
_COLUMNS = ["reasons", "keys", *_FIELDS]
_EXAMPLES = pa.schema([("variant", pa.uint8()), *((name, pa.string()) for name in FEATURES)])


class FinishSettings(NamedTuple):
    clean: CleanSettings
    format: str
    shards: int
    files: int  # inputs
    out: str
    work: str  # for what is made on the way
    fingerprint: str  # of all that decides the shards

    @property
    def units(self) -> str:
        """The folder of what finished units leave."""
        return join(self.work, "units", self.fingerprint)

    def folder(self, variant: str) -> str:
        return join(self.out, DATASET, variant, self.clean.rules.version)


class FilePart(NamedTuple):
    """What is known of one page file when it is finished."""

    file: int
    report: Report
    losses: bytes  # `LOSS`
    repeats: bytes  # `REPEAT`, in any order


class UnitResult(NamedTuple):
    """What one unit wrote, by variant."""

    unit: int
    counts: dict[str, dict[str, int]]  # pages by reason, the kept ones too
    repeats: dict[str, int]  # lines or spans taken out
    lengths: dict[str, int]  # examples in the training shard
    sizes: dict[str, int]  # bytes of its examples, before compression
    validation: dict[str, int]  # examples for the validation split


def units_of_file(file: int, files: int, shards: int) -> range:
    """The units that have a part in the file's pages."""
    return range(file * shards // files, ((file + 1) * shards - 1) // files + 1)


def rows_of_unit(unit: int, file: int, rows: int, files: int, shards: int) -> range:
    """The rows of a page file that belong to the unit: row r of file i lies at (i + r / rows) of all files."""

    def first(bound: int) -> int:
        # The least r with (file + r / rows) / files >= bound / shards, in whole numbers.
        distance = bound * files - file * shards
        return min(max(-(-distance * rows // shards), 0), rows)

    return range(first(unit), first(unit + 1))


class Finisher:
    """Finishes units. One is made ready a process and used for many."""

    def __init__(self, settings: FinishSettings):
        self._settings = settings
        clean = settings.clean
        self._variants = clean.variants
        self._steps = Steps(clean.rules, clean.variants, clean.bad_words)
        self._remove = units_of(clean.rules).remove
        self._format = FORMATS[settings.format]
        self._folders = [settings.folder(variant.name) for variant in clean.variants]

    def finish(self, unit: int, parts: Sequence[FilePart]) -> UnitResult:
        """Writes shard `unit` of every variant from `parts`, in order of file, or finds it written before."""
        done = join(self._settings.units, f"{unit:05d}.json")
        try:
            return UnitResult(**read_json(done))
        except (OSError, ValueError):
            pass
        names = [variant.name for variant in self._variants]
        counts = [Counter() for _ in names]
        repeats, lengths, sizes, held_out = Counter(), Counter(), Counter(), Counter()
        with ExitStack() as stack:
            writers = []
            for folder in self._folders:
                make_folder(folder)
                name = shard_name(self._format, DATASET, "train", unit, self._settings.shards)
                writers.append(stack.enter_context(self._format.open(join(folder, name), FEATURES)))
            validation = stack.enter_context(_ValidationPart(self._settings, unit))
            for part in sorted(parts):
                rows = rows_of_unit(unit, part.file, part.report.rows, self._settings.files, self._settings.shards)
                for row, running, lost in _surviving(part, rows, self._steps, counts):
                    for bits, example in self._judge(row, running, lost, counts, repeats):
                        encoded = None if row.validation else self._format.encode(example)
                        for bit in bits_of(bits):
                            if row.validation:
                                validation.write(bit, example)
                                held_out[names[bit]] += 1
                            else:
                                writers[bit](encoded)
                                lengths[names[bit]] += 1
                                sizes[names[bit]] += encoded_size(encoded)
        result = UnitResult(
            unit=unit,
            counts={
                name: {REASONS[code]: count for code, count in sorted(counter.items())}
                for name, counter in zip(names, counts)
            },
            repeats={name: repeats[name] for name in names},
            lengths={name: lengths[name] for name in names},
            sizes={name: sizes[name] for name in names},
            validation={name: held_out[name] for name in names},
        )
        make_folder(self._settings.units)
        write_json(done, result._asdict())
        return result

    def _judge(self, row: "_Row", running: int, lost, counts, repeats) -> Iterator[tuple[int, Example]]:
        """Yields the examples that come of one page, each with the variants that have it as bits."""
        reasons = bytearray(len(counts))
        for bits, text in self._texts(row, running, lost, repeats):
            text = self._steps.after(text, bits, reasons)
            for bit in bits_of(bits):
                counts[bit][reasons[bit]] += 1
                if reasons[bit]:
                    bits &= ~(1 << bit)
            if bits:
                values = (text, row.url, row.timestamp, row.content_type, row.content_length)
                yield bits, dict(zip(FEATURES, values))

    def _texts(self, row: "_Row", running: int, lost: Sequence[tuple[int, int]], repeats) -> list[tuple[int, Text]]:
        """The texts of a page as its variants have them: (variants as bits, text)."""
        texts: list[tuple[int, Text]] = []
        if running & self._steps.raw:
            texts.append((running & self._steps.raw, row.raw))
        clean = running & self._steps.clean
        if clean and not any(bits & clean for _, bits in lost):
            texts.append((clean, row.text))
        elif clean:
            by_loss: dict[tuple[int, ...], int] = defaultdict(int)
            for bit in bits_of(clean):
                gone = tuple(position for position, bits in lost if bits >> bit & 1)
                by_loss[gone] |= 1 << bit
                repeats[self._variants[bit].name] += len(gone)
            texts += [
                (bits, self._remove(row.text, frozenset(gone)) if gone else row.text) for gone, bits in by_loss.items()
            ]
        return texts


class _Row(NamedTuple):
    url: bytes
    content_type: bytes
    content_length: bytes
    timestamp: bytes
    validation: bool
    text: Optional[str]
    raw: Optional[bytes]


def _surviving(part: FilePart, rows: range, steps: Steps, counts) -> Iterator[tuple[_Row, int, list[tuple[int, int]]]]:
    """Yields (row, the variants it is still in, its lost (position in the page, variants)) for the rows of `rows`."""
    losses = np.frombuffer(part.losses, LOSS)
    lost = np.zeros(part.report.rows, np.int64)
    lost[losses["page"]] = losses["variants"]
    repeats = np.frombuffer(part.repeats, REPEAT)
    repeats = repeats[np.argsort(repeats["position"])]
    positions, repeat_bits = repeats["position"].tolist(), repeats["variants"].tolist()
    weights = 1 << np.arange(len(part.report.counts))
    first = key = 0  # row and key that the row group starts with
    for batch in read_columns(part.report.page_file, _COLUMNS):
        if first >= rows.stop:
            return
        keys = np.array([len(keys or b"") // 16 for keys in batch.column("keys").to_pylist()])
        key_stops = key + np.cumsum(keys)
        key = int(key_stops[-1])
        group = range(first, first + batch.num_rows)
        first = group.stop
        if group.stop <= rows.start:
            continue
        reasons = np.frombuffer(b"".join(batch.column("reasons").to_pylist()), np.uint8).reshape(batch.num_rows, -1)
        running = ((reasons == 0) * weights).sum(axis=1) & ~lost[group.start : group.stop]
        running[: max(rows.start - group.start, 0)] = 0
        running[max(rows.stop - group.start, 0) :] = 0
        columns = [batch.column(name) for name in _FIELDS]
        columns[: len(_BYTES)] = [column.cast(pa.binary()) for column in columns[: len(_BYTES)]]
        columns = [column.to_pylist() for column in columns]
        fields = list(zip(*columns))
        live = np.flatnonzero(running)
        bounds = zip((key_stops - keys)[live].tolist(), key_stops[live].tolist())
        for at, bits, (start, stop) in zip(live.tolist(), running[live].tolist(), bounds):
            gone = []
            if start < stop and positions:
                low = bisect_left(positions, start)
                high = bisect_left(positions, stop, low)
                gone = [(positions[index] - start, repeat_bits[index]) for index in range(low, high)]
            yield _Row(*fields[at]), bits, gone


class _ValidationPart:
    """The validation pages of one unit, of all variants, in one small Parquet file."""

    def __init__(self, settings: FinishSettings, unit: int):
        self._path = validation_part(settings, unit)
        make_folder(settings.units)
        self._rows: list[dict] = []

    def __enter__(self) -> "_ValidationPart":
        self._stack = ExitStack()
        file = self._stack.enter_context(whole_file(self._path))
        self._writer = self._stack.enter_context(pq.ParquetWriter(file, _EXAMPLES, compression="lz4"))
        return self

    def write(self, variant: int, example: Example):
        self._rows.append({"variant": variant, **example})
        if len(self._rows) == 256:
            self._flush()

    def _flush(self):
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, _EXAMPLES))
            self._rows.clear()

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._flush()
        return self._stack.__exit__(kind, error, trace)


def validation_part(settings: FinishSettings, unit: int) -> str:
    return join(settings.units, f"{unit:05d}.validation.parquet")


def read_validation(settings: FinishSettings, units: range, variant: int) -> Iterator[dict[str, str]]:
    """Yields the validation examples of a variant from the units' parts, in order."""
    for unit in units:
        for batch in read_columns(validation_part(settings, unit), ["variant", *FEATURES]):
            for example in batch.to_pylist():
                if example.pop("variant") == variant:
                    yield example
