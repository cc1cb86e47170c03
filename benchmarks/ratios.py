"""What samples and statistics cost, and what ten variants cost beside one: ratios of CPU time that other programs do not blur.

    python benchmarks/ratios.py samples  [WET FILE...] [--least-pages 40000] [--parts 3] [--rounds 12]
    python benchmarks/ratios.py variants [WET FILE...] ...

`samples`: `en` with samples and without. `variants`: en, en.noblocklist, en.noclean and those of --leave-one-out, beside `en`.

Files of fewer pages are enlarged as `throughput.py` does it, to `--parts` files of so many, as a crawl's are. Each build runs
in a process of its own, forked from one that has loaded all, on one processor; the two kinds take turns. What else the
machine does can only make a build dearer, so the cheapest of each kind count; they are said for each half of the rounds too: where these
two ratios differ, ask for more rounds, or go by that of neighbours, the median of the rounds' own ratios, and its quartiles.
What a build of a file of one page takes is taken off. A build of one of the files, taken off one of all, leaves what further
files cost: the ratio of a crawl.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import traceback
from collections.abc import Sequence

from throughput import SAMPLE, count, enlarge, write_smallest

from c4build.flow.lean import import_beam

import_beam()  # all that a build needs of Beam is loaded before the forks, as a command loads it

from c4build.corpora.c4 import Request, prepare  # noqa: E402
from c4build.flow.local import run  # noqa: E402

RULES = "c4-3.1.0"
KINDS = {
    "samples": ({"samples": 0}, {"samples": 100}),
    "variants": ({}, {"variants": ["en", "en.noblocklist", "en.noclean"], "leave_one_out": True}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=KINDS)
    options = read_options(parser, rounds=12, parts=3)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        inputs, pages = make_inputs(options, folder)
        rounds = [measure_round(inputs, folder, KINDS[options.what], at % 2 == 1) for at in range(options.rounds)]
    halves = rounds[::2], rounds[1::2]
    for of in rounds, *(halves if len(rounds) > 1 else ()):
        report(of, pages, options.parts)


def read_options(parser: argparse.ArgumentParser, rounds: int, parts: int) -> argparse.Namespace:
    """Those of the command line, with what to make inputs of; numbers are what stands for those that are not given."""
    parser.add_argument("files", nargs="*", help="WET files (default: the bundled sample)")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--least-pages", type=int, default=40_000)
    parser.add_argument("--parts", type=int, default=parts, help="files that are made")
    return parser.parse_args()


def make_inputs(options: argparse.Namespace, folder: pathlib.Path) -> tuple[dict[str, list], int]:
    """(files to start with, one of all, all; pages of all). From here on the process has one processor."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    files = [pathlib.Path(name) for name in options.files] or [SAMPLE / "sample.warc.wet.gz"]
    parts = [enlarge(files, folder, options.least_pages, part) for part in range(options.parts)]
    inputs = {
        "start": [write_smallest(folder / "empty.warc.wet.gz")],
        "one": parts[0],
        "all": [path for part in parts for path in part],
    }
    pages, size = count(inputs["all"])
    print(f"{len(parts)} x {pages // len(parts):,} pages, {size / 1e6:.1f} MB of text", flush=True)
    return inputs, pages


def measure_round(inputs: dict[str, list], folder: pathlib.Path, kinds: Sequence[dict], turned: bool) -> dict:
    """(CPU seconds, megabytes) of a build of each kind, 0 and 1, from each inputs."""
    return {
        (name, kind): build(paths, folder / "out", kinds[kind])
        for name, paths in inputs.items()
        for kind in ((1, 0) if turned else (0, 1))
    }


def new_request(inputs: Sequence[pathlib.Path], out: pathlib.Path, **asked) -> Request:
    """For a build into a folder, which is emptied."""
    shutil.rmtree(out, ignore_errors=True)
    words = str(pathlib.Path(__file__).resolve().parent.parent / "badwords" / "en.txt")
    return Request([*map(str, inputs)], str(out), rules=RULES, bad_words=words, **asked)


def build(inputs: Sequence[pathlib.Path], out: pathlib.Path, asked: dict) -> tuple[float, float]:
    """(CPU seconds, megabytes of memory) of a build in a process of its own."""
    request = new_request(inputs, out, **asked)
    child = os.fork()
    if not child:
        try:
            run(prepare(request))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"a build failed: status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def report(rounds: Sequence[dict], pages: int, parts: int):
    least = {key: min(found[key][0] for found in rounds) for key in rounds[0]}
    memory = {key: min(found[key][1] for found in rounds) for key in rounds[0]}
    print(f"\n{len(rounds)} rounds{'':20}{'CPU us/page':>14}{'and more':>12}{'ratio':>10}")
    base, other = (
        (least["one", kind] - least["start", kind], least["all", kind] - least["start", kind]) for kind in (0, 1)
    )
    per_part = pages / parts
    rows = [("1 file", base[0], other[0], per_part), (f"{parts} files", base[1], other[1], pages)]
    if parts > 1:
        rows.append(("each further file", base[1] - base[0], other[1] - other[0], pages - per_part))
    for name, without, with_it, of in rows:
        print(f"{name:28}{1e6 * without / of:14.2f}{1e6 * (with_it - without) / of:+12.2f}{with_it / without:10.4f}")
    print(
        f"start {least['start', 0]:.3f} s, {least['start', 1] - least['start', 0]:+.3f}; memory {memory['all', 1] - memory['all', 0]:+.0f} MB"
    )
    if len(rounds) > 1:
        without, with_it = ([found["all", kind][0] - least["start", kind] for found in rounds] for kind in (0, 1))
        low, median, high = statistics.quantiles([b / a for a, b in zip(without, with_it)], n=4, method="inclusive")
        print(f"neighbours, {parts} files: {median:.4f}, quartiles {low:.4f} and {high:.4f}")
    for kind in (0, 1):
        lowest = sorted(found["all", kind][0] for found in rounds)[:4]
        print(
            f"lowest of all files, {'with' if kind else 'without'}: {' '.join(f'{cpu:.3f}' for cpu in lowest)} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
