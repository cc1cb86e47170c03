"""A corpus of books as a Beam program for clusters: `c4build books`; options that it has not are the runner's.

python -m pipelines.books gs://bucket/books/*.txt --out gs://bucket/corpora --runner DataflowRunner --project ...
"""

from c4build.commands.commandline import beam_program
from c4build.commands.corpora import books
from c4build.commands.main import end_with

run = beam_program(books, "pipelines.books")

if __name__ == "__main__":
    end_with(run, "pipelines.books")
