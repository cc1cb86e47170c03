"""Page files to shards: takes out what was lost, goes through the rules after deduplication, writes every variant.

The inputs, laid end to end, are cut into as many equal parts as there are shards; a part is a unit of work. Unit k
writes shard k of every variant, and keeps its few validation pages in a file of its own, from which the validation
shards are put together at the end. Its record says what it was made from and what each of its files holds: it is done as
long as that is so.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import repeat
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from c4build.dedup.keys import loss_dtype, repeat_dtype
from c4build.dedup.units import units_of
from c4build.flow.corpus import Written, format_named, open_shard, write_once, wrong_files
from c4build.flow.dropped import UnitDropped
from c4build.flow.pagefiles import PageFile, read_texts, reasons_in
from c4build.flow.sampling import Row, UnitSamples
from c4build.flow.settings import FinishSettings, features_of
from c4build.flow.validation import ValidationPart
from c4build.page import FEATURES
from c4build.rules.steps import bits_of, steps_of
from c4build.rules.tables import REASONS
from c4build.write.example import Text
from c4build.write.files import FileSum, base_name, digest, make_folder
from c4build.write.folder import as_json, sums_in
from c4build.write.shards import Example, encoded_size

_BYTES = ["url", "content_type", "content_length", "timestamp"]  # written as they are, so never made strings
_FIELDS = [*_BYTES, "validation", "text", "raw"]
_COLUMNS = ["reasons", "number", "chance", "keys", *_FIELDS]


class FilePart(NamedTuple):
    """What is known of one page file when it is finished."""

    file: PageFile
    losses: np.ndarray  # `loss_dtype`, by page
    repeats: np.ndarray  # `repeat_dtype`, by position

    @classmethod
    def of(cls, file: PageFile, losses: bytes, repeats: bytes, variants: int) -> "FilePart":
        return cls(file, np.frombuffer(losses, loss_dtype(variants)), np.frombuffer(repeats, repeat_dtype(variants)))

    def digest(self) -> str:
        content = [self.file.file, self.file.content, self.file.pages]
        return digest([*content, self.losses.tobytes().hex(), self.repeats.tobytes().hex()])


class UnitResult(NamedTuple):
    """What one unit wrote, by variant."""

    unit: int
    counts: dict[str, dict[str, int]]  # pages by reason, the kept ones too
    repeats: dict[str, int]  # lines or spans taken out
    lengths: dict[str, int]  # examples in the training shard
    sizes: dict[str, int]  # bytes of its examples, before compression
    validation: dict[str, int]  # examples for the validation split
    files: dict[str, dict]  # what was written of the variant
    held_out: dict  # the same of the file of validation pages
    made_from: str  # a digest of what is known of all parts
    samples: dict = {}  # the same of the file of what may become samples
    remade: list[str] = []  # what was there before, but not as it was written

    @property
    def for_validation(self) -> dict:
        return self.held_out

    def written(self, variant: str) -> Written:
        """Of the training shard."""
        return Written(self.lengths[variant], self.sizes[variant], sums_in({"files": self.files[variant]}))


def units_of_file(file: int, files: int, shards: int) -> range:
    """The units that have a part in the file's pages."""
    return range(file * shards // files, ((file + 1) * shards - 1) // files + 1)


def pages_of_unit(unit: int, file: int, pages: int, files: int, shards: int) -> range:
    """The pages of a file that belong to the unit: page n of file i lies at (i + n / pages) of all files.

    All pages that were read count, whatever became of them, so that the cuts are the same for every variant.
    """

    def first(bound: int) -> int:
        # The least n with (file + n / pages) / files >= bound / shards, in whole numbers.
        distance = bound * files - file * shards
        return min(max(-(-distance * pages // shards), 0), pages)

    return range(first(unit), first(unit + 1))


class Finisher:
    """Finishes units. One is made ready a process and used for many."""

    def __init__(self, settings: FinishSettings):
        self._settings = settings
        rules = settings.clean.rules
        self._variants = settings.variants
        self._steps = steps_of(rules, settings.variants, settings.bad_words)
        self._remove = units_of(rules).remove
        self._corpora = settings.corpora
        self._encode = format_named(settings.run.format).encode
        self._features = features_of(settings.clean.provenance)

    def finish(self, unit: int, parts: Sequence[FilePart]) -> UnitResult:
        """Writes shard `unit` of every variant from `parts`, or finds it written before."""
        parts = sorted(parts, key=lambda part: part.file.file)
        made_from = digest([part.digest() for part in parts])
        done = self._settings.run.done_file(unit)
        return write_once(done, UnitResult, unit, made_from, self._wrong, lambda: self._write(unit, parts, made_from))

    def _wrong(self, found: UnitResult) -> Iterator[str]:
        """What of a unit's files is not there, or is not what it was."""
        for variant, corpus in zip(self._variants, self._corpora):
            yield from wrong_files(corpus.folder, found.written(variant.name).sums)
        run = self._settings.run
        yield from wrong_files(run.units, {base_name(run.held_out_file(found.unit)): FileSum(**found.held_out)})
        if found.samples:
            yield from wrong_files(run.units, {base_name(run.samples_file(found.unit)): FileSum(**found.samples)})

    def _write(self, unit: int, parts: Sequence[FilePart], made_from: str) -> UnitResult:
        names = [variant.name for variant in self._variants]
        counts: list[Counter[int]] = [Counter() for _ in names]
        repeats, held_out = [0] * len(names), [0] * len(names)
        run = self._settings.run
        make_folder(run.units)
        samples = UnitSamples(unit, self._settings) if self._settings.clean.samples else None
        watchers: list[UnitSamples | UnitDropped] = [samples] if samples else []
        dropped = None
        with ExitStack() as stack:
            shards = [stack.enter_context(open_shard(run, corpus, "train", unit)) for corpus in self._corpora]
            validation = stack.enter_context(ValidationPart(run.held_out_file(unit), self._features))
            if format := self._settings.clean.write_dropped:
                dropped = UnitDropped(unit, run.shards, format, self._corpora, stack)
                watchers.append(dropped)
            for part in parts:
                pages = pages_of_unit(unit, part.file.file, part.file.pages, run.inputs, run.shards)
                columns, more = self._settings.columns_in(part.file), self._features[len(FEATURES) :]
                for watcher in watchers:
                    watcher.begin(part.file, part.losses, pages, columns)
                for row, running, lost in _surviving(part, pages, columns, watchers, more):
                    for bits, example in self._judge(row, running, lost, counts, repeats, watchers):
                        if row.validation:
                            for bit in bits_of(bits):
                                validation.write(bit, example)
                                held_out[bit] += 1
                            continue
                        encoded = self._encode(example)
                        size = encoded_size(encoded)
                        for bit in bits_of(bits):
                            shards[bit].write(encoded, size)
        written = [shard.written() for shard in shards]
        return UnitResult(
            unit=unit,
            counts={
                name: {REASONS[code]: count for code, count in sorted(counter.items())}
                for name, counter in zip(names, counts)
            },
            repeats=dict(zip(names, repeats)),
            lengths={name: shard.length for name, shard in zip(names, written)},
            sizes={name: shard.size for name, shard in zip(names, written)},
            validation=dict(zip(names, held_out)),
            files={
                name: as_json({**shard.sums, **(dropped.sums[bit] if dropped else {})})
                for bit, (name, shard) in enumerate(zip(names, written))
            },
            held_out=validation.sum()._asdict(),
            made_from=made_from,
            samples=samples.write(run.samples_file(unit), made_from)._asdict() if samples else {},
        )

    def _judge(
        self, row: Row, running: int, lost, counts, repeats, watchers: Sequence[UnitSamples | UnitDropped]
    ) -> Iterator[tuple[int, Example]]:
        """Yields the examples that come of one page, each with the variants that have it as bits."""
        reasons = bytearray(len(counts))
        for watcher in watchers if lost else ():
            watcher.repeated(row, running, lost)
        for bits, text in self._texts(row, running, lost, repeats):
            # A raw text took all steps before.
            left = self._steps.after(text, bits, reasons) if isinstance(text, str) else text
            judged = bits
            for bit in bits_of(bits):
                counts[bit][reasons[bit]] += 1
                if reasons[bit]:
                    bits &= ~(1 << bit)
            for watcher in watchers:
                watcher.judged(row, judged, bits, reasons, text, left)
            if bits and left is not None:
                values = (left, row.url, row.timestamp, row.content_type, row.content_length, *row.provenance)
                yield bits, dict(zip(self._features, values))

    def _texts(self, row: Row, running: int, lost: Sequence[tuple[int, int]], repeats) -> list[tuple[int, Text]]:
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
                repeats[bit] += len(gone)
            texts += [
                (bits, self._remove(row.text, frozenset(gone)) if gone else row.text) for gone, bits in by_loss.items()
            ]
        return texts


def _surviving(
    part: FilePart,
    pages: range,
    columns: Sequence[int],
    watchers: Sequence[UnitSamples | UnitDropped],
    more: Sequence[str],
) -> Iterator[tuple[Row, int, list[tuple[int, int]]]]:
    """Yields (row, the variants it is still in, its lost (position in the page, variants)) for the pages of `pages`.

    `more` are columns of provenance.
    """
    lost = np.zeros(part.file.rows, np.int64)
    lost[part.losses["page"]] = part.losses["variants"]
    positions, repeat_bits = part.repeats["position"].tolist(), part.repeats["variants"].tolist()
    weights = 1 << np.arange(len(columns))
    for row, key, batch in read_texts(part.file, [*_COLUMNS, *more], pages):
        keys = batch.column("keys").to_numpy().astype(np.int64)
        key_stops = key + np.cumsum(keys)
        running = ((reasons_in(batch)[:, columns] == 0) * weights).sum(axis=1)
        numbers, chances = (batch.column(name).to_numpy() for name in ("number", "chance"))
        running[(numbers < pages.start) | (numbers >= pages.stop)] = 0
        for watcher in watchers:
            watcher.lost(batch, row, running & lost[row : row + batch.num_rows])
        running &= ~lost[row : row + batch.num_rows]
        live = np.flatnonzero(running)
        if not len(live):
            continue
        fields = [batch.column(name).take(pa.array(live)) for name in (*_FIELDS, *more)]
        fields[: len(_BYTES)] = [column.cast(pa.binary()) for column in fields[: len(_BYTES)]]
        values = [column.to_numpy(zero_copy_only=False).tolist() for column in fields]
        where = zip(*values[len(_FIELDS) :]) if more else repeat(())
        rows = zip(*values[: len(_FIELDS)], where)
        bounds = zip((key_stops - keys)[live].tolist(), key_stops[live].tolist())
        places = zip(numbers[live].tolist(), chances[live].tolist())
        for place, fields_of_row, bits, (start, stop) in zip(places, rows, running[live].tolist(), bounds):
            gone = []
            if start < stop and positions:
                low = bisect_left(positions, start)
                high = bisect_left(positions, stop, low)
                gone = [(positions[index] - start, repeat_bits[index]) for index in range(low, high)]
            yield Row(*place, *fields_of_row), bits, gone
