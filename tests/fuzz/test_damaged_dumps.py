"""Damaged dumps of MediaWiki: none ends or stalls a run, nothing is wrong without a word."""

import re

import pytest
import readers
import reading
import trying
from dump_damage import ENDING, FOREIGN, KINDS, holds_a_dump, packed, sample

pytestmark = pytest.mark.timeout(1800)  # CPU time is what is looked at; others may have the processors


@pytest.fixture(scope="module", params=[100, pytest.param(len(KINDS), marks=pytest.mark.slow)])
def tried(request, tmp_path_factory):
    title = f"dumps of MediaWiki, {request.param:,} files"
    return trying.try_all(title, tmp_path_factory.mktemp("dumps"), KINDS, request.param, ENDING, readers.dump)


@pytest.fixture
def good(tmp_path):
    """A dump whose pages no other has."""
    path = tmp_path / f"a-good{ENDING}"
    pages = [re.sub(r"<id>(\d+)</id>", r"<id>9\g<1>999</id>", page, count=1) for page in sample()[1][:20]]
    path.write_bytes(b"".join(packed(pages, "streams")))
    return path


def test_no_damaged_dump_ends_its_reading_or_stalls_it_or_fills_the_memory(tried, record_property):
    record_property("damaged files", {tried.title: reading.rows(tried.files, tried.readings)})
    reading.none(reading.failures(tried.files, tried.readings))


def test_every_page_of_a_dump_that_nothing_was_done_to_comes_through(tried):
    reading.none(reading.lost(tried.files, tried.readings))


def test_a_dump_of_which_anything_is_lost_or_changed_is_named(tried):
    reading.none(reading.without_a_word(tried, readers.other_dump))


@pytest.mark.slow
def test_a_corpus_of_all_damaged_dumps_keeps_the_good_one_whole_and_names_the_others(tried, good, tmp_path):
    reading.none(reading.failures(tried.files, tried.readings))
    # What holds nothing of a dump is told before any work: see below.
    chosen = [number for number, damaged in enumerate(tried.files) if holds_a_dump(damaged.made.data)]
    if len(tried.files) < len(KINDS):
        chosen = chosen[::4]
    assert len(chosen) > len(tried.files) // 8
    part = tried._replace(
        files=[tried.files[number] for number in chosen],
        paths=[tried.paths[number] for number in chosen],
        readings=[tried.readings[number] for number in chosen],
    )
    options = ["--format", "jsonl", "--workers", 1]
    alone = trying.build("wikipedia", good, *options, out=tmp_path / "alone")
    built = trying.build("wikipedia", good, *part.paths, *options, out=tmp_path / "all", seconds=200)
    trying.check_build(part, built, alone, "pages")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_no_dump_is_named_before_any_work(good, tmp_path, name):
    path = tmp_path / "damaged.xml"
    path.write_bytes(FOREIGN[name])
    built = trying.build("wikipedia", good, path, "--format", "jsonl", "--workers", 1, out=tmp_path / "out")
    (line,) = built.done.error_lines
    assert built.done.code == 2 and str(path) in line
    assert not built.rows and not built.summary
