"""The copies of pages in a corpus that was built: which other page displaced one, and which kept a line or span that it
lost.

What a build decided is decided again, by its own functions, for the pages that are asked about and those that share a
URL, a line or a span with them; the others are read past. The key files of the build tell them.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from c4build.dedup.keys import hashes, repeat_key_dtype, sortable_dates, url_key_dtype
from c4build.dedup.newest import as_values, competing, displaced_in
from c4build.dedup.repeats import lost_repeats
from c4build.errors import CorruptFileError, UsageError
from c4build.flow.clean import CleanSettings
from c4build.flow.pagefiles import PageFile, Report, read_keys, read_texts, reasons_in
from c4build.flow.settings import DATASET
from c4build.rules.tables import REASONS, RuleSet
from c4build.write.files import base_name, digest, join, list_files, list_folders, read_sealed
from c4build.write.folder import read_manifest
from c4build.write.tables import joined, read_table

_LAST = (1 << 64) - 1  # rank behind all others


class Asked(NamedTuple):
    """A page that is asked about, as its variant has it before deduplication."""

    number: int  # of its file
    url: str
    url_hash: bytes
    timestamp: str
    reason: int  # why it is out by then; 0: it is in
    rank: int
    keys: bytes  # of its lines or spans


class Copy(NamedTuple):
    """A page of the corpus."""

    url: str  # empty where the build kept none
    input: str
    number: int


class Fate(NamedTuple):
    """What deduplication does to a page."""

    reason: str  # kept, or why it goes
    copy: Copy | None  # that displaced it
    repeats: dict[int, Copy]  # the lines or spans that it loses, by place, each with the page that keeps it


class Built(NamedTuple):
    """A corpus whose page files are there."""

    files: list[PageFile]
    columns: list[int]  # of each file, the place of the variant's byte in the reasons
    inputs: dict[str, int]  # identity: number
    paths: dict[int, str]  # by number


def find_built(out: str, clean: CleanSettings) -> Built:
    """The build in the folder `out` of the one variant that `clean` has. Raises UsageError where it cannot be asked."""
    rules, (variant,) = clean.rules, clean.tracks
    folder = join(out, DATASET, variant.name, rules.version)
    manifest = read_manifest(folder)
    if manifest is None:
        raise UsageError(f"--against {out}: no corpus lies in {folder}; give the --out, --rules and lists of its build")
    (key,) = clean._replace(provenance=manifest["made_from"].get("provenance", False)).track_keys()
    missing = {entry["input"] for entry in manifest["missing"]}
    made = page_files(join(out, ".c4build"), digest(rules.to_json()))
    there = {identity: path for identity, path, tracks in made if key in tracks}
    found = Built([], [], {}, {})
    for number, source in enumerate(manifest["inputs"]):
        if source["path"] in missing:
            continue
        found.inputs[source["identity"]] = number
        found.paths[number] = source["path"]
        path = there.get(source["identity"])
        if path is None:
            raise UsageError(
                f"--against {out}: it has no page file of {source['path']} by these rules and lists; give those of its build, "
                "or build it again"
            )
        with read_table(path) as table:
            report = Report(**{**table.fields, "page_file": path})
        found.files.append(report.as_page_file(number))
        found.columns.append(report.tracks.index(key))
    return found


def page_files(work: str, rules: str) -> Iterator[tuple[str, str, list[str]]]:
    """(the identity of its input, path, its tracks) of each page file in a build's own folder made by rules of this digest."""
    for name in list_folders(work):
        if not name.startswith("pages-"):
            continue
        try:
            said = read_sealed(join(work, name, "tracks.json"))
        except (OSError, CorruptFileError):
            continue
        for path in list_files(join(work, name)) if said["rules"] == rules else ():
            stem, _, ending = base_name(path).rpartition(".")
            if ending == "pages":
                yield stem.rpartition("-")[2], path, said["tracks"]


class _Pages(NamedTuple):
    """Pages and their keys."""

    urls: np.ndarray  # [n] of `url_key_dtype(1)`; `page` is the row in its file
    files: np.ndarray  # [n] uint32, number of the input
    keys: np.ndarray  # [m] of `repeat_key_dtype(1)`; `position` is the place in its page
    owners: np.ndarray  # [m] int, index of the page of each key


def find_fates(
    asked: Sequence[Asked], rules: RuleSet, listed: np.ndarray | None, built: Built | None = None, identity: str = ""
) -> list[Fate]:
    """What deduplication does to each page.

    Args:
      asked: pages of one input.
      rules: of the build.
      listed: hashes of the URLs that stay, as `HASH`; None where all do.
      built: the corpus; None: there are no other pages than these.
      identity: of the pages' input; if it is none of the corpus, they are taken as one more input, which
        loses all lines and spans that the corpus has.
    """
    own = built.inputs.get(identity, 1 + max(built.paths, default=0)) if built else 0
    if built and own not in built.paths:
        asked = [page._replace(rank=_LAST) for page in asked]
    rows = _rows_of(asked, built, own)
    pages = _of_asked(asked, own, rows)
    if built:
        pages = _joined(pages, _sharing(built, pages, own, rows))
    reasons = pages.urls["reasons"][:, 0]
    running = competing(rules)[reasons].astype(np.uint8)
    displaced = displaced_in(pages.urls, pages.files, running, 1) > 0
    newest = (running > 0) & ~displaced
    values = as_values(pages.urls)
    unlisted = newest & (np.isin(values, as_values(listed), invert=True) if listed is not None else False)
    alive = newest & ~unlisted & (reasons == 0)
    left = np.flatnonzero(alive[pages.owners])
    keys, owners = pages.keys[left], pages.owners[left]
    lost = lost_repeats(keys, pages.files[owners], 1) > 0
    keepers = dict(zip(as_values(keys[~lost]).tolist(), owners[~lost].tolist()))
    best = dict(zip(values[newest].tolist(), np.flatnonzero(newest).tolist()))
    repeats: list[dict[int, int]] = [{} for _ in asked]
    for key in np.flatnonzero(lost & (owners < len(asked))).tolist():
        repeats[owners[key]][int(keys["position"][key])] = keepers[as_values(keys[key : key + 1]).tolist()[0]]
    winners = {page: best[values[page].tolist()] for page in range(len(asked)) if displaced[page]}
    keeping = {page for places in repeats for page in places.values()}
    copies = _copies({*winners.values(), *keeping}, asked, pages, built, own)
    fates = []
    for page, places in enumerate(repeats):
        reason = "duplicate_url" if displaced[page] else "not_in_url_list" if unlisted[page] else REASONS[reasons[page]]
        known = {place: copies[keeper] for place, keeper in sorted(places.items())}
        fates.append(Fate(reason, copies.get(winners[page]) if page in winners else None, known))
    return fates


def _rows_of(asked: Sequence[Asked], built: Built | None, own: int) -> list[int]:
    """The row of each page in the page file of its input; -1 where it has none there."""
    if built is None or own not in built.paths:
        return list(range(len(asked)))
    (file,) = (file for file in built.files if file.file == own)
    rows: dict[int, int] = {}
    for first, _, batch in read_texts(file, ["number"], range(file.pages)):
        rows |= {number: first + index for index, number in enumerate(batch.column("number").to_pylist())}
    return [rows.get(page.number, -1) for page in asked]


def _of_asked(asked: Sequence[Asked], own: int, rows: Sequence[int]) -> _Pages:
    dates = [page.timestamp.encode() for page in asked]
    urls = np.zeros(len(asked), url_key_dtype(1))
    hashed = hashes(b"".join(page.url_hash for page in asked))
    urls["high"], urls["low"] = hashed["high"], hashed["low"]
    urls["date"] = sortable_dates(np.frombuffer(b"".join(dates), np.uint8), np.array([*map(len, dates)], np.int64))
    urls["page"] = np.maximum(rows, 0)
    urls["reasons"][:, 0] = [page.reason for page in asked]
    counts = np.array([len(page.keys) // 16 for page in asked], np.int64)
    keys = _keys(
        hashes(b"".join(page.keys for page in asked)), np.array([page.rank for page in asked], np.uint64), counts
    )
    return _Pages(urls, np.full(len(asked), own, np.uint32), keys, np.repeat(np.arange(len(asked)), counts))


def _keys(hashed: np.ndarray, ranks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Keys of pages laid end to end, `counts` of each."""
    keys = np.empty(len(hashed), repeat_key_dtype(1))
    keys["high"], keys["low"] = hashed["high"], hashed["low"]
    keys["rank"] = np.repeat(ranks, counts)
    keys["position"] = np.arange(len(hashed)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys["variants"] = 1
    return keys


def _sharing(built: Built, pages: _Pages, own: int, rows: Sequence[int]) -> _Pages:
    """The pages of the corpus, but for `rows` of the input `own`, that share a URL or a key with `pages`, or a URL with
    one that shares a key; the keys that are shared, and no others."""
    wanted, wanted_keys = as_values(pages.urls), as_values(pages.keys)
    for file in built.files if len(wanted_keys) else ():
        for _, _, batch in read_keys(file, ["url_hash", "keys"]):
            data, sizes = joined(batch.column("keys"))
            shared = np.isin(as_values(hashes(data)), wanted_keys)
            owners = np.unique(np.repeat(np.arange(len(sizes)), sizes // 16)[shared])
            wanted = np.union1d(wanted, as_values(hashes(joined(batch.column("url_hash"))[0]))[owners])
    found, first = [], 0
    for file, column in zip(built.files, built.columns):
        mine = np.array(rows if file.file == own else [], np.int64)
        for row, _, batch in read_keys(file, ["reasons", "url_hash", "timestamp", "rank", "keys"]):
            hashed = hashes(joined(batch.column("url_hash"))[0])
            chosen = np.isin(as_values(hashed), wanted)
            chosen &= np.isin(row + np.arange(len(chosen)), mine, invert=True)
            urls = np.zeros(len(hashed), url_key_dtype(1))
            urls["high"], urls["low"] = hashed["high"], hashed["low"]
            urls["date"] = sortable_dates(*joined(batch.column("timestamp")))
            urls["page"] = row + np.arange(len(hashed))
            urls["reasons"][:, 0] = reasons_in(batch)[:, column]
            data, sizes = joined(batch.column("keys"))
            keys = _keys(hashes(data), batch.column("rank").to_numpy(), sizes // 16)
            owners = np.repeat(np.arange(len(hashed)), sizes // 16)
            shared = np.isin(as_values(keys), wanted_keys) & chosen[owners]
            places = np.cumsum(chosen) - 1 + first
            found.append(
                _Pages(urls[chosen], np.full(chosen.sum(), file.file, np.uint32), keys[shared], places[owners[shared]])
            )
            first += int(chosen.sum())
    return (
        _Pages(*(np.concatenate([part[:0], *parts]) for part, parts in zip(pages, zip(*found))))
        if found
        else _none(pages)
    )


def _none(pages: _Pages) -> _Pages:
    return _Pages(*(part[:0] for part in pages))


def _joined(pages: _Pages, more: _Pages) -> _Pages:
    more = more._replace(owners=more.owners + len(pages.urls))
    return _Pages(*(np.concatenate(parts) for parts in zip(pages, more)))


def _copies(
    wanted: Collection[int], asked: Sequence[Asked], pages: _Pages, built: Built | None, own: int
) -> dict[int, Copy]:
    """What is known of some of the pages, by their index."""
    found: dict[int, Copy] = {}
    rows: dict[int, dict[int, int]] = {}  # of each file, the page of each row
    for page in wanted:
        if page < len(asked):
            found[page] = Copy(asked[page].url, built.paths.get(own, "") if built else "", asked[page].number)
        else:
            rows.setdefault(int(pages.files[page]), {})[int(pages.urls["page"][page])] = page
    if not built:
        return found
    for file in built.files:
        mine = rows.get(file.file, {})
        for first, _, batch in read_texts(file, ["url", "number"], range(file.pages)) if mine else ():
            for row in mine.keys() & set(range(first, first + batch.num_rows)):
                url, number = (batch.column(name)[row - first].as_py() for name in ("url", "number"))
                found[mine[row]] = Copy(url or "", built.paths[file.file], number)
    return found
