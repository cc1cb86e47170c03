"""Is a file WET? What it holds instead, by its first bytes and its first record."""

import codecs
import re
from collections.abc import Iterator

from isal import isal_zlib

from c4build.read.gz import Chunk, Damage

OTHER_KINDS = frozenset({"response", "request", "resource", "metadata", "revisit", "continuation"})  # of WARC records
KIND = re.compile(rb"\nWARC-Type:[ \t]*([A-Za-z]{1,20})[ \t]*[\r\n]")
_BLANK = re.compile(rb"[\s\xef\xbb\xbf]*")
RECORD = re.compile(rb"WARC/\d{1,3}\.\d{1,3}\r?\n(?=[A-Za-z][A-Za-z-]{0,39}:)")
RECORD_BYTES = 64  # no match of it is longer
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
        except isal_zlib.error:  # type: ignore[misc]  # see `gz`
            break
        head = inflate.unused_data
    data = data or head
    if _starts_wet(data):
        kind = _first_kind(data)
        return (records_of(kind), True) if kind in OTHER_KINDS else ("", False)
    what = _seems(data)
    return (what if what in {name for _, name in _SIGNATURES} else "", False)


def of_wet(chunks: Iterator[Chunk | Damage]) -> Iterator[Chunk | Damage]:
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
            begins = start[_blank(start) :][:5]
            if not (begins != b"WARC/" and b"WARC/".startswith(begins)):  # else it is too little to tell
                begun = True
                if not _starts_wet(start):
                    yield not_wet(chunk.offset, _seems(start))
                    return
        if (kind := _first_kind(chunk.data)) in OTHER_KINDS:
            yield not_wet(chunk.offset, records_of(kind))
            return
        yield chunk
        if kind:
            yield from chunks
            return
    if not begun:
        yield not_wet(0, _seems(start) if start.strip() else "blank space")


def _starts_wet(data: bytes) -> bool:
    """Does it start with a record, or, damaged, with something else and then a record?"""
    return data.startswith(b"WARC/", _blank(data)) or bool(RECORD.search(data))


def _blank(data: bytes) -> int:
    """How many bytes of white space and byte order marks it begins with."""
    found = _BLANK.match(data)
    return found.end() if found else 0


def _first_kind(data: bytes) -> str:
    """The WARC-Type of the first record that is not the warcinfo; empty where there is none."""
    for found in KIND.finditer(data):
        kind = found.group(1).decode().lower()
        if kind == "conversion" or kind in OTHER_KINDS:
            return kind
    return ""


def not_wet(offset: int, what: str) -> Damage:
    return Damage(offset, f"this is not a WET file: it holds {what}", cut=True)


def records_of(kind: str) -> str:
    return f"WARC records of type {kind}"


def _seems(data: bytes) -> str:
    """What kind of data it is, by its first bytes."""
    start = data[_blank(data) :][:4096]
    for signature, name in _SIGNATURES:
        if start[:16].lower().startswith(signature):
            return name
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "binary data"
    return "binary data" if "\0" in text else "text"
