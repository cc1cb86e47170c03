"""A page of the web as it travels through the pipeline, and the table it is kept in between two stages."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa


@dataclass
class Page:
    """One page of a WET file. `body` is its text as read: UTF-8, lines ended by \\n alone; the rest is as written."""

    url: str
    body: bytes
    timestamp: str
    content_type: str
    content_length: str
    stripped: bool = False  # known to have no line to strip and none that is empty

    @cached_property
    def text(self) -> str:
        """The body's lines, stripped as Python does it, without empty ones: what TFDS takes for the page's text."""
        if self.stripped:
            return self.body.decode()
        return "\n".join(filter(None, map(str.strip, self.body.decode().split("\n"))))

    @property
    def utf8(self) -> bytes:
        """`text` in UTF-8."""
        return self.body if self.stripped else self.text.encode()


# The fields of a finished example, in the order in which the writers lay them out.
FEATURES = ("text", "url", "timestamp", "content-type", "content-length")

# A page file: one row for each page of a WET file that has a URL, text, a date and an allowed length, in file order.
# Columns that only a page still in the running needs are null for the others.
PAGE_SCHEMA = pa.schema([
    ("reasons", pa.binary()),  # one byte a track: 0 still in, else the index in `rules.REASONS`
    ("number", pa.uint32()),  # of the page among all that were read of the file
    ("url_hash", pa.binary(16)),  # 128-bit hash of the normalised URL
    ("timestamp", pa.string()),
    ("url", pa.string()),
    ("content_type", pa.string()),
    ("content_length", pa.string()),
    ("validation", pa.bool_()),
    ("rank", pa.uint64()),  # first eight bytes of md5(url), big-endian: the smallest owns a repeat; 0 where the page is out
    ("keys", pa.binary()),  # 16 bytes a line or a span of the cleaned text
    ("text", pa.string()),  # cleaned
    ("raw", pa.binary()),  # as read, in UTF-8; only where a variant wants it
])
