"""Damaged books: none ends or stalls a run, nothing is wrong without a word."""

import pytest
import readers
import reading
import trying
import wet_files
from book_damage import ENDING, KINDS

pytestmark = pytest.mark.timeout(1800)  # CPU time is what is looked at; others may have the processors


@pytest.fixture(scope="module", params=[100, pytest.param(len(KINDS), marks=pytest.mark.slow)])
def tried(request, tmp_path_factory):
    title = f"books, {request.param:,} files"
    return trying.try_all(title, tmp_path_factory.mktemp("books"), KINDS, request.param, ENDING, readers.book)


def test_no_damaged_book_ends_its_reading_or_stalls_it_or_fills_the_memory(tried, record_property):
    record_property("damaged files", {tried.title: reading.rows(tried.files, tried.readings)})
    reading.none(reading.failures(tried.files, tried.readings))


@pytest.mark.slow
def test_a_book_of_which_anything_is_lost_or_changed_is_named(tried):
    reading.none(reading.without_a_word(tried, readers.other_book))


def test_a_corpus_of_all_damaged_books_keeps_the_good_one_whole_and_names_the_others(tried, tmp_path):
    reading.none(reading.failures(tried.files, tried.readings))
    good = tmp_path / f"a-good{ENDING}"
    good.write_text("A Book of Its Own\n\n" + "\n\n".join(wet_files.sentences(70_000, 400)) + "\n")
    options = ["--format", "jsonl", "--workers", 1, "--least", 0]
    alone = trying.build("books", good, *options, out=tmp_path / "alone")
    built = trying.build("books", good, tried.folder, *options, out=tmp_path / "all", seconds=200)
    trying.check_build(tried, built, alone, "books")
