"""The data flow, top to bottom: Clean, newest copies, repeats, Finish, Publish.

    inputs ─► Clean ─► page files ──────────────────────────────────────────┐
                │                                                             │
                ├─► url keys ─► by bucket ─► Newest ─► losses, by file ──────┤
                └─────────────► keys of lines or spans of what is left        │
                                  ─► by bucket ─► Repeats, by file ───────────┤
                                                      Finish, by unit ◄───────┘
                                                        └─► Publish

Text goes from Clean to Finish in page files and never through a shuffle; what is shuffled are arrays of keys, or where
in files such arrays lie. Only
Create, ParDo, Flatten and GroupByKey are used, on keyed elements whose keys are small integers: every portable runner
has these. Counts travel as elements.
"""

import gc
import json
from collections import Counter
from typing import Any, Iterable, Iterator, NamedTuple, Optional, Sequence, Tuple, Union

import apache_beam as beam
import numpy as np
import smart_open

from c4build.dedup.keys import LOSS, REPEAT_KEY, by_bucket, hash_text, hashes, sortable_dates, url_key_dtype
from c4build.dedup.newest import newest
from c4build.dedup.repeats import repeats
from c4build.flow.clean import Cleaner, Report, read_columns, reasons_in
from c4build.flow.elements import Keyed, par_do, publish_all, tag
from c4build.flow.finish import FilePart, Finisher, FinishSettings, UnitResult, units_of_file
from c4build.flow.keyfiles import Slice, fetch, send
from c4build.flow.publish import publish
from c4build.read.paths import Input
from c4build.rules.tables import CODE, REASONS
from c4build.rules.urls import normalize_url
from c4build.write.files import delete, join, list_files, make_folder, read_own, write_sealed
from c4build.write.tables import joined

_LIST_CHUNK = 100_000  # URLs
# What is created at the start is the most that a runner such as Dask ever works on side by side.
_SLICES = 1000
_LISTED = 64  # inputs in each of the files that list them
_COUNTS = -1  # the key of counts among files' losses


class Plan(NamedTuple):
    """A run: what the steps of the pipeline need to know."""

    finish: FinishSettings
    inputs: str  # folder of the inputs and their page files, see `write_inputs`: a job's graph could not hold a crawl's
    buckets: int
    url_lists: tuple[str, ...]
    provenance: dict  # how the run came about, for c4build.json
    progress: Optional[str]  # a folder on this machine where Clean tells how far it is
    key_files: Optional[str]  # a folder for keys on their way; None: the runner's shuffle takes them


def build_corpus(root: beam.Pipeline, plan: Plan) -> beam.PCollection:
    """Adds the whole flow to a pipeline; the result is one element, the summary that `publish` returns."""
    slices = beam.Create(slices_of(plan.finish.files))
    inputs = root | slices | "List inputs" >> par_do(ListInputs(plan))
    cleaned = inputs | "Spread inputs" >> beam.GroupByKey() | "Clean" >> par_do(Clean(plan))

    url_keys = cleaned | "Url keys" >> par_do(UrlKeys(plan))
    if plan.url_lists:
        lists = root | "Create lists" >> beam.Create(list(enumerate(plan.url_lists))).with_output_types(Keyed)
        listed = lists | "Spread lists" >> beam.GroupByKey() | "Listed urls" >> par_do(ListedUrls(plan))
        url_keys = (url_keys, listed) | "Urls and lists" >> beam.Flatten()
    decided = url_keys | "Urls by bucket" >> beam.GroupByKey() | "Newest" >> par_do(Newest(plan))
    losses = decided | "Losses" >> beam.Filter(_is_of_file)

    reports = cleaned | "Reports" >> beam.Map(tag, "report").with_output_types(Keyed)
    files = (reports, losses) | "Files and losses" >> beam.Flatten() | "By file" >> beam.GroupByKey()
    repeated = (
        files
        | "Repeat keys" >> par_do(RepeatKeys(plan))
        | "Keys by bucket" >> beam.GroupByKey()
        | "Repeats" >> par_do(Repeats(plan))
    )

    of_files = files | "Files to units" >> par_do(ToUnits(plan))
    of_repeats = repeated | "Repeats to units" >> par_do(ToUnits(plan))
    finished = (
        (of_files, of_repeats)
        | "All of a unit" >> beam.Flatten()
        | "By unit" >> beam.GroupByKey()
        | "Finish" >> par_do(Finish(plan))
    )

    counts = decided | "Counts" >> beam.Filter(_is_counts)
    return publish_all((reports, counts, finished), Publish(plan))


def _is_of_file(element: Keyed) -> bool:
    return element[0] != _COUNTS


def _is_counts(element: Keyed) -> bool:
    return element[0] == _COUNTS


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

    def _send(self, parts: Iterable[tuple[int, bytes]], name: str) -> Iterator[tuple[int, Union[bytes, Slice]]]:
        return send(parts, self.plan.key_files, name)


class ListInputs(_Step):
    """A slice of the inputs, (first, behind the last), to (file, (input, path of its page file)) of each."""

    def process(self, element: Tuple[int, int]) -> Iterator[Keyed]:
        yield from enumerate(read_inputs(self.plan.inputs, *element), element[0])


class Clean(_Step):
    """(file, (input, path of its page file)) to (file, `Report` of its page file)."""

    def setup(self):
        super().setup()
        self._cleaner = Cleaner(self.plan.finish.clean)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        file, sources = element
        ((source, page_file),) = sources
        progress = self.plan.progress and join(self.plan.progress, str(file))
        yield file, self._cleaner.clean(source, page_file, progress)


class UrlKeys(_Step):
    """(file, report) to (bucket, (file, keys of its URLs))."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        file, report = element
        columns = self.plan.finish.columns_in(report)
        parts = [np.empty(0, url_key_dtype(len(columns)))]
        for first, _, batch in read_columns(report, ["reasons", "url_hash", "timestamp"]):
            keys = np.empty(batch.num_rows, url_key_dtype(len(columns)))
            hashed = hashes(joined(batch.column("url_hash"))[0])
            keys["high"], keys["low"] = hashed["high"], hashed["low"]
            keys["date"] = sortable_dates(*joined(batch.column("timestamp")))
            keys["page"] = np.arange(first, first + batch.num_rows)
            keys["reasons"] = reasons_in(batch)[:, columns]
            parts.append(keys)
        for bucket, data in self._send(by_bucket(np.concatenate(parts), self.plan.buckets), f"urls-{file}"):
            yield bucket, ("keys", (file, data))


class ListedUrls(_Step):
    """(number, path of a list of URLs) to (bucket, hashes of its normalised URLs)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        _, paths = element
        (path,) = paths
        digests: list[bytes] = []
        with smart_open.open(path, "rt", encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                digests.append(hash_text(normalize_url(line.rstrip("\r\n"))))
                if len(digests) == _LIST_CHUNK:
                    yield from self._chunk(digests)
                    digests = []
        yield from self._chunk(digests)

    def _chunk(self, digests: list[bytes]) -> Iterator[Keyed]:
        for bucket, data in by_bucket(hashes(b"".join(digests)), self.plan.buckets):
            yield bucket, ("listed", data)


class Newest(_Step):
    """(bucket, URL keys and listed URLs) to (file, losses) and counts of the pages that end here."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        rules, variants = self.plan.finish.clean.rules, self.plan.finish.variants
        kinds = _by_kind(element[1])
        if "keys" not in kinds:
            return
        listed = b"".join(kinds.get("listed", [])) if self.plan.url_lists else None
        listed_bits = sum(1 << bit for bit, variant in enumerate(variants) if variant.listed_urls_only)
        competes = np.full(len(REASONS), rules.newest_of == "all")
        competes[CODE["kept"]] = True
        competes[CODE["not_a_news_domain"]] = False
        keys = [(file, fetch(data)) for file, data in kinds["keys"]]
        losses, counts = newest(keys, listed, listed_bits, competes, len(variants))
        for file, data in self._send(losses.items(), f"losses-{element[0]}"):
            yield file, ("losses", data)
        yield _COUNTS, ("counts", counts)


class RepeatKeys(_Step):
    """(file, report and losses) to (bucket, (file, keys of the lines or spans of pages still in))."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        file, values = element
        kinds = _by_kind(values)
        (report,) = kinds["report"]
        variants = self.plan.finish.variants
        columns = self.plan.finish.columns_in(report)
        wanted = sum(1 << bit for bit, variant in enumerate(variants) if variant.deduplicated)
        losses = np.frombuffer(b"".join(map(fetch, kinds.get("losses", []))), LOSS)
        lost = np.zeros(report.rows, np.uint8)
        lost[losses["page"]] = losses["variants"]
        weights = (1 << np.arange(len(variants))).astype(np.uint8)
        parts = [np.empty(0, REPEAT_KEY)]
        for row, position, batch in read_columns(report, ["reasons", "rank", "keys"]):
            running = ((reasons_in(batch)[:, columns] == 0) * weights).sum(axis=1).astype(np.uint8)
            running &= ~lost[row : row + batch.num_rows] & np.uint8(wanted)
            data, sizes = joined(batch.column("keys"))
            hashed, counts = hashes(data), sizes // 16
            keys = np.empty(len(hashed), REPEAT_KEY)
            keys["high"], keys["low"] = hashed["high"], hashed["low"]
            keys["rank"] = np.repeat(batch.column("rank").to_numpy(), counts)
            keys["position"] = np.arange(position, position + len(keys))
            keys["variants"] = np.repeat(running, counts)
            parts.append(keys[keys["variants"] > 0])
        for bucket, data in self._send(by_bucket(np.concatenate(parts), self.plan.buckets), f"keys-{file}"):
            yield bucket, (file, data)


class Repeats(_Step):
    """(bucket, keys of lines or spans) to (file, the positions that go)."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        keys = [(file, fetch(data)) for file, data in element[1]]
        found = repeats(keys, len(self.plan.finish.variants))
        for file, data in self._send(found.items(), f"repeats-{element[0]}"):
            yield file, [("repeats", data)]


class ToUnits(_Step):
    """(file, what is known of it) to (unit, (file, the same)) for each unit with a part in the file."""

    def process(self, element: Keyed) -> Iterator[Keyed]:
        file, values = element
        values = list(values)
        for unit in units_of_file(file, self.plan.finish.files, self.plan.finish.shards):
            yield unit, (file, values)


class Finish(_Step):
    """(unit, what is known of its files) to (unit, `UnitResult`)."""

    def setup(self):
        super().setup()
        self._finisher = Finisher(self.plan.finish)

    def process(self, element: Keyed) -> Iterator[Keyed]:
        unit, values = element
        files: dict[int, list] = {}
        for file, known in values:
            files.setdefault(file, []).extend(known)
        parts = []
        for file, known in files.items():
            kinds = _by_kind(known)
            losses, gone = (b"".join(map(fetch, kinds.get(kind, []))) for kind in ("losses", "repeats"))
            parts.append(FilePart.of(file, kinds["report"][0], losses, gone))
        yield unit, ("unit", self._finisher.finish(unit, parts))


class Publish(_Step):
    """(0, all reports, counts and unit results) to the summary of the run."""

    def process(self, element: Keyed) -> Iterator[str]:
        kinds = _by_kind(element[1])
        counts: Counter = sum(kinds.get("counts", []), Counter())
        reports: list[Report] = kinds["report"]
        results: list[UnitResult] = sorted(kinds["unit"])
        inputs = [source for source, _ in read_inputs(self.plan.inputs, 0, self.plan.finish.files)]
        summary = publish(self.plan.finish, self.plan.provenance, inputs, reports, counts, results)
        for path in list_files(self.plan.key_files) if self.plan.key_files else ():
            delete(path)
        yield json.dumps(summary)


def slices_of(files: int) -> list[tuple[int, int]]:
    """(first, behind the last) of so many slices of the inputs; with a crawl's inputs each is one list of them."""
    each = -(-files // _SLICES)
    return [(first, min(first + each, files)) for first in range(0, files, each)]


def write_inputs(folder: str, inputs: Sequence[tuple[Input, str]]):
    """Writes inputs and the paths of their page files in order, a few a file, so that a slice need not parse them all."""
    make_folder(folder)
    for first in range(0, len(inputs), _LISTED):
        some = [(*source, page_file) for source, page_file in inputs[first : first + _LISTED]]
        write_sealed(_list_of_inputs(folder, first), {"inputs": some})


def read_inputs(folder: str, first: int, stop: int) -> list[tuple[Input, str]]:
    """What `write_inputs` wrote, from the input `first` to the one before `stop`. Raises CorruptFileError."""
    begun = first - first % _LISTED
    found = [fields for at in range(begun, stop, _LISTED) for fields in read_own(_list_of_inputs(folder, at))["inputs"]]
    return [(Input(*fields), page_file) for *fields, page_file in found[first - begun : stop - begun]]


def _list_of_inputs(folder: str, first: int) -> str:
    return join(folder, f"{first:07d}.json")
