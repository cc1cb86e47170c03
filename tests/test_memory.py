import ctypes
import subprocess
import sys

import pytest

FREED_AND_WANTED_AGAIN = """
import resource, sys
from c4build.memory import set_malloc
if sys.argv[1] == "kept":
    set_malloc(mmap_threshold=1 << 25, trim_threshold=1 << 26)
for turn in range(12):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytearray(b"x") * size for size in (5 << 20, 5 << 20, 5 << 20, 5 << 20)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="another libc")
def test_memory_that_is_freed_and_wanted_again_is_not_cleared_by_the_system():
    new, kept = (
        int(subprocess.run([sys.executable, "-c", FREED_AND_WANTED_AGAIN, way], check=True, capture_output=True).stdout)
        for way in ("new", "kept")
    )
    assert kept < 100 < 1000 < new
