"""WET text to pages as TFDS cuts it: a line that is WARC/1.0 starts a page, wherever it stands."""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple, final

from c4build.errors import printable
from c4build.page import Page
from c4build.read.gz import Chunk, Damage
from c4build.read.wet_kind import KIND, OTHER_KINDS, not_wet, records_of
from c4build.read.wet_pages import LINE_BYTES, Dropped, Found, judge, newlines

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


@final
class _Segment(NamedTuple):
    offset: int
    data: bytes
    starts: bool  # with a gzip member
    records: int  # conversion records of the file's own structure in what was left out to save memory
    place: int  # where it starts in a file that is not packed, or else `offset`


_Ordinary = Callable[[bytes, int, int], Any]


def tfds_pages(chunks: Iterable[Chunk | Damage], max_chars: int, most: int, ordinary: _Ordinary) -> Iterator[Found]:
    """Yields what `chunks` hold. `ordinary` takes a segment's data, `Page.offset` and `max_chars`; it reads a page that is the
    one record its data shows, has no other delimiter, and is as long as its Content-Length says.
    """
    pages = records = 0
    merged: int | None = None
    wrong_lengths = first_wrong = 0
    last: _Segment | None = None
    for segment in _tfds_segments(chunks, max_chars, most, ordinary):
        if type(segment) is Damage:
            yield segment
            last = None
            continue
        if type(segment) is not _Segment:
            page = segment
        else:
            page = None if segment.records else ordinary(segment.data, segment.place, max_chars)
        if page:
            yield page
            pages, records, last = pages + 1, records + 1, None  # which has the bytes that it should
            continue
        conversion = segment.data.find(_IS_CONVERSION, 0, 1024) >= 0
        if not conversion and (kind := _kind_of_segment(segment)) in OTHER_KINDS:
            if segment.starts or not pages:
                yield not_wet(segment.offset, records_of(kind))
                return
            yield Damage(segment.offset, f"a record of type {kind} among the pages is read as TFDS reads it, as a page")
        shown, right_length = yield from _tfds_page(segment, conversion, max_chars)
        if not right_length:
            first_wrong = first_wrong if wrong_lengths else segment.offset
            wrong_lengths += 1
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
    if last and missing:
        yield Damage(
            last.offset, f"the file ends {missing:,} bytes before the Content-Length of its last record", cut=True
        )


def _kind_of_segment(segment: _Segment) -> str:
    """The WARC-Type in a header whose lines end as WARC wants it: text of pages has none such."""
    head = segment.data[: segment.data.find(b"\r\n\r\n", 0, LINE_BYTES) + 2]
    found = KIND.search(head) if head.startswith(_START) else None
    return found.group(1).decode().lower() if found else ""


def _missing_bytes(segment: _Segment) -> int:
    head, _, body = segment.data.partition(b"\r\n\r\n")
    length = re.search(rb"\nContent-Length:[ \t]*(\d{1,18})\r", head + b"\r") if _USUAL_HEAD.fullmatch(head) else None
    return max(0, int(length.group(1)) - len(body)) if length else 0


def _tfds_segments(chunks: Iterable[Chunk | Damage], max_chars: int, most: int, ordinary: _Ordinary) -> Iterator[Any]:
    """Yields the bytes from one delimiter line to the next, as a `_Segment`, or as `ordinary` read them; and damages."""
    pending: list[bytes] = []  # since the last delimiter
    size = 0  # of it
    offset, place, starts, records = 0, 0, False, 0
    read = None  # what is pending, where that is an ordinary page

    def ended() -> Any:
        return read or _Segment(offset, b"".join(pending), starts, records, place)

    for chunk in chunks:
        if type(chunk) is Damage:
            # What was read of a member before its damage showed is no whole page.
            if pending and chunk.offset > offset:
                yield ended()
            pending, size, records, read = [], 0, 0, None
            yield chunk
            continue
        data = chunk.data
        if data.startswith(_START) and (not pending or pending[-1][-1:] in (b"\n", b"\r")):
            page = ordinary(data, chunk.offset, max_chars)
            if page or (data.find(_DELIMITER, 8) < 0 and len(data) < most):
                if pending:
                    yield ended()
                pending, size, offset, starts, records = [data], len(data), chunk.offset, chunk.starts, 0
                place, read = offset, page
                continue
        read = None
        if not pending:
            offset, place, starts, records = chunk.offset, chunk.offset, chunk.starts, 0
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
                yield _Segment(offset, b"".join(pending), starts, records, place)
                offset, starts, records = chunk.offset, chunk.starts and start == len(before), 0
                place = offset + (start - len(before) if chunk.plain else 0)
            pending, size, begin = [], len(data) - start, start
        pending.append(data[begin:])
        if size > most:
            text = b"".join(pending)
            records += _count_conversions(text)
            pending = [_condense(text, max_chars, most)]
            size = len(pending[0])
    if pending:
        yield ended()


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
                fields[name] = line[:LINE_BYTES]
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
            body = newlines(body)
        else:
            values = [""] * len(_FIELDS)
            body = newlines(data)
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
    record_id, refers_to = _field(head, b"\nWARC-Record-ID:"), _field(head, b"\nWARC-Refers-To:")
    page = Page(url, body, date, content_type, content_length, segment.place, record_id, refers_to)
    judged = judge(page, max_chars)
    if type(judged) is Dropped and judged.reason in ("no_url", "no_date") and b"WARC-Type: warcinfo" not in head:
        if not data.strip():
            return shown, True  # empty lines before the first record
        yield Damage(segment.offset, f"{printable(page.url) or 'a page'}: it has {judged.reason.replace('_', ' ')}")
    yield judged
    return shown, right_length or shown > 1  # what is merged is told of as such


def _field(head: bytes, name: bytes) -> str:
    """The first value of a field, empty where there is none."""
    at = head.find(name)
    if at < 0:
        return ""
    end = head.find(b"\n", at + 1)
    return head[at + len(name) : end if end > 0 else len(head)].decode("utf-8", "replace").strip()


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
