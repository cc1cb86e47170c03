"""`diff`: what changed between two builds, printed, or as JSON."""

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple

from rich.console import Console
from rich.text import Text
from typer import Argument, Option

from c4build.commands.commandline import asks_for
from c4build.corpora.options import BadWords, ExcludeGiven, Request
from c4build.errors import UsageError, counted, printable, visible

_MOST_LINES = 2000  # of a text whose lines are matched with another's: the time grows faster than their number
_SHOWN_LINES = 40  # of the differences of a page
_SHOWN_CHARS = 300  # of a line


Scratch = Annotated[
    str | None,
    Option(metavar="DIR", help="Where temporary files may lie: 40 bytes a page of both.", show_default=False),
]


class Question(NamedTuple):
    """What `diff` is asked."""

    out_a: Annotated[
        str,
        Argument(
            metavar="OUT_A",
            help="The --out of a build, or a corpus' folder as in OUT/c4/en/1.0.0; local, s3:// or gs://.",
        ),
    ]
    out_b: Annotated[str, Argument(metavar="OUT_B", help="The other one.")]
    variants: Annotated[
        list[str], Option("--variant", metavar="NAME", help="Compare this corpus only, as in en; repeatable.")
    ] = []
    examples: Annotated[int, Option("-n", help="Examples of each kind to show.")] = 5
    scratch: Scratch = None
    bad_words: BadWords = None
    exclude: ExcludeGiven = None
    as_json: Annotated[bool, Option("--json", help="A JSON object for each corpus, one a line.")] = False


@asks_for(Question)
def diff(request: Question):
    """Show what changed between two builds: rules, counts, which pages only one has and why, which have other text."""
    if request.examples < 0:
        raise UsageError(f"-n {request.examples}: it must be 0 or more")
    from c4build.corpora.diff import pairs_of

    pairs, alone = pairs_of(request.out_a, request.out_b, request.variants)
    lists = Request([], "", bad_words=request.bad_words, exclude=request.exclude)
    for number, (a, b) in enumerate(pairs):
        found = compare_pair(a, b, request.examples, request.scratch, lists)
        if request.as_json:
            print(json.dumps(as_json(a, b, *found)))
        else:
            print("\n" * bool(number), end="")
            _print(a, b, *found)
    for line in alone:
        print(visible(line), file=sys.stderr if request.as_json else sys.stdout)


def compare_pair(a, b, examples: int, scratch: str | None, lists: Request) -> tuple:
    """(what differs of the pages, why they are not in the other, what differs of the making) of two corpora; shows how far it is."""
    from c4build.commands.progress import shown
    from c4build.corpora.diff import compare, differences
    from c4build.corpora.why import why_absent

    with shown() as tell:
        found = compare(a, b, examples, scratch, tell)
        whys = why_absent(found.only_a, a, b, lists, tell), why_absent(found.only_b, b, a, lists, tell)
    return found, whys, differences(a.manifest, b.manifest)


def line_diff(a: str, b: str) -> Iterator[tuple[str, str]]:
    """Yields (sign, line) of the lines that differ between two texts: - of the first, + of the second.

    Where too many lines are left between a common start and a common end, all of these are told as changed.
    """
    one, two = a.split("\n"), b.split("\n")
    start = next((at for at, (x, y) in enumerate(zip(one, two)) if x != y), min(len(one), len(two)))
    one, two = one[start:], two[start:]
    end = next((at for at, (x, y) in enumerate(zip(reversed(one), reversed(two))) if x != y), min(len(one), len(two)))
    one, two = one[: len(one) - end], two[: len(two) - end]
    if max(len(one), len(two)) > _MOST_LINES:
        yield from (("-", line) for line in one)
        yield from (("+", line) for line in two)
        return
    for what, i, j, m, n in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if what != "equal":
            yield from (("-", line) for line in one[i:j])
            yield from (("+", line) for line in two[m:n])


def _counts(a, b) -> list[tuple[str, list[tuple[str, int, int]]]]:
    """(kind, [(name, of A, of B)]) of all counts of two manifests."""
    one, two = a.manifest, b.manifest

    def table(kind: str, label: str = "") -> list[tuple[str, int, int]]:
        names = dict.fromkeys([*one.get(kind, {}), *two.get(kind, {})])
        return [(label + name, one.get(kind, {}).get(name, 0), two.get(kind, {}).get(name, 0)) for name in names]

    sums = [(name, one.get(name, 0), two.get(name, 0)) for name in ("kept", "bytes", "words", "repeats_removed")]
    return [
        ("pages", [("read", a.read, b.read)]),
        ("dropped", table("dropped", "- ")),
        ("kept", [row for row in sums if row[0] in one or row[0] in two] + table("splits")),
        ("lines", table("lines", "lines: ")),
    ]


def _pages(found) -> dict[str, int]:
    meeting = found.meeting
    return {
        "same": meeting.same,
        "only_a": meeting.only_a,
        "only_b": meeting.only_b,
        "other_text": meeting.other_text,
        "other_fields": meeting.other_fields,
    }


def as_json(a, b, found, whys, changes) -> dict:
    """What `--json` prints of two corpora."""
    examples: dict = {
        name: [{**_without_text(page), **why._asdict()} for page, why in zip(pages, told)]
        for name, pages, told in (("only_a", found.only_a, whys[0]), ("only_b", found.only_b, whys[1]))
    }
    examples["other_text"] = [
        {**_without_text(one), "lines": list(line_diff(one["text"], two["text"]))} for one, two in found.other_text
    ]
    return {
        "a": a.folder,
        "b": b.folder,
        "differences": [change._asdict() for change in changes],
        "counts": {
            kind: {name.rpartition(" ")[2]: [old, new] for name, old, new in rows} for kind, rows in _counts(a, b)
        },
        "pages": _pages(found),
        "examples": examples,
    }


def _without_text(example: Mapping[str, str]) -> dict:
    """Of one that nothing else names the beginning of its text stays."""
    named = {name: value for name, value in example.items() if name != "text"}
    return named if any(named.values()) else {"text": example["text"][:_SHOWN_CHARS]}


def _print(a, b, found, whys, changes):
    from c4build.commands.terminal import print_tables
    from c4build.report.changes import PAGES

    console = Console(highlight=False, soft_wrap=True)

    def say(text: str, style: str = ""):
        console.print(Text(visible(text), style=style))

    say(f"A: {a.folder}", "bold")
    say(f"B: {b.folder}", "bold")
    say("")
    for change in changes:
        say(f"{change.what}: {_changed(change.a, change.b)}")
    if not changes:
        say("made alike: the same version, rules, lists and inputs")
    say("")
    parts = [
        [
            (visible(name.replace("_", " ")), [f"{old:,}", f"{new:,}", f"{new - old:+,}" if new != old else ""])
            for name, old, new in rows
        ]
        for _, rows in _counts(a, b)
    ]
    print_tables("", "counts", ["A", "B", "B - A"], parts)
    for name, count in _pages(found).items():
        say(f"{count:>15,}  {PAGES[name]}")
    for title, pages, told in (("only in A", found.only_a, whys[0]), ("only in B", found.only_b, whys[1])):
        if pages:
            say("")
            say(f"{title}, and why it is not in the other:", "bold")
        for page, why in zip(pages, told):
            say(f"  {_name(page)}")
            say("      " + ": ".join(filter(None, [why.reason, why.told])), "red" if why.reason else "dim")
    if found.other_text:
        say("")
        say("with other text, - in A, + in B:", "bold")
    for one, two in found.other_text:
        say(f"  {_name(one)}")
        lines = list(line_diff(one["text"], two["text"]))
        for sign, line in lines[:_SHOWN_LINES]:
            say(f"      {sign} {printable(line, _SHOWN_CHARS)}", "red" if sign == "-" else "green")
        if (more := len(lines) - _SHOWN_LINES) > 0:
            say(f"      and {counted(more, 'lines')} more")


def _changed(a: object, b: object) -> str:
    """Two values that are not the same; of lists what only one has."""
    from c4build.report.changes import only_in, short

    if a == b:
        return short(a)
    if alone := only_in(a, b):
        return ", ".join(f"{short(items)} only in {side}" for side, items in zip("AB", alone) if items)
    return f"{short(a)} in A, {short(b)} in B"


def _name(page: Mapping[str, str]) -> str:
    from c4build.report.changes import name_of

    return printable(name_of(page))
