"""Pages that are left out by their address: of whom asked for it, or of an evaluation's sources.

An entry is a URL (`https://example.org/a`, `example.org/a`), that page alone, however the URL is spelled; a host
(`example.org`), with or without www; or a suffix (`.example.org`, `*.example`), the host of that name and all below it.
"""

import re
from collections.abc import Callable, Iterable

from c4build.rules.urls import normalize_url

_ADDRESS = re.compile(
    r"(?P<before>(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/?#@]*@)?)(?P<host>[^/?#:]*)(?P<after>.*)", re.DOTALL
)
_REMARK = re.compile(r"(^|\s)#.*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def entries_in(text: str) -> list[str]:
    """The entries of a list, one a line; what stands behind a # at a line's start or after a space is a remark.

    Raises ValueError with the number of a line that is no entry.
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        entry = _REMARK.sub("", line).strip()
        if not entry:
            continue
        entry = entry.removeprefix("*") if entry.startswith("*.") else entry
        if len(entry.split()) > 1 or not _host_of(entry.lstrip(".")):
            raise ValueError(f"line {number} is no URL, host or suffix: {line.strip()!r}")
        found.append(entry)
    return list(dict.fromkeys(found))


def exclude_test(entries: Iterable[str]) -> Callable[[str], str]:
    """A function of a normalised URL to the entry that leaves its page out; empty where none does."""
    urls: dict[str, str] = {}
    hosts: dict[str, str] = {}
    suffixes: dict[str, str] = {}
    for entry in entries:
        if entry.startswith("."):
            suffixes.setdefault(_host_of(entry[1:]), entry)
        elif _SCHEME.match(entry) or "/" in entry:
            urls.setdefault(_plain(normalize_url(entry)), entry)
        else:
            hosts.setdefault(_host_of(entry), entry)

    def excluded(url: str) -> str:
        host = _host_of(url)
        if found := hosts.get(host) or urls and urls.get(_plain(url)):
            return found
        while suffixes and host:
            if found := suffixes.get(host):
                return found
            host = host.partition(".")[2]
        return ""

    return excluded


def _parts(url: str) -> re.Match:
    found = _ADDRESS.match(url)
    assert found  # it matches any text
    return found


def _host_of(url: str) -> str:
    """In small letters, without www, a name of other letters as it stands in addresses (xn--...)."""
    host = _parts(url)["host"].rstrip(".").lower().removeprefix("www.")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _plain(url: str) -> str:
    """A normalised URL with its host as `_host_of` gives it."""
    parts = _parts(url)
    return parts["before"] + _host_of(url) + parts["after"]
