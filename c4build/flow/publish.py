"""The end of a run: counts that must add up, validation shards, metadata, each folder complete when this is done."""

from collections import Counter
from collections.abc import Sequence

from c4build.errors import CountsError, NothingReadError
from c4build.flow.finish import UnitResult
from c4build.flow.pagefiles import Report
from c4build.flow.settings import DATASET, FinishSettings
from c4build.flow.validation import ValidationShard
from c4build.page import FEATURES
from c4build.read.paths import Input
from c4build.rules.tables import REASONS
from c4build.write.files import FileSums
from c4build.write.folder import complete, nothing_read, seconds_since
from c4build.write.metadata import C4_CITATION, Dataset, Split, write_metadata
from c4build.write.shards import FORMATS

_MOST_DAMAGES = 10_000  # that a manifest lists; the others are counted
_MOST_REMADE = 100


def publish(
    settings: FinishSettings,
    provenance: dict,
    inputs: Sequence[Input],
    reports: Sequence[Report],
    counts: Counter,
    results: Sequence[UnitResult],
    validation: Sequence[ValidationShard],
) -> dict:
    """Writes what makes the variants' folders complete and returns the summary of the run.

    Args:
      settings: of the finished units.
      provenance: how the run came about: version, rules, options; goes into c4build.json as it is.
      inputs: in their order; `reports` may come in any.
      counts: (variant, reason code) of the pages that ended between Clean and Finish.
      results: of all units, in order.
      validation: all of it, in order.

    Raises:
      NothingReadError: no input has a page.
      CountsError: for some variant, pages in are not pages kept and dropped.
    """
    order = {source.identity: index for index, source in enumerate(inputs)}
    reports = sorted(reports, key=lambda report: order[report.identity])
    pages = sum(report.pages for report in reports)
    damaged = [
        {"input": source.path, "offset": offset, "what": what}
        for source, report in zip(inputs, reports)
        for offset, what in report.damages
    ]
    # What has no URL is no page; by TFDS's records each file's head is one such.
    if pages == sum(report.counts[report.tracks[0]].get("no_url", 0) for report in reports):
        raise NothingReadError(nothing_read("pages", [source.path for source in inputs], damaged))
    remade = [
        *(report.remade for report in reports if report.remade),
        *(what for result in results for what in result.remade),
    ]
    summary = {
        **provenance,
        "inputs": [
            {
                "path": source.path, "identity": source.identity, "bytes": report.size, "pages": report.pages,
                "read_to_its_end": report.complete,
            }
            for source, report in zip(inputs, reports)
        ],
        "missing": [
            {"input": source.path, "why": report.missing} for source, report in zip(inputs, reports) if report.missing
        ],
        "damaged": damaged[:_MOST_DAMAGES],
        "more_damaged": len(damaged[_MOST_DAMAGES:]) + sum(report.more_damages for report in reports),
        "made_again": remade[:_MOST_REMADE],
        "lines": dict(sum((Counter(report.lines) for report in reports), Counter())),
        "seconds": round(seconds_since(provenance["started"]), 1),
        "variants": {},
    }  # fmt: skip
    written: dict[str, tuple[dict[str, Split], FileSums]] = {}
    for bit, variant in enumerate(settings.variants):
        dropped = _count(settings, bit, reports, counts, results)
        kept = dropped.pop("kept", 0)
        if pages != kept + sum(dropped.values()):
            raise CountsError(
                f"{variant.name}: {pages:,} pages went in, but {kept:,} kept and {sum(dropped.values()):,} dropped "
                f"came out ({dropped}); the output is not to be trusted, and is left incomplete"
            )
        sums = {name: found for of in (*results, *validation) for name, found in of.sums(variant.name).items()}
        splits = {
            split: Split([of.lengths[variant.name] for of in parts], sum(of.sizes[variant.name] for of in parts))
            for split, parts in (("train", results), ("validation", validation))
        }
        written[variant.name] = splits, sums
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
    for variant in settings.variants:
        _complete(settings, variant, *written[variant.name], summary)
    return summary


def _count(settings: FinishSettings, bit: int, reports, counts, results) -> Counter:
    """Pages of a variant by reason, from everywhere a page can end."""
    name, track = settings.variants[bit].name, settings.clean.track_keys()[settings.track_of[bit]]
    found = sum((Counter(report.counts[track]) for report in reports), Counter())
    for (variant, code), count in counts.items():
        if variant == bit:
            found[REASONS[code]] += count
    for result in results:
        found.update(result.counts[name])
    return found


def _complete(settings: FinishSettings, variant, splits: dict[str, Split], sums: FileSums, summary: dict):
    folder = settings.folder(variant.name)
    format = FORMATS[settings.format]
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
        write_metadata(folder, dataset, splits, format.tfds, sums)
    own = {key: value for key, value in summary.items() if key not in ("variants", "made_from")}
    made_from = summary["made_from"][variant.name]
    fields = {"variant": variant.name, **own, **summary["variants"][variant.name], "made_from": made_from}
    complete(folder, settings.format, sums, fields)
