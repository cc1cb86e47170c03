"""What the readers of a process, and of a machine, share of a server: how long to wait, and how many ask at once.

Common Crawl's server is shared by everybody, and blocks whoever asks too much. It answers 403 then: the whole process
waits, and if that does not help the run should end. For its sake there is a bound on connections, ten as in Common
Crawl's own downloader: in a process, and for all processes of a machine that name one folder for the slots.
"""

import fcntl
import os
import random
import re
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

THROTTLING_HOSTS = {"data.commoncrawl.org"}  # where 403 means: not so fast
_SLOT_POLL = 0.1  # seconds


class Transport(NamedTuple):
    """How remote files are fetched; times are seconds."""

    connect_timeout: float = 10
    read_timeout: float = 60  # from one byte to the next
    tries: int = 6  # in a row without a new byte: half a minute, where the server answers at once
    backoff: float = 1  # the least wait between two tries
    longest_wait: float = 300  # also where a server asks for more
    pause: float = 10  # the least wait of all readers of a host that answers 403 to slow them down
    most_connections: int = 10  # bodies open at once, for each server; 0: there is no bound, and nobody else's counts
    slots_folder: str = ""  # of lock files: the bound is for all processes that name it; without, for this process


def backoff(failures: int, settings: Transport, asked: float = 0, draw: Callable[[], float] = random.random) -> float:
    """Seconds to wait after `failures` tries in a row: drawn from [backoff, backoff * 2 ** failures].

    Args:
      failures: how many, at least one.
      settings: of these `backoff`, and `longest_wait`, the bound on all.
      asked: what the server asked for.
      draw: gives numbers from 0 to 1.
    """
    most = settings.backoff * 2 ** min(failures, 60)
    wait = settings.backoff + draw() * (min(most, settings.longest_wait) - settings.backoff)
    return max(wait, min(asked, settings.longest_wait))


class Host:
    """What all readers of this process share of a server: a pause, and the number of open bodies."""

    def __init__(self, name: str):
        self.name = name
        self.throttles = not THROTTLING_HOSTS.isdisjoint((name, name.partition(":")[0]))
        self._changed = threading.Condition()
        self._open = self._refused = 0  # refused: pauses one after another, without an answer between them
        self._declared = self._until = float("-inf")  # the pause
        self._given_up = float("-inf")  # until when nothing is asked of it

    def enter(self, settings: Transport) -> BinaryIO | None:
        """Waits until one more request may be sent. What it returns is to be given to `leave`."""
        while True:
            while (left := self._until - time.monotonic()) > 0:
                time.sleep(left + random.random() * settings.backoff)
            slot = self._take(settings)
            if time.monotonic() >= self._until:
                return slot
            self.leave(slot)

    def _take(self, settings: Transport) -> BinaryIO | None:
        if settings.slots_folder and settings.most_connections:
            return _lock_slot(settings.slots_folder, self.name, settings.most_connections)
        with self._changed:
            self._changed.wait_for(lambda: not settings.most_connections or self._open < settings.most_connections)
            self._open += 1
        return None

    def leave(self, slot: BinaryIO | None):
        if slot is not None:
            _slots.discard(slot)
            slot.close()
            return
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def answered(self, sent: float):
        with self._changed:
            if sent >= self._declared:
                self._refused = 0

    def refused(self, sent: float, settings: Transport, asked: float) -> bool:
        """Starts a pause for all, a longer one each time. True where there were too many in a row."""
        with self._changed:
            if sent >= self._declared:  # else it was under way when the pause began
                self._refused += 1
                self._declared = time.monotonic()
                self._until = self._declared + backoff(self._refused, settings._replace(backoff=settings.pause), asked)
            if self._refused < settings.tries:
                return False
            self._given_up = time.monotonic() + settings.longest_wait
            return True

    @property
    def given_up(self) -> bool:
        """True where it has refused so often that it is left in peace for a while."""
        return time.monotonic() < self._given_up


def _lock_slot(folder: str, host: str, most: int) -> BinaryIO:
    """Locks one of `most` files. The system frees it when the process dies."""
    os.makedirs(folder, exist_ok=True)
    stem = os.path.join(folder, re.sub(r"[^\w.-]", "_", host))
    while True:
        for number in random.sample(range(most), most):
            slot = open(f"{stem}.{number}", "ab")
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _slots.add(slot)
                return slot
            except BlockingIOError:
                slot.close()
        time.sleep(_SLOT_POLL * (0.5 + random.random()))


class Tally(NamedTuple):
    """What it took to fetch inputs."""

    requests: int = 0
    retries: int = 0  # tries in vain after which there was another
    refusals: int = 0  # answers of 403, 429 and 503

    def since(self, before: "Tally") -> "Tally":
        return Tally(*(now - then for now, then in zip(self, before)))


_counted: dict[int, list[int]] = {}  # by thread, which alone changes it


def count(what: str, settings: Transport):
    """Counts one of what a `Tally` has. The stores of outputs, which know no bound on connections, do not count."""
    if settings.most_connections:
        _counted.setdefault(threading.get_ident(), [0] * len(Tally._fields))[Tally._fields.index(what)] += 1


def tally_of_thread() -> Tally:
    return Tally(*_counted.get(threading.get_ident(), ()))


def tally_of_process() -> Tally:
    return Tally(*map(sum, zip(*list(_counted.values()))))


_hosts: dict[tuple[str, bool], Host] = {}  # by name, and whether there is a bound
_slots: set[BinaryIO] = set()
_lock = threading.Lock()


def host_of(path: str, bounded: bool = True) -> Host:
    parts = urlsplit(path)
    server = parts.netloc.rpartition("@")[2].lower()
    name = server if parts.scheme in ("http", "https") else f"{parts.scheme}_{server}"
    with _lock:
        return _hosts.setdefault((name, bounded), Host(name))


def forget():
    """For a process that was forked off: it has connections and slots of its own, and pauses by itself."""
    global _lock
    _lock = threading.Lock()
    for slot in _slots:
        slot.close()
    _slots.clear()
    _hosts.clear()
    _counted.clear()


os.register_at_fork(after_in_child=forget)
