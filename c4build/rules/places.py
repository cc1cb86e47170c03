"""Where in a text a rule saw what tripped it. For people who ask why: a build asks only whether."""

import re
from collections.abc import Collection
from typing import NamedTuple

Place = tuple[int, int]  # from, to: in code points of the text


class Seen(NamedTuple):
    """What tripped a rule."""

    places: list[Place]
    remark: str = ""  # what no place can show, in words


def places_of(text: str, phrases: Collection[str]) -> list[Place]:
    """Where one of `phrases` stands in the lower case of `text`, in order; of two that overlap, the first."""
    phrases = sorted(filter(None, phrases), key=len, reverse=True)
    if not phrases:
        return []
    lower, at = lowered(text)
    return [(at[found.start()], at[found.end()]) for found in re.finditer("|".join(map(re.escape, phrases)), lower)]


def lowered(text: str) -> tuple[str, list[int] | range]:
    """The lower case of `text`, and for each place in it, its end too, the place in `text`: a character may become two."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower, range(len(text) + 1)
    places = [index for index, char in enumerate(text) for _ in char.lower()]
    return lower, [*places, len(text)]
