"""Compares what programs made of `kit.warc.wet.gz` with what TFDS's builder makes of it, rule by rule.

    python compare.py [NAME=]OUTPUT... [--list]

An output is JSON, an object a line with `url` and `text`: a file (`.gz` or not), or a folder of `*.jsonl`, `*.jsonl.gz` or `*.json.gz`.
Prints a table of how many pages of each rule came out as TFDS's, to the character; `--list` names the others. Exit code 1 if there
are any. Python's standard library alone is needed.
"""

import argparse
import collections
import gzip
import json
import sys
from pathlib import Path

VERDICTS = Path(__file__).with_name("verdicts.jsonl")
SAME, OTHER_TEXT, KEPT, DROPPED = "as TFDS", "other text", "kept, TFDS drops it", "dropped, TFDS keeps it"


def read_output(path: Path) -> dict[str, list[str]]:
    """The texts of each URL."""
    patterns = ("*.jsonl", "*.jsonl.gz", "*.json.gz")
    files = sorted(found for pattern in patterns for found in path.rglob(pattern)) if path.is_dir() else [path]
    files = [file for file in files if file.name != "samples.jsonl"]  # which c4build keeps beside a corpus
    if not files:
        sys.exit(f"{path}: there is no {', '.join(patterns)} in it")
    texts = collections.defaultdict(list)
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else open(file, encoding="utf-8") as lines:
            for line in lines:
                page = json.loads(line)
                texts[page["url"]].append(page["text"])
    return texts


def judge(verdict: dict, texts: list[str]) -> str:
    """How the texts that a program kept of a page compare with the verdict."""
    if not texts:
        return DROPPED if verdict["kept"] else SAME
    if not verdict["kept"]:
        return KEPT
    return SAME if texts == [verdict["text"]] else OTHER_TEXT


def table(verdicts: list[dict], judged: dict[str, list[str]]) -> str:
    """A row a rule, a column a program: pages that are as TFDS's; below, what became of the others."""
    rules = list(dict.fromkeys(verdict["rule"] for verdict in verdicts))
    rows = []
    for rule in rules:
        places = [place for place, verdict in enumerate(verdicts) if verdict["rule"] == rule]
        same = (sum(found[place] == SAME for place in places) for found in judged.values())
        rows.append([rule, len(places), *same])
    for fate in (SAME, OTHER_TEXT, KEPT, DROPPED):
        rows.append(
            [f"**{fate}**", len(verdicts) if fate == SAME else "", *(found.count(fate) for found in judged.values())]
        )
    head = [["rule", "pages", *judged], ["---"] * (2 + len(judged))]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [*head, *rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", nargs="+", metavar="[NAME=]OUTPUT")
    parser.add_argument("--list", action="store_true", help="name each page that is not as TFDS's")
    options = parser.parse_args()
    verdicts = [json.loads(line) for line in VERDICTS.read_text(encoding="utf-8").splitlines()]
    judged = {}
    for output in options.output:
        name, _, path = output.rpartition("=")
        texts = read_output(Path(path))
        judged[name or path] = [judge(verdict, texts.get(verdict["url"], [])) for verdict in verdicts]
    print(table(verdicts, judged))
    if options.list:
        for name, found in judged.items():
            for verdict, fate in zip(verdicts, found):
                if fate != SAME:
                    print(f"{name}: {verdict['rule']}, {verdict['page']}: {fate}")
    sys.exit(any(fate != SAME for found in judged.values() for fate in found))


if __name__ == "__main__":
    main()
