"""Wikipedia: dumps of MediaWiki to articles without markup."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import mmh3

from c4build.corpora.parser_process import PAGE_SECONDS, Parser, parser
from c4build.corpora.told import told_damages
from c4build.errors import UsageError
from c4build.flow.kit import Prepared, absolute, check_connections, transport
from c4build.flow.records import prepare
from c4build.flow.units import Found, Part, Recipe, Unit
from c4build.read.finding import find_files
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input
from c4build.read.wikipedia import Piece, Site, cut_into_pieces, dump_date, page_url, placed_pages, read_site
from c4build.rules.urls import in_validation, normalize_url
from c4build.rules.wikitext import RULES, WikiRules, WikitextError, is_disambiguation, is_redirect
from c4build.write.metadata import Dataset

REASONS = ("other_namespace", "redirect", "empty", "disambiguation", "unreadable", "no_text_left")
_VERSIONS = {"tfds": "1.0.0", "strict": "1.1.0"}  # a folder for each
_PIECE_BYTES = 32 << 20  # of a compressed dump: a shard of some 100 MB of text
_LEAST_PIECE = 1 << 18
_USEFUL_UNITS = 16  # of a small input, for the sake of workers
_CITATION = """@ONLINE {wikidump,
    author = "Wikimedia Foundation",
    title  = "Wikimedia Downloads",
    url    = "https://dumps.wikimedia.org"
}"""


class WikipediaReader(NamedTuple):
    """Dumps to articles."""

    rules: WikiRules
    sites: dict[str, Site]  # by path
    seconds: float = PAGE_SECONDS  # of CPU time for the markup of a page
    transport: Transport | None = None

    def settings(self) -> dict:
        return {"name": self.rules.name, **self.rules._asdict(), "sites": sorted(map(list, set(self.sites.values())))}

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        with parser(self.seconds) as parse:
            for source, start, stop in unit.parts:
                whole = start == 0 and stop is None
                yield from told_damages(
                    source, self._pages(source, Piece(start, stop), parse, note, told), "pages" if whole else None
                )

    def _pages(self, source: Input, piece: Piece, parse: Parser, note, told):
        site = self.sites[source.path]
        for offset, page in placed_pages(source, piece, told, self.transport):
            if isinstance(page, Damage):
                yield page
                continue
            try:
                yield self._judge(page, site, parse, note)
            except WikitextError as error:
                yield Damage(offset, f"the page {page.title!r} is left out: {error}")
                yield Found("unreadable")

    def _judge(self, page, site: Site, parse: Parser, note) -> Found:
        if page.namespace != 0:
            return Found("other_namespace")
        if page.redirect or is_redirect(page.text):
            return Found("redirect")
        if not page.text.strip():
            return Found("empty")
        if is_disambiguation(page.title, page.text):
            return Found("disambiguation")
        found: Counter = Counter()
        text = parse.to_text(page.text, self.rules, found)
        for rule, times in found.items():
            note(rule, times)
        if not text.strip():
            return Found("no_text_left")
        url = page_url(site, page.title)
        return Found(
            "kept",
            {"title": page.title, "text": text, "url": url, "id": page.id},
            mmh3.mmh3_x64_128_digest(f"{site.name} {page.id}".encode()),
            int("0" + "".join(char for char in page.timestamp if char.isdecimal() and char.isascii())[:14]),
            in_validation(normalize_url(url)),
        )


def prepare_wikipedia(
    given: Sequence[str],
    out: str,
    rules: str = "tfds",
    format: str = "tfrecord",
    shards: int | None = None,
    overwrite: bool = False,
    max_connections: int = 10,
) -> Prepared:
    """Plans a corpus of the dumps that are named. Raises UsageError."""
    if rules not in RULES:
        raise UsageError(f"--rules {rules}: there are {', '.join(RULES)}")
    check_connections(max_connections)
    sources = find_files(given, (".xml", ".xml.bz2"), max_connections)
    fetching = transport(absolute(out), max_connections, [source.path for source in sources])
    sites = {source.path: read_site(source) for source in sources}
    units = _cut(sources, shards)
    languages = {site.name.removesuffix("wiki").replace("_", "-") or "wiki" for site in sites.values()}
    config = ".".join([*sorted({date for date in map(dump_date, sources) if date})[-1:], "-".join(sorted(languages))])
    recipe = Recipe(
        Dataset(
            name="wikipedia",
            config=config,
            version=_VERSIONS[rules],
            description=f"Wikipedia's articles without markup, made from a dump by c4build under the rules {rules}.",
            citation=_CITATION,
            homepage="https://dumps.wikimedia.org",
            features=("title", "text", "url", "id"),
        ),
        WikipediaReader(RULES[rules], sites, transport=fetching),
        REASONS,
        "pages",
        f"Wikipedia by the rules {rules}",
    )
    return prepare(recipe, units, out, format, shards, overwrite)


def _cut(sources: Sequence[Input], shards: int | None) -> list[Unit]:
    """The dumps' pieces: as many as shards are wanted, else of a size that makes good shards and keeps workers busy."""
    whole = sum(source.likely_size for source in sources)
    each = max(_LEAST_PIECE, min(_PIECE_BYTES, -(-whole // _USEFUL_UNITS)))
    if shards:
        each = max(1, min(each, whole // shards))
    return [
        Unit(f"{source.name} from byte {piece.start:,}", (Part(source, piece.start, piece.stop),))
        for source in sources
        for piece in cut_into_pieces(source, each)
    ]
