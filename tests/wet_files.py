"""Small WET files for tests: English pages that pass every rule, and a writer that lays them out as Common Crawl does."""

import gzip
import hashlib
import itertools
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

DATE = "2019-04-18T12:00:00Z"

_WHO = (
    "The old baker", "My neighbour", "A quiet librarian", "The young engineer", "Her grandmother", "The village doctor",
    "One of the farmers", "The captain of the ferry", "A student from the north", "The gardener", "Our teacher",
    "The woman with the red umbrella", "A carpenter", "The tired postman", "The owner of the bookshop", "His brother",
)  # fmt: skip
_DID = (
    "walked slowly through the market", "repaired the broken window", "wrote a long letter", "carried the heavy boxes",
    "waited for the morning train", "told us an unusual story", "painted the wooden fence", "planted several apple trees",
    "looked at the map for an hour", "listened to the radio", "cooked a large pot of soup", "opened the small theatre",
    "measured the depth of the river", "borrowed three books about the stars", "swept the floor of the old school",
)  # fmt: skip
_WHEN = (
    "before the first snow of the winter", "while the children were playing outside", "after the meeting had ended",
    "because nobody else wanted to do it", "until the lamps in the street went out", "although it was raining hard",
    "on the day when the bridge was finished", "as soon as the visitors had left the house",
    "during the warmest week of the summer", "when the harvest was safely stored in the barn",
)  # fmt: skip


class Written(NamedTuple):
    """A page to write. Fields that are None are left out of its record's header."""

    url: str | None
    text: str | bytes
    date: str | None = DATE
    length: int | None = None  # what Content-Length says, where that is not the truth


def sentences(seed: int, count: int) -> list[str]:
    """Plain English sentences; no two of all seeds are the same."""
    choose = random.Random(seed)
    return [
        f"{choose.choice(_WHO)} {choose.choice(_DID)} {choose.choice(_WHEN)}, as page {seed} tells in part {part}."
        for part in range(count)
    ]


def text(seed: int, count: int = 8) -> str:
    """English text of `count` lines of a sentence each."""
    return "\n".join(sentences(seed, count))


def pages(first: int, count: int, host: str = "example.org") -> list[Written]:
    """English pages that pass every rule, of URLs and texts that no other page has; every fifth has more lines."""
    return [
        Written(f"http://{host}/page-{seed}", text(seed, 8 + 4 * (seed % 5 == 0)))
        for seed in range(first, first + count)
    ]


def validation_urls(count: int, host: str = "example.org") -> list[str]:
    """URLs whose pages belong to the validation split: md5 of the URL without its scheme is a multiple of 1,000."""
    numbers = itertools.count()
    names = (f"{host}/held-out-{number}" for number in numbers)
    found = (name for name in names if int(hashlib.md5(name.encode()).hexdigest(), 16) % 1000 == 0)
    return ["http://" + name for name in itertools.islice(found, count)]


def record(page: Written) -> bytes:
    """One WET record, as Common Crawl writes it."""
    body = page.text if isinstance(page.text, bytes) else page.text.encode()
    lines = ["WARC/1.0", "WARC-Type: conversion"]
    lines += [f"WARC-Target-URI: {page.url}"] if page.url is not None else []
    lines += [f"WARC-Date: {page.date}"] if page.date is not None else []
    name = hashlib.md5(repr(page[:2]).encode()).hexdigest()
    lines += [
        f"WARC-Record-ID: <urn:uuid:{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}>",
        "Content-Type: text/plain",
        f"Content-Length: {len(body) if page.length is None else page.length}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n\r\n"


def info_record() -> bytes:
    """The record that opens a WET file."""
    body = b"Software-Info: tests\r\nExtracted-Date: Thu, 18 Apr 2019 12:00:00 GMT\r\n\r\n"
    head = (
        "WARC/1.0\r\nWARC-Type: warcinfo\r\nWARC-Date: 2019-04-18T12:00:00Z\r\nWARC-Filename: test.warc.wet.gz\r\n"
        "WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000000>\r\n"
        f"Content-Type: application/warc-fields\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def members(written: Iterable[Written]) -> list[bytes]:
    """The gzip members of a WET file: a record each, the opening one first."""
    return [gzip.compress(data, 6, mtime=0) for data in (info_record(), *map(record, written))]


def write_wet(path, written: Sequence[Written]) -> str:
    """Writes a WET file of a gzip member a record; returns its path."""
    data = b"".join(members(written))
    with open(path, "wb") as file:
        file.write(data)
    return str(path)
