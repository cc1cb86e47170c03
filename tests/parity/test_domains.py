"""Domains against tldextract's."""

import pytest
import tldextract
from hypothesis import example, given
from hypothesis import strategies as st

from c4build.rules.domains import public_suffixes

extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
RULES = sorted(extract.tlds)


def assert_same(url: str):
    found = extract(url)
    assert public_suffixes().split(url) == (found.subdomain, found.domain, found.suffix), url


def in_ascii(name: str) -> str:
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in name.split(".")
    )


def test_each_suffix_of_the_list():
    names = {name for rule in RULES for name in (rule, rule.lstrip("*!."), rule.partition(".")[2])}
    for name in sorted(names):
        for spelled in (name, in_ascii(name), name.upper()):
            for before in ("", "a.", "b.a.", "xn--p1ai."):
                assert_same(before + spelled)


dots = st.sampled_from([*"...", "\u3002", "\uff0e", "\uff61", "..", ". "])
labels = st.one_of(
    st.sampled_from(["www", "a", "com", "co", "uk", "ck", "*", "!www", "", "xn--p1ai", "xn---p1ai", "XN--90AIS", "xn--", "xn--a", "127"]),
    st.sampled_from(RULES),
    st.sampled_from(RULES).map(in_ascii),
    st.text(max_size=4),
)  # fmt: skip
hosts = st.lists(st.tuples(labels, dots), max_size=5).map(lambda parts: "".join(map("".join, parts))[: -1 or None])
addresses = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map("[{}]".format), st.lists(st.integers(0, 300), min_size=3, max_size=5).map(lambda parts: ".".join(map(str, parts))),
)  # fmt: skip
before = st.sampled_from(["", "http://", "https://user@", "//", "://", "a b://", "x+y.z-1:////", "1@2@", "[", " "])
behind = st.sampled_from(["", ":80", "/a//b", "?q=://c.com", "#d", ".", "]", "]x", "\n", "\u3002 "])


@given(before, st.one_of(hosts, addresses, st.text()), behind)
@example("", "[::ffff:1.2.3.4", "]")
@example("", "a.xn---p1ai", "")
def test_any_host(before, host, behind):
    assert_same(before + host + behind)


@pytest.mark.parametrize("url", ["", ".", "[", "[]", "[::]", "@", ":", "//", "a//b.com", "\u3002"])
def test_hardly_a_host(url):
    assert_same(url)
