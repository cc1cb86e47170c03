"""URLs: the spelling under which copies of a page meet, and the domain a page belongs to."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping

from c4build.rules.domains import public_suffixes

_SCHEME = re.compile(r"https?://(www\.)?")
_TRACKING = re.compile(r"\?(utm_|ref|feed).*")


def normalize_url(url: str) -> str:
    """`url` without scheme and `www.` wherever they stand, tracking query and trailing slashes, as TFDS does it."""
    if "http" in url:
        url = _SCHEME.sub("", url)
    if "?" in url:
        url = _TRACKING.sub("", url)
    return url.rstrip("/")


def in_validation(normalized_url: str) -> bool:
    """True for the one page in a thousand that the validation split holds."""
    return int.from_bytes(hashlib.md5(normalized_url.encode()).digest(), "big") % 1000 == 0


def load_domains(text: str) -> dict[str, bool | list[str]]:
    """The list of RealNews: {"domain": true or [subdomains]}. Raises ValueError where `text` is something else."""
    domains = json.loads(text)
    if not isinstance(domains, dict) or not domains:
        raise ValueError("it must be a JSON object of domains")
    for domain, allowed in domains.items():
        if not isinstance(allowed, (bool, list)):
            raise ValueError(f"{domain!r} has {allowed!r}: it must be true or a list of subdomains")
    return domains


def news_test(domains: Mapping[str, bool | Collection[str]]) -> Callable[[str], bool]:
    """A test of normalised URLs: is its domain, with an allowed subdomain where those are listed, in `domains`?"""

    def is_news(url: str) -> bool:
        found = public_suffixes().split(url)
        domain = found.domain + "." + found.suffix
        if domain not in domains:
            return False
        allowed = domains[domain]
        return not isinstance(allowed, list) or found.subdomain in allowed

    return is_news
