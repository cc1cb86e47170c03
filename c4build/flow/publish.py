"""The end of a run: counts that must add up, validation shards, metadata, each folder complete when this is done."""

from collections import Counter
from collections.abc import Sequence

from c4build.errors import CountsError, NothingReadError
from c4build.flow.corpus import Written, complete_corpus, splits_of, told_in_manifest
from c4build.flow.finish import UnitResult
from c4build.flow.pagefiles import Report
from c4build.flow.samples import SampleTeller
from c4build.flow.settings import FinishSettings
from c4build.read.paths import Input
from c4build.rules.tables import REASONS
from c4build.write.files import join
from c4build.write.folder import nothing_read, seconds_since
from c4build.write.samples import samples_name, write_samples
from c4build.write.statistics import statistics_name, write_statistics


def publish(
    settings: FinishSettings,
    inputs: Sequence[Input],
    reports: Sequence[Report],
    counts: Counter,
    results: Sequence[UnitResult],
    validation: Sequence[Sequence[Written]],
) -> dict:
    """Writes what makes the variants' folders complete and returns the summary of the run.

    Args:
      settings: of the finished units.
      inputs: in their order; `reports` may come in any.
      counts: (variant, reason code) of the pages that ended between Clean and Finish.
      results: of all units, in order.
      validation: what was written of each validation shard, by variant, in order.

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
        **settings.run.provenance,
        "samples": settings.clean.samples,
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
        **told_in_manifest(damaged, sum(report.more_damages for report in reports), remade),
        "lines": dict(sum((Counter(report.lines) for report in reports), Counter())),
        "seconds": round(seconds_since(settings.run.provenance["started"]), 1),
        "variants": {},
    }  # fmt: skip
    written = []
    most = settings.clean.samples
    units = [(result.unit, result.made_from) for result in results]
    teller = SampleTeller(settings, inputs, units) if most else None
    for bit, (variant, corpus) in enumerate(zip(settings.variants, settings.corpora)):
        dropped = _count(settings, bit, reports, counts, results)
        kept = dropped.pop("kept", 0)
        if pages != kept + sum(dropped.values()):
            raise CountsError(
                f"{variant.name}: {pages:,} pages went in, but {kept:,} kept and {sum(dropped.values()):,} dropped "
                f"came out ({dropped}); the output is not to be trusted, and is left incomplete"
            )
        splits, sums = splits_of([one.written(variant.name) for one in results], [shard[bit] for shard in validation])
        written.append((corpus, splits, sums))
        kept_examples = sum(sum(split.shard_lengths) for split in splits.values())
        if kept_examples != kept:
            raise CountsError(f"{variant.name}: {kept:,} pages kept, but {kept_examples:,} examples written")
        if teller:
            name = settings.run.format
            write_samples(join(corpus.folder, samples_name(name)), teller.of(bit), sums)
            write_statistics(join(corpus.folder, statistics_name(name)), teller.statistics_of(bit), sums)
        summary["variants"][variant.name] = {
            "folder": corpus.folder,
            "pages": pages,
            "kept": kept,
            "dropped": {reason: dropped[reason] for reason in REASONS if dropped.get(reason)},
            "repeats_removed": sum(result.repeats[variant.name] for result in results),
            "bytes": sum(split.num_bytes for split in splits.values()),
            "splits": {name: sum(split.shard_lengths) for name, split in splits.items()},
        }
    for corpus, splits, sums in written:
        complete_corpus(settings.run, corpus, splits, sums, _manifest(corpus.dataset.config, summary))
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


def _manifest(variant: str, summary: dict) -> dict:
    own = {key: value for key, value in summary.items() if key not in ("variants", "made_from")}
    made_from = summary["made_from"][variant]
    return {"variant": variant, **own, **summary["variants"][variant], "made_from": made_from}
