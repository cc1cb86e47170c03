"""The kit for other programs: its files are what its script makes, our own build passes it, and it finds what differs."""

import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from builds import build

from c4build.corpora.c4 import Request

KIT = Path(__file__).parent / "kit"


def compare(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, KIT / "compare.py", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("kit")
    build(Request(inputs=[str(KIT / "kit.warc.wet.gz")], out=str(out), rules="c4-3.1.0", format="jsonl"))
    return out / "c4/en/3.1.0"


def test_the_kit_is_what_tfds_says_today(tmp_path):
    spec = importlib.util.spec_from_file_location("make_kit", KIT / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    made, wet = make.cases(), tmp_path / "kit.warc.wet.gz"
    wet.write_bytes(make.wet_bytes(made))
    assert gzip.decompress(wet.read_bytes()) == gzip.decompress(make.WET.read_bytes())
    assert make.jsonl(make.verdicts(made, wet)) == make.VERDICTS.read_text()


def test_a_build_of_ours_passes(built):
    done = compare("--list", f"c4build={built}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_differs_is_counted_by_its_rule_and_named(built, tmp_path):
    pages = [json.loads(line) for shard in built.glob("*.json.gz") for line in gzip.open(shard, "rt")]
    by_url = {page["url"]: page["text"] for page in pages}
    del by_url["http://kit.example/javascript/two-words"]
    by_url["http://kit.example/citations/letter"] += " "
    by_url["http://kit.example/bad-words/word"] = "They said sexy."
    output = tmp_path / "theirs.jsonl"
    output.write_text("".join(json.dumps({"url": url, "text": text}) + "\n" for url, text in by_url.items()))
    done = compare("--list", f"theirs={output}")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert {
        "| javascript | 6 | 5 |",
        "| citations | 12 | 11 |",
        "| bad words | 18 | 17 |",
        "| sentences | 18 | 18 |",
    } <= set(lines)
    assert lines[-3:] == [
        "theirs: citations, letter: other text",
        "theirs: javascript, two words: dropped, TFDS keeps it",
        "theirs: bad words, word: kept, TFDS drops it",
    ]
