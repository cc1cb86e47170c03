"""Nothing read is a failure; nothing kept is said with the rule that took it all, and is a corpus that can be opened.

TFDS (4.9.10) opens a data set whose `train` split has no example, and tells its length and its shards; it refuses to
read any split without examples, whatever the metadata holds ("Instruction [] corresponds to no data!"). The shards are
there and empty for whoever reads them otherwise.
"""

import gzip
import json
import re
from pathlib import Path

import pytest
import wet_files
from command import run_command
from corpora.corpora_material import multistream, page
from corpus_folders import (
    assert_manifests_are_true,
    assert_same,
    complete_folders,
    corpus_files,
    make,
    manifest,
    shards,
    tree,
)

FORMATS = ["tfrecord", "array_record", "jsonl", "parquet"]


@pytest.fixture
def empty(tmp_path) -> Path:
    """A folder of two WET files with the record that opens them and no other."""
    folder = tmp_path / "empty"
    folder.mkdir()
    for number in range(2):
        wet_files.write_wet(folder / f"part-{number}.warc.wet.gz", [])
    return folder


def build(sources, inputs, *more) -> list:
    return ["build", *inputs, "--badwords", sources.bad_words, "--shards", 2, *more]


def assert_nothing_is_published(done, out):
    assert (done.code, len(done.error_lines)) == (3, 1), done.err[-500:]
    assert re.match(r"c4build: .*\bno (page|article|book)", done.error_lines[0])
    assert complete_folders(out) == []
    assert [path for path in out.rglob("dataset_info.json") if ".c4build" not in path.parts] == []


# A run that reads no page


@pytest.mark.parametrize("rules", ["paper", "c4-3.1.0"])
@pytest.mark.parametrize("format", ["tfrecord", "jsonl"])
def test_a_run_that_reads_no_page_fails_and_publishes_nothing(sources, empty, tmp_path, rules, format):
    arguments = build(sources, [empty], "--rules", rules, "--format", format, "--variants", "en,en.noclean")
    for _ in range(2):  # nor does the same command again, which finds page files
        assert_nothing_is_published(
            run_command(*arguments, "--out", tmp_path / "out", "--workers", 1), tmp_path / "out"
        )


def test_a_run_of_two_workers_that_reads_no_page_fails_too(sources, empty, tmp_path):
    done = run_command(*build(sources, [empty]), "--out", tmp_path / "out", "--workers", 2)
    assert_nothing_is_published(done, tmp_path / "out")


def test_a_run_that_reads_no_page_does_not_pass_for_the_corpus_that_was_there(sources, empty, tmp_path):
    wanted = make(build(sources, sources.wet), tmp_path / "out")
    before = tree(tmp_path / "out/c4")
    for overwriting in ([], ["--overwrite"]):
        done = run_command(*build(sources, [empty]), "--out", tmp_path / "out", "--workers", 1, *overwriting)
        assert done.code == (3 if overwriting else 2), done.err[-500:]
        if not overwriting:
            assert tree(tmp_path / "out/c4") == before
    done = run_command(*build(sources, sources.wet), "--out", tmp_path / "out", "--workers", 1, "--overwrite")
    assert done.code == 0, done.err[-500:]
    assert_same(tmp_path / "out", wanted)


def test_one_page_among_inputs_without_any_is_enough(sources, empty, tmp_path):
    one = wet_files.write_wet(tmp_path / "one.warc.wet.gz", wet_files.pages(0, 1))
    done = run_command(*build(sources, [empty, one]), "--out", tmp_path / "out", "--workers", 1)
    assert (done.code, done.error_lines) == (0, []), done.err[-500:]
    assert manifest(tmp_path / "out/c4/en/1.0.0")["kept"] == 1


def test_a_dump_without_any_page_fails_and_publishes_nothing(tmp_path):
    dump = tmp_path / "nowiki-20240501-pages-articles-multistream.xml.bz2"
    dump.write_bytes(multistream([]))
    done = run_command("wikipedia", dump, "--out", tmp_path / "out", "--workers", 1)
    assert_nothing_is_published(done, tmp_path / "out")


# A variant that keeps none


def warnings(done) -> list[str]:
    return [line for line in done.error_lines if line.startswith("c4build: warning: ")]


@pytest.mark.parametrize("rules, version", [("paper", "1.0.0"), ("c4-3.1.0", "3.1.0")])
def test_a_variant_that_keeps_no_page_is_warned_of_with_the_rule_that_took_them(sources, tmp_path, rules, version):
    arguments = build(
        sources, sources.wet, "--rules", rules, "--set", "min_sentences=1000", "--set", f"version={version}"
    )
    done = run_command(*arguments, "--variants", "en,en.noclean", "--out", tmp_path, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    (line,) = done.error_lines
    assert line.startswith("c4build: warning: en keeps no page: ")
    assert re.search("too.few.sentences", line)
    assert manifest(tmp_path / "c4/en" / version)["kept"] == 0
    assert manifest(tmp_path / "c4/en.noclean" / version)["kept"] > 50
    assert_manifests_are_true(tmp_path)
    # The very same command again says so again: who reads its last lines only must know.
    again = run_command(*arguments, "--variants", "en,en.noclean", "--out", tmp_path, "--workers", 1)
    assert (again.code, warnings(again)) == (0, [line])


def test_the_rule_that_took_most_is_the_one_that_is_named(sources, tmp_path):
    """Five pages fall to the language, two to lorem ipsum."""
    foreign = "\n".join(["Die Katze lag den ganzen Tag auf dem warmen Ofen und schlief."] * 8)
    written = [
        wet_files.Written(f"http://example.org/{n}", f"{foreign}\nEs war der {n}. Tag des Monats.") for n in range(5)
    ]
    written += [
        wet_files.Written(
            f"http://example.org/lorem-{n}", wet_files.text(n) + "\nThe words lorem ipsum stand for text to come."
        )
        for n in range(2)
    ]
    wet = wet_files.write_wet(tmp_path / "foreign.warc.wet.gz", written)
    done = run_command(*build(sources, [wet]), "--out", tmp_path / "out", "--workers", 1)
    assert done.code == 0, done.err[-500:]
    assert manifest(tmp_path / "out/c4/en/1.0.0")["dropped"] == {"lorem_ipsum": 2, "other_language": 5}
    (line,) = done.error_lines
    assert line.startswith("c4build: warning: en keeps no page: ") and re.search("other.language", line)
    assert line.find("language") < (line.find("lorem") if "lorem" in line else len(line))


def test_a_variant_of_urls_that_the_crawl_does_not_have_is_warned_of(sources, tmp_path):
    nowhere = tmp_path / "nowhere.txt"
    nowhere.write_text("http://example.org/not-in-the-crawl\n")
    arguments = build(sources, sources.wet, "--variants", "en,webtextlike", "--webtext-urls", nowhere)
    done = run_command(*arguments, "--out", tmp_path / "out", "--workers", 1)
    assert done.code == 0, done.err[-500:]
    (line,) = done.error_lines
    assert line.startswith("c4build: warning: webtextlike keeps no page: ") and re.search("not.in.url.list", line)


def test_a_variant_that_keeps_a_page_is_not_warned_of(sources, tmp_path):
    done = run_command(*build(sources, sources.wet), "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])


def keep_none(sources, out, format) -> Path:
    more = ["--format", format, "--set", "min_sentences=1000", "--set", "version=1.0.0"]
    done = run_command(*build(sources, sources.wet, *more), "--out", out, "--workers", 1)
    assert done.code == 0, done.err[-500:]
    return out / "c4/en/1.0.0"


@pytest.mark.parametrize("format", ["tfrecord", "array_record"])
def test_tfds_opens_a_corpus_without_pages_and_finds_an_empty_train_split(sources, tmp_path, format):
    if format == "array_record":
        pytest.importorskip("array_record")
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = keep_none(sources, tmp_path, format)
    for builder in (tfds.builder_from_directory(str(folder)), tfds.builder("c4/en:1.0.0", data_dir=str(tmp_path))):
        assert list(builder.info.splits) == ["train"]
        train = builder.info.splits["train"]
        assert (train.num_examples, train.shard_lengths, train.num_bytes) == (0, [0, 0], 0)
        assert [path.exists() for path in train.filepaths] == [True, True]
        # As said above: this is TFDS's own answer, clear enough. The day it reads them, so be it.
        read = builder.as_data_source if format == "array_record" else builder.as_dataset
        try:
            assert list(read(split="train")) == []
        except ValueError as error:
            assert re.search("no data|0 length", str(error))


@pytest.mark.parametrize("format", FORMATS)
def test_the_shards_of_a_corpus_without_pages_are_there_and_hold_nothing(sources, tmp_path, format):
    if format == "array_record":
        pytest.importorskip("array_record")
    folder = keep_none(sources, tmp_path, format)
    paths = [Path(tmp_path, path) for path in shards(tmp_path) if "train" in path]
    assert len(paths) == 2 and all(path.parent == folder for path in paths)
    for path in paths:
        if format == "tfrecord":
            tf = pytest.importorskip("tensorflow")
            assert list(tf.data.TFRecordDataset(str(path))) == []
        elif format == "array_record":
            from array_record.python.array_record_module import ArrayRecordReader

            assert ArrayRecordReader(str(path)).num_records() == 0
        elif format == "jsonl":
            assert gzip.decompress(path.read_bytes()) == b""
        else:
            import pyarrow.parquet as pq

            read = pq.read_table(path)
            assert read.num_rows == 0 and "text" in read.column_names


def test_a_corpus_without_pages_is_complete_and_is_not_made_again(sources, tmp_path):
    folder = keep_none(sources, tmp_path, "tfrecord")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    keep_none(sources, tmp_path, "tfrecord")
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_another_corpus_that_keeps_nothing_is_warned_of_too(tmp_path):
    pages = [page(number, f"Name {number}", "#REDIRECT [[Elsewhere]]", redirect="Elsewhere") for number in range(1, 9)]
    dump = tmp_path / "simplewiki-20240501-pages-articles-multistream.xml.bz2"
    dump.write_bytes(multistream(pages))
    done = run_command("wikipedia", dump, "--out", tmp_path / "out", "--workers", 1)
    assert done.code == 0, done.err[-500:]
    (line,) = done.error_lines
    assert re.match(r"c4build: warning: \S+ keeps no .*redirect", line), line
    (folder,) = complete_folders(tmp_path / "out")
    assert json.loads((folder / "dataset_info.json").read_text())["splits"][0]["name"] == "train"
    assert corpus_files(tmp_path / "out")
