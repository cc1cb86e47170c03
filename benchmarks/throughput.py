"""CPU time a page: TFDS's own functions, c4build end to end, and merely reading the files. One run, one table.

    python benchmarks/throughput.py [WET FILE...] [--least-pages 4000] [--repeat 5] [--two-workers] [--against TREE]
    python benchmarks/throughput.py --pages languages [DUMP.xml.bz2...]

Without files it takes the bundled sample. `--pages languages` makes long pages of many languages, of the bundled prose and of
the articles of Wikipedia dumps, the bundled one if none is given. Files of fewer than `--least-pages` pages are enlarged with distinct copies:
another URL, and a number in front of each sentence's last word, so that no copy repeats another's lines. What c4build
needs to start, measured on a file of one page, is taken off its time and given apart. Each repeat measures everything
once, in turn; the table has the medians, and ratios are taken within a repeat. `--repeat` more on a busy machine.
``--against` compares this tree with another checkout of c4build instead; both are compiled where they lie:
twice `--repeat` pairs of builds, the two of a pair at the same time.
"""

import argparse
import gzip
import math
import os
import pathlib
import random
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "parity")]
ALL = "en,en.noblocklist,en.noclean,realnewslike,webtextlike"
SAMPLE = ROOT / "c4build" / "sample"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="WET files, or dumps of Wikipedia (default: the bundled sample)")
    parser.add_argument("--pages", choices=("files", "languages"), default="files", help="those of the files, or made")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--least-pages", type=int, default=4000)
    parser.add_argument("--two-workers", action="store_true", help="also compare one worker with two, on 8 files")
    parser.add_argument(
        "--against", type=pathlib.Path, help="another checkout, whose builds are timed in turn with these"
    )
    options = parser.parse_args()
    files = [pathlib.Path(name) for name in options.files]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if options.pages == "languages":
            dumps = files or list(SAMPLE.glob("*.xml.bz2"))
            files = [write_languages(dumps, folder / "languages.warc.wet.gz")]
        files = files or [SAMPLE / "sample.warc.wet.gz"]
        empty = write_smallest(folder / "empty.warc.wet.gz")
        inputs = enlarge(files, folder, options.least_pages)
        pages, size = count(inputs)
        print(f"{len(inputs)} files, {pages:,} pages, {size / 1e6:.1f} MB of text")
        if options.against:
            against(options.against.resolve(), inputs, empty, folder, pages, options.repeat)
            return
        rows = [measure(inputs, empty, folder) for _ in range(options.repeat)]
        report(rows, pages, size)
        if options.two_workers:
            two_workers(files, options.least_pages, empty, folder)


def write_smallest(path: pathlib.Path) -> pathlib.Path:
    path.write_bytes(record(b"http://example.org/", b"One short page."))
    return path


def record(url: bytes, page: bytes) -> bytes:
    head = (
        b"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: %b\r\n"
        b"WARC-Date: 2019-04-18T00:00:00Z\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % (url, len(page))
    )
    return gzip.compress(head + page + b"\r\n\r\n", 6, mtime=0)


def write_languages(dumps: list[pathlib.Path], path: pathlib.Path) -> pathlib.Path:
    """Pages of 4 to 40 kB: half of them articles, several on a page where they are short, the others prose of one language
    or, every third, with English between."""
    from c4build.read.paths import identify
    from c4build.read.wikipedia import WikiPage, read_pages
    from c4build.rules.wikitext import to_text
    from c4build.sample.prose import OTHER_LANGUAGES, THEMES, prose

    rng = random.Random(1869)
    found = [
        page
        for dump in dumps
        for page in read_pages(identify(str(dump)))
        if type(page) is WikiPage and not page.redirect
    ]
    articles = [to_text(page.text) for page in found]
    pages = []
    page = ""
    for article in articles:
        page += article + "\n"
        if len(page) >= 4_000:
            pages.append(page)
            page = ""
    for number in range(max(len(pages), 8 * len(OTHER_LANGUAGES))):
        sentences = [*OTHER_LANGUAGES.values()][number % len(OTHER_LANGUAGES)]
        lines = [" ".join(rng.choices(sentences, k=3)) for _ in range(rng.randint(20, 120))]
        if number % 3 == 0:
            lines += prose(rng, rng.choice([*THEMES]), len(lines))
            rng.shuffle(lines)
        pages.append("\n".join(lines))
    rng.shuffle(pages)
    path.write_bytes(b"".join(record(b"http://example.org/%d" % n, page.encode()) for n, page in enumerate(pages)))
    return path


def enlarge(files: list[pathlib.Path], folder: pathlib.Path, least: int, part: int = 0) -> list[pathlib.Path]:
    """The files, or copies of them with as many distinct pages as `least` asks for; those of another `part` are others."""
    pages, _ = count(files)
    if pages >= least and not part:
        return files
    copies = -(-least // max(pages, 1))
    records = [record for path in files for record in gzip.decompress(path.read_bytes()).split(b"WARC/1.0\r\n")[1:]]
    target = folder / (f"enlarged-{part}.warc.wet.gz" if part else "enlarged.warc.wet.gz")
    with open(target, "wb") as file:
        for copy in range(part * copies, (part + 1) * copies):
            for record in records:
                head, _, body = record.partition(b"\r\n\r\n")
                if copy:
                    head = re.sub(rb"(WARC-Target-URI: *\S+)", rb"\1/copy%d" % copy, head)
                    body = re.sub(rb"(\w+[.?!]\"?\r?\n)", rb"%d \1" % copy, body)
                    length = b"Content-Length: %d" % len(body.removesuffix(b"\r\n\r\n"))
                    head = re.sub(rb"Content-Length: *\d+", length, head)
                file.write(gzip.compress(b"WARC/1.0\r\n" + head + b"\r\n\r\n" + body, 6, mtime=0))
    return [target]


def count(files: list[pathlib.Path]) -> tuple[int, int]:
    """(pages, bytes of their text), by reading them with fastwarc."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    pages = size = 0
    for path in files:
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.conversion, parse_http=False):
                pages += 1
                size += len(record.reader.read())
    return pages, size


def measure(inputs, empty, folder) -> dict[str, float]:
    """CPU seconds of everything once."""
    return {
        "reading with fastwarc": timed(lambda: count(inputs)),
        "TFDS, en": tfds_seconds(inputs),
        "start, en": build_seconds([empty], folder, "en")[0],
        "whole, en": build_seconds(inputs, folder, "en")[0],
        "start, all five": build_seconds([empty], folder, ALL)[0],
        "whole, all five": build_seconds(inputs, folder, ALL)[0],
    }


def timed(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def tfds_seconds(inputs) -> float:
    import tfds_c4

    words = (ROOT / "badwords" / "en.txt").read_text().splitlines()
    tfds_c4.use_tfds()
    import langdetect

    langdetect.detect_langs("Its profiles are loaded at the first call, which is no part of a page's cost.")
    return sum(tfds_c4.corpus(map(str, inputs), "en", bad_words=words).seconds.values())


_MAIN = """
try:
    from c4build.commands.main import main
except ImportError:  # an older tree
    from c4build.cli import main
main()
"""


def build_seconds(inputs, folder, variants, workers=1, rules="c4-3.1.0") -> tuple[float, float]:
    """(CPU seconds, wall seconds) of this tree's command, its children included."""
    start = time.monotonic()
    return finish(start_build(inputs, folder / "out", variants, workers, rules=rules)), time.monotonic() - start


def start_build(
    inputs,
    out: pathlib.Path,
    variants,
    workers=1,
    tree=ROOT,
    processor: int | None = None,
    more=(),
    rules="c4-3.1.0",
) -> subprocess.Popen:
    """The command of a tree, started; on one processor alone where it is given."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-c", _MAIN, "build", *map(str, inputs), "--out", str(out)]
    command += ["--rules", rules, "--variants", variants, "--workers", str(workers), *more]
    if variants == ALL:
        command += ["--realnews-domains", str(SAMPLE / "realnews_domains.json")]
        command += ["--webtext-urls", str(SAMPLE / "webtext_urls.txt")]
    if processor is not None:
        command = ["taskset", "--cpu-list", str(processor), *command]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    with open(f"{out}.log", "wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=out.parent, env=environment)


def finish(build: subprocess.Popen) -> float:
    """CPU seconds of a build and of its children, waited for."""
    _, status, usage = os.wait4(build.pid, 0)
    if status:
        sys.exit(f"{shlex.join(build.args)} failed: status {status}")
    return usage.ru_utime + usage.ru_stime


def report(rows: list[dict[str, float]], pages: int, size: int):
    def middle(value: Callable[[dict[str, float]], float]) -> float:
        return statistics.median(map(value, rows))

    for name in ("en", "all five"):
        start = middle(lambda row: row[f"start, {name}"])
        for row in rows:
            row[f"c4build, {name}"] = row[f"whole, {name}"] - start
    print(f"\n{'':26}{'CPU ms/page':>12}{'MB/s':>8}{'TFDS / this':>13}")
    for name in ("TFDS, en", "c4build, en", "c4build, all five", "reading with fastwarc"):
        cost, ratio = middle(lambda row: row[name]), middle(lambda row: row["TFDS, en"] / row[name])
        print(f"{name:26}{1e3 * cost / pages:12.3f}{size / 1e6 / cost:8.1f}{ratio:13.1f}")
    times = middle(lambda row: row["c4build, all five"] / row["c4build, en"])
    print(f"\nall five variants cost {times:.2f} times en alone")
    print(f"start-up, not in the table: {middle(lambda row: row['start, en']):.1f} s of CPU time")


def against(tree: pathlib.Path, inputs, empty, folder, pages: int, repeat: int):
    """CPU time a page of this tree beside another's. Both build at the same time, on a processor each, and change places
    in every other pair: what slows the machine down slows both down."""
    processors = sorted(os.sched_getaffinity(0))[:2]
    if len(processors) < 2:
        sys.exit("--against needs two processors")

    def pair(inputs, variants, places) -> list[float]:
        builds = [
            start_build(inputs, folder / f"out-{place}", variants, 1, of, place)
            for of, place in zip((ROOT, tree), places)
        ]
        return [finish(build) for build in builds]

    for name, variants in (("en", "en"), ("all five variants", ALL)):
        costs, logs = [], []
        for places in [processors, processors[::-1]] * repeat:
            starts, wholes = pair([empty], variants, places), pair(inputs, variants, places)
            ours, theirs = [1e3 * (whole - start) / pages for whole, start in zip(wholes, starts)]
            costs.append((ours, theirs))
            logs.append(math.log(ours / theirs))
        ours, theirs = map(statistics.median, zip(*costs))
        print(
            f"{name}: {ours:.4f} ms a page here, {theirs:.4f} there (medians); here / there {math.exp(statistics.mean(logs)):.3f} "
            f"(geometric mean of {len(logs)} pairs, standard error {statistics.stdev(logs) / len(logs) ** 0.5:.3f})",
            flush=True,
        )


def two_workers(files, least, empty, folder):
    """Wall time of one worker and of two on 8 files of `least` pages or more, all distinct, start-up taken off each."""
    eight = [path for part in range(8) for path in enlarge(files, folder, least, part)][:8]
    empties = [folder / f"empty-{index}.warc.wet.gz" for index in range(8)]
    for path in empties:
        shutil.copy(empty, path)
    kinds = [(files, workers) for workers in (1, 2) for files in (eight, empties)]
    rounds = [[build_seconds(files, folder, "en", workers)[1] for files, workers in kinds] for _ in range(5)]

    def seconds(walls):
        one, start_of_one, two, start_of_two = walls
        return one - start_of_one, two - start_of_two

    one, two = seconds(map(min, zip(*rounds)))  # what else the machine does can only make a build slower
    ratios = sorted(one / two for one, two in map(seconds, rounds))
    print(
        f"two workers: {one / two:.2f} times the throughput of one, on 8 files: {one:.1f} and {two:.1f} s "
        f"(by round {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )


if __name__ == "__main__":
    main()
