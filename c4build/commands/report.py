"""`report`: one page about the corpora below a folder; a data card; Croissant."""

import webbrowser
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from c4build.commands.commandline import DAMAGED
from c4build.commands.diff import Scratch, as_json, compare_pair
from c4build.corpora.options import BadWords, ExcludeGiven, Request
from c4build.errors import UsageError, say, visible
from c4build.write.storage import is_local

NAME = "report.html"
_EXAMPLES = 5  # of each way in which pages differ


def report(
    out: Annotated[str, Argument(metavar="OUT", help="A folder given as --out; local, s3:// or gs://.")],
    open_it: Annotated[bool, Option("--open", help="Show the page in a browser.")] = False,
    markdown: Annotated[
        bool,
        Option("--markdown", help="Write the data card of the Hugging Face Hub, README.md, and croissant.json too."),
    ] = False,
    prices: Annotated[
        str | None, Option(metavar="FILE", help="Prices in TOML, in place of list prices of AWS and Google.")
    ] = None,
    against: Annotated[
        str | None,
        Option(
            metavar="OTHER", help="The --out of another build: a section tells what `c4build diff OUT OTHER` finds."
        ),
    ] = None,
    scratch: Scratch = None,
    bad_words: BadWords = None,
    exclude: ExcludeGiven = None,
):
    """Write OUT/report.html: where each page went, by rule, in one file that opens anywhere."""
    if open_it and not is_local(out):
        raise UsageError(f"--open: {out} is no folder of this machine; fetch {NAME} from there and open it")
    from c4build.flow.prices import load_prices
    from c4build.report.gather import gather
    from c4build.report.own import write_own
    from c4build.report.page import check_installed, render
    from c4build.write.files import join

    check_installed()
    gathered = gather(out)
    path = join(out, NAME)
    changes = (
        _changes(out, against, scratch, Request([], "", bad_words=bad_words, exclude=exclude)) if against else None
    )
    write_own(path, render(gathered, load_prices(prices), changes).encode(errors="backslashreplace"))
    print(visible(path))
    if markdown:
        _describe(out, gathered)
    for line in gathered.unread:
        say(line)
    if open_it and not webbrowser.open(Path(path).absolute().as_uri()):
        say(f"no browser could be started: open {path} by hand")
    raise Exit(DAMAGED if gathered.unread else 0)


def _changes(out: str, against: str, scratch: str | None, lists: Request):
    """What changed between the corpora of two folders."""
    from c4build.corpora.diff import pairs_of
    from c4build.report.changes import Changes, change_of

    pairs, alone = pairs_of(out, against)
    found = (as_json(a, b, *compare_pair(a, b, _EXAMPLES, scratch, lists)) for a, b in pairs)
    return Changes(out, against, list(map(change_of, found)), alone)


def _describe(out: str, gathered):
    """Writes the data card, and Croissant beside it."""
    from c4build.report.card import CARD, write_card
    from c4build.report.croissant import CROISSANT, make_croissant
    from c4build.report.own import write_own
    from c4build.write.files import join

    if left_alone := write_card(out, always=True):
        raise UsageError(f"{left_alone}; move it away for a new one")
    print(visible(join(out, CARD)))
    path = join(out, CROISSANT)
    write_own(path, make_croissant(gathered))
    print(visible(path))
