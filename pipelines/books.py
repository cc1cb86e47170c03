"""A corpus of books as a plain Beam program, for clusters: its own options here, all others are the runner's.

    python -m pipelines.books gs://bucket/books/*.txt --out gs://bucket/corpora --runner DataflowRunner --project ...
"""

import argparse
import sys
from typing import Optional, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from c4build.corpora.collect import collect
from c4build.corpora.recipes import prepare_books
from c4build.errors import C4BuildError


def run(argv: Optional[Sequence[str]] = None):
    """Makes the corpus that `argv` asks for and waits for the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="books (.txt, .epub), globs or folders of them")
    parser.add_argument("--out", required=True, help="folder for the corpora")
    parser.add_argument("--chapters", action="store_true", help="one example a chapter instead of one a book")
    parser.add_argument("--language", default="en", help="keep books in this language; any keeps all")
    parser.add_argument("--least", type=float, default=0.99, help="langdetect's probability of that language, at least")
    parser.add_argument("--format", default="tfrecord", help="tfrecord | array_record | jsonl | parquet")
    parser.add_argument("--shards", type=int, help="training shards")
    parser.add_argument("--overwrite", action="store_true", help="replace a corpus of other inputs or rules")
    known, beam_options = parser.parse_known_args(argv)
    prepared = prepare_books(
        known.paths, known.out, known.chapters, known.language, known.least, known.format, known.shards, known.overwrite
    )
    if not prepared.complete:
        with beam.Pipeline(options=PipelineOptions(beam_options)) as pipeline:
            collect(pipeline, prepared.plan)
    print(prepared.plan.folder)


if __name__ == "__main__":
    try:
        run()
    except C4BuildError as error:
        sys.exit(f"pipelines.books: {error}")
