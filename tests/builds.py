"""A small set of inputs for all variants, and builds of it in this process."""

import json
from pathlib import Path
from typing import NamedTuple

import wet_files

from c4build.corpora.c4 import Request, prepare, read_summary
from c4build.flow.local import run

VARIANTS = ("en", "en.noblocklist", "en.noclean", "realnewslike", "webtextlike")


class Sources(NamedTuple):
    """Inputs for all variants: WET files and the lists that go with them."""

    wet: tuple[str, ...]
    bad_words: str
    domains: str
    urls: str

    def request(self, out, **changes) -> Request:
        defaults = {
            "variants": VARIANTS,
            "bad_words": self.bad_words,
            "realnews_domains": self.domains,
            "webtext_urls": [self.urls],
        }
        return Request(**{"inputs": self.wet, "out": str(out), **defaults, **changes})

    def options(self) -> list[str]:
        """The same for the command line."""
        lists = ["--badwords", self.bad_words, "--realnews-domains", self.domains, "--webtext-urls", self.urls]
        return ["--variants", ",".join(VARIANTS), *lists]


def make_sources(folder: Path) -> Sources:
    """Three WET files of pages that meet every kind of end: kept, repeated, displaced, dropped, news, shared, held out."""
    text, Written = wet_files.text, wet_files.Written
    first = wet_files.pages(0, 30) + wet_files.pages(30, 10, "news.example.com")
    second = wet_files.pages(40, 20, "paper.example.net") + [
        Written("http://example.org/page-3", text(603), "2019-04-19T12:00:00Z"),  # newer than the first file's
        Written("http://example.org/page-4", text(604), wet_files.DATE),  # as old as the first file's
        Written("http://example.org/same-lines", text(5)),  # all lines of page 5
        Written("http://example.org/some-lines", text(6, 4) + "\n" + text(606)),
        Written("http://example.org/bad", text(607) + "\nNobody had ever called him a blorptastic fellow before."),
        Written("http://example.org/code", text(608) + "\nThe braces {like these} are what programmers write."),
        Written("http://example.org/lorem", text(609) + "\nThe words lorem ipsum stand for text to come."),
        Written("http://example.org/short", text(610, 2)),
        Written("http://example.org/foreign", "\n".join(["Die Katze lag den ganzen Tag auf dem warmen Ofen."] * 8)),
        Written("http://example.org/empty", ""),
    ]
    held_out = wet_files.validation_urls(2) + wet_files.validation_urls(1, "news.example.com")
    third = [Written(url, text(700 + number)) for number, url in enumerate(held_out)] + wet_files.pages(60, 20)
    files = [
        wet_files.write_wet(folder / f"part-{number}.warc.wet.gz", part)
        for number, part in enumerate((first, second, third))
    ]
    bad_words, domains, urls = folder / "bad.txt", folder / "domains.json", folder / "urls.txt"
    bad_words.write_text("blorptastic\nquimble dash\n")
    domains.write_text(json.dumps({"example.com": True, "example.net": ["paper"]}))
    shared = [f"https://www.example.org/page-{number}/" for number in range(0, 80, 3)] + held_out
    urls.write_text("".join(url + "\n" for url in shared))
    return Sources(tuple(files), str(bad_words), str(domains), str(urls))


def build(request: Request, workers: int = 1, **options) -> dict[str, dict]:
    """Builds in this process (or in `workers` of its own); returns c4build.json of each variant."""
    prepared = prepare(request)
    if not prepared.complete:
        run(prepared, workers, **options)
    return read_summary(prepared.folders)


def shards(folder) -> dict[str, bytes]:
    """The shards of all corpora under `folder`, by path."""
    beside = ("samples.jsonl", "statistics.json")
    return {path: data for path, data in made(folder).items() if not path.endswith(beside)}


def made(folder) -> dict[str, bytes]:
    """The shards, and the samples and statistics beside them."""
    files = (path for path in Path(folder, "c4").rglob("*") if path.is_file())
    paths = sorted(path for path in files if path.suffix != ".json" or path.name.endswith("statistics.json"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
