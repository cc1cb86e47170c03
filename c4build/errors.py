"""What can go wrong in a way that a person can mend, and what else a person is told: a line, safe to print."""

import sys
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

_KINDS = {"Cc": "control character", "Cs": "surrogate", "Co": "character of private use"}


class C4BuildError(Exception):
    """Its text names the file or the option, and what to do."""


class UsageError(C4BuildError):
    """The command was wrong: exit code 2."""


class DamageError(C4BuildError):
    """An input cannot be read on from here: exit code 1."""


class MissingInputsError(DamageError):
    """Inputs could not be fetched; the next run may get them: exit code 1."""


class OutputError(C4BuildError):
    """The output could not be written."""


class CorruptFileError(C4BuildError):
    """A file that c4build wrote holds something else by now."""


class InUseError(C4BuildError):
    """Another process writes to the folder."""


class NothingReadError(C4BuildError):
    """No page came of all the inputs."""


class WorkerError(C4BuildError):
    """A worker process of this machine has died."""


class CountsError(C4BuildError):
    """Pages in are not pages out: an internal error of c4build."""


def printable(text: str, most: int = 300) -> str:
    """The text on one line, so long at most, with whatever a terminal would act on or not show written out."""
    return visible(text if len(text) <= most else text[: most - 3] + "...")


def visible(text: str, keep: str = "") -> str:
    """`text` without what a terminal could take for a command: characters that cannot be seen are written as escapes.

    Names and texts of inputs are other people's. `keep` are characters that stay, such as line ends in a text.
    """
    if text.isprintable():
        return text
    return "".join(part if sign is None else _escaped(part) for part, sign in signs(text, keep))


class Sign(NamedTuple):
    """What stands for a character that cannot be seen."""

    code: str  # U+202E
    name: str  # RIGHT-TO-LEFT OVERRIDE


def signs(text: str, keep: str = "") -> Iterator[tuple[str, Sign | None]]:
    """`text` in pieces: what can be seen with None, and by itself each character that cannot, with its sign."""
    for seen, part in groupby(text, lambda char: char in keep or _can_be_seen(char)):
        if seen:
            yield "".join(part), None
        else:
            for char in part:
                yield char, Sign(f"U+{ord(char):04X}", _name(char))


def _name(char: str) -> str:
    return unicodedata.name(char, "") or _KINDS.get(unicodedata.category(char), "unassigned character")


def _can_be_seen(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"  # spaces of any width


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def say(line: str):
    """Tells the person something on the way, on standard error."""
    print(visible(f"c4build: {line}"), file=sys.stderr, flush=True)


def counted(count: int, plural: str) -> str:
    """1, "inputs" -> "1 input"; 2,000, "inputs" -> "2,000 inputs"."""
    return f"{count:,} {plural.removesuffix('s') if count == 1 else plural}"
