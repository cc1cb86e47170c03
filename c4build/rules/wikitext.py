"""Wikitext to text: what TFDS's `wikipedia` builder keeps of an article, without the markup that it leaves behind.

The tree is that of mwparserfromhell; files, tables, references and templates are taken out of it, and what is left is
stripped of its markup, section by section. Some markup the parser cannot read, most often because a quotation mark in
italics is not closed; there TFDS's text holds `<ref`, `{|`, `[[` or `{{` with all that follows. `LEFTOVERS` names the
rules that take these out: they look at nothing else, so that every other section is TFDS's to the letter.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import mwparserfromhell
from mwparserfromhell.definitions import is_parsable
from mwparserfromhell.nodes import Comment, Heading, HTMLEntity, Tag, Template, Text, Wikilink
from mwparserfromhell.parser import ParserError
from mwparserfromhell.wikicode import Wikicode


class WikiRules(NamedTuple):
    """What goes besides files, tables, references and templates."""

    name: str
    categories: bool  # category and language links go; TFDS keeps their titles as text
    reference_sections: bool  # sections that only point elsewhere go; TFDS keeps headings and what is written out


# The paper's corpus is TFDS's: "which omits any markup and reference sections from the articles" (section 3.4.1).
RULES = {
    rules.name: rules
    for rules in (
        WikiRules("tfds", categories=False, reference_sections=False),
        WikiRules("strict", categories=True, reference_sections=True),
    )
}

REFERENCE_SECTIONS = frozenset((
    "references", "reference", "notes", "notes and references", "references and notes", "footnotes", "endnotes",
    "citations", "notes and citations", "citations and notes", "sources", "notes and sources", "bibliography",
    "works cited", "literature", "literature cited", "further reading", "external links", "external sources",
    "external references",
))  # fmt: skip

_FILES = re.compile(r"^(?:File|Image|Media):", re.IGNORECASE)
_CATEGORY_OR_LANGUAGE = re.compile(
    r"^\s*(?:Category\s*:|(?:[a-z]{2,3}|simple|be-tarask|zh-[a-z-]+)\s*:\s*\S)", re.IGNORECASE
)
_REMOVED_TAGS = frozenset(("ref", "table"))
_REFERENCE_LISTS = frozenset(("reflist", "notelist", "notelist-ua", "notelist-lr", "notelist-ur", "notelist-lg"))

# Brackets that a writer meant as such (in <nowiki>, or written as &#91;) stand as non-characters until the end.
_BRACKETS = "{}[]<>|"
_HIDDEN = "".join(map(chr, range(0xFDD0, 0xFDD0 + len(_BRACKETS))))
_HIDE = str.maketrans(_BRACKETS, _HIDDEN)
_SHOW = str.maketrans(_HIDDEN, _BRACKETS)
_SURROGATES = re.compile("[\ud800-\udfff]")

_DISAMBIGUATION = frozenset((
    "disambiguation", "disambig", "dab", "disamb", "disambiguation page", "disambiguation cleanup", "hndis", "geodis",
    "human name disambiguation", "place name disambiguation", "school disambiguation", "schooldis", "hospitaldis",
    "hospital disambiguation", "numberdis", "number disambiguation", "roaddis", "road disambiguation", "mathdab",
    "mathematical disambiguation", "biology disambiguation", "species latin name disambiguation", "chinese title disambiguation",
    "letter disambiguation", "letter-number combination disambiguation", "station disambiguation", "callsigndis",
    "call sign disambiguation", "airport disambiguation", "genus disambiguation", "taxonomy disambiguation",
    "music disambiguation", "molecular formula disambiguation", "phonetics disambiguation", "wikipedia disambiguation",
    # other languages' main ones
    "begriffsklärung", "homonymie", "désambiguïsation", "desambiguación", "desambiguação", "desambig", "disambigua",
    "doorverwijspagina", "dp", "ujednoznacznienie", "неоднозначность", "förgrening", "peker", "flertydig",
    "rozcestník", "egyért", "anlam ayrımı", "aimai", "消歧义", "dezambiguizare", "täsmennyssivu",
))  # fmt: skip
_TEMPLATE_NAME = re.compile(r"\{\{([^{}|<]*)(?=\||\}\})")
_TEMPLATE_SPACE = re.compile(r"\s*template\s*:", re.IGNORECASE)


class WikitextError(Exception):
    """The markup could not be read at all."""


def is_redirect(wikitext: str) -> bool:
    """True where TFDS says so: from the text alone."""
    return wikitext[:9].lower().startswith("#redirect")


def is_disambiguation(title: str, wikitext: str) -> bool:
    """True for a page that only says which articles a name may mean: by its title, a template or the magic word."""
    if title.endswith(" (disambiguation)"):
        return True
    wikitext = _without_comments(wikitext)
    if "__disambig__" in wikitext.lower():
        return True
    names = (_TEMPLATE_SPACE.sub("", match.group(1), 1) for match in _TEMPLATE_NAME.finditer(wikitext))
    return any(" ".join(name.replace("_", " ").split()).lower() in _DISAMBIGUATION for name in names)


def _without_comments(wikitext: str) -> str:
    """`wikitext` without <!-- ... -->; one that is not closed stays, as do all behind it."""
    kept, at = [], 0
    while (start := wikitext.find("<!--", at)) >= 0 and (stop := wikitext.find("-->", start + 4)) >= 0:
        kept.append(wikitext[at:start])
        at = stop + 3
    return "".join(kept) + wikitext[at:]


def to_text(wikitext: str, rules: WikiRules = RULES["tfds"], found: Counter | None = None) -> str:
    """The article's text.

    Args:
      wikitext: of one article.
      rules: what goes.
      found: how often each rule of `LEFTOVERS` had something to do is added here.

    Raises:
      WikitextError: the parser gave up.
    """
    found = Counter() if found is None else found
    try:
        texts = list(_sections(wikitext, rules, found))
    except (ParserError, RecursionError, ValueError, KeyError) as error:
        raise WikitextError(str(error) or type(error).__name__) from error
    text = "\n\n".join(texts)
    if _SURROGATES.search(text):
        found["surrogates"] += 1
        text = _SURROGATES.sub("\ufffd", text)
    return text


def _sections(wikitext: str, rules: WikiRules, found: Counter) -> Iterator[str]:
    hide = not any(char in wikitext for char in _HIDDEN)
    dropping = None  # the level of the heading whose section is being left out
    for nodes in _split(mwparserfromhell.parse(wikitext).nodes):
        if rules.reference_sections and nodes and isinstance(nodes[0], Heading):
            heading = nodes[0]
            if dropping is None or heading.level <= dropping:
                title = heading.title.strip_code().strip().rstrip(":").lower()
                dropping = heading.level if title in REFERENCE_SECTIONS else None
        if dropping is not None:
            continue
        text = Wikicode(_prune(nodes, rules, hide)).strip_code().strip()
        if _MARKERS.search(text):
            text = _without_leftovers(text, found)
        yield text.translate(_SHOW) if hide else text


def _split(nodes: list) -> Iterator[list]:
    """The nodes before the first heading, which may be none, and those of each section with its heading first."""
    section: list = []
    for node in nodes:
        if isinstance(node, Heading):
            yield section
            section = []
        section.append(node)
    yield section


def _prune(nodes: list, rules: WikiRules, hide: bool) -> list:
    """The nodes of a section without what is removed, from their children too, and with literal brackets hidden.

    TFDS removes files, then templates, then tags, each while it walks the tree. Within a node's children the one that
    follows a removed one is therefore passed over, with all that is in it; on the section's own level none is.
    """
    for matches in (_category_or_language if rules.categories else None, _file, _reference_list, _reference_or_table):
        if matches:
            nodes = [node for node in nodes if not matches(node)]
            for node in nodes:
                _prune_children(node, matches)
    if hide:
        _hide(nodes)
    return nodes


def _prune_children(node, matches: Callable):
    for code in node.__children__():
        kept, passed_over = [], False
        for child in code.nodes:
            if passed_over:
                passed_over = False
            elif matches(child):
                passed_over = True
                continue
            elif not isinstance(child, _CHILDLESS):
                _prune_children(child, matches)
            kept.append(child)
        if len(kept) < len(code.nodes):
            code.nodes = kept


_CHILDLESS = (Text, HTMLEntity, Comment, Template)  # or with children that never come to be text


def _file(node) -> bool:
    return isinstance(node, Wikilink) and _FILES.match(str(node.title)) is not None


def _category_or_language(node) -> bool:
    return isinstance(node, Wikilink) and _CATEGORY_OR_LANGUAGE.match(str(node.title)) is not None


def _reference_list(node) -> bool:
    return isinstance(node, Template) and str(node.name).lower() in _REFERENCE_LISTS


def _reference_or_table(node) -> bool:
    return isinstance(node, Tag) and str(node.tag) in _REMOVED_TAGS


def _hide(nodes):
    """Hides the brackets of entities, and of tags such as <nowiki> whose text is not markup."""
    for at, node in enumerate(nodes):
        if isinstance(node, HTMLEntity):
            nodes[at] = Text(node.normalize().translate(_HIDE))
        elif not isinstance(node, _CHILDLESS):
            literal = isinstance(node, Tag) and not node.wiki_markup and not is_parsable(str(node.tag))
            for code in node.__children__():
                if literal:
                    for child in code.nodes:
                        if isinstance(child, Text):
                            child.value = child.value.translate(_HIDE)
                _hide(code.nodes)


# What the parser left, by the marks that it is known by.

_ROUNDS = 40  # more than the parser's own depth
_MARKERS = re.compile(r"\{\{|\[\[|<ref|\{\|", re.IGNORECASE)
_REF = re.compile(
    r"<ref(?:erences)?\b[^<>]*/\s*>|<references\b[^<>]*>|<ref\b[^<>]*>(?:(?!<ref\b).)*?</ref\s*>", re.I | re.S
)
_OPEN_REF = re.compile(r"<ref[^\n]*", re.IGNORECASE)
_LINK = re.compile(r"\[\[((?:[^\[\]]|\[(?!\[)[^\[\]]*\](?!\]))*)\]\]")
_OPEN_FILE = re.compile(r"\[\[\s*(?:File|Image|Media)\s*:[^\n]*", re.IGNORECASE)
_OPEN_TEMPLATE = re.compile(r"\{\{[^\n]*(?:\n[ \t]*\|[^\n]*)*")
_OPEN_TABLE = re.compile(r"\{\|(?:[^\n]|\n(?!\s*\n))*")


def _unread_references(text: str) -> str:
    """<ref>…</ref> goes, <ref …/> too, and one that is not closed goes with the rest of its line."""
    return _OPEN_REF.sub("", _from_within(_REF, "", text))


def _from_within(pattern: re.Pattern, by, text: str) -> str:
    """`text` with what matches replaced, again and again: what stands within another goes first.

    No page needs many rounds; what has more marks within marks is left to the rules for marks that are not closed.
    """
    for _ in range(_ROUNDS):
        before, text = text, pattern.sub(by, text)
        if before == text:
            break
    return text


def _unread_templates(text: str) -> str:
    """{{…}} goes; one that is not closed goes with the rest of its line and the lines of parameters below it."""
    return _OPEN_TEMPLATE.sub("", _without_pairs(text, "{{", "}}"))


def _unread_tables(text: str) -> str:
    """{|…|} goes; one that is not closed goes with the rest of its paragraph."""
    return _OPEN_TABLE.sub("", _without_pairs(text, "{|", "|}"))


def _unread_links(text: str) -> str:
    """A link becomes the text it shows, a file goes; of a link that is not closed only the brackets go."""
    return _OPEN_FILE.sub("", _from_within(_LINK, _shown, text)).replace("[[", "")


def _shown(link: re.Match) -> str:
    title, bar, shown = link.group(1).partition("|")
    if _FILES.match(title.strip()):
        return ""
    return shown if bar else title


def _without_leftovers(text: str, found: Counter) -> str:
    rounds = 0
    while _MARKERS.search(text):  # what one rule takes out may bring two brackets together
        rounds += 1
        if rounds > _ROUNDS:
            raise WikitextError(f"its markup is nested more than {_ROUNDS} times")
        for name, rule in LEFTOVERS.items():
            cleaned = rule(text)
            if cleaned != text:
                found[name] += 1
                text = cleaned
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _without_pairs(text: str, opening: str, closing: str) -> str:
    """`text` without what stands between an opening and its closing mark, pairs within pairs too."""
    pieces, open_at = list(re.finditer(re.escape(opening) + "|" + re.escape(closing), text)), []
    spans: list[tuple[int, int]] = []
    for piece in pieces:
        if piece.group() == opening:
            open_at.append(piece.start())
        elif open_at:
            spans.append((open_at.pop(), piece.end()))
    kept, at = [], 0
    for start, end in sorted(spans):
        if start >= at:
            kept.append(text[at:start])
            at = end
    return "".join(kept) + text[at:]


LEFTOVERS: dict[str, Callable[[str], str]] = {
    "unread_references": _unread_references,
    "unread_templates": _unread_templates,
    "unread_tables": _unread_tables,
    "unread_links": _unread_links,
}
