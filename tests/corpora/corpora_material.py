"""Material of these tests: where the shared samples lie, TFDS's own functions for Wikipedia, and a dump full of trouble."""

import bz2
import os
import pathlib
import re

import pytest

from c4build.read.paths import Input


def shared(name: str) -> pathlib.Path:
    """A file of the samples beside the repository (or where C4BUILD_SHARED says); skips the test where it is not."""
    root = pathlib.Path(__file__).parents[2]
    for folder in (os.environ.get("C4BUILD_SHARED"), root / ".." / "shared"):
        if folder and (path := pathlib.Path(folder) / name).exists():
            return path
    pytest.skip(f"there is no shared sample {name}")


def tfds_wikipedia():
    """(reader of a dump, cleaner of a page) of TFDS's `wikipedia` builder, fished out of its pipeline."""
    pytest.importorskip("mwxml")
    from tensorflow_datasets.text import wikipedia

    steps = wikipedia.Wikipedia._generate_examples(None, ["-"], "en")._parts
    reader, cleaner = (step.fn._fn for step in steps if step.label.startswith("FlatMap"))

    def clean(identifier: int, title: str, wikitext: str) -> str:
        """The article's text; empty where TFDS leaves the article out."""
        return "".join(example["text"] for _, example in cleaner(wikipedia.WikiPage(identifier, title, wikitext)))

    return reader, clean


MARKUP = re.compile(r"\{\{|\[\[|<ref|\{\|")


def source(path) -> Input:
    return Input(str(path), os.path.getsize(path), "identity")


HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>simplewiki</dbname>
    <base>https://simple.wikipedia.org/wiki/Main_Page</base>
    <generator>MediaWiki 1.43.0</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Talk</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
    </namespaces>
  </siteinfo>
"""
TAIL = "</mediawiki>\n"


def page(number: int, title: str, text: str, namespace: int = 0, redirect: str = "") -> str:
    def escape(value: str) -> str:
        return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")

    pointing = f'    <redirect title="{escape(redirect)}" />\n' if redirect else ""
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    <id>{number}</id>\n{pointing}"
        f"    <revision>\n      <id>{number + 1000}</id>\n      <timestamp>2024-05-01T00:00:{number % 60:02}Z</timestamp>\n"
        "      <contributor>\n        <username>Somebody</username>\n        <id>7</id>\n      </contributor>\n"
        "      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(text.encode())}" xml:space="preserve">{escape(text)}</text>\n'
        "      <sha1>0</sha1>\n    </revision>\n  </page>\n"
    )


def multistream(pages: list[str], pages_a_stream: int = 2) -> bytes:
    """A dump as Wikimedia lays it out: the head, so many pages at a time, and the tail, each a bzip2 stream."""
    groups = [pages[at : at + pages_a_stream] for at in range(0, len(pages), pages_a_stream)]
    return b"".join(bz2.compress(part.encode()) for part in [HEAD, *map("".join, groups), TAIL])


# Snippets of wikitext: what articles have, well-formed and not. No <nowiki> and no entities for brackets among them.
SNIPPETS = [
    "The '''lynx''' is a ''medium-sized'' [[wild cat]] of the [[forest|woods]].",
    "{{Infobox cat|name={{nowrap|{{lang|la|{{italic|{{small|Lynx}}}}}}}}|range=[[File:Range.png|thumb]]}}",
    "{{a|{{b|{{c|{{d|{{e|five deep}}}}}}}}}}Text after nested templates.",
    '{| class="wikitable"\n|+ Caption\n|-\n! Head !! Other\n|-\n| cell || [[link|cell]]\n|}\n',
    "{|\n| outer\n{|\n| inner\n|}\n|}\nAfter the nested table.",
    "{| class=x\n| '''unclosed bold\n|-\n| b || '\n|}\n\nAfter a table with an odd quote.",
    "{| \n| never closed\n| more\n\nParagraph after the open table.",
    "A claim.<ref>Plain reference.</ref> Another.<ref name=x>{{cite web|url=http://a.b|title=T}}</ref><ref name=x />",
    "''Italic with notes<ref>One.</ref><ref>Two.</ref><ref>Three.</ref>'' and on.",
    "''Odd italics with a note<ref>Kept ''by mistake</ref> here.",
    "An open note<ref>that never ends.",
    '<ref name="a" group="b">Stray.</ref>{{reflist}}<ref>Next to a list.</ref>',
    "<gallery>\nFile:A.jpg|First\nFile:B.jpg|Second [[cat]]\n</gallery>",
    '<math>\\frac{{a}}{b} [[x]]</math> is a formula, and so is <math display="block">x^{2}</math>.',
    "[[de:Luchs]]\n[[fr:Lynx]]\n[[Category:Cats|Lynx]]\n[[Category:Animals]]",
    "<!-- a comment [[with]] {{markup}} --> Text after it.",
    "<!-- an open comment",
    "[[File:Cat.jpg|thumb|left|A cat with a [[link]] and {{template}} in its [[caption|words]].<ref>Seen.</ref>]]",
    "[[Image:Old.png|right]][[Media:Sound.ogg|listen]][[file:lower.png]]",
    "[[File:Odd.jpg|thumb|''Open italics [[link]] [http://x.y z]]] then text.",
    "[[Open link with no end and a [[good one]].",
    "{{open template|with=a parameter\n|other=thing\nProse below it.",
    "== References ==\n{{Reflist|2}}\n* ''Book'', 1999.",
    "== External links ==\n* [http://example.org A site]\n* http://example.org/bare",
    "=== Deeper '''heading''' {{anchor|x}} ===\nText under it.",
    '==Notes==\n<references />\n<references group="n">\n<ref name="z">Z.</ref>\n</references>',
    "* one\n** two\n# three\n: indented\n; term : definition",
    "<blockquote>Quoted ''text''<ref>Q.</ref>.</blockquote><br /><br>line<div style=\"x\">in a div [[link]]</div>",
    "<small>small</small><sup>2</sup><sub>n</sub><span class=a>span</span><REF>Upper case.</REF>",
    "__NOTOC__ __FORCETOC__ A word &amp; an entity &nbsp;&mdash; &#8212; &eacute;.",
    "Unclosed <b>bold and <i>italic and <div>box.",
    "</div></ref></table> stray ends.",
    "<table><tr><td>html table [[x]]</td></tr></table>",
    "{{{parameter|default [[text]]}}} and {{{none}}}.",
    "[[|odd]] [[a||b]] [[]] [[ ]] {{}} {{|}} [[:Category:Shown]] [[Talk:X#Y|shown]].",
    "A brace { and a bracket [ alone, with ''' and '' quotes ''''' five.",
    "東京は[[日本]]の首都。 {{lang|ja|東京}} Ünïcode [[Zürich|Züri]]. \U0001f431",
    "----\nAfter a line.\n\n\n\nAfter many breaks.",
    "-{zh-hans:简;zh-hant:簡}- <ce>H2O</ce> <chem>CO2</chem> <score>c d e</score> <timeline>x</timeline>",
    "<ref>{{cite|title=[[A]]|note={{x|''y}}}}</ref>''' bold over <ref>a note''' b</ref> end",
]
