"""`c4build build` for a Flex Template's launcher, which knows options only: --inputs=A,B in place of words.

The launcher asks for a template, so that the job is handed over and not waited for.
"""

import sys

from c4build.commands.commandline import beam_program
from c4build.commands.main import build, end_with

_INPUTS = "--inputs="


def run() -> int:
    words = sys.argv[1:]
    inputs = [path for word in words if word.startswith(_INPUTS) for path in word.removeprefix(_INPUTS).split(",")]
    options = [word for word in words if not word.startswith(_INPUTS)]
    return beam_program(build, "flex")([*inputs, *options])


if __name__ == "__main__":
    end_with(run, "flex")
