"""The compiled rules, `c4build._core`, where a compiler was at hand at installation.

`C4BUILD_PURE_PYTHON=1` in the environment leaves them out: the same output, more slowly.
"""

import importlib
import os
from typing import Any

from c4build.errors import printable


def _compiled() -> tuple[Any, str]:
    """The module, or None and why."""
    if os.environ.get("C4BUILD_PURE_PYTHON"):
        return None, "c4build._core is left out, as C4BUILD_PURE_PYTHON is set"
    try:
        return importlib.import_module("c4build._core"), ""
    except ModuleNotFoundError:
        return None, "c4build._core is not installed, as there was no compiler"
    except ImportError as error:
        return None, f"c4build._core cannot be loaded ({printable(str(error))})"


core, missing = _compiled()
SLOW = "the rules run in Python, which gives the same output and takes several times as long"
