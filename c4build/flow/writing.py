"""Files of examples to shards, and the end of a run of `records`: counts that must add up, and a folder that is complete."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from c4build.errors import CorruptFileError, CountsError, NothingReadError
from c4build.flow.corpus import (
    Corpus,
    Written,
    complete_corpus,
    format_named,
    open_shard,
    splits_of,
    told_in_manifest,
    write_once,
    wrong_files,
)
from c4build.flow.examples import ExamplesFile, Report, open_examples, read_examples
from c4build.flow.kit import Run
from c4build.flow.units import Found, Recipe, Unit
from c4build.read.paths import Input
from c4build.write.files import digest
from c4build.write.folder import as_json, nothing_read, seconds_since, sums_in
from c4build.write.shards import encoded_size

COPY = "copy"  # the reason of all but one of the examples with one key


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

    @property
    def for_validation(self) -> str:
        return self.validation

    @property
    def written(self) -> Written:
        """Of the training shard."""
        return Written(self.kept, self.size, sums_in(self._asdict()))


def write_shard(run: Run, corpus: Corpus, shard: int, parts: Sequence[tuple[ExamplesFile, set[int]]]) -> ShardResult:
    """Writes a shard from files of examples, each with the rows that go, or finds it written before."""
    made_from = digest([[file.unit, file.content, sorted(lost)] for file, lost in parts])

    def wrong(found: ShardResult) -> Iterator[str]:
        """What of a shard's files is not there, or is not what it was."""
        yield from wrong_files(corpus.folder, found.written.sums)
        try:
            for _ in read_examples(run.held_out_file(shard), found.validation, corpus.dataset.features):
                pass
        except CorruptFileError as error:
            yield str(error)

    return write_once(
        run.done_file(shard), ShardResult, shard, made_from, wrong, lambda: _write(run, corpus, shard, parts, made_from)
    )


def _write(
    run: Run, corpus: Corpus, shard: int, parts: Sequence[tuple[ExamplesFile, set[int]]], made_from: str
) -> ShardResult:
    encode, features = format_named(run.format).encode, corpus.dataset.features
    words = 0
    with open_shard(run, corpus, "train", shard) as train, open_examples(run.held_out_file(shard), features) as held:
        for file, lost in parts:
            for row, example, is_held_out in read_examples(file.path, file.content, features):
                if row in lost:
                    continue
                words += len(example.get("text", "").split())
                if is_held_out:
                    held.add(Found("kept", held_out=True), example)
                else:
                    encoded = encode(example)
                    train.write(encoded, encoded_size(encoded))
        validation = held.content()
    written, copies = train.written(), sum(len(lost) for _, lost in parts)
    return ShardResult(
        shard, written.length, held.rows, copies, written.size, words, as_json(written.sums), validation, made_from
    )


def publish_records(
    run: Run,
    recipe: Recipe,
    corpus: Corpus,
    units: Sequence[Unit],
    reports: Sequence[Report],
    results: Sequence[ShardResult],
    validation: Sequence[Written],
) -> dict:
    """Writes what makes the folder complete, and returns the summary. Raises CountsError where counts do not add up.

    Args:
      run, recipe, corpus: what is made.
      units: the input, in order, as is all that follows.
      reports: of the units.
      results: of the training shards.
      validation: what was written of each validation shard.
    """
    counts: Counter[str] = sum((Counter(report.counts) for report in reports), Counter())
    damaged = [
        {"input": path, "offset": offset, "what": what} for report in reports for path, offset, what in report.damages
    ]
    records, taken = sum(counts.values()), counts.pop("kept", 0)
    if not records:
        raise NothingReadError(nothing_read(recipe.record, list(sources_of(units)), damaged))
    if counts_copies := sum(result.copies for result in results):
        counts[COPY] = counts_copies
    kept = sum(result.kept + result.held_out for result in results)
    if records != kept + sum(counts.values()) or len(reports) != len(units) or len(results) != run.shards:
        raise CountsError(
            f"{corpus.folder}: {records:,} {recipe.record} went in ({taken:,} of them examples), but {kept:,} kept and "
            f"{sum(counts.values()):,} dropped came out ({dict(counts)}); the output is left incomplete"
        )
    splits, sums = splits_of([result.written for result in results], validation)
    if sum(splits["validation"].shard_lengths) != sum(result.held_out for result in results):
        raise CountsError(f"{corpus.folder}: validation examples were lost on the way; the output is left incomplete")
    remade = [*(r.remade for r in reports if r.remade), *(what for r in results for what in r.remade)]
    summary = {
        **run.provenance,
        "folder": corpus.folder,
        "inputs": _inputs(units, reports),
        recipe.record: records,
        "kept": kept,
        "dropped": {reason: counts[reason] for reason in (*recipe.reasons, COPY) if counts[reason]},
        "notes": dict(sorted(sum((Counter(report.notes) for report in reports), Counter()).items())),
        **told_in_manifest(damaged, sum(report.more_damages for report in reports), remade),
        "bytes": sum(split.num_bytes for split in splits.values()),
        "words": sum(result.words for result in results),
        "splits": {name: sum(split.shard_lengths) for name, split in splits.items()},
        "seconds": round(seconds_since(run.provenance["started"]), 1),
    }
    if unnamed := set(counts) - {*recipe.reasons, COPY}:
        raise CountsError(f"{corpus.folder}: records were dropped for reasons without a name: {sorted(unnamed)}")
    complete_corpus(run, corpus, splits, sums, summary)
    return summary


def sources_of(units: Sequence[Unit]) -> dict[str, Input]:
    """All inputs, by path."""
    return {part.source.path: part.source for unit in units for part in unit.parts}


def _inputs(units: Sequence[Unit], reports: Sequence[Report]) -> list[dict]:
    """The inputs by path; one that is in several units is read to its end where all of them are."""
    whole: dict[str, bool] = {}
    for unit, report in zip(units, reports):
        for part in unit.parts:
            whole[part.source.path] = whole.get(part.source.path, True) and report.complete
    return [
        {"path": path, "identity": source.identity, "bytes": source.size, "read_to_its_end": whole[path]}
        for path, source in sources_of(units).items()
    ]
