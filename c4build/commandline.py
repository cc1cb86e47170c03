"""What the commands have in common: exit codes, what Beam is told, how many processes there can be, what may be printed."""

import os
import sys
import unicodedata

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


def counted(count: int, plural: str) -> str:
    """1, "inputs" -> "1 input"; 2,000, "inputs" -> "2,000 inputs"."""
    return f"{count:,} {plural.removesuffix('s') if count == 1 else plural}"


def visible(text: str, keep: str = "") -> str:
    """`text` without what a terminal could take for a command: characters that cannot be seen are written as escapes.

    Names and texts of inputs are other people's. `keep` are characters that stay, such as line ends in a text.
    """
    if text.isprintable():
        return text
    return "".join(char if char in keep or _can_be_seen(char) else _escaped(char) for char in text)


def _can_be_seen(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"  # spaces of any width


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
