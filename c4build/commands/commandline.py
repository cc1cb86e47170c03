"""What the commands have in common: exit codes, what Beam is told, how many processes there can be."""

import os
import sys

DAMAGED, WRONG, FAILED, INTERRUPTED = 1, 2, 3, 130


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first -- of the command line."""
    line = sys.argv
    if "--" not in line:
        return arguments, []
    after = line[line.index("--") + 1 :]
    return arguments[: len(arguments) - len(after)], after


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
