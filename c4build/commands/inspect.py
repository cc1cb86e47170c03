"""What is in a corpus, finished or under way: how many examples, how long they are, and what some of them look like."""

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from c4build.corpora.examples import ShardError, find_shards, newest_version, read_shard
from c4build.errors import UsageError, counted, visible
from c4build.write.files import is_local, join, list_files, list_folders
from c4build.write.folder import find_manifest

_SHOWN_TEXT = 500  # characters


class Look(NamedTuple):
    """What was found."""

    folder: str
    complete: bool
    examples: dict[str, int]  # by split
    units: int  # tokens or words
    bytes: int  # of text
    lengths: dict[int, int]  # how many texts have 2^k units or more, but fewer than 2^(k+1), by k; -1: none
    drawn: list[dict[str, str]]
    unread: list[str]  # what could not be read, one line each


def look(folder: str, length: Callable[[str], int], draw: int = 3, seed: int = 0) -> Look:
    """Reads every finished shard of `folder`, or of the newest version in it. Raises UsageError where there is none."""
    folder = newest_version(folder)
    shards = find_shards(folder)
    if not shards:
        raise UsageError(f"{folder}: no finished shard of a corpus lies in this folder{_under_way(folder)}")
    examples: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    unread: list[str] = []
    units = size = seen = 0
    chance = random.Random(seed)
    drawn: list[dict[str, str]] = []
    for shard in shards:
        try:
            for example in read_shard(shard):
                text = example["text"]
                count = length(text)
                examples[shard.split] += 1
                units += count
                size += len(text.encode(errors="surrogatepass"))
                lengths[count.bit_length() - 1] += 1
                seen += 1
                place = len(drawn) if len(drawn) < draw else chance.randrange(seen)  # each is as likely as any other
                if place < draw:
                    drawn[place : place + 1] = [dict(example)]
        except ShardError as error:
            unread.append(str(error))
    return Look(
        folder,
        find_manifest(folder) is not None,
        dict(examples),
        units,
        size,
        dict(sorted(lengths.items())),
        drawn,
        unread,
    )


def _under_way(folder: str) -> str:
    """What a build that has no shard in `folder` yet has come to: OUT/c4/en/1.0.0 has its page files in OUT/.c4build."""
    if not is_local(folder):
        return ""
    above = os.path.abspath(folder)
    for _ in range(4):
        work = join(above, ".c4build")
        pages = [name for name in list_folders(work) if name.startswith("pages-")]
        if pages:
            cleaned = sum(path.endswith(".pages") for name in pages for path in list_files(join(work, name)))
            return f"; a build is under way in {above}: {counted(cleaned, 'inputs')} cleaned"
        above = os.path.dirname(above)
    return ""


def print_look(found: Look, unit: str, width: int = 40):
    """Prints it for a person."""
    splits = ", ".join(f"{count:,} {split}" for split, count in found.examples.items())
    print(visible(f"{found.folder}: {'complete' if found.complete else 'not complete: finished shards only'}"))
    examples = counted(sum(found.examples.values()), "examples")
    print(f"{examples} ({splits}), {counted(found.units, unit)}, {counted(found.bytes, 'bytes')} of text")
    most = max(found.lengths.values(), default=1)
    for power, count in found.lengths.items():
        label = f"{1 << power:,}-{(2 << power) - 1:,}" if power > 0 else str(power + 1)
        name = unit if power else unit.removesuffix("s")
        print(f"{label:>20} {name + ':':<{len(unit) + 1}} {count:>12,} {'#' * -(-count * width // most)}")
    for example in found.drawn:
        print()
        for name, value in example.items():
            if name != "text":
                print(visible(f"{name}: {value}"))
        text = example["text"]
        print(visible(text if len(text) <= _SHOWN_TEXT else text[:_SHOWN_TEXT] + " ...", keep="\n\t"))
