"""WET records to pages as WARC defines them: a version line, named fields, an empty line, Content-Length bytes, two line ends."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from c4build.errors import printable
from c4build.page import Page
from c4build.read.gz import Chunk, Damage
from c4build.read.wet_kind import OTHER_KINDS, RECORD, RECORD_BYTES, not_wet, records_of
from c4build.read.wet_pages import LINE_BYTES, Dropped, Found, judge, newlines

_USUAL_NAMES = {
    name: name.lower()
    for name in (
        "WARC-Type", "WARC-Target-URI", "WARC-Date", "WARC-Record-ID", "WARC-Refers-To", "WARC-Block-Digest",
        "WARC-Payload-Digest", "WARC-Identified-Content-Language", "Content-Type", "Content-Length",
    )
}  # fmt: skip
_GAP = re.compile(rb"[\r\n\xef\xbb\xbf]*")  # what may stand between two records


def _behind_gap(data: bytes, start: int) -> int:
    gap = _GAP.match(data, start)  # be it an empty one
    return gap.end() if gap else start


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
        self._plain = False
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

    def place(self) -> int:
        """The same, or in a file that is not packed where what is ahead starts itself."""
        if not self._plain:
            return self.offset()
        place, offset, _ = self._places[-1]
        return offset + self._base + self.at - place

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
        if type(self._held) is not Chunk:
            return False
        self.data, self.at, self._base = self._held.data, 0, 0
        self._places, self._plain = [(0, self._held.offset, True)], self._held.plain
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
            found = self.data.find(b"\r\n\r\n", self.at + looked, self.at + LINE_BYTES)
            if found >= 0:
                return found - self.at
            if self.ahead >= LINE_BYTES:
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
                stop = _behind_gap(self.data, self.at + stop) - self.at
            if stop < self.ahead or stop - start > LINE_BYTES or not self.more():
                return stop

    def skip_gap(self) -> bool:
        """Drops what may stand between two records; False where nothing else lies ahead."""
        while True:
            if self.at < len(self.data):
                if not self.data.startswith(b"WARC/", self.at):
                    self.at = _behind_gap(self.data, self.at)
                if self.at < len(self.data):
                    return True
            if not self.more():
                return False

    def skip_body(self, size: int) -> bool | None:
        """Drops `size` bytes without holding them all: True where the run has them, None where a record starts within."""
        while True:
            if found := RECORD.search(self.data, self.at, self.at + min(size, self.ahead)):
                self.at = found.start()
                return None
            if size <= self.ahead:
                self.at += size
                return True
            dropped = max(self.ahead - RECORD_BYTES, 0)
            self.at += dropped
            size -= dropped
            if not self.more():
                self.at = len(self.data)
                return False

    def skip_to_record(self):
        """Drops what lies ahead up to the next place where a record seems to start, or to the end of the run."""
        self.at += min(1, self.ahead)
        while not (found := RECORD.search(self.data, self.at)):
            self.at = max(self.at, len(self.data) - RECORD_BYTES)
            if not self.more():
                self.at = len(self.data)
                return
        self.at = found.start()


def warc_pages(
    chunks: Iterable[Chunk | Damage],
    max_chars: int,
    most: int,
    ordinary: Callable[[bytes, int, int, int, int], Any],
) -> Iterator[Found]:
    """Yields what `chunks` hold. `ordinary` reads a record at once where it can: it takes the data, `Page.offset`, where in
    the data the record starts, `most` and `max_chars`.
    """
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
        offset, place = run.offset(), run.place()
        # Where the record ends with the data, another chunk may go on with it.
        page = ordinary(run.data, place, run.at, most, max_chars)
        if page and ((end := page.end) < len(run.data) or not run.more()):
            run.at = end
            yield page
            continue
        fields: dict[str, str] = {}
        try:
            block = _read_record(run, fields, most)
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
            yield from _warc_page(offset, place, fields, block, max_chars)
        elif kind in OTHER_KINDS and sure:
            yield not_wet(offset, records_of(kind))
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
        short = run.ahead < LINE_BYTES
        raise _Bad("its header has no end" if short else f"its header is over {LINE_BYTES >> 10} KiB long", short)
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
    if gap < run.ahead and gap - stop <= LINE_BYTES:
        run.need(gap + 5)
        if not (run.data.startswith(b"WARC/", run.at + gap) or run.member_starts(stop) or run.member_starts(gap)):
            raise _Bad(f"its Content-Length is {size:,}, but no record starts behind that")
    body = run.data[run.at + start : run.at + stop] if size < most else None
    run.at += gap
    return body


def _warc_page(offset: int, place: int, fields: dict[str, str], body: bytes | None, max_chars: int) -> Iterator[Found]:
    if body is None:
        yield Dropped("too_long")
        return
    page = Page(
        fields.get("warc-target-uri", ""),
        newlines(body),
        fields.get("warc-date", ""),
        fields.get("content-type", ""),
        fields.get("content-length", ""),
        offset=place,
        record_id=fields.get("warc-record-id", ""),
        refers_to=fields.get("warc-refers-to", ""),
    )
    try:
        body.decode()
    except UnicodeDecodeError as error:
        yield Damage(
            offset, f"{printable(page.url) or 'a page'}: invalid UTF-8 ({error.reason} at its byte {error.start:,})"
        )
        yield Dropped("damaged")
        return
    judged = judge(page, max_chars)
    if type(judged) is Dropped and judged.reason in ("no_url", "no_date"):
        yield Damage(offset, f"{printable(page.url) or 'a page'}: it has {judged.reason.replace('_', ' ')}")
    yield judged
