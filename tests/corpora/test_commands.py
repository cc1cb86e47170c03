"""The commands for other corpora, from end to end."""

import gzip
import json
import lzma
import random
import time
from pathlib import Path

import pytest
from command import kill_at_random_moments, run_command
from corpora_material import multistream, page

PROSE = "The '''{0}''' lives in the [[forest]] near river number {1}, where it sleeps by day and hunts by night. " * 8


@pytest.fixture(scope="module")
def dump(tmp_path_factory) -> Path:
    """A dump of 400 pages: 360 articles, one of them twice, and 40 pages of other kinds."""
    pages = [page(n, f"Animal {n}", PROSE.format(f"animal {n}", n)) for n in range(1, 361)]
    pages += [page(n, f"Name {n}", "#REDIRECT [[Animal 1]]", redirect="Animal 1") for n in range(401, 421)]
    pages += [page(n, f"Talk:{n}", "Talk of it.", namespace=1) for n in range(421, 440)]
    pages += [page(7, "Animal 7", PROSE.format("animal 7", 7))]
    path = tmp_path_factory.mktemp("dump") / "simplewiki-20240501-pages-articles-multistream.xml.bz2"
    path.write_bytes(multistream(pages, 10))
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """Five books, one of them twice under another name."""
    folder = tmp_path_factory.mktemp("library")
    for number in range(5):
        text = f"Book {number}\n\n" + "\n\n".join(
            f"It was the night of day {day} in the year {number}, and the old sailor told them what he had seen at sea."
            for day in range(60)
        )
        (folder / f"book-{number}.txt").write_text(text)
    (folder / "copy.txt").write_text((folder / "book-3.txt").read_text().replace("\n\n", "\r\n\r\n"))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """What the corpus consists of, without what tells of the run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".c4build" not in path.parts and path.name != "c4build.json"
    }


def summary(out: Path, name: str) -> dict:
    (path,) = (out / name).rglob("*c4build.json")
    return json.loads(path.read_text())


def test_a_dump_becomes_a_data_set_that_tfds_loads(dump, tmp_path):
    pytest.importorskip("tensorflow")
    import tensorflow_datasets as tfds

    done = run_command("wikipedia", dump, "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])
    said = summary(tmp_path, "wikipedia")
    assert said["pages"] == 400 and said["kept"] == 360
    assert said["dropped"] == {"other_namespace": 19, "redirect": 20, "copy": 1}
    name = str(Path(said["folder"]).relative_to(tmp_path)).replace("/1.0.0", ":1.0.0")
    loaded = tfds.load(name, data_dir=str(tmp_path), download=False)
    examples = {example["id"].decode(): example for split in loaded.values() for example in split.as_numpy_iterator()}
    assert len(examples) == 360
    assert examples["7"]["title"] == b"Animal 7"
    assert examples["7"]["url"] == b"https://simple.wikipedia.org/wiki/Animal_7"
    assert examples["7"]["text"].startswith(b"The animal 7 lives in the forest near river number 7, where")


def test_two_workers_give_the_bytes_of_one_and_a_second_run_does_nothing(dump, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for out, workers in ((one, 1), (two, 2)):
        assert run_command("wikipedia", dump, "--out", out, "--workers", workers, "--shards", 2).code == 0
    assert files(one) == files(two)
    assert sum(".tfrecord-" in name and "train" in name for name in files(one)) == 2
    again = run_command("wikipedia", dump, "--out", one, "--workers", 1, "--shards", 2)
    assert again.code == 0 and "nothing was done" in again.out
    other = run_command("wikipedia", dump, "--out", one, "--workers", 1, "--shards", 1)
    assert other.code == 2 and "--overwrite" in other.err


def test_what_a_stopped_run_left_is_used_and_the_bytes_are_the_same(dump, tmp_path):
    arguments = ("wikipedia", dump, "--out", tmp_path, "--workers", 1)
    assert run_command(*arguments).code == 0
    before = files(tmp_path)
    folder = Path(summary(tmp_path, "wikipedia")["folder"])
    taken = sorted((tmp_path / ".c4build").glob("examples-*/*.examples"))
    made = [path.stat().st_mtime_ns for path in taken]
    # As if it had been killed while it wrote: one unit and the end are missing.
    taken[0].unlink()
    for name in ("dataset_info.json", "c4build.json"):
        (folder / name).unlink()
    for path in (tmp_path / ".c4build" / "units").rglob("*.json"):
        path.unlink()
    assert run_command(*arguments).code == 0
    assert files(tmp_path) == before
    assert [path.stat().st_mtime_ns for path in taken][1:] == made[1:]


@pytest.mark.parametrize(
    "name, material", [("wikipedia", "dump"), pytest.param("books", "library", marks=pytest.mark.slow)]
)
def test_killed_at_random_moments_it_comes_to_the_same_bytes(name, material, request, tmp_path):
    def arguments(out):
        return (name, request.getfixturevalue(material), "--out", tmp_path / out, "--workers", 1)

    start = time.monotonic()
    assert run_command(*arguments("whole")).code == 0
    seconds = time.monotonic() - start
    kill_at_random_moments(arguments("killed"), tmp_path / "killed", seconds, times=3)
    assert run_command(*arguments("killed")).code == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_damaged_dump_is_named_with_its_place_and_the_rest_is_made(dump, tmp_path):
    data = bytearray(dump.read_bytes())
    place = data.find(b"BZh9", len(data) // 2)
    data[place + 60 : place + 90] = b"\0" * 30
    bad = tmp_path / "bad.xml.bz2"
    bad.write_bytes(data)
    done = run_command("wikipedia", bad, "--out", tmp_path, "--workers", 1)
    assert done.code == 1
    assert any(line.startswith(f"damaged: {bad} at byte {place + 4:,}: ") for line in done.error_lines)
    said = summary(tmp_path, "wikipedia")
    assert said["pages"] == said["kept"] + sum(said["dropped"].values()) and 340 <= said["kept"] < 360


def test_books_become_a_data_set_without_copies(library, tmp_path):
    pytest.importorskip("tensorflow")
    import tensorflow_datasets as tfds

    done = run_command("books", library, "--out", tmp_path, "--workers", 1)
    assert (done.code, done.error_lines) == (0, [])
    said = summary(tmp_path, "books")
    assert (said["books"], said["kept"], said["dropped"]) == (6, 5, {"copy": 1})
    loaded = tfds.builder_from_directory(said["folder"]).as_dataset()
    examples = [example for split in loaded.values() for example in split.as_numpy_iterator()]
    assert sorted(example["source"] for example in examples) == [b"book-%d.txt" % number for number in range(5)]
    assert all(b"the old sailor" in example["text"] for example in examples)


def test_a_damaged_book_is_named(library, tmp_path):
    bad = tmp_path / "bad.epub"
    bad.write_bytes(b"PK\x03\x04 and no more")
    done = run_command("books", library, bad, "--out", tmp_path, "--workers", 1)
    assert done.code == 1
    assert any(line.startswith(f"damaged: {bad} at byte 0: ") for line in done.error_lines)
    assert summary(tmp_path, "books")["dropped"] == {"unreadable": 1, "copy": 1}


@pytest.mark.parametrize("command", ["wikipedia", "books"])
def test_a_wrong_command_is_one_line_and_code_2(command, tmp_path):
    for arguments in ((tmp_path / "none.xml",), (), ("--runner", "NoSuchRunner", tmp_path)):
        done = run_command(command, *arguments, "--out", tmp_path / "out")
        assert done.code == 2 and len(done.error_lines) == 1, done.err


SUBMISSIONS = [
    {"url": "https://www.example.com/page-one/?utm_source=reddit", "score": 3},
    {"url": "http://example.com/page-one", "score": 50, "crosspost_parent": "t3_abc"},
    {"url": "http://example.com/low", "score": 2},
    {"url": "https://i.redd.it/x.jpg", "score": 900},
    {"url": "https://imgur.com/gallery/x", "score": 900},
    {"url": "http://bücher.example/straße", "score": 4},
    {"url": "https://example.org/ünï", "score": 5},
    {"url": "[deleted]", "score": 9, "author": "[deleted]"},
    {"url": "https://www.reddit.com/r/x/", "score": 9, "is_self": True},
    {"score": 9},
    {"url": "http://example.com/no-score"},
]
URLS = ["example.com/page-one", "xn--bcher-kva.example/stra%C3%9Fe", "example.org/%C3%BCn%C3%AF", "example.net/last"]


def test_submissions_become_the_list_of_urls_that_a_build_takes(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    lines = b"".join(json.dumps(post).encode() + b"\n" for post in SUBMISSIONS) + b'{"url": broken\n'
    long = zstandard.ZstdCompressionParameters(window_log=31, compression_level=1)
    (tmp_path / "RS_2018-08.zst").write_bytes(zstandard.ZstdCompressor(compression_params=long).compress(lines))
    noise = random.Random(1)
    second = b'{"url": "https://example.net/last/", "score": 7}\n' + b"".join(
        b'{"url": "http://example.net/%032x", "is_self": true}\n' % noise.getrandbits(128) for _ in range(9000)
    )
    (tmp_path / "RS_2018-09.zst").write_bytes(zstandard.ZstdCompressor().compress(second)[:-40])
    out = tmp_path / "lists" / "urls.txt.gz"
    out.parent.mkdir()
    done = run_command("webtext-urls", tmp_path, "--out", out, "--workers", 1)
    assert done.code == 1  # a broken line, and a frame that is cut
    assert gzip.decompress(out.read_bytes()).decode().split() == URLS
    said = json.loads((out.parent / ".c4build/webtext-urls/urls.txt.gz/c4build.json").read_text())
    assert said["submissions"] == said["kept"] + sum(said["dropped"].values()) and said["kept"] == 4
    assert said["dropped"]["copy"] == said["dropped"]["low_score"] == said["dropped"]["no_score"] == 1
    assert any("RS_2018-09.zst" in line and "cut short" in line for line in done.error_lines)

    text = " ".join(f"This is sentence number {n} of a page that people liked." for n in range(9)).replace(". ", ".\n")
    wet = tmp_path / "pages.warc.wet.gz"
    wanted = "http://example.com/page-one/"
    write_wet(wet, {wanted: text, "http://example.com/other": text.replace("people", "nobody")})
    # OpenWebText's lists are plain URLs, packed by xz.
    openwebtext = tmp_path / "RS_2018-08.bz2.deduped.txt.xz"
    openwebtext.write_bytes(
        lzma.compress(b"https://www.example.com/page-one?utm_medium=social\nhttp://example.com/unseen\n")
    )
    for urls in (out, openwebtext):
        made = run_command("build", wet, "--out", tmp_path / f"by-{urls.name}", "--variants", "webtextlike", "--webtext-urls", urls,
                           "--format", "jsonl", "--workers", 1)  # fmt: skip
        assert made.code == 0, made.err
        (folder,) = (tmp_path / f"by-{urls.name}" / "c4/webtextlike").iterdir()
        pages = [json.loads(line) for path in folder.glob("*.json.gz") for line in gzip.open(path)]
        assert [page["url"] for page in pages] == [wanted]


def write_wet(path: Path, pages: dict[str, str]):
    """A WET file, as Common Crawl lays them out."""
    with open(path, "wb") as file:
        for url, text in pages.items():
            body = text.encode()
            head = (
                f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2019-04-18T12:00:00Z\r\n"
                f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            file.write(gzip.compress(head.encode() + body + b"\r\n\r\n"))


@pytest.mark.parametrize("format", ["tfrecord", "array_record", "jsonl", "parquet"])
def test_inspect_counts_any_format_finished_or_not(library, tmp_path, format):
    if format == "array_record":
        pytest.importorskip("array_record")
    assert run_command("books", library, "--out", tmp_path, "--workers", 1, "--format", format).code == 0
    said = summary(tmp_path, "books")
    done = run_command("inspect", said["folder"], "--examples", 1)
    assert (done.code, done.error_lines) == (0, [])
    assert ": complete\n" in done.out
    assert f"5 examples (5 train), {said['words']:,} words" in done.out
    assert "1,024-2,047 words:            5 " in done.out
    for name in ("c4build.json", "_c4build.json", "dataset_info.json"):
        Path(said["folder"], name).unlink(missing_ok=True)
    assert "not complete: finished shards only\n5 examples" in run_command("inspect", said["folder"]).out


def test_inspect_names_a_damaged_shard_with_its_place(library, tmp_path):
    assert run_command("books", library, "--out", tmp_path, "--workers", 1, "--shards", 1).code == 0
    folder = Path(summary(tmp_path, "books")["folder"])
    (shard,) = folder.glob("*train*")
    data = bytearray(shard.read_bytes())
    data[50] ^= 1
    shard.write_bytes(data)
    done = run_command("inspect", folder)
    assert done.code == 1 and done.error_lines == [f"damaged: {shard}: byte 0: a record is damaged or cut short"]


@pytest.mark.parametrize("format", ["array_record", "jsonl", "parquet"])
def test_inspect_names_a_shard_of_any_format_that_cannot_be_read_and_reads_the_others(library, tmp_path, format):
    if format == "array_record":
        pytest.importorskip("array_record")
    assert run_command("books", library, "--out", tmp_path, "--workers", 1, "--format", format, "--shards", 2).code == 0
    folder = Path(summary(tmp_path, "books")["folder"])
    first, _second = sorted(folder.glob("*train*"))
    first.write_bytes(b"no shard at all" * 5000)
    done = run_command("inspect", folder)
    assert (done.code, len(done.error_lines)) == (1, 1), done.err
    assert done.error_lines[0].startswith(f"damaged: {first}: ")
    assert " examples (" in done.out and not done.out.splitlines()[1].startswith("0 ")


def test_inspect_tells_of_a_build_that_has_no_shard_yet(tmp_path):
    # In the version's own folder, and in the variant's.
    (tmp_path / ".c4build/pages-1").mkdir(parents=True)
    (tmp_path / ".c4build/pages-1/a.pages").write_bytes(b"")
    folder = tmp_path / "c4/en/1.0.0"
    folder.mkdir(parents=True)
    for named in (folder, folder.parent):
        done = run_command("inspect", named)
        assert (done.code, len(done.error_lines)) == (2, 1)
        assert done.error_lines[0].endswith(f"in this folder; a build is under way in {tmp_path}: 1 input cleaned")


def test_a_folder_that_does_not_exist_is_not_called_a_build_under_way(tmp_path):
    (tmp_path / ".c4build/pages-1").mkdir(parents=True)
    (tmp_path / ".c4build/pages-1/a.pages").write_bytes(b"")
    said = f"c4build: {tmp_path}/c4/en/1.0.0: there is no such folder; give a corpus' folder, as in OUT/c4/en"
    for command in (("inspect",), ("truncate", "--words", 10, "--out", tmp_path)):
        done = run_command(*command, tmp_path / "c4/en/1.0.0")
        assert (done.code, done.error_lines) == (2, [said])


def test_inspect_and_truncate_take_the_newest_version(library, tmp_path):
    assert run_command("books", library, "--out", tmp_path, "--workers", 1, "--format", "jsonl").code == 0
    folder = tmp_path / "books/1.0.0"
    folder.rename(tmp_path / "books/1.9.0")
    (tmp_path / "books/1.10.0").mkdir()
    for path in (tmp_path / "books/1.9.0").glob("*train*"):
        if "00000-of" in path.name:
            (tmp_path / "books/1.10.0" / path.name).write_bytes(path.read_bytes())
    done = run_command("inspect", tmp_path / "books")
    assert done.code == 0 and done.out.startswith(f"{tmp_path}/books/1.10.0: not complete")
    done = run_command("truncate", tmp_path / "books", "--words", 10, "--out", tmp_path / "out", "--workers", 1)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "out/books/10-words/1.0.0/c4build.json").read_text())["words"] == 10
