"""The end of a run: counts that must add up, validation shards, metadata, each folder complete when this is done."""

import time
from collections import Counter
from typing import Sequence

from c4build.clean import Report
from c4build.errors import CountsError
from c4build.finish import DATASET, FinishSettings, UnitResult, read_validation
from c4build.page import FEATURES
from c4build.read.paths import Input
from c4build.rules import REASONS
from c4build.write.files import delete, join, list_files, write_json
from c4build.write.metadata import C4_CITATION, Dataset, Split, write_metadata
from c4build.write.shards import FORMATS, encoded_size, shard_name

SUMMARY = "c4build.json"


def publish(
    settings: FinishSettings,
    provenance: dict,
    inputs: Sequence[Input],
    reports: Sequence[Report],
    counts: Counter,
    results: Sequence[UnitResult],
) -> dict:
    """Writes what makes the variants' folders complete and returns the summary of the run.

    Args:
      settings: of the finished units.
      provenance: how the run came about: version, rules, options; goes into c4build.json as it is.
      inputs: in their order; `reports` may come in any.
      counts: (variant, reason code) of the pages that ended between Clean and Finish.
      results: of all units, in order.

    Raises:
      CountsError: for some variant, pages in are not pages kept and dropped.
    """
    order = {source.identity: index for index, source in enumerate(inputs)}
    reports = sorted(reports, key=lambda report: order[_identity(report)])
    pages = sum(report.pages for report in reports)
    damaged = [
        {"input": source.path, "offset": offset, "what": what}
        for source, report in zip(inputs, reports)
        for offset, what in report.damages
    ]
    summary = {
        **provenance,
        "inputs": [
            {"path": source.path, "bytes": report.size, "pages": report.pages, "read_to_its_end": report.complete}
            for source, report in zip(inputs, reports)
        ],
        "damaged": damaged,
        "lines": dict(sum((Counter(report.lines) for report in reports), Counter())),
        "seconds": round(time.time() - provenance["started"], 1),
        "variants": {},
    }
    for bit, variant in enumerate(settings.clean.variants):
        dropped = _count(bit, variant.name, reports, counts, results)
        kept = dropped.pop("kept", 0)
        if pages != kept + sum(dropped.values()):
            raise CountsError(
                f"{variant.name}: {pages:,} pages went in, but {kept:,} kept and {sum(dropped.values()):,} dropped "
                f"came out ({dropped}); the output is not to be trusted, and is left incomplete"
            )
        splits = _write_validation(settings, bit, variant.name, results)
        kept_examples = sum(sum(split.shard_lengths) for split in splits.values())
        if kept_examples != kept:
            raise CountsError(f"{variant.name}: {kept:,} pages kept, but {kept_examples:,} examples written")
        summary["variants"][variant.name] = {
            "folder": settings.folder(variant.name),
            "pages": pages,
            "kept": kept,
            "dropped": {reason: dropped[reason] for reason in REASONS if dropped.get(reason)},
            "repeats_removed": sum(result.repeats[variant.name] for result in results),
            "bytes": sum(split.num_bytes for split in splits.values()),
            "splits": {name: sum(split.shard_lengths) for name, split in splits.items()},
        }
        summary["_splits"] = summary.get("_splits", {}) | {variant.name: splits}
    all_splits = summary.pop("_splits")
    for variant in settings.clean.variants:
        _complete(settings, variant, all_splits[variant.name], summary)
    return summary


def _identity(report: Report) -> str:
    return report.page_file.removesuffix(".parquet").rpartition("-")[2]


def _count(bit, name, reports, counts, results) -> Counter:
    """Pages of a variant by reason, from everywhere a page can end."""
    found = sum((Counter(report.counts[name]) for report in reports), Counter())
    for (variant, code), count in counts.items():
        if variant == bit:
            found[REASONS[code]] += count
    for result in results:
        found.update(result.counts[name])
    return found


def _write_validation(settings: FinishSettings, bit: int, name: str, results: Sequence[UnitResult]) -> dict[str, Split]:
    """Puts the validation shards together: one for each 128 of training, as TFDS's `en` has 8 and 1,024."""
    format = FORMATS[settings.format]
    shards = max(1, settings.shards // 128)
    lengths, size = [], 0
    for index in range(shards):
        units = range(index * settings.shards // shards, (index + 1) * settings.shards // shards)
        path = join(settings.folder(name), shard_name(format, DATASET, "validation", index, shards))
        lengths.append(0)
        with format.open(path, FEATURES) as write:
            for example in read_validation(settings, units, bit):
                encoded = format.encode(example)
                write(encoded)
                lengths[-1] += 1
                size += encoded_size(encoded)
    train = Split([result.lengths[name] for result in results], sum(result.sizes[name] for result in results))
    return {"train": train, "validation": Split(lengths, size)}


def _complete(settings: FinishSettings, variant, splits: dict[str, Split], summary: dict):
    folder = settings.folder(variant.name)
    format = FORMATS[settings.format]
    names = {
        shard_name(format, DATASET, split, index, len(splits[split].shard_lengths))
        for split in splits
        for index in range(len(splits[split].shard_lengths))
    }
    for path in list_files(folder):
        # Of an earlier run with other inputs: they would be read along.
        if path.rpartition("/")[2] not in names:
            delete(path)
    own = {key: value for key, value in summary.items() if key != "variants"}
    write_json(join(folder, SUMMARY), {"variant": variant.name, **own, **summary["variants"][variant.name]})
    if format.tfds:
        rules = settings.clean.rules
        dataset = Dataset(
            name=DATASET,
            config=variant.name,
            version=rules.version,
            description=f"{variant.paper_name}, made from Common Crawl by c4build under the rules {rules.name}.",
            citation=C4_CITATION,
            homepage="https://github.com/google-research/text-to-text-transfer-transformer#datasets",
            features=FEATURES,
        )
        write_metadata(folder, dataset, splits, format.tfds)
