"""Wikipedia's pages-articles dumps to pages: a piece of a dump at a time, in little memory, past any damage.

A dump is one XML document of `<page>` elements, plain or bzip2. It is looked through for the elements' tags, and each
is parsed by itself: what is wrong with one does not concern the next. A piece is a range of the file's bytes; it owns
the pages that start in it (for bzip2: in a stream that starts in it) and reads on to the end of the last.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

from c4build.errors import UsageError
from c4build.read.bz2_streams import STREAM, Data, read_streams
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input, InputError, open_file
from c4build.read.transport import RemoteFile

MAX_PAGE_BYTES = 1 << 24  # of one <page>; MediaWiki's own limit for a text is 2 MiB, which escaping makes 12 at most
_MAX_TAGS = 1000  # in a <page>: one revision has some twenty
_NAMED_BYTES = 2000  # of a page, within which its title stands
_HEAD_BYTES, _HEAD_END = 1 << 22, b"</siteinfo>"
_READ = 1 << 20
_PAGE, _END = b"<page>", b"</page>"
_LAST, _TAIL = b"</mediawiki>", 256  # bytes, line ends and all
_TAG = re.compile(rb"<page(?:\s[^<>]{0,300})?>|</page>")
_BLANKS = b" \t\r\n"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REVISION = b"<revision>"
_HISTORY = "this is a dump of histories (pages-meta-history): take pages-articles.xml.bz2 instead"
_NO_TEXT = re.compile(rb"<text [^<>]{0,200}bytes=\"[1-9][^<>]{0,200}/>")
_DATABASE = re.compile(rb"[a-z][a-z0-9_]{0,60}")
_TITLE = re.compile(rb"<title>([^<]{1,300})</title>")


class Site(NamedTuple):
    """What a dump says of itself in its head."""

    name: str  # of the database, as in enwiki
    base: str  # what stands before a title in its URL


class WikiPage(NamedTuple):
    id: str
    title: str
    namespace: int
    redirect: bool
    timestamp: str
    text: str  # wikitext of the first revision


class Piece(NamedTuple):
    """A range of a dump's compressed bytes. `stop` is None for the file's end."""

    start: int
    stop: int | None


def read_site(source: Input) -> Site:
    """The dump's head, or what its name tells where the head is damaged. Raises UsageError for other files."""
    data = bytearray()
    try:
        with open_file(source) as file:
            for part in _parts(file, Piece(0, None)):
                if not isinstance(part, Data):
                    continue
                before = max(len(data) - len(_HEAD_END), 0)
                data += part.data
                if data.find(_HEAD_END, before) >= 0 or len(data) > _HEAD_BYTES:
                    break
    except InputError as error:
        raise UsageError(f"{source.path}: {error}") from error
    if b"<mediawiki" not in data and _PAGE not in data:
        raise UsageError(
            f"{source.path}: this is not a dump of MediaWiki (pages-articles.xml or .xml.bz2); "
            "https://dumps.wikimedia.org has them"
        )
    _check_kind(source, data)
    base = re.search(rb"<base>([^<]+)</base>", data)
    name = re.search(rb"<dbname>([^<]+)</dbname>", data)
    if name and not _DATABASE.fullmatch(name.group(1)):
        name = None  # it becomes part of a path
    named = re.match(r"([a-z_]+)wiki(?=\W)", source.name)
    language = named.group(1).replace("_", "-") if named else "en"
    return Site(
        name.group(1).decode() if name else language + "wiki",
        base.group(1).decode(errors="replace").rpartition("/")[0] + "/"
        if base
        else f"https://{language}.wikipedia.org/wiki/",
    )


def _check_kind(source: Input, data: bytes | bytearray):
    """Raises UsageError where the first pages show that the dump is none of articles."""
    pages = data.split(_END)[:-1]
    if any(page.count(_REVISION) > 1 for page in pages):
        raise UsageError(f"{source.path}: pages have several revisions here: {_HISTORY}")
    if any(_NO_TEXT.search(page) for page in pages) and not any(b"</text>" in page for page in pages):
        raise UsageError(
            f"{source.path}: its pages have no text (a dump of stubs): take pages-articles.xml.bz2 instead"
        )


def dump_date(source: Input) -> str:
    """The date in a dump's name, as in enwiki-20240501-pages-articles.xml.bz2; empty where there is none."""
    found = re.search(r"(?<!\d)(20\d{6})(?!\d)", source.name)
    return found.group(1) if found else ""


def page_url(site: Site, title: str) -> str:
    """The article's address, escaped as MediaWiki does it."""
    return site.base + quote(title.replace(" ", "_"), safe=";@$!*(),/~:-._")


def cut_into_pieces(source: Input, bytes_each: int) -> list[Piece]:
    """Pieces of about so many bytes; one, where the size is not known or the file is a single bzip2 stream."""
    if source.size <= bytes_each or not _can_be_cut(source):
        return [Piece(0, None)]
    count = -(-source.size // bytes_each)
    bounds = [source.size * index // count for index in range(count)]
    return [Piece(start, stop) for start, stop in zip(bounds, [*bounds[1:], None])]


def _can_be_cut(source: Input) -> bool:
    """True for plain XML, and for bzip2 with a second stream near the start: Wikipedia's first ends with the head."""
    with open_file(source) as file:
        start = file.read(1 << 23)
    return start.lstrip().startswith(b"<") or len(STREAM.findall(start)) > 1


def read_pages(source: Input, piece: Piece = Piece(0, None), told: Callable[[int], None] | None = None):
    """Yields the pages that start in the piece, in order, and what is damaged; offsets are bytes of the file.

    Args:
      source: the dump.
      piece: the part of it.
      told: called with the number of compressed bytes of the piece read so far.

    Yields:
      `WikiPage` or `Damage`.

    Raises:
      InputError: the file cannot be opened.
    """
    for _, found in placed_pages(source, piece, told):
        yield found


def placed_pages(
    source: Input,
    piece: Piece = Piece(0, None),
    told: Callable[[int], None] | None = None,
    transport: Transport | None = None,
) -> Iterator[tuple[int, WikiPage | Damage]]:
    """As `read_pages`, each with its offset, of a file that is fetched as `transport` says."""
    with open_file(source, transport) as file:
        for found in _elements(_parts(file, piece, told), piece):
            if isinstance(found, Damage):
                yield found.offset, found
            else:
                for page in _page(*found):
                    yield found[0], page


class _Counted:
    """A file that knows how far it was read and says so."""

    def __init__(self, file: BinaryIO | RemoteFile, start: int, told: Callable[[int], None] | None):
        self._file, self._start, self._told = file, start, told
        self.place = start

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.place += len(data)
        if self._told:
            self._told(self.place - self._start)
        return data


def _parts(file: BinaryIO | RemoteFile, piece: Piece, told=None) -> Iterator[Data | Damage]:
    """The dump's XML from the piece's first byte on; some part starts at its last byte where the file is not bzip2."""
    counted = _Counted(file, piece.start, told)
    try:
        head = file.read(_READ)
        file.seek(piece.start)
        if not head.lstrip().startswith(b"<"):
            if STREAM.search(head):
                yield from read_streams(counted, piece.start)
                return
            yield Damage(0, "this is neither XML nor bzip2" if head else "the file is empty", True)
        while True:
            place = counted.place
            left = piece.stop - place if piece.stop is not None and place < piece.stop else _READ
            block = counted.read(min(left, _READ))
            if not block:
                break
            yield Data(place, block)
    except InputError as error:  # which says so itself
        yield Damage.of(error, counted.place)
    except Exception as error:  # what a remote file's library raises is its own
        yield Damage(counted.place, f"cannot be read on: {getattr(error, 'strerror', None) or error}", True, True)


def _elements(parts: Iterator[Data | Damage], piece: Piece) -> Iterator[tuple[int, bytes] | Damage]:
    """Yields (offset, bytes) of the `<page>` elements that start in the piece, and the damages."""
    buffer, base = bytearray(), 0  # decompressed bytes ahead, and how many went before
    starts = deque([(0, piece.start)])  # where a stream or block of the file starts: (decompressed, in the file)
    limit: int | None = None  # decompressed bytes of the piece
    tail: bytes | None = None  # the last bytes that were seen
    damaged = False
    page: int | None = None  # where the page being read starts, in the buffer
    seen = 0  # in the buffer: no tag starts before it that was not met
    after_page = False  # a page has ended, and all since then was seen: between two of them there is nothing
    stray: tuple[int, bytes] | None = None  # where something stands there all the same, and its first bytes

    def look(stop: int):
        nonlocal stray
        if page is None and after_page and stray is None and (found := bytes(buffer[looked:stop]).strip(_BLANKS)):
            stray = offset(looked), found[:12]

    def offset(at: int) -> int:
        while len(starts) > 1 and starts[1][0] <= base + at:
            starts.popleft()
        return starts[0][1]

    for part in parts:
        if isinstance(part, Damage):
            if limit is not None and page is None:
                return  # of the next piece
            yield part
            damaged = True
            if page is not None:
                yield Damage(offset(page), f"{_name(buffer, page)} is cut off by this damage and left out")
            page, seen, base = None, 0, base + len(buffer)
            after_page, stray = False, None
            buffer.clear()
            continue
        end = base + len(buffer)
        if part.offset != starts[-1][1]:
            starts.append((end, part.offset))
        if limit is None and piece.stop is not None and part.offset >= piece.stop:
            limit = end
        buffer += part.data
        tail = ((tail or b"") + part.data[-_TAIL:])[-_TAIL:]
        looked = 0  # in the buffer
        for tag in _TAG.finditer(buffer, seen):
            look(tag.start())
            seen = looked = tag.end()
            ends = tag.group() == _END
            if page is not None:
                if ends:
                    yield offset(page), bytes(buffer[page : tag.end()])
                else:
                    yield Damage(offset(page), f"{_name(buffer, page)} has no end and is left out")
                page, after_page = None, True
            elif ends and after_page:
                yield Damage(stray[0] if stray else offset(tag.start()), "a page without its start is left out")
                stray = None
            elif stray:
                yield Damage(stray[0], "what stands between two pages is none that can be read, and is left out")
                stray = None
            if not ends:
                if limit is not None and base + tag.start() >= limit:
                    return
                page = tag.start()
        if page is not None and len(buffer) - page > MAX_PAGE_BYTES:
            yield Damage(offset(page), f"{_name(buffer, page)} is over {MAX_PAGE_BYTES >> 20} MiB long and left out")
            page, after_page = None, False
        seen = max(seen, len(buffer) - len(_END) + 1)
        if page is None and limit is not None and base + seen >= limit:
            return
        done = seen if page is None else page
        look(done)
        del buffer[:done]
        base, seen, page = base + done, seen - done, None if page is None else 0
        offset(0)  # forgets the starts that were passed
    if stray and not _LAST.startswith(stray[1]):
        yield Damage(stray[0], "what stands behind the last page is none that can be read, and is left out")
    if page is not None:
        yield Damage(offset(page), f"the file ends within {_name(buffer, page)}, which is left out", True)
    elif piece.stop is not None or damaged or tail is None or (len(tail) < _TAIL and piece.start):
        return  # the end is another piece's, or not known
    elif _LAST not in tail:
        yield Damage(starts[-1][1], "the dump ends before its end (</mediawiki>): pages are missing", True)


def _name(data: bytes | bytearray, at: int = 0) -> str:
    title = _TITLE.search(data, at, at + _NAMED_BYTES)
    return f"the page {title.group(1).decode(errors='replace')!r}" if title else "a page"


def _page(offset: int, fragment: bytes) -> Iterator[WikiPage | Damage]:
    """The page of one element; what cannot be text in XML is replaced, and said."""
    if (revisions := fragment.count(_REVISION)) > 1:
        yield Damage(offset, f"{_name(fragment)} has {revisions:,} revisions and is left out: {_HISTORY}")
        return
    if fragment.count(b"<") > _MAX_TAGS:
        yield Damage(offset, f"{_name(fragment)} has over {_MAX_TAGS:,} tags of XML and is left out")
        return
    try:
        yield _parse(fragment)
        return
    except (ElementTree.ParseError, ValueError):
        pass
    try:
        page = _parse(_ILLEGAL.sub("\ufffd", fragment.decode(errors="replace")).encode())
        yield Damage(offset, f"{_name(fragment)} has bytes that are not text; they stand as U+FFFD")
        yield page
    except Exception as error:  # nothing in one page ends the run
        yield Damage(offset, f"{_name(fragment)} is not well-formed XML ({error}) and is left out")


def _parse(fragment: bytes) -> WikiPage:
    page = ElementTree.fromstring(fragment)
    identifier = int(page.findtext("id", ""))
    return WikiPage(
        id=str(identifier),
        title=page.findtext("title", "").replace("_", " "),
        namespace=int(page.findtext("ns", "0")),
        redirect=page.find("redirect") is not None,
        timestamp=page.findtext("revision/timestamp", ""),
        text=page.findtext("revision/text", ""),
    )
