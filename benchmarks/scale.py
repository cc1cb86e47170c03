"""What the key stages cost as a crawl grows: CPU, memory a process, bytes and elements between stages.

    python benchmarks/scale.py [--most 1e8] [--files 32,320,3200]

Three parts, each in processes of their own:

1. one bucket of a crawl as it is now (100 MB of keys of 64,000 files in groups of 64), of URLs and of lines;
2. made-up line keys, 10^6 to `--most` in all, through as many groups and buckets as that many would have: combined in files
   and groups, dealt, sent by key files, decided, cut up to files; the growth is fitted and drawn on to 10^9 and to a crawl;
3. local builds of so many small WET files: CPU a file, and the memory of the first process.

Of the made-up lines two in five stand elsewhere, too, and one line stands on one page in a hundred, as boilerplate does.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUCKET_BYTES, GROUP = 100_000_000, 64
LINES_A_FILE, PAGES_A_FILE = 160_000, 39_000  # of a WET file of Common Crawl with what `c4-3.1.0` keeps of it
CRAWL_FILES, CRAWL_LINES = 64_000, 64_000 * LINES_A_FILE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=float, default=1e7, help="line keys in all")
    parser.add_argument("--files", default="32,320", help="small WET files of local builds")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part.partition(":")[0]](*options.part.split(":")[1:])))
        return
    print("one bucket of a crawl            keys    CPU s   peak MB   MB of keys")
    for kind in ("newest", "repeats"):
        found = in_a_process(kind)
        print(f"  {kind:24}{found['keys']:>13,}{found['cpu']:9.1f}{found['peak']:10.0f}{found['bytes'] / 1e6:13.0f}")
    sizes = [10**power for power in range(6, 1 + round(math.log10(options.most)))]
    print("\nline keys in all      groups  buckets  elements    CPU s   peak MB   MB sent   share that travels")
    rows = []
    for size in sizes:
        row = in_a_process(f"keys:{size}")
        rows.append(row)
        print(
            f"  {size:>15,}{row['groups']:>10,}{row['buckets']:>9,}{row['elements']:>10,}{row['cpu']:9.1f}{row['peak']:10.0f}"
            f"{row['bytes'] / 1e6:10.0f}{row['travel']:12.2f}"
        )
    if len(rows) > 1:
        power, log_unit = np.polyfit(np.log(sizes), np.log([row["cpu"] for row in rows]), 1)
        each = math.exp(log_unit)
        print(f"  CPU grows with the power {power:.2f} of the keys; drawn on by that:")
        for size in (10**9, CRAWL_LINES):
            groups, buckets = groups_of(size), buckets_of(size)
            print(f"  {size:>15,}{groups:>10,}{buckets:>9,}{groups * buckets:>10,}{each * size**power:9.0f}")
    print("\nsmall WET files   CPU s a file   first process MB")
    for files in map(int, options.files.split(",")):
        row = in_a_process(f"build:{files}")
        print(f"  {files:>12,}{row['cpu'] / files:15.3f}{row['peak']:19.0f}")


def in_a_process(part: str) -> dict:
    command = [sys.executable, __file__, "--part", part]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def cost_of(work) -> dict:
    """CPU seconds of `work`, and the peak of this process in MB beyond what it had before."""
    start = time.process_time()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": time.process_time() - start, "peak": peak, **found}


def newest_bucket() -> dict:
    from c4build.dedup.keys import url_key_dtype
    from c4build.dedup.newest import newest
    from c4build.rules.tables import REASONS

    dtype, choose = url_key_dtype(1), np.random.default_rng(1)
    count = BUCKET_BYTES // dtype.itemsize
    keys = np.zeros(count, dtype)
    keys["high"] = keys["low"] = choose.integers(0, count * 10, count)  # one URL in ten more than once
    keys["date"] = b"2019-04-18T12:00:00Z"
    keys["page"] = choose.integers(0, PAGES_A_FILE * GROUP, count)
    parts = split(keys, -(-CRAWL_FILES // GROUP))
    del keys
    return cost_of(
        lambda: newest(parts, None, 0, np.ones(len(REASONS), bool), 1) and {"keys": count, "bytes": BUCKET_BYTES}
    )


def repeats_bucket() -> dict:
    from c4build.dedup.keys import REPEAT_KEY
    from c4build.dedup.repeats import repeats

    keys = made_up(BUCKET_BYTES // REPEAT_KEY.itemsize, np.random.default_rng(1))
    count = len(keys)
    parts = split(keys, -(-CRAWL_FILES // GROUP))
    del keys
    return cost_of(lambda: repeats(parts, 1) and {"keys": count, "bytes": BUCKET_BYTES})


def split(keys: np.ndarray, groups: int) -> list[tuple[int, bytes]]:
    return [(group, part.tobytes()) for group, part in enumerate(np.array_split(keys, groups))]


def made_up(count: int, choose: np.random.Generator, known: int = 0) -> np.ndarray:
    """Keys of lines, of which two in five stand among `known` others, and one in 400 is the same everywhere."""
    from c4build.dedup.keys import REPEAT_KEY

    keys = np.zeros(count, REPEAT_KEY)
    text = choose.integers(1 << 40, 1 << 62, count)
    common = choose.random(count)
    text[common < 0.4] = choose.integers(1, max(known, count), int((common < 0.4).sum()))
    text[common < 1 / 400] = 0
    keys["high"] = keys["low"] = text
    keys["rank"] = np.repeat(choose.integers(0, 1 << 62, count // 4 + 1), 4)[:count]
    keys["position"], keys["variants"] = np.arange(count), 1
    return keys


def groups_of(lines: int) -> int:
    return max(1, -(-lines // (LINES_A_FILE * GROUP)))


def buckets_of(lines: int) -> int:
    from c4build.dedup.keys import REPEAT_KEY

    return max(8, -(-lines * REPEAT_KEY.itemsize // BUCKET_BYTES))


def key_stages(size: str) -> dict:
    from c4build.dedup.keys import REPEAT, by_bucket, deal
    from c4build.dedup.repeats import combine, repeats
    from c4build.flow.keyfiles import fetch, send

    lines = int(size)
    groups, buckets = groups_of(lines), buckets_of(lines)
    choose, spent = np.random.default_rng(2), 0.0
    sent: dict[int, list] = {}
    moved = elements = lost = 0
    with tempfile.TemporaryDirectory() as folder:
        for group in range(groups):
            files, dealt = min(GROUP, -(-lines // groups // LINES_A_FILE)) or 1, []
            for _ in range(files):
                keys = made_up(min(LINES_A_FILE, lines // groups // files), choose, lines)
                start = time.process_time()
                left, gone = combine(keys, 1)
                dealt.append(deal(left, buckets))
                lost += len(gone)
                spent += time.process_time() - start
            start = time.process_time()

            def parts():
                nonlocal lost
                for bucket, keys in by_bucket(dealt, buckets):
                    left, gone = combine(keys, 1)
                    lost += len(gone)
                    yield bucket, left.tobytes()

            for bucket, data in send(parts(), folder, "keys", [group]):
                sent.setdefault(bucket, []).append((group, data))
                moved, elements = moved + data.size, elements + 1
            spent += time.process_time() - start
        start = time.process_time()
        for bucket, found in sent.items():
            decided = repeats([(group, fetch(data)) for group, data in found], 1)
            for _, data in send(decided.items(), folder, "repeats", [bucket]):
                moved, elements, lost = moved + data.size, elements + 1, lost + data.size // REPEAT.itemsize
        spent += time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    travelled = sum(data.size for found in sent.values() for _, data in found) / 29 / lines
    return {
        "groups": groups, "buckets": buckets, "elements": elements, "cpu": spent, "peak": peak, "bytes": moved,
        "travel": travelled, "lost": lost,
    }  # fmt: skip


def local_build(files: str) -> dict:
    sys.path.insert(0, str(ROOT / "tests"))
    import wet_files

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "in").mkdir()
        for number in range(int(files)):
            wet_files.write_wet(folder / "in" / f"part-{number:05d}.warc.wet.gz", wet_files.pages(number * 40, 40))
        code = "from c4build.commands.main import main; main()"
        command = [
            sys.executable,
            "-c",
            code,
            "build",
            str(folder / "in"),
            "--out",
            str(folder / "out"),
            "--workers",
            "1",
        ]
        with open(os.devnull, "wb") as nowhere:
            build = subprocess.Popen(command, stdout=nowhere, stderr=nowhere, cwd=folder)
        _, status, usage = os.wait4(build.pid, 0)
        if status:
            sys.exit(f"the build of {files} files failed: status {status}")
        return {"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}


PARTS = {"newest": newest_bucket, "repeats": repeats_bucket, "keys": key_stages, "build": local_build}

if __name__ == "__main__":
    main()
