"""The options of the commands that make corpora, each defined once: command line and Beam programs read them here.

A field of `Request` is an option of `build`: its name, its default and its help stand nowhere else. The aliases are
options that several commands have.
"""

from typing import Annotated, NamedTuple

from typer import Argument, Option

from c4build.rules.tables import RULE_SETS, VARIANTS

Out = Annotated[str, Option(help="Folder for the corpora, as in --out corpora; local or remote.", show_default=False)]
Rules = Annotated[str, Option(help=f"{' | '.join(RULE_SETS)} | FILE.toml (docs/rules.md)")]
Settings = Annotated[
    list[str], Option("--set", metavar="NAME=VALUE", help="Change one rule, as in min_sentences=4; repeatable.")
]
BadWords = Annotated[
    str | None, Option("--badwords", metavar="FILE|URL", help="Word list, one a line; by default the packaged one.")
]
Domains = Annotated[str | None, Option(metavar="FILE|URL", help="News domains, for realnewslike.")]
SharedUrls = Annotated[
    list[str], Option(metavar="FILE|URL", help="URLs shared on Reddit, for webtextlike; repeatable.")
]
Exclude = Annotated[
    str | None,
    Option(
        metavar="FILE|URL", help="Leave out the pages of a list: URLs, hosts (a.org), suffixes (.a.org), one a line."
    ),
]
ExcludeGiven = Annotated[
    str | None,
    Option("--exclude", metavar="FILE|URL", help="The list that a build left out: asked why a page is not in it."),
]
LeaveOneOut = Annotated[
    bool, Option("--leave-one-out", help="Besides, for every rule the variant that is en without it.")
]
Format = Annotated[str, Option(help="tfrecord | array_record | jsonl | parquet")]
Shards = Annotated[int | None, Option(help="Training shards; by default as many as the size asks for.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace a corpus of other inputs or rules.")]
MaxConnections = Annotated[
    int,
    Option(
        metavar="N",
        help="Downloads at once from one server. Common Crawl's is shared by all, and blocks clients that ask for too much.",
    ),
]
Workers = Annotated[int | None, Option(help="Processes on this machine; by default one for each core.")]
Runner = Annotated[str | None, Option(help="A Beam runner, as in DataflowRunner.")]


class Request(NamedTuple):
    """What a person asks `build` for."""

    inputs: Annotated[
        list[str],
        Argument(
            metavar="INPUT...",
            help="WET files, globs, folders or lists of paths (wet.paths, wet.paths.gz); local, s3://, gs://, https://.",
            default_factory=list,
            show_default=False,
        ),
    ]
    out: Out
    crawls: Annotated[
        list[str], Option("--crawl", metavar="NAME", help="A crawl's own list, as in CC-MAIN-2019-18; repeatable.")
    ] = []
    archive: Annotated[
        str,
        Option(
            "--from",
            metavar="https|s3",
            help="Where crawls and their lists are read: https://data.commoncrawl.org/, or s3://commoncrawl/ for "
            "machines inside AWS (us-east-1), with credentials of AWS.",
        ),
    ] = "https"
    limit: Annotated[int | None, Option(help="Take the first N files only.")] = None
    max_connections: MaxConnections = 10
    allow_missing: Annotated[
        str, Option(metavar="N|P%", help="Go on without so many inputs, or percent of them, that cannot be fetched.")
    ] = "0"
    rules: Rules = "paper"
    settings: Settings = []
    variants: Annotated[
        list[str],
        Option(
            metavar="NAME,...",
            help=f"One or several, with commas: {', '.join(VARIANTS)}. One read makes them all.",
        ),
    ] = ["en"]
    own_variants: Annotated[
        list[str],
        Option(
            "--variant",
            metavar="NAME=FORMULA",
            help="One of your own, as in no-bad-words='en - bad_words', made besides those of --variants; repeatable.",
        ),
    ] = []
    leave_one_out: LeaveOneOut = False
    bad_words: BadWords = None
    realnews_domains: Domains = None
    webtext_urls: SharedUrls = []
    exclude: Exclude = None
    provenance: Annotated[
        bool,
        Option(
            "--provenance",
            help="Say of each page where it is from: WARC-Record-ID, WARC-Refers-To, WET file and offset; jsonl and parquet only.",
        ),
    ] = False
    samples: Annotated[
        int,
        Option(
            metavar="N",
            help="Keep, for each variant and rule, N dropped pages and lines with what tripped it, and statistics; 0: none.",
        ),
    ] = 100
    write_dropped: Annotated[
        str | None,
        Option(metavar="jsonl|parquet", help="Write all pages that are dropped, with the reason, beside each corpus."),
    ] = None
    format: Format = "tfrecord"
    shards: Shards = None
    overwrite: Overwrite = False
