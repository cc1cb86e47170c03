"""A server on loopback that fails as servers do, as it is told, and notes what it has sent."""

import contextlib
import dataclasses
import random
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What can become of a request. "after": with Retry-After in seconds, "date": as a date.
REFUSALS = ("429", "503", "500", "503 after", "429 date", "503 for days", "403")
CUTS = ("cut", "reset", "stall", "wrong range", "no ranges", "chunked cut")
LIES = ("long", "short", "html")
PAGE = b"<!doctype html><title>Service unavailable</title>"


@dataclasses.dataclass
class Sent:
    """One answer with a body, from when it begins."""

    path: str
    fault: str
    start: int  # in the file
    size: int  # bytes of the body that were sent; known before the last of them is, or else when who asked has gone
    agent: str


class Server(ThreadingHTTPServer):
    """Serves `files`, as a server or as the proxy of any. `fault` gives what becomes of the next GET, empty for nothing wrong."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes], fault: Callable[[str], str] | None = None, host: str = "127.0.0.1"):
        super().__init__((host, 0), _Handler)
        self.files, self.fault = files, fault or (lambda path: "")
        self.etags = {path: f'"{path}-1"' for path in files}
        self.sent: list[Sent] = []
        self.heads: list[str] = []  # asked for by HEAD
        self.head_faults: Iterator[int] = iter(())  # statuses of the next answers to that
        self.times: list[float] = []  # of requests
        self.conditions: list[tuple[str, str]] = []  # what they said of Range and If-Range
        self.choose = random.Random(5)
        self.block, self.between = 1 << 16, 0.0  # how it sends: bytes, and seconds between them
        self.stall = 1.5
        self.live: set[socket.socket] = set()  # connections
        self.busy: set[socket.socket] = set()  # those with a body under way
        self.most_open = self.most_connected = self.connections = 0  # bodies and connections at once; ever made
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.server_address)

    def handle_error(self, *_):
        pass  # the other side has gone

    def connect(self, connection: socket.socket):
        with self.lock:
            self.connections += 1
            self.live.add(connection)
            self.most_connected = max(self.most_connected, sum(map(is_open, self.live)))

    def begin(self, connection: socket.socket):
        with self.lock:
            self.busy.add(connection)
            self.most_open = max(self.most_open, sum(map(is_open, self.busy)))

    def end(self, connection: socket.socket, live: bool = True):
        with self.lock:
            self.busy.discard(connection)
            if not live:
                self.live.discard(connection)

    def sent_twice(self, name: str) -> int:
        """Bytes of a file that were sent more than once; what is no part of the file is not counted."""
        seen, total = bytearray(len(self.files[name])), 0
        for sent in self.sent:
            if sent.path == name and sent.fault != "html":
                seen[sent.start : sent.start + sent.size] = b"\1" * sent.size
                total += sent.size
        return total - sum(seen)


def is_open(connection: socket.socket) -> bool:
    """False where the other side has closed it, though the server may not have noticed yet."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _name_in(target: str) -> str:
    """The file that a request names; a proxy is asked for whole addresses."""
    return re.sub(r"^http://[^/]*", "", target).lstrip("/")


@contextlib.contextmanager
def serving(files: dict[str, bytes], fault: Callable[[str], str] | None = None, host: str = "127.0.0.1"):
    with Server(files, fault, host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        # What is sent and never read by who asked is little: below the block that it may cost.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        self.server.connect(self.connection)

    def finish(self):
        self.server.end(self.connection, live=False)
        super().finish()

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        name = _name_in(self.path)
        body = self.server.files.get(name)
        self.server.heads.append(name)
        if status := next(self.server.head_faults, None):
            return self._head(status, 0, {})
        self.send_response(200 if body is not None else 404)
        if body is not None:
            self.send_header("ETag", self.server.etags[name])
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()

    def do_GET(self):
        self.server.begin(self.connection)
        try:
            self._get(_name_in(self.path))
        finally:
            self._leave()

    def _leave(self):
        """Counts the request as done: before its last byte, or else the client would know first."""
        self.server.end(self.connection)

    def _get(self, name: str):
        server = self.server
        with server.lock:
            server.times.append(time.monotonic())
            server.conditions.append((self.headers.get("Range", ""), self.headers.get("If-Range", "")))
            fault = server.fault(name)
        body = server.files.get(name)
        if body is None or fault in REFUSALS or fault.isdecimal():
            return self._refuse(fault if body is not None else "404")
        if fault == "html":
            self._leave()
            self._begin(name, fault, 0).size = len(PAGE)
            self._head(200, len(PAGE), {"Content-Type": "text/html; charset=utf-8"})
            return self.wfile.write(PAGE)
        start, etag = 0, server.etags[name]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        unchanged = self.headers.get("If-Range", etag) == etag
        if asked and unchanged and fault != "no ranges":
            start = int(asked[1])
        if start >= len(body) > 0:
            self._leave()
            return self._head(416, 0, {"Content-Range": f"bytes */{len(body)}"})
        headers = {"Content-Type": "application/gzip"} | ({"ETag": etag} if etag else {})
        if start:
            said = start + (fault == "wrong range")
            headers["Content-Range"] = f"bytes {said}-{len(body) - 1}/{len(body)}"
        length = len(body) - start
        sent = self._begin(name, fault, start)
        told = {"long": length + 1000, "short": max(length - 1000, length // 2), "chunked cut": None}.get(fault, length)
        self._head(206 if start else 200, told, headers)
        size = min(length, told or length)
        if fault in ("cut", "reset", "stall", "chunked cut"):
            size = server.choose.randrange(size + (fault == "chunked cut"))
        self._send(sent, body[start : start + size])

    def _begin(self, name: str, fault: str, start: int) -> Sent:
        sent = Sent(name, fault, start, 0, self.headers["User-Agent"])
        with self.server.lock:
            self.server.sent.append(sent)
        return sent

    def _refuse(self, fault: str):
        self._leave()
        after = {"503 after": "0", "429 date": formatdate(usegmt=True), "503 for days": "864000"}.get(fault)
        self._head(int(fault[:3]), 0, {"Retry-After": after} if after else {})

    def _head(self, status: int, length: int | None, headers: dict[str, str]):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))))
        self.end_headers()

    def _send(self, sent: Sent, data: bytes):
        server, fault, done = self.server, sent.fault, 0
        try:
            while done < len(data):
                part = data[done : done + server.block]
                done += len(part)
                if done == len(data):
                    sent.size = done
                    if fault != "stall":
                        self._leave()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if fault == "chunked cut" else part)
                time.sleep(server.between)
        finally:
            sent.size = done
        if fault == "stall":
            select.select([self.connection], [], [], server.stall)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        if fault in ("cut", "reset", "stall", "long", "chunked cut"):
            self.close_connection = True
