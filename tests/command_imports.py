"""What `command` has imported before it forks: all that a command needs, which takes longer than a small build."""

import tensorflow_datasets.core.dataset_info  # noqa: F401

import c4build.cli
import c4build.run
import c4build.terminal  # noqa: F401
from c4build.filters.language import language_test

language_test("en", 0.99)
