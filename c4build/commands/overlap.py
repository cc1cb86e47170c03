"""`overlap`: which documents of evaluation sets share a span of words with a corpus, printed, or as JSON."""

import json
from collections import Counter
from typing import Annotated, NamedTuple

from rich.console import Console
from rich.text import Text
from typer import Argument, Option

from c4build.commands.commandline import asks_for
from c4build.errors import UsageError, counted, printable, visible

_SHOWN_CHARS = 200  # of a shared span


class Question(NamedTuple):
    """What `overlap` is asked."""

    out: Annotated[
        str,
        Argument(
            metavar="OUT", help="The --out of a build, or a corpus' folder as in OUT/c4/en; local, s3:// or gs://."
        ),
    ]
    texts: Annotated[
        list[str],
        Option(
            "--with",
            metavar="TEXTS",
            help="Evaluation sets: JSON lines or Parquet (a document each record, all its strings), other files (a document "
            "each), or folders of them; repeatable.",
            show_default=False,
        ),
    ]
    words: Annotated[int, Option(help="Of a span: in lower case, without punctuation, across line ends.")] = 13
    variants: Annotated[
        list[str], Option("--variant", metavar="NAME", help="Read this corpus only, as in en; repeatable.")
    ] = []
    examples: Annotated[int, Option("-n", help="Documents to show; --json has all.")] = 10
    as_json: Annotated[bool, Option("--json", help="A JSON object for each corpus, one a line.")] = False


@asks_for(Question)
def overlap(request: Question):
    """Show which documents of evaluation sets share a span of 13 words with a corpus, and where. Nothing is dropped."""
    if request.words < 1 or request.examples < 0:
        raise UsageError("--words must be 1 or more, and -n 0 or more")
    from c4build.commands.progress import shown
    from c4build.corpora.diff import sides_of
    from c4build.corpora.overlap import Evaluation, find_overlap

    sides = list(sides_of(request.out, request.variants))
    evaluation = Evaluation(request.texts, request.words)
    for side in sides:
        with shown() as tell:
            found = find_overlap(evaluation, side, tell)
        if request.as_json:
            print(json.dumps(_as_json(side, request.words, evaluation, found)))
        else:
            _print(side, request, evaluation, found)


def _sets(evaluation, found) -> list[dict]:
    """Of each file: how many documents, how many of them too short to share a span, how many share one."""
    documents = Counter(path for path, _ in evaluation.named)
    short = Counter(path for (path, _), is_short in zip(evaluation.named, evaluation.too_short) if is_short)
    sharing = Counter(evaluation.named[document][0] for document in found.places)
    return [
        {"path": path, "documents": count, "too_short": short[path], "sharing": sharing[path]}
        for path, count in documents.items()
    ]


def _as_json(side, words: int, evaluation, found) -> dict:
    return {
        "corpus": side.folder,
        "words": words,
        "pages": found.pages,
        "pages_sharing": found.sharing,
        "sets": _sets(evaluation, found),
        "documents": [
            {
                "path": evaluation.named[document][0],
                "document": evaluation.named[document][1],
                "pages": int(found.counts[document]),
                "places": [place._asdict() for place in places],
            }
            for document, places in sorted(found.places.items())
        ],
    }


def _print(side, request: Question, evaluation, found):
    console = Console(highlight=False, soft_wrap=True)

    def say(text: str, style: str = ""):
        console.print(Text(visible(text), style=style))

    say(
        f"{side.folder}: {counted(found.pages, 'pages')}, of which {found.sharing:,} share {counted(request.words, 'words')} in a row"
    )
    for one in _sets(evaluation, found):
        short = f"; {one['too_short']:,} are too short to tell" if one["too_short"] else ""
        say(
            f"{one['path']}: {one['sharing']:,} of {counted(one['documents'], 'documents')} share a span{short}", "bold"
        )
    for document, places in sorted(found.places.items())[: request.examples]:
        path, number = evaluation.named[document]
        say("")
        say(f"document {number:,} of {path}: in {counted(int(found.counts[document]), 'pages')}", "bold")
        for place in places:
            say(
                f"  {printable(place.url)}, characters {place.start:,} to {place.end:,} ({counted(place.words, 'words')})"
            )
            say(f"      {printable(place.text, _SHOWN_CHARS)}")
    if (more := len(found.places) - request.examples) > 0:
        say(f"and {counted(more, 'documents')} more, which --json has")
