"""Wikipedia's articles as a plain Beam program, for clusters: its own options here, all others are the runner's.

    python -m pipelines.wikipedia gs://bucket/enwiki-20240501-pages-articles*.xml.bz2 --out gs://bucket/corpora \\
      --runner DataflowRunner --project ...
"""

import argparse
import sys
from typing import Optional, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from c4build.corpora.collect import collect
from c4build.corpora.recipes import prepare_wikipedia
from c4build.errors import C4BuildError


def run(argv: Optional[Sequence[str]] = None):
    """Makes the corpus that `argv` asks for and waits for the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dumps", nargs="+", metavar="DUMP", help="pages-articles dumps, globs or folders of them")
    parser.add_argument("--out", required=True, help="folder for the corpora")
    parser.add_argument("--rules", default="tfds", help="tfds | strict")
    parser.add_argument("--format", default="tfrecord", help="tfrecord | array_record | jsonl | parquet")
    parser.add_argument("--shards", type=int, help="training shards")
    parser.add_argument("--overwrite", action="store_true", help="replace a corpus of other inputs or rules")
    known, beam_options = parser.parse_known_args(argv)
    prepared = prepare_wikipedia(known.dumps, known.out, known.rules, known.format, known.shards, known.overwrite)
    if not prepared.complete:
        with beam.Pipeline(options=PipelineOptions(beam_options)) as pipeline:
            collect(pipeline, prepared.plan)
    print(prepared.plan.folder)


if __name__ == "__main__":
    try:
        run()
    except C4BuildError as error:
        sys.exit(f"pipelines.wikipedia: {error}")
