"""One build, from what a person asks for to what came of it: checks everything first, then runs the flow of `corpus`."""

import hashlib
import json
import os
import time
from typing import Iterable, NamedTuple, Optional, Sequence

import smart_open

from c4build import __version__
from c4build.clean import CleanSettings
from c4build.errors import UsageError
from c4build.filters.urls import load_domains
from c4build.finish import FinishSettings
from c4build.publish import SUMMARY
from c4build.read.paths import Input, find_inputs
from c4build.resources import bad_words_file
from c4build.rules import RuleError, choose_variants, load_rules
from c4build.write.files import delete, exists, is_local, is_temporary, join, list_files, make_folder, read_json
from c4build.write.shards import FORMATS, is_installed

_SHARD_INPUT_BYTES = 1 << 30  # compressed WET for one shard
_LEAST_UNITS = 16  # as many shards as inputs, up to this, for the sake of workers


class Request(NamedTuple):
    """What a person asks for; every field is as the command line has it."""

    inputs: Sequence[str]
    out: str
    rules: str = "paper"
    settings: Sequence[str] = ()  # name=value
    variants: Sequence[str] = ("en",)
    bad_words: Optional[str] = None
    realnews_domains: Optional[str] = None
    webtext_urls: Sequence[str] = ()
    format: str = "tfrecord"
    shards: Optional[int] = None
    crawls: Sequence[str] = ()
    limit: Optional[int] = None
    overwrite: bool = False


class Prepared(NamedTuple):
    """A request that has been found possible."""

    plan: "Plan"  # noqa: F821  (of corpus, which imports Beam)
    inputs: list[Input]
    folders: dict[str, str]  # of the variants
    complete: bool  # all of it was made before


def prepare(request: Request, track_progress: bool = True) -> Prepared:
    """Checks the request and plans it; touches nothing but the output folder, and that only when all else is right.

    Raises:
      UsageError: with what to mend.
    """
    from c4build.corpus import Plan, write_inputs

    try:
        rules = load_rules(request.rules, tuple(request.settings))
        variants = choose_variants(list(request.variants))
    except RuleError as error:
        raise UsageError(str(error)) from error
    format = FORMATS.get(request.format)
    if format is None:
        raise UsageError(f"--format {request.format}: there are {', '.join(FORMATS)}")
    if not is_installed(format):
        raise UsageError(f"--format {format.name} needs a package: pip install 'c4build[array-record]'")
    if request.shards is not None and request.shards < 1:
        raise UsageError(f"--shards {request.shards}: it must be 1 or more")
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit {request.limit}: it must be 1 or more")
    domains = _domains(request, any(variant.news_only for variant in variants))
    url_lists = _url_lists(request, any(variant.listed_urls_only for variant in variants))
    bad_words = _bad_words(request, any("bad_words" in variant.steps for variant in variants))
    inputs = find_inputs(request.inputs, request.crawls, request.limit)

    clean = CleanSettings(rules, variants, bad_words, domains)
    shards = request.shards or _shards(inputs)
    identities = [source.identity for source in inputs] + [_identity(path) for path in url_lists]
    fingerprint = _digest([clean.fingerprint(), identities, shards, format.name])
    # Workers may have another working folder.
    out = os.path.abspath(request.out) if is_local(request.out) else request.out.rstrip("/")
    work = join(out, ".c4build")
    finish = FinishSettings(clean, format.name, shards, len(inputs), out, work, fingerprint)
    folders = {variant.name: finish.folder(variant.name) for variant in variants}
    complete = _check_folders(folders, fingerprint, request.overwrite)
    provenance = {
        "c4build": __version__,
        "fingerprint": fingerprint,
        "started": time.time(),
        "rules": rules.to_json(),
        "bad_words": {"words": len(bad_words), "sha256": _words_digest(bad_words)} if bad_words else None,
        "news_domains": request.realnews_domains,
        "url_lists": list(url_lists),
        "format": format.name,
        "shards": shards,
    }
    progress = join(work, "progress") if track_progress and is_local(out) else None
    key_files = join(work, "keys") if is_local(out) else None
    inputs_file = join(work, f"inputs-{fingerprint}.json")
    plan = Plan(finish, inputs_file, _buckets(len(inputs)), tuple(url_lists), provenance, progress, key_files)
    if not complete:
        _make_ready(plan, folders)
        write_inputs(inputs_file, inputs)
    return Prepared(plan, inputs, folders, complete)


def read_summary(folders: dict[str, str]) -> dict[str, dict]:
    """What c4build.json of each variant says."""
    return {name: read_json(join(folder, SUMMARY)) for name, folder in folders.items()}


def _domains(request: Request, wanted: bool) -> Optional[str]:
    if not wanted:
        return None
    if not request.realnews_domains:
        raise UsageError(
            "realnewslike needs the news domains: give --realnews-domains FILE|URL, a JSON object of domains as the "
            "RealNews list is (realnews/domain_to_allowed_subdomains.json of the repository rowanz/grover)"
        )
    text = _read_text("--realnews-domains", request.realnews_domains)
    try:
        load_domains(text)
    except ValueError as error:
        raise UsageError(f"--realnews-domains {request.realnews_domains}: {error}") from error
    return text


def _url_lists(request: Request, wanted: bool) -> list[str]:
    if not wanted:
        return []
    if not request.webtext_urls:
        raise UsageError(
            "webtextlike needs the URLs shared on Reddit: give --webtext-urls FILE..., one URL a line, such as "
            "OpenWebText's lists"
        )
    for path in request.webtext_urls:
        if "://" not in path and not os.path.isfile(path):
            raise UsageError(f"--webtext-urls {path}: there is no such file")
    return [path if "://" in path else os.path.abspath(path) for path in sorted(set(request.webtext_urls))]


def _bad_words(request: Request, wanted: bool) -> tuple[str, ...]:
    if not wanted:
        return ()
    path = request.bad_words or str(bad_words_file())
    words = tuple(line.strip() for line in _read_text("--badwords", path).splitlines() if line.strip())
    if not words:
        raise UsageError(f"--badwords {path}: it holds no words")
    return words


def _read_text(option: str, path: str) -> str:
    try:
        with smart_open.open(path, "rt", encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"{option} {path}: it is not UTF-8 text") from error
    except Exception as error:
        raise UsageError(f"{option} {path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _check_folders(folders: dict[str, str], fingerprint: str, overwrite: bool) -> bool:
    """True if all of it is there already; an error where something else is, unless it may be overwritten."""
    same = 0
    for folder in folders.values():
        summary = join(folder, SUMMARY)
        if exists(summary):
            said = read_json(summary)
            if said.get("fingerprint") == fingerprint:
                # What could not be read to its end is tried again.
                same += all(source["read_to_its_end"] for source in said["inputs"])
                continue
        elif not exists(join(folder, "dataset_info.json")):
            continue
        if not overwrite:
            raise UsageError(
                f"{folder} holds a corpus made of other inputs or by other rules: give another --out, or --overwrite"
            )
    return same == len(folders)


def _make_ready(plan, folders: dict[str, str]):
    """Makes the folders; what says of a folder that it is complete goes first."""
    work = plan.finish.work
    make_folder(work)
    for folder in (join(work, f"pages-{plan.finish.clean.fingerprint()}"), plan.finish.units):
        make_folder(folder)
        for path in list_files(folder):
            if is_temporary(path):
                delete(path)  # of a run that was killed
    for folder in folders.values():
        make_folder(folder)
        for name in ("dataset_info.json", SUMMARY):
            delete(join(folder, name))
    for folder in filter(None, (plan.progress, plan.key_files)):
        make_folder(folder)
        for path in list_files(folder):
            delete(path)


def _shards(inputs: list[Input]) -> int:
    size = sum(source.likely_size for source in inputs)
    return max(1, -(-size // _SHARD_INPUT_BYTES), min(len(inputs), _LEAST_UNITS))


def _buckets(inputs: int) -> int:
    """How many parts the keys are dealt into: a part is held in memory whole, and each file sends something to each."""
    return min(max(8, 4 * inputs), max(1024, inputs // 16))


def _identity(path: str) -> str:
    if "://" in path:
        return path
    status = os.stat(path)
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _digest(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _words_digest(words: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()
