"""The card by which `datasets` tells variants apart, and a folder of Parquet. test_docs.py runs docs/reading.md."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from builds import VARIANTS, build

from c4build.report.card import is_ours, write_card

_LOAD = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
out, cache = sys.argv[1:]
found = {}
for name in get_dataset_config_names(out):
    read = load_dataset(out, name, cache_dir=cache)
    found[name] = {split: sorted(row["url"] for row in rows) for split, rows in read.items()}
try:
    load_dataset(out, cache_dir=cache)
    found["without a name"] = "loaded"
except ValueError as error:
    found["without a name"] = str(error).splitlines()[0]
print(json.dumps(found))
"""


def load_all(out: Path, tmp_path: Path) -> dict:
    """What `datasets`, offline, loads by the names of all configs: {config: {split: URLs}}."""
    pytest.importorskip("datasets")
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(out), str(tmp_path / "cache")], capture_output=True, text=True, timeout=200,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


# Of three shards of realnewslike one is empty.
@pytest.mark.parametrize("format, shards", [("jsonl", 3), ("parquet", 1), ("parquet", 3)])
def test_load_dataset_takes_one_variant_by_its_name_and_mixes_none(sources, tmp_path, format, shards):
    out = tmp_path / "out"
    summaries = build(sources.request(out, format=format, shards=shards))
    write_card(str(out))
    found = load_all(out, tmp_path)
    assert found.pop("without a name") == "Config name is missing."
    assert set(found) == {f"c4.{variant}" for variant in VARIANTS}
    counts = {name: {split: len(urls) for split, urls in splits.items()} for name, splits in found.items()}
    assert counts == {f"c4.{variant}": summaries[variant]["splits"] for variant in VARIANTS}


def test_a_card_names_two_versions_apart_and_leaves_out_what_is_not_complete_or_empty(sources, tmp_path):
    out = tmp_path / "out"
    build(sources.request(out, format="jsonl", variants=("en", "en.noclean")))
    build(sources.request(out, format="jsonl", variants=("en",), rules="paper-final"))
    nowhere = tmp_path / "nowhere.txt"
    nowhere.write_text("http://example.org/not-in-the-crawl\n")
    build(sources.request(out, format="jsonl", variants=("webtextlike",), webtext_urls=[str(nowhere)]))
    (out / "c4/en.noclean/1.0.0/c4build.json").unlink()
    build(sources.request(out, variants=("realnewslike",)))  # TFRecords are TFDS's to read
    write_card(str(out))
    names = re.findall(r'config_name: "(.+)"', (out / "README.md").read_text())
    assert names == ["c4.en.1.0.0", "c4.en.1.1.0"]


def test_a_corpus_of_another_format_is_named_but_is_no_config_of_the_card(sources, tmp_path):
    out = tmp_path / "out"
    build(sources.request(out, format="jsonl", variants=("en",)))
    build(sources.request(out, format="parquet", variants=("en.noclean",)))
    write_card(str(out))
    assert set(load_all(out, tmp_path)) - {"without a name"} == {"c4.en"}
    assert 'load_dataset("parquet", data_files={"train": "c4/en.noclean/1.0.0/' in (out / "README.md").read_text()


def test_a_card_of_somebody_else_or_a_changed_one_is_never_touched(sources, tmp_path):
    out = tmp_path / "out"
    build(sources.request(out, format="jsonl", variants=("en",)))
    card = out / "README.md"
    card.write_text("# Mine\n")
    said = f"{card} is not c4build's, or was changed, and is left as it is"
    assert write_card(str(out)) == said and card.read_text() == "# Mine\n"
    card.unlink()
    assert write_card(str(out)) is None and is_ours(card.read_bytes())
    changed = card.read_text() + "One more line.\n"
    card.write_text(changed)
    assert write_card(str(out)) == said and card.read_text() == changed


def test_a_card_of_ours_follows_what_is_there(sources, tmp_path):
    out = tmp_path / "out"
    assert write_card(str(out)) is None and not out.exists()
    build(sources.request(out, format="jsonl", variants=("en",)))
    write_card(str(out))
    first = (out / "README.md").read_bytes()
    write_card(str(out))
    assert (out / "README.md").read_bytes() == first
    build(sources.request(out, format="jsonl", variants=("en.noclean",)))
    write_card(str(out))
    assert '"c4.en.noclean"' in (out / "README.md").read_text()
    for manifest in out.rglob("c4build.json"):
        manifest.unlink()
    assert write_card(str(out)) is None and not (out / "README.md").exists()


def test_pandas_reads_a_folder_of_parquet(sources, tmp_path):
    pandas = pytest.importorskip("pandas")
    said = build(sources.request(tmp_path, format="parquet", shards=3, variants=("en",)))["en"]
    frame = pandas.read_parquet(tmp_path / "c4/en/1.0.0")
    assert len(frame) == said["kept"] and {"text", "url"} <= set(frame.columns)
