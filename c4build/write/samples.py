"""Samples of what the rules did to one corpus: `samples.jsonl` in its folder, a `Sample` a line, in JSON.

    for sample in read_samples("OUT/c4/en/1.0.0"):
        sample.kind, sample.rule, sample.text, sample.places, sample.why

Of each kind and rule there are so many as `--samples` says (100), or all where there are fewer: those whose URLs have
the lowest hashes, the lowest first, so that the first n of a rule are an even sample by themselves. They do not depend
on how a build was run. Texts are cut to `PAGE_CHARACTERS` and `LINE_CHARACTERS`, about what tripped the rule, so that a
corpus of any size has a few megabytes of samples at most. Beside Parquet the name begins with a _, as the manifest's
does. The manifest lists the file with its digest, and says in `samples` how many were asked for; with `--samples 0` there
is none.

Texts, URLs and `why` are other people's: whoever shows them has to make them safe first (`errors.visible`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from c4build.errors import CorruptFileError, UsageError
from c4build.write.files import FileSums, join, read_checked, whole_file
from c4build.write.folder import read_manifest, sums_in

SAMPLES = "samples.jsonl"
PAGE_CHARACTERS = 800
LINE_CHARACTERS = 240
_URL_CHARACTERS = 1000
_WHY_CHARACTERS = 300
_MOST_PLACES = 50

DROPPED_PAGE, DROPPED_LINE = "dropped_page", "dropped_line"
KEPT_PAGE, NEAR_PAGE, NEAR_LINE = "kept_page", "near_page", "near_line"
KINDS = (DROPPED_PAGE, DROPPED_LINE, NEAR_PAGE, NEAR_LINE, KEPT_PAGE)


@dataclass(frozen=True)
class Sample:
    """A page, or a line of one, and what became of it."""

    kind: str  # of `KINDS`; near_page and near_line were kept, and only just
    rule: str  # why it was dropped: a name of the manifest's `dropped`, or of its `lines`, or "repeated"; or the rule
    # that nearly dropped it: "language_unsure", "too_few_sentences", "too_few_words"; of a kept page "kept"
    url: str
    date: str
    input: str  # the path of its file
    record: int  # its number there, from 1, as `explain --record` takes it
    text: str  # as the rule found it, or what stays; cut
    start: int = 0  # where in the whole text `text` begins, in code points
    characters: int = 0  # of the whole text
    places: list[tuple[int, int]] = field(default_factory=list)  # what tripped the rule: from, to in `text`
    why: str = ""  # what no place can show, in words
    step: str = ""  # of the rules that dropped the page, as `explain` names it; empty where none did
    line: int | None = None  # of a line as it was read: its number in the page, from 0

    @cached_property
    def encoded(self) -> bytes:
        """Its line in the file; variants share most of theirs."""
        return json.dumps(vars(self)).encode() + b"\n"


def cut_sample(
    kind: str, rule: str, url: str, date: str, input: str, record: int, text: str, places: Sequence[tuple[int, int]],
    why: str, step: str, line: int | None,
) -> Sample:  # fmt: skip
    """A sample as it is written: its texts are not longer than they may be, `text` with the first of `places` in it."""
    most = LINE_CHARACTERS if kind in (DROPPED_LINE, NEAR_LINE) else PAGE_CHARACTERS
    first = places[0][0] if places else 0
    start = max(0, min(first - most // 3, len(text) - most))
    stop = start + most
    inside = [(a - start, min(b, stop) - start) for a, b in places if start <= a < stop]
    return Sample(
        kind, rule, url[:_URL_CHARACTERS], date[:_URL_CHARACTERS], input, record, text[start:stop], start, len(text),
        inside[:_MOST_PLACES], why[:_WHY_CHARACTERS], step, line,
    )  # fmt: skip


def samples_name(format: str) -> str:
    """Of the file in a corpus of this format."""
    return f"_{SAMPLES}" if format == "parquet" else SAMPLES


def write_samples(path: str, samples: Iterable[Sample], sums: FileSums):
    """Writes them in the order of their kinds, then rules, then as they come."""
    order = sorted(samples, key=lambda sample: (KINDS.index(sample.kind), sample.rule))
    with whole_file(path, sums) as file:
        for sample in order:
            file.write(sample.encoded)


def read_samples(folder: str) -> Iterator[Sample]:
    """Yields the samples of a complete corpus. Raises UsageError where it has none, CorruptFileError."""
    for line in read_beside(folder, SAMPLES).splitlines():
        fields = json.loads(line)
        yield Sample(**{**fields, "places": [tuple(place) for place in fields["places"]]})


def read_beside(folder: str, name: str) -> bytes:
    """A small file beside a corpus' manifest, as it was written. Raises UsageError where it has none, CorruptFileError."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise UsageError(f"{folder}: no complete corpus lies here; name a folder such as OUT/c4/en/1.0.0")
    found = sums_in(manifest)
    for there in (name, f"_{name}"):
        if there in found:
            try:
                return read_checked(join(folder, there), found[there])
            except OSError as error:
                raise CorruptFileError(f"{join(folder, there)}: {error.strerror or error}") from error
    raise UsageError(f"{folder}: it was made without samples and statistics; make it again without --samples 0")
