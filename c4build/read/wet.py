"""WET records to pages, in two ways: as WARC defines records, and as TFDS's builder cuts the text into pages.

Both read a file of any size within bounded memory, and step over what is damaged: the page goes, named with its offset,
and the reading goes on at the next record.
"""

import re
from typing import BinaryIO, Iterable, Iterator, NamedTuple, Optional, Union

from c4build.page import Page
from c4build.read.gz import Chunk, Damage, read_chunks

# A page of allowed length has fewer bytes than this, whatever its lines; more is read without being kept.
_MOST_BYTES = 1 << 22
_LINE_BYTES = 1 << 16  # what is kept of a header line


class Dropped(NamedTuple):
    """A record that is a page to be counted, but cannot be used: why (a name in `rules.REASONS`)."""

    reason: str


Found = Union[Page, Dropped, Damage]


def read_pages(file: BinaryIO, records: str, max_chars: int) -> Iterator[Found]:
    """Yields the pages of a WET file in order, and in their places what was dropped or damaged.

    Args:
      file: opened for reading bytes, gzip or plain.
      records: "warc" or "tfds", as in `RuleSet.records`.
      max_chars: a page with more code points of text than this is `too_long`.

    Every page that is damaged comes as a `Dropped("damaged")` besides the `Damage`, where it is known to be one page.
    """
    if records == "tfds":
        for segment in _tfds_segments(read_chunks(file)):
            yield from _tfds_page(segment, max_chars) if isinstance(segment, _Segment) else (segment,)
    else:
        yield from _warc_pages(read_chunks(file), max_chars)


# As TFDS cuts it: a line that is WARC/1.0 starts a page, wherever it stands.

_DELIMITER = b"WARC/1.0"
_PREFIXES = ("WARC", "CONTENT-", "Content-")
# Does one stand in a body? Searched by the letter that all share, which takes a third of the time of three searches.
_HAS_PREFIX = re.compile(rb"C(?:(?<=WARC)|ONTENT-|ontent-)").search


class _Segment(NamedTuple):
    offset: int
    data: bytes


def _tfds_segments(chunks: Iterable[Union[Chunk, Damage]]) -> Iterator[Union[_Segment, Damage]]:
    """Yields the bytes from one delimiter line to the next."""
    pending = b""  # since the last delimiter
    offset = 0
    first = True
    for chunk in chunks:
        if isinstance(chunk, Damage):
            # What was read of a member before its damage showed is no whole page.
            if chunk.offset <= offset:
                pending = b""
            elif pending:
                yield _Segment(offset, pending)
                pending = b""
            yield chunk
            first = False
            continue
        if first and not chunk.data.lstrip().startswith(b"WARC/"):
            yield Damage(0, f"this is not a WET file: it starts with {chunk.data[:40]!r}")
            return
        first = False
        data = chunk.data
        if data.startswith(b"WARC/1.0\r\n") and pending[-1:] in (b"\n", b"\r", b""):
            if pending:
                yield _Segment(offset, pending)
            pending, offset = data, chunk.offset
            if data.find(_DELIMITER, 8) < 0 and len(data) < _MOST_BYTES:
                continue
        else:
            pending += data
        starts = list(_delimiter_lines(pending))
        for start, stop in zip([0, *starts], starts):
            if stop:
                yield _Segment(offset, pending[start:stop])
        if starts:
            pending = pending[starts[-1] :]
            offset = chunk.offset
        if len(pending) > _MOST_BYTES:
            pending = _condense(pending)
    if pending:
        yield _Segment(offset, pending)


def _delimiter_lines(data: bytes) -> Iterator[int]:
    """Yields where a line starts that is the delimiter when stripped; the last line counts only when it is ended."""
    at = data.find(_DELIMITER)
    while at >= 0:
        start = max(data.rfind(b"\n", 0, at), data.rfind(b"\r", 0, at)) + 1
        ends = [end for end in (data.find(b"\n", at, at + 256), data.find(b"\r", at, at + 256)) if end >= 0]
        stop = min(ends) if ends else min(len(data), at + 256)
        if at - start < 256 and (ends or stop - at < 256):
            if data[start:stop].decode("utf-8", "replace").strip() == "WARC/1.0" and (ends or start == 0):
                yield start
        at = data.find(_DELIMITER, at + 1)


def _condense(data: bytes) -> bytes:
    """What matters of a page that has outgrown its bounds: header lines, and text enough to be too long."""
    lines, size = [], 0
    *complete, last = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in complete:
        line = line.decode("utf-8", "replace").strip()
        if line.startswith(_PREFIXES):
            lines.append(line[:_LINE_BYTES])
        elif line and size < _MOST_BYTES // 8:
            lines.append(line[: _MOST_BYTES // 8])
            size += len(lines[-1]) + 1
    return "\n".join(lines).encode() + b"\n" + last[: _MOST_BYTES // 2]


_FIELDS = ("WARC-Target-URI", "WARC-Date", "Content-Type", "Content-Length")
# A head as Common Crawl writes it: nothing but lines of metadata, ended by \r\n. Of two lines of a name the last one counts.
# No line matches in two ways, so that the time is linear in the head's length. Where a \n stands alone it is not usual.
_FIELD_LINES = "|".join(rf"{name}:([^\r]*)" for name in _FIELDS)
_OTHER_LINES = rf"(?!(?:{'|'.join(_FIELDS)}):)(?:WARC|Content)-[^\r]*"
_USUAL_HEAD = re.compile(rf"WARC/1\.0(?:\r\n(?:{_FIELD_LINES}|{_OTHER_LINES}))+".encode())
# Some character that is no space.
_VISIBLE = re.compile(rb"[!-~]")


def _tfds_page(segment: _Segment, max_chars: int) -> Iterator[Found]:
    head, _, body = segment.data.partition(b"\r\n\r\n")
    try:
        if (usual := _USUAL_HEAD.fullmatch(head)) and head.count(b"\n") == head.count(b"\r"):
            values = [value.decode().strip() if value else "" for value in usual.groups()]
            body = _newlines(body)
        else:
            values = [""] * len(_FIELDS)
            body = _newlines(segment.data)
        if _HAS_PREFIX(body):
            # The last one wins, also where it stands in the text.
            text, fields = _take_metadata(body.decode().split("\n"))
            values = [fields.get(name, value) for name, value in zip(_FIELDS, values)]
            body = "\n".join(text).encode()
        elif not body.isascii():
            body.decode()
    except UnicodeDecodeError as error:
        yield Damage(segment.offset, f"a page with invalid UTF-8 ({error.reason})")
        yield Dropped("damaged")
        return
    url, date, content_type, content_length = values
    page = Page(url, body, date, content_type, content_length)
    judged = _judged(page, max_chars)
    if judged is not page and judged.reason in ("no_url", "no_date") and b"WARC-Type: warcinfo" not in head:
        if not segment.data.strip():
            return  # empty lines before the first record
        yield Damage(segment.offset, f"{page.url or 'a page'}: it has {judged.reason.replace('_', ' ')}")
    yield judged


def _judged(page: Page, max_chars: int) -> Union[Page, Dropped]:
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
    """(the lines of text, the fields that the others hold)."""
    text, fields = [], {}
    for line in lines:
        line = line.strip()
        if line.startswith(_PREFIXES):
            name, colon, value = line.partition(":")
            if colon:
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


class _Bad(Exception):
    """A record that cannot be read."""


class _Run:
    """The bytes ahead, up to the next place where a record must start: a gzip member that begins with WARC/, or an end.

    Within a file of one record a member that is each record; a file that is plain or one member is a single run.
    """

    def __init__(self, chunks: Iterable[Union[Chunk, Damage]]):
        self._chunks = iter(chunks)
        self._held: Union[Chunk, Damage, None] = next(self._chunks, None)
        self.data = b""
        self.offset = 0  # of the member that `data` starts in

    def take_damage(self) -> Optional[Damage]:
        """The damage that ended the run, if one did."""
        if not isinstance(self._held, Damage):
            return None
        damage, self._held = self._held, next(self._chunks, None)
        return damage

    def ended_by_damage(self) -> bool:
        return isinstance(self._held, Damage)

    def start(self) -> bool:
        """Goes on to the next run; False where the file ends."""
        if self._held is None:
            return False
        self.data, self.offset = self._held.data, self._held.offset
        self._held = next(self._chunks, None)
        return True

    def more(self) -> bool:
        """Lengthens `data` within the run; False at the run's end."""
        held = self._held
        if not isinstance(held, Chunk) or held.starts and held.data.startswith(b"WARC/"):
            return False
        self.data += held.data
        self._held = next(self._chunks, None)
        return True

    def need(self, size: int) -> bool:
        while len(self.data) < size:
            if not self.more():
                return False
        return True

    def skip(self, size: int) -> bool:
        """Drops `size` bytes without holding them all; False where the run has fewer."""
        while size > len(self.data):
            size -= len(self.data)
            self.data = b""
            if not self.more():
                return False
        self.data = self.data[size:]
        return True

    def skip_to_record(self):
        """Drops what lies ahead up to the next line that starts a record, or to the end of the run."""
        self.skip(min(1, len(self.data)))
        while (at := self.data.find(b"\nWARC/1.")) < 0:
            self.data = self.data[-8:]
            if not self.more():
                self.data = b""
                return
        self.data = self.data[at + 1 :]


def _warc_pages(chunks: Iterable[Union[Chunk, Damage]], max_chars: int) -> Iterator[Found]:
    run = _Run(chunks)
    first = True
    while True:
        if damage := run.take_damage():
            yield damage
            run.data, first = b"", False
            continue
        if not run.data and not run.start():
            return
        if first and not run.data.lstrip().startswith(b"WARC/"):
            yield Damage(0, f"this is not a WET file: it starts with {run.data[:40]!r}")
            return
        first = False
        fields: dict[str, str] = {}
        offset = run.offset
        try:
            body = _read_record(run, fields)
        except _Bad as bad:
            if not run.ended_by_damage():
                yield Damage(offset, f"{fields.get('warc-target-uri', 'a record')}: {bad}")
            if fields.get("warc-type") == "conversion":
                yield Dropped("damaged")
            run.skip_to_record()
            continue
        if fields.get("warc-type") == "conversion":
            yield from _warc_page(offset, fields, body, max_chars)


def _read_record(run: _Run, fields: dict[str, str]) -> Optional[bytes]:
    """Takes one record off `run`: fills `fields`, returns its body, or None where that is larger than any page."""
    while (head_end := run.data.find(b"\r\n\r\n")) < 0 and len(run.data) < _LINE_BYTES:
        if not run.more():
            break
    if head_end < 0 or not run.data.startswith(b"WARC/"):
        raise _Bad("no WARC record starts here")
    for line in run.data[:head_end].decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    length = fields.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise _Bad(f"its Content-Length is {length!r}")
    start, size = head_end + 4, int(length)
    if size < _MOST_BYTES:
        if not run.need(start + size):
            raise _Bad(f"its Content-Length is {size:,}, but {len(run.data) - start:,} bytes follow")
        body = run.data[start : start + size]
        rest = run.data[start + size :]
    else:
        body = None
        if not run.skip(start + size):
            raise _Bad(f"its Content-Length is {size:,}, but fewer bytes follow")
        rest = run.data
    while not rest and run.more():
        rest = run.data[start + size :] if body is not None else run.data
    stripped = rest.lstrip(b"\r\n")
    if stripped and not stripped.startswith(b"WARC/"):
        raise _Bad(f"its Content-Length is {size:,}, but no record starts behind that")
    run.data = stripped
    return body


def _warc_page(offset: int, fields: dict[str, str], body: Optional[bytes], max_chars: int) -> Iterator[Found]:
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
        yield Damage(offset, f"{page.url or 'a page'}: invalid UTF-8 ({error.reason} at its byte {error.start:,})")
        yield Dropped("damaged")
        return
    judged = _judged(page, max_chars)
    if judged is not page and judged.reason in ("no_url", "no_date"):
        yield Damage(offset, f"{page.url or 'a page'}: it has {judged.reason.replace('_', ' ')}")
    yield judged
