"""What samples and statistics cost: CPU time and memory of builds with them and without, in turn, in one run.

    python benchmarks/samples.py [WET FILE...] [--least-pages 40000] [--parts 3] [--repeat 4] [--variants en]

Files of fewer pages are enlarged as `throughput.py` does it, to `--parts` files of so many, as a crawl's are. What a build of one page takes is taken off. In every other
pair the build without goes first. The ratio is the geometric mean of the pairs.
"""

import argparse
import math
import os
import pathlib
import statistics
import sys
import tempfile

from throughput import ALL, SAMPLE, count, enlarge, start_build, write_smallest

MOST = ("--samples", "100")
NONE = ("--samples", "0")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="WET files (default: the bundled sample)")
    parser.add_argument("--repeat", type=int, default=4, help="pairs of builds")
    parser.add_argument("--least-pages", type=int, default=40_000)
    parser.add_argument("--parts", type=int, default=3, help="files that are made")
    parser.add_argument("--variants", default="en", help="or `all`")
    options = parser.parse_args()
    variants = ALL if options.variants == "all" else options.variants
    files = [pathlib.Path(name) for name in options.files] or [SAMPLE / "sample.warc.wet.gz"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        empty = [write_smallest(folder / "empty.warc.wet.gz")]
        parts = range(options.parts)
        inputs = [path for part in parts for path in enlarge(files, folder, options.least_pages, part)]
        pages, size = count(inputs)
        print(f"{pages:,} pages, {size / 1e6:.1f} MB of text, {variants}", flush=True)
        rows = []
        for at in range(options.repeat):
            row: dict[str, tuple[float, float]] = {}
            for samples in (MOST, NONE) if at % 2 else (NONE, MOST):
                start, _ = measure(empty, folder, variants, samples)
                cpu, memory = measure(inputs, folder, variants, samples)
                row[samples[1]] = cpu - start, memory
            rows.append(row)
            (with_cpu, with_memory), (cpu, memory) = row["100"], row["0"]
            print(
                f"with {1e6 * with_cpu / pages:.1f} us a page, {with_memory:.0f} MB; without {1e6 * cpu / pages:.1f} us, "
                f"{memory:.0f} MB; {with_cpu / cpu:.4f}",
                flush=True,
            )
    logs = [math.log(row["100"][0] / row["0"][0]) for row in rows]
    error = statistics.stdev(logs) / len(logs) ** 0.5 if len(logs) > 1 else math.nan
    grown = statistics.median(row["100"][1] - row["0"][1] for row in rows)
    print(
        f"with / without {math.exp(statistics.mean(logs)):.4f} (standard error {error:.4f}); "
        f"the largest process takes {grown:.0f} MB more"
    )


def measure(inputs, folder: pathlib.Path, variants: str, more) -> tuple[float, float]:
    """(CPU seconds, megabytes of the largest process) of a build."""
    build = start_build(inputs, folder / "out", variants, more=more)
    _, status, usage = os.wait4(build.pid, 0)
    if status:
        sys.exit(f"a build failed: status {status}: {(folder / 'out.log').read_text()[-500:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
