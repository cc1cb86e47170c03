"""The lists that variants need: bad words, news domains, URLs shared on Reddit; read and checked before any work."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from c4build.corpora.options import Request
from c4build.errors import UsageError
from c4build.read import attempts
from c4build.read.attempts import InputError
from c4build.read.hosts import Transport
from c4build.read.paths import Input, identify_all
from c4build.read.url_list import read_small
from c4build.rules.exclude import entries_in
from c4build.rules.tables import Variant
from c4build.rules.urls import load_domains
from c4build.sample.resources import bad_words_file


class Lists(NamedTuple):
    """The lists that variants need, empty where none does; and what all leave out."""

    bad_words: tuple[str, ...]
    news_domains: str | None
    urls: tuple[Input, ...]
    excluded: str  # entries of `rules.exclude`, one a line


def check_lists(request: Request, variants: Sequence[Variant]) -> Lists:
    """The lists that `variants` need. Raises UsageError."""
    return Lists(
        _bad_words(request, any("bad_words" in variant.steps for variant in variants)),
        _domains(request, any(variant.news_only for variant in variants)),
        tuple(_url_lists(request, any(variant.listed_urls_only for variant in variants))),
        _excluded(request),
    )


def _domains(request: Request, wanted: bool) -> str | None:
    if not wanted:
        return None
    if not request.realnews_domains:
        raise UsageError(
            "realnewslike needs the news domains: give --realnews-domains FILE|URL, a JSON object of domains as the "
            "RealNews list is (realnews/domain_to_allowed_subdomains.json of the repository rowanz/grover)"
        )
    text = _read_text("--realnews-domains", request.realnews_domains, request)
    try:
        load_domains(text)
    except ValueError as error:
        raise UsageError(f"--realnews-domains {request.realnews_domains}: {error}") from error
    return text


def _url_lists(request: Request, wanted: bool) -> list[Input]:
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
    paths = [path if "://" in path else os.path.abspath(path) for path in sorted(set(request.webtext_urls))]
    return identify_all(paths, _transport(request))


def _bad_words(request: Request, wanted: bool) -> tuple[str, ...]:
    if not wanted:
        return ()
    path = request.bad_words or str(bad_words_file())
    words = tuple(line.strip() for line in _read_text("--badwords", path, request).splitlines() if line.strip())
    if not words:
        raise UsageError(f"--badwords {path}: it holds no words")
    return words


def _excluded(request: Request) -> str:
    if not request.exclude:
        return ""
    try:
        entries = entries_in(_read_text("--exclude", request.exclude, request))
    except ValueError as error:
        raise UsageError(f"--exclude {request.exclude}: {error}") from error
    if not entries:
        raise UsageError(f"--exclude {request.exclude}: it names no page")
    return "\n".join(entries)


def _transport(request: Request) -> Transport:
    return attempts.DEFAULT._replace(most_connections=request.max_connections)


def _read_text(option: str, path: str, request: Request) -> str:
    try:
        return read_small(path, _transport(request)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{option} {path}: it is not UTF-8 text") from error
    except InputError as error:
        raise UsageError(f"{option} {path}: {error}") from error


def words_digest(words: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()
