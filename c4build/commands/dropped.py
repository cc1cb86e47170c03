"""`dropped`: the samples that a build kept of what its rules did."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Annotated

from rich.console import Console
from rich.text import Text
from typer import Argument, Option

from c4build.commands.marking import add_marked
from c4build.errors import UsageError, visible

_SHOWN_NAMES = 10


def dropped(
    out: Annotated[
        str, Argument(metavar="OUT", help="A folder given as --out, or a corpus' own, as in OUT/c4/en/1.0.0.")
    ],
    rule: Annotated[
        str, Option(metavar="NAME", help="Of this rule, as in bad_words; by default a list of all.", show_default=False)
    ] = "",
    number: Annotated[int, Option("-n", metavar="N", min=1, help="So many at most.")] = 20,
    variant: Annotated[str, Option(metavar="NAME", help="Of this variant, where OUT holds several.")] = "en",
    near: Annotated[bool, Option("--near", help="What was kept, and only just.")] = False,
    kept: Annotated[bool, Option("--kept", help="Pages that were kept.")] = False,
    as_json: Annotated[bool, Option("--json", help="A JSON object for each, one a line.")] = False,
):
    """Show pages and lines that the rules of a build dropped, and what tripped them; or that they kept.

    They are an even sample, by a hash of the URL: as many of each rule as `build --samples` says.
    """
    from c4build.write.samples import DROPPED_LINE, DROPPED_PAGE, KEPT_PAGE, NEAR_LINE, NEAR_PAGE, read_samples
    from c4build.write.verify import find_corpora

    if near and kept:
        raise UsageError("give --near or --kept, not both")
    folder, manifest = _corpus_of(find_corpora(out), out, variant)
    kinds = (NEAR_PAGE, NEAR_LINE) if near else (KEPT_PAGE,) if kept else (DROPPED_PAGE, DROPPED_LINE)
    samples = [sample for sample in read_samples(folder) if sample.kind in kinds]
    if rule:
        _check(rule, samples, manifest)
        samples = [sample for sample in samples if sample.rule == rule]
    elif not kept and not as_json:
        _print_rules(samples, manifest)
        return
    for sample in islice(samples, number):
        if as_json:
            print(json.dumps(asdict(sample)))
        else:
            _print(sample)
    if not samples:
        print(visible(f"{folder}: no such sample{f' of {rule}' if rule else ''}"))


def _corpus_of(folders: list[str], out: str, variant: str) -> tuple[str, dict]:
    """The folder of a variant's newest version, and its manifest; that of the only corpus there is. Raises UsageError."""
    from c4build.write.folder import read_manifest, version_key

    read = ((folder, read_manifest(folder)) for folder in sorted(folders, key=version_key))
    found = {of["variant"]: (folder, of) for folder, of in read if of and "variant" in of}
    if variant not in found and len(found) == 1:
        (variant,) = found
    if variant not in found:
        there = ", ".join(sorted(found)[:_SHOWN_NAMES]) or "none that is complete"
        raise UsageError(f"{out}: no complete variant {variant} lies there; variants: {there}")
    return found[variant]


def _check(rule: str, samples: list, manifest: Mapping):
    """Raises UsageError where there is no rule of the name."""
    from c4build.rules.tables import REASONS

    known = {*REASONS, *manifest["lines"], *(sample.rule for sample in samples)} - {"read", "kept", "of_dropped_pages"}
    if rule not in known | {"kept"}:
        there = sorted({sample.rule for sample in samples})
        raise UsageError(f"--rule {rule}: no rule is called so; there are samples of {', '.join(there) or 'none'}")


def _print_rules(samples: list, manifest: Mapping):
    """A list of the rules of which there are samples."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{manifest['variant']} by the rules {manifest['rules']['name']}: samples of", markup=False)
    for (kind, rule), count in Counter((sample.kind, sample.rule) for sample in samples).items():
        what, of = kind.split("_")[1], ""
        dropped = manifest["dropped" if what == "page" else "lines"].get(rule)
        if kind.startswith("dropped") and dropped is not None:
            of = f" of {dropped:,}"
        console.print(visible(f"  {rule:<24} {count:>7,}{of} {what}s"), markup=False)
    console.print("--rule NAME shows those of one", markup=False)


def _print(sample):
    console = Console(highlight=False, soft_wrap=True)
    where = f"page {sample.record:,} of {sample.input}"
    if sample.line is not None:
        where = f"line {sample.line + 1:,} of {where}"
    style = "green" if sample.kind.startswith(("kept", "near")) else "red"
    console.print(Text(visible(f"{sample.rule}: {sample.url}"), style=f"bold {style}"))
    console.print(Text(visible(where), style="dim"))
    if words := "; ".join(filter(None, [_words(sample), sample.why])):
        console.print(Text(visible(words), style="italic"))
    said = Text("... " if sample.start else "")
    add_marked(said, sample.text, sample.places, "", keep="\n")
    if sample.start + len(sample.text) < sample.characters:
        said.append(f" ... ({sample.characters:,} characters)", "dim")
    console.print(said)
    console.print()


def _words(sample) -> str:
    return ", ".join(dict.fromkeys(_found(sample)))


def _found(sample) -> Iterator[str]:
    for start, stop in sample.places[:_SHOWN_NAMES]:
        yield sample.text[start:stop]
