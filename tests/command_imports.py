"""What `command` has imported before it forks: all that a command needs, which takes longer than a small build."""

import tensorflow_datasets.core.dataset_info  # noqa: F401

import c4build.commands.main
import c4build.commands.terminal  # noqa: F401
from c4build.rules.language import language_test

language_test("en", 0.99)
