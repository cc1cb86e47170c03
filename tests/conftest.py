"""What all tests share: where the real data lies, where it is at hand."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "parity")]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of real test data, which is no part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the real test data is not at hand")
    return SHARED
