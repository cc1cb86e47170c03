"""What tells an input from another of its name, on real servers; lists of paths; what is refused before any work."""

import gzip
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import wet_files

from c4build.errors import UsageError
from c4build.flow.inputs import read_inputs, slices_of, write_inputs
from c4build.read import attempts, stores
from c4build.read.finding import find_files, find_inputs
from c4build.read.paths import InputError, identify, identify_all, open_input

WHOLE = b"".join(wet_files.members(wet_files.pages(0, 5)))


class Server(ThreadingHTTPServer):
    """Serves one body under any path, as `state` says: headers, a length that is not true, answers to HEAD."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.etag, self.head, self.length, self.sent, self.asked = WHOLE, '"a"', 200, "true", None, []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/x.warc.wet.gz"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _headers(self, length: bool):
        if length:
            self.send_header("Content-Length", str(len(self.server.body)))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()

    def do_HEAD(self):
        self.server.asked.append(self.path)
        self.send_response(self.server.head)
        self._headers(True)

    def do_GET(self):
        self.send_response(200)
        self._headers(self.server.length == "true")
        self.wfile.write(self.server.body[: self.server.sent])
        self.close_connection = True


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What is in vain is not tried for half a minute; no client of another test's server is used again."""
    monkeypatch.setattr(attempts, "DEFAULT", attempts.DEFAULT._replace(tries=3, backoff=0.01))
    stores.forget_stores()


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def read_all(source) -> bytes:
    data = b""
    with open_input(source) as file:
        while block := file.read(1 << 16):
            data += block
    return data


def test_a_remote_file_is_told_by_its_size_and_etag(server):
    first = identify(server.url)
    assert first.size == len(WHOLE) and read_all(first) == WHOLE
    assert identify(server.url) == first
    server.etag = '"b"'
    assert identify(server.url).identity != first.identity
    assert len(first.identity) == 16 and set(first.identity) <= set("0123456789abcdef")


def test_a_server_that_does_not_answer_head_gives_the_path_alone(server):
    server.head = 405
    source = identify(server.url)
    assert (source.size, source.version) == (-1, "")
    assert read_all(source) == WHOLE


def test_many_files_are_asked_for_and_common_crawls_own_are_not(server):
    paths = [f"{server.url}?{number}" for number in range(30)]
    found = identify_all([*paths, "https://data.commoncrawl.org/crawl-data/x.warc.wet.gz"])
    assert [source.path for source in found[:-1]] == paths and found[-1].size == -1
    assert len(server.asked) == 30


@pytest.mark.parametrize("change", ({"etag": '"b"'}, {"body": WHOLE + WHOLE}))
def test_a_remote_file_that_was_replaced_is_noticed_when_it_is_opened(server, change):
    source = identify(server.url)
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(InputError, match="it has changed since the run began"):
        open_input(source)


@pytest.mark.parametrize("length", ("true", "none"))
def test_a_body_that_is_cut_is_noticed_with_and_without_a_content_length(server, length):
    source = identify(server.url)
    server.sent, server.length = len(WHOLE) // 2, length
    with pytest.raises(InputError, match="cannot be read on|it was cut short"):
        read_all(source)


def test_a_server_that_is_not_there_costs_no_more_than_a_few_tries():
    found = identify_all([f"http://127.0.0.1:9/{number}.wet.gz" for number in range(50)])
    assert {source.size for source in found} == {-1}
    with pytest.raises(InputError, match="cannot be opened"):
        open_input(found[0])


def test_an_object_of_s3_that_was_replaced_is_noticed(monkeypatch):
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.server")
    service = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    service.start()
    try:
        host, port = service.get_host_and_port()
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="crawl")
        client.put_object(Bucket="crawl", Key="x.wet.gz", Body=WHOLE)
        source = identify("s3://crawl/x.wet.gz")
        assert source.size == len(WHOLE) and read_all(source) == WHOLE
        client.put_object(Bucket="crawl", Key="x.wet.gz", Body=WHOLE[:-1] + b"x")
        assert identify("s3://crawl/x.wet.gz").identity != source.identity
        with pytest.raises(InputError, match="it has changed since the run began"):
            open_input(source)
        assert identify("s3://crawl/gone.wet.gz").size == -1
    finally:
        service.stop()


def test_a_local_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "x.wet.gz"
    path.write_bytes(WHOLE)
    source = identify(str(path))
    with open_input(source) as file:
        file.read(100)
        with open(path, "ab") as more:
            more.write(b"more")
        with pytest.raises(InputError, match="it changed while it was read"):
            while file.read(1 << 16):
                pass
    with pytest.raises(InputError, match="it has changed since the run began"):
        open_input(source)
    os.utime(path, ns=(0, 5))
    with pytest.raises(InputError, match="its time is another"):
        open_input(identify(str(path))._replace(version="7"))


@pytest.mark.parametrize("encoding", ("utf-8", "utf-8-sig", "utf-16"))
@pytest.mark.parametrize("end", ("\n", "\r\n", "\r"))
def test_lists_of_paths_may_have_comments_marks_and_any_line_ends(tmp_path, encoding, end):
    path = wet_files.write_wet(tmp_path / "a.warc.wet.gz", wet_files.pages(0, 2))
    text = end.join(["# a comment", "a.warc.wet.gz", "", "  # another", ""])
    (tmp_path / "wet.paths").write_bytes(text.encode(encoding))
    assert [source.path for source in find_inputs([str(tmp_path / "wet.paths")])] == [path]


def test_a_file_by_several_names_is_one_input(tmp_path, monkeypatch):
    path = wet_files.write_wet(tmp_path / "a.warc.wet.gz", wet_files.pages(0, 2))
    (tmp_path / "sub").mkdir()
    (tmp_path / "z.warc.wet.gz").symlink_to(path)
    (tmp_path / "wet.paths").write_text("./a.warc.wet.gz\nsub/../a.warc.wet.gz\nz.warc.wet.gz\n")
    monkeypatch.chdir(tmp_path)
    names = [
        "a.warc.wet.gz",
        "./a.warc.wet.gz",
        "sub/../a.warc.wet.gz",
        "z.warc.wet.gz",
        "wet.paths",
        ".",
        f"file://{path}",
    ]
    for given in (names, names[::-1]):
        assert [source.path for source in find_inputs(given)] == [path]


def test_a_path_through_a_symbolic_link_and_back_names_the_file_that_the_system_opens(tmp_path):
    (tmp_path / "far/away").mkdir(parents=True)
    path = wet_files.write_wet(tmp_path / "far/a.warc.wet.gz", wet_files.pages(0, 2))
    (tmp_path / "link").symlink_to(tmp_path / "far/away")
    assert [source.path for source in find_inputs([f"{tmp_path}/link/../a.warc.wet.gz"])] == [path]


def test_a_file_of_common_crawl_is_the_same_by_either_address():
    """So that what was read of it `--from https` serves `--from s3`, and the other way round. Nothing is asked for."""
    key = "crawl-data/CC-MAIN-2019-18/segments/1/wet/a.warc.wet.gz"
    https, s3 = f"https://data.commoncrawl.org/{key}", f"s3://commoncrawl/{key}"
    by_https, by_s3, other = (identify_all([path])[0] for path in (https, s3, https.replace("/a.", "/b.")))
    assert by_https.identity == by_s3.identity != other.identity
    assert [source.path for source in find_files([s3, https], (".gz",))] == [https]


def warc(kind: str) -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n"
    return b"".join(map(gzip.compress, (wet_files.info_record(), head.encode())))


@pytest.mark.parametrize("kind", ("response", "request", "metadata"))
def test_a_warc_file_is_refused_before_any_work(tmp_path, kind):
    path = tmp_path / "b.warc.gz"
    path.write_bytes(warc(kind))
    wet_files.write_wet(tmp_path / "a.warc.wet.gz", wet_files.pages(0, 2))
    with pytest.raises(UsageError, match=f"b.warc.gz: it holds WARC records of type {kind}; c4build reads WET"):
        find_inputs([str(path), str(tmp_path)])


def test_a_remote_warc_file_is_refused_before_any_work(server):
    server.body = warc("response")
    with pytest.raises(UsageError, match="it holds WARC records of type response"):
        find_inputs([server.url])


def test_inputs_that_are_all_html_are_refused_and_one_bad_download_is_not(tmp_path, server):
    (tmp_path / "a.warc.wet.gz").write_bytes(b"<!doctype html><p>503</p>")
    with pytest.raises(UsageError, match="it holds HTML"):
        find_inputs([str(tmp_path)])
    wet_files.write_wet(tmp_path / "b.warc.wet.gz", wet_files.pages(0, 2))
    assert len(find_inputs([str(tmp_path)])) == 2
    server.body = b"<!doctype html><p>503</p>"
    assert len(find_inputs([server.url])) == 1, "the server may have the file the next time"


@pytest.mark.parametrize("data", (b"", b"text", WHOLE[:50], WHOLE[:-10], b"\x1f\x8b\x08" + bytes(50), b"x" + WHOLE))
def test_a_damaged_file_is_not_refused(tmp_path, data):
    (tmp_path / "a.warc.wet.gz").write_bytes(data)
    assert len(find_inputs([str(tmp_path)])) == 1


@pytest.mark.parametrize("files", [1, 5, 64, 65, 999, 1000, 1001, 2500, 64_000])
def test_inputs_are_dealt_out_in_as_many_slices_as_a_runner_may_work_on_and_each_once(tmp_path, files):
    """What is created at the start bounds what Dask works on side by side; a list is parsed once a slice at the most."""
    inputs = [[f"/in/{number}", number, f"{number:016x}", f"/pages/{number}"] for number in range(files)]
    slices = slices_of(files)
    assert min(files, 1000) // 2 < len(slices) <= 1000
    assert [number for first, stop in slices for number in range(first, stop)] == list(range(files))
    if files > 2500:
        assert all(first % 64 == 0 and stop - first == 64 for first, stop in slices)  # one list each
        inputs, slices = inputs[:640], slices[:10]
    write_inputs(str(tmp_path / "lists"), inputs)
    assert [source for first, stop in slices for source in read_inputs(str(tmp_path / "lists"), first, stop)] == inputs
