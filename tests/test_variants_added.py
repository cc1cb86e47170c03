"""A folder that holds a corpus, and another command: what can be added is added, what differs is named, old and new."""

import os
import re
from pathlib import Path

import pytest
import wet_files
from command import run_command
from corpus_folders import (
    assert_same,
    complete_folders,
    corpus_files,
    counts,
    differences,
    make,
    manifest,
    page_files,
    said_to_be_there,
    stamps,
    tree,
    write_library,
)

VERSIONS = {"paper": "1.0.0", "c4-3.1.0": "3.1.0"}
RULES = ["paper", pytest.param("c4-3.1.0", marks=pytest.mark.slow)]


def build(sources, variants: str, *more, inputs=None) -> list:
    lists = ["--badwords", sources.bad_words, "--realnews-domains", sources.domains, "--webtext-urls", sources.urls]
    return ["build", *(inputs or sources.wet), *lists, "--shards", 2, "--variants", variants, *more]


@pytest.fixture(scope="module")
def wholes(sources, tmp_path_factory):
    """Fresh builds, made once each."""
    made = {}

    def whole(*arguments):
        key = tuple(map(str, arguments))
        if key not in made:
            made[key] = make(list(arguments), tmp_path_factory.mktemp("fresh") / "out")
        return made[key]

    return whole


def page_file_stamps(out) -> dict[str, tuple[int, int]]:
    found = {str(path.relative_to(Path(out, ".c4build"))) for path in page_files(out)}
    return {path: stamp for path, stamp in stamps(Path(out, ".c4build")).items() if path in found}


def assert_same_but_lines(out, wanted):
    """Lines are counted as they are read, for whatever variants they are read for; samples name their inputs, which are others."""
    assert_same(out, wanted, but="lines", but_files="samples.jsonl")


def copy_inputs(sources, folder: Path) -> list[str]:
    """Copies that may be spoilt."""
    folder.mkdir()
    copies = []
    for path in sources.wet:
        copies.append(str(folder / Path(path).name))
        Path(copies[-1]).write_bytes(Path(path).read_bytes())
    return copies


def spoil_without_a_trace(path: str):
    """Overwrites the second half of a file; its size and its time stay: whoever reads it again gets damage."""
    status = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(status.st_size // 2)
        file.write(b"\0" * (status.st_size - status.st_size // 2))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# Variants that the page files are enough for


@pytest.mark.parametrize(
    "rules, before, added",
    [
        pytest.param("paper", "en", "webtextlike", marks=pytest.mark.slow),
        ("c4-3.1.0", "en", "webtextlike"),
        ("c4-3.1.0", "en", "en.noblocklist"),
        pytest.param("paper", "en,en.noclean", "webtextlike", marks=pytest.mark.slow),
    ],
)
def test_a_variant_is_added_without_reading_an_input_again(sources, wholes, tmp_path, rules, before, added):
    out, inputs = tmp_path / "out", copy_inputs(sources, tmp_path / "inputs")
    wanted = wholes(*build(sources, f"{before},{added}", "--rules", rules))
    done = run_command(*build(sources, before, "--rules", rules, inputs=inputs), "--out", out, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    old, pages = stamps(out / "c4"), page_file_stamps(out)
    assert len(pages) == 3
    for path in inputs:
        spoil_without_a_trace(path)
    both = build(sources, f"{before},{added}", "--rules", rules, inputs=inputs)
    done = run_command(*both, "--out", out, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert said_to_be_there(done) == set(before.split(","))
    assert len(done.error_lines) <= len(before.split(",")) and "read again" not in done.err
    assert page_file_stamps(out) == pages
    assert old.items() <= stamps(out / "c4").items(), "what was there was touched"
    assert_same_but_lines(out, wanted)
    # Then both are there, and nothing is left to be done.
    again, when = run_command(*both, "--out", out, "--workers", 1), stamps(out / "c4")
    assert again.code == 0 and "nothing was done" in again.out
    assert stamps(out / "c4") == when


@pytest.mark.parametrize("rules", RULES)
def test_a_variant_asked_for_alone_is_added_beside_the_others(sources, wholes, tmp_path, rules):
    assert run_command(*build(sources, "en", "--rules", rules), "--out", tmp_path, "--workers", 1).code == 0
    pages = page_file_stamps(tmp_path)
    done = run_command(*build(sources, "webtextlike", "--rules", rules), "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, []), done.err[-500:]
    assert page_file_stamps(tmp_path) == pages
    assert_same_but_lines(tmp_path, wholes(*build(sources, "en,webtextlike", "--rules", rules)))


@pytest.mark.parametrize("rules", RULES[:1])
def test_fewer_variants_than_are_there_are_there(sources, tmp_path, rules):
    assert run_command(*build(sources, "en,webtextlike", "--rules", rules), "--out", tmp_path, "--workers", 1).code == 0
    before = stamps(tmp_path / "c4")
    done = run_command(*build(sources, "webtextlike", "--rules", rules), "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, []), done.err[-500:]
    assert "nothing was done" in done.out
    assert stamps(tmp_path / "c4") == before


# Variants that need more


def said_of_reading(done) -> list[str]:
    return [line for line in done.error_lines if "read again" in line]


@pytest.mark.parametrize("rules", RULES)
def test_a_variant_of_raw_text_reads_the_inputs_again_and_says_so(sources, wholes, tmp_path, rules):
    assert run_command(*build(sources, "en", "--rules", rules), "--out", tmp_path, "--workers", 1).code == 0
    old = stamps(tmp_path / "c4")
    done = run_command(*build(sources, "en,en.noclean", "--rules", rules), "--out", tmp_path, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    (line,) = said_of_reading(done)
    assert line.startswith("c4build: ") and re.search(r"\b3 inputs are read again\b", line)
    assert re.search("lacks? the (raw )?text", line), "why"
    assert said_to_be_there(done) == {"en"} and len(done.error_lines) == 2
    assert old.items() <= stamps(tmp_path / "c4").items(), "what was there was touched"
    assert_same_but_lines(tmp_path, wholes(*build(sources, "en,en.noclean", "--rules", rules)))


def test_that_inputs_are_read_again_is_said_before_it_begins(sources, tmp_path):
    """No page file can be written here, so all that is said is said before the first is done."""
    arguments = build(sources, "en")
    assert run_command(*arguments, "--out", tmp_path, "--workers", 1).code == 0
    done = run_command(*build(sources, "en,en.noclean"), "--out", tmp_path, "--workers", 1, largest_file=20_000)
    assert done.code == 3 and len(said_of_reading(done)) == 1, done.err[-500:]
    done = run_command(*arguments, "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])


def test_one_input_whose_page_file_is_gone_is_read_again_and_the_others_are_not(sources, wholes, tmp_path):
    assert run_command(*build(sources, "en"), "--out", tmp_path, "--workers", 1).code == 0
    pages = page_file_stamps(tmp_path)
    gone = min(pages)
    (tmp_path / ".c4build" / gone).unlink()
    done = run_command(*build(sources, "en,webtextlike"), "--out", tmp_path, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    now = page_file_stamps(tmp_path)
    assert {path: stamp for path, stamp in pages.items() if path != gone}.items() <= now.items() and set(now) == set(
        pages
    )
    assert_same_but_lines(tmp_path, wholes(*build(sources, "en,webtextlike")))


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES)
def test_variants_added_one_by_one_are_those_made_together(sources, wholes, tmp_path, rules):
    names = ["en", "webtextlike", "en.noblocklist", "en.noclean", "realnewslike"]
    for number in range(1, len(names) + 1):
        done = run_command(
            *build(sources, ",".join(names[:number]), "--rules", rules), "--out", tmp_path, "--workers", 1
        )
        assert done.code == 0, done.err[-500:]
        assert said_to_be_there(done) == set(names[: number - 1])
    assert_same_but_lines(tmp_path, wholes(*build(sources, ",".join(names), "--rules", rules)))


def test_variants_that_are_there_and_rotten_are_not_there(sources, wholes, tmp_path):
    assert run_command(*build(sources, "en"), "--out", tmp_path, "--workers", 1).code == 0
    shard = tmp_path / "c4/en/1.0.0/c4-train.tfrecord-00001-of-00002"
    shard.unlink()
    done = run_command(*build(sources, "en,webtextlike"), "--out", tmp_path, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert any(line.startswith("c4build: made again: ") and shard.name in line for line in done.error_lines)
    assert_same_but_lines(tmp_path, wholes(*build(sources, "en,webtextlike")))


# What cannot be added


def refusal(arguments, out, folder: Path) -> str:
    """The one line of a command that is refused; nothing in the folder has changed."""
    before, when = tree(folder), stamps(folder)
    done = run_command(*arguments, "--out", out, "--workers", 1)
    assert (done.code, len(done.error_lines)) == (2, 1), done.err[-500:]
    (line,) = done.error_lines
    assert line.startswith("c4build: ") and str(folder) in line and "--overwrite" in line
    assert "made of other inputs or by other rules" not in line
    assert (tree(folder), stamps(folder)) == (before, when)
    return line


@pytest.fixture(scope="module")
def finished(sources, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    done = run_command(
        *build(sources, "en", "--set", "name=own", "--set", "version=1.0.0"), "--out", out, "--workers", 1
    )
    assert done.code == 0, done.err[-500:]
    return out


SAME = ("--set", "name=own", "--set", "version=1.0.0")
DIFFERENT = {
    "the format": (["--format", "jsonl"], ["format = tfrecord, not jsonl"]),
    "the number of shards": (["--shards", "3"], ["shards = 2, not 3"]),
    "a rule": (["--set", "min_sentences=4"], ["min_sentences = 5, not 4"]),
    "two rules": (
        ["--set", "min_sentences=4", "--set", "span_sentences=2"],
        ["min_sentences = 5, not 4", "span_sentences = 3, not 2"],
    ),
    "a rule and the format": (
        ["--set", "remove_citations=true", "--format", "parquet"],
        ["format = tfrecord, not parquet", "remove_citations = false, not true"],
    ),
    "both": (["--format", "jsonl", "--shards", "3"], ["format = tfrecord, not jsonl", "shards = 2, not 3"]),
}  # fmt: skip


@pytest.mark.parametrize("more, said", DIFFERENT.values(), ids=DIFFERENT)
def test_the_field_that_differs_is_named_old_and_new(sources, finished, more, said):
    line = refusal(build(sources, "en", *SAME, *more), finished, finished / "c4/en/1.0.0")
    for words in said:
        assert words.lower() in line.lower()
    others = {word for _, all_words in DIFFERENT.values() for word in all_words} - set(said)
    assert not [words for words in others if words.lower() in line.lower()], "what is the same is named too"


def test_a_difference_is_named_for_an_added_variant_too(sources, finished):
    arguments = build(sources, "en,webtextlike", *SAME, "--format", "jsonl")
    assert "format = tfrecord, not jsonl" in refusal(arguments, finished, finished / "c4/en/1.0.0")
    assert not (finished / "c4/webtextlike").exists()


def test_the_rules_are_named_where_only_their_name_is_the_same_folder(sources, finished):
    line = refusal(build(sources, "en", "--rules", "paper-final", *SAME), finished, finished / "c4/en/1.0.0")
    assert "min_sentences = 5, not 3" in line and "min_words_per_line = 3, not 5" in line


def test_inputs_that_were_added_are_named(sources, tmp_path):
    assert run_command(*build(sources, "en", inputs=sources.wet[:2]), "--out", tmp_path, "--workers", 1).code == 0
    line = refusal(build(sources, "en"), tmp_path, tmp_path / "c4/en/1.0.0")
    assert "inputs" in line and "added" in line and "part-2.warc.wet.gz" in line
    assert "gone" not in line and "removed" not in line and "part-0.warc.wet.gz" not in line


def test_inputs_that_were_removed_are_named(sources, finished):
    line = refusal(build(sources, "en", *SAME, inputs=sources.wet[1:]), finished, finished / "c4/en/1.0.0")
    assert "inputs" in line and re.search("gone|removed", line) and "part-0.warc.wet.gz" in line
    assert "added" not in line and "part-1.warc.wet.gz" not in line


def test_inputs_that_were_added_and_removed_are_both_named(sources, tmp_path):
    assert run_command(*build(sources, "en", inputs=sources.wet[:2]), "--out", tmp_path, "--workers", 1).code == 0
    line = refusal(build(sources, "en", inputs=sources.wet[1:]), tmp_path, tmp_path / "c4/en/1.0.0")
    assert re.search(r"added[^;,]*part-2\.warc\.wet\.gz", line), line
    assert re.search(r"(gone|removed)[^;,]*part-0\.warc\.wet\.gz", line), line


def test_many_inputs_that_were_added_make_a_line_that_can_be_read(sources, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    many = [wet_files.write_wet(folder / f"{n:03}.warc.wet.gz", wet_files.pages(1000 + n, 1)) for n in range(60)]
    out = tmp_path / "out"
    assert run_command(*build(sources, "en", inputs=many[:2]), "--out", out, "--workers", 1).code == 0
    line = refusal(build(sources, "en", inputs=many), out, out / "c4/en/1.0.0")
    assert "58" in line and "added" in line and len(line) < 2000


def test_an_input_that_is_another_now_is_named(sources, tmp_path):
    inputs = copy_inputs(sources, tmp_path / "inputs")
    out = tmp_path / "out"
    assert run_command(*build(sources, "en", inputs=inputs), "--out", out, "--workers", 1).code == 0
    wet_files.write_wet(inputs[1], wet_files.pages(900, 7))
    line = refusal(build(sources, "en", inputs=inputs), out, out / "c4/en/1.0.0")
    assert [name for name in map(os.path.basename, inputs) if name in line] == ["part-1.warc.wet.gz"]


def test_other_bad_words_are_named_as_what_differs(sources, finished, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("blorptastic\n")
    arguments = build(sources, "en", *SAME)
    arguments[arguments.index(sources.bad_words)] = words
    line = refusal(arguments, finished, finished / "c4/en/1.0.0")
    assert re.search("bad.?words", line) and "shards" not in line and "inputs" not in line


def test_other_lists_of_urls_are_named_as_what_differs(sources, tmp_path):
    out, urls = tmp_path / "out", tmp_path / "urls.txt"
    urls.write_text("http://example.org/page-1\n")
    assert run_command(*build(sources, "webtextlike"), "--out", out, "--workers", 1).code == 0
    arguments = build(sources, "webtextlike")
    arguments[arguments.index(sources.urls)] = urls
    line = refusal(arguments, out, out / "c4/webtextlike/1.0.0")
    assert urls.name in line and "shards" not in line


def test_a_list_of_urls_that_a_variant_does_not_use_is_no_difference_to_it(sources, wholes, tmp_path):
    """`en` stands, though the second command gives a list that the first had no use for."""
    out = tmp_path / "out"
    arguments = ["build", *sources.wet, "--badwords", sources.bad_words, "--shards", 2, "--variants", "en"]
    assert run_command(*arguments, "--out", out, "--workers", 1).code == 0
    done = run_command(*build(sources, "en,webtextlike"), "--out", out, "--workers", 1)
    assert done.code == 0 and said_to_be_there(done) == {"en"}, done.err[-500:]
    assert_same_but_lines(out, wholes(*build(sources, "en,webtextlike")))


def test_with_overwrite_what_was_refused_is_made(sources, wholes, tmp_path):
    assert run_command(*build(sources, "en"), "--out", tmp_path, "--workers", 1).code == 0
    other = build(sources, "en", "--format", "jsonl")
    refusal(other, tmp_path, tmp_path / "c4/en/1.0.0")
    done = run_command(*other, "--out", tmp_path, "--workers", 1, "--overwrite")
    assert (done.code, done.error_lines) == (0, [])
    assert differences(corpus_files(tmp_path), wholes(*other).files) == []
    assert counts(tmp_path) == wholes(*other).counts
    assert manifest(complete_folders(tmp_path)[0])["format"] == "jsonl"


# The other corpora


def test_books_name_the_field_that_differs_too(tmp_path):
    library, out = write_library(tmp_path / "library"), tmp_path / "out"
    assert run_command("books", library, "--shards", 2, "--out", out, "--workers", 1).code == 0
    (folder,) = complete_folders(out)
    line = refusal(["books", library, "--shards", 3], out, folder)
    assert "shards = 2, not 3" in line
    line = refusal(["books", library, "--shards", 2, "--format", "jsonl"], out, folder)
    assert "format = tfrecord, not jsonl" in line and "shards = " not in line
    line = refusal(["books", *(library / f"book-{n}.txt" for n in range(5)), "--shards", 2], out, folder)
    assert re.search("gone|removed", line) and "copy.txt" in line
    # Another probability is a corpus of its own, which never meets this one.
    done = run_command("books", library, "--shards", 2, "--least", "0.5", "--out", out, "--workers", 1)
    assert done.code == 0 and (out / "books/en-0.5").is_dir()
