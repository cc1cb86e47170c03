"""Project Gutenberg's words around a book: header, licence, small print and footer, in the spellings of fifty years."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# No pattern here has two repeats behind each other that match the same characters: each takes time with the line's length.

_HEAD_SHARE = 0.6  # of a text: what stands later is no header, except in very short ones
_HEAD_LINES = 1200
_PIECE = 1 << 20  # characters

# The line behind which the book begins; the last such line of the head counts.
_START = re.compile(
    r"""
      ^\W*START\s+OF\s+(?:THIS\s+|THE\s+|)PROJECT\s+GUTENBERG(?:'S|TM|-TM)?\s+(?:E-?BOOK|E-?TEXT|EDITION|FILE)\b
    | ^\W*START\s+OF\s+(?:THE\s+|THIS\s+)?E-?(?:BOOK|TEXT)\b.*GUTENBERG
    | ^\W*END\W*(?:OF\s+)?(?:THE\s+)?SMALL\s+PRINT\b
    | ^\W*END\s+OF\s+THE\s+PROJECT\s+GUTENBERG\s+HEADER
    | ^\W*(?:BEGIN|BEGINNING)\s+OF\s+(?:THE\s+|THIS\s+)?PROJECT\s+GUTENBERG\s+E-?(?:BOOK|TEXT)
    | ^\W*(?:BEGINN|ANFANG)\s+DIESES\s+PROJE[KC]T\s+GUTENBERG
    | ^\W*D[ÉE]BUT\s+(?:DE\s+CE|DU)\s+(?:E-?TEXT|LIVRE).*GUTENBERG
    """,
    re.IGNORECASE | re.VERBOSE,
)
_START_GOES_ON = re.compile(r"\*\*\*\s*$")

# The line with which the book is over; the first behind the start counts.
_END = re.compile(
    r"""
      ^\W*(?:THE\s+)?END\s+OF\s+(?:THIS\s+|THE\s+|)PROJECT\s+GUTENBERG(?:'S|\u2019S|TM|-TM)?\b
    | ^\W*END\s+OF\s+(?:(?:THIS|THE)\s*)?E-?(?:BOOK|TEXT)\b.*GUTENBERG
    | ^\W*START\W+FULL\s+LICEN[SC]E
    | ^\W*THE\s+FULL\s+PROJECT\s+GUTENBERG\W*(?:TM\s+|(?<=\s))LICEN[SC]E
    | ^\W*ENDE\s+DIESES\s+PROJE[KC]T\s+GUTENBERG
    | ^\W*ENDE\s+(?:DES|VON)\s+PROJE[KC]T\s+GUTENBERG
    | ^\W*FIN\s+(?:DE|DU|DEL)\s+(?:CE\s+|ESTE\s+|)?(?:PROJECT|PROJET|PROYECTO|LIVRE|E-?TEXT).*(?:GUTENBERG)?
    | ^\W*FINE\s+(?:DI|DEL)\s+(?:QUESTO\s+)?PROJE?[CT]T?O?\s+GUTENBERG
    | ^\W*EINDE\s+VAN\s+(?:HET\s+|DIT\s+)?PROJECT\s+GUTENBERG
    | ^\W*THIS\s+FILE\s+SHOULD\s+BE\s+NAMED\s+\S+\.(?:TXT|ZIP|HTM)
    | ^\W*UPDATED\s+EDITIONS\s+WILL\s+REPLACE\s+THE\s+PREVIOUS\s+ONE
    """,
    re.IGNORECASE | re.VERBOSE,
)

# A paragraph at the book's very beginning or end that says who typed it in.
_CREDITS = re.compile(
    r"""
      ^\W*(?:THIS\s+)?(?:E-?(?:BOOK|TEXT)|HTML\s+VERSION|FILE|TEXT)\s+(?:WAS\s+|IS\s+|)(?:PREPARED|PRODUCED|CREATED|TYPED|SCANNED|TRANSCRIBED|PROVIDED|CONVERTED)\b
    | ^\W*(?:PRODUCED|PREPARED|TRANSCRIBED|SCANNED|DIGITI[SZ]ED|TYPED|PROOF-?READ|ETEXT|CREDITS?)\s*(?:BY|FROM|:)\s
    | ^\W*(?:SCANNED|TYPED|PRODUCED|PROOFED)\s+AND\s+(?:PROOF-?READ|PROOFED|CORRECTED|EDITED|FORMATTED|PRODUCED)\b
    | ^\W*(?:MANY\s+)?(?:SPECIAL\s+)?THANKS\s+TO\s.*(?:PROOFREAD|SCAN|GUTENBERG)
    | ^\W*(?:NOTE:?\s+)?PROJECT\s+GUTENBERG\s+(?:ALSO\s+)?HAS\s+(?:AN?|THE|OTHER)\s
    | ^\W*THE\s+PROJECT\s+GUTENBERG\s+(?:E-?BOOK|E-?TEXT)\s+(?:OF|NAMED)\b
    | ^\W*PROJECT\s+GUTENBERG(?:'S|\u2019S)\s+(?:E-?TEXT\s+OF\s+)?
    | ^\W*PORTIONS\s+OF\s+THIS\s+HEADER\s
    | DISTRIBUTED\s+PROOF(?:READERS|READING)
    | WWW\.PGDP\.NET
    | ^\W*TRANSCRIBER(?:'S|\u2019S|S'|S\u2019)?\s+NOTES?\b.*(?:GUTENBERG|PROOFREAD)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_FIRST_LINE = re.compile(
    r"^\W*(?:THE\s+|THIS\s+IS\s+THE\s+|A\s+)?PROJECT\s+GUTENBERG(?:'S|\u2019S|\s+E-?(?:BOOK|TEXT)|\s+OF|\s+LIBRARY|\s+PRESENTS)",
    re.IGNORECASE,
)
_FIELD = re.compile(r"^(Title|Author|Authors|Language|Character set encoding)\s*:\s*(.*)$", re.IGNORECASE)


class Stripped(NamedTuple):
    """A book's own text, and what Gutenberg's header says of it where there was one."""

    text: str
    is_gutenberg: bool
    title: str | None = None
    author: str | None = None


def header_field(text: str, name: str) -> str | None:
    """A field of the header such as Title, with the indented lines that carry it on; None where there is none."""
    lines = text[:20_000].splitlines()
    for number, line in enumerate(lines):
        field = _FIELD.match(line.strip("\ufeff \t"))
        if field and field.group(1).lower() == name.lower():
            value = [field.group(2).strip()]
            for following in lines[number + 1 :]:
                if not following[:1].isspace() or not following.strip():
                    break
                value.append(following.strip())
            return " ".join(part for part in value if part) or None
    return None


def without_boilerplate(text: str) -> Stripped:
    """`text` without what Project Gutenberg put around it; any other text comes back as it is, stripped.

    Args:
      text: lines end in a line feed.
    """
    lines = text.split("\n", _HEAD_LINES)[:_HEAD_LINES]
    start = _find_start(lines, text.count("\n") + 1)
    from_start = sum(len(line) + 1 for line in lines[:start])
    stop = next((at for at, line in _lines(text, from_start) if _END.match(line)), None)
    named = any(_FIRST_LINE.match(line) for line in lines[:40] if line.strip())
    if not start and stop is None and not named:
        return Stripped(text.strip(), False)
    if not start and named:
        from_start = sum(len(line) + 1 for line in lines[: _behind_fields(lines)])
    head = "\n".join(lines[: max(start, 60)])
    body = _without_credits(even(text[from_start:stop]))
    return Stripped(body, True, header_field(head, "Title"), header_field(head, "Author"))


def _lines(text: str, at: int) -> Iterator[tuple[int, str]]:
    """The lines of `text` from a place on, with their places; never all of them at once."""
    while at <= len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        yield at, text[at:stop]
        at = stop + 1


def even(text: str) -> str:
    """`text` without blanks at the ends of lines and empty lines at its own, with one empty line where were more."""
    pieces, at = [], 0
    while at < len(text):  # by pieces: a list of all lines would take many times the text's own memory
        stop = text.find("\n", at + _PIECE) + 1 or len(text)
        pieces.append("\n".join(line.rstrip() for line in text[at:stop].split("\n")))
        at = stop
    text = "".join(pieces)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip("\n")


def _without_credits(text: str) -> str:
    """`text`, whose paragraphs stand one empty line apart, without those at its ends that say who typed it in."""
    start, stop = 0, len(text)
    while (end := text.find("\n\n", start, stop)) >= 0 and _is_foreign(text[start:end]):
        start = end + 2
    while (end := text.rfind("\n\n", start, stop)) >= 0 and _is_foreign(text[end + 2 : stop]):
        stop = end
    return text[start:stop].strip()


def _is_foreign(paragraph: str) -> bool:
    return _CREDITS.search(paragraph) is not None or re.search(r"\w", paragraph) is None


def _find_start(lines: list[str], count: int) -> int:
    """The number of the book's first line, of so many in all; 0 where no line says so."""
    start = 0
    for number in range(min(len(lines), max(60, min(_HEAD_LINES, int(count * _HEAD_SHARE))))):
        if _END.match(lines[number]) and not _START.match(lines[number]):
            break
        if _START.match(lines[number]):
            start = number + 1
            if lines[number].lstrip().startswith("***") and not _START_GOES_ON.search(lines[number].rstrip()):
                for following in range(number + 1, min(number + 5, len(lines))):
                    if not lines[following].strip():
                        break
                    if _START_GOES_ON.search(lines[following]):
                        start = following + 1
                        break
    return start


def _behind_fields(lines: list[str]) -> int:
    """The first line behind a header that no line ends: behind its last field, or its first paragraph."""
    last = 0
    for number, line in enumerate(lines[:80]):
        if (
            _FIRST_LINE.match(line)
            or _FIELD.match(line.strip())
            or re.match(r"^(?:Release date|Posting date|\[e-?(?:book|text) ?#|Edition:|Credits:)", line.strip(), re.I)
        ):
            last = number
    end = last
    while end < len(lines) and lines[end].strip():
        end += 1
    return end
