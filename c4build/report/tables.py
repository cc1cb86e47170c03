"""A group of corpora as tables: what came in, what each rule took, what stayed. Every number is one of a manifest's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from c4build.errors import counted
from c4build.flow.prices import Prices
from c4build.flow.runs.log import words
from c4build.flow.runs.look import State
from c4build.flow.runs.tracker import stage_of
from c4build.report.gather import Corpus, Group, lines_of
from c4build.report.words import STEPS, amount, duration, meaning, moment, money, name, share
from c4build.rules.tables import reasons_in_order

_SHOWN = 50  # inputs, damages, missing inputs, that are listed each
_HOUR = 3600


class Cell(NamedTuple):
    text: str
    note: str = ""  # a share, beside it
    of: str = ""  # where a number stands: c4/en/1.0.0 dropped.bad_words
    value: int | float | None = None


class Row(NamedTuple):
    name: str
    cells: Sequence[Cell]
    about: str = ""  # what the name means
    kind: str = ""  # total | part


class Table(NamedTuple):
    caption: str
    head: Sequence[str]
    rows: Sequence[Row]
    numbers: bool = True  # cells stand to the right
    more: str = ""  # what is not listed


def _number(corpus: Corpus, key: str, value: int, whole: int = 0) -> Cell:
    return Cell(f"{value:,}", share(value, whole), f"{corpus.place} {key}", value)


def funnel(group: Group) -> Table:
    """Pages read, dropped by each rule and kept, a column for each corpus."""
    first, corpora = group.corpora[0], group.corpora
    reasons = list(dict.fromkeys(reason for corpus in corpora for reason in corpus.dropped))
    if "variant" in group.said:
        reasons = [reason for reason in reasons_in_order(group.said["rules"]) if reason in reasons]
    rows = [Row("read", [_number(corpus, corpus.record, corpus.read, corpus.read) for corpus in corpora], kind="total")]
    for reason in reasons:
        cells = [_dropped(corpus, reason) for corpus in corpora]
        rows.append(Row(name(reason), cells, meaning(reason, group.said), "drop"))
    rows.append(
        Row("kept", [_number(corpus, "kept", corpus.manifest["kept"], corpus.read) for corpus in corpora], kind="total")
    )
    for split in first.manifest["splits"]:
        rows.append(Row(split, [_of_split(corpus, split) for corpus in corpora], kind="part"))
    rows.append(Row("bytes of examples", [_bytes(corpus) for corpus in corpora]))
    if "words" in first.manifest:
        rows.append(Row("words", [_number(corpus, "words", corpus.manifest["words"]) for corpus in corpora]))
    return Table(f"{first.record.capitalize()} by rule, in the order in which they meet the rules", _names(group), rows)


def _dropped(corpus: Corpus, reason: str) -> Cell:
    if reason not in corpus.dropped:
        return Cell("")
    return _number(corpus, f"dropped.{reason}", corpus.dropped[reason], corpus.read)


def _of_split(corpus: Corpus, split: str) -> Cell:
    return _number(corpus, f"splits.{split}", corpus.manifest["splits"].get(split, 0), corpus.manifest["kept"])


def _bytes(corpus: Corpus) -> Cell:
    size = corpus.manifest["bytes"]
    return Cell(f"{size:,}", amount(size), f"{corpus.place} bytes", size)


def _names(group: Group) -> list[str]:
    names = [corpus.name for corpus in group.corpora]
    return [corpus.place if names.count(corpus.name) > 1 else corpus.name for corpus in group.corpora]


def lines(group: Group) -> Table | None:
    """Lines read, dropped by each test and kept, once for corpora of which they are the same; None where none were read."""
    alike: dict[tuple, list[Corpus]] = {}
    for corpus in group.corpora:
        read, dropped, kept = lines_of(corpus.manifest)
        if read:
            alike.setdefault((read, kept, *dropped.items()), []).append(corpus)
    if not alike:
        return None
    found = [(corpora[0], *lines_of(corpora[0].manifest)) for corpora in alike.values()]
    rows = [Row("read", [_number(corpus, "lines.read", read, read) for corpus, read, _, _ in found], kind="total")]
    for reason in dict.fromkeys(reason for _, _, dropped, _ in found for reason in dropped):
        cells = [
            _number(corpus, f"lines.{reason}", dropped[reason], read) if reason in dropped else Cell("")
            for corpus, read, dropped, _ in found
        ]
        rows.append(Row(name(reason), cells, meaning(reason, group.said), "drop"))
    rows.append(
        Row("kept", [_number(corpus, "lines.kept", kept, read) for corpus, read, _, kept in found], kind="total")
    )
    of = [", ".join(corpus.name for corpus in corpora) for corpora in alike.values()]
    head = [f"of {names}" for names in of] if len(of) > 1 else ["lines"]
    return Table("Lines by rule, of the pages that came as far as the rules of lines in any variant", head, rows)


def repeats(group: Group) -> Table | None:
    """What deduplication took out of pages that stayed."""
    cells = [
        _number(c, "repeats_removed", c.manifest["repeats_removed"])
        for c in group.corpora
        if "repeats_removed" in c.manifest
    ]
    if not cells:
        return None
    rules = group.said["rules"]
    spans = rules.get("duplicates") != "lines"
    what = f"spans of {counted(rules.get('span_sentences', 3), 'sentences')}" if spans else "lines"
    return Table("Repeats removed by deduplication", _names(group), [Row(what, cells)])


def inputs(manifest: Mapping[str, Any], most: int = _SHOWN) -> Table:
    """The inputs, the first of many."""
    rows = []
    sources: list[Mapping[str, Any]] = manifest.get("inputs", [])
    for source in sources[:most]:
        size, records = source.get("bytes"), source.get("pages")
        cells = [
            Cell(f"{size:,}" if isinstance(size, int) and size >= 0 else ""),
            Cell(f"{records:,}" if isinstance(records, int) else ""),
            Cell("to its end" if source.get("read_to_its_end") else "in part"),
        ]
        rows.append(Row(str(source.get("path", "")), cells))
    return Table(f"{counted(len(sources), 'inputs')}", ["bytes", "pages", "read"], rows, more=_more(len(sources), most))


def damages(manifest: Mapping[str, Any]) -> Table | None:
    found = manifest["damaged"]
    count = len(found) + manifest["more_damaged"]
    rows = [Row(one["input"], [Cell(f"{one['offset']:,}"), Cell(one["what"])]) for one in found[:_SHOWN]]
    caption = f"Damaged in {counted(count, 'places')}"
    return Table(caption, ["at byte", "what"], rows, numbers=False, more=_more(count)) if rows else None


def missing(manifest: Mapping[str, Any]) -> Table | None:
    found = manifest.get("missing", [])
    rows = [Row(one["input"], [Cell(one["why"])]) for one in found[:_SHOWN]]
    caption = f"{counted(len(found), 'inputs')} missing"
    return Table(caption, ["why"], rows, numbers=False, more=_more(len(found))) if rows else None


def _more(count: int, most: int = _SHOWN) -> str:
    return f"and {count - most:,} more, in c4build.json" if count > most else ""


def stages(run: State, prices: Sequence[Prices]) -> tuple[dict[str, float], Table, Table] | None:
    """(seconds by stage, as a table with what the processors cost at most, the same by step); None where nothing tells."""
    steps, workers = run["steps"], max(len(run["workers"]), 1)
    whole = sum(steps.values())
    if not whole:
        return None
    by_stage: Counter[str] = Counter()
    for step, seconds in steps.items():
        by_stage[stage_of(step, "reading")] += seconds

    def row(name: str, seconds: float, about: str = "", kind: str = "") -> Row:
        cost = [Cell(money(seconds * workers / _HOUR * price.vcpu_hour)) for price in prices]
        took = Cell(duration(seconds), share(round(seconds * 1000), round(whole * 1000)))
        return Row(name, [took, Cell(duration(seconds * workers)), *cost], about, kind)

    head = ["time", "times workers", *(f"at {price.name}" for price in prices)]
    rows = [row(stage, seconds) for stage, seconds in by_stage.items()]
    of = f"of {counted(workers, 'workers')}"
    stage_table = Table(f"Time and cost by stage, {of}", head, [*rows, row("all", whole, kind="total")])
    rows = [row(words(step), seconds, STEPS.get(step, "")) for step, seconds in steps.items()]
    return dict(by_stage), stage_table, Table(f"Time and cost by step, {of}", head, rows)


def rules(group: Group) -> Table:
    rows = [Row(key, [Cell(_value(value))]) for key, value in group.said["rules"].items()]
    return Table("The rules in full", ["value"], rows, numbers=False)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "  ".join(f"“{one}”" if isinstance(one, str) else str(one) for one in value) or "none"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def made(group: Group) -> Table:
    """How the corpora came about, a column for each."""

    def row(name: str, key: str) -> Row:
        return Row(name, [Cell(_told(corpus.manifest.get(key))) for corpus in group.corpora])

    keys = [
        ("c4build", "c4build"), ("started", "started"), ("seconds", "seconds"), ("format", "format"), ("shards", "shards"),
        ("bad words", "bad_words"), ("news domains", "news_domains"), ("lists of URLs", "url_lists"),
        ("left out", "excluded"), ("fingerprint", "fingerprint"),
    ]  # fmt: skip
    rows = [row(name, key) for name, key in keys if any(corpus.manifest.get(key) for corpus in group.corpora)]
    rows.insert(0, Row("folder", [Cell(corpus.place) for corpus in group.corpora]))
    return Table("How they were made", _names(group), rows, numbers=False)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    return "" if value is None else f"{value:,}" if isinstance(value, (int, float)) else str(value)


def all_runs(runs: Sequence[State]) -> Table:
    """The newest runs, the last one first."""
    rows = []
    for run in runs:
        outcome, files, took = run["outcome"], run["files"], run["transport"]
        end = (
            f"{outcome['what']}{': ' + outcome['error'] if outcome['error'] else ''}" if outcome else "no end is known"
        )
        seconds = duration(outcome["seconds"]) if outcome else ""
        asked = f"{took['requests']:,}; {took['retries']:,} tried again, {took['refusals']:,} refused"
        done = f"{files['done']:,} of {files['all']:,}"
        cells = map(Cell, (run["process"]["command"], run["engine"], seconds, end, done, asked))
        rows.append(Row(moment(run["started"]), list(cells)))
    return Table("The newest runs", ["command", "by", "time", "outcome", "inputs", "requests"], rows, numbers=False)
