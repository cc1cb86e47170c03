"""`--write-dropped` writes every page that is dropped, with the reason that `explain` tells."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pandas
import pyarrow.parquet as pq
import pytest
from builds import build, made, shards
from command import run_command
from test_explain import explained

from c4build.corpora.examples import find_shards, read_shard
from c4build.rules.tables import RULE_SETS
from c4build.write.verify import verify


def written(folder, format: str) -> list[dict]:
    if format == "parquet":
        return [row for path in sorted(Path(folder).glob("_c4-dropped-*")) for row in pq.read_table(path).to_pylist()]
    return [json.loads(line) for path in sorted(Path(folder).glob("_c4-dropped.*")) for line in gzip.open(path)]


@pytest.mark.parametrize("rules, format", [*zip(RULE_SETS, ["jsonl", "jsonl", "parquet"])])
def test_all_dropped_pages_are_written_with_their_reasons(rules, format, sources, tmp_path):
    (tmp_path / "optout.txt").write_text(".example.net\n")
    asked = sources.request(tmp_path / "a", rules=rules, exclude=str(tmp_path / "optout.txt"), format="parquet")
    request = asked._replace(write_dropped=format)
    for name, manifest in build(request).items():
        told = explained(request._replace(variants=[name]), request.out)
        found = written(manifest["folder"], format)
        assert Counter((one["url"], one["timestamp"], one["reason"]) for one in found) == Counter(
            (one.page.url, one.page.timestamp, one.fate) for one in told if one.page and one.fate != "kept"
        )
        read = {one.page.body.decode() for one in told if one.page}
        assert all(one["text"] in read for one in found if one["reason"] in ("excluded", "curly_bracket"))
        assert verify(manifest["folder"]).wrong == []
        read_as_kept = [page for shard in find_shards(manifest["folder"]) for page in read_shard(shard)]
        assert len(read_as_kept) == len(pandas.read_parquet(manifest["folder"])) == manifest["kept"]
    build(asked._replace(out=str(tmp_path / "b")))
    compared = run_command("diff", tmp_path / "a", tmp_path / "b", "--json")
    assert compared.code == 0, compared.err
    kept = {path: data for path, data in shards(tmp_path / "a").items() if "-dropped" not in path}
    assert kept == shards(tmp_path / "b"), "what is kept is not the same"


@pytest.mark.slow
def test_two_workers_write_the_same_dropped_pages_and_another_format_is_refused(sources, tmp_path):
    for workers in (1, 2):
        build(sources.request(tmp_path / str(workers), write_dropped="jsonl", shards=2, variants=["en"]), workers)
    assert made(tmp_path / "1") == made(tmp_path / "2")
    done = run_command("build", sources.wet[0], "--out", tmp_path / "x", "--write-dropped", "csv")
    assert (done.code, done.err) == (2, "c4build: --write-dropped csv: there are jsonl, parquet\n")
