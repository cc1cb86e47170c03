"""What a report is made of: complete corpora, those made alike side by side, and the runs that made them."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from c4build.errors import UsageError
from c4build.flow.runs.checked import checked
from c4build.flow.runs.look import State, runs
from c4build.rules.tables import reasons_in_order
from c4build.write.catalog import corpora_below

RECORDS = ("pages", "articles", "books", "chapters", "submissions")
_LINES = (
    "too_long_word",
    "no_end_mark",
    "too_few_words",
    "javascript",
    "policy",
    "of_dropped_pages",
)  # as they are tested
_SHAPE = {
    "c4build": str, "fingerprint": str, "started": str, "rules": {"name": str}, "format": str, "shards": int, "kept": int,
    "dropped": {"*": int}, "splits": {"*": int}, "bytes": int, "seconds": float, "more_damaged": int,
    "files": {"*": {"bytes": int, "sha256": str}}, "damaged": [{"input": str, "offset": int, "what": str}],
}  # fmt: skip
_ALSO = {  # of web pages alone, or of other records alone
    "lines": {"*": int}, "missing": [{"input": str, "why": str}], "repeats_removed": int, "words": int,
    "notes": {"*": int}, "inputs": [{"path": str}], "bad_words": ({"words": int, "sha256": str},), "variant": str,
}  # fmt: skip
_WEB_RULES = {"before": [str], "after": [str], "newest_of": str, "version": str}
_MOST_RUNS = 20


class Corpus(NamedTuple):
    """A complete corpus and what its manifest says."""

    place: str  # its folder below OUT: c4/en/1.0.0
    name: str  # among those beside it: en
    record: str  # what it is made of: pages, books
    read: int  # of them
    dropped: dict[str, int]  # by reason, in the order in which records meet the rules
    manifest: dict[str, Any]


class Group(NamedTuple):
    """Corpora made from the same inputs by the same rules, which are told side by side."""

    title: str
    corpora: list[Corpus]
    runs: list[State]  # that made them, the newest first

    @property
    def said(self) -> dict[str, Any]:
        """The first one's manifest, for what all have in common."""
        return self.corpora[0].manifest


class Gathered(NamedTuple):
    out: str
    groups: list[Group]
    runs: list[State]  # the newest into it, the last one first
    unread: list[str]  # why manifests cannot be read, a line each

    @property
    def corpora(self) -> list[Corpus]:
        return [corpus for group in self.groups for corpus in group.corpora]


def gather(out: str) -> Gathered:
    """Reads the manifests of all complete corpora below `out`. Raises UsageError where there is none."""
    gathered = look(out)
    if not gathered.groups:
        why = f": {gathered.unread[0]}" if gathered.unread else ""
        raise UsageError(f"{out}: no complete corpus lies here; name the --out of a build{why}")
    return gathered


def look(out: str) -> Gathered:
    """The same, of what there is. Raises UsageError where `out` is a corpus itself."""
    found, unread = [], []
    for place, manifest, error in corpora_below(out):
        if not place and manifest:
            raise UsageError(f"{out} is one corpus: name the folder that was given as --out, above it")
        if error:
            unread.append(error)
            continue
        try:
            found.append(_corpus("/".join(place), place, manifest))
        except (ValueError, KeyError) as error:
            unread.append(f"{'/'.join((out, *place))}: its manifest is not what c4build writes ({error})")
    known = list(runs(out, _MOST_RUNS))
    return Gathered(out, _groups(found, known), known, unread)


def _corpus(name: str, place: tuple[str, ...], manifest: dict[str, Any]) -> Corpus:
    checked(manifest, _SHAPE)
    checked(manifest, {key: shape for key, shape in _ALSO.items() if key in manifest})
    record = next((name for name in RECORDS if name in manifest), "pages")
    checked(manifest, {record: int})
    dropped, order = manifest["dropped"], tuple(manifest["dropped"])
    if "variant" in manifest:
        checked(manifest["rules"], _WEB_RULES, "it.rules")
        order = reasons_in_order(manifest["rules"])
    dropped = {reason: dropped[reason] for reason in dict.fromkeys((*order, *dropped)) if dropped.get(reason)}
    of_set = place[1:-1] or place[:1]
    return Corpus(name, ".".join(of_set), record, manifest[record], dropped, manifest)


def lines_of(manifest: dict[str, Any]) -> tuple[int, dict[str, int], int]:
    """(lines read, dropped by reason in the order of the tests, kept), of the pages that came as far as the rules of lines."""
    lines = dict(manifest.get("lines", {}))
    read, kept = lines.pop("read", 0), lines.pop("kept", 0)
    return read, {name: lines[name] for name in dict.fromkeys((*_LINES, *sorted(lines))) if lines.get(name)}, kept


def _groups(corpora: Iterable[Corpus], all_runs: list[State]) -> list[Group]:
    alike: dict[str, list[Corpus]] = {}
    for corpus in corpora:
        said = corpus.manifest
        of = said.get("made_from", {}).get("inputs") if "variant" in said else corpus.place
        alike.setdefault(json.dumps([corpus.place.partition("/")[0], said["rules"], of], sort_keys=True), []).append(
            corpus
        )
    groups = [Group(_title(members[0]), members, _runs_of(members, all_runs)) for members in alike.values()]
    return sorted(groups, key=lambda group: ("variant" not in group.said, group.corpora[0].place))


def _title(corpus: Corpus) -> str:
    name = corpus.place.partition("/")[0]
    return f"C4 by the rules {corpus.manifest['rules']['name']}" if "variant" in corpus.manifest else name.capitalize()


def _runs_of(corpora: list[Corpus], all_runs: list[State]) -> list[State]:
    places = tuple(f"/{corpus.place}" for corpus in corpora)
    return [run for run in all_runs if any(path.endswith(places) for path in run["options"]["corpora"].values())]
