"""What is written is read back by the libraries it is written for: as many examples, the same text."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wet_files
from builds import VARIANTS, build

from c4build.corpora.c4 import Request

RULES = {"paper": "1.0.0", "c4-3.1.0": "3.1.0"}


@pytest.fixture(scope="module", params=RULES)
def corpora(request, sources, tmp_path_factory):
    """(output folder, version, summaries) of all variants as TFRecords."""
    out = tmp_path_factory.mktemp("tfrecord")
    return out, RULES[request.param], build(sources.request(out, rules=request.param, shards=2))


@pytest.fixture(scope="module")
def texts(corpora):
    """{variant: {split: {url: text}}} as tf.data reads the raw records."""
    tf = pytest.importorskip("tensorflow")
    out, version, _ = corpora
    found = {}
    for variant in VARIANTS:
        found[variant] = {}
        for split in ("train", "validation"):
            files = sorted(map(str, Path(out, "c4", variant, version).glob(f"c4-{split}.tfrecord-*")))
            features = {name: tf.io.FixedLenFeature([], tf.string) for name in ("url", "text")}
            records = [tf.io.parse_single_example(record, features) for record in tf.data.TFRecordDataset(files)]
            found[variant][split] = {r["url"].numpy().decode(): r["text"].numpy().decode() for r in records}
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_tf_data_reads_as_many_records_as_the_summary_says(corpora, texts, variant):
    _, _, summaries = corpora
    counted = {split: len(found) for split, found in texts[variant].items()}
    assert counted == summaries[variant]["splits"]
    assert counted["train"] > 10 and counted["validation"] >= 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_tfds_loads_every_variant_by_its_name(corpora, texts, variant):
    tfds = pytest.importorskip("tensorflow_datasets")
    out, version, _ = corpora
    for split in ("train", "validation"):
        loaded = tfds.load(f"c4/{variant}:{version}", split=split, data_dir=str(out), download=False)
        examples = list(tfds.as_numpy(loaded))
        assert {e["url"].decode(): e["text"].decode() for e in examples} == texts[variant][split]
        assert set(examples[0]) == {"text", "url", "timestamp", "content-type", "content-length"}


@pytest.mark.parametrize("corpora", ["c4-3.1.0"], indirect=True)  # the only version that TFDS's own builder looks for
def test_tfds_finds_its_own_version_without_being_told_it(corpora, texts):
    tfds = pytest.importorskip("tensorflow_datasets")
    out, _, _ = corpora
    loaded = tfds.load("c4/en", data_dir=str(out), download=False)
    assert {name: len(split) for name, split in loaded.items()} == {n: len(t) for n, t in texts["en"].items()}


def test_tfds_slices_a_split_by_its_shard_lengths(corpora, texts):
    tfds = pytest.importorskip("tensorflow_datasets")
    out, version, _ = corpora
    parts = [
        list(tfds.as_numpy(tfds.load(f"c4/en:{version}", split=split, data_dir=str(out), download=False)))
        for split in ("train[:50%]", "train[50%:]")
    ]
    assert {e["url"].decode() for part in parts for e in part} == set(texts["en"]["train"])
    assert sum(map(len, parts)) == len(texts["en"]["train"])


def test_a_page_comes_out_with_its_text_and_all_its_fields(corpora):
    tfds = pytest.importorskip("tensorflow_datasets")
    out, version, _ = corpora
    (page,) = [page for page in wet_files.pages(60, 20) if page.url.endswith("/page-61")]
    train = tfds.load(f"c4/en:{version}", split="train", data_dir=str(out), download=False)
    (example,) = [e for e in tfds.as_numpy(train) if e["url"].decode() == page.url]
    assert {name: value.decode() for name, value in example.items()} == {
        "text": page.text,
        "url": "http://example.org/page-61",
        "timestamp": "2019-04-18T12:00:00Z",
        "content-type": "text/plain",
        "content-length": str(len(page.text)),
    }


def test_tfds_data_source_reads_array_records(sources, texts, corpora, tmp_path):
    pytest.importorskip("array_record")
    tfds = pytest.importorskip("tensorflow_datasets")
    _, version, _ = corpora
    rules = next(name for name, own in RULES.items() if own == version)
    summaries = build(sources.request(tmp_path, rules=rules, format="array_record", shards=3))
    for variant in VARIANTS:
        read = tfds.data_source(f"c4/{variant}:{version}", data_dir=str(tmp_path), download=False)
        for split in ("train", "validation"):
            examples = [read[split][index] for index in range(len(read[split]))]
            assert len(examples) == summaries[variant]["splits"][split]
            assert {e["url"].decode(): e["text"].decode() for e in examples} == texts[variant][split]


_READ_WITH_DATASETS = """
import json, sys
from datasets import load_dataset
kind, cache, *patterns = sys.argv[1:]
files = dict(pattern.split("=") for pattern in patterns)
read = load_dataset(kind, data_files=files, cache_dir=cache)
print(json.dumps({split: [dict(row) for row in rows] for split, rows in read.items()}, default=str))
"""


@pytest.mark.parametrize(
    "format, kind, names, fields",
    [
        ("jsonl", "json", "c4-{}.*-of-*.json.gz", {"text", "timestamp", "url"}),
        ("parquet", "parquet", "c4-{}-*-of-*.parquet", {"text", "url", "timestamp", "content-type", "content-length"}),
    ],
)
@pytest.mark.parametrize("corpora", ["paper"], indirect=True)
def test_hugging_face_datasets_reads_jsonl_and_parquet(sources, texts, corpora, tmp_path, format, kind, names, fields):
    pytest.importorskip("datasets")
    summaries = build(sources.request(tmp_path, format=format, shards=3, variants=("en", "en.noclean")))
    for variant in ("en", "en.noclean"):
        patterns = [f"{s}={tmp_path}/c4/{variant}/1.0.0/{names.format(s)}" for s in ("train", "validation")]
        read = subprocess.run(
            [sys.executable, "-c", _READ_WITH_DATASETS, kind, str(tmp_path / "cache"), *patterns],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        for split, rows in json.loads(read.stdout).items():
            assert len(rows) == summaries[variant]["splits"][split]
            assert {row["url"]: row["text"] for row in rows} == texts[variant][split]
            assert all(set(row) == fields for row in rows)


def test_jsonl_is_laid_out_as_allenai_c4(tmp_path):
    page = wet_files.pages(1, 1)[0]
    source = wet_files.write_wet(
        tmp_path / "one.warc.wet.gz", [page._replace(text=page.text + "\nIt cost five € “at most.”")]
    )
    bad_words = tmp_path / "bad.txt"
    bad_words.write_text("blorptastic\n")
    request = Request(inputs=[source], out=str(tmp_path / "out"), format="jsonl", shards=512, bad_words=str(bad_words))
    build(request)
    folder = tmp_path / "out/c4/en/1.0.0"
    names = {path.name for path in folder.glob("c4-train.*")}
    assert names == {f"c4-train.{index:05d}-of-00512.json.gz" for index in range(512)}
    assert {path.name for path in folder.glob("c4-validation.*")} == {
        f"c4-validation.{index:05d}-of-00004.json.gz" for index in range(4)
    }
    lines = [line for path in sorted(folder.glob("c4-train.*")) for line in gzip.open(path, "rt", encoding="utf-8")]
    assert len(lines) == 1
    assert list(json.loads(lines[0]).items()) == [
        ("text", page.text + "\nIt cost five € “at most.”"),
        ("timestamp", "2019-04-18T12:00:00Z"),
        ("url", "http://example.org/page-1"),
    ]


@pytest.mark.parametrize("format", ["tfrecord", "array_record"])
def test_a_corpus_without_validation_pages_and_with_empty_shards_loads(tmp_path, format):
    tfds = pytest.importorskip("tensorflow_datasets")
    pages = wet_files.pages(0, 3)
    source = wet_files.write_wet(tmp_path / "few.warc.wet.gz", pages)
    bad_words = tmp_path / "bad.txt"
    bad_words.write_text("blorptastic\n")
    out = tmp_path / "out"
    request = Request(inputs=[source], out=str(out), format=format, shards=8, bad_words=str(bad_words))
    assert build(request)["en"]["splits"] == {"train": 3, "validation": 0}
    load = tfds.data_source if format == "array_record" else tfds.load
    train = load("c4/en:1.0.0", split="train", data_dir=str(out), download=False)
    examples = list(train) if format == "array_record" else list(tfds.as_numpy(train))
    assert {e["url"].decode(): e["text"].decode() for e in examples} == {page.url: page.text for page in pages}
    # TFDS fails on a split without examples: it is not in the metadata, and asking for it is a clear error.
    whole = load("c4/en:1.0.0", data_dir=str(out), download=False)
    assert {split: len(examples) for split, examples in whole.items()} == {"train": 3}
    with pytest.raises(ValueError, match="Unknown split 'validation'"):
        load("c4/en:1.0.0", split="validation", data_dir=str(out), download=False)


def test_a_variant_without_any_page_has_an_empty_train_split(sources, tmp_path):
    """TFDS opens it and counts its examples; to read a split without any is what it refuses, whoever wrote it."""
    tfds = pytest.importorskip("tensorflow_datasets")
    nowhere = tmp_path / "nowhere.txt"
    nowhere.write_text("http://example.org/not-in-the-crawl\n")
    request = sources.request(tmp_path / "out", webtext_urls=[str(nowhere)], variants=("en", "webtextlike"))
    assert build(request)["webtextlike"]["splits"] == {"train": 0, "validation": 0}
    builder = tfds.builder("c4/webtextlike:1.0.0", data_dir=str(tmp_path / "out"))
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 0}
    with pytest.raises(ValueError, match="corresponds to no data"):
        builder.as_dataset(split="train")
