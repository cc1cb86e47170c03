"""The card of the corpora in a folder: a README.md as the Hugging Face Hub has them, by which `datasets` tells them apart."""

import hashlib
import json
import re

from c4build.report import markdown, tables
from c4build.report.gather import Corpus, Gathered, Group, look
from c4build.report.loading import Config, configs, ways_to_load
from c4build.report.own import left_alone, read_there
from c4build.write.files import base_name, delete, is_local, join, whole_file
from c4build.write.metadata import C4_CITATION

CARD = "README.md"

_MARK = "# Made by c4build, and made anew by its next run as long as nobody changes it. sha256 of what follows: "
_FOLDER = "FOLDER"  # stands for wherever the card lies
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
          (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"))  # fmt: skip
_OF_THE_WEB = (
    "The texts are other people's: pages of the public web as Common Crawl fetched them, under "
    "[its terms of use](https://commoncrawl.org/terms-of-use). They hold what the web holds: personal data, errors, opinions, "
    "and what the rules did not catch. The list of bad words also drops pages that are harmless, those about minorities more "
    "often than others ([Dodge et al., 2021](https://arxiv.org/abs/2104.08758))."
)


def write_card(out: str, always: bool = False) -> str | None:
    """Writes OUT/README.md on every complete corpus below OUT, with a config for each that is JSONL or Parquet.

    A README.md that somebody else wrote or changed is left alone; then the line to tell so is returned, else None.
    A card of ours goes where no corpus is left. `always`: there is one even if `datasets` can load none of the corpora.
    """
    path = join(out, CARD)
    there = read_there(path)
    gathered = look(out)
    wanted = bool(gathered.corpora) and (always or there is not None or bool(configs(gathered.corpora)))
    if there is not None and not is_ours(there):
        return left_alone(path) if wanted else None
    if wanted:
        content = make_card(gathered)
        if content != there:
            with whole_file(path) as file:
                file.write(content)
    elif there is not None:
        delete(path)
    return None


def is_ours(content: bytes) -> bool:
    """True for a card as `make_card` made it, unchanged."""
    head, line, rest = content.partition(b"\n")
    mark, _line, rest = rest.partition(b"\n")
    return head == b"---" and mark == (_MARK + hashlib.sha256(rest).hexdigest()).encode()


def make_card(gathered: Gathered) -> bytes:
    """The card of the corpora."""
    known = configs(gathered.corpora)
    lines = [*_front_matter(gathered, known), "---", "", "# Corpora made by c4build", "", *_overview(gathered, known)]
    for group in gathered.groups:
        lines += ["", f"## {markdown.plain(group.title)}", "", *_of_group(group)]
    lines += ["", "## How to load", "", "```python", *_loading(gathered, known), "```"]
    if any("variant" in group.said for group in gathered.groups):
        lines += ["", "## Considerations", "", _OF_THE_WEB, "", "## Citation", "", "```bibtex", C4_CITATION, "```"]
    rest = ("\n".join(lines) + "\n").encode(errors="backslashreplace")
    return b"---\n" + (_MARK + hashlib.sha256(rest).hexdigest()).encode() + b"\n" + rest


def _front_matter(gathered: Gathered, known: dict[str, Config]) -> list[str]:
    lines = ["configs:"] if any(config.in_card for config in known.values()) else []
    for config in known.values():
        if config.in_card:
            lines += [f"- config_name: {json.dumps(config.name)}", "  data_files:"]
            for split, pattern in config.splits.items():
                lines += [f"  - split: {split}", f"    path: {json.dumps(pattern)}"]
    languages = {group.said["rules"].get("language") for group in gathered.groups} - {None}
    examples = sum(corpus.manifest["kept"] for corpus in gathered.corpora)
    fields = {
        "pretty_name": ", ".join(dict.fromkeys(group.title for group in gathered.groups)),
        "language": sorted(one for one in languages if re.fullmatch("[a-z]{2,3}", str(one))),
        "task_categories": ["text-generation", "fill-mask"],
        "size_categories": [next((name for most, name in _SIZES if examples < most), "100B<n<1T")],
        "tags": ["c4build"] + ["c4", "common-crawl"] * any("variant" in group.said for group in gathered.groups),
    }
    return [*lines, *(f"{name}: {json.dumps(value)}" for name, value in fields.items() if value)]


def _overview(gathered: Gathered, known: dict[str, Config]) -> list[str]:
    names = [config.name for config in known.values() if config.in_card]
    lead = [f'`datasets.load_dataset({_FOLDER}, "{names[0]}")` loads one of them.', ""] if names else []
    lines = [*lead, "| corpus | format | train | validation | rules |", "|---|---|---:|---:|---|"]
    for corpus in gathered.corpora:
        said = corpus.manifest
        name = known[corpus.place].name if corpus.place in known else corpus.place
        counts = [f"{said['splits'].get(split, 0):,}" for split in ("train", "validation")]
        rules = f"{said['rules']['name']}"
        lines.append(f"| {markdown.code(name)} | {said['format']} | {' | '.join(counts)} | {markdown.plain(rules)} |")
    return lines


def _of_group(group: Group) -> list[str]:
    said = group.said
    lines = [f"Made by c4build {markdown.plain(said['c4build'])}.", ""]  # the same corpora have the same card
    lines += ["### Kept and dropped", "", *markdown.table(tables.funnel(group))]
    for one in (tables.lines(group), tables.repeats(group)):
        if one:
            lines += ["", f"### {one.caption}", "", *markdown.table(one)]
    lines += ["", "### Inputs", "", *_of_inputs(tables.inputs(said, most=10))]
    for one in (tables.missing(said), tables.damages(said)):
        if one:
            lines += ["", f"### {one.caption}", "", *_of_inputs(one)]
    meanings = {row.name: row.about for row in tables.funnel(group).rows if row.about}
    if meanings:
        lines += ["", "### What the rules mean", ""]
        lines += [f"- {markdown.plain(name)}: {markdown.plain(about)}" for name, about in meanings.items()]
    return [*lines, "", "### The rules in full", "", *markdown.table(tables.rules(group))]


def _of_inputs(one: tables.Table) -> list[str]:
    """A table of inputs, for everybody: of files of this machine only their names."""
    rows = [row._replace(name=base_name(row.name) if is_local(row.name) else row.name) for row in one.rows]
    return markdown.table(one._replace(rows=rows), outside=True)


def _loading(gathered: Gathered, known: dict[str, Config]) -> list[str]:
    def lines(corpus: Corpus) -> list[str]:
        return [line for _, line in ways_to_load(_FOLDER, corpus, known.get(corpus.place))]

    return [line for corpus in gathered.corpora for line in lines(corpus)]
