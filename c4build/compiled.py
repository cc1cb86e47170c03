"""The compiled rules, `c4build._core`, where a compiler was at hand at installation.

`C4BUILD_PURE_PYTHON=1` in the environment leaves them out: the same output, more slowly.
"""

import importlib
import os
from typing import Any

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
