"""A minute of the fuzz targets of the compiled rules, with AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent.parent / "core" / "fuzz" / "run.sh"
CLANG = [name for folder in os.environ["PATH"].split(os.pathsep) for name in map(str, Path(folder).glob("clang++*"))]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not CLANG or not shutil.which("bash"), reason="there is no clang here, whose libFuzzer is needed")
def test_any_bytes_are_taken_without_an_access_out_of_bounds(tmp_path):
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(["bash", RUN, "20", tmp_path], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    targets = len(list(RUN.parent.glob("fuzz_*.cpp")))
    assert done.stderr.count("DONE") == targets > 0
