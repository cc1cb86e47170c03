"""What of a build's CPU time samples and statistics take, in one run, by part.

    python benchmarks/samples_share.py [WET FILE...] [--least-pages 40000] [--parts 6] [--rounds 4]

`en` is built of `--parts` files of so many pages, made as `throughput.py` makes them, in this process and on one processor,
with a clock around each function that is there for samples or statistics alone. Both sides of the ratio are of the same
run, so that what else the machine does weighs on both; `ratios.py samples` compares builds with and without, and needs a
quieter machine. What a build of one page takes is taken off both. Two things are not seen: to hold a page where it is
compiled (0.4 % by a profile of native frames), and what cold caches cost the code that comes next.
"""

import argparse
import functools
import pathlib
import statistics
import tempfile
import time
from collections import Counter

from ratios import make_inputs, new_request, prepare, read_options, run

from c4build.flow import clean, file_figures, pages, publish, samples, sampling

PARTS = {
    "figures of a file": [(pages.CompiledPages, "looked"), (file_figures.FileFigures, "of")],
    "tables of candidates written": [(clean, "write_candidates"), (sampling.UnitSamples, "write")],
    "candidates of a file read": [(sampling.UnitSamples, "begin")],
    "row groups, behind deduplication": [(sampling.UnitSamples, "lost"), (sampling.UnitSamples, "take")],
    "samples told, once a run": [(samples.SampleTeller, "__init__"), (publish, "write_samples")],
    "statistics written, once a run": [(samples.SampleTeller, "statistics_of"), (publish, "write_statistics")],
}


class Clock:
    """CPU seconds of each part, whoever calls it."""

    def __init__(self):
        self.taken: Counter[str] = Counter()
        self._inside = False
        for part, functions in PARTS.items():
            for owner, name in functions:
                setattr(owner, name, self._timed(part, getattr(owner, name)))

    def _timed(self, part: str, function):
        @functools.wraps(function)
        def timed(*args, **named):
            if self._inside:
                return function(*args, **named)
            self._inside, start = True, time.thread_time()
            try:
                return function(*args, **named)
            finally:
                self._inside = False
                self.taken[part] += time.thread_time() - start

        return timed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = read_options(parser, rounds=4, parts=6)
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        inputs, number = make_inputs(options, folder)
        start, whole = (functools.partial(build, inputs[of], folder / "out", clock) for of in ("start", "all"))
        start()  # loads all
        rounds = [(start(), whole()) for _ in range(options.rounds)]
    report(rounds, number)


def build(inputs: list, out: pathlib.Path, clock: Clock) -> tuple[float, Counter[str]]:
    """(CPU seconds, those of each part) of a build."""
    clock.taken.clear()
    prepared = prepare(new_request(inputs, out))
    start = time.process_time()
    run(prepared)
    return time.process_time() - start, clock.taken.copy()


def report(rounds: list, pages: int):
    """Medians of the rounds; shares are of a build without."""
    rows = {part: [whole[part] - start[part] for (_, start), (_, whole) in rounds] for part in PARTS}
    without = [b - a - sum(row[at] for row in rows.values()) for at, ((a, _), (b, _)) in enumerate(rounds)]
    rows["all"] = [sum(of) for of in zip(*rows.values())]
    print(f"{len(rounds)} rounds{'':28}{'CPU us/page':>14}{'share':>9}")
    print(f"{'a build without':36}{1e6 * statistics.median(without) / pages:14.2f}")
    for part, seconds in rows.items():
        share = statistics.median(of / base for of, base in zip(seconds, without))
        print(f"{part:36}{1e6 * statistics.median(seconds) / pages:14.3f}{100 * share:8.2f}%")
    print(f"all, by round: {', '.join(f'{100 * of / base:.2f}%' for of, base in zip(rows['all'], without))}")


if __name__ == "__main__":
    main()
