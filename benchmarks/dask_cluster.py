"""A build on a Dask cluster beside the same build on this machine: CPU, the size of the graph, and a worker that is killed.

    python benchmarks/dask_cluster.py [--files 200] [--pages 40]

Scheduler and two workers are processes of their own, started by the commands of docs/dask.md. Three builds of the same
small files: with `--workers 2`; on the cluster; and on the cluster with one worker killed in the middle of Clean. All three
must have the same bytes. CPU is that of all processes, for the cluster's from the start of the build to its end.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = "from c4build.commands.main import main; main()"
# The same command, which stops where it would send the graph, and says how large that is.
GRAPH = """
import cloudpickle, sys
from distributed import Client
def say(self, graph, *args, **kwargs):
    tasks = {key for part in graph for key in dict(part.__dask_graph__())}
    print(len(tasks), len(cloudpickle.dumps(graph)), flush=True)
    raise SystemExit
Client.compute = say
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--pages", type=int, default=40, help="a file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_inputs(folder / "in", options.files, options.pages)
        local, cpu = build(folder, "local", "--workers", "2")
        print(f"this machine, two workers: {cpu:.1f} CPU s")
        with Cluster(folder) as cluster:
            dask = ["--runner", "DaskRunner", "--", "--dask_client_address", cluster.address]
            if build(folder, "first", *dask)[0] != local:
                sys.exit("the bytes of the first build on the cluster are others")
            tasks, size = graph(folder, dask)
            print(f"graph: {tasks:,} tasks, {size / 1e6:.1f} MB")
            before = cluster.cpu()
            shards, client = build(folder, "dask", *dask)
            spent = cluster.cpu() - before
            same("on the cluster", shards, local)
            print(
                f"Dask: {client + spent:.1f} CPU s, {(client + spent) / cpu:.2f} times as much; "
                f"{client:.1f} of them where the build was started, {spent:.1f} in scheduler and workers"
            )
            shards, _ = build(
                folder, "killed", *dask, meanwhile=lambda: kill_in_the_middle(folder, cluster, options.files)
            )
            same("with a worker killed", shards, local)
            print("one of two workers was killed in the middle: the same bytes")


def same(how: str, shards: dict[str, str], local: dict[str, str]):
    if shards != local or not local:
        sys.exit(f"the bytes of the build {how} are others than on this machine")


def write_inputs(folder: pathlib.Path, files: int, pages: int):
    sys.path.insert(0, str(ROOT / "tests"))
    import wet_files

    folder.mkdir()
    for number in range(files):
        wet_files.write_wet(folder / f"part-{number:05d}.warc.wet.gz", wet_files.pages(number * pages, pages))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def build(
    folder: pathlib.Path, out: str, *options: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[dict[str, str], float]:
    """Builds into `out`. Returns the digests of the shards, and CPU seconds of the command and its own processes."""
    command = [sys.executable, "-c", COMMAND, "build", folder / "in", "--out", folder / out, *options]
    said = folder / f"{out}.log"
    with open(said, "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment())
    meanwhile()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the build {out} failed: {said.read_text()[-2000:]}")
    paths = sorted(path for path in (folder / out / "c4").rglob("*") if path.is_file() and path.suffix != ".json")
    digests = {str(path.relative_to(folder / out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return digests, usage.ru_utime + usage.ru_stime


def graph(folder: pathlib.Path, dask: list[str]) -> tuple[int, int]:
    """Tasks of the graph, and its bytes as it is sent."""
    command = [sys.executable, "-c", GRAPH + COMMAND, "build", folder / "in", "--out", folder / "graph", *dask]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment())
    tasks, size = done.stdout.split()[:2]
    return int(tasks), int(size)


class Cluster:
    """A scheduler and two workers, each a process group of its own."""

    def __init__(self, folder: pathlib.Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self._folder = folder
        self._processes = [self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")]
        for number in range(2):
            self._processes.append(
                self._start(
                    "worker",
                    self.address,
                    "--nworkers",
                    "1",
                    "--nthreads",
                    "1",
                    "--memory-limit",
                    "4GB",
                    "--no-dashboard",
                    "--local-directory",
                    folder / f"worker-{number}",
                )  # fmt: skip
            )

    def _start(self, *arguments) -> subprocess.Popen:
        dask = shutil.which("dask", path=os.path.dirname(sys.executable)) or "dask"
        with open(self._folder / "cluster.log", "ab") as log:
            return subprocess.Popen(
                [dask, *arguments], stdout=log, stderr=log, cwd=self._folder, env=environment(), start_new_session=True
            )

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        spent = 0.0
        for process in self._processes:
            found = psutil.Process(process.pid)
            for one in [found, *found.children(recursive=True)]:
                times = one.cpu_times()
                spent += times.user + times.system
        return spent

    def kill_worker(self):
        os.killpg(self._processes[-1].pid, signal.SIGKILL)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_):
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def kill_in_the_middle(folder: pathlib.Path, cluster: Cluster, files: int):
    pages = folder / "killed/.c4build"
    while len(list(pages.glob("pages-*/*.pages"))) < files // 2:
        time.sleep(0.02)
    cluster.kill_worker()


if __name__ == "__main__":
    main()
