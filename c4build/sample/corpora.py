"""Makes the demo's other raw material: a MediaWiki dump with markup of every kind, and books in several guises.

    python -m c4build.sample.corpora [FOLDER]

Everything follows from the seed: the same text on every machine.
"""

import argparse
import bz2
import io
import pathlib
import random
import zipfile
from collections.abc import Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape

from c4build.sample.prose import OTHER_LANGUAGES, THEMES, prose

SEED = 1868
DUMP = "samplewiki-20190420-pages-articles-multistream.xml.bz2"
ARTICLES = 90
STREAM_PAGES = 25  # pages in one bz2 stream

_FIRST = "Ald Bram Cald Dorn Elm Fen Gart Holm Ilk Kess Lang Mar Nor Orm Pell Quar Rav Skel Thorn Ull Wick Yar".split()
_LAST = "ack berg bury combe dale ford gate ham ing leigh mere ness port row stead ton wick worth".split()
_KINDS = {
    "town": "a market town on the river {other}, known for its {thing}",
    "river": "a river that rises in the hills above {other} and reaches the sea after {number} kilometres",
    "painter": "a painter of landscapes who worked in {other} for {number} years",
    "bridge": "a stone bridge with {number} arches near {other}",
    "bird": "a small bird of wet meadows, first described from the fields of {other}",
    "engineer": "an engineer who built {number} lighthouses along the coast of {other}",
}
_FACTS = (
    "The earliest record of {name} is a letter of {year}, which was found in the archive of {other}.",
    "A census of {year} counted {number} households there.",
    "In {year} a fire destroyed most of what stood beside the church, and only the tower was saved.",
    "Visitors from {other} come every summer, although the road was not paved before {year}.",
    "The name is thought to mean a clearing in the forest, but older books prefer another explanation.",
    "After the flood of {year} the council decided to move the school to higher ground.",
    "Several songs mention {name}, and one of them is still taught to children in {other}.",
    "The museum in {other} keeps {number} drawings and a model made of wood.",
    "Work began in {year} and took {number} years longer than planned.",
    "It was the subject of a long dispute between {other} and its neighbours, which ended in {year}.",
    "Scholars disagree about the date, since two copies of the document differ by {number} years.",
    "Today it is looked after by a society of volunteers that was founded in {year}.",
)


class WikiPage(NamedTuple):
    title: str
    text: str
    namespace: int = 0
    redirect: str = ""


def names(rng: random.Random) -> list[str]:
    found = [first + last for first in _FIRST for last in _LAST]
    rng.shuffle(found)
    return found[:ARTICLES]


def _facts(rng: random.Random, name: str, others: list[str], count: int, links: bool) -> str:
    said = []
    for fact in rng.sample(_FACTS, count):
        other = rng.choice(others)
        other = rng.choice((f"[[{other}]]", f"[[{other}|old {other}]]", other)) if links else other
        said.append(fact.format(name=name, other=other, year=rng.randint(1340, 1985), number=rng.randint(3, 98)))
        if links and rng.random() < 0.3:
            said[-1] += rng.choice(
                (
                    "<ref>Yearbook of the county, p. 12.</ref>",
                    '<ref name="survey" />',
                    "{{citation needed|date=May 2018}}",
                )
            )
    return " ".join(said)


def article(rng: random.Random, name: str, others: list[str]) -> str:
    """An article's wikitext: an infobox, links, references, a table, a gallery, lists, and plain paragraphs."""
    kind = rng.choice(list(_KINDS))
    is_a = _KINDS[kind].format(
        other=f"[[{rng.choice(others)}]]", thing=rng.choice(THEMES["cooking"]["thing"]), number=rng.randint(5, 90)
    )
    parts = [
        f"{{{{Infobox {kind}\n| name = {name}\n| founded = {{{{circa|{rng.randint(900, 1700)}}}}}\n| image = {name}.jpg\n}}}}",
        f"[[File:{name}.jpg|thumb|left|A view of [[{name}]] from the east]]",
        f"'''{name}''' is {is_a}. {_facts(rng, name, others, 3, True)}",
        f"== History ==\n{_facts(rng, name, others, 4, True)}\n\n{_facts(rng, name, others, 3, False)}",
        "== Description ==\n" + "\n\n".join(prose(rng, "encyclopedia", rng.randint(4, 8))),
    ]
    if rng.random() < 0.4:
        rows = "\n|-\n".join(f"| {rng.choice(others)} || {rng.randint(1, 999)}" for _ in range(3))
        parts.append(f'=== Figures ===\n{{| class="wikitable"\n! Place !! Number\n|-\n{rows}\n|}}')
    if rng.random() < 0.3:
        parts.append(f"<gallery>\nFile:{name} 1.jpg|In spring\nFile:{name} 2.jpg|In winter\n</gallery>")
    if rng.random() < 0.3:
        parts.append("The height follows from <math>h = \\frac{1}{2} g t^2</math> and is rounded.<!-- check this -->")
    parts.append("== Neighbours ==\n" + "\n".join(f"* [[{other}]]" for other in rng.sample(others, 3)))
    parts.append("== References ==\n{{reflist}}\n\n== External links ==\n* [https://example.org The society's pages]")
    parts.append(f"{{{{DEFAULTSORT:{name}}}}}\n[[Category:Sample {kind}s]]")
    return "\n\n".join(parts)


def wiki_pages() -> list[WikiPage]:
    """Articles, and among them what is none: redirects, disambiguation pages, other namespaces."""
    rng = random.Random(SEED)
    titles = names(rng)
    pages = []
    for number, title in enumerate(titles):
        others = [other for other in titles if other != title]
        pages.append(WikiPage(title, article(rng, title, others)))
        if number % 9 == 0:
            pages.append(WikiPage(f"Old {title}", f"#REDIRECT [[{title}]]", redirect=title))
        if number % 22 == 0:
            meant = "\n".join(f"* [[{other}]], a place" for other in rng.sample(others, 3))
            pages.append(WikiPage(title[:4], f"'''{title[:4]}''' may refer to:\n{meant}\n\n{{{{disambiguation}}}}"))
        if number % 15 == 0:
            pages.append(WikiPage(f"Talk:{title}", "Is the date of the flood right? ~~~~", namespace=1))
    return pages


def wiki_parts() -> Iterator[str]:
    """The dump as XML, cut where a stream ends."""
    yield (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">\n  <siteinfo>\n'
        "    <sitename>Sample Wiki</sitename>\n    <dbname>samplewiki</dbname>\n"
        "    <base>https://sample.example.org/wiki/Main_Page</base>\n    <case>first-letter</case>\n    <namespaces>\n"
        '      <namespace key="0" case="first-letter" />\n      <namespace key="1" case="first-letter">Talk</namespace>\n'
        "    </namespaces>\n  </siteinfo>\n"
    )
    pages = [_page_xml(number, page) for number, page in enumerate(wiki_pages(), 1)]
    for first in range(0, len(pages), STREAM_PAGES):
        yield "".join(pages[first : first + STREAM_PAGES])
    yield "</mediawiki>\n"


def _page_xml(number: int, page: WikiPage) -> str:
    redirect = f'    <redirect title="{escape(page.redirect)}" />\n' if page.redirect else ""
    return (
        f"  <page>\n    <title>{escape(page.title)}</title>\n    <ns>{page.namespace}</ns>\n    <id>{number}</id>\n{redirect}"
        f"    <revision>\n      <id>{1000 + number}</id>\n      <timestamp>2019-04-{1 + number % 20:02}T08:00:00Z</timestamp>\n"
        f"      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text xml:space="preserve">{escape(page.text)}</text>\n    </revision>\n  </page>\n'
    )


_TITLES = (
    "The House at the End of the Quay", "A Slow Road North", "Notes from the Marsh", "Four Seasons behind a Wall",
    "The Kitchen on Mill Lane", "The Ledger and the Bell", "What the Night Keeper Saw", "The Engine in the Barn",
)  # fmt: skip


def chapters(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """(title, text) of a novel's chapters."""
    return [
        (f"Chapter {number}", "\n\n".join(prose(rng, "novels", rng.randint(9, 15)))) for number in range(1, count + 1)
    ]


def plain(title: str, found: list[tuple[str, str]]) -> str:
    return title + "\n\n" + "\n\n\n".join(f"{name}\n\n{text}" for name, text in found) + "\n"


def gutenberg(title: str, text: str) -> str:
    """The book as Project Gutenberg would frame it."""
    name = title.upper()
    return (
        f"The Project Gutenberg eBook of {title}, by A. Sample\n\nThis eBook is for the use of anyone anywhere at no cost.\n\n"
        f"Title: {title}\n\nAuthor: A. Sample\n\nLanguage: English\n\n*** START OF THE PROJECT GUTENBERG EBOOK {name} ***\n\n\n{text}\n\n"
        f"*** END OF THE PROJECT GUTENBERG EBOOK {name} ***\n\nUpdated editions will replace the previous one.\n"
    )


def epub(title: str, found: list[tuple[str, str]]) -> bytes:
    """The book as EPUB, its documents stored out of order: the spine tells how they are read."""

    def document(name: str, text: str) -> str:
        body = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in text.split("\n\n"))
        return (
            '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml">'
            f"<head><title>{name}</title></head><body><h1>{name}</h1>{body}</body></html>"
        )

    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(found), 0, -1)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(1, len(found) + 1))
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<?xml version="1.0"?><container version="1.0" '
        'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="book.opf" '
        'media-type="application/oebps-package+xml"/></rootfiles></container>',
        "book.opf": '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{escape(title)}</dc:title>'
        '<dc:creator>A. Sample</dc:creator><dc:language>en</dc:language><dc:identifier id="id">sample</dc:identifier></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
    }
    files |= {f"c{n}.xhtml": document(*found[n - 1]) for n in range(len(found), 0, -1)}
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2019, 4, 20, 0, 0, 0)), text)
    return data.getvalue()


def books() -> dict[str, bytes]:
    """Files of books by name: plain, framed by Project Gutenberg, EPUB, one twice, one in German."""
    rng = random.Random(SEED + 1)
    found = {}
    for number, title in enumerate(_TITLES):
        written = chapters(rng, 6)
        stem = title.lower().replace(" ", "-")
        if number % 4 == 3:
            found[f"{stem}.epub"] = epub(title, written)
        elif number % 4 == 2:
            found[f"{stem}.txt"] = gutenberg(title, plain(title, written)).encode()
        else:
            found[f"{stem}.txt"] = plain(title, written).encode()
    found["another-printing.txt"] = found["a-slow-road-north.txt"].upper()  # the same letters
    german = [" ".join(rng.choice(OTHER_LANGUAGES["de"]) for _ in range(8)) for _ in range(30)]
    found["ein-kleines-buch.txt"] = "\n\n".join(german).encode("latin-1")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().folder
    (folder / DUMP).write_bytes(b"".join(bz2.compress(part.encode()) for part in wiki_parts()))
    (folder / "books").mkdir(exist_ok=True)
    for name, data in books().items():
        (folder / "books" / name).write_bytes(data)
    print(f"{len(wiki_pages())} pages, {len(books())} books in {folder}")


if __name__ == "__main__":
    main()
