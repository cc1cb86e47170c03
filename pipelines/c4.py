"""C4 as a plain Beam program, for clusters: its own options here, all others are the runner's.

    python -m pipelines.c4 gs://bucket/wet.paths.gz --out gs://bucket/c4 --runner DataflowRunner --project ...
"""

import argparse
from typing import Optional, Sequence

from c4build.commands.main import end_with, run_build


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Builds the corpora that `argv` asks for, waits for the end and prints what came of it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="WET files, globs, folders, lists of paths")
    parser.add_argument("--out", required=True, help="folder for the corpora")
    parser.add_argument("--crawl", action="append", default=[], help="a crawl's own list, as in CC-MAIN-2019-18")
    parser.add_argument("--limit", type=int, help="take the first N files only")
    parser.add_argument("--rules", default="paper", help="paper | paper-final | c4-3.1.0 | FILE.toml")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one rule")
    parser.add_argument("--variants", default="en", help="comma-separated")
    parser.add_argument("--badwords", help="word list, one a line")
    parser.add_argument("--realnews-domains", help="news domains, for realnewslike")
    parser.add_argument("--webtext-urls", action="append", default=[], help="URLs shared on Reddit, for webtextlike")
    parser.add_argument("--format", default="tfrecord", help="tfrecord | array_record | jsonl | parquet")
    parser.add_argument("--shards", type=int, help="training shards")
    parser.add_argument("--overwrite", action="store_true", help="replace corpora of other inputs or rules")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine, without a runner")
    parser.add_argument("--runner", help="a Beam runner, as in DataflowRunner")
    known, beam_options = parser.parse_known_args(argv)
    from c4build.corpora.c4 import Request

    request = Request(
        inputs=known.inputs,
        out=known.out,
        rules=known.rules,
        settings=known.set,
        variants=[name.strip() for name in known.variants.split(",") if name.strip()],
        bad_words=known.badwords,
        realnews_domains=known.realnews_domains,
        webtext_urls=known.webtext_urls,
        format=known.format,
        shards=known.shards,
        crawls=known.crawl,
        limit=known.limit,
        overwrite=known.overwrite,
    )
    return run_build(request, known.workers, known.runner, beam_options)


if __name__ == "__main__":
    end_with(run, "pipelines.c4")
