"""Inputs that cannot be fetched: no damage. The run stops before it deduplicates, or goes on without them where it may."""

import json
from pathlib import Path

import pytest
import wet_files
from builds import build, shards
from command import run_command
from faulty_server import serving
from test_samples import chance

from c4build.corpora.c4 import Request, prepare, read_summary
from c4build.errors import CorruptFileError, MissingInputsError
from c4build.flow.local import run
from c4build.read import attempts, hosts
from c4build.read.hosts import Transport
from c4build.write.samples import read_samples

QUICK = Transport(tries=2, backoff=0.01, longest_wait=0.05, pause=0.01)


@pytest.fixture
def server(sources):
    files = {Path(path).name: Path(path).read_bytes() for path in sources.wet}
    with serving(files) as server:
        yield server


@pytest.fixture(scope="module")
def expected(sources, tmp_path_factory):
    """The shards that come of the inputs as local files."""
    out = tmp_path_factory.mktemp("local")
    build(sources.request(out, shards=6))
    return shards(out)


def run_remote(sources, server, out, most: int = 0, **changes) -> dict:
    urls = [f"{server.url}/{name}" for name in server.files]
    return run_quick(sources.request(out, **{"inputs": urls, "shards": 6, **changes}), most)


def run_quick(request: Request, most: int) -> dict:
    """A build of inputs that are asked for twice, of which so many may be missing."""
    prepared = prepare(request)
    plan = prepared.plan
    finish = plan.finish._replace(run=plan.run._replace(most_missing=most))
    run(prepared._replace(plan=plan._replace(transport=QUICK, finish=finish)))
    return read_summary(prepared.folders)


def fetched(server) -> list[str]:
    return sorted({sent.path for sent in server.sent if not sent.fault})


@pytest.mark.parametrize("fault", ["503", "403", "html", "404"])
def test_a_run_stops_before_it_deduplicates_where_an_input_cannot_be_fetched(
    sources, server, expected, tmp_path, fault
):
    first = next(iter(server.files))
    server.fault = lambda path: fault if path == first else ""
    with pytest.raises(MissingInputsError, match="run again to fetch 1 of 3 files, or .* --allow-missing 1") as raised:
        run_remote(sources, server, tmp_path)
    assert f"1 of 3 inputs could not be fetched ({server.url}/{first}: " in str(raised.value)
    listed = tmp_path / ".c4build/missing.txt"
    assert listed.read_text() == f"{server.url}/{first}\n"
    assert len(list(tmp_path.glob(".c4build/pages-*/*.pages"))) == 2
    assert not list(tmp_path.glob(".c4build/keys/*")) and not list(tmp_path.rglob("dataset_info.json"))
    server.fault = lambda path: ""
    server.sent.clear()
    run_remote(sources, server, tmp_path)
    assert fetched(server) == [first]
    assert shards(tmp_path) == expected and not listed.exists()


def test_a_run_that_may_goes_on_without_an_input_and_says_so_and_the_next_run_fetches_it(
    sources, server, expected, tmp_path
):
    *_, last = server.files
    server.fault = lambda path: "503" if path == last else ""
    for summary in run_remote(sources, server, tmp_path, most=1).values():
        (missing,) = summary["missing"]
        assert missing["input"] == f"{server.url}/{last}" and "503" in missing["why"]
        assert [source["read_to_its_end"] for source in summary["inputs"]] == [True, True, False]
        assert summary["pages"] == summary["kept"] + sum(summary["dropped"].values()) > 0
    before = {path: path.stat().st_ino for path in tmp_path.glob("c4/*/*/*train*")}
    content = shards(tmp_path)
    server.fault = lambda path: ""
    server.sent.clear()
    assert all(not summary["missing"] for summary in run_remote(sources, server, tmp_path).values())
    assert fetched(server)[1:] == [last]  # the first input is looked at before any work
    assert shards(tmp_path) == expected
    same = [
        path for path in before if content[str(path.relative_to(tmp_path))] == expected[str(path.relative_to(tmp_path))]
    ]
    assert same and any(before[path] == path.stat().st_ino for path in same), "no unit was kept"


def test_an_input_that_came_back_takes_no_sample_from_a_unit_that_was_made_without_it(tmp_path):
    """Its newer copies displace the pages with the lowest hashes, and are dropped themselves: the next ones are samples."""
    pages = sorted(wet_files.pages(0, 40), key=chance)
    newer = [
        page._replace(text=f"{page.text}\nA blorptastic fellow, said {page.url}.", date="2019-04-20T12:00:00Z")
        for page in pages[:6]
    ]
    parts = pages[:6], pages[6:], newer
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    with serving({f"{at}.warc.wet.gz": b"".join(wet_files.members(part)) for at, part in enumerate(parts)}) as server:

        def kept(out) -> list[str]:
            urls, words = [f"{server.url}/{name}" for name in server.files], str(tmp_path / "bad.txt")
            request = Request(urls, str(out), rules="c4-3.1.0", bad_words=words, shards=3, samples=3)
            (manifest,) = run_quick(request, most=1).values()
            return [sample.url for sample in read_samples(manifest["folder"]) if sample.rule == "kept"]

        *_, last = server.files
        server.fault = lambda path: "503" if path == last else ""
        assert kept(tmp_path / "out") == [page.url for page in pages[:3]]
        server.fault = lambda path: ""
        with pytest.raises(CorruptFileError, match="beside pages that have changed since; run the same command again"):
            kept(tmp_path / "out")
        expected = kept(tmp_path / "at once")
        assert kept(tmp_path / "out") == expected == [page.url for page in pages[6:9]]


def test_a_server_that_throttles_is_asked_no_more(sources, server, tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "THROTTLING_HOSTS", {"127.0.0.1"})
    monkeypatch.setattr(attempts, "DEFAULT", QUICK)  # as the first input is looked at
    server.fault = lambda path: "403"
    with pytest.raises(
        MissingInputsError, match="3 of 3 inputs could not be fetched .* answers 403, its way to slow down"
    ):
        run_remote(sources, server, tmp_path)
    assert len(server.times) <= QUICK.tries + 2


def test_what_the_key_stages_made_is_found_by_the_next_run(sources, tmp_path):
    request = sources.request(tmp_path, shards=2)
    prepared = prepare(request)
    finish = prepared.plan.finish
    broken = prepared.plan._replace(finish=finish._replace(run=finish.run._replace(format="no such format")))
    with pytest.raises(Exception, match="no such format"):
        run(prepared._replace(plan=broken))
    made = {path: path.stat().st_ino for path in tmp_path.glob(".c4build/keys/*")}
    kinds = {path.name.partition("-")[0] for path in made}
    assert kinds == {"urls", "losses", "keys", "repeats", "cut"}
    victim = max(made, key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-1])
    seen = {}
    prepared = prepare(request)
    with pytest.raises(Exception, match="no such format"):
        run(prepared._replace(plan=broken))
    seen = {path: path.stat().st_ino for path in tmp_path.glob(".c4build/keys/*")}
    assert {path for path in made if seen[path] != made[path]} == {victim}
    build(request)
    assert not list(tmp_path.glob(".c4build/keys/*"))
    assert json.loads(next(tmp_path.rglob("c4build.json")).read_text())["pages"] == 93


def test_the_command_names_what_is_missing_and_exits_with_1(sources, server, tmp_path):
    first = next(iter(server.files))
    urls = [f"{server.url}/{name}" for name in server.files]
    server.fault = lambda path: "404" if path == first else ""
    arguments = ["build", *urls, "--out", tmp_path, "--badwords", sources.bad_words, "--workers", 1, "--shards", 2]
    done = run_command(*arguments)
    (line,) = done.error_lines
    assert (
        done.code == 1
        and f"1 of 3 inputs could not be fetched ({urls[0]}: " in line
        and "run again to fetch 1 of 3 files" in line
    )
    done = run_command(*arguments, "--allow-missing", "34%")
    assert done.code == 1 and done.error_lines[0].startswith(f"missing: {urls[0]}: ") and "404" in done.error_lines[0]
    assert "1 of 3 inputs could not be fetched, and the corpus is without them" in done.error_lines[1]
    server.fault = lambda path: ""
    assert run_command(*arguments).code == 0
    assert run_command(*arguments).out.startswith("c4build: this very corpus is there already; nothing was done\n")
