"""Charts as SVG, by Vega-Lite; colours are CSS variables of the page. No chart has a number that no table beside it has."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from c4build.errors import printable
from c4build.report.words import duration, share

_SVG = "http://www.w3.org/2000/svg"
_DRAWN = {"svg", "g", "path", "rect", "line", "text", "tspan"}
_LABEL = 175  # pixels for the names beside bars, at most
_CHARACTERS = 24  # of such a name
_CHARACTER = 6.7  # pixels, about
_STEP = 22  # pixels a bar
_WIDTH = 360  # of a chart, in pixels
_CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)", "titleColor": "var(--soft)", "domain": False, "ticks": False, "grid": False,
        "labelFontSize": 12, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": _LABEL,
    },
}  # fmt: skip


class Bar(NamedTuple):
    """A bar of a chart, from `start` to `stop`."""

    name: str
    start: float
    stop: float
    text: str  # behind it
    kind: str  # whole | drop | kept | plain


def funnel(read: int, dropped: dict[str, int], kept: int) -> list[Bar]:
    """What was read, what each rule took of what the rules before it had left, and what stayed."""
    bars, left = [Bar("read", 0, read, f"{read:,}", "whole")], read
    for reason, count in dropped.items():
        bars.append(Bar(reason.replace("_", " "), left - count, left, f"{count:,} · {share(count, read)}", "drop"))
        left -= count
    return [*bars, Bar("kept", 0, kept, f"{kept:,} · {share(kept, read)}", "kept")]


def times(seconds: dict[str, float]) -> list[Bar]:
    """What each stage of a run took."""
    return [Bar(stage, 0, took, duration(took), "plain") for stage, took in seconds.items()]


def draw_bars(bars: Sequence[Bar], label: str) -> str:
    """Horizontal bars as SVG, from the top; `label` says what they show to those who do not see it."""
    values = [
        {**bar._asdict(), "name": printable(bar.name, _CHARACTERS), "at": at, "floor": 0} for at, bar in enumerate(bars)
    ]
    beside = min(16 + _CHARACTER * max(len(value["name"]) for value in values), _LABEL)
    behind = 16 + _CHARACTER * max(len(bar.text) for bar in bars)
    inside = max(_WIDTH - beside - behind, 60)
    y: dict[str, Any] = {
        "field": "at", "type": "ordinal", "title": None, "scale": {"domain": list(range(len(bars)))},
        "axis": {"labelExpr": f"{_array([value['name'] for value in values])}[datum.value]", "labelPadding": 8, "minExtent": 0},
    }  # fmt: skip
    largest = max((bar.stop for bar in bars), default=0) or 1
    x = {"type": "quantitative", "scale": {"domain": [0, largest], "nice": False}, "axis": None}
    colors = {"whole": "var(--whole)", "drop": "var(--drop)", "kept": "var(--kept)", "plain": "var(--plain)"}
    color = {
        "field": "kind", "type": "nominal", "legend": None,
        "scale": {"domain": list(colors), "range": list(colors.values())},
    }  # fmt: skip
    spec = {
        "data": {"values": values},
        "width": inside,
        "height": _STEP * len(bars),
        "autosize": "none",
        "padding": {"left": beside, "right": behind, "top": 0, "bottom": 0},
        "encoding": {"y": y},
        "layer": [
            {  # what the rules before have left
                "transform": [{"filter": "datum.kind == 'drop'"}],
                "mark": {"type": "bar", "color": "var(--left)", "height": {"band": 0.62}},
                "encoding": {"x": {**x, "field": "floor"}, "x2": {"field": "start"}},
            },
            {
                "mark": {"type": "bar", "height": {"band": 0.62}, "strokeWidth": 1},
                "encoding": {"x": {**x, "field": "start"}, "x2": {"field": "stop"}, "color": color, "stroke": color},
            },
            {
                "mark": {"type": "text", "align": "left", "x": inside + 8, "fontSize": 12, "color": "var(--ink)"},
                "encoding": {"text": {"field": "text", "type": "nominal"}},
            },
        ],
        "config": _CONFIG,
    }
    return _render(spec, label)


def draw_histogram(bins: Sequence[tuple[str, int, int]], label: str) -> str:
    """Two histograms, one before the other, as SVG: (what a bin is called, pages before, pages after) of each bin."""
    if not bins:
        return ""
    values = [{"at": at, "before": before, "after": after} for at, (_, before, after) in enumerate(bins)]
    every = -(-len(bins) // 7)  # names of bins that there is room for
    x = {
        "field": "at", "type": "ordinal", "title": None, "scale": {"paddingInner": 0.15},
        "axis": {
            "labelExpr": f"{_array([name for name, _, _ in bins])}[datum.value]", "labelAngle": 0, "labelFontSize": 11,
            "values": list(range(0, len(bins), every)), "labelOverlap": True,
        },
    }  # fmt: skip
    axis = {
        "grid": True,
        "gridColor": "var(--rule)",
        "tickCount": 4,
        "tickMinStep": 1,
        "format": ",.0f",
        "labelFontSize": 11,
    }
    largest = max(max(before, after) for _, before, after in bins) or 1

    def bars(side: str, color: str, width: float) -> dict[str, Any]:
        y = {"field": side, "type": "quantitative", "title": None, "axis": axis, "scale": {"domain": [0, largest]}}
        mark = {"type": "bar", "color": color, "width": {"band": width}, "stroke": "var(--panel)"}
        return {"mark": mark, "encoding": {"y": y}}

    spec = {
        "data": {"values": values},
        "width": _WIDTH - 90,
        "height": 150,
        "autosize": "none",
        "padding": {"left": 68, "right": 22, "top": 8, "bottom": 24},
        "encoding": {"x": x},
        "layer": [bars("before", "var(--before)", 1.0), bars("after", "var(--kept)", 0.55)],
        "config": _CONFIG,
    }
    return _render(spec, f"{label}; the numbers are in the table")


def _array(names: Sequence[str]) -> str:
    """As an expression of Vega's, in which nothing of a name is taken for anything else."""
    return json.dumps(list(names))


def _render(spec: dict[str, Any], label: str) -> str:
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return _clean(drawn, label)


def _clean(svg: str, label: str) -> str:
    """The drawing alone: no links, styles or scripts, no roles that a screen reader would read one by one."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(f"{{{_SVG}}}") not in _DRAWN or child.get("display") == "none":
                parent.remove(child)
        kept = {
            key: value
            for key, value in parent.attrib.items()
            if not re.match(r"aria-|role|class|style|on|.*href|pointer", key)
        }
        parent.attrib.clear()
        parent.attrib.update(kept)
    root.attrib.update({"role": "img", "aria-label": label})
    return ElementTree.tostring(root, encoding="unicode")
