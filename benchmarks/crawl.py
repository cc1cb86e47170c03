"""What a crawl takes and costs by `c4build plan`, as if it were made of pages like those of FILES.

    python benchmarks/crawl.py FILE... [--files 64000] [--pages 39062] [--workers 450]

Each file is enlarged with distinct copies to the pages of a WET file of a crawl, and all are read as the sample of so many
inputs that Common Crawl's server would have. Prints what `plan` prints. Nothing is fetched.
"""

import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from throughput import enlarge

from c4build.commands.plan import _print, _shown, _start
from c4build.corpora.options import Request
from c4build.corpora.plan import measure_sample, project
from c4build.errors import say
from c4build.flow.prices import load_prices


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=64_000, help="WET files of the crawl")
    parser.add_argument("--pages", type=int, default=39_062, help="of each")
    parser.add_argument("--workers", type=int, default=450)
    parser.add_argument("--rules", default="c4-3.1.0")
    parser.add_argument("--variants", default="en")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, path in enumerate(options.inputs):
            folder = pathlib.Path(name, str(number))
            folder.mkdir()
            paths += enlarge([path], folder, options.pages)
        request = Request(
            inputs=[str(path) for path in paths], out="", rules=options.rules, variants=options.variants.split(",")
        )
        measured = measure_sample(request, len(paths), 0, _shown, say)
        crawl = [
            source._replace(path=f"https://data.commoncrawl.org/{number}", size=-1)
            for number, source in zip(range(options.files), measured.checked.inputs[:1] * options.files)
        ]
        measured = measured._replace(checked=measured.checked._replace(inputs=crawl))
        start = _start(request, name, 2)
        _print({**project(measured, request, 0, options.workers, start, load_prices(None)), "prices": None})


if __name__ == "__main__":
    main()
