"""Two machines behind bad links, and one with servers: network namespaces, and links in user space (TUN) between them."""

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil

SERVERS = "10.77.0.1"  # the address of the machine with the servers
DELAY, LOSS, RATE = 0.05, 0.01, 50e6  # seconds each way, share of packets, bits a second
QUEUE = 0.2  # seconds that a packet waits at most for those before it


def why_not() -> str:
    """Why network namespaces and links cannot be made here; empty where they can."""
    if not sys.platform.startswith("linux") or not shutil.which("ip"):
        return "needs Linux, and the command ip (iproute2)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "needs /dev/net/tun"
    made = subprocess.run(["ip", "netns", "add", "c4-probe"], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", "c4-probe"], capture_output=True)
    return f"no network namespace can be made: {made.stderr.strip()}" if made.returncode else ""


class Network:
    """Three namespaces, and a link from each worker's to that of the servers."""

    def __init__(self):
        self._names = {name: f"c4-{os.getpid()}-{name}" for name in ("servers", "worker-1", "worker-2")}
        self._links: dict[int, tuple[int, int]] = {}  # by worker: what its packets come from, at both ends
        self._cut_until = {1: 0.0, 2: 0.0}
        self.carried = self.lost = 0
        self._over = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> "Network":
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        for name in self._names.values():
            run(f"ip netns add {name}")
        self._thread.start()
        self._ready.wait(20)
        self._run("servers", "ip link set lo up")
        self._run("servers", f"ip address add {SERVERS}/32 dev lo")
        self._run("servers", "sysctl -qw net.ipv4.ip_forward=1")
        for number in (1, 2):
            net, worker = f"10.77.{number}", f"worker-{number}"
            for name, device, own, other in (("servers", f"tun{number}", 1, 2), (worker, "tun0", 2, 1)):
                self._run(name, f"ip address add {net}.{own} peer {net}.{other} dev {device}")
                self._run(name, f"ip link set {device} up")
            self._run(worker, "ip link set lo up")
            self._run(worker, f"ip route add default via {net}.1")

    def __exit__(self, *_):
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5)
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def _run(self, name: str, command: str):
        run(f"ip netns exec {self._names[name]} {command}")

    @contextlib.contextmanager
    def running(
        self, name: str, command: list[str], environment: dict[str, str], log=os.devnull
    ) -> Iterator[psutil.Popen]:
        """A process in a namespace, killed with all that it started when the block ends."""
        with open(log, "wb") as said:
            process = psutil.Popen(
                ["ip", "netns", "exec", self._names[name], *command], stdout=said, stderr=said, env=environment
            )
        try:
            yield process
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in [process, *process.children(recursive=True)]:
                    one.kill()
            process.wait()

    def cut(self, number: int, seconds: float):
        """Nothing goes through the link of a worker for a while."""
        self._cut_until[number] = time.monotonic() + seconds

    def _carry(self):
        """Carries packets: late, not all of them, and no more than go through."""
        for number in (1, 2):
            near = open_tun(self._names["servers"], f"tun{number}")
            self._links[number] = near, open_tun(self._names[f"worker-{number}"], "tun0")
        self._ready.set()
        ways = {}  # from what is read: (worker, what is written to)
        for number, (near, far) in self._links.items():
            ways |= {near: (number, far), far: (number, near)}
        free, waiting, order = dict.fromkeys(ways, 0.0), [], itertools.count()
        choose = random.Random(1)
        while not self._over.is_set():
            wait = max(waiting[0][0] - time.monotonic(), 0) if waiting else 0.1
            for tun in select.select(list(ways), [], [], wait)[0]:
                packet, now = os.read(tun, 1 << 16), time.monotonic()
                number, other = ways[tun]
                free[tun] = max(free[tun], now)
                if choose.random() < LOSS or now < self._cut_until[number] or free[tun] - now > QUEUE:
                    self.lost += 1
                    continue
                free[tun] += len(packet) * 8 / RATE
                heapq.heappush(waiting, (free[tun] + DELAY, next(order), other, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, tun, packet = heapq.heappop(waiting)
                self.carried += 1
                with contextlib.suppress(OSError):  # an end that is not up yet
                    os.write(tun, packet)


def run(command: str):
    subprocess.run(command.split(), check=True)


def open_tun(namespace: str, device: str) -> int:
    """Makes a TUN device in a namespace; what is written to the file is what it receives."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/var/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), 0x40000000):  # CLONE_NEWNET, of this thread alone
            raise OSError(ctypes.get_errno(), "setns")
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", device.encode(), 0x1001))  # TUNSETIFF; IFF_TUN | IFF_NO_PI
    return tun
