"""What the scripts that run other programs share: the records of the kit, read by warcio."""

from collections.abc import Iterator
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator

WET = Path(__file__).with_name("kit.warc.wet.gz")


def read_pages() -> Iterator[tuple[str, str]]:
    """(URL, text) of each page, as the records have them."""
    with open(WET, "rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "conversion":
                yield record.rec_headers.get_header("WARC-Target-URI"), record.content_stream().read().decode()
