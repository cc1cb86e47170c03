"""How corpora are loaded: as configs of the Hugging Face Hub, and as lines of Python."""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from c4build.report.gather import Corpus

_KINDS = {"jsonl": "json", "parquet": "parquet"}  # what `datasets` calls our formats
_SHARD = re.compile(r"(?P<start>.+-(?P<split>train|validation)[.-])\d+-of-\d+(?P<end>\.json\.gz|\.parquet)")


class Config(NamedTuple):
    """A corpus as `datasets` has it."""

    name: str  # c4.en; where there are several versions of it, c4.en.1.0.0
    kind: str  # json | parquet
    splits: dict[str, str]  # the pattern of each split's files, relative to OUT
    in_card: bool  # `datasets` reads all configs of a card as files of one kind


def configs(corpora: Sequence[Corpus]) -> dict[str, Config]:
    """By place, of those that `datasets` can load: JSONL or Parquet that is not empty."""
    in_order = sorted(corpora, key=lambda corpus: corpus.place.split("/"))
    found = {corpus.place: splits for corpus in in_order if (splits := _splits(corpus))}
    kinds = {corpus.place: _KINDS.get(corpus.manifest["format"], "") for corpus in corpora}
    sets = [place.split("/")[:-1] for place in found]
    named = {}
    for place, splits in found.items():
        *of_set, _ = parts = place.split("/")
        name = ".".join(parts if sets.count(of_set) > 1 else of_set or parts)
        named[place] = Config(name, kinds[place], splits, kinds[place] == kinds[next(iter(found))])
    return named


def _splits(corpus: Corpus) -> dict[str, str]:
    if corpus.manifest["format"] not in _KINDS:
        return {}
    patterns = {}
    for name in sorted(corpus.manifest["files"]):
        if shard := _SHARD.fullmatch(name):
            patterns[shard["split"]] = f"{corpus.place}/{shard['start']}*-of-*{shard['end']}"
    return {split: patterns[split] for split, count in corpus.manifest["splits"].items() if count and split in patterns}


def ways_to_load(out: str, corpus: Corpus, config: Config | None) -> list[tuple[str, str]]:
    """(library, a line of Python) for each library that reads the corpus.

    Args:
      out: the folder above all corpora, as a person names it.
      corpus: what is to be loaded.
      config: what `datasets` takes it for, if anything.
    """
    format, folder = corpus.manifest["format"], _text(f"{out.rstrip('/')}/{corpus.place}")
    named, _, version = corpus.place.rpartition("/")
    by_name = f"{_text(f'{named}:{version}')}, data_dir={_text(out)}, download=False"
    if format == "tfrecord":
        return [
            ("TensorFlow Datasets", f"tfds.load({by_name})"),
            ("TensorFlow Datasets, by the folder", f"tfds.builder_from_directory({folder}).as_dataset()"),
        ]
    if format == "array_record":
        return [("TensorFlow Datasets, any example by its number", f"tfds.data_source({by_name})")]
    ways = []
    if config and config.in_card:
        ways.append(("Hugging Face datasets", f"datasets.load_dataset({_text(out)}, {_text(config.name)})"))
    elif config:
        ways.append(
            ("Hugging Face datasets", f"datasets.load_dataset({_text(config.kind)}, data_files={_text(config.splits)})")
        )
    if format == "parquet":
        ways.append(("pandas", f"pandas.read_parquet({folder})"))
    return ways


def _text(value: object) -> str:
    return json.dumps(value)
