"""A corpus of books as a plain Beam program, for clusters: its own options here, all others are the runner's.

    python -m pipelines.books gs://bucket/books/*.txt --out gs://bucket/corpora --runner DataflowRunner --project ...
"""

import argparse
from typing import Optional, Sequence

from c4build.commands.corpora import check, run_collect
from c4build.commands.main import end_with


def run(argv: Optional[Sequence[str]] = None) -> int:
    """Makes the corpus that `argv` asks for, waits for the end and prints what came of it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="books (.txt, .epub), globs or folders of them")
    parser.add_argument("--out", required=True, help="folder for the corpora")
    parser.add_argument("--chapters", action="store_true", help="one example a chapter instead of one a book")
    parser.add_argument("--language", default="en", help="keep books in this language; any keeps all")
    parser.add_argument("--least", type=float, default=0.99, help="langdetect's probability of that language, at least")
    parser.add_argument("--format", default="tfrecord", help="tfrecord | array_record | jsonl | parquet")
    parser.add_argument("--shards", type=int, help="training shards")
    parser.add_argument("--overwrite", action="store_true", help="replace a corpus of other inputs or rules")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine, without a runner")
    parser.add_argument("--runner", help="a Beam runner, as in DataflowRunner")
    known, beam_options = parser.parse_known_args(argv)
    from c4build.corpora.books import prepare_books

    check(known.workers, known.runner)
    prepared = prepare_books(
        known.paths, known.out, known.chapters, known.language, known.least, known.format, known.shards, known.overwrite
    )
    return run_collect(prepared, known.workers, known.runner, beam_options)


if __name__ == "__main__":
    end_with(run, "pipelines.books")
