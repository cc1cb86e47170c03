"""The report as one HTML file: no script, no network, everything from outside shown as text."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c4build import __version__
from c4build.errors import UsageError, counted, signs, visible
from c4build.flow.prices import Prices
from c4build.report import charts, tables
from c4build.report.changes import Changes
from c4build.report.gather import Corpus, Gathered, Group, lines_of
from c4build.report.loading import configs, ways_to_load
from c4build.report.own import UNSEALED
from c4build.report.samples import samples_of
from c4build.report.statistics import statistics_of
from c4build.report.words import amount, moment, share

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_CHARTED = 5  # corpora of a group whose statistics are shown
_HERE = Path(__file__).parent
_NEEDED = {"jinja2": "jinja2", "vl_convert": "vl-convert-python"}


def check_installed():
    """Fails with UsageError where the packages of the extra are not there."""
    if absent := [package for module, package in _NEEDED.items() if find_spec(module) is None]:
        raise UsageError(f"the report needs pip install 'c4build[report]' ({', '.join(absent)} missing)")


def render(gathered: Gathered, prices: Sequence[Prices], changes: Changes | None) -> str:
    """The page, with what changed since another build where that is asked for. Raises UsageError where the extra is not
    installed."""
    check_installed()
    style = (_HERE / "report.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = _environment()
    return environment.get_template("report.html.j2").render(
        out=gathered.out,
        version=__version__,
        style=style,
        unsealed=UNSEALED,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        changes=changes,
        groups=[_group(gathered, group, prices) for group in gathered.groups],
        runs=tables.all_runs(gathered.runs) if gathered.runs else None,
        unread=gathered.unread,
    )


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"marked": marked, "moment": moment}
    return environment


def _shown(value: Any) -> Any:
    """What the template puts out: text from anywhere without characters that cannot be seen."""
    return visible(value) if type(value) is str else value


def marked(text: str, keep: str = "") -> "Markup":
    """The text as HTML; each character that cannot be seen is a mark that names it."""
    from markupsafe import Markup

    parts = [
        Markup('<span class="sign" title="{}">{}</span>').format(sign.name, sign.code) if sign else Markup.escape(part)
        for part, sign in signs(text, keep)
    ]
    return Markup("").join(parts)


def _group(gathered: Gathered, group: Group, prices: Sequence[Prices]) -> dict[str, Any]:
    """What the template tells of a group."""
    said, record = group.said, group.corpora[0].record
    inputs = len(said.get("inputs", ()))
    stages = [
        {
            "run": run,
            "chart": charts.draw_bars(charts.times(found[0]), "Time by stage"),
            "stages": found[1],
            "steps": found[2],
        }
        for run in group.runs
        if (found := tables.stages(run, prices))
    ]
    return {
        "title": group.title,
        "record": record,
        "lead": f"{counted(group.corpora[0].read, record)} read from {counted(inputs, 'inputs')}, "
        f"{counted(len(group.corpora), 'corpora') if len(group.corpora) > 1 else '1 corpus'}.",
        "alarms": _alarms(group),
        "cards": [_card(corpus) for corpus in group.corpora],
        "funnel": tables.funnel(group),
        "lines": tables.lines(group),
        "lines_chart": _lines_chart(said),
        "repeats": tables.repeats(group),
        "statistics": [
            (corpus.name, figures)
            for corpus in group.corpora[:_CHARTED]
            if (figures := statistics_of(gathered.out, corpus, gathered.unread))
        ],
        "not_charted": max(len(group.corpora) - _CHARTED, 0),
        "samples": samples_of(gathered.out, group, gathered.unread),
        "inputs": tables.inputs(said),
        "damages": tables.damages(said),
        "missing": tables.missing(said),
        "stages": stages,
        "rules": tables.rules(group),
        "made": tables.made(group),
        "load": _load(gathered, group),
    }


def _alarms(group: Group) -> list[str]:
    """What a reader must know before any number."""
    found = []
    for corpus in group.corpora[:1]:
        said = corpus.manifest
        if missing := said.get("missing"):
            found.append(
                f"{counted(len(missing), 'inputs')} could not be fetched and are missing from all that follows."
            )
        if count := len(said["damaged"]) + said["more_damaged"]:
            found.append(f"Inputs were damaged in {counted(count, 'places')}; what could be read of them is in.")
    found += [f"{corpus.name} keeps no {corpus.record}." for corpus in group.corpora if not corpus.manifest["kept"]]
    return found


def _card(corpus: Corpus) -> dict[str, Any]:
    kept, size = corpus.manifest["kept"], corpus.manifest["bytes"]
    label = f"{corpus.name}: {corpus.record} read, taken by each rule, and kept; the same numbers are in the table"
    return {
        "name": corpus.name,
        "place": corpus.place,
        "kept": f"{kept:,}",
        "of": f"{corpus.record} kept, {share(kept, corpus.read)} of {corpus.read:,}",
        "size": amount(size),
        "chart": charts.draw_bars(charts.funnel(corpus.read, corpus.dropped, kept), label),
    }


def _lines_chart(said: dict[str, Any]) -> str:
    read, dropped, kept = lines_of(said)
    label = "Lines read, taken by each rule, and kept; the same numbers are in the table"
    return charts.draw_bars(charts.funnel(read, dropped, kept), label) if read else ""


def _load(gathered: Gathered, group: Group) -> list[tuple[str, str]]:
    """(library, lines of Python, one for each corpus) for each library that reads them."""
    known = configs(gathered.corpora)
    found: dict[str, list[str]] = {}
    for corpus in group.corpora:
        for library, line in ways_to_load(gathered.out, corpus, known.get(corpus.place)):
            found.setdefault(library, []).append(line)
    return [(library, "\n".join(lines)) for library, lines in found.items()]
