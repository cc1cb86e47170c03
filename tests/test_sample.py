"""The sample is what its generator makes, and is a WET file to other programs; the word lists are what they say."""

import collections
import gzip
import hashlib
import json

import langdetect
import pytest
from warcio.archiveiterator import ArchiveIterator

from c4build.sample import generate, pages
from c4build.sample.resources import bad_words_file, sample_folder

SAMPLE = sample_folder() / "sample.warc.wet.gz"


def test_the_sample_is_what_its_generator_makes():
    assert gzip.decompress(SAMPLE.read_bytes()) == b"".join(generate.wet_records())
    assert json.loads((sample_folder() / "realnews_domains.json").read_text()) == pages.NEWS_DOMAINS
    urls = (sample_folder() / "webtext_urls.txt").read_text().splitlines()
    assert urls == generate.shared_urls(pages.records())


def test_warcio_reads_every_record_of_the_sample_with_its_digest():
    with open(SAMPLE, "rb") as file:
        records = [
            (record.rec_type, record.rec_headers["WARC-Target-URI"], record.content_stream().read().decode())
            for record in ArchiveIterator(file, check_digests="raise")
        ]
    assert [kind for kind, _, _ in records[:2]] == ["warcinfo", "conversion"]
    assert [(url, body) for _, url, body in records[1:]] == [(page.url, page.body) for page in pages.records()]


def test_the_sample_has_pages_in_seven_languages_and_more():
    langdetect.DetectorFactory.seed = 0
    found = collections.Counter()
    for page in pages.records():
        if sum(char.isalpha() for char in page.body) > 60:
            found[langdetect.detect(page.body[:2000])] += 1
    assert len([language for language, count in found.items() if count >= 3]) >= 7
    assert found["en"] > 300


def test_the_english_list_is_the_one_that_tfds_pins():
    words = bad_words_file().read_text(encoding="utf-8").splitlines()
    digest = hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()
    assert (len(words), digest) == (377, "83eea24146f57a6683973e4bb72e263ebe0fc4a444533bd2c5f48352114d9c4a")


@pytest.mark.parametrize("path", sorted(bad_words_file().parent.glob("*.txt")), ids=lambda path: path.stem)
def test_a_word_list_has_each_word_once_in_order_without_spaces_around_it(path):
    words = path.read_text(encoding="utf-8").splitlines()
    assert words == sorted({word.strip() for word in words if word.strip()})
