"""Damaged WET files, a hundred and (slow) a thousand: none ends or stalls a run, nothing is wrong without a word."""

from functools import partial

import pytest
import readers
import reading
import trying
import wet_files
from wet_damage import ENDING, KINDS

pytestmark = pytest.mark.timeout(3600)  # CPU time is what is looked at; others may have the processors


@pytest.fixture(scope="module", params=["paper", "c4-3.1.0"])
def rules(request):
    return request.param


@pytest.fixture(
    scope="module", params=[100, *(pytest.param(count, marks=pytest.mark.slow) for count in (len(KINDS), 1000))]
)
def tried(request, rules, tmp_path_factory):
    title = f"WET, {request.param:,} files, rules {rules}"
    return trying.try_all(
        title, tmp_path_factory.mktemp("wet"), KINDS, request.param, ENDING, partial(readers.wet, rules)
    )


def test_no_damaged_file_ends_its_reading_or_stalls_it_or_fills_the_memory(tried, record_property):
    record_property("damaged files", {tried.title: reading.rows(tried.files, tried.readings)})
    reading.none(reading.failures(tried.files, tried.readings))


def test_every_page_that_nothing_was_done_to_comes_through(tried):
    reading.none(reading.lost(tried.files, tried.readings))


def test_a_file_of_which_anything_is_lost_or_changed_is_named(tried, rules):
    reading.none(reading.without_a_word(tried, readers.other_wet if rules == "paper" else readers.other_tfds))


def test_a_build_of_them_all_keeps_the_good_file_whole_and_names_the_others(tried, rules, tmp_path):
    reading.none(reading.failures(tried.files, tried.readings))
    good = wet_files.write_wet(tmp_path / f"a-good{ENDING}", wet_files.pages(50_000, 30, "good.example.org"))
    options = ["--rules", rules, "--format", "jsonl", "--workers", 1, "--variants", "en,en.noclean"]
    alone = trying.build("build", good, *options, out=tmp_path / "alone")
    seconds = 60 + len(tried.files)
    built = trying.build("build", good, tried.folder, *options, out=tmp_path / "all", seconds=seconds)
    trying.check_build(tried, built, alone, "pages")
