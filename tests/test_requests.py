"""What a whole build asks of the store that OUT lies in, counted by the servers: few requests an object, few bytes twice.
And what it sends through shuffles, counted where each begins."""

import re
from collections import Counter
from contextlib import nullcontext

import apache_beam as beam
import pytest
import wet_files
from apache_beam.coders import registry
from command import run_command
from object_servers import BUCKET, serving_gcs, serving_s3

from c4build.corpora.c4 import prepare, read_summary
from c4build.corpora.options import Request
from c4build.corpora.plan import measure_sample, project
from c4build.flow.local import run
from c4build.flow.prices import load_prices
from c4build.flow.stages import Keyed

MOST_REQUESTS = 4  # an object
MOST_READ = 1.3  # bytes read of OUT for each that was written there
MOST_SHUFFLED = 220  # bytes a page read, by the rules of TFDS, whose own flow shuffles 8,286 for such pages


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """WET files whose page files are so large that a Parquet reader would fetch their ends by requests of their own."""
    folder = tmp_path_factory.mktemp("in")
    for number in range(4):
        seeds = range(100 * number, 100 * number + 20)
        held_out = [wet_files.Written(url, wet_files.text(seeds[0])) for url in wet_files.validation_urls(1)]
        written = [wet_files.Written(f"http://example.org/{seed}", wet_files.text(seed, 800)) for seed in seeds]
        wet_files.write_wet(folder / f"{number}.warc.wet.gz", written + held_out)
    return folder


def build(inputs, out: str, environment):
    """Four files into three shards: two files have a part in two of them."""
    arguments = ["build", inputs, "--out", out, "--shards", 3, "--rules", "c4-3.1.0", "--workers", 2]
    done = run_command(*arguments, environment=environment)
    assert (done.code, done.error_lines) == (0, []), done.err[-800:]


def by_kind(counts: Counter) -> dict[str, int]:
    """The most of any object of a kind, for whoever reads a failure."""
    found: dict[str, int] = {}
    for path, count in counts.items():
        kind = path.rpartition(".")[2]
        found[kind] = max(found.get(kind, 0), count)
    return found


def test_a_build_in_s3_takes_four_requests_an_object_and_reads_little_more_than_it_writes(inputs):
    with serving_s3() as (server, environment), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        import boto3

        boto3.client("s3").create_bucket(Bucket=BUCKET)
        server.seen.clear()
        build(inputs, f"s3://{BUCKET}/out", environment)
        objects = Counter(seen.path for seen in server.seen if "/" in seen.path)
        assert max(objects.values()) <= MOST_REQUESTS, by_kind(objects)
        requests, written = len(server.seen), [seen for seen in server.seen if seen.method == "PUT"]
        assert requests <= MOST_REQUESTS * len(written), "those that list the bucket among them"
        share = server.bytes_out.total() / server.bytes_in.total()
        assert share <= MOST_READ
        print(f"{requests} requests, {len(written)} objects, {share:.2f} bytes read for each written")
        counted = [seen.method for seen in server.seen if COUNTED.search(seen.path)]
        planned = planned_requests(inputs)
        assert planned["writes to OUT"] == pytest.approx(counted.count("PUT"), rel=0.02)
        assert planned["reads from OUT"] == pytest.approx(counted.count("GET") + counted.count("HEAD"), rel=0.02)


# What grows with the build, which is what a plan counts; not what a run says of itself, and its few small files.
COUNTED = re.compile(r"/pages-\w+/.*\.(pages|keys|samples)$|/units/|/keys/|-of-\d+|/samples\.jsonl$|/statistics\.json$")


def planned_requests(inputs) -> dict[str, float]:
    request = Request([str(inputs)], "", shards=3, rules="c4-3.1.0")
    measured = measure_sample(request, 4, 0, nullcontext, lambda line: None)
    found = project(measured, request, 0, 2, (0.0, 0.0), load_prices(None))["estimates"]
    assert found["bytes"]["kept as samples"]["value"] > 0
    return {name: one["value"] for name, one in found["requests"].items()}


def test_a_build_in_google_cloud_storage_takes_four_requests_an_object(inputs):
    with serving_gcs() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.items():
            patch.setenv(name, value)
        from google.cloud import storage

        storage.Client(project="test").create_bucket(BUCKET)
        server.seen.clear()
        build(inputs, f"gs://{BUCKET}/out", dict(server))
        # An object is written by one request, which names it in its body only.
        read = Counter(
            seen.path for seen in server.seen if seen.method == "GET" and seen.path.startswith(f"{BUCKET}/out")
        )
        assert 0 < max(read.values()) <= MOST_REQUESTS - 1, by_kind(read)
        written = [seen for seen in server.seen if seen.method == "POST"]
        assert len(server.seen) <= MOST_REQUESTS * len(written)


# Shuffles

_SHUFFLED: Counter = Counter()  # bytes by shuffle


def _count(element, shuffle: str, coder):
    _SHUFFLED[shuffle] += len(coder.encode(element))
    return element


class CountedGroupByKey(beam.PTransform):
    """Counts what is sent, as bytes by the coder that sends it. For builds in this very process."""

    group_by_key = beam.GroupByKey

    def expand(self, pcoll):
        name, coder = pcoll.producer.full_label, registry.get_coder(Keyed)
        counted = pcoll | "Count" >> beam.Map(_count, name, coder).with_output_types(Keyed)
        return counted | "Send" >> self.group_by_key()


def test_of_a_page_read_220_bytes_go_through_shuffles(shared, tmp_path, monkeypatch):
    """As where OUT is in a store: keys go by the shuffle, and with each page file what stands at its end."""
    monkeypatch.setattr(beam, "GroupByKey", CountedGroupByKey)
    monkeypatch.setattr("c4build.flow.clean.is_local", lambda path: False)
    _SHUFFLED.clear()
    prepared = prepare(Request([str(shared / "wet")], str(tmp_path), rules="c4-3.1.0"))
    run(prepared._replace(plan=prepared.plan._replace(key_files=None)))
    (summary,) = read_summary(prepared.folders).values()
    pages, a_page = summary["pages"], _SHUFFLED.total() / summary["pages"]
    for name, size in _SHUFFLED.most_common():
        print(f"{name:30}{size / pages:8.1f} bytes a page")
    print(f"{a_page:.0f} bytes a page of {pages:,}")
    assert pages > 8000 and 100 < a_page <= MOST_SHUFFLED
