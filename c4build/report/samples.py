"""Samples of what the rules dropped and kept, by rule, those of all variants together, with what tripped the rule marked."""

from collections.abc import Iterator
from typing import NamedTuple

from c4build.errors import C4BuildError, UsageError
from c4build.report.gather import Group
from c4build.report.words import meaning, name
from c4build.write.files import join
from c4build.write.samples import (
    DROPPED_LINE,
    DROPPED_PAGE,
    KEPT_PAGE,
    NEAR_LINE,
    NEAR_PAGE,
    Sample,
    read_samples,
)

_SHOWN = 10  # of a kind and rule; the file has more
_TITLES = {
    DROPPED_PAGE: "Dropped pages",
    DROPPED_LINE: "Dropped lines",
    NEAR_PAGE: "Pages kept, and only just",
    NEAR_LINE: "Lines kept, and only just",
    KEPT_PAGE: "Kept pages",
}


class Shown(NamedTuple):
    sample: Sample
    variants: list[str]  # in which it is one
    parts: list[tuple[str, bool]]  # its text in pieces, True for what tripped the rule
    cut: str  # how much of the whole text that is; empty for all


class ByRule(NamedTuple):
    rule: str
    about: str
    shown: list[Shown]


class Kind(NamedTuple):
    title: str
    rules: list[ByRule]


def samples_of(out: str, group: Group, unread: list[str]) -> list[Kind]:
    """What there is, by kind and rule; `unread` gets a line for each file that is not as it was written."""
    found: dict[tuple[str, str], dict[tuple, Shown]] = {}
    for corpus in group.corpora:
        taken: dict[tuple[str, str], int] = {}
        for sample in _read(join(out, corpus.place), unread):
            of = sample.kind, sample.rule
            taken[of] = taken.get(of, 0) + 1
            if taken[of] > _SHOWN:
                continue
            known = found.setdefault(of, {})
            key = (sample.url, sample.record, sample.line, sample.text)
            if key in known:
                known[key].variants.append(corpus.name)
            elif len(known) < _SHOWN:
                known[key] = Shown(sample, [corpus.name], list(_parts(sample)), _cut(sample))
    return [
        Kind(
            title,
            [
                ByRule(name(rule), "" if rule == "kept" else meaning(rule, group.said), list(shown.values()))
                for (of, rule), shown in found.items()
                if of == kind
            ],
        )
        for kind, title in _TITLES.items()
        if any(of == kind for of, _ in found)
    ]


def _read(folder: str, unread: list[str]) -> Iterator[Sample]:
    try:
        yield from read_samples(folder)
    except UsageError:
        pass  # the corpus was made without
    except C4BuildError as error:
        unread.append(str(error))
    except (TypeError, ValueError, KeyError) as error:
        unread.append(f"{folder}: its samples are not what c4build writes ({error})")


def _parts(sample: Sample) -> Iterator[tuple[str, bool]]:
    at, text = 0, sample.text
    for start, stop in sorted(sample.places):
        start, stop = max(start, at), min(stop, len(text))
        if start < stop:
            yield text[at:start], False
            yield text[start:stop], True
            at = stop
    yield text[at:], False


def _cut(sample: Sample) -> str:
    if len(sample.text) == sample.characters:
        return ""
    return f"characters {sample.start + 1:,} to {sample.start + len(sample.text):,} of {sample.characters:,}"
