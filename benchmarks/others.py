"""CPU time a page of other programs' C4 rules beside c4build's `en`: datatrove's and Dolma's, from the registry.

    python -m venv /tmp/datatrove; /tmp/datatrove/bin/pip install 'datatrove[io]' spacy regex warcio faust-cchardet python-magic orjson tokenizers \\
        'xxhash<4'
    python -m venv /tmp/dolma; /tmp/dolma/bin/pip install dolma warcio
    python benchmarks/others.py [WET FILE...] [--least-pages 5000] [--repeat 3] \\
        --datatrove /tmp/datatrove/bin/python --dolma /tmp/dolma/bin/python

Each reads the same files by one process and writes what it keeps; what it needs to start, measured on a file of one page,
is taken off and given apart. The programs are not the same:

- datatrove: its WARC reader, `C4QualityFilter` and `C4BadWordsFilter` with c4build's list, then the three stages of its
  deduplication of spans of three sentences. Not its language filter, which loads a model from the net.
- Dolma: records read by warcio, the tagger `c4_v2`, and what its marks say. It counts no sentences, and looks neither at
  languages nor at repeats.
- c4build: the rules of the paper, with langdetect and deduplication of spans of three sentences.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from throughput import ROOT, SAMPLE, build_seconds, count, enlarge, record

# A page that all of them keep.
ONE = "".join(f"This is sentence number {number} of a page that has a few of them.\n" for number in range(9))
WORDS = ROOT / "badwords" / "en.txt"
DATATROVE = """
import pathlib, re, sys
from loguru import logger
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import SentDedupConfig, SentenceDedupFilter, SentenceDedupSignature, SentenceFindDedups
from datatrove.pipeline.filters import C4BadWordsFilter, C4QualityFilter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
words, out, *files = sys.argv[1:]
logger.remove()
folder = pathlib.Path(files[0]).parent
pathlib.Path(out).mkdir()
pathlib.Path(out, "paths").write_text("\\n".join(pathlib.Path(name).name for name in files))
bad_words = C4BadWordsFilter()
listed = "|".join(map(re.escape, pathlib.Path(words).read_text().splitlines()))
bad_words._badwords_regex["en"] = re.compile(rf"(?:\\W|^)({listed})(?:\\W|$)")  # as its `_get_badwords` makes it
reader = WarcReader(str(folder), paths_file=f"{out}/paths")
stages = [
    [reader, C4QualityFilter(), bad_words, JsonlWriter(f"{out}/clean"), SentenceDedupSignature(f"{out}/signatures", config=SentDedupConfig())],
    [SentenceFindDedups(f"{out}/signatures", f"{out}/repeats", config=SentDedupConfig())],
    [JsonlReader(f"{out}/clean"), SentenceDedupFilter(f"{out}/repeats", config=SentDedupConfig()), JsonlWriter(f"{out}/kept")],
]
for number, stage in enumerate(stages):
    LocalPipelineExecutor(stage, tasks=1, workers=1, logging_dir=f"{out}/logs-{number}").run()
"""
DOLMA = """
import sys
kit, out, *files = sys.argv[1:]
sys.path.insert(0, kit)
import run_dolma
from warcio.archiveiterator import ArchiveIterator
def read_pages():
    for name in files:
        with open(name, "rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type == "conversion":
                    text = record.content_stream().read().decode("utf-8", "replace")
                    yield record.rec_headers.get_header("WARC-Target-URI"), text
run_dolma.read_pages = read_pages
sys.argv = ["run_dolma", "c4_v2"]
sys.stdout = open(out, "w")
run_dolma.main()
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="WET files (default: the bundled sample)")
    parser.add_argument("--least-pages", type=int, default=5000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--datatrove", help="a Python that has it")
    parser.add_argument("--dolma", help="a Python that has it")
    options = parser.parse_args()
    files = [pathlib.Path(name) for name in options.files] or [SAMPLE / "sample.warc.wet.gz"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "one.warc.wet.gz").write_bytes(record(b"http://example.org/", ONE.encode()))
        empty = [folder / "one.warc.wet.gz"]
        inputs = enlarge(files, folder, options.least_pages)
        if inputs == files:
            inputs = [pathlib.Path(shutil.copy(path, folder)) for path in files]
        pages, _ = count(inputs)
        programs = {"c4build, rules of the paper": lambda some: built(some, folder)}
        if options.datatrove:
            programs["datatrove"] = lambda some: seconds([options.datatrove, "-c", DATATROVE, WORDS], folder, some)
        if options.dolma:
            kit = ROOT / "tests" / "parity" / "kit"
            programs["Dolma, c4_v2"] = lambda some: seconds([options.dolma, "-c", DOLMA, kit], folder, some)
        rows = [{name: (run(empty), run(inputs)) for name, run in programs.items()} for _ in range(options.repeat)]
    report(rows, pages)


def built(inputs, folder: pathlib.Path) -> float:
    """CPU seconds of a build, start included."""
    return build_seconds(inputs, folder, "en", rules="paper")[0]


def seconds(command: list, folder: pathlib.Path, inputs) -> float:
    """CPU seconds of another program."""
    out = folder / "others"
    shutil.rmtree(out, ignore_errors=True)
    out.unlink(missing_ok=True)
    with open(folder / "others.log", "wb") as log:
        process = subprocess.Popen([*command, out, *inputs], stdout=log, stderr=log)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed: {(folder / 'others.log').read_text()[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def report(rows: list[dict[str, tuple[float, float]]], pages: int):
    ours = "c4build, rules of the paper"
    print(f"{pages:,} pages, {len(rows)} runs (medians)\n")
    print("| | CPU ms a page | pages a CPU second | times c4build's | start, CPU s |\n|---|---|---|---|---|")
    for name in rows[0]:
        start = statistics.median(row[name][0] for row in rows)
        cost = statistics.median((row[name][1] - row[name][0]) / pages for row in rows)
        ratio = statistics.median((row[name][1] - row[name][0]) / (row[ours][1] - row[ours][0]) for row in rows)
        print(f"| {name} | {1e3 * cost:.3f} | {1 / cost:,.0f} | {ratio:.1f} | {start:.1f} |")


if __name__ == "__main__":
    main()
