"""The domain that a page belongs to, by the list of public suffixes that tldextract ships: nothing is downloaded.

As `tldextract.TLDExtract(suffix_list_urls=())`, which takes 0.1 s to load for the sake of a download.
"""

import importlib.util
import re
from functools import cache
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import NamedTuple

_SCHEME = re.compile(r"(?:[a-zA-Z0-9+.-]+:)?//")
_END = re.compile(r"[/?#]")
_DOT = re.compile("[.\u3002\uff0e\uff61]")
_BYTE = r"(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_IPV4 = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}")
_RULE = re.compile(r"^[.*!]*\w\S*", re.MULTILINE)
_OF_NO_REGISTRY = "// ===BEGIN PRIVATE DOMAINS==="


class Domain(NamedTuple):
    """A host in three parts."""

    subdomain: str
    domain: str  # its label before the suffix; an address
    suffix: str  # public, such as co.uk; "" where there is none


class PublicSuffixes:
    """Takes hosts apart."""

    def __init__(self, text: str):
        """`text`: the list, see publicsuffix.org; only its first part counts, of suffixes that a registry has."""
        self._rules = set(_RULE.findall(text.partition(_OF_NO_REGISTRY)[0]))
        self._parents, names = {""}, self._rules  # what stands behind the first label of a rule, and of these
        while names := {name.partition(".")[2] for name in names} - self._parents:
            self._parents |= names

    def split(self, url: str) -> Domain:
        """Of a URL, with a scheme or without, or of a host."""
        host = _host_in(url)
        labels = _DOT.split(host)
        start = self._start_of_suffix(labels)
        if start == len(labels) and _is_address(host := ".".join(labels)):
            return Domain("", host, "")
        before, suffix = labels[:start], labels[start:]
        return Domain(".".join(before[:-1]), before[-1] if before else "", ".".join(suffix))

    def _start_of_suffix(self, labels: list[str]) -> int:
        found = at = len(labels)
        name = ""
        while at and name in self._parents:
            at -= 1
            label = _decoded(labels[at])
            longer = f"{label}.{name}" if name else label
            if longer in self._rules:
                found = at
            elif longer not in self._parents:
                if f"*.{name}" in self._rules:
                    return at + (f"!{longer}" in self._rules)
                break
            name = longer
        return found


@cache
def public_suffixes() -> PublicSuffixes:
    package = importlib.util.find_spec("tldextract")
    assert package and package.origin, "c4build needs the package"
    return PublicSuffixes(Path(package.origin).with_name(".tld_set_snapshot").read_text("utf-8"))


def _host_in(url: str) -> str:
    """As it is spelled there."""
    scheme = _SCHEME.match(url)
    authority = _END.split(url[scheme.end() if scheme else 0 :], maxsplit=1)[0].rpartition("@")[2]
    if authority.startswith("[") and "]" in authority:
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0].strip().rstrip(".\u3002\uff0e\uff61")


def _is_address(host: str) -> bool:
    if not host.startswith("["):
        return _IPV4.fullmatch(host) is not None
    try:
        return host.endswith("]") and bool(IPv6Address(host[1:-1]))
    except AddressValueError:
        return False


def _decoded(label: str) -> str:
    label = label.lower()
    if not label.startswith("xn--"):
        return label
    import idna  # few names need it

    try:
        return idna.decode(label)
    except (UnicodeError, IndexError):
        return label
