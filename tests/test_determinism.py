"""The shards depend on the inputs and the rules alone: every way to come to them gives the same bytes."""

import random
import re
from pathlib import Path

import pytest
from builds import build, made
from command import kill_at_random_moments, run_command

from c4build.corpora.c4 import prepare
from c4build.flow.local import run
from c4build.flow.web import Plan

RULES = ("paper", "c4-3.1.0")


@pytest.fixture(scope="module", params=RULES)
def rules(request):
    return request.param


@pytest.fixture(scope="module")
def expected(rules, sources, tmp_path_factory):
    """The shards of one worker, all inputs, 4 shards."""
    out = tmp_path_factory.mktemp("expected")
    build(sources.request(out, rules=rules, shards=4))
    found = made(out)
    assert len(found) == 5 * (4 + 1 + 2)
    assert sum(map(len, found.values())) > 50_000
    return found


def test_two_workers_write_what_one_writes(sources, rules, expected, tmp_path):
    build(sources.request(tmp_path, rules=rules, shards=4), workers=2)
    assert made(tmp_path) == expected


def test_the_order_of_the_inputs_is_no_matter(sources, rules, expected, tmp_path):
    wet = list(sources.wet)
    random.Random(1).shuffle(wet)
    assert wet != list(sources.wet)
    build(sources.request(tmp_path, rules=rules, shards=4, inputs=wet))
    assert made(tmp_path) == expected


def test_a_rerun_from_nothing_writes_the_same(sources, rules, expected, tmp_path):
    build(sources.request(tmp_path, rules=rules, shards=4))
    assert made(tmp_path) == expected


def test_a_build_with_another_input_added_cleans_that_one_only(sources, rules, expected, tmp_path):
    build(sources.request(tmp_path, rules=rules, shards=4, inputs=sources.wet[:2]))
    before = {path.name: path.stat() for path in tmp_path.rglob("pages-*/*.pages")}
    assert len(before) == 2
    build(sources.request(tmp_path, rules=rules, shards=4, overwrite=True))
    after = {path.name: path.stat() for path in tmp_path.rglob("pages-*/*.pages")}
    assert len(after) == 3
    assert {name: after[name].st_mtime_ns for name in before} == {n: s.st_mtime_ns for n, s in before.items()}
    assert made(tmp_path) == expected


def test_a_build_with_fewer_shards_leaves_none_of_the_old_ones(sources, rules, expected, tmp_path):
    build(sources.request(tmp_path, rules=rules, shards=7))
    assert made(tmp_path) != expected
    build(sources.request(tmp_path, rules=rules, shards=4, overwrite=True))
    assert made(tmp_path) == expected


@pytest.mark.parametrize("number", [1, 2, 3, 5, 50])
def test_the_number_of_shards_changes_where_pages_are_and_nothing_else(sources, rules, expected, tmp_path, number):
    build(sources.request(tmp_path, rules=rules, shards=number, variants=("en",)))
    found = {path: data for path, data in made(tmp_path).items() if "train" in path}
    assert len(found) == number
    reference = {path: data for path, data in expected.items() if "/en/" in path and "train" in path}
    # In order of their numbers the shards hold the same records: only the cuts are elsewhere.
    assert b"".join(found.values()) == b"".join(reference.values())
    assert max(map(len, found.values())) < 3 * len(b"".join(found.values())) / number + 4000


def test_a_variant_comes_out_the_same_alone_and_among_others(sources, rules, expected, tmp_path):
    build(sources.request(tmp_path, rules=rules, shards=4, variants=("webtextlike",)))
    assert made(tmp_path) == {path: data for path, data in expected.items() if "/webtextlike/" in path}


class InGroups(Plan):
    """A plan that takes so many files as one, however few there are."""

    group_size = property(lambda self: self.most_grouped)


@pytest.mark.parametrize(
    "files, bucket_bytes, by_files", [(1, 10**8, False), (2, 500, False), (3, 10**8, True), (3, 100, True)]
)
def test_keys_in_any_groups_and_buckets_by_files_or_the_shuffle_come_to_the_same(
    sources, rules, expected, tmp_path, files, bucket_bytes, by_files
):
    prepared = prepare(sources.request(tmp_path, rules=rules, shards=4))
    changes = {"most_grouped": files, "bucket_bytes": bucket_bytes} | ({} if by_files else {"key_files": None})
    run(prepared._replace(plan=InGroups(*prepared.plan._replace(**changes))))
    assert not list(tmp_path.glob(".c4build/keys/*"))
    assert made(tmp_path) == expected


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("format", ["parquet", "jsonl", "array_record"])
def test_other_formats_are_the_same_each_time(sources, tmp_path, format, workers):
    found = []
    for time, count in enumerate((1, workers)):
        out = tmp_path / str(time)
        build(sources.request(out, format=format, shards=2, variants=("en", "en.noclean")), count)
        found.append(made(out))
    assert found[0] == found[1] and len(found[0]) == 6 + 4


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two worker processes."""
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


@pytest.mark.parametrize(
    "rules", ["paper", pytest.param("c4-3.1.0", marks=pytest.mark.slow)], indirect=True, scope="module"
)
def test_two_dask_workers_write_what_one_process_writes(sources, rules, expected, cluster, tmp_path):
    from dask.distributed import Client

    done = run_command(
        "build", *sources.wet, *sources.options(), "--out", tmp_path, "--rules", rules, "--shards", 4,
        "--runner", "DaskRunner", "--", "--dask_client_address", cluster.scheduler_address,
    )  # fmt: skip
    assert (done.code, done.error_lines) == (0, [])
    assert made(tmp_path) == expected
    with Client(cluster) as client:
        ran = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(ran) == 2 and min(ran.values()) > 0


@pytest.mark.slow
def test_the_report_is_the_same_for_one_worker_two_dask_and_after_kills(sources, rules, cluster, tmp_path):
    def arguments(name, *more) -> list:
        return ["build", *sources.wet, *sources.options(), "--out", tmp_path / name, "--rules", rules, *more]

    ways = {
        "one": ["--workers", 1],
        "two": ["--workers", 2],
        "killed": ["--workers", 1],
        "dask": ["--runner", "DaskRunner", "--", "--dask_client_address", cluster.scheduler_address],
    }
    kill_at_random_moments(arguments("killed", "--workers", 1), tmp_path / "killed", 3, 4)
    for name, more in ways.items():
        assert run_command(*arguments(name, *more)).code == 0
    reports = {name: report_without_times(tmp_path / name) for name in ways}
    assert len(reports["one"]) > 200_000 and reports == dict.fromkeys(ways, reports["one"])


def report_without_times(out: Path) -> str:
    """The report of a folder, without what tells of the folder, of moments and of how long what took."""
    assert run_command("report", out).code == 0
    page = (out / "report.html").read_text().replace(str(out), "OUT")
    for start, stop in (('<h3 id="g1-time">', '<h3 id="g1-rules">'), ('<section id="runs"', "</section>")):
        before, _, rest = page.partition(start)
        page = before + rest.partition(stop)[2]
    page = re.sub(r'<meta name="dcterms.identifier"[^>]*>', "", page)  # a digest of the manifests
    return re.sub(r'<th scope="row">(started|seconds)</th>.*?</tr>', "", page, flags=re.DOTALL)


def test_the_plain_beam_program_writes_what_the_command_writes(sources, rules, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent))
    from pipelines import c4

    lists = ["--badwords", sources.bad_words, "--realnews-domains", sources.domains, "--webtext-urls", sources.urls]
    variants = ",".join(("en", "en.noblocklist", "en.noclean", "realnewslike", "webtextlike"))
    c4.run([*sources.wet, "--out", str(tmp_path), "--rules", rules, "--shards", "4", "--variants", variants, *lists])
    assert made(tmp_path) == expected
    said = capsys.readouterr().out
    assert all(f"{name}: {tmp_path}/c4/{name}/" in said for name in variants.split(","))
