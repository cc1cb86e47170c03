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
import json
from collections import Counter
from typing import Any, Iterable, Iterator, NamedTuple, Optional, Tuple

import apache_beam as beam
import numpy as np

from c4build.dedup.keys import (
    LOSS,
    REPEAT,
    REPEAT_KEY,
    by_bucket,
    deal,
    hash_text,
    hashes,
    sortable_dates,
    url_key_dtype,
)
from c4build.dedup.newest import newest
from c4build.dedup.repeats import combine, repeats
from c4build.errors import UsageError
from c4build.flow.clean import Cleaner
from c4build.flow.elements import Keyed, par_do, publish_all, tag
from c4build.flow.finish import FilePart, Finisher, FinishSettings, units_of_file, validation_shard_of, write_validation
from c4build.flow.inputs import check_missing, read_inputs, slices_of
from c4build.flow.keyfiles import Sent, fetch, name_of, send
from c4build.flow.pagefiles import PageFile, Report, read_keys, reasons_in
from c4build.flow.publish import publish
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, open_input
from c4build.read.reddit import read_lines
from c4build.rules.tables import CODE, REASONS
from c4build.rules.urls import normalize_url
from c4build.write.files import delete, join, list_files
from c4build.write.tables import joined

_LIST_CHUNK = 100_000  # URLs
_GROUP = 64  # files, with a crawl's
_BUCKET_BYTES = 100_000_000  # of keys: a process holds a bucket and sorts it
_COUNTS = -1  # the key of counts among the losses of groups


class Plan(NamedTuple):
    """A run: what the steps of the pipeline need to know."""

    finish: FinishSettings
    inputs: str  # folder of the inputs and their page files, see `write_inputs`: a job's graph could not hold a crawl's
    url_lists: tuple[Input, ...]
    provenance: dict  # how the run came about, for c4build.json
    progress: Optional[str]  # a folder on this machine where Clean tells how far it is
    key_files: Optional[str]  # a folder for keys on their way; None: the runner's shuffle takes them
    transport: Transport = Transport()
    most_missing: int = 0  # inputs that may be left out where they cannot be fetched

    @property
    def group_size(self) -> int:
        """How many files are taken as one: fewer where there are few, for the sake of workers."""
        return max(1, min(_GROUP, self.finish.files // 16))

    @property
    def groups(self) -> int:
        return -(-self.finish.files // self.group_size)


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
        lists = root | "Create lists" >> beam.Create([(-1 - at, ("list", path)) for at, path in enumerate(plan.url_lists)])
        to_deal += (lists | "Lists" >> beam.Map(_as_it_is).with_output_types(Keyed),)
    decided = (
        to_deal
        | "Files and lists" >> beam.Flatten()
        | "Files by group" >> beam.GroupByKey()
        | "Url keys" >> par_do(UrlKeys(plan))
        | "Urls by bucket" >> beam.GroupByKey()
        | "Newest" >> par_do(Newest(plan))
    )
    losses = decided | "Losses" >> beam.Filter(_is_of_group)
    repeated = (
        (files, opened, losses)
        | "Files and losses" >> beam.Flatten()
        | "Losses by group" >> beam.GroupByKey()
        | "Repeat keys" >> par_do(RepeatKeys(plan))
    )
    at_home = repeated | "Decided" >> beam.Filter(_is_decided) | "At home" >> beam.Map(_at_home).with_output_types(Keyed)
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
    counts = decided | "Counts" >> beam.Filter(_is_counts)
    return publish_all((reports, counts, finished, validation), Publish(plan))


def _to_group(element: Tuple[int, Report], size: int) -> Keyed:
    file, report = element
    return file // size, ("file", report.as_page_file(file))


def _to_gate(element: Tuple[int, Report]) -> Keyed:
    file, report = element
    return 0, (file, report.missing, report.rows, report.keys)


def _as_it_is(element: Keyed) -> Keyed:
    return element


def _to_validation(element: Keyed, settings: FinishSettings) -> Keyed:
    unit, (_, result) = element
    return validation_shard_of(unit, settings.shards), (unit, result.held_out)


def _is_of_group(element: Keyed) -> bool:
    return element[0] != _COUNTS


def _is_counts(element: Keyed) -> bool:
    return element[0] == _COUNTS


def _is_undecided(element: Keyed) -> bool:
    return element[0] >= 0


def _is_decided(element: Keyed) -> bool:
    return element[0] < 0


def _at_home(element: Keyed) -> Keyed:
    return -1 - element[0], element[1]


def _by_kind(values: Iterable[tuple[str, Any]]) -> dict[str, list]:
    kinds: dict[str, list] = {}
    for kind, value in values:
        kinds.setdefault(kind, []).append(value)
    return kinds


class _Step(beam.DoFn):
    """A step of the flow; what it needs of its process it makes ready in `setup`."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def setup(self):
        # Millions of small objects, no cycles among them: looking for some took a fifth of the time.
        gc.freeze()
        gc.set_threshold(200_000, 50, 1000)

    def _send(self, parts: Iterable[tuple[int, bytes]], kind: str, made_from: Iterable) -> Iterator[tuple[int, Sent]]:
        return send(parts, self.plan.key_files, kind, made_from)


class ListInputs(_Step):
    """A slice of the inputs, (first, behind the last), to (file, (input, path of its page file)) of each."""

    def process(self, element: Tuple[int, int]) -> Iterator[Keyed]:
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
        missing = sorted((file, why) for file, why, _, _ in files if why)
        check_missing(self.plan.inputs, missing, self.plan.finish.files, self.plan.most_missing)
        url_key = url_key_dtype(len(self.plan.finish.variants)).itemsize
        buckets = Buckets(
            self._buckets(url_key * sum(rows for _, _, rows, _ in files)),
            self._buckets(REPEAT_KEY.itemsize * sum(keys for _, _, _, keys in files)),
        )
        for target in range(-len(self.plan.url_lists), self.plan.groups):
            yield target, ("buckets", buckets)

    def _buckets(self, size: int) -> int:
        return max(-(-size // _BUCKET_BYTES), min(max(8, 4 * self.plan.groups), 256))


class _Group:
    """The files of a group, laid end to end."""

    def __init__(self, kinds: dict[str, list]):
        self.files: list[PageFile] = sorted(kinds["file"])
        self.rows = np.cumsum([0, *(file.rows for file in self.files)]).tolist()  # the first row of each
        self.keys = np.cumsum([0, *(file.keys for file in self.files)]).tolist()

    def contents(self) -> list:
        return [[file.file, file.content] for file in self.files]


class UrlKeys(_Step):
    """(group, its files) to (bucket, (group, keys of their URLs)); (list, its path) to (bucket, hashes of its URLs)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        target, values = element
        kinds = _by_kind(values)
        buckets = kinds["buckets"][0].urls
        if target < 0:
            (source,) = kinds["list"]
            yield from self._listed(source, buckets)
            return
        group = _Group(kinds)
        made_from = [group.contents(), self.plan.finish.clean.track_keys(), self.plan.finish.track_of, buckets]
        for bucket, data in self._send(self._keys(group, buckets), "urls", made_from):
            yield bucket, ("keys", (target, data))

    def _keys(self, group: _Group, buckets: int) -> Iterator[tuple[int, bytes]]:
        dealt = []
        for file, start in zip(group.files, group.rows):
            columns = self.plan.finish.columns_in(file)
            parts = [np.empty(0, url_key_dtype(len(columns)))]
            for first, _, batch in read_keys(file, ["reasons", "url_hash", "timestamp"]):
                keys = np.empty(batch.num_rows, url_key_dtype(len(columns)))
                hashed = hashes(joined(batch.column("url_hash"))[0])
                keys["high"], keys["low"] = hashed["high"], hashed["low"]
                keys["date"] = sortable_dates(*joined(batch.column("timestamp")))
                keys["page"] = np.arange(start + first, start + first + batch.num_rows)
                keys["reasons"] = reasons_in(batch)[:, columns]
                parts.append(keys)
            dealt.append(deal(np.concatenate(parts), buckets))
        for bucket, keys in by_bucket(dealt, buckets):
            yield bucket, keys.tobytes()

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
        kinds = _by_kind(element[1])
        if "keys" not in kinds:
            return
        sent = sorted(kinds["keys"])
        listed = b"".join(sorted(kinds.get("listed", []))) if self.plan.url_lists else None
        made_from = (self._made_from(sent, listed) for _ in range(1))
        for group, data in self._send(self._decide(sent, listed), "losses", made_from):
            if group == _COUNTS:
                counts = Counter({(variant, code): count for variant, code, count in json.loads(fetch(data))})
                yield _COUNTS, ("counts", counts)
            else:
                yield group, ("losses", data)

    def _made_from(self, sent: list, listed: Optional[bytes]) -> list:
        rules, variants = self.plan.finish.clean.rules, self.plan.finish.variants
        lists = listed and hash_text(listed.hex()).hex()
        return [[[group, name_of(data)] for group, data in sent], lists, rules.newest_of, [v.listed_urls_only for v in variants]]

    def _decide(self, sent: list, listed: Optional[bytes]) -> Iterator[tuple[int, bytes]]:
        rules, variants = self.plan.finish.clean.rules, self.plan.finish.variants
        listed_bits = sum(1 << bit for bit, variant in enumerate(variants) if variant.listed_urls_only)
        competes = np.full(len(REASONS), rules.newest_of == "all")
        competes[CODE["kept"]] = True
        competes[CODE["not_a_news_domain"]] = False
        keys = [(group, fetch(data)) for group, data in sent]
        losses, counts = newest(keys, listed, listed_bits, competes, len(variants))
        yield from losses.items()
        yield _COUNTS, json.dumps([[*of, count] for of, count in sorted(counts.items())]).encode()


class RepeatKeys(_Step):
    """(group, files and losses) to (bucket, (group, keys of lines or spans of pages still in)).

    What lines lose to others of their group is decided here: (-1 - group, repeats).
    """

    def process(self, element: Keyed) -> Iterator[Keyed]:
        target, values = element
        if target < 0:  # a list, which has no lines
            return
        kinds = _by_kind(values)
        group, sent = _Group(kinds), sorted(kinds.get("losses", []))
        buckets = kinds["buckets"][0].repeats
        variants = self.plan.finish.variants
        made_from = [
            group.contents(), [name_of(data) for data in sent], self.plan.finish.clean.track_keys(),
            self.plan.finish.track_of, [variant.deduplicated for variant in variants], buckets,
        ]  # fmt: skip
        for bucket, data in self._send(self._keys(group, sent, buckets), "keys", made_from):
            if bucket < 0:
                yield -1 - target, ("repeats", data)
            else:
                yield bucket, (target, data)

    def _keys(self, group: _Group, sent: list[Sent], buckets: int) -> Iterator[tuple[int, bytes]]:
        """Yields (bucket, keys), and in the end (-1, the repeats that are known by now)."""
        variants = len(self.plan.finish.variants)
        losses = _losses(sent)
        dealt, gone = [], []
        for file, row, key in zip(group.files, group.rows, group.keys):
            lost = np.zeros(file.rows, np.uint8)
            of_file = _within(losses, "page", row, file.rows)
            lost[of_file["page"]] = of_file["variants"]
            keys, repeated = combine(self._keys_of(file, key, lost), variants)
            gone.append(repeated)
            dealt.append(deal(keys, buckets))
        for bucket, keys in by_bucket(dealt, buckets):
            if len(dealt) > 1:
                keys, repeated = combine(keys, variants)
                gone.append(repeated)
            yield bucket, keys.tobytes()
        yield -1, np.concatenate([np.empty(0, REPEAT), *gone]).tobytes()

    def _keys_of(self, file: PageFile, start: int, lost: np.ndarray) -> np.ndarray:
        variants, columns = self.plan.finish.variants, self.plan.finish.columns_in(file)
        wanted = sum(1 << bit for bit, variant in enumerate(variants) if variant.deduplicated)
        weights = (1 << np.arange(len(variants))).astype(np.uint8)
        parts = [np.empty(0, REPEAT_KEY)]
        for row, position, batch in read_keys(file, ["reasons", "rank", "keys"]):
            running = ((reasons_in(batch)[:, columns] == 0) * weights).sum(axis=1).astype(np.uint8)
            running &= ~lost[row : row + batch.num_rows] & np.uint8(wanted)
            data, sizes = joined(batch.column("keys"))
            hashed, counts = hashes(data), sizes // 16
            keys = np.empty(len(hashed), REPEAT_KEY)
            keys["high"], keys["low"] = hashed["high"], hashed["low"]
            keys["rank"] = np.repeat(batch.column("rank").to_numpy(), counts)
            keys["position"] = np.arange(start + position, start + position + len(keys))
            keys["variants"] = np.repeat(running, counts)
            parts.append(keys[keys["variants"] > 0])
        return np.concatenate(parts)


class Repeats(_Step):
    """(bucket, keys of lines or spans) to (group, the positions that go)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        sent = sorted(element[1])
        names = ([group, name_of(data)] for group, data in sent)
        for group, data in self._send(self._decide(sent), "repeats", names):
            yield group, ("repeats", data)

    def _decide(self, sent: list[tuple[int, Sent]]) -> Iterator[tuple[int, bytes]]:
        keys = [(group, fetch(data)) for group, data in sent]
        yield from repeats(keys, len(self.plan.finish.variants)).items()


class Cut(_Step):
    """(group, its files and what they lose) to (unit, what is known of each file that has a part in it)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        kinds = _by_kind(element[1])
        group = _Group(kinds)
        losses, gone = sorted(kinds.get("losses", [])), sorted(kinds.get("repeats", []))
        made_from = ([group.contents(), *([name_of(data) for data in sent] for sent in (losses, gone))] for _ in range(1))
        # Each file has two parts: what of its pages is lost, and what of their lines.
        parts = [data for _, data in self._send(self._parts(group, losses, gone), "cut", made_from)]
        for index, file in enumerate(group.files):
            known = (file, *parts[2 * index : 2 * index + 2])
            for unit in units_of_file(file.file, self.plan.finish.files, self.plan.finish.shards):
                yield unit, known

    def _parts(self, group: _Group, losses: list[Sent], gone: list[Sent]) -> Iterator[tuple[int, bytes]]:
        lost, repeated = _losses(losses), _losses(gone, REPEAT)
        for file, row, key in zip(group.files, group.rows, group.keys):
            yield file.file, _within(lost, "page", row, file.rows).tobytes()
            yield file.file, _within(repeated, "position", key, file.keys).tobytes()


def _losses(sent: Iterable[Sent], dtype: np.dtype = LOSS) -> np.ndarray:
    """All that is lost of a group, by place."""
    found = np.frombuffer(b"".join(map(fetch, sent)), dtype)
    if dtype is LOSS:
        return found[np.argsort(found["page"])]
    # One position may lose some variants at home and others abroad.
    found = found[np.argsort(found["position"], kind="stable")]
    places, starts = np.unique(found["position"], return_index=True)
    merged = np.empty(len(places), dtype)
    merged["position"] = places
    merged["variants"] = np.bitwise_or.reduceat(found["variants"], starts) if len(places) else 0
    return merged


def _within(losses: np.ndarray, place: str, start: int, size: int) -> np.ndarray:
    """Of losses in order of place those of one file, with places in that file."""
    first, stop = np.searchsorted(losses[place], [start, start + size])
    found = losses[first:stop].copy()
    found[place] -= start
    return found


class Finish(_Step):
    """(unit, what is known of its files) to (unit, `UnitResult`)."""

    def setup(self):
        super().setup()
        self._finisher = Finisher(self.plan.finish)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        unit, values = element
        parts = [FilePart.of(file, fetch(losses), fetch(gone)) for file, losses, gone in values]
        yield unit, ("unit", self._finisher.finish(unit, parts))


class Validation(_Step):
    """(validation shard, (unit, what it held out) of its units) to (shard, `ValidationShard`)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        shard, units = element
        yield shard, ("validation", write_validation(self.plan.finish, shard, sorted(units)))


class Publish(_Step):
    """(0, all reports, counts, unit results and validation shards) to the summary of the run."""

    def process(self, element: Keyed) -> Iterator[str]:
        kinds = _by_kind(element[1])
        counts: Counter = sum(kinds.get("counts", []), Counter())
        inputs = [source for source, _ in read_inputs(self.plan.inputs, 0, self.plan.finish.files)]
        summary = publish(
            self.plan.finish, self.plan.provenance, inputs, kinds["report"], counts, sorted(kinds["unit"]), sorted(kinds["validation"])
        )
        for path in list_files(self.plan.key_files) if self.plan.key_files else ():
            delete(path)
        yield json.dumps(summary)


def read_urls(source: Input, transport: Transport) -> Iterator[str]:
    """Yields the lines of a list of URLs, packed or not. Raises UsageError where it cannot be read."""
    try:
        with open_input(source, transport) as file:
            for found in read_lines(file):
                if isinstance(found, Damage):
                    raise InputError(found.what, found.offset)
                yield found[2].decode(errors="replace").rstrip("\r")
    except InputError as error:
        raise UsageError(f"--webtext-urls {source.path}: {error}") from error
