"""The data flow, top to bottom: Clean, Gate, newest copies, repeats, Finish, Validation, Publish.

    inputs ─► Clean ─► page files and key files ───────────────────────────────────┐
                │                                                                    │
                └─► Gate: is all there?                                              │
                      └─► URL keys of a group of files ─► by bucket ─► Newest ─┐     │
                      └─► keys of lines or spans of what is left ◄── losses ◄──┤     │
                            └─► by bucket ─► Repeats ─► losses ◄───────────────┤     │
                                              Cut, by group, to units ◄────────┘     │
                                                      Finish, by unit ◄──────────────┘
                                                        └─► Validation ─► Publish

Text goes from Clean to Finish in page files and never through a shuffle; what is shuffled are arrays of keys, or where
in files such arrays lie. So that a crawl makes a few million of them and not a few hundred million, the files are taken
in groups, and there are only as many buckets as the keys need. Only Create, ParDo, Flatten and GroupByKey are used, on
keyed elements whose keys are small integers: every portable runner has these. Counts travel as elements.
"""

import gc
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam

from c4build.dedup.keys import by_bucket, deal, hash_text, hashes, repeat_key_dtype, url_key_dtype
from c4build.dedup.newest import competing, newest
from c4build.dedup.repeats import repeats
from c4build.flow.clean import Cleaner
from c4build.flow.elements import COUNTS, Keyed, by_kind, is_counts, is_of_group, lazily, par_do, publish_all, tag
from c4build.flow.finish import FilePart, Finisher, units_of_file
from c4build.flow.groups import Group, cut, repeat_keys, url_keys
from c4build.flow.inputs import check_missing, read_inputs, slices_of
from c4build.flow.keyfiles import Sent, fetch, name_of, send
from c4build.flow.pagefiles import Report
from c4build.flow.publish import publish
from c4build.flow.settings import FinishSettings
from c4build.flow.validation import validation_shard_of, write_validation
from c4build.read.hosts import Transport
from c4build.read.paths import Input
from c4build.read.url_list import read_urls
from c4build.rules.urls import normalize_url
from c4build.write.files import join, make_empty_folder

_LIST_CHUNK = 100_000  # URLs


class Plan(NamedTuple):
    """A run: what the steps of the pipeline need to know."""

    finish: FinishSettings
    inputs: str  # folder of the inputs and their page files, see `write_inputs`: a job's graph could not hold a crawl's
    url_lists: tuple[Input, ...]
    provenance: dict  # how the run came about, for c4build.json
    progress: str | None  # a folder on this machine where Clean tells how far it is
    key_files: str | None  # a folder for keys on their way; None: the runner's shuffle takes them
    transport: Transport = Transport()
    most_missing: int = 0  # inputs that may be left out where they cannot be fetched
    most_grouped: int = 64  # files that are taken as one
    bucket_bytes: int = 100_000_000  # of keys, about: a process holds a bucket and sorts it

    @property
    def group_size(self) -> int:
        """How many files are taken as one: fewer where there are few, for the sake of workers."""
        return max(1, min(self.most_grouped, -(-self.finish.files // 16)))

    @property
    def groups(self) -> int:
        return -(-self.finish.files // self.group_size)

    def buckets(self, size: int) -> int:
        """For so many bytes of keys."""
        return min(max(-(-size // self.bucket_bytes), min(max(8, 4 * self.groups), 256)), 1 << 15)


class Buckets(NamedTuple):
    """Into how many parts keys are dealt."""

    urls: int
    repeats: int


def build_corpus(root: beam.Pipeline, plan: Plan) -> beam.PCollection:
    """Adds the whole flow to a pipeline; the result is one element, the summary that `publish` returns."""
    slices = beam.Create(slices_of(plan.finish.files))
    inputs = root | slices | "List inputs" >> par_do(ListInputs(plan))
    cleaned = inputs | "Spread inputs" >> beam.GroupByKey() | "Clean" >> par_do(Clean(plan))
    files = cleaned | "To groups" >> beam.Map(_to_group, plan.group_size).with_output_types(Keyed)
    gate = cleaned | "To the gate" >> beam.Map(_to_gate).with_output_types(Keyed)
    opened = gate | "All inputs" >> beam.GroupByKey() | "Gate" >> par_do(Gate(plan))

    to_deal = (files, opened)
    if plan.url_lists:
        lists = root | "Create lists" >> beam.Create(
            [(-1 - at, ("list", path)) for at, path in enumerate(plan.url_lists)]
        )
        to_deal += (lists | "Lists" >> beam.Map(_as_it_is).with_output_types(Keyed),)
    decided = (
        to_deal
        | "Files and lists" >> beam.Flatten()
        | "Files by group" >> beam.GroupByKey()
        | "Url keys" >> par_do(UrlKeys(plan))
        | "Urls by bucket" >> beam.GroupByKey()
        | "Newest" >> par_do(Newest(plan))
    )
    losses = decided | "Losses" >> beam.Filter(is_of_group)
    repeated = (
        (files, opened, losses)
        | "Files and losses" >> beam.Flatten()
        | "Losses by group" >> beam.GroupByKey()
        | "Repeat keys" >> par_do(RepeatKeys(plan))
    )
    at_home = (
        repeated | "Decided" >> beam.Filter(_is_decided) | "At home" >> beam.Map(_at_home).with_output_types(Keyed)
    )
    away = (
        repeated
        | "Undecided" >> beam.Filter(_is_undecided)
        | "Keys by bucket" >> beam.GroupByKey()
        | "Repeats" >> par_do(Repeats(plan))
    )
    finished = (
        (files, losses, at_home, away)
        | "All of a group" >> beam.Flatten()
        | "By group" >> beam.GroupByKey()
        | "Cut" >> par_do(Cut(plan))
        | "By unit" >> beam.GroupByKey()
        | "Finish" >> par_do(Finish(plan))
    )
    validation = (
        finished
        | "To validation" >> beam.Map(_to_validation, plan.finish).with_output_types(Keyed)
        | "By validation shard" >> beam.GroupByKey()
        | "Validation" >> par_do(Validation(plan))
    )
    reports = cleaned | "Reports" >> beam.Map(tag, "report").with_output_types(Keyed)
    counts = decided | "Counts" >> beam.Filter(is_counts)
    return publish_all((reports, counts, finished, validation), Publish(plan))


def _to_group(element: tuple[int, Report], size: int) -> Keyed:
    file, report = element
    return file // size, ("file", report.as_page_file(file))


def _to_gate(element: tuple[int, Report]) -> Keyed:
    file, report = element
    return 0, (file, report.missing, report.rows, report.keys)


def _as_it_is(element: Keyed) -> Keyed:
    return element


def _to_validation(element: Keyed, settings: FinishSettings) -> Keyed:
    unit, (_, result) = element
    return validation_shard_of(unit, settings.shards), (unit, result.held_out)


def _is_undecided(element: Keyed) -> bool:
    return element[0] >= 0


def _is_decided(element: Keyed) -> bool:
    return element[0] < 0


def _at_home(element: Keyed) -> Keyed:
    return -1 - element[0], element[1]


def _names(sent: Iterable[Sent]) -> list:
    return [name_of(data) for data in sent]


class _Step(beam.DoFn):
    """A step of the flow; what it needs of its process it makes ready in `setup`."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def setup(self):
        # Millions of small objects, no cycles among them: looking for some took a fifth of the time.
        gc.freeze()
        gc.set_threshold(200_000, 50, 1000)

    def _send(self, parts: Iterable[tuple[int, bytes]], kind: str, made_from: list) -> Iterator[tuple[int, Sent]]:
        return send(parts, self.plan.key_files, kind, made_from)


class ListInputs(_Step):
    """A slice of the inputs, (first, behind the last), to (file, (input, path of its page file)) of each."""

    def process(self, element: tuple[int, int]) -> Iterator[Keyed]:
        yield from enumerate(read_inputs(self.plan.inputs, *element), element[0])


class Clean(_Step):
    """(file, (input, path of its page file)) to (file, `Report` of its page file)."""

    def setup(self):
        super().setup()
        self._cleaner = Cleaner(self.plan.finish.clean, self.plan.transport)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        file, sources = element
        ((source, page_file),) = sources
        progress = self.plan.progress and join(self.plan.progress, str(file))
        yield file, self._cleaner.clean(source, page_file, progress)


class Gate(_Step):
    """(0, (file, why it is missing, rows, keys) of all files) to (group or list, `Buckets`), once all may go on.

    Raises MissingInputsError where more inputs could not be fetched than may be left out.
    """

    def process(self, element: Keyed) -> Iterator[Keyed]:
        files = list(element[1])
        if missing := sorted((file, why) for file, why, _, _ in files if why):
            inputs = read_inputs(self.plan.inputs, 0, self.plan.finish.files)
            paths = [(inputs[file][0].path, why) for file, why in missing]
            check_missing(paths, len(inputs), join(self.plan.finish.work, "missing.txt"), self.plan.most_missing)
        variants = len(self.plan.finish.variants)
        url_key, repeat_key = url_key_dtype(variants).itemsize, repeat_key_dtype(variants).itemsize
        buckets = Buckets(
            self.plan.buckets(url_key * sum(rows for _, _, rows, _ in files)),
            self.plan.buckets(repeat_key * sum(keys for _, _, _, keys in files)),
        )
        for target in range(-len(self.plan.url_lists), self.plan.groups):
            yield target, ("buckets", buckets)


class UrlKeys(_Step):
    """(group, its files) to (bucket, (group, keys of their URLs)); (list, its path) to (bucket, hashes of its URLs)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        target, values = element
        kinds = by_kind(values)
        buckets = kinds["buckets"][0].urls
        if target < 0:
            (source,) = kinds["list"]
            yield from self._listed(source, buckets)
            return
        group, settings = Group(kinds["file"]), self.plan.finish
        made_from = [group.contents(), settings.clean.track_keys(), settings.track_of, buckets]
        for bucket, data in self._send(url_keys(group, settings, buckets), "urls", made_from):
            yield bucket, ("keys", (target, data))

    def _listed(self, source: Input, buckets: int) -> Iterator[Keyed]:
        digests: list[bytes] = []
        for url in read_urls(source, self.plan.transport):
            digests.append(hash_text(normalize_url(url)))
            if len(digests) == _LIST_CHUNK:
                yield from self._chunk(digests, buckets)
                digests = []
        yield from self._chunk(digests, buckets)

    def _chunk(self, digests: list[bytes], buckets: int) -> Iterator[Keyed]:
        for bucket, data in by_bucket([deal(hashes(b"".join(digests)), buckets)], buckets):
            yield bucket, ("listed", data.tobytes())


class Newest(_Step):
    """(bucket, URL keys and listed URLs) to (group, losses) and counts of the pages that end here."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        kinds = by_kind(element[1])
        if "keys" not in kinds:
            return
        sent = sorted(kinds["keys"])
        listed = b"".join(sorted(kinds.get("listed", []))) if self.plan.url_lists else None
        made_from = self._made_from(sent, listed)
        for group, data in self._send(self._decide(sent, listed), "losses", made_from):
            if group == COUNTS:
                counts = Counter({(variant, code): count for variant, code, count in json.loads(fetch(data))})
                yield COUNTS, ("counts", counts)
            else:
                yield group, ("losses", data)

    def _made_from(self, sent: list, listed: bytes | None) -> list:
        rules, variants = self.plan.finish.clean.rules, self.plan.finish.variants
        lists = None if listed is None else hashlib.sha256(listed).hexdigest()
        names = [[group, *_names([data])] for group, data in sent]
        return [names, lists, rules.newest_of, [v.listed_urls_only for v in variants]]

    def _decide(self, sent: list, listed: bytes | None) -> Iterator[tuple[int, bytes]]:
        rules, variants = self.plan.finish.clean.rules, self.plan.finish.variants
        listed_bits = sum(1 << bit for bit, variant in enumerate(variants) if variant.listed_urls_only)
        keys = [(group, fetch(data)) for group, data in sent]
        losses, counts = newest(keys, listed, listed_bits, competing(rules), len(variants))
        yield from losses.items()
        yield COUNTS, json.dumps([[*of, count] for of, count in sorted(counts.items())]).encode()


class RepeatKeys(_Step):
    """(group, files and losses) to (bucket, (group, keys of lines or spans of pages still in)).

    What lines lose to others of their group is decided here: (-1 - group, repeats).
    """

    def process(self, element: Keyed) -> Iterator[Keyed]:
        target, values = element
        if target < 0:  # a list, which has no lines
            return
        kinds = by_kind(values)
        group, settings, sent = Group(kinds["file"]), self.plan.finish, sorted(kinds.get("losses", []))
        buckets = kinds["buckets"][0].repeats
        made_from = [
            group.contents(), _names(sent), settings.clean.track_keys(), settings.track_of,
            [variant.deduplicated for variant in settings.variants], buckets,
        ]  # fmt: skip
        parts = lazily(lambda: repeat_keys(group, b"".join(map(fetch, sent)), settings, buckets))
        for bucket, data in self._send(parts, "keys", made_from):
            yield (bucket, (target, data)) if bucket >= 0 else (-1 - target, ("repeats", data))


class Repeats(_Step):
    """(bucket, keys of lines or spans) to (group, the positions that go)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        sent = sorted(element[1])
        made_from = [[group, *_names([data])] for group, data in sent]
        for group, data in self._send(self._decide(sent), "repeats", made_from):
            yield group, ("repeats", data)

    def _decide(self, sent: list[tuple[int, Sent]]) -> Iterator[tuple[int, bytes]]:
        keys = [(group, fetch(data)) for group, data in sent]
        yield from repeats(keys, len(self.plan.finish.variants)).items()


class Cut(_Step):
    """(group, its files and what they lose) to (unit, what is known of each file that has a part in it)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        kinds = by_kind(element[1])
        group = Group(kinds["file"])
        losses, gone = sorted(kinds.get("losses", [])), sorted(kinds.get("repeats", []))
        variants = len(self.plan.finish.variants)
        parts = lazily(lambda: cut(group, *(b"".join(map(fetch, sent)) for sent in (losses, gone)), variants))
        made_from = [group.contents(), _names(losses), _names(gone)]
        found = [data for _, data in self._send(parts, "cut", made_from)]  # two for each file
        for file, lost, repeated in zip(group.files, found[::2], found[1::2]):
            for unit in units_of_file(file.file, self.plan.finish.files, self.plan.finish.shards):
                yield unit, (file, lost, repeated)


class Finish(_Step):
    """(unit, what is known of its files) to (unit, `UnitResult`)."""

    def setup(self):
        super().setup()
        self._finisher = Finisher(self.plan.finish)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        unit, values = element
        variants = len(self.plan.finish.variants)
        parts = [FilePart.of(file, fetch(losses), fetch(gone), variants) for file, losses, gone in values]
        yield unit, ("unit", self._finisher.finish(unit, parts))


class Validation(_Step):
    """(validation shard, (unit, what it held out) of its units) to (shard, `ValidationShard`)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        shard, units = element
        yield shard, ("validation", write_validation(self.plan.finish, shard, sorted(units)))


class Publish(_Step):
    """(0, all reports, counts, unit results and validation shards) to the summary of the run."""

    def process(self, element: Keyed) -> Iterator[str]:
        kinds = by_kind(element[1])
        counts: Counter = sum(kinds.get("counts", []), Counter())
        inputs = [source for source, _ in read_inputs(self.plan.inputs, 0, self.plan.finish.files)]
        summary = publish(
            self.plan.finish,
            self.plan.provenance,
            inputs,
            kinds["report"],
            counts,
            sorted(kinds["unit"]),
            sorted(kinds["validation"]),
        )
        if self.plan.key_files:
            make_empty_folder(self.plan.key_files)
        yield json.dumps(summary)
