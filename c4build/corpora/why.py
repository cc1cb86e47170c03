"""Why a corpus lacks pages that another one has: the rules of its build, run again on the pages of its inputs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from c4build.corpora.copies import page_files
from c4build.corpora.diff import Side, Tell
from c4build.corpora.explain import Explained, Explainer, Source, open_source, read_source
from c4build.corpora.lists import Lists, check_lists, words_digest
from c4build.corpora.options import Request
from c4build.dedup.keys import HASH, hash_text, hashes
from c4build.errors import C4BuildError
from c4build.flow.pagefiles import key_file
from c4build.page import Page
from c4build.read.wet_pages import Dropped
from c4build.rules.own_variants import RULES
from c4build.rules.tables import STEPS, VARIANTS, RuleSet, Variant
from c4build.rules.urls import normalize_url
from c4build.write.files import digest, is_local, join
from c4build.write.tables import joined, read_table

_SHOWN_WORDS = 5  # that tripped a rule


class Why(NamedTuple):
    """Why a page is not there."""

    reason: str  # the name of a rule, `no_input`, or empty where it is not known
    told: str  # in words


class _NotKnown(Exception):
    """Why it cannot be told of any page."""


def why_absent(
    pages: Sequence[Mapping[str, str]], has: Side, lacks: Side, lists: Request, tell: Tell = lambda what, done, of: None
) -> list[Why]:
    """Why `lacks` does not have pages that `has` has, in their order.

    Args:
      pages: examples.
      has, lacks: the corpora.
      lists: a request that names the lists of the builds, as far as they are not those that come with c4build.
      tell: is told how far it is.
    """
    if not pages:
        return []
    try:
        explainer, unseen = _explainer(lacks, lists)
        inputs = _inputs_of(pages, has, tell)
    except (C4BuildError, _NotKnown) as error:
        return [Why("", f"not known: {error}") for _ in pages]
    read = {source["path"] for source in lacks.manifest["inputs"]}
    missing = {source["input"] for source in lacks.manifest.get("missing", [])}
    found: list[Why] = [Why("", "not known: no input has the page any more")] * len(pages)
    left = dict.fromkeys(range(len(pages)))
    inputs.sort(key=lambda one: one[0] not in read - missing)  # what both have read may have another copy of a page
    for number, (path, urls) in enumerate(inputs):
        tell("asking why", number, len(inputs))
        asked = {_key(pages[index]): index for index in left if urls is None or pages[index]["url"] in urls}
        if not asked:
            continue
        try:
            source = _opened(path, has)
            if path in read - missing:
                told = _explained(asked, source, has, explainer, unseen)
            else:
                why = Why("no_input", f"it {'could not fetch' if path in missing else 'did not read'} {path}")
                told = dict.fromkeys(_found(asked, source, rules_in(has.manifest)), why)
        except (C4BuildError, _NotKnown) as error:
            for index in asked.values():
                found[index] = Why("", f"not known: {path}: {error}")
            continue
        for index, why in told.items():
            found[index] = why
            del left[index]
    return found


def _key(page: Mapping[str, str]) -> tuple[str, str]:
    return page["url"], page["timestamp"]


def _explainer(side: Side, request: Request) -> tuple[Explainer, str]:
    """What explains pages by the build of a corpus; and what it cannot see, empty where it sees the build's page files."""
    made_from = side.manifest.get("made_from", {})
    if "rules" not in made_from:
        raise _NotKnown("it is no corpus of web pages")
    rules = rules_in(made_from)
    variant = _variant(side.name.partition("/")[2], made_from)
    lists = _lists(side, request, variant)
    out = _above(side.folder, 3)
    try:
        return Explainer(rules, variant, lists, out), ""
    except C4BuildError as error:
        return Explainer(rules, variant, lists), str(error).removeprefix(f"--against {out}: ")


def rules_in(manifest: Mapping) -> RuleSet:
    """The rules that a manifest tells in full."""
    rules = manifest["rules"].items()
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in rules}
    return RuleSet(**fields)


def _variant(name: str, made_from: Mapping) -> Variant:
    if name in VARIANTS:
        return VARIANTS[name]
    rules = set(made_from.get("variant", RULES))
    news, listed = made_from.get("news_domains") is not None, bool(made_from.get("url_lists"))
    return Variant(name, name, frozenset(rules & set(STEPS)), "duplicates" in rules, news, listed)


def _lists(side: Side, request: Request, variant: Variant) -> Lists:
    """The lists of a build. Raises _NotKnown where they are not at hand, UsageError where they cannot be read."""
    manifest, made_from = side.manifest, side.manifest["made_from"]
    request = request._replace(
        realnews_domains=manifest["news_domains"],
        webtext_urls=manifest["url_lists"],
        exclude=request.exclude if made_from.get("excluded") else None,
    )
    if made_from.get("excluded") and not request.exclude:
        raise _NotKnown("the list of pages that were left out is not at hand (--exclude)")
    lists = check_lists(request, [variant])
    same = {
        "bad words (--badwords)": made_from["bad_words"] in (None, words_digest(lists.bad_words)),
        "news domains": made_from["news_domains"] in (None, digest(lists.news_domains)),
        "URLs": made_from["url_lists"] == {source.path: source.identity for source in lists.urls},
        "pages left out (--exclude)": made_from.get("excluded") in (None, digest(lists.excluded)),
    }
    for what, is_same in same.items():
        if not is_same:
            raise _NotKnown(f"the list of {what} is another than that of the build")
    return lists


def _above(folder: str, times: int) -> str:
    for _ in range(times):
        folder = folder.rstrip("/").rpartition("/")[0]
    return folder


def _inputs_of(pages: Sequence[Mapping[str, str]], side: Side, tell: Tell) -> list[tuple[str, set[str] | None]]:
    """The inputs that may hold pages of a corpus, each with the URLs of those that it holds; None: nobody knows."""
    paths = {source["identity"]: source["path"] for source in side.manifest["inputs"]}
    files: dict[str, list[str]] = {}
    for identity, path, _ in page_files(join(_above(side.folder, 3), ".c4build"), digest(side.manifest["rules"])):
        files.setdefault(identity, []).append(path)
    if not paths.keys() <= files.keys():
        remote = [path for path in paths.values() if not is_local(path)]
        if remote:
            raise _NotKnown(
                f"nothing tells which of {len(paths):,} inputs has the page: the page files of the build are gone"
            )
        return [(path, None) for path in paths.values()]
    urls: dict[bytes, set[str]] = {}
    for page in pages:
        urls.setdefault(hash_text(normalize_url(page["url"])), set()).add(page["url"])
    wanted = np.frombuffer(b"".join(urls), HASH)
    found: list[tuple[str, set[str] | None]] = []
    for number, (identity, path) in enumerate(paths.items()):
        tell("looking for the inputs", number, len(paths))
        there = set()
        for name in files[identity]:
            with read_table(key_file(name)) as table:
                for group in range(len(table.groups)):
                    held = hashes(joined(table.read(group, ["url_hash"]).column("url_hash"))[0])
                    there |= {one.tobytes() for one in wanted[np.isin(wanted, held)]}
        if there:
            found.append((path, {url for one in there for url in urls[one]}))
    return found


def _opened(path: str, has: Side) -> Source:
    """An input of a corpus. Raises _NotKnown where it is another than when the corpus was made, UsageError, DamageError."""
    source = open_source(path)
    if source.identity not in {one["identity"] for one in has.manifest["inputs"] if one["path"] == path}:
        raise _NotKnown("it has changed since")
    return source


def _explained(
    asked: Mapping[tuple[str, str], int], source: Source, has: Side, explainer: Explainer, unseen: str
) -> dict[int, Why]:
    """Why of those of the pages that an input holds, by the rules of the corpus that lacks them.

    One that these rules make no page of is found by its number in the reading of the corpus that has it.
    """
    rules, others = explainer.rules, rules_in(has.manifest)
    pages = _found(asked, source, rules)
    numbers = {number: index for index, (number, _) in pages.items()}
    found: list[tuple[int, Page | Dropped]] = list(pages.values())
    if len(pages) < len(asked) and others.records == rules.records:
        lost = {number: index for index, (number, _) in _found(asked, source, others).items() if index not in pages}
        found += [(number, page) for number, page in read_source(source, rules, []) if number in lost]
        numbers |= lost
    return {numbers[one.number]: _why(one, explainer, unseen) for one in explainer.explain(found, source.identity)}


def _found(asked: Mapping[tuple[str, str], int], source: Source, rules: RuleSet) -> dict[int, tuple[int, Page]]:
    """The pages of an input by (URL, date), read by `rules`: (number, page) by what `asked` calls it."""
    pages = ((number, page) for number, page in read_source(source, rules, []) if isinstance(page, Page))
    return {asked[key]: (number, page) for number, page in pages if (key := (page.url, page.timestamp)) in asked}


def _why(one: Explained, explainer: Explainer, unseen: str) -> Why:
    if one.fate == "kept":
        more = f"; its copies are not: {unseen}" if unseen else ""
        return Why("", f"not known: the rules keep it{more}")
    if one.copy:
        return Why(
            one.fate,
            f"{one.copy.url or 'a page'} is newer or comes first (page {one.copy.number + 1:,} of {one.copy.input})",
        )
    if one.entry:
        return Why(one.fate, f"the entry {one.entry}")
    if not one.step:
        return Why(one.fate, "")
    seen = explainer.teller.tripped(one.taken[-1])
    text = one.taken[-1].text
    words = list(dict.fromkeys(text[start:stop] for start, stop in seen.places))[:_SHOWN_WORDS]
    return Why(one.fate, "; ".join(filter(None, [", ".join(words), seen.remark])))
