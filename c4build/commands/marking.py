"""Other people's texts for the terminal: safe, with the places marked that tripped a rule."""

from collections.abc import Sequence

from rich.text import Text

from c4build.errors import visible
from c4build.rules.places import Place


def add_marked(said: Text, text: str, places: Sequence[Place], style: str, keep: str = ""):
    """Adds `text` in a style, its places bold and reversed; nothing of it can act on the terminal. `keep`: as `visible` has it."""
    at = 0
    for start, stop in places:
        said.append(visible(text[at:start], keep), style)
        said.append(visible(text[start:stop], keep), f"bold reverse {style}")
        at = stop
    said.append(visible(text[at:], keep), style)
