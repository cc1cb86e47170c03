"""A command loads Beam without what it has no use for, and does not mind where a Beam does need it."""

import subprocess
import sys

import apache_beam as beam
import pytest
from apache_beam.transforms import userstate
from apache_beam.transforms.userstate import BagStateSpec

from c4build.flow import lean

_HEAVY = ("pandas", "boto3", "google.cloud.storage", "pymongo", "requests", "tldextract", "smart_open")


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
from c4build.flow import lean
lean.NEWEST_TRIED = (2, 68)
lean.import_beam()"""
    assert {"pandas", "boto3", "google.cloud.storage", "pymongo"} <= set(loaded_after(code))


def test_the_beam_that_is_installed_has_been_tried():
    installed = tuple(map(int, beam.__version__.split(".")[:2]))
    assert installed <= lean.NEWEST_TRIED, "see that it does without what `lean` leaves out, then raise NEWEST_TRIED"


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
