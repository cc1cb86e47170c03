"""WET records to pages, in two ways: as WARC defines records, and as TFDS's builder cuts the text into pages.

Both read a file of any size within bounded memory and in time linear in it, and step over what is damaged: the page
goes, named with its offset, and the reading goes on at the next record.
"""

import codecs
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO, NamedTuple

from isal import isal_zlib

from c4build.errors import printable
from c4build.page import Page
from c4build.read.gz import Chunk, Damage, read_chunks

_MOST_BYTES = 1 << 22  # see `_most_bytes`
_LINE_BYTES = 1 << 16  # what is kept of a header line, and the most bytes of a record's header
_MOST_SAID = 100  # damages of a file that are described; the others are counted

# Files that TFDS leaves out: `_KNOWN_CORRUPT_WET_FILES` of tensorflow_datasets/text/c4.py (4.9.10; "as of August 12, 2022",
# "files that raise UnicodeDecodeError"). It compares the whole path; here the name tells, which is a file's own.
_LEFT_OUT_BY_TFDS = (
    "crawl-data/CC-MAIN-2017-13/segments/1490218203536.73/wet/"
    "CC-MAIN-20170322213003-00052-ip-10-233-31-227.ec2.internal.warc.wet.gz",
)
_NAMES_LEFT_OUT = frozenset(path.rpartition("/")[2] for path in _LEFT_OUT_BY_TFDS)


class Dropped(NamedTuple):
    """A record that is a page to be counted, but cannot be used: why (a name in `rules.REASONS`)."""

    reason: str


Found = Page | Dropped | Damage


def read_pages(file: BinaryIO, records: str, max_chars: int) -> Iterator[Found]:
    """Yields the pages of a WET file in order, and in their places what was dropped or damaged.

    Args:
      file: opened for reading bytes, gzip or plain. Its `name`, where it has one, tells the files that TFDS leaves out.
      records: "warc" or "tfds", as in `RuleSet.records`.
      max_chars: a page with more code points of text than this is `too_long`.

    Every page that is damaged comes as a `Dropped("damaged")` besides the `Damage`, where it is known to be one page.
    Of more than `_MOST_SAID` damages the others are only counted, in one at the end.

    Raises:
      InputError: `file` cannot be read on.
    """
    if records == "tfds" and os.path.basename(str(getattr(file, "name", ""))) in _NAMES_LEFT_OUT:
        yield Damage(0, "TFDS leaves this file out as corrupt (_KNOWN_CORRUPT_WET_FILES), and so do these rules")
        return
    chunks = _of_wet(read_chunks(file))
    pages = (_tfds_pages if records == "tfds" else _warc_pages)(chunks, max_chars, _most_bytes(max_chars))
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


# Is it WET?

_OTHER_KINDS = frozenset({"response", "request", "resource", "metadata", "revisit", "continuation"})  # of WARC records
_KIND = re.compile(rb"\nWARC-Type:[ \t]*([A-Za-z]{1,20})[ \t]*[\r\n]")
_BLANK = re.compile(rb"[\s\xef\xbb\xbf]*")  # white space and byte order marks
_RECORD = re.compile(rb"WARC/\d{1,3}\.\d{1,3}\r?\n(?=[A-Za-z][A-Za-z-]{0,39}:)")
_RECORD_BYTES = 64  # no match of it is longer
_SIGNATURES = (
    (b"<!doctype html", "HTML"), (b"<html", "HTML"), (b"<?xml", "XML"), (b"pk\x03\x04", "a zip archive"), (b"bzh", "bzip2"),
    (b"\xfd7zxz\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"%pdf-", "PDF"), (b"par1", "Parquet"),
)  # fmt: skip


def other_than_wet(head: bytes) -> tuple[str, bool]:
    """(what a file that starts with `head` holds, are these records of WARC), where it shows that it is no WET.

    The text is empty where nothing is sure: of a damaged file, and of text or bytes of no known kind.
    """
    data = b""
    while head[:2] == b"\x1f\x8b" and len(data) < 1 << 20:
        inflate = isal_zlib.decompressobj(31)
        try:
            data += inflate.decompress(head, 1 << 20)
        except isal_zlib.error:
            break
        head = inflate.unused_data
    data = data or head
    if _starts_wet(data):
        kind = _first_kind(data)
        return (_records_of(kind), True) if kind in _OTHER_KINDS else ("", False)
    what = _seems(data)
    return (what if what in {name for _, name in _SIGNATURES} else "", False)


def _of_wet(chunks: Iterator[Chunk | Damage]) -> Iterator[Chunk | Damage]:
    """Hands on the chunks of a WET file; says of another file what it holds, and reads no further."""
    begun, start = False, b""
    for chunk in chunks:
        if type(chunk) is Damage:
            begun = True
            yield chunk
            continue
        if not begun:
            if not start and chunk.data.isspace():
                continue
            start += chunk.data
            begins = start[_BLANK.match(start).end() :][:5]
            if not (begins != b"WARC/" and b"WARC/".startswith(begins)):  # else it is too little to tell
                begun = True
                if not _starts_wet(start):
                    yield _not_wet(chunk.offset, _seems(start))
                    return
        if (kind := _first_kind(chunk.data)) in _OTHER_KINDS:
            yield _not_wet(chunk.offset, _records_of(kind))
            return
        yield chunk
        if kind:
            yield from chunks
            return
    if not begun:
        yield _not_wet(0, _seems(start) if start.strip() else "blank space")


def _starts_wet(data: bytes) -> bool:
    """Does it start with a record, or, damaged, with something else and then a record?"""
    return data.startswith(b"WARC/", _BLANK.match(data).end()) or bool(_RECORD.search(data))


def _first_kind(data: bytes) -> str:
    """The WARC-Type of the first record that is not the warcinfo; empty where there is none."""
    for found in _KIND.finditer(data):
        kind = found.group(1).decode().lower()
        if kind == "conversion" or kind in _OTHER_KINDS:
            return kind
    return ""


def _not_wet(offset: int, what: str) -> Damage:
    return Damage(offset, f"this is not a WET file: it holds {what}", cut=True)


def _records_of(kind: str) -> str:
    return f"WARC records of type {kind}"


def _seems(data: bytes) -> str:
    """What kind of data it is, by its first bytes."""
    start = data[_BLANK.match(data).end() :][:4096]
    for signature, name in _SIGNATURES:
        if start[:16].lower().startswith(signature):
            return name
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "binary data"
    return "binary data" if "\0" in text else "text"


# As TFDS cuts it: a line that is WARC/1.0 starts a page, wherever it stands.

_DELIMITER = b"WARC/1.0"
_NEAR = 256  # bytes from a delimiter to the ends of its line, within which white space may stand around it
_AGAIN = 2 * (_NEAR + len(_DELIMITER))  # bytes that are looked at again with those that follow
_MOST_LINE_ENDS = 8  # bytes behind a body: WARC has two line ends there
_PREFIXES = ("WARC", "CONTENT-", "Content-")
# Does one stand in a body? Searched by the letter that all share, which takes a third of the time of three searches.
_HAS_PREFIX = re.compile(rb"C(?:(?<=WARC)|ONTENT-|ontent-)").search
_START = b"WARC/1.0\r\n"
_IS_CONVERSION = b"\r\nWARC-Type: conversion\r\n"
_CONVERSION = re.compile(rb"\nWARC-Type:[ \t]*conversion[ \t]*(\r?)\n")


class _Segment(NamedTuple):
    offset: int
    data: bytes
    starts: bool  # with a gzip member
    records: int  # conversion records of the file's own structure in what was left out to save memory


def _tfds_pages(chunks: Iterable[Chunk | Damage], max_chars: int, most: int) -> Iterator[Found]:
    pages = records = 0
    merged: int | None = None
    wrong_lengths, first_wrong = 0, None
    last: _Segment | None = None
    for segment in _tfds_segments(chunks, max_chars, most):
        if type(segment) is Damage:
            yield segment
            last = None
            continue
        conversion = segment.data.find(_IS_CONVERSION, 0, 1024) >= 0
        if not conversion and (kind := _kind_of_segment(segment)) in _OTHER_KINDS:
            if segment.starts or not pages:
                yield _not_wet(segment.offset, _records_of(kind))
                return
            yield Damage(segment.offset, f"a record of type {kind} among the pages is read as TFDS reads it, as a page")
        shown, right_length = yield from _tfds_page(segment, conversion, max_chars)
        if not right_length:
            wrong_lengths += 1
            first_wrong = segment.offset if first_wrong is None else first_wrong
        if shown:
            pages, records = pages + 1, records + shown
            if shown > 1 and merged is None:
                merged = segment.offset
        last = segment
    if merged is not None:
        yield Damage(
            merged,
            f"the file's own structure has {records:,} records of pages, of which the cut at lines that are WARC/1.0 made "
            f"{pages:,} pages, as TFDS does: the others are merged or lost, from here on",
        )
    missing = _missing_bytes(last) if last else 0
    if wrong_lengths > (missing > 0):
        yield Damage(
            first_wrong,
            f"{wrong_lengths - (missing > 0):,} records from here on have not as many bytes as their Content-Length says; their text is read as "
            "TFDS reads it",
        )
    if missing:
        yield Damage(
            last.offset, f"the file ends {missing:,} bytes before the Content-Length of its last record", cut=True
        )


def _kind_of_segment(segment: _Segment) -> str:
    """The WARC-Type in a header whose lines end as WARC wants it: text of pages has none such."""
    head = segment.data[: segment.data.find(b"\r\n\r\n", 0, _LINE_BYTES) + 2]
    found = _KIND.search(head) if head.startswith(_START) else None
    return found.group(1).decode().lower() if found else ""


def _missing_bytes(segment: _Segment) -> int:
    head, _, body = segment.data.partition(b"\r\n\r\n")
    length = re.search(rb"\nContent-Length:[ \t]*(\d{1,18})\r", head + b"\r") if _USUAL_HEAD.fullmatch(head) else None
    return max(0, int(length.group(1)) - len(body)) if length else 0


def _tfds_segments(chunks: Iterable[Chunk | Damage], max_chars: int, most: int) -> Iterator[_Segment | Damage]:
    """Yields the bytes from one delimiter line to the next."""
    pending: list[bytes] = []  # since the last delimiter
    size = 0  # of it
    offset, starts, records = 0, False, 0
    for chunk in chunks:
        if type(chunk) is Damage:
            # What was read of a member before its damage showed is no whole page.
            if pending and chunk.offset > offset:
                yield _Segment(offset, b"".join(pending), starts, records)
            pending, size, records = [], 0, 0
            yield chunk
            continue
        data = chunk.data
        if data.startswith(_START) and (not pending or pending[-1][-1:] in (b"\n", b"\r")):
            if data.find(_DELIMITER, 8) < 0 and len(data) < most:
                if pending:
                    yield _Segment(offset, b"".join(pending), starts, records)
                pending, size, offset, starts, records = [data], len(data), chunk.offset, chunk.starts, 0
                continue
        if not pending:
            offset, starts, records = chunk.offset, chunk.starts, 0
        before = pending.pop() if pending else b""
        if len(before) > _AGAIN:
            pending.append(before[:-_AGAIN])
            before = before[-_AGAIN:]
        size += len(data)
        data = before + data
        begin = 0
        for start in _delimiter_lines(data, len(before) - _NEAR - len(_DELIMITER)):
            if start > begin or pending:
                pending.append(data[begin:start])
                yield _Segment(offset, b"".join(pending), starts, records)
                offset, starts, records = chunk.offset, chunk.starts and start == len(before), 0
            pending, size, begin = [], len(data) - start, start
        pending.append(data[begin:])
        if size > most:
            text = b"".join(pending)
            records += _count_conversions(text)
            pending = [_condense(text, max_chars, most)]
            size = len(pending[0])
    if pending:
        yield _Segment(offset, b"".join(pending), starts, records)


def _delimiter_lines(data: bytes, first: int) -> Iterator[int]:
    """Yields where an ended line starts that is the delimiter when stripped, of those with the delimiter behind `first`."""
    at = data.find(_DELIMITER, max(first, 0))
    while at >= 0:
        before = data[max(at - _NEAR, 0) : at]
        start = at - len(before) + max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
        ends = [end for end in (data.find(b"\n", at, at + _NEAR), data.find(b"\r", at, at + _NEAR)) if end >= 0]
        if ends and at - start < _NEAR and data[start : min(ends)].decode("utf-8", "replace").strip() == "WARC/1.0":
            yield start
        at = data.find(_DELIMITER, at + 1)


def _condense(data: bytes, max_chars: int, most: int) -> bytes:
    """What matters of a page that has outgrown its bounds: the fields that count, and text enough to be too long.

    It has less than half of `most` bytes, so that the work is linear in what is read.
    """
    lines, size, fields = [], 0, {}
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    last = data.rfind(b"\n") + 1
    for match in _LINE.finditer(data, 0, last):
        if match.group().startswith(b"WARC") and not match.group().startswith((b"WARC-T", b"WARC-D")):
            continue
        line = match.group().decode("utf-8", "replace").strip()
        if line.startswith(_PREFIXES):
            name, colon, _ = line.partition(":")
            if colon and name in _FIELDS:
                fields[name] = line[:_LINE_BYTES]
        elif line and size <= max_chars:
            lines.append(line[: max_chars + 1])
            size += len(lines[-1]) + 1
    return "\n".join([*fields.values(), *lines, ""]).encode() + data[last:].lstrip()[: most // 4]


_LINE = re.compile(rb"[^\n]+")


def _count_conversions(data: bytes) -> int:
    """The conversion records that the structure of WARC shows, by their WARC-Type.

    Its line must end as WARC wants it, so that the text of pages about WARC has none, or else as the line before it all.
    """
    ends = (b"\r", b"") if data.startswith(b"WARC/1.0\n") else (b"\r",)
    return sum(found.group(1) in ends for found in _CONVERSION.finditer(data))


_FIELDS = ("WARC-Target-URI", "WARC-Date", "Content-Type", "Content-Length")
# A head as Common Crawl writes it: nothing but lines of metadata, ended by \r\n. Of two lines of a name the last one counts.
# No line is matched in two ways, and none twice, so that the time is linear in the head's length. Where a \n stands alone it
# is not usual.
_USUAL_HEAD = re.compile(
    rb"WARC/1\.0(?:\r\n(?:WARC-(?:Target-URI:([^\r]*+)|Date:([^\r]*+)|[^\r]*+)|"
    rb"Content-(?:Type:([^\r]*+)|Length:([^\r]*+)|[^\r]*+)))++"
)
# Some character that is no space.
_VISIBLE = re.compile(rb"[!-~]")


def _tfds_page(segment: _Segment, conversion: bool, max_chars: int) -> Generator[Found, None, tuple[int, bool]]:
    """Yields what a segment is; returns how many conversion records the file's own structure shows in it, and whether it has
    the bytes that its Content-Length says, where it has a usual head.
    """
    data, right_length = segment.data, True
    head, _, body = data.partition(b"\r\n\r\n")
    shown = 1  # of its own head, and no header stands in the body
    if segment.records or not conversion or not data.startswith(_START):
        shown = segment.records + _count_conversions(data)
    try:
        if (usual := _USUAL_HEAD.fullmatch(head)) and head.count(b"\n") == head.count(b"\r"):
            values = [value.decode().strip() if value else "" for value in usual.groups()]
            length = values[-1]
            if length.isdecimal() and len(length) < 19:
                right_length = 0 <= len(body) - int(length) <= _MOST_LINE_ENDS
            body = _newlines(body)
        else:
            values = [""] * len(_FIELDS)
            body = _newlines(data)
        if _HAS_PREFIX(body):
            shown = segment.records + _count_conversions(data)
            # The last one wins, also where it stands in the text.
            text, fields = _take_metadata(body.decode().split("\n"))
            values = [fields.get(name, value) for name, value in zip(_FIELDS, values)]
            body = "\n".join(text).encode()
        elif not body.isascii():
            body.decode()
    except UnicodeDecodeError as error:
        yield Damage(segment.offset, f"a page with invalid UTF-8 ({error.reason})")
        yield Dropped("damaged")
        return shown, True
    url, date, content_type, content_length = values
    page = Page(url, body, date, content_type, content_length)
    judged = _judged(page, max_chars)
    if judged is not page and judged.reason in ("no_url", "no_date") and b"WARC-Type: warcinfo" not in head:
        if not data.strip():
            return shown, True  # empty lines before the first record
        yield Damage(segment.offset, f"{printable(page.url) or 'a page'}: it has {judged.reason.replace('_', ' ')}")
    yield judged
    return shown, right_length or shown > 1  # what is merged is told of as such


def _judged(page: Page, max_chars: int) -> Page | Dropped:
    """The page, or why it cannot be one; the warcinfo record that opens a file is one without URL for TFDS."""
    if not page.url:
        return Dropped("no_url")
    if not _VISIBLE.search(page.body) and not page.text:
        return Dropped("no_content")
    if not page.timestamp:
        return Dropped("no_date")
    if len(page.body) > max_chars and len(page.text) > max_chars:
        return Dropped("too_long")
    return page


def _take_metadata(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """(the lines of text, the fields of a page that the others hold)."""
    text, fields = [], {}
    for line in lines:
        line = line.strip()
        if line.startswith(_PREFIXES):
            name, colon, value = line.partition(":")
            if colon and name in _FIELDS:
                fields[name] = value.strip()
        else:
            text.append(line)
    return text, fields


def _newlines(data: bytes) -> bytes:
    """`data` with its line ends, any of \\n, \\r\\n, \\r, made \\n, and none behind the last line."""
    data = data.rstrip(b"\r\n")
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


# As WARC defines it: a version line, named fields, an empty line, Content-Length bytes, two line ends.

_USUAL_NAMES = {
    name: name.lower()
    for name in (
        "WARC-Type", "WARC-Target-URI", "WARC-Date", "WARC-Record-ID", "WARC-Refers-To", "WARC-Block-Digest",
        "WARC-Payload-Digest", "WARC-Identified-Content-Language", "Content-Type", "Content-Length",
    )
}  # fmt: skip
_GAP = re.compile(rb"[\r\n\xef\xbb\xbf]*")  # what may stand between two records


class _Bad(Exception):
    """A record that cannot be read. `short`: its run ends within it; `at_record`: the next one was found already."""

    def __init__(self, what: str, short: bool = False, at_record: bool = False):
        super().__init__(what)
        self.short, self.at_record = short, at_record


class _Run:
    """The bytes ahead, up to the next place where a record must start: a gzip member that begins with WARC/, or an end.

    Within a file of one record a member that is each record; a file that is plain or one member is a single run.
    What lies ahead is `data` from `at` on; places in it are counted from there.
    """

    def __init__(self, chunks: Iterable[Chunk | Damage]):
        self._chunks = iter(chunks)
        self._held: Chunk | Damage | None = next(self._chunks, None)
        self._base = 0  # of data[0] in the run
        self._places: list[tuple[int, int, bool]] = []  # of each chunk: (in the run, in the file, it starts a member)
        self.data = b""
        self.at = 0

    @property
    def ahead(self) -> int:
        return len(self.data) - self.at

    def offset(self) -> int:
        """Where the chunk lies in the file that what is ahead starts in."""
        if len(self._places) == 1:
            return self._places[0][1]
        return self._places[bisect_right(self._places, (self._base + self.at, float("inf"))) - 1][1]

    def member_starts(self, place: int) -> bool:
        place += self._base + self.at
        index = bisect_left(self._places, (place,))
        return index < len(self._places) and self._places[index][0] == place and self._places[index][2]

    def take_damage(self) -> Damage | None:
        """The damage that ended the run, if one did."""
        if type(self._held) is not Damage:
            return None
        damage, self._held = self._held, next(self._chunks, None)
        return damage

    def ended_by_damage(self) -> bool:
        return type(self._held) is Damage

    def over(self) -> bool:
        """True where the file has nothing more."""
        return self._held is None and not self.ahead

    def start(self) -> bool:
        """Goes on to the next run; False where the file ends."""
        if self._held is None:
            return False
        self.data, self.at, self._base = self._held.data, 0, 0
        self._places = [(0, self._held.offset, True)]
        self._held = next(self._chunks, None)
        return True

    def more(self) -> bool:
        """Lengthens what lies ahead, to twice its length if the run has that: so no byte is copied often; False at its end."""
        held = self._held
        if type(held) is not Chunk or (held.starts and held.data.startswith(b"WARC/")):
            return False
        pieces = [self.data[self.at :]]
        self._base += self.at
        self.at = 0
        before = size = len(pieces[0])
        while type(held := self._held) is Chunk and not (held.starts and held.data.startswith(b"WARC/")):
            self._places.append((self._base + size, held.offset, held.starts))
            pieces.append(held.data)
            size += len(held.data)
            self._held = next(self._chunks, None)
            if size >= 2 * before:
                break
        self.data = b"".join(pieces)
        half = len(self._places) // 2
        if half > 500 and self._places[half][0] <= self._base:
            del self._places[:half]
        return True

    def need(self, size: int) -> bool:
        while len(self.data) - self.at < size:
            if not self.more():
                return False
        return True

    def find_head(self) -> int:
        """Where the header ends that starts here; -1 where it does not, or is too long."""
        looked = 0
        while True:
            found = self.data.find(b"\r\n\r\n", self.at + looked, self.at + _LINE_BYTES)
            if found >= 0:
                return found - self.at
            if self.ahead >= _LINE_BYTES:
                return -1
            looked = max(self.ahead - 3, 0)
            if not self.more():
                return -1

    def end_of_gap(self, start: int) -> int:
        """Where what may stand between two records ends that starts at `start`; a long one need not be seen to its end."""
        stop = start
        while True:
            # Nothing but two line ends is left of a member that is a record.
            if self.data.startswith(b"\r\n\r\n", self.at + stop):
                stop += 4
            if stop < self.ahead:
                stop = _GAP.match(self.data, self.at + stop).end() - self.at
            if stop < self.ahead or stop - start > _LINE_BYTES or not self.more():
                return stop

    def skip_gap(self) -> bool:
        """Drops what may stand between two records; False where nothing else lies ahead."""
        while True:
            if self.at < len(self.data):
                if not self.data.startswith(b"WARC/", self.at):
                    self.at = _GAP.match(self.data, self.at).end()
                if self.at < len(self.data):
                    return True
            if not self.more():
                return False

    def skip_body(self, size: int) -> bool | None:
        """Drops `size` bytes without holding them all: True where the run has them, None where a record starts within."""
        while True:
            if found := _RECORD.search(self.data, self.at, self.at + min(size, self.ahead)):
                self.at = found.start()
                return None
            if size <= self.ahead:
                self.at += size
                return True
            dropped = max(self.ahead - _RECORD_BYTES, 0)
            self.at += dropped
            size -= dropped
            if not self.more():
                self.at = len(self.data)
                return False

    def skip_to_record(self):
        """Drops what lies ahead up to the next place where a record seems to start, or to the end of the run."""
        self.at += min(1, self.ahead)
        while not (found := _RECORD.search(self.data, self.at)):
            self.at = max(self.at, len(self.data) - _RECORD_BYTES)
            if not self.more():
                self.at = len(self.data)
                return
        self.at = found.start()


def _warc_pages(chunks: Iterable[Chunk | Damage], max_chars: int, most: int) -> Iterator[Found]:
    run = _Run(chunks)
    sure = True  # that a record which seems to start here is none of a page's text
    while True:
        if not run.skip_gap():
            if damage := run.take_damage():
                yield damage
            elif run.start():
                sure = True
            else:
                return
            continue
        fields: dict[str, str] = {}
        offset = run.offset()
        try:
            body = _read_record(run, fields, most)
        except _Bad as bad:
            told = bad.short and run.ended_by_damage()
            if not bad.at_record:
                run.skip_to_record()
            sure = False
            if not told:
                name = printable(fields.get("warc-target-uri", "")) or "a record"
                yield Damage(offset, f"{name}: {bad}", cut=bad.short and run.over())
            if fields.get("warc-type", "").lower() == "conversion":
                yield Dropped("damaged")
            continue
        kind = fields.get("warc-type", "")
        if kind == "conversion" or (kind := kind.lower()) == "conversion":
            yield from _warc_page(offset, fields, body, max_chars)
        elif kind in _OTHER_KINDS and sure:
            yield _not_wet(offset, _records_of(kind))
            return
        elif kind != "warcinfo":
            what = f"of type '{printable(kind, 40)}'" if kind else "without a WARC-Type"
            yield Damage(
                offset, f"{printable(fields.get('warc-target-uri', '')) or 'a record'}: a record {what} is no page"
            )


def _read_record(run: _Run, fields: dict[str, str], most: int) -> bytes | None:
    """Takes one record off `run`: fills `fields`, returns its body, or None where that is larger than any page."""
    if not (run.data.startswith(b"WARC/", run.at) or (run.need(5) and run.data.startswith(b"WARC/", run.at))):
        raise _Bad("no WARC record starts here")
    if (end := run.find_head()) < 0:
        short = run.ahead < _LINE_BYTES
        raise _Bad("its header has no end" if short else f"its header is over {_LINE_BYTES >> 10} KiB long", short)
    head = run.data[run.at : run.at + end].decode("utf-8", "replace")
    lines = head.split("\r\n")
    # A header that has other line ends has no end that is known: what is taken for it may hold whole records.
    if not head.count("\n") == head.count("\r") == len(lines) - 1:
        raise _Bad("its header has line ends that are not CRLF")
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(_USUAL_NAMES.get(name) or name.strip().lower(), value.strip())
    length = fields.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise _Bad(f"its Content-Length is '{printable(length, 40)}'")
    if len(length) > 18:
        raise _Bad(f"its Content-Length is a number of {len(length):,} digits")
    size, start, stop = int(length), end + 4, end + 4
    if size < most:
        if not run.need(stop + size):
            raise _Bad(f"its Content-Length is {size:,}, but {run.ahead - stop:,} bytes follow", short=True)
        stop += size
    else:
        run.at += stop
        start, stop, whole = 0, 0, run.skip_body(size)
        if whole is None:
            raise _Bad(f"its Content-Length is {size:,}, but another record starts before that", at_record=True)
        if not whole:
            raise _Bad(f"its Content-Length is {size:,}, but fewer bytes follow", short=True)
    gap = run.end_of_gap(stop)
    if gap < run.ahead and gap - stop <= _LINE_BYTES:
        run.need(gap + 5)
        if not (run.data.startswith(b"WARC/", run.at + gap) or run.member_starts(stop) or run.member_starts(gap)):
            raise _Bad(f"its Content-Length is {size:,}, but no record starts behind that")
    body = run.data[run.at + start : run.at + stop] if size < most else None
    run.at += gap
    return body


def _warc_page(offset: int, fields: dict[str, str], body: bytes | None, max_chars: int) -> Iterator[Found]:
    if body is None:
        yield Dropped("too_long")
        return
    page = Page(
        fields.get("warc-target-uri", ""),
        _newlines(body),
        fields.get("warc-date", ""),
        fields.get("content-type", ""),
        fields.get("content-length", ""),
    )
    try:
        body.decode()
    except UnicodeDecodeError as error:
        yield Damage(
            offset, f"{printable(page.url) or 'a page'}: invalid UTF-8 ({error.reason} at its byte {error.start:,})"
        )
        yield Dropped("damaged")
        return
    judged = _judged(page, max_chars)
    if judged is not page and judged.reason in ("no_url", "no_date"):
        yield Damage(offset, f"{printable(page.url) or 'a page'}: it has {judged.reason.replace('_', ' ')}")
    yield judged
