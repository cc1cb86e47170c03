"""How the C library hands out memory, where it is glibc: a process that works on one file after another gets the same again.

By itself glibc gives what is freed back to the system above some size, which changes with what was freed before, and gets
it anew, filled with zeros page by page.
"""

import ctypes
import sys

_PARAMETERS = {"trim_threshold": -1, "mmap_threshold": -3, "mmap_max": -4, "arena_max": -8}  # numbers of <malloc.h>


def set_malloc(**values: int) -> None:
    """Sets parameters of this process' malloc, by their names in mallopt(3) in lower case, without M_."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    for name, value in values.items():
        mallopt(_PARAMETERS[name], value)
