"""What the tests share: a small set of inputs, made once; and the real data, where it is at hand."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# An ordinary run takes the same examples each time; `pytest --hypothesis-profile=explore` looks for new ones.
# No deadline: the processors may be busy with other tests.
settings.register_profile("explore", deadline=None)
settings.register_profile("c4build", deadline=None, derandomize=True)
settings.load_profile("c4build")

ROOT = Path(__file__).resolve().parent.parent
# Test data that is no part of the project.
SHARED = ROOT.parent / "shared"
sys.path[:0] = [str(ROOT / "tests" / "parity")]


def pytest_xdist_auto_num_workers(config) -> int:
    """One more than there are processors: many tests wait for processes that they have started."""
    return min(4, (os.cpu_count() or 1) + 1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test data."""
    if not SHARED.is_dir():
        pytest.skip("the real test data is not at hand")
    return SHARED


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """Small inputs for all variants, and the lists that go with them: a `builds.Sources`."""
    from builds import make_sources

    return make_sources(tmp_path_factory.mktemp("sources"))
