"""A whole build from a server that fails a third of its requests: the shards of local files, and no server asked too much."""

import gzip
import random
import shutil

import pytest
import wet_files
from builds import build, shards
from command import run_command
from faulty_server import serving

from c4build.corpora.c4 import prepare
from c4build.corpora.options import Request
from c4build.errors import MissingInputsError
from c4build.flow.local import run
from c4build.read import attempts, hosts, stores
from c4build.read.hosts import Transport

HOST = "http://data.commoncrawl.org"  # as Common Crawl's by its name, so that 403 throttles; asked through a proxy
BLOCK = 1 << 17  # bytes
FAULTS = ("403", "429", "429 date", "503", "503 after", "cut", "chunked cut", "reset", "stall", "long", "short", "html")
BREAKS = {"cut", "chunked cut", "reset", "stall", "long", "short"}
BOUND = 1  # connections, of two worker processes together
QUICK = Transport(read_timeout=1, tries=40, backoff=0.002, longest_wait=0.02, pause=0.01)


@pytest.fixture
def files(tmp_path) -> dict[str, bytes]:
    """WET files of two blocks each, not packed, most of which is a page that no rule keeps."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(16):
        filling = random.Random(number).randbytes(100_000).hex()
        written = [*wet_files.pages(30 * number, 30), wet_files.Written("http://example.org/code", filling)]
        data = [gzip.compress(record, 0, mtime=0) for record in map(wet_files.record, written)]
        (folder / f"{number:02d}.warc.wet.gz").write_bytes(b"".join(data))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def proxied(monkeypatch):
    """Leads this process and its workers to a server under Common Crawl's name."""
    hosts.forget()
    stores.forget_stores()
    monkeypatch.setattr(attempts, "DEFAULT", QUICK)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield lambda server: monkeypatch.setenv("http_proxy", server.url)
    hosts.forget()
    stores.forget_stores()


def badly(seed: int, share: float = 1 / 3):
    """What becomes of the n-th request for a file: drawn from the seed, whichever worker asks."""
    asked: dict[str, random.Random] = {}

    def fault(path: str) -> str:
        choose = asked.setdefault(path, random.Random(f"{seed} {path}"))
        return choose.choice(FAULTS) if choose.random() < share else ""

    return fault


def build_from(server, out, workers: int, **changes):
    request = Request([f"{HOST}/{name}" for name in server.files], str(out), shards=4, max_connections=BOUND, **changes)
    prepared = prepare(request)
    transport = QUICK._replace(most_connections=BOUND, slots_folder=prepared.plan.transport.slots_folder)
    run(prepared._replace(plan=prepared.plan._replace(transport=transport)), workers)


def fetched(server) -> list[str]:
    return [sent.path for sent in server.sent]


def test_a_build_from_a_server_that_fails_a_third_of_its_requests_is_that_of_local_files(files, proxied, tmp_path):
    build(Request([str(tmp_path / "in")], str(tmp_path / "local"), shards=4))
    expected, out, lost = shards(tmp_path / "local"), tmp_path / "out", min(files)
    bad = badly(seed=583)
    with serving(files, lambda path: "503" if path == lost else bad(path)) as server:
        proxied(server)
        server.stall, server.between = 3, 0.001
        server.head_faults = (status for _ in iter(int, 1) for status in (None, None, 503))
        with pytest.raises(
            MissingInputsError, match=f"1 of 16 inputs could not be fetched .*{lost}.*503.*run again to fetch 1 of 16"
        ):
            build_from(server, out, workers=2)
        assert (out / ".c4build/missing.txt").read_text() == f"{HOST}/{lost}\n"
        assert {sent.fault for sent in server.sent} >= BREAKS - {"long"} | {"html"}
        for name in files:
            broken = [sent for sent in server.sent if sent.path == name and sent.fault in BREAKS]
            assert server.sent_twice(name) <= BLOCK * len(broken), (name, broken)
        assert server.most_open == server.most_connected == BOUND

        server.fault = lambda path: ""
        server.sent.clear()
        build_from(server, out, workers=1)
        assert fetched(server) == [lost, lost], "it is looked at, and read; what was fetched is not fetched again"
        assert shards(out) == expected

        changed = max(files)
        shutil.copy(wet_files.write_wet(tmp_path / "new", wet_files.pages(9000, 50)), tmp_path / "in" / changed)
        server.files[changed] = (tmp_path / "in" / changed).read_bytes()
        server.etags[changed] = '"another"'
        server.sent.clear()
        build_from(server, out, workers=1, overwrite=True)
        assert fetched(server) == [min(files), changed], "the first is looked at before any work"
        build(Request([str(tmp_path / "in")], str(tmp_path / "local"), shards=4, overwrite=True))
        assert shards(out) == shards(tmp_path / "local") != expected


@pytest.mark.slow
def test_the_command_itself_waits_a_minute_for_a_server_that_stalls_and_goes_on(files, proxied, tmp_path):
    build(Request([str(tmp_path / "in")], str(tmp_path / "local"), shards=4))
    urls = [f"{HOST}/{name}" for name in files]
    faults = iter(("", "stall", "429", "503 after", "cut"))
    with serving(files, lambda path: next(faults, "")) as server:
        server.stall = 90
        arguments = [
            "build",
            *urls,
            "--out",
            tmp_path / "out",
            "--shards",
            4,
            "--workers",
            2,
            "--max-connections",
            BOUND,
        ]
        done = run_command(*arguments, environment={"http_proxy": server.url, "no_proxy": "", "NO_PROXY": ""})
        assert (done.code, done.error_lines) == (0, [])
        assert server.times[2] - server.times[1] > 60 and server.most_connected == BOUND
    assert shards(tmp_path / "out") == shards(tmp_path / "local")
