"""Wikipedia: speed beside TFDS's own cleaning functions, memory by the size of the dump, one worker and two.

    python benchmarks/wikipedia.py [DUMP.xml.bz2] [--megabytes 200] [--articles 150]

The dump is made on the fly: of the bundled sample's articles, or those of the dump given, over and over, each copy under a
title of its own and with a line of its own. `--megabytes` is its size before it is packed. TFDS's
functions clean `--articles` of the same articles. What c4build needs to start is taken off its CPU time.
"""

import argparse
import bz2
import pathlib
import re
import shutil
import sys
import tempfile
import time

from memory import peak

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "corpora"), str(ROOT / "tests")]
STREAM_PAGES = 100
_PAGE = re.compile(r"  <page>.*?</page>\n", re.DOTALL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump", nargs="?", type=pathlib.Path, help="a dump to take articles from")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--articles", type=int, default=150, help="cleaned by TFDS's functions")
    options = parser.parse_args()
    source = options.dump or next((ROOT / "c4build" / "sample").glob("*.xml.bz2"))
    text = bz2.decompress(source.read_bytes()).decode()
    head, pages = text[: text.index("  <page>")], _PAGE.findall(text)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        dumps = {size: make_dump(folder, head, pages, size) for size in (1, options.megabytes // 4, options.megabytes)}
        start, *_ = run(dumps[1], folder, 1)
        small = run(dumps[options.megabytes // 4], folder, 1)
        one = run(dumps[options.megabytes], folder, 1)
        two = run(dumps[options.megabytes], folder, 2)
        cost = tfds_seconds(pages, options.articles)
    ours = (one[0] - start) / (options.megabytes - 1)
    print(f"CPU seconds a MB of dump: TFDS's functions {cost:.3f}, c4build {ours:.3f}: {cost / ours:.1f} times less")
    for size, (_, memory, _) in ((options.megabytes // 4, small), (options.megabytes, one)):
        print(f"peak memory of any process, {size:4} MB: {memory / 1e6:,.0f} MB")
    print(f"wall seconds: one worker {one[2]:.1f}, two {two[2]:.1f}: {one[2] / two[2]:.2f} times the throughput")


def make_dump(folder: pathlib.Path, head: str, pages: list[str], megabytes: int) -> pathlib.Path:
    """A multistream dump of so many megabytes."""
    path = folder / f"dump{megabytes}-20190420-pages-articles-multistream.xml.bz2"
    size, number = 0, 0
    with open(path, "wb") as file:
        file.write(bz2.compress(head.encode()))
        while size < megabytes * 1_000_000:
            stream = []
            for _ in range(STREAM_PAGES):
                number += 1
                page = pages[number % len(pages)]
                page = re.sub(r"<title>(.*?)</title>", rf"<title>\1 {number}</title>", page, count=1)
                page = re.sub(r"<id>\d+</id>", f"<id>{number}</id>", page, count=1)
                stream.append(page.replace("</text>", f"\n\nThis is copy {number} of the article.</text>"))
            joined = "".join(stream).encode()
            size += len(joined)
            file.write(bz2.compress(joined, 9))
        file.write(bz2.compress(b"</mediawiki>\n"))
    return path


def run(dump: pathlib.Path, folder: pathlib.Path, workers: int) -> tuple[float, int, float]:
    """(CPU seconds, peak bytes of any process, wall seconds) of the command."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    runner, worker, wall = peak(["wikipedia", str(dump)], folder / "out", workers)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(folder / "out")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, max(runner, worker), wall


def tfds_seconds(pages: list[str], count: int) -> float:
    """CPU seconds a megabyte of dump for TFDS's own cleaning functions."""
    from html import unescape

    import corpora_material

    _, clean = corpora_material.tfds_wikipedia()
    clean(1, "Title", "What is loaded at the first call is no part of the cost.")
    chosen = pages[:count]
    start = time.process_time()
    for number, page in enumerate(chosen):
        found = re.search(r"<text[^>]*>(.*?)</text>", page, re.DOTALL)
        clean(number, re.search(r"<title>(.*?)</title>", page).group(1), unescape(found.group(1) if found else ""))
    return (time.process_time() - start) / (sum(len(page.encode()) for page in chosen) / 1e6)


if __name__ == "__main__":
    main()
