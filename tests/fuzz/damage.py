"""Damaged files, made from a seed: what every corpus shares. The kinds of each stand in `*_damage.py`.

A file follows from (seed, number) alone: its kind is the number's turn in the corpus' list of kinds, and all chance in it
comes from a `random.Random` of the two.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

SEED = 1868


class Kind(NamedTuple):
    """A way to damage a file. `make` returns the file and what was left whole in it."""

    name: str
    make: Callable[[random.Random], "Made"]


class Made(NamedTuple):
    data: bytes
    before: Sequence[Any]  # what the file held before: pages, URLs, the book's text
    whole: Sequence[Any]  # what of it nothing was done to: it must come through
    ending: str = ""  # of the file's name; the corpus' first where empty


class Damaged(NamedTuple):
    """One damaged file."""

    number: int
    kind: str
    made: Made

    def name(self, ending: str) -> str:
        return f"damaged-{self.number:04}{self.made.ending or ending}"


def generate(kinds: Sequence[Kind], count: int, seed: int = SEED) -> Iterator[Damaged]:
    """The first `count` files of a seed: every kind in turn."""
    for number in range(count):
        kind = kinds[number % len(kinds)]
        yield Damaged(number, kind.name, kind.make(random.Random(f"{seed} {number}")))


class Kinds(list):
    """A list of kinds that functions are put on by a decorator."""

    def add(self, name: str):
        def put(make):
            assert name not in {kind.name for kind in self}
            self.append(Kind(name, make))
            return make

        return put

    def add_each(self, made: dict[str, Any], make: Callable[[random.Random, Any], Made]):
        """A kind for each entry of a table: its name, and what `make` is given of it."""
        for name, value in made.items():
            self.add(name)(lambda choose, value=value: make(choose, value))


# What happens to bytes.


def flip_bits(data: bytes, choose: random.Random, start: int = 0, stop: int | None = None) -> bytes:
    """One to three bits turned over between two places."""
    changed = bytearray(data)
    for _ in range(choose.randint(1, 3)):
        changed[choose.randrange(start, len(data) if stop is None else stop)] ^= 1 << choose.randrange(8)
    return bytes(changed)


def noise(choose: random.Random, least: int = 1, most: int = 2000) -> bytes:
    return choose.randbytes(choose.randint(least, most))


def span(choose: random.Random, size: int, most: int = 600) -> tuple[int, int]:
    """Somewhere in `size` bytes, from and to."""
    start = choose.randrange(size - 1)
    return start, min(size, start + choose.randint(1, most))


HTML = (
    b"<!DOCTYPE html>\n<html><head><title>503 Slow Down</title></head>\n<body><h1>Please reduce your request rate.</h1>"
    b"</body></html>\n"
)

# Addresses that were found on the web or in attacks on those who read them. Each is put in place of a page's own.
URLS = {
    "no scheme": "example.org/a",
    "spaces": "http://exa mple.org/a page with spaces",
    "control characters": "http://example.org/\x01\x02\x0b\x0c\x1c\x1d\x7f",
    "an open bracket": "http://[::1",
    "two brackets": "http://]a[/",
    "a port of 5,000 digits": "http://example.org:" + "9" * 5000 + "/",
    "a port of letters": "http://example.org:http/",
    "a host of 32,000 labels": "http://" + "a." * 32_000 + "com/",
    "a label of 100,000 letters": "http://" + "a" * 100_000 + ".com/",
    "dots alone": "http://" + "." * 50_000,
    "100,000 slashes": "http://example.org" + "/" * 100_000,
    "100,000 percent signs": "http://example.org/" + "%" * 100_000,
    "100,000 at signs": "http://" + "@" * 100_000 + "example.org/",
    "100,000 question marks": "http://example.org/" + "?" * 100_000,
    "100,000 of utm": "http://example.org/" + "?utm_" * 20_000,
    "escapes that are no UTF-8": "http://example.org/%ff%fe%ED%A0%80%00",
    "another script": "http://пример.испытание/страница?ключ=значение",
    "a script that IDNA refuses": "http://a\u2024\u2024.\u200d\u200c.com/",
    "letters that become others": "http://exa\uff2dple\u2100.org/\ufdfa",
    "right to left": "http://\u05d0\u202ea.org/\u202e",
    "a script's address": "javascript:alert(1)",
    "data": "data:text/html;base64,PGgxPg==",
    "nothing but a scheme": "http://",
    "a fragment": "#top",
    "ten thousand schemes": "http://" * 10_000,
    "a file's address": "file:///etc/passwd",
    "a mebibyte": "http://example.org/" + "a" * (1 << 20),
}

# Dates that are none, or none that a program may count on.
DATES = {
    "words": "not a date",
    "the 99th month": "2019-99-99T99:99:99Z",
    "the year 10,000": "10000-01-01T00:00:00Z",
    "before the common era": "-0044-03-15T12:00:00Z",
    "seconds": "1555588800",
    "digits of another script": "٢٠١٩-٠٤-١٨T١٢:٠٠:٠٠Z",
    "5,000 digits": "9" * 5000,
    "fractions": "2019-04-18T12:00:00.123456789+05:30",
    "control characters": "2019-04-18\x00\x01T12:00:00Z",
    "a mebibyte": "2" * (1 << 20),
}
