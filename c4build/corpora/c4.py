"""One build, from what a person asks for to what came of it: checks everything first, then runs the flow of `web`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from c4build import __version__
from c4build.corpora.lists import Lists, check_lists, words_digest
from c4build.corpora.options import Request
from c4build.dedup.keys import MOST_VARIANTS
from c4build.errors import CorruptFileError, UsageError
from c4build.flow.clean import CleanSettings, tracks_of
from c4build.flow.corpus import check_format, make_ready
from c4build.flow.inputs import write_inputs
from c4build.flow.kit import Prepared, Run, absolute, check_connections, locked, now, transport
from c4build.flow.settings import DATASET, FinishSettings, corpus_of
from c4build.read.finding import find_inputs
from c4build.read.missing import most_missing
from c4build.read.paths import ARCHIVES, Input
from c4build.rules.own_variants import leave_one_out, own_variants, rules_of
from c4build.rules.tables import VARIANTS, RuleError, RuleSet, Variant, choose_variants, load_rules
from c4build.write.files import (
    base_name,
    digest,
    join,
    list_files,
    list_folders,
    make_folder,
    read_sealed,
    write_sealed,
)
from c4build.write.folder import is_complete, manifest_of
from c4build.write.lock import unlock
from c4build.write.shards import DROPPED_NAMES, FORMATS

_MOST_SAMPLES = 1000
_USUAL_SAMPLES = Request._field_defaults["samples"]
_SHARD_INPUT_BYTES = 1 << 30  # compressed WET for one shard
_LEAST_UNITS = 16  # as many shards as inputs, up to this, for the sake of workers


class Checked(NamedTuple):
    """What a request comes to: its options are right, and its inputs are there."""

    rules: RuleSet
    variants: tuple[Variant, ...]
    lists: Lists
    inputs: list[Input]
    out: str  # absolute: workers may have another working folder


def prepare(request: Request, say: Callable[[str], object] = lambda line: None) -> Prepared:
    """Checks the request and plans it; touches nothing but the output folder, and that only when all else is right.

    The output folder is locked from here on until `run` is done, or nothing need be.

    Args:
      request: what is asked for.
      say: is told in a line what is there already, what must be made again and what is read again.

    Raises:
      UsageError: with what to mend.
      InUseError: another process writes to the output folder.
      CorruptFileError: what says what lies in the output folder is not what was written.
    """
    checked = check(request)
    with locked(checked.out):
        prepared = _plan(request, *checked, say)
    if prepared.complete:
        unlock(prepared.plan.run.work)
    return prepared


def check(request: Request) -> Checked:
    """Checks the request, and looks up its inputs; touches nothing. Raises UsageError with what to mend."""
    rules, variants = check_rules(request)
    check_format(request.format)
    if request.provenance and FORMATS[request.format].tfds:
        raise UsageError(
            f"--provenance: {request.format} is as TFDS has it, to the byte: give --format jsonl or parquet"
        )
    for name, number in {"shards": request.shards, "limit": request.limit}.items():
        if number is not None and number < 1:
            raise UsageError(f"--{name} {number}: it must be 1 or more")
    check_connections(request.max_connections)
    if request.archive not in ARCHIVES:
        raise UsageError(f"--from {request.archive}: there are {', '.join(ARCHIVES)}")
    if not 0 <= request.samples <= _MOST_SAMPLES:
        raise UsageError(f"--samples {request.samples}: it lies between 0 and {_MOST_SAMPLES:,}")
    if request.write_dropped not in (None, *DROPPED_NAMES):
        raise UsageError(f"--write-dropped {request.write_dropped}: there are {', '.join(DROPPED_NAMES)}")
    most_missing(request.allow_missing, 0)
    lists = check_lists(request, variants)
    inputs = find_inputs(
        request.inputs, request.crawls, request.limit, ARCHIVES[request.archive], request.max_connections
    )
    return Checked(rules, variants, lists, inputs, absolute(request.out))


def check_rules(request: Request) -> tuple[RuleSet, tuple[Variant, ...]]:
    """The rules and the variants that are asked for. Raises UsageError."""
    try:
        rules = load_rules(request.rules, tuple(request.settings))
        named = [name.strip() for names in request.variants for name in names.split(",")]
        own = own_variants(request.rules, request.own_variants)
        own += leave_one_out(rules) if request.leave_one_out else []
        variants = choose_variants([name for name in named if name], own)
    except RuleError as error:
        raise UsageError(str(error)) from error
    if len(variants) > MOST_VARIANTS:
        raise UsageError(f"{len(variants)} variants: one run makes up to {MOST_VARIANTS}")
    return rules, variants


def _plan(request, rules, variants, lists, inputs, out, say) -> Prepared:
    from c4build.flow.web import Plan

    shards = request.shards or default_shards(inputs)
    made_from = {variant.name: _made_from(rules, variant, lists, inputs, request, shards) for variant in variants}
    folders = {variant.name: corpus_of(out, variant, rules).folder for variant in variants}
    sources = {source.path: source.identity for source in inputs}
    todo = [
        variant
        for variant in variants
        if not is_complete(folders[variant.name], made_from[variant.name], sources, request.overwrite, say)
    ]
    there = [variant.name for variant in variants if variant not in todo]
    for name in there if todo else ():
        say(f"{name} is there already")
    tracks, track_of = tracks_of(rules, todo)
    bad_words = lists.bad_words if any("bad_words" in variant.steps for variant in todo) else ()
    domains = lists.news_domains if any(variant.news_only for variant in todo) else None
    clean = CleanSettings(
        rules,
        tracks,
        bad_words,
        domains,
        lists.excluded,
        provenance=request.provenance,
        samples=request.samples,
        write_dropped=request.write_dropped or "",
    )
    fingerprint = digest([made_from[variant.name] for variant in todo])
    url_lists = lists.urls if any(variant.listed_urls_only for variant in todo) else ()
    provenance = {
        "c4build": __version__,
        "fingerprint": fingerprint,
        "started": now(),
        "rules": rules.to_json(),
        "bad_words": {"words": len(bad_words), "sha256": words_digest(bad_words)} if bad_words else None,
        "excluded": {"entries": len(lists.excluded.split("\n")), "sha256": digest(lists.excluded)}
        if lists.excluded
        else None,
        "news_domains": request.realnews_domains,
        "url_lists": [source.path for source in url_lists],
        "format": request.format,
        "shards": shards,
        "made_from": made_from,
    }
    run = Run(
        out=out,
        format=request.format,
        shards=shards,
        inputs=len(inputs),
        fingerprint=fingerprint,
        provenance=provenance,
        most_missing=most_missing(request.allow_missing, len(inputs)),
    )
    key_files = join(run.work, "keys")
    settings = FinishSettings(run, clean, tuple(todo), track_of, bad_words)
    plan = Plan(settings, url_lists, key_files, transport(out, request.max_connections, sources))
    page_files: list[str] = []
    if todo:
        page_files, again = _find_page_files(run.work, clean, inputs, read_before=bool(there))
        for number, why in again:
            files = "1 input is" if number == 1 else f"{number:,} inputs are"
            say(f"{files} read again for {_and([variant.name for variant in todo])}: {why}")
        make_ready(run, plan.corpora, [key_files])
        write_inputs(run.listed, [[*source, page_file] for source, page_file in zip(inputs, page_files)])
    return Prepared(plan, inputs, page_files, folders, not todo)


def _made_from(
    rules: RuleSet, variant: Variant, lists: Lists, inputs: Sequence[Input], request: Request, shards: int
) -> dict:
    """All that decides what is in a variant's folder."""
    return {
        "corpus": f"{DATASET}/{variant.name}",
        **({} if variant.name in VARIANTS else {"variant": sorted(rules_of(variant))}),
        "rules": rules.to_json(),
        "bad_words": words_digest(lists.bad_words) if "bad_words" in variant.steps else None,
        "news_domains": digest(lists.news_domains) if variant.news_only else None,
        "url_lists": {source.path: source.identity for source in lists.urls} if variant.listed_urls_only else {},
        **({"excluded": digest(lists.excluded)} if lists.excluded else {}),
        **({"provenance": True} if request.provenance else {}),
        "inputs": digest([source.identity for source in inputs]),
        "format": request.format,
        "shards": shards,
        **({} if request.samples == _USUAL_SAMPLES else {"samples": request.samples}),
        **({"dropped": request.write_dropped} if request.write_dropped else {}),
    }


_TRACKS = "tracks.json"


def _find_page_files(
    work: str, clean: CleanSettings, inputs: Sequence[Input], read_before: bool
) -> tuple[list[str], list[tuple[int, str]]]:
    """Where each input's page file lies or will lie: one with all tracks that are needed, be they more, serves.

    Also, how many inputs that were read before are read again, and why. `read_before`: all of them were.
    """
    own, needed, rules = join(work, clean.folder_name()), set(clean.track_keys()), digest(clean.rules.to_json())
    serving: list[str] = []
    lacking: dict[str, dict] = {}  # what is said of such a folder
    for name in list_folders(work):
        folder = join(work, name)
        if name.startswith("pages-") and folder != own:
            try:
                said = read_sealed(join(folder, _TRACKS))
            except (OSError, CorruptFileError):
                continue
            if said["rules"] == rules and needed <= set(said["tracks"]):
                serving.append(folder)
            elif said["rules"] == rules:
                lacking[folder] = said
    make_folder(own)
    write_sealed(join(own, _TRACKS), {"rules": rules, "tracks": clean.track_keys(), "lists": _lists_of(clean)})
    names = [f"{source.name[-100:]}-{source.identity}.pages" for source in inputs]
    there: dict[str, str] = {}
    for folder in [*reversed(serving), own]:
        there |= {base_name(path): path for path in list_files(folder)}
    missing = [name for name in names if name not in there]
    elsewhere = {folder: {base_name(path) for path in list_files(folder)}.intersection(missing) for folder in lacking}
    lack = len(set().union(*elsewhere.values()))
    again = []
    if lack:
        again.append((lack, _lacking(clean, [lacking[folder] for folder, found in elsewhere.items() if found])))
    if read_before and lack < len(missing):
        again.append((len(missing) - lack, "the page files are gone"))
    return [there.get(name, join(own, name)) for name in names], again


def _lists_of(clean: CleanSettings) -> dict[str, str | None]:
    """What the lists hold that decide what page files hold, in short, by options; None where there is none."""
    return {
        "--exclude": digest(clean.excluded) if clean.excluded else None,
        "--badwords": words_digest(clean.bad_words) if clean.bad_words else None,
        "--realnews-domains": digest(clean.news_domains) if clean.news_domains else None,
    }


def _lacking(clean: CleanSettings, made: Sequence[dict]) -> str:
    """What page files lack that were made as `made` says."""
    for option, own in _lists_of(clean).items():
        theirs = [said.get("lists", {}).get(option, own) for said in made]  # an older one does not say
        if own not in theirs and own and all(theirs):
            return f"the page files were made with another {option} list"
        if own not in theirs and option == "--exclude":
            return f"the page files were made {'without' if own else 'with'} {option}"
    known = {track for said in made for track in said["tracks"]}
    if set(clean._replace(provenance=not clean.provenance).track_keys()) <= known:
        return f"the page files were made {'without' if clean.provenance else 'with'} --provenance"
    tracks = [track for key, track in zip(clean.track_keys(), clean.tracks) if key not in known] or clean.tracks
    return f"the page files lack {_and(sorted(set(map(_track_has, tracks))))}"


def _track_has(track: Variant) -> str:
    if track.raw:
        return "the raw text"
    if track.news_only:
        return "which pages are of news domains"
    return "the cleaned text" if "bad_words" in track.steps else "the text of pages with bad words"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def read_summary(folders: dict[str, str]) -> dict[str, dict]:
    """The manifest of each variant."""
    return {name: manifest_of(folder) for name, folder in folders.items()}


def default_shards(inputs: list[Input]) -> int:
    """As many training shards as the inputs' size asks for."""
    size = sum(source.likely_size for source in inputs)
    return max(1, -(-size // _SHARD_INPUT_BYTES), min(len(inputs), _LEAST_UNITS))
