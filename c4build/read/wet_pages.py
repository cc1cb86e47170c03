"""What a record of a WET file is: a page, or one that cannot be used, and why."""

import re
from dataclasses import fields
from typing import Any, NamedTuple, TypeVar, cast, final

from c4build.page import Page
from c4build.read.gz import Damage

LINE_BYTES = 1 << 16  # what is kept of a header line, and the most bytes of a record's header
# Some character that is no space.
_VISIBLE = re.compile(rb"[!-~]")


@final
class Dropped(NamedTuple):
    """A record that is a page to be counted, but cannot be used: why (a name in `rules.REASONS`)."""

    reason: str


# A page may be a `core.Record`, which has all that `Page` has and makes it when it is asked for.
Found = Page | Dropped | Damage
_Found = TypeVar("_Found", bound=Found)


def as_page(found: _Found) -> _Found:
    """The same, with a `Page` for a `core.Record`."""
    if isinstance(found, (Page, Dropped, Damage)):
        return found
    return cast(_Found, Page(**{field.name: getattr(found, field.name) for field in fields(Page)}))


def not_ordinary(*_) -> Any:
    """Stands in for a compiled function, which makes a `core.Record` of a page that is nothing out of the ordinary: every
    record is read in Python."""
    return None


def judge(page: Page, max_chars: int) -> Page | Dropped:
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


def newlines(data: bytes) -> bytes:
    """`data` with its line ends, any of \\n, \\r\\n, \\r, made \\n, and none behind the last line."""
    data = data.rstrip(b"\r\n")
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
