"""The demo's second WET file, made when the demo runs: plain pages of domains that can be told apart.

The sample hits every rule, but has too little text of a kind to learn from: here are news on news sites, essays whose addresses
were shared, and pages about the sample's themes. Everything follows from the seed.
"""

import gzip
import pathlib
import random
from collections.abc import Iterator

from c4build.rules.urls import normalize_url
from c4build.sample.generate import warcinfo, wet_record
from c4build.sample.pages import FOOTER, MENU, NEWS_SITES, SITES, Record, article_url, date
from c4build.sample.prose import THEMES, listings, prose

SEED = 1954
PAGES = {"news": 300, "essays": 300, "themes": 160}
ESSAY_SITES = ("longreads.example.com", "notebook.example.net", "smallweb.example.org")
VALIDATION = 8  # every eighth page belongs to the validation split


def domain_pages(domain: str) -> Iterator[Record]:
    """Pages of one of PAGES."""
    rng = random.Random(f"{SEED} {domain}")
    sites = {"news": NEWS_SITES, "essays": ESSAY_SITES, "themes": SITES}[domain]
    for number in range(PAGES[domain]):
        theme = rng.choice(list(THEMES)) if domain == "themes" else domain
        url = article_url(rng, sites[number % len(sites)], f"{theme} 2019", number, number % VALIDATION == 0)
        text = prose(rng, theme, rng.randint(4, 8))
        lines = [*MENU, f"{theme.title()}, number {number}", *text, *listings(rng, rng.randint(12, 36)), *FOOTER]
        yield Record(url, date(rng), "\n".join(lines))


def write_crawl(folder: str) -> tuple[str, str]:
    """Writes the pages as a WET file and the addresses of the essays as a list; returns their paths."""
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    pages = {domain: list(domain_pages(domain)) for domain in PAGES}
    shuffled = [page for found in pages.values() for page in found]
    random.Random(SEED).shuffle(shuffled)
    records = [warcinfo(), *map(wet_record, shuffled)]
    (out / "domains.warc.wet.gz").write_bytes(b"".join(gzip.compress(record, mtime=0) for record in records))
    urls = "\n".join(normalize_url(page.url) for page in pages["essays"])
    (out / "domains_urls.txt").write_text(urls + "\n")
    return str(out / "domains.warc.wet.gz"), str(out / "domains_urls.txt")
