"""C4 as a Beam program for clusters: `c4build build`; options that it has not are the runner's.

python -m pipelines.c4 gs://bucket/wet.paths.gz --out gs://bucket/c4 --runner DataflowRunner --project ...
"""

from c4build.commands.commandline import beam_program
from c4build.commands.main import build, end_with

run = beam_program(build, "pipelines.c4")

if __name__ == "__main__":
    end_with(run, "pipelines.c4")
