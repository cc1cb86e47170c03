"""A WET file's pages, in order, with what was dropped or damaged between them.

`wet_kind` tells whether it is a WET file; `wet_warc` cuts it into pages as WARC defines records, `wet_tfds` as TFDS's
builder cuts the text; `wet_pages` says which record is a page. All read a file of any size within bounded memory and in
time linear in it, and step over what is damaged: the page goes, named with its offset, and the reading goes on at the
next record.
"""

import os
from collections.abc import Iterator

from c4build.compiled import core
from c4build.read.gz import Damage, Readable, read_chunks
from c4build.read.wet_kind import of_wet
from c4build.read.wet_pages import Found, not_ordinary
from c4build.read.wet_tfds import tfds_pages
from c4build.read.wet_warc import warc_pages

_MOST_BYTES = 1 << 22  # see `_most_bytes`
_MOST_SAID = 100  # damages of a file that are described; the others are counted

# Files that TFDS leaves out: `_KNOWN_CORRUPT_WET_FILES` of tensorflow_datasets/text/c4.py (4.9.10; "as of August 12, 2022",
# "files that raise UnicodeDecodeError"). It compares the whole path; here the name tells, which is a file's own.
_LEFT_OUT_BY_TFDS = (
    "crawl-data/CC-MAIN-2017-13/segments/1490218203536.73/wet/"
    "CC-MAIN-20170322213003-00052-ip-10-233-31-227.ec2.internal.warc.wet.gz",
)
_NAMES_LEFT_OUT = frozenset(path.rpartition("/")[2] for path in _LEFT_OUT_BY_TFDS)


def read_pages(file: Readable, records: str, max_chars: int, compiled: bool = True) -> Iterator[Found]:
    """Yields the pages of a WET file in order, and in their places what was dropped or damaged.

    Args:
      file: opened for reading bytes, gzip or plain. Its `name`, where it has one, tells the files that TFDS leaves out.
      records: "warc" or "tfds", as in `RuleSet.records`.
      max_chars: a page with more code points of text than this is `too_long`.
      compiled: records that are nothing out of the ordinary are read by the compiled functions, where they are installed.

    Every page that is damaged comes as a `Dropped("damaged")` besides the `Damage`, where it is known to be one page.
    Of more than `_MOST_SAID` damages the others are only counted, in one at the end.

    Raises:
      InputError: `file` cannot be read on.
    """
    if records == "tfds" and os.path.basename(str(getattr(file, "name", ""))) in _NAMES_LEFT_OUT:
        yield Damage(0, "TFDS leaves this file out as corrupt (_KNOWN_CORRUPT_WET_FILES), and so do these rules")
        return
    chunks = of_wet(read_chunks(file))
    most = _most_bytes(max_chars)
    compiled = compiled and core is not None
    if records == "tfds":
        pages = tfds_pages(chunks, max_chars, most, core.records.tfds if compiled else not_ordinary)
    else:
        pages = warc_pages(chunks, max_chars, most, core.records.warc if compiled else not_ordinary)
    said, cut, first = 0, False, 0
    for found in pages:
        if type(found) is Damage:
            said += 1
            if said > _MOST_SAID and (cut or not found.cut):
                first = first or found.offset
                continue
            cut = cut or found.cut
        yield found
    if said > _MOST_SAID:
        yield Damage(first, f"from here on {said - _MOST_SAID:,} more damages, not listed")


def _most_bytes(max_chars: int) -> int:
    """A page of allowed length has fewer bytes than this, whatever its lines; more is read without being kept."""
    return max(_MOST_BYTES, 32 * max_chars)
