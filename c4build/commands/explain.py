"""`explain`: the fate of pages, printed line by line, or as JSON."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from rich.console import Console
from rich.text import Text
from typer import Argument, Exit, Option

from c4build.commands.commandline import DAMAGED, asks_for
from c4build.commands.marking import add_marked
from c4build.corpora.options import BadWords, Domains, Exclude, Request, Rules, Settings, SharedUrls
from c4build.errors import UsageError, counted, visible

_LABEL = 16  # characters of the column of fates
_SHOWN_WORDS = 10  # that tripped a rule, in a remark
_SHOWN_CHARS = 60  # of each


class Question(NamedTuple):
    """What `explain` is asked."""

    path: Annotated[str, Argument(metavar="FILE|-", help="A WET file, a text, or - for standard input.")]
    url: Annotated[
        str, Option(help="The page of this URL; of a text, the URL that it is taken to have.", show_default=False)
    ] = ""
    record: Annotated[int | None, Option(metavar="N", help="The Nth page of the file, from 1.")] = None
    variant: Annotated[
        str, Option(metavar="NAME", help="Whose rules are meant; or one of your own, as in x='en - bad_words'.")
    ] = "en"
    rules: Rules = "paper"
    settings: Settings = []
    against: Annotated[
        str,
        Option(
            metavar="OUT",
            help="The --out of a build: tells too which pages of it are copies of the page, or keep lines or spans of it.",
            show_default=False,
        ),
    ] = ""
    bad_words: BadWords = None
    realnews_domains: Domains = None
    webtext_urls: SharedUrls = []
    exclude: Exclude = None
    as_json: Annotated[bool, Option("--json", help="A JSON object for each page, one a line.")] = False


@asks_for(Question)
def explain(request: Question):
    """Show why a page stays or goes: each line, each rule, and what tripped it.

    Without --url and --record: all pages of a WET file, one a line.
    """
    if request.url and request.record is not None:
        raise UsageError("give --url or --record, not both")
    from c4build.corpora.explain import Explainer, choose, open_source, read_source

    name, equals, _ = request.variant.partition("=")
    rules_and_lists = Request(
        inputs=[request.path],
        out="",
        rules=request.rules,
        settings=request.settings,
        variants=[name.strip()],
        own_variants=[request.variant] if equals else [],
        bad_words=request.bad_words,
        realnews_domains=request.realnews_domains,
        webtext_urls=request.webtext_urls,
        exclude=request.exclude,
    )
    explainer = Explainer.asked(rules_and_lists, request.against)
    source = open_source(request.path, request.url)
    damages: list[str] = []
    pages = read_source(source, explainer.rules, damages)
    explained = explainer.explain(choose(pages, source, request.url, request.record), source.identity)
    whole = bool(request.url) or request.record is not None or not source.is_wet
    for one in explained:
        if request.as_json:
            print(json.dumps(_as_json(one, explainer)))
        elif whole:
            _Printer(explainer).print(one)
        else:
            print(f"{one.number + 1:>7,}  {one.fate:<22}  {visible(one.page.url if one.page else '')}")
    if not request.as_json and not whole:
        fates = Counter(one.fate for one in explained)
        print(f"{counted(len(explained), 'pages')}: {', '.join(f'{n:,} {fate}' for fate, n in fates.most_common())}")
    for line in damages:
        print(visible(f"damaged: {line}"), file=sys.stderr)
    raise Exit(DAMAGED if damages else 0)


def _lines(one, explainer) -> Iterator[tuple]:
    """(line, its fate, the places to mark, what tripped it in words) of each line of a page."""
    repeated = {line: copy for unit, copy in one.repeats for line in unit.lines}
    tripping = one.step in ("lorem_ipsum", "curly_bracket", "bad_words")
    kept = 0
    for line in explainer.teller.lines(one.page):
        fate, places, remark = line.fate, line.seen.places, line.seen.remark
        if fate == "kept":
            if kept in repeated:
                fate, remark = "repeated", f"kept by {_name(repeated[kept])}"
            kept += 1
        if tripping and not places:
            places = explainer.teller.marked(line.text)
        yield line.text, fate, places, "; ".join(filter(None, [_words(line.text, places), remark]))


def _words(text: str, places: list[tuple[int, int]]) -> str:
    words = list(dict.fromkeys(text[start:stop] for start, stop in places))
    shown = [word if len(word) <= _SHOWN_CHARS else word[:_SHOWN_CHARS] + "..." for word in words[:_SHOWN_WORDS]]
    return ", ".join([*shown, *(["..."] if words[_SHOWN_WORDS:] else [])])


def _name(copy) -> str:
    where = f"page {copy.number + 1:,}" + (f" of {copy.input}" if copy.input else "")
    return f"{copy.url} ({where})" if copy.url else where


def _steps(one, explainer) -> Iterator[tuple[str, str, str]]:
    """(step, what it did, what tripped it) of each step of the variant, in order."""
    taken = {step.step: step for step in one.taken}
    for name in (*explainer.rules.before, *explainer.rules.after):
        if name not in explainer.variant.steps:
            continue
        if name not in taken:
            yield name, "not reached", ""
            continue
        seen = explainer.teller.tripped(taken[name])
        dropped = name == one.step
        words = "; ".join(filter(None, [_words(taken[name].text, seen.places), seen.remark]))
        yield name, "drops the page" if dropped else "passed", words if dropped else ""


def _as_json(one, explainer) -> dict:
    told = {"record": one.number + 1, "fate": one.fate, "rule": one.step or one.entry or None}
    told |= {"rules": explainer.rules.name, "variant": explainer.variant.name}
    if one.page is None:
        return told
    copies = [
        {"text": unit.text, "first_line": unit.lines.start, "kept_by": copy._asdict() | {"number": copy.number + 1}}
        for unit, copy in one.repeats
    ]
    return {
        **told,
        "url": one.page.url,
        "date": one.page.timestamp,
        "lines": [
            {"text": text, "fate": fate, "places": places, "why": why}
            for text, fate, places, why in _lines(one, explainer)
        ],
        "steps": [{"step": name, "did": did, "why": why} for name, did, why in _steps(one, explainer)],
        "figures": explainer.teller.figures(one.text)._asdict(),
        "displaced_by": one.copy and one.copy._asdict() | {"number": one.copy.number + 1},
        "repeats": copies,
        "text": one.text if one.fate == "kept" else None,
    }


class _Printer:
    """Prints a page for a person. All of its text is made visible first: it is other people's."""

    def __init__(self, explainer):
        self._explainer = explainer
        self._console = Console(highlight=False, soft_wrap=True)

    def print(self, one):
        page, explainer = one.page, self._explainer
        self._say(f"page {one.number + 1:,}: {page.url if page else ''}", "bold")
        if page:
            lines = list(_lines(one, explainer))
            for line in lines:
                self._line(*line)
            fates = Counter(fate for _, fate, _, _ in lines)
            self._say("")
            self._say(f"lines     {', '.join(f'{count:,} {fate}' for fate, count in fates.most_common())}")
            for unit, copy in one.repeats:
                self._say(f"repeated  {unit.text}\n          kept by {_name(copy)}", keep="\n")
            for name, did, why in _steps(one, explainer):
                style = "red" if did == "drops the page" else "dim" if did == "not reached" else ""
                self._say(f"step      {name:<15} {did}{': ' + why if why else ''}", style)
            self._figures(one)
        self._say(self._fate(one), "bold green" if one.fate == "kept" else "bold red")

    def _line(self, text: str, fate: str, places: list[tuple[int, int]], why: str):
        style = "" if fate == "kept" else "yellow" if fate == "repeated" else "red"
        said = Text(f"{fate:<{_LABEL}}", style=style or "green")
        add_marked(said, text, places, style)
        if why:
            said.append(visible(f"  [{why}]"), "italic")
        self._console.print(said)

    def _figures(self, one):
        figures = self._explainer.teller.figures(one.text)
        which = "what stays" if one.fate == "kept" else "what the last rule was given"
        counts = ", ".join(
            counted(count, name)
            for count, name in ((figures.lines, "lines"), (figures.sentences, "sentences"), (figures.words, "words"))
        )
        languages = ", ".join(f"{name} {probability:.6f}" for name, probability in figures.languages)
        self._say(f"figures   of {which}: {counts}, {counted(figures.characters, 'characters')}")
        self._say(f"language  {languages or 'no letters to go by'}")
        words = [f"{word} ({count:,})" for word, count in Counter(figures.bad_words).most_common()]
        self._say(f"bad words {', '.join(words) or 'none'}")

    def _fate(self, one) -> str:
        by = f" by the step {one.step}" if one.step else f" by the entry {one.entry}" if one.entry else ""
        displaced = f": {_name(one.copy)} is newer or comes first" if one.copy else ""
        what = "kept" if one.fate == "kept" else f"dropped{by}: {one.fate}"
        rules, variant = self._explainer.rules.name, self._explainer.variant.name
        return f"{what}{displaced} (rules {rules}, variant {variant})"

    def _say(self, text: str, style: str = "", keep: str = ""):
        self._console.print(Text(visible(text, keep), style=style))
