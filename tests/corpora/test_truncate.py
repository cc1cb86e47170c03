"""Corpora cut to a size: exact by whoever counts again, each a start of the next, the same for the same seed."""

import json
import random
import shutil
import time
from pathlib import Path

import pytest
from command import kill_at_random_moments, run_command
from typer.testing import CliRunner

from c4build.commands.main import app
from c4build.corpora import shuffle
from c4build.corpora.examples import find_shards, read_shard
from c4build.corpora.truncate import prepare_truncated
from c4build.errors import UsageError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Forty books of one paragraph, in three shards."""
    folder, out = tmp_path_factory.mktemp("library"), tmp_path_factory.mktemp("corpus")
    chance = random.Random(3)
    stock = "the old sailor told of storms and islands where nobody had been before him, wrote".split()
    for number in range(40):
        text = " ".join(chance.choice(stock) for _ in range(chance.randrange(40, 300)))
        (folder / f"{number:02}.txt").write_text(f"Book {number}.\n\n{text}.\n")
    done = run_command("books", folder, "--out", out, "--language", "any", "--workers", 1, "--shards", 3)
    assert done.code == 0, done.err
    return (out / "books/any/1.0.0").rename(out / "books/1.0.0")  # so that its sizes have short names


@pytest.fixture(scope="module")
def vocabulary(corpus, tmp_path_factory) -> Path:
    sentencepiece = pytest.importorskip("sentencepiece")
    prefix = tmp_path_factory.mktemp("vocabulary") / "small"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts(corpus)), model_prefix=str(prefix), vocab_size=45, minloglevel=2
    )
    return prefix.with_suffix(".model")


def texts(folder: Path) -> list[str]:
    return [example["text"] for shard in find_shards(str(folder)) for example in read_shard(shard)]


def truncate(corpus, out, *arguments):
    done = run_command("truncate", corpus, "--out", out, "--workers", 1, *arguments)
    assert (done.code, done.error_lines) == (0, []), done.err
    return {path.parent.name: texts(path) for path in out.glob("books/*/1.0.0")}


def shards(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("*/*/1.0.0/*-of-*"))}


def is_prefix(small: list[str], large: list[str]) -> bool:
    whole = small[:-1] == large[: len(small) - 1]
    return whole and large[len(small) - 1].startswith(small[-1])


def test_tokens_are_exact_and_each_size_is_a_prefix_of_the_next(corpus, vocabulary, tmp_path):
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_file=str(vocabulary))
    made = truncate(corpus, tmp_path, "--tokens", "2^11,2^9,1000", "--vocab", vocabulary)
    sizes = [512, 1000, 2048]
    corpora = [made[f"{size}-tokens"] for size in sizes]
    assert [sum(len(model.encode(text)) for text in corpus) for corpus in corpora] == sizes
    assert is_prefix(corpora[0], corpora[1]) and is_prefix(corpora[1], corpora[2])
    assert corpora[2][:5] != texts(corpus)[:5]


@pytest.mark.parametrize(
    "unit,count",
    [
        ("words", lambda text: len(text.split())),
        pytest.param("bytes", lambda text: len(text.encode()), marks=pytest.mark.slow),
    ],
)
def test_words_and_bytes_are_exact_and_the_seed_decides(corpus, tmp_path, unit, count):
    def made(name, seed):
        return truncate(corpus, tmp_path / name, f"--{unit}", "777,1500", "--seed", seed)

    first, again, other = made("a", 1), made("b", 1), made("c", 2)
    assert sum(map(count, first[f"777-{unit}"])) == 777 and sum(map(count, first[f"1500-{unit}"])) == 1500
    assert is_prefix(first[f"777-{unit}"], first[f"1500-{unit}"])
    assert first == again and first != other
    for path in (tmp_path / "a").glob("books/*/1.0.0/*tfrecord*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize("size", [20, *(pytest.param(size, marks=pytest.mark.slow) for size in (3, 200))])
def test_a_small_corpus_is_the_same_alone_as_among_larger_ones(corpus, tmp_path, size):
    """For a small one only the pages that come first are measured."""
    alone = truncate(corpus, tmp_path / "alone", "--words", size)
    among = truncate(corpus, tmp_path / "among", "--words", f"{size},2000")
    assert alone[f"{size}-words"] == among[f"{size}-words"]
    measured = {
        name: sum(path.stat().st_size for path in (tmp_path / name).rglob("measured-*/0*.npy"))
        for name in ("alone", "among")
    }
    assert measured["alone"] < measured["among"]


def test_a_corpus_too_small_is_told_with_its_size(corpus, tmp_path):
    whole = sum(len(text.split()) for text in texts(corpus))
    done = run_command("truncate", corpus, "--words", whole + 1, "--out", tmp_path, "--workers", 1)
    assert done.code == 2
    assert done.error_lines == [f"c4build: the corpus has {whole:,} words, fewer than {whole + 1:,}"]
    exact = truncate(corpus, tmp_path / "all", "--words", whole)
    assert sorted(exact[f"{whole}-words"]) == sorted(texts(corpus))


def test_tokens_are_not_counted_without_a_model(corpus, tmp_path):
    with pytest.raises(UsageError, match="give --vocab"):
        prepare_truncated(str(corpus), [500], "tokens", str(tmp_path), run=lambda measuring, flow: None)


def test_counts_add_up_in_the_summary(corpus, tmp_path):
    made = truncate(corpus, tmp_path, "--words", "500")
    (path,) = tmp_path.glob("books/*/1.0.0/c4build.json")
    said = json.loads(path.read_text())
    assert (said["words"], said["kept"], said["dropped"]) == (500, len(made["500-words"]), {})


@pytest.mark.slow
def test_a_page_that_cannot_be_cut_there_is_passed_over_by_all_sizes(tmp_path):
    """Texts of two-byte letters have no start of an odd number of bytes; one text, which 39 others come before, has."""
    library = tmp_path / "library"
    library.mkdir()
    for number in range(12):
        letters = "".join(chr(0x430 + (number + place) % 32) for place in range(60))
        (library / f"{number:02}.txt").write_text(
            letters if number else "plain words stand at the beginning here" + letters
        )
    out = tmp_path / "all"
    assert run_command("books", library, "--out", out, "--language", "any", "--workers", 1, "--shards", 2).code == 0
    (out / "books/any/1.0.0").rename(out / "books/1.0.0")
    made = truncate(out / "books/1.0.0", tmp_path / "cut", "--bytes", "139,241,489")
    found = [made[f"{size}-bytes"] for size in (139, 241, 489)]
    assert [sum(len(text.encode()) for text in texts) for texts in found] == [139, 241, 489]
    assert is_prefix(found[0], found[1]) and is_prefix(found[1], found[2])
    # Where the same pages came without one passed over, nothing is taken from there.
    truncate(out / "books/1.0.0", tmp_path / "again", "--bytes", "140,242,490")
    again = truncate(out / "books/1.0.0", tmp_path / "again", "--bytes", "139,241,489")
    assert [again[f"{size}-bytes"] for size in (139, 241, 489)] == found


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_many_small_blocks_hold_what_one_large_one_does(corpus, tmp_path, monkeypatch, workers):
    whole = truncate(corpus, tmp_path / "whole", "--words", "500,3000")
    monkeypatch.setattr(shuffle, "_BLOCK_BYTES", 3000)
    monkeypatch.setattr(shuffle, "_GROUP_BYTES", 1000)
    sizes = ["--words", "500,3000", "--out", str(tmp_path / "blocks"), "--workers", str(workers)]
    done = CliRunner().invoke(app, ["truncate", str(corpus), *sizes])
    assert done.exit_code == 0, done.output
    for size, fewest in ((500, 2), (3000, 5)):
        folder = tmp_path / f"blocks/books/{size}-words/1.0.0"
        assert texts(folder) == whole[f"{size}-words"]
        assert len([shard for shard in find_shards(str(folder)) if shard.split == "train"]) >= fewest
    if workers == 1:
        assert len(list((tmp_path / "blocks").rglob("measured-*/00000-*.pages"))) > 1


@pytest.mark.slow
def test_killed_at_random_moments_it_comes_to_the_same_bytes(corpus, tmp_path):
    arguments = ["truncate", corpus, "--words", "500,3000", "--workers", 1, "--out"]
    start = time.monotonic()
    assert run_command(*arguments, tmp_path / "whole").code == 0
    seconds = time.monotonic() - start
    kill_at_random_moments([*arguments, tmp_path / "killed"], tmp_path / "killed", seconds, times=3)
    assert run_command(*arguments, tmp_path / "killed").code == 0
    assert shards(tmp_path / "killed") == shards(tmp_path / "whole")


@pytest.mark.parametrize(
    "place, what", [(0.5, "a record is damaged or cut short"), (0.0, "the length of a record is damaged")]
)
def test_a_damaged_shard_is_named_and_what_stands_before_is_used(corpus, tmp_path, place, what):
    copy = tmp_path / "books" / "1.0.0"
    shutil.copytree(corpus, copy)
    path = find_shards(str(copy))[0].path
    data = bytearray(Path(path).read_bytes())
    data[int(place * len(data))] ^= 255
    Path(path).write_bytes(data)
    done = run_command("truncate", copy, "--words", "300,2000", "--out", tmp_path / "cut", "--workers", 1)
    assert done.code == 1
    assert {line.partition(" at byte ")[0] for line in done.error_lines} == {f"damaged: {path}"}
    assert all(line.endswith(what) for line in done.error_lines) and len(done.error_lines) == 2  # for each size
    made = texts(tmp_path / "cut" / "books" / "2000-words" / "1.0.0")
    assert sum(len(text.split()) for text in made) == 2000
    said = json.loads((tmp_path / "cut" / "books" / "300-words" / "1.0.0" / "c4build.json").read_text())
    assert [damage["input"] for damage in said["damaged"]] == [path]
