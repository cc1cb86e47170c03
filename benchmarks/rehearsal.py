"""A build by two machines over a bad network: they are killed and cut off in the middle, and the bytes are those of a local build.

    python benchmarks/rehearsal.py [--files 6] [--pages 40]

Each of two Dask workers has a network namespace of its own. A third has the server of the inputs, an S3 server for OUT, the
scheduler, and the command. What goes to a worker and comes from it is delayed by 50 ms each way, one packet in a hundred
is lost, and 50 Mbit/s get through: by links in user space (TUN), since many kernels lack tc's netem. In the middle of Clean
and again in the middle of Finish one worker is killed and the other's link is cut for a while. Prints requests, bytes and
tries as the servers counted them. Needs Linux, the rights of root, and the extras s3, dask and test.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

import psutil
from bad_network import SERVERS, Network, why_not

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = "from c4build.commands.main import main; main()"
CUT = 5.0  # seconds
SHARDS = 8
WAIT = 600  # seconds, for a build


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--pages", type=int, default=40, help="a file")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(pathlib.Path(options.serve))
        return
    if why := why_not():
        print(f"skipped: {why}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the namespaces are to be taken down
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        write_inputs(folder / "in", options.files, options.pages)
        local = local_build(folder)
        network = stack.enter_context(Network())
        rehearse(folder, network, stack, options.files, local)


def write_inputs(folder: pathlib.Path, files: int, pages: int):
    import wet_files

    folder.mkdir()
    for number in range(files):
        wet_files.write_wet(folder / f"part-{number:05d}.warc.wet.gz", wet_files.pages(number * pages, pages))


def arguments(inputs: list[str], out: str) -> list[str]:
    return [sys.executable, "-c", COMMAND, "build", *inputs, "--out", out, "--shards", str(SHARDS)]


def local_build(folder: pathlib.Path) -> dict[str, str]:
    inputs = [str(folder / "in")]
    subprocess.run(arguments(inputs, str(folder / "out")), check=True, capture_output=True, env=environment())
    paths = sorted((folder / "out/c4").rglob("*-of-*"))  # the samples beside them name the inputs' own paths
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


def rehearse(folder: pathlib.Path, network: "Network", stack: contextlib.ExitStack, files: int, local: dict[str, str]):
    start = time.monotonic()
    servers = stack.enter_context(
        network.running("servers", [sys.executable, __file__, "--serve", str(folder)], environment())
    )
    told = wait_for(lambda: read_json(folder / "servers.json"), servers)
    own = {**environment(), **told["environment"]}
    dask = shutil.which("dask", path=os.path.dirname(sys.executable)) or "dask"
    scheduler = [dask, "scheduler", "--host", SERVERS, "--port", "8786", "--no-dashboard"]
    stack.enter_context(network.running("servers", scheduler, own, folder / "scheduler.log"))
    workers = []
    for number in (1, 2):
        command = [
            dask, "worker", f"tcp://{SERVERS}:8786", "--host", f"10.77.{number}.2", "--nworkers", "1", "--nthreads", "1",
            "--no-dashboard", "--local-directory", str(folder / f"worker-{number}"),
        ]  # fmt: skip
        log = folder / f"worker-{number}.log"
        workers.append(stack.enter_context(network.running(f"worker-{number}", command, own, log)))
    wait_for(lambda: all("Registered to" in (folder / f"worker-{n}.log").read_text() for n in (1, 2)), servers)
    options = ["--runner", "DaskRunner", "--", "--dask_client_address", f"tcp://{SERVERS}:8786"]
    command = [*arguments(told["inputs"], told["out"]), *options]
    build = stack.enter_context(network.running("servers", command, own, folder / "build.log"))

    def many(kind: str, least: int) -> bool:
        return (read_json(folder / "counts.json") or {}).get(kind, 0) >= least

    for stage, kind, least, killed, cut in (
        ("Clean", "pages", files // 3, 1, 2),
        ("Finish", "units", SHARDS // 3, 2, 1),
    ):
        wait_for(lambda: many(kind, least), build)
        kill_worker(workers[killed - 1])
        network.cut(cut, CUT)
        print(f"in the middle of {stage}: worker {killed} is killed, the link of worker {cut} is cut for {CUT:.0f} s")
    if build.wait(WAIT):
        sys.exit(f"the build failed: {(folder / 'build.log').read_text()[-2000:]}")
    seconds = time.monotonic() - start
    (folder / "end").touch()
    servers.wait(60)
    report(read_json(folder / "end.json"), local, network, seconds)


def report(found: dict, local: dict[str, str], network: "Network", seconds: float):
    if found["shards"] != local or not local:
        others = sorted(name for name, _ in set(found["shards"].items()) ^ set(local.items()))
        sys.exit(f"the bytes are others than those of a local build: {', '.join(dict.fromkeys(others))}")
    store = ", ".join(f"{count} {method}" for method, count in found["store"].items())
    most = ", ".join(f"{count} of a *{kind}*" for kind, count in found["most"].items())
    print(f"""the bytes are those of the local build, after {seconds:.0f} s
  inputs: {found["inputs"]} files of {found["input_bytes"]:,} bytes; {found["gets"]} requests, at most {found["tries"]} a file;
    {found["fetched"]:,} bytes sent; at most {found["at_once"]} connections at once
  OUT: {sum(found["store"].values()):,} requests ({store}); {found["written"]:,} bytes written, {found["read"]:,} read
    requests an object, at most: {most}
  links: {network.carried:,} packets carried, {network.lost:,} lost""")


def kill_worker(nanny: psutil.Popen):
    """Kills the process that works; Dask's nanny starts another."""
    for child in nanny.children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()


def read_json(path: pathlib.Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def wait_for(found, process: psutil.Popen):
    until = time.monotonic() + WAIT
    while not (what := found()):
        if process.poll() is not None or time.monotonic() > until:
            sys.exit(f"ended, or took too long: {' '.join(process.args)[:300]}")
        time.sleep(0.1)
    return what


# The servers, in a namespace of their own


def serve(folder: pathlib.Path):
    """Serves inputs and a store until there is a file `end`, and then says what was asked."""
    from faulty_server import serving
    from object_servers import BUCKET, serving_s3

    files = {path.name: path.read_bytes() for path in sorted((folder / "in").iterdir())}
    with serving(files, host=SERVERS) as inputs, serving_s3(SERVERS) as (store, environment):
        os.environ.update(environment)
        import boto3

        boto3.client("s3").create_bucket(Bucket=BUCKET)
        store.seen.clear()
        out = f"s3://{BUCKET}/out"
        write_json(
            folder / "servers.json",
            {"environment": environment, "inputs": [f"{inputs.url}/{name}" for name in files], "out": out},
        )
        while not (folder / "end").exists():
            written = [seen.path for seen in list(store.seen) if seen.method == "PUT"]
            pages = sum(path.endswith(".pages") and "/pages-" in path for path in written)
            write_json(folder / "counts.json", {"pages": pages, "units": sum("/units/" in path for path in written)})
            time.sleep(0.1)
        asked = list(store.seen)
        gets = Counter(sent.path for sent in inputs.sent)
        objects = Counter(seen.path for seen in asked if "/" in seen.path)
        most = {kind: max(of(objects, kind)) for kind in (".pages", ".keys", ".json", "-train", "-validation")}
        end = {
            "inputs": len(files), "input_bytes": sum(map(len, files.values())), "gets": len(inputs.times),
            "fetched": sum(sent.size for sent in inputs.sent), "tries": max(gets.values()),
            "at_once": inputs.most_connected, "store": Counter(seen.method for seen in asked), "most": dict(sorted(most.items())),
            "written": store.bytes_in.total(), "read": store.bytes_out.total(), "shards": shards_in(out),
        }  # fmt: skip
        write_json(folder / "end.json", end)


def of(objects: Counter, kind: str) -> list[int]:
    """Requests for each object of a kind."""
    return [count for path, count in objects.items() if kind in path.rpartition("/")[2]]


def shards_in(out: str) -> dict[str, str]:
    from c4build.write.files import list_files, sum_of

    paths = [path for path in list_files(f"{out}/c4/en/1.0.0") if "-of-" in path]
    return {path.rpartition("/")[2]: sum_of(path).sha256 for path in sorted(paths)}


def write_json(path: pathlib.Path, fields: dict):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(fields))
    temporary.replace(path)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
