"""Wikipedia's articles as a Beam program for clusters: `c4build wikipedia`; options that it has not are the runner's.

    python -m pipelines.wikipedia gs://bucket/enwiki-20240501-pages-articles*.xml.bz2 --out gs://bucket/corpora \\
      --runner DataflowRunner --project ...
"""

from c4build.commands.commandline import beam_program
from c4build.commands.corpora import wikipedia
from c4build.commands.main import end_with

run = beam_program(wikipedia, "pipelines.wikipedia")

if __name__ == "__main__":
    end_with(run, "pipelines.wikipedia")
