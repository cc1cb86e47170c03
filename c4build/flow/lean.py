"""Beam without what a run on this machine has no use for: half of its start-up time, and a third of its memory.

Some of it Beam does without where it is not installed: data frames, databases, and file systems of its own, of which c4build
has others (`read.stores`). The rest it imports always, but no job of c4build's calls it: that is loaded should it be called.
"""

import gc
import importlib
import importlib.util
import logging
import os
import pathlib
import re
import sys
from collections.abc import Sequence
from functools import wraps
from types import ModuleType

NEWEST_TRIED = (2, 77)  # of Beam
_UNUSED = (
    "absl",  # its flags, in pickled functions
    "apache_beam.io.aws.s3filesystem",
    "apache_beam.io.gcp.bigquery",
    "apache_beam.io.gcp.gcsfilesystem",
    "bson",  # for MongoDB
    "dill",
    "pandas",
)
MILLISECONDS = 20  # between two looks at how long each step takes
_UNCALLED = ("httplib2", "yaml")  # to fetch what a cluster is given, and for transforms in other languages


def import_beam(options: Sequence[str] = ()):
    """Imports Beam, unless it is there, as if what it can do without were not installed, but for what its `options` name; all
    of it where nobody has tried that Beam yet.

    To be called in processes of c4build's own only: PyArrow takes pandas for missing from then on.
    """
    if "apache_beam" in sys.modules:
        return
    collect_seldom()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here multiplies matrices, and a fork has no threads
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # its own keeps what is freed from all others
    tried = _version_of_beam() <= NEWEST_TRIED
    finder = _Without([name for name in _UNUSED if name not in " ".join(options)] if tried else ())
    stand_ins = {module.__name__: module for module in _stand_ins()} if tried else {}
    stand_ins = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(stand_ins)
    sys.meta_path.insert(0, finder)
    quiet, logging.root.manager.disable = logging.root.manager.disable, logging.CRITICAL  # it warns of what it lacks
    try:
        importlib.import_module("apache_beam")
        importlib.import_module("pyarrow").array([0])  # looks for pandas, once
    finally:
        sys.meta_path.remove(finder)
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        logging.root.manager.disable = quiet
    look_once_for_state()
    wait_briefly_for_times()


def collect_seldom():
    """What is loaded stays: to look for cycles in it again and again takes long."""
    gc.set_threshold(200_000, 50, 1000)


def look_once_for_state():
    """Beam looks for state and timers in every method of every step, eight times a step and more; here it looks once."""
    userstate = importlib.import_module("apache_beam.transforms.userstate")
    look = getattr(userstate, "get_dofn_specs", None)
    if look is None:
        return
    found: dict = {}

    @wraps(look)
    def look_once(step):
        # A step of one function is told from another by that alone.
        known = step if hasattr(step, "_inspect_process") else type(step)
        if known not in found:
            found[known] = look(step)
        return found[known]

    userstate.get_dofn_specs = look_once  # type: ignore[attr-defined]


def wait_briefly_for_times():
    """The end of a bundle waits for a thread that looks every 200 ms at how long each step takes; here it looks more often."""
    sampler = getattr(importlib.import_module("apache_beam.runners.worker.statesampler"), "StateSampler", None)
    if sampler is None:
        return
    begin = sampler.__init__

    @wraps(begin)
    def begin_briefly(self, prefix, counter_factory, sampling_period_ms=MILLISECONDS):
        begin(self, prefix, counter_factory, sampling_period_ms)

    sampler.__init__ = begin_briefly


def _version_of_beam() -> tuple[int, ...]:
    """Its first two numbers, without importing it; high ones where it does not say."""
    spec = importlib.util.find_spec("apache_beam")
    for folder in (spec and spec.submodule_search_locations) or ():
        if found := re.search(r"__version__ = .(\d+)\.(\d+)", pathlib.Path(folder, "version.py").read_text()):
            return tuple(map(int, found.groups()))
    return (sys.maxsize,)


class _Without:
    """Finds no modules of some names, and leaves all others to the finders behind it."""

    def __init__(self, names: Sequence[str]):
        self._names = frozenset(names)

    def find_spec(self, name: str, path=None, target=None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _stand_ins() -> list[ModuleType]:
    """Modules for Beam to import, which load those that they are named after when something of them is asked for."""
    door, roar = ModuleType("beartype.door"), ModuleType("beartype.roar")
    vars(door).update(is_subhint=_is_subhint)
    vars(roar).update(BeartypeDoorException=_NeverRaised)
    return [door, roar, *map(_StandIn, _UNCALLED)]


class _StandIn(ModuleType):
    def __getattr__(self, name: str):
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _is_subhint(subhint: object, superhint: object) -> bool:
    """What Beam asks beartype of types that it cannot compare by itself, and what it does where beartype cannot either."""
    from beartype.door import is_subhint
    from beartype.roar import BeartypeDoorException

    try:
        return is_subhint(subhint, superhint)  # type: ignore[arg-type]
    except BeartypeDoorException:
        return False


class _NeverRaised(Exception):
    """Stands for beartype's error, which `_is_subhint` answers itself."""
