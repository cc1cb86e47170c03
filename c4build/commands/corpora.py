"""The commands for the other corpora: thin. `attach` puts them on the command line."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from c4build.commands.commandline import DAMAGED, HANDED_OVER, THERE_ALREADY, BeamCommand, cores, keeps_nothing
from c4build.corpora.options import Format, MaxConnections, Out, Overwrite, Runner, Shards, Workers
from c4build.errors import UsageError, counted, say, visible
from c4build.flow.lean import import_beam


def attach(app: typer.Typer):
    """Puts the commands on `app`."""
    for command in (wikipedia, books, webtext_urls, truncate):
        app.command(cls=BeamCommand)(command)
    for looking in (inspect, verify, status):
        app.command()(keeps_nothing(looking))


def wikipedia(
    context: typer.Context,
    dumps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DUMP...",
            help="pages-articles dumps of MediaWiki (.xml.bz2, .xml; one file or all its parts), globs or folders of them; "
            "local or remote.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Out,
    rules: Annotated[
        str, typer.Option(help="tfds (what TFDS keeps) | strict (no categories, no sections of references either)")
    ] = "tfds",
    format: Format = "tfrecord",
    shards: Shards = None,
    workers: Workers = None,
    runner: Runner = None,
    overwrite: Overwrite = False,
    max_connections: MaxConnections = 10,
):
    """Make a corpus of Wikipedia's articles from dumps."""
    from c4build.corpora.wikipedia import prepare_wikipedia

    check(workers, runner, context.args)
    prepared = prepare_wikipedia(dumps or [], out, rules, format, shards, overwrite, max_connections)
    raise typer.Exit(run_collect(prepared, workers, runner, context.args))


def books(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Books (.txt, .epub, Project Gutenberg's too), globs or folders of them.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Out,
    chapters: Annotated[bool, typer.Option("--chapters", help="One example a chapter instead of one a book.")] = False,
    language: Annotated[str, typer.Option(help="Keep books in this language; any keeps all.")] = "en",
    least: Annotated[float, typer.Option(help="langdetect's probability of that language, at least.")] = 0.99,
    format: Format = "tfrecord",
    shards: Shards = None,
    workers: Workers = None,
    runner: Runner = None,
    overwrite: Overwrite = False,
    max_connections: MaxConnections = 10,
):
    """Make a corpus of books.

    The Toronto Books Corpus that the paper used is no longer distributed: this is the place to point at a copy of your
    own, or at books from Project Gutenberg.
    """
    from c4build.corpora.books import prepare_books

    check(workers, runner, context.args)
    prepared = prepare_books(paths or [], out, chapters, language, least, format, shards, overwrite, max_connections)
    raise typer.Exit(run_collect(prepared, workers, runner, context.args))


def webtext_urls(
    context: typer.Context,
    dumps: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DUMP...",
            help="Reddit's submissions (RS_2018-08.zst and the like; zstd, gz, bz2, xz or plain), globs or folders of them.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Annotated[str, typer.Option(help="The list to make, as in --out urls.txt.gz.", show_default=False)],
    workers: Workers = None,
    runner: Runner = None,
    overwrite: Overwrite = False,
    max_connections: MaxConnections = 10,
):
    """List the URLs shared on Reddit with a score of 3 or more, for `build --webtext-urls`."""
    from c4build.corpora.reddit import prepare_webtext_urls
    from c4build.write.files import list_files, open_file, whole_file

    check(workers, runner, context.args)
    prepared = prepare_webtext_urls(dumps or [], out, overwrite, max_connections)

    def put_together():
        with whole_file(out) as file:
            for shard in sorted(path for path in list_files(prepared.plan.folder) if "-train-" in path):
                with open_file(shard) as part:
                    while block := part.read(1 << 20):
                        file.write(block)

    raise typer.Exit(run_collect(prepared, workers, runner, context.args, put_together, out))


def truncate(
    context: typer.Context,
    folder: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DIR",
            help="A corpus' folder, as in OUT/c4/en (its newest version) or OUT/c4/en/1.0.0.",
            show_default=False,
        ),
    ] = None,
    *,
    out: Out,
    tokens: Annotated[str | None, typer.Option(metavar="N,...", help="Sizes in tokens, as in 2^25,2^23.")] = None,
    words: Annotated[str | None, typer.Option(metavar="N,...", help="Sizes in words.")] = None,
    bytes: Annotated[str | None, typer.Option(metavar="N,...", help="Sizes in bytes of text.")] = None,
    vocab: Annotated[str | None, typer.Option(help="SentencePiece model whose tokens are counted.")] = None,
    seed: Annotated[int, typer.Option(help="Of the shuffle.")] = 0,
    format: Format = "tfrecord",
    workers: Workers = None,
    runner: Runner = None,
    overwrite: Overwrite = False,
):
    """Cut a corpus to exact sizes, each a prefix of the next: the first pages in a shuffle fixed by a seed."""
    if folder is None or len(folder) != 1:
        raise UsageError("give the folder of one corpus, as in OUT/c4/en")
    given = {unit: sizes for unit, sizes in (("tokens", tokens), ("words", words), ("bytes", bytes)) if sizes}
    if len(given) != 1 or bool(vocab) != ("tokens" in given):
        raise UsageError("give one of --tokens with --vocab, --words, --bytes")
    ((unit, sizes),) = given.items()
    from c4build.corpora.examples import newest_version
    from c4build.corpora.truncate import prepare_truncated

    check(workers, runner, context.args)

    def run(measuring, flow):
        if not run_shown(measuring, flow, ("measuring", "pages"), workers, runner, context.args):
            raise typer.Exit(0)

    numbers = [_number(size) for size in sizes.split(",")]
    prepared = prepare_truncated(newest_version(folder[0]), numbers, unit, out, run, vocab, seed, format, overwrite)
    raise typer.Exit(max(run_collect(one, workers, runner, context.args) for one in prepared))


def _number(size: str) -> int:
    base, power, exponent = size.strip().replace("_", "").partition("^")
    if not base.isdecimal() or (power and not exponent.isdecimal()):
        raise UsageError(f"{size}: a size is a number such as 1000000 or 2^25")
    return int(base) ** int(exponent) if power else int(base)


def inspect(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="A corpus' folder, as in OUT/c4/en (its newest version) or OUT/c4/en/1.0.0."
        ),
    ],
    vocab: Annotated[str | None, typer.Option(help="SentencePiece model: count its tokens, not words.")] = None,
    examples: Annotated[int, typer.Option(help="Random examples to show.")] = 3,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
):
    """Show what is in a corpus, finished or under way: examples, words, bytes, lengths, a few of the texts."""
    from c4build.commands.inspect import look, print_look
    from c4build.corpora.measure import tokens, words

    measure = tokens(vocab) if vocab else words()
    found = look(folder, measure.length, examples, seed)
    print_look(found, measure.unit)
    for line in found.unread:
        print(visible(f"damaged: {line}"), file=sys.stderr)
    raise typer.Exit(DAMAGED if found.unread else 0)


def verify(
    folder: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="Corpora's folders, as in OUT/c4/en/1.0.0; OUT for all below it."),
    ],
):
    """Check finished corpora against the digests of their manifests: every file, offline."""
    from c4build.write.verify import find_corpora
    from c4build.write.verify import verify as verify_one

    wrong = 0
    for corpus in dict.fromkeys(path for name in folder for path in find_corpora(name)):
        found = verify_one(corpus)
        for line in found.wrong:
            print(visible(f"{corpus}: {line}"), file=sys.stderr)
        wrong += len(found.wrong)
        said = f"{len(found.wrong):,} wrong" if found.wrong else "as it was written"
        print(
            visible(f"{corpus}: {counted(found.files, 'files')}, {counted(found.bytes, 'bytes')}: {said}"), flush=True
        )
    raise typer.Exit(DAMAGED if wrong else 0)


def status(
    out: Annotated[str, typer.Argument(metavar="OUT", help="A folder given as --out; local, s3:// or gs://.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, a line for each look.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until the run ends.")] = False,
):
    """Show how far the newest run into a folder is, or how it ended: from any machine that sees the folder."""
    from c4build.commands.status import show

    show(out, as_json, watch)


def check(workers: int | None, runner: str | None, beam_options: Sequence[str] = ()):
    """Fails before any work where the way to run it is wrong. It imports Beam."""
    if runner in (None, "DirectRunner", "DaskRunner"):
        import_beam(beam_options)
    from c4build.flow.beam_options import check_options
    from c4build.flow.local import check_runner

    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: it must be 1 or more")
    check_runner(runner)
    check_options(beam_options, runner)


def run_collect(
    prepared,
    workers: int | None,
    runner: str | None,
    beam_options: list[str],
    finish: Callable[[], object] = lambda: None,
    result: str | None = None,
) -> int:
    """Runs a prepared corpus, shows how far it is, prints what came of it; returns the exit code.

    `finish` is called when the corpus is there; `result` is where it lies in the end, if not in the plan's folder.
    """
    from c4build.flow.records import collect
    from c4build.write.folder import keeps_nothing, manifest_of

    plan = prepared.plan
    started = time.monotonic()
    if prepared.complete:
        print(THERE_ALREADY)
    else:
        doing = ("reading", plan.recipe.record)
        if not run_shown(prepared, collect, doing, workers, runner, beam_options):
            return 0
    from c4build.commands.outcome import print_collected
    from c4build.commands.terminal import print_damages
    from c4build.report.card import write_card

    finish()
    summary = manifest_of(plan.folder)
    if not prepared.complete:
        for line in summary["made_again"]:
            say(f"made again: {line}")
    if warning := keeps_nothing(summary["corpus"], plan.recipe.record, summary):
        say(warning)
    if left_alone := write_card(plan.run.out):
        say(left_alone)
    summary["folder"] = result or summary["folder"]
    print_collected(plan.recipe, summary, time.monotonic() - started)
    print_damages(summary)
    return DAMAGED if summary["damaged"] else 0


def run_shown(
    prepared, add: Callable, doing: tuple[str, str], workers: int | None, runner: str | None, beam_options: list[str]
) -> bool:
    """Runs what was prepared, and shows how far it is; returns False where the job was only handed over, which it says."""
    from c4build.commands.run_progress import Progress
    from c4build.flow.local import run_watched

    workers = min(workers or cores(), len(prepared.inputs))
    ended = run_watched(prepared, add, doing, workers, runner, beam_options, Progress, share=lambda: None)
    if not ended:
        print(HANDED_OVER)
    return ended
