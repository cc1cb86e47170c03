"""A page of the web as it travels through the pipeline, and the table it is kept in between two stages."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(slots=True)
class Page:
    """One page of a WET file. `body` is its text as read: UTF-8, lines ended by \\n alone; the rest is as written."""

    url: str
    body: bytes
    timestamp: str
    content_type: str
    content_length: str
    # Where its record lies in the file: where its gzip member starts, or in a file that is not packed the record itself.
    offset: int = -1
    record_id: str = ""  # WARC-Record-ID
    refers_to: str = ""  # WARC-Refers-To: the record that the text was taken from

    @property
    def text(self) -> str:
        """The body's lines, see `page_text`."""
        return page_text(self.body.decode())


def page_text(page: str) -> str:
    """The lines of a page, stripped, without empty ones: what TFDS takes for its text."""
    return "\n".join(filter(None, map(str.strip, page.split("\n"))))


# The fields of a finished example, in the order in which the writers lay them out.
FEATURES = ("text", "url", "timestamp", "content-type", "content-length")
# What a build adds to them that is asked where each page is from; the columns of a page file behind all others.
PROVENANCE = ("warc-record-id", "warc-refers-to", "wet-path", "wet-offset")

# A page file and its key file: one row for each page of a WET file that has a URL, text, a date and an allowed length,
# in file order. Columns that only a page still in the running needs are null for the others. The key file is read to
# deduplicate, the page file to write what is left.
_REASONS = ("reasons", pa.binary())  # one byte a track: 0 still in, else the index in `rules.REASONS`
KEY_SCHEMA = pa.schema(
    [
        _REASONS,
        ("url_hash", pa.binary(16)),  # 128-bit hash of the normalised URL
        ("timestamp", pa.string()),
        (
            "rank",
            pa.uint64(),
        ),  # first eight bytes of md5(url), big-endian: the smallest owns a repeat; 0 without a cleaned text
        ("keys", pa.binary()),  # 16 bytes a line or a span of the cleaned text
    ]
)
PAGE_SCHEMA = pa.schema(
    [
        _REASONS,
        ("number", pa.uint32()),  # of the page among all that were read of the file
        ("chance", pa.uint64()),  # the first half of `url_hash`: the lowest are samples
        ("timestamp", pa.string()),
        ("url", pa.string()),
        ("content_type", pa.string()),
        ("content_length", pa.string()),
        ("validation", pa.bool_()),
        ("keys", pa.uint32()),  # how many the page has in the key file
        ("text", pa.string()),  # cleaned
        ("raw", pa.binary()),  # as read, in UTF-8; only where a variant wants it
    ]
)
