"""Books as plain text in whatever encoding."""

import codecs
import re
from collections.abc import Iterator

import charset_normalizer

from c4build.read.chapters import MAX_TEXT_BYTES, Book, BookError, split_chapters
from c4build.read.gutenberg import even, header_field, without_boilerplate


def plain_book(data: bytes, name: str) -> Book:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")) and data.count(b"\0") < len(data) // 8:
        raise BookError("it is not text")
    if len(data) > MAX_TEXT_BYTES:
        raise BookError(f"it is over {MAX_TEXT_BYTES >> 20} MiB of text")
    text, whole = decode(data)
    stripped = without_boilerplate(tidy(text))
    troubles = [] if whole else ["some bytes are in no known encoding; they stand as U+FFFD"]
    return Book(stripped.title or name, stripped.author or "", split_chapters(stripped.text), troubles)


def tidy(text: str) -> str:
    """`text` with line feeds only, without blanks at the ends of lines, and with one empty line where were more."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").lstrip("\ufeff")
    return even(text)


def decode(data: bytes) -> tuple[str, bool]:
    """The text of a file of unknown encoding, and whether each of its bytes could be read.

    What is valid UTF-8 is that, and what is so but for a few bytes; else a byte order mark decides, then what Gutenberg's
    header says, then the statistics of charset-normalizer, and Windows-1252 for what is left.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            marked = data.decode(encoding, errors="replace")
            return marked, "\ufffd" not in marked
    text = decode_as(data, "utf-8")
    if text is None and (text := _nearly_utf8(data)) is not None:
        return text, False
    if text is not None and "\0" not in text:
        return text, True
    for encoding in _guesses(data):
        text = decode_as(data, encoding)
        if text is not None and "\0" not in text:
            return text, True
    return data.decode("cp1252", errors="replace").replace("\0", "\ufffd"), False


def _nearly_utf8(data: bytes) -> str | None:
    """The text of a file in UTF-8 with a few bad bytes, which stand as U+FFFD; None where it is in another encoding.

    In one of single bytes hardly any two of them are a character of UTF-8 by chance.
    """
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", errors="ignore")) - bad
    return text if good >= 4 * bad and "\0" not in text else None


def decode_as(data: bytes, encoding: str) -> str | None:
    """The text; None where the bytes are not in this encoding, or it is none that a book is in."""
    try:
        if codecs.lookup(encoding).name in _NO_ENCODINGS:
            return None
        text = data.decode(encoding)
    except (ValueError, LookupError):
        return None
    return None if _SURROGATES.search(text) else text


def reads_ascii(encoding: str) -> bool:
    """Is ASCII itself in this encoding? What a header in ASCII says of the text around it can be no other."""
    return decode_as(b"encoding", encoding) == "encoding"


# Python's names for what is no encoding of books; punycode takes time with the square of the length.
_NO_ENCODINGS = frozenset(("punycode", "idna", "unicode-escape", "raw-unicode-escape", "undefined"))
_SURROGATES = re.compile("[\ud800-\udfff]")


def _guesses(data: bytes) -> Iterator[str]:
    head = data[:20_000].decode("latin-1")
    declared = header_field(head, "Character set encoding") or ""
    if re.search(r"8859-1\b|latin-?1\b|1252|ascii", declared, re.IGNORECASE):
        yield "cp1252"
    elif reads_ascii(declared):
        yield declared
    best = None
    if b"\0" not in data:
        best = _western(data)
    if best is None:
        # Where all else is plain ASCII, only the other lines tell.
        telling = data if b"\0" in data else b"\n".join(line for line in data.splitlines() if not line.isascii())
        found = charset_normalizer.from_bytes(telling[: 1 << 18]).best()
        best = found.encoding if found else None
    if best is not None:
        yield best
    yield "cp1252"


def _western(data: bytes) -> str | None:
    """Which of the encodings of western languages makes most of the odd bytes letters and marks that books in English
    have; None where there are too many such bytes for English."""
    sample = data[: 1 << 22]
    odd = sample.translate(None, bytes(range(128)))
    if len(odd) > len(sample) // 4:
        return None
    scores = {name: sum(char in _USUAL for char in odd.decode(name, errors="replace")) for name in _WESTERN}
    return max(scores, key=scores.__getitem__)


_WESTERN = ("cp1252", "mac_roman", "cp437", "cp850")  # the earlier wins where two do as well
_USUAL = frozenset(
    "\u00e0\u00e1\u00e2\u00e4\u00e5\u00e6\u00e7\u00e8\u00e9\u00ea\u00eb\u00ec\u00ed\u00ee\u00ef\u00f1\u00f2\u00f3\u00f4\u00f6\u00f8\u00f9\u00fa\u00fb\u00fc\u0153\u00df"
    "\u00c0\u00c2\u00c4\u00c6\u00c7\u00c8\u00c9\u00ca\u00d6\u00d8\u00dc\u0152\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u00a3\u00b0\u00a7\u00a9\u00bd\u00bc\u00be\u2020\u2021\u00ab\u00bb"
)
