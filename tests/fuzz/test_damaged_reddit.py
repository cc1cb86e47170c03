"""Damaged dumps of Reddit's submissions: none ends or stalls a run, nothing is wrong without a word."""

import pytest
import readers
import reading
import trying
from reddit_damage import ENDING, KINDS, dumped, post, zstd

pytestmark = pytest.mark.timeout(1800)  # CPU time is what is looked at; others may have the processors


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    title = f"submissions to Reddit, {len(KINDS):,} files"
    return trying.try_all(title, tmp_path_factory.mktemp("reddit"), KINDS, len(KINDS), ENDING, readers.reddit)


def test_no_damaged_file_of_submissions_ends_its_reading_or_stalls_it_or_fills_the_memory(tried, record_property):
    record_property("damaged files", {tried.title: reading.rows(tried.files, tried.readings)})
    reading.none(reading.failures(tried.files, tried.readings))


def test_every_submission_that_nothing_was_done_to_comes_through(tried):
    reading.none(reading.lost(tried.files, tried.readings))


@pytest.mark.slow
def test_a_file_of_submissions_of_which_anything_is_lost_or_changed_is_named(tried):
    reading.none(reading.without_a_word(tried, readers.other_reddit))


def test_a_list_of_all_damaged_files_keeps_the_good_one_whole_and_names_the_others(tried, tmp_path):
    reading.none(reading.failures(tried.files, tried.readings))
    good = tmp_path / f"a-good{ENDING}"
    good.write_bytes(zstd(b"".join(dumped([post(n, url=f"http://good.example.org/{n}") for n in range(200)]))))
    alone = trying.build("webtext-urls", good, "--workers", 1, out=tmp_path / "alone" / "urls.txt.gz")
    built = trying.build(
        "webtext-urls", good, tried.folder, "--workers", 1, out=tmp_path / "all" / "urls.txt.gz", seconds=200
    )
    trying.check_build(tried, built, alone, "submissions")
