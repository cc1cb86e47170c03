"""How c4build reads a file of each corpus, and how other programs do. Each function gives one for `reading.read_each`."""

import bz2
import gzip
import io
import json
import lzma
import re
import tempfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import book_damage
import dump_damage
import zstandard
from wet_damage import Page, lines

from c4build.sample.resources import bad_words_file, sample_books, sample_dump, sample_folder


def _plain(value: str) -> str:
    """A head's value without what programs decode in different ways."""
    return re.sub(r"[^!-~]+", "?", value.strip())


def _page(url: str, date: str, body: bytes) -> Page:
    return Page(_plain(url), _plain(date), lines(body))


def wet(rules_name: str):
    """WET files, cleaned as a build does it."""
    from c4build.flow.clean import Cleaner, CleanSettings
    from c4build.read.gz import Damage
    from c4build.read.paths import identify
    from c4build.read.wet import read_pages
    from c4build.rules.tables import choose_variants, load_rules

    rules = load_rules(rules_name)
    bad_words = tuple(bad_words_file().read_text().split("\n")[:-1])
    cleaner = Cleaner(CleanSettings(rules, choose_variants(["en", "en.noclean"]), bad_words, None))

    def read(path: str, measured):
        with tempfile.TemporaryDirectory() as folder:
            report = cleaner.clean(identify(path), str(Path(folder, "page.pages")))
        if not measured:
            return
        measured()
        with open(path, "rb") as file:
            found = list(read_pages(file, rules.records, rules.max_page_chars))
        pages = [_page(item.url, item.timestamp, item.body) for item in found if hasattr(item, "body")]
        damages = [item.what for item in found if type(item) is Damage]
        assert report.pages == len(found) - len(damages) and bool(report.damages) == bool(damages)
        return pages, report.pages - len(pages), [what for _, what in report.damages]

    read(str(sample_folder() / "sample.warc.wet.gz"), None)  # loads what is loaded once a process
    return read


def other_wet():
    """WET files by FastWARC, or by warcio where that cannot; each ends at what it cannot read."""

    def read(path: str, measured):
        data = unpacked(path)
        try:
            return _in_bounds(_by_fastwarc(data))
        except Exception:
            return _in_bounds(_by_warcio(data))

    return read


def _in_bounds(pages: list[Page]) -> tuple[list[Page], int, list[str]]:
    """Without the pages that are too long for the rules, which are counted."""
    from c4build.rules.tables import load_rules

    most = load_rules("paper").max_page_chars
    kept = [page for page in pages if len(page.text) <= most]
    return kept, len(pages) - len(kept), []


def other_tfds():
    """WET files by TFDS's own function; it is an error where FastWARC and warcio both know of another number of records."""
    import tfds_c4
    from tensorflow_datasets.text import c4_utils

    tfds_c4.use_tfds()
    records = other_wet()

    def read(path: str, measured):
        with tempfile.NamedTemporaryFile() as file:
            file.write(gzip.compress(unpacked(path), 1))
            file.flush()
            pages = [_page(page.url, page.timestamp, page.text.encode()) for page in c4_utils.split_wet_file(file.name)]
        expected, too_long, _ = records(path, measured)
        expected = len(expected) + too_long
        assert len(pages) == expected, f"TFDS has {len(pages):,} pages of {expected:,} records"
        return _in_bounds(pages)

    return read


def unpacked(path: str) -> bytes:
    """A file's content, every member whole."""
    data = Path(path).read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def _by_fastwarc(data: bytes) -> list[Page]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    return [
        _page(record.headers.get("WARC-Target-URI", ""), record.headers.get("WARC-Date", ""), record.reader.read())
        for record in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.conversion)
    ]


def _by_warcio(data: bytes) -> list[Page]:
    from warcio import ArchiveIterator

    return [
        _page(
            record.rec_headers.get_header("WARC-Target-URI") or "",
            record.rec_headers.get_header("WARC-Date") or "",
            record.content_stream().read(),
        )
        for record in ArchiveIterator(io.BytesIO(data))
        if record.rec_type == "conversion"
    ]


def dump():
    """Dumps of MediaWiki, read and freed of markup as a build does it."""
    from c4build.corpora.wikipedia import RULES, Site, WikipediaReader
    from c4build.flow.units import Part, Unit
    from c4build.read.gz import Damage
    from c4build.read.paths import identify
    from c4build.read.wikipedia import read_pages

    def read(path: str, measured):
        source = identify(path)
        reader = WikipediaReader(RULES["tfds"], {path: Site("samplewiki", "https://sample.example.org/wiki/")})
        found = list(reader.read(Unit(path, (Part(source),)), lambda name, times: None, lambda size: None))
        if not measured:
            return
        measured()
        damages = [item[1].what for item in found if type(item) is tuple]
        pages = [
            dump_damage.Page(page.id, page.title, page.namespace, page.timestamp, page.text)
            for page in read_pages(source)
            if not isinstance(page, Damage)
        ]
        return pages, len(found) - len(damages) - len(pages), damages

    read(str(sample_dump()), None)
    return read


def other_dump():
    """Dumps by Python's own bz2 and a strict parser of XML, which end at what is not whole or not well-formed."""

    def text_of(element, path: str) -> str:
        return element.findtext(path.replace("*", "{*}"), "")

    def read(path: str, measured):
        data = Path(path).read_bytes()
        root = ElementTree.fromstring(bz2.decompress(data) if data.startswith(b"BZh") else data)
        pages = [
            dump_damage.Page(
                str(int(text_of(page, "*id"))),
                text_of(page, "*title").replace("_", " "),
                int(text_of(page, "*ns") or 0),
                text_of(page, "*revision/*timestamp"),
                text_of(page, "*revision/*text"),
            )
            for page in root.iter()
            if page.tag.rpartition("}")[2] == "page"
        ]
        return pages, 0, []

    return read


def book():
    """Books, judged as a build does it."""
    from c4build.corpora.books import BooksReader
    from c4build.flow.units import Part, Unit
    from c4build.read.paths import identify

    reader = BooksReader(False, "en", 0.0)

    def read(path: str, measured):
        source = identify(path)
        found = list(reader.read(Unit(path, (Part(source),)), lambda name, times: None, lambda size: None))
        if not measured:
            return
        measured()
        damages = [item[1].what for item in found if len(item) == 2]
        texts = [book_damage.words(item.example["text"]) for item in found if len(item) > 2 and item.example]
        return texts, len(found) - len(damages) - len(texts), damages

    for sample in sample_books().iterdir():
        read(str(sample), None)
    return read


def other_book():
    """Books whose bytes say of themselves that they are whole: valid UTF-8 without zeros, or a ZIP file whose checksums are
    right and that has every document which its spine names."""

    def read(path: str, measured):
        data = Path(path).read_bytes()
        if not data.startswith(b"PK"):
            text = data.decode("utf-8-sig")
            assert "\0" not in text and "\ufffd" not in text
        else:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                assert archive.testzip() is None
                (package,) = (name for name in archive.namelist() if name.endswith(".opf"))
                root = ElementTree.fromstring(archive.read(package))
                items = {item.get("id"): item.get("href") for item in root.iter() if item.tag.endswith("item")}
                folder = package.rpartition("/")[0]
                for reference in root.iter():
                    if reference.tag.endswith("itemref"):
                        archive.getinfo(f"{folder}/{items[reference.get('idref')]}".lstrip("/"))
        return *book()(path, lambda: None)[:2], []

    return read


def reddit():
    """Dumps of submissions to links."""
    from c4build.corpora.reddit import SubmissionsReader
    from c4build.flow.units import Part, Unit
    from c4build.read.paths import identify

    reader = SubmissionsReader()

    def read(path: str, measured):
        found = list(reader.read(Unit(path, (Part(identify(path)),)), lambda name, times: None, lambda size: None))
        measured()
        damages = [item[1].what for item in found if len(item) == 2]
        urls = [item.example["url"] for item in found if len(item) > 2 and item.example]
        return urls, len(found) - len(damages) - len(urls), damages

    return read


def other_reddit():
    """Dumps that Python's own decompressors and json read to their end, each line an object; the links are c4build's."""
    unpack = {
        b"\x28\xb5\x2f\xfd": lambda data: (
            zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        ),
        b"\x1f\x8b": gzip.decompress,
        b"BZh": bz2.decompress,
        b"\xfd7zXZ\0": lzma.decompress,
    }

    def read(path: str, measured):
        data = Path(path).read_bytes()
        for mark, decompress in unpack.items():
            if data.startswith(mark):
                data = decompress(data)
                break
        for line in data.split(b"\n"):
            assert not line.strip() or isinstance(json.loads(line), dict)
        return *reddit()(path, lambda: None)[:2], []

    return read
