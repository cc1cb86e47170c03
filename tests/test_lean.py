"""A command loads Beam without what it has no use for, and does not mind where a Beam does need it."""

import subprocess
import sys

import apache_beam as beam
import pytest
from apache_beam.transforms import userstate
from apache_beam.transforms.userstate import BagStateSpec

from c4build.compiled import core
from c4build.flow import lean

_HEAVY = ("pandas", "boto3", "google.cloud.storage", "pymongo", "requests", "tldextract", "smart_open")
# What a build does without until it cleans its first page, of its own modules and of others'.
_LATER = (
    "c4build.commands.terminal", "c4build.report", "langdetect_rs", "punkt", "pyarrow.compute", "rich",
    "tensorflow_datasets",
)  # fmt: skip
# What Beam imports and no job of c4build's calls, and what that brings along.
_UNCALLED = ("absl", "beartype", "dill", "httplib2", "pyparsing", "unittest", "yaml")


@pytest.mark.skipif(core is None, reason="the rules in Python ask langdetect_rs, which takes 3 ms to load")
def test_the_first_page_waits_for_no_module_that_is_needed_later(sources, tmp_path):
    command = ["build", sources.wet[0], "--out", str(tmp_path / "out"), "--workers", "1"]
    code = f"""
import sys
there = set()
def look(event, arguments):
    if event == "open" and str(arguments[0]) == {sources.wet[0]!r}:  # the last to open it is the step Clean
        there.clear()
        there.update(name for name, module in sys.modules.items() if module is not None)
sys.addaudithook(look)
from c4build.commands import run_progress
run_progress._UNSEEN = 60  # on a slow machine the page comes later than what shows how far the run is
from c4build.commands.main import app
assert not app({command!r}, standalone_mode=False)
print("early:", *sorted(there & {{*{_HEAVY!r}, *{_LATER!r}, *{_UNCALLED!r}}}))
print("uncalled:", *[name for name in ("beartype", "httplib2", "pyarrow.compute") if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["early:", "uncalled:"]


def test_what_beam_loads_when_it_is_called_is_what_it_would_have_imported():
    code = """
import sys
from c4build.flow.lean import import_beam
import_beam()
stand_ins = ("beartype", "beartype.door", "beartype.roar", "httplib2", "yaml")
assert not [name for name in stand_ins if name in sys.modules]
from collections.abc import Callable, Sequence
from apache_beam.internal import http_client
from apache_beam.transforms import external, managed
from apache_beam.typehints import typehints
asked = [(bool, int), (int, str), (list[bool], Sequence[int]), (Callable[[int], int], Callable), (0, 1), ("no", "hint")]
told = [typehints.is_consistent_with(*types, True) for types in asked]
import beartype.door, httplib2, yaml
assert type(http_client.get_new_http()) is httplib2.Http
assert external.yaml.dump is yaml.dump is managed.yaml.dump and sys.modules["yaml"] is yaml is not external.yaml
typehints.is_subhint, typehints.BeartypeDoorException = beartype.door.is_subhint, beartype.roar.BeartypeDoorException
assert told == [typehints.is_consistent_with(*types, True) for types in asked] and {*told} == {True, False}
try:
    beartype.door.is_subhint(0, 1)
except beartype.roar.BeartypeDoorException:
    print("no hint")"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "no hint\n")


def test_what_is_loaded_before_beam_is_what_beam_gets():
    code = """
import beartype.door, httplib2, yaml
from c4build.flow.lean import import_beam
import_beam()
from apache_beam.internal import http_client
from apache_beam.transforms import external
from apache_beam.typehints import typehints
assert typehints.is_subhint is beartype.door.is_subhint
assert http_client.httplib2 is httplib2 and external.yaml is yaml"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_an_option_for_beam_names_is_not_left_out():
    code = """
from c4build.flow.lean import import_beam
import_beam(["--pickle_library", "dill"])
from apache_beam.internal import pickler
assert pickler.dill_pickler is not None"""
    subprocess.run([sys.executable, "-c", code], check=True)


def loaded_after(code: str) -> list[str]:
    """Which modules that are installed, and are not needed, a new Python has loaded when `code` has run."""
    end = f"\nimport sys; print('loaded:', *[name for name in {_HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + end], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.rpartition("loaded:")[2].split()


def test_a_build_loads_nothing_that_it_does_not_need_to_read_its_first_page(sources, tmp_path):
    code = f"""
import c4build.commands.main
from c4build.commands.corpora import check
check(2, None)
from c4build.corpora.c4 import Request, prepare
from c4build.flow import local
from c4build.flow.clean import Cleaner
prepared = prepare(Request({sources.wet[:1]!r}, {str(tmp_path)!r}, bad_words={sources.bad_words!r}))
Cleaner(prepared.plan.finish.clean)"""
    assert loaded_after(code) == []


def test_what_beam_was_loaded_without_can_be_loaded_later():
    code = """
from c4build.flow.lean import import_beam
import_beam()
import pandas, boto3, google.cloud.storage, pymongo
from apache_beam.io.gcp.gcsfilesystem import GCSFileSystem"""
    assert {"pandas", "boto3", "google.cloud.storage", "pymongo"} <= set(loaded_after(code))


def test_a_beam_that_nobody_has_tried_is_loaded_whole():
    code = """
from c4build.compiled import core
from c4build.flow import lean
lean.NEWEST_TRIED = (2, 68)
lean.import_beam()"""
    assert {"pandas", "boto3", "google.cloud.storage", "pymongo"} <= set(loaded_after(code))


def test_the_beam_that_is_installed_has_been_tried():
    installed = tuple(map(int, beam.__version__.split(".")[:2]))
    assert installed <= lean.NEWEST_TRIED, "see that it does without what `lean` leaves out, then raise NEWEST_TRIED"


def test_the_end_of_a_bundle_waits_only_briefly_for_what_tells_times():
    code = """
from c4build.flow.lean import import_beam
import_beam()
from apache_beam.runners.worker.bundle_processor import statesampler
from apache_beam.utils.counters import CounterFactory
print("loaded:", *[statesampler.StateSampler("a", CounterFactory(), *more).sampling_period_ms for more in ((), (7,))])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["loaded:", str(lean.MILLISECONDS), "7"], done.stderr  # Beam's own: 200


class WithState(beam.DoFn):
    def process(self, element, state=beam.DoFn.StateParam(BagStateSpec("seen", beam.coders.BytesCoder()))):
        yield element


def one(element, state=beam.DoFn.StateParam(BagStateSpec("one", beam.coders.BytesCoder()))):
    return element


@pytest.mark.parametrize("made", [WithState, beam.DoFn, lambda: beam.Map(one).fn, lambda: beam.Map(repr).fn])
def test_what_is_known_of_a_step_is_what_beam_finds(made, monkeypatch):
    look = getattr(userstate.get_dofn_specs, "__wrapped__", userstate.get_dofn_specs)
    monkeypatch.setattr(userstate, "get_dofn_specs", look)
    lean.look_once_for_state()
    steps = [made(), made()]
    assert userstate.get_dofn_specs is not look
    for step in steps * 2:
        states, timers = userstate.get_dofn_specs(step)
        assert (sorted(state.name for state in states), timers) == (
            sorted(state.name for state in look(step)[0]),
            set(),
        )
