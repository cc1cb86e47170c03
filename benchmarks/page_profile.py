"""Where a page's microseconds go: a build of `en` sampled with its native frames, summed by kind of work.

    pip install py-spy
    python benchmarks/page_profile.py [WET FILE...] [--least-pages 400000] [--rules c4-3.1.0]

Without files it takes the bundled sample, enlarged as by throughput.py. The compiled rules are built once more, with names
of functions, in a copy of this checkout. A sample counts for the innermost of its frames that is of a kind; what a build of
one page takes is taken off.
"""

import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import nanobind
from throughput import ROOT, SAMPLE, count, enlarge, write_smallest

RATE = 50  # samples a second: each holds the build up
# In this order: the first whose pattern is in a frame names it.
KINDS = {
    "samples and statistics": r"c4build/(flow/(samples|sampling|candidates|figures|file_figures|unit_figures)|rules/(told|alone)|write/(samples|statistics))",
    "inflating": r"isal|igzip|decode_huffman|setup_dynamic_header|read/gz\.py|read/paths\.py",
    "telling the language": r"c4::(LanguageDetector|run_trial|Random)|run_steps|run_plain|read_row",
    "sentences": r"c4::(Punkt|Tokens?|Word)",
    "bad words and phrases": r"c4::(BadWords|Phrases)",
    "lines": r"c4::(LineFilter|Steps::take_lines|page_text|strip|has_words|has_longer_word|splitlines|split|lower)",
    "keys": r"c4::(Units|murmur3|md5|rank|in_validation|normalize_url|append_hash)|dedup/",
    "records": r"c4::(ordinary|Record|is_utf8)|read/wet",
    "examples and their frames": r"c4::(framed|crc32c|encode|append_example)|write/(shards|example)",
    "files: columns, digests, writes": r"pyarrow|arrow::|write/(tables|files)|flow/(pagefiles|corpus)",
    "Clean's own": r"flow/clean|c4::(Taker|Rows|Page)",
    "Finish's own": r"flow/finish|c4::Finish",
    "Beam": r"apache_beam|operations\.c|common\.c",
}
WAITING = re.compile(r";(PyThread_acquire_lock|pthread_cond_|sem_|poll|epoll|select|clock_nanosleep)[^;]*(;0x[^;]*)*$")
PATTERNS = [(kind, re.compile(pattern)) for kind, pattern in KINDS.items()]
OTHER = "all else"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="WET files (default: the bundled sample)")
    parser.add_argument("--least-pages", type=int, default=400_000)
    parser.add_argument("--rules", default="c4-3.1.0")
    options = parser.parse_args()
    if not shutil.which("py-spy"):
        sys.exit("py-spy is not installed: pip install py-spy")
    files = [pathlib.Path(name) for name in options.files] or [SAMPLE / "sample.warc.wet.gz"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tree = compiled_tree(folder)
        inputs = enlarge(files, folder, options.least_pages)
        pages, _ = count(inputs)
        empty = [write_smallest(folder / "empty.warc.wet.gz")]
        of_all, of_start = (sampled(tree, some, folder, options.rules) for some in (inputs, empty))
        report({kind: of_all[kind] - of_start[kind] for kind in of_all}, pages)


def compiled_tree(folder: pathlib.Path) -> pathlib.Path:
    """A copy of this checkout whose compiled rules have names."""
    tree = folder / "tree"
    for part in ("c4build", "core", "badwords"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "CMakeLists.txt", tree)
    configure = ["cmake", "-S", tree, "-B", folder / "made", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    configure += [f"-Dnanobind_DIR={nanobind.cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", folder / "made", "-j"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return tree


def sampled(tree: pathlib.Path, inputs: list[pathlib.Path], folder: pathlib.Path, rules: str) -> collections.Counter:
    """Samples of a build by kind; threads that wait and imports are left out."""
    out, stacks = folder / "out", folder / "stacks.txt"
    build = [sys.executable, "-m", "c4build", "build", *inputs, "--out", out, "--rules", rules, "--variants", "en"]
    spy = ["py-spy", "record", "--native", "--rate", str(RATE), "--format", "raw", "--output", stacks, "--"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run([*spy, *build, "--workers", "1"], capture_output=True, text=True, env=environment, cwd=folder)
    if done.returncode or not stacks.exists():
        sys.exit(f"the build failed, or py-spy may not look at it:\n{done.stderr[-2000:]}")
    shutil.rmtree(out)
    found = collections.Counter(dict.fromkeys([*KINDS, OTHER], 0))
    for line in stacks.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        if "importlib" not in stack and not WAITING.search(stack):
            found[kind_of(stack.split(";"))] += int(samples)
    return found


def kind_of(frames: list[str]) -> str:
    for frame in reversed(frames):
        for kind, pattern in PATTERNS:
            if pattern.search(frame):
                return kind
    return OTHER


def report(samples: dict[str, int], pages: int):
    total = sum(samples.values())
    print(f"{pages:,} pages, {total / RATE:.1f} s sampled")
    print("| where | us a page | share |\n|---|---|---|")
    for kind, number in sorted(samples.items(), key=lambda item: -item[1]):
        print(f"| {kind} | {number / RATE * 1e6 / pages:.1f} | {number / total:.1%} |")
    print(f"| all | {total / RATE * 1e6 / pages:.1f} | |")


if __name__ == "__main__":
    main()
