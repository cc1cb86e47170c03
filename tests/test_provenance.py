"""With `--provenance` each page says where its record lies: other libraries find it there."""

import gzip
import io
import re
from pathlib import Path

import pytest
from builds import build
from command import run_command
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from test_explain import explained
from warcio.archiveiterator import ArchiveIterator

from c4build.corpora.c4 import prepare
from c4build.corpora.examples import find_shards, read_shard
from c4build.flow.local import run
from c4build.page import PROVENANCE, Page
from c4build.read.wet import read_pages
from c4build.read.wet_pages import as_page
from c4build.sample.resources import sample_folder

SAMPLE = sample_folder() / "sample.warc.wet.gz"


def at(path, offset: int) -> tuple[str, str, str]:
    """(URL, record's id, the id it refers to) of the record at a place of a file, by warcio; fastwarc says the same."""
    with open(path, "rb") as file:
        file.seek(offset)
        data = io.BytesIO(file.read())
    record = next(iter(ArchiveIterator(data))).rec_headers
    names = ("WARC-Target-URI", "WARC-Record-ID", "WARC-Refers-To")
    found = tuple(record.get_header(name) or "" for name in names)
    data.seek(0)
    (other, *_) = FastIterator(data, record_types=WarcRecordType.any_type)
    assert tuple(other.headers.get(name) or "" for name in names) == found
    return found


def referring(packed: bool) -> bytes:
    """The sample, whose records refer to others here; records as gzip members, or plain."""
    text = gzip.decompress(SAMPLE.read_bytes())
    text = re.sub(rb"(WARC-Record-ID: <urn:uuid:)(\w)(.*?\r\n)", rb"\1\2\3WARC-Refers-To: <urn:uuid:\2\2\3", text)
    records = re.split(rb"(?=WARC/1.0\r\nWARC-Type: )", text)[1:]
    return b"".join(map(gzip.compress, records)) if packed else b"".join(records)


@pytest.mark.parametrize("records", ["warc", "tfds"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_page_knows_where_its_record_lies(records, packed, tmp_path):
    path = tmp_path / f"a.warc.wet{'.gz' if packed else ''}"
    path.write_bytes(referring(packed) * 3)  # plain, it has several blocks
    with open(path, "rb") as file:
        pages = [page for page in map(as_page, read_pages(file, records, 190_000)) if isinstance(page, Page)]
    assert len(pages) > 1400 and len({page.offset for page in pages}) == len(pages)
    for page in pages[::67]:
        assert at(path, page.offset) == (page.url, page.record_id, page.refers_to)
    assert all(page.record_id[:10] == page.refers_to[:10] == "<urn:uuid:" for page in pages)
    assert not any(page.record_id == page.refers_to for page in pages)


def examples(folder) -> list[dict]:
    return [dict(one) for shard in find_shards(folder) for one in read_shard(shard)]


def without(example: dict) -> dict:
    return {name: value for name, value in example.items() if name not in PROVENANCE}


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@pytest.mark.parametrize("rules", ["paper", "c4-3.1.0"])
def test_a_record_is_fetched_again_by_what_its_example_says(format, rules, sources, tmp_path):
    variants = ["en", "en.noclean"]
    plain = build(sources.request(tmp_path / "plain", variants=variants, format=format, rules=rules))
    request = sources.request(tmp_path / "told", variants=variants, format=format, rules=rules, provenance=True)
    told = build(request)
    for name, manifest in told.items():
        found = examples(manifest["folder"])
        assert {Path(one["wet-path"]).name for one in found} == {
            "part-0.warc.wet.gz",
            "part-1.warc.wet.gz",
            "part-2.warc.wet.gz",
        }
        for one in found[::7]:
            fetched = at(one["wet-path"], int(one["wet-offset"]))
            assert fetched == (one["url"], one["warc-record-id"], one["warc-refers-to"])
        assert list(map(without, found)) == examples(plain[name]["folder"])
        assert manifest["splits"]["validation"] > 0
    page = next(page for page in explained(request._replace(variants=["en"]), request.out) if page.fate == "kept")
    assert page.page.url == examples(told["en"]["folder"])[0]["url"]


def test_page_files_of_builds_with_it_and_without_are_not_taken_for_each_other(sources, tmp_path):
    said: list[str] = []
    request = sources.request(tmp_path, variants=["en"], format="jsonl", overwrite=True)
    for provenance, why in ((False, None), (True, "without"), (False, None)):
        said.clear()
        prepared = prepare(request._replace(provenance=provenance), said.append)
        run(prepared, 1)
        assert said == ([f"3 inputs are read again for en: the page files were made {why} --provenance"] if why else [])
        assert ("warc-record-id" in examples(prepared.folders["en"])[0]) == provenance


@pytest.mark.parametrize("format", ["tfrecord", "array_record"])
def test_what_is_tfdss_to_the_byte_has_no_room_for_it(format, sources, tmp_path):
    done = run_command("build", *sources.wet, "--out", tmp_path / "out", "--provenance", "--format", format)
    assert done.code == 2 and done.err.splitlines() == [
        f"c4build: --provenance: {format} is as TFDS has it, to the byte: give --format jsonl or parquet"
    ]
    assert not (tmp_path / "out").exists()
