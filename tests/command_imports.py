"""What `command` has imported before it forks: all that a command needs, which takes longer than a small build. The command
itself imports most of it late, for the sake of its help, so that each is named here."""

import gc
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as a command has it, so that it has no threads when it forks its workers

import apache_beam.runners.direct.direct_runner  # noqa: F401
import boto3  # noqa: F401
import tensorflow_datasets.core.dataset_info  # noqa: F401
from typer.testing import CliRunner

import c4build.commands.main
import c4build.commands.terminal
import c4build.corpora.books
import c4build.corpora.c4
import c4build.corpora.wikipedia
import c4build.flow.local
import c4build.sample.resources
from c4build.rules.language import language_test

language_test("en", 0.99)
CliRunner().invoke(c4build.commands.main.app, ["status"])  # typer imports late too
gc.freeze()  # collections in the processes that are forked pass over all this
