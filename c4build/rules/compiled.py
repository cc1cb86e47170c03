"""The compiled rules, `c4build._core`, where a compiler was at hand at installation.

`C4BUILD_PURE_PYTHON=1` in the environment leaves them out: the same output, more slowly.
"""

import importlib
import os
from functools import lru_cache
from typing import Any

from punkt.data import english

SLOW = (
    "c4build._core is not installed, as there was no compiler: the rules run in Python, which gives the same output and takes "
    "several times as long"
)


def _compiled() -> Any:
    if os.environ.get("C4BUILD_PURE_PYTHON"):
        return None
    try:
        return importlib.import_module("c4build._core")
    except ImportError:
        return None


core = _compiled()


@lru_cache(maxsize=1)
def punkt():
    """The compiled Punkt with NLTK's English parameters; None without compiled rules."""
    if core is None:
        return None
    return core.Punkt(
        list(english.ABBREV_TYPES),
        [tuple(pair) for pair in english.COLLOCATIONS],
        list(english.SENT_STARTERS),
        dict(english.ORTHO_CONTEXT),
    )
