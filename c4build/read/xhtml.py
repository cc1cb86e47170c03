"""One XHTML document of a book: its heading and its text."""

import functools
import re
from collections.abc import Callable
from html.parser import HTMLParser

from c4build.read.plain_text import decode, decode_as, reads_ascii, tidy

_WASTED = 8  # times a document may be looked through in vain for the ends of tags
PART = "\ufdd0"  # stands alone on a line between two parts of a book while it is cleaned: no character of any text


def read_document(data: bytes) -> tuple[str, str, str | None]:
    """(title, text, what could not be read if anything) of one XHTML document."""
    found = re.match(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)", data[:200])
    declared = found.group(1).decode() if found else ""
    text = decode_as(data, declared) if reads_ascii(declared) else None
    text = decode(data)[0] if text is None else text
    parser, trouble = _Text(_WASTED * len(text)), None
    try:
        parser.feed(text)
        parser.close()
    except _Unclosed:
        trouble = "too many of its tags have no end; what follows them is left out"
    except Exception as error:  # html.parser raises AssertionError for some declarations, ValueError for some entities
        trouble = f"its markup cannot be read to the end ({str(error)[:100]})"
    return parser.heading(), parser.text(), trouble


class _Unclosed(Exception):
    """The document's end was looked for in vain too many times."""


_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "div", "dl", "dt", "figcaption",
    "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
))  # fmt: skip
_PARAGRAPHS = frozenset(
    ("p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr", "pre", "table", "ul", "ol", "dl", "div", "section")
)
_SILENT = frozenset(("script", "style", "head", "svg", "math", "rt", "rp", "template", "audio", "video", "object"))


def _bounded(parse: Callable[..., int]) -> Callable[..., int]:
    """One of html.parser's methods for a tag or declaration at a place. Where it has no end, the whole document is
    looked through, and again for the next one: that is done for so many characters only."""

    @functools.wraps(parse)
    def bounded(self: "_Text", at: int, *more) -> int:
        end = parse(self, at, *more)
        if end < 0:
            self._left -= len(self.rawdata) - at
            if self._left < 0:
                raise _Unclosed
        return end

    return bounded


class _Text(HTMLParser):
    """Collects a document's text: blocks on lines of their own, paragraphs apart, everything else run together.

    Args:
      wasted: characters that may be looked through for the ends of tags that have none.
    """

    def __init__(self, wasted: int):
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._pre = 0
        self._gap = 0  # line feeds due before the next text
        self._heading: list[str] | None = None
        self._first_heading = ""
        self._left = wasted  # characters that may yet be looked through in vain

    def handle_starttag(self, tag, attributes):
        if tag in _SILENT:
            if tag not in self._silent:  # its first one decides how far its end tag reaches
                self._silent.append(tag)
        elif tag == "br":
            self._pieces.append("\n" * max(self._gap, 1))
            self._gap = 0
        elif tag in ("td", "th"):
            self._pieces.append(" ")
        elif tag in _BLOCKS:
            self._break(tag)
            self._pre += tag == "pre"
        if tag in ("h1", "h2", "h3") and not self._first_heading and self._heading is None:
            self._heading = []

    def handle_startendtag(self, tag, attributes):
        if tag not in _SILENT:  # <script/> and <title/> end where they begin
            self.handle_starttag(tag, attributes)
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in _SILENT:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
        elif tag in _BLOCKS:
            if tag == "pre":
                self._pre = max(self._pre - 1, 0)
            self._break(tag)
        if tag in ("h1", "h2", "h3") and self._heading is not None:
            self._first_heading, self._heading = " ".join("".join(self._heading).split()), None

    def handle_data(self, data):
        if self._silent:
            return
        if not self._pre:
            data = re.sub(r"[ \t\r\n\f]+", " ", data)
        if self._gap and data != " ":
            self._pieces.append("\n" * self._gap)
            self._gap = 0
        self._pieces.append(data)
        if self._heading is not None:
            self._heading.append(data)

    def _break(self, tag: str):
        self._gap = max(self._gap, 2 if tag in _PARAGRAPHS else 1)

    def heading(self) -> str:
        return self._first_heading

    def text(self) -> str:
        joined = "".join(self._pieces).replace(PART, " ")
        lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip(" ") for line in joined.split("\n")]
        return tidy("\n".join(lines))

    parse_starttag = _bounded(HTMLParser.parse_starttag)
    parse_endtag = _bounded(HTMLParser.parse_endtag)
    parse_pi = _bounded(HTMLParser.parse_pi)
    parse_html_declaration = _bounded(HTMLParser.parse_html_declaration)
    parse_comment = _bounded(HTMLParser.parse_comment)
