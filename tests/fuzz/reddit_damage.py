"""Damaged dumps of Reddit's submissions, in every compression that they are handed around in."""

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable

import zstandard
from damage import HTML, URLS, Kinds, Made, flip_bits, noise, span

ENDING = ".zst"
KINDS = Kinds()
MIB = 1 << 20


def zstd(data: bytes, **options) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, **options).compress(data)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    ".zst": zstd,
    ".gz": lambda data: gzip.compress(data, 6, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".json": bytes,
}


def post(number: int, **fields) -> dict:
    """A submission whose link counts; none has another's address."""
    url = f"http://reddit.example.org/story-{number}"
    return {"id": f"{number:x}", "url": url, "score": 3 + number % 50, "is_self": False, "domain": "example.org",
            "title": f"A story of the number {number}", "over_18": False} | fields  # fmt: skip


def link(submission: dict) -> str:
    """What must come of it."""
    return submission["url"].removeprefix("http://")


def some(choose: random.Random) -> list[dict]:
    first = choose.randrange(10**9)
    return [post(first + number) for number in range(choose.randint(20, 60))]


def dumped(posts: list[dict]) -> list[bytes]:
    return [json.dumps(submission).encode() + b"\n" for submission in posts]


def made(posts: list[dict], data: bytes, hit, ending: str = ".zst") -> Made:
    before = list(map(link, posts))
    return Made(data, before, [url for number, url in enumerate(before) if number not in hit], ending)


def _spoil_bytes(what: str, ending: str):
    def make(choose: random.Random) -> Made:
        posts = some(choose)
        # Frames, members and streams of some lines each, as big dumps have them.
        each = 10 if ending != ".json" else 1
        parts = [PACKINGS[ending](b"".join(dumped(posts[at : at + each]))) for at in range(0, len(posts), each)]
        data = b"".join(parts)
        left, right = span(choose, len(data), 60)
        if what == "bits":
            number = choose.randrange(len(parts))
            left, right = sum(map(len, parts[:number])), sum(map(len, parts[: number + 1]))
            data = flip_bits(data, choose, left, right)
        elif what == "cut":
            data, right = data[:left], len(data)
        elif what == "hole":
            data = data[:left] + data[right:]
        elif what == "zeros":
            data = data[:left] + bytes(right - left) + data[right:]
        else:
            data = data[:left] + choose.randbytes(right - left) + data[right:]
        at, hit = 0, set()
        for number, part in enumerate(parts):
            if at < right and left < at + len(part):
                # The line that follows a damage may have begun in it.
                hit |= set(range(number * each, (number + 1) * each + (ending == ".json")))
            at += len(part)
        return made(posts, data, hit, ending)

    return make


for _what, _name in {
    "bits": "bits turned over", "cut": "cut short", "hole": "bytes lost", "zeros": "bytes made zero", "noise": "bytes overwritten",
}.items():  # fmt: skip
    for _ending in PACKINGS:
        KINDS.add(f"{_name}, {_ending}")(_spoil_bytes(_what, _ending))


def _frames(choose: random.Random, change: Callable[[random.Random, list[bytes]], list[bytes]]) -> Made:
    posts = some(choose)
    parts = [zstd(b"".join(dumped(posts[at : at + 10]))) for at in range(0, len(posts), 10)]
    return made(posts, b"".join(change(choose, parts)), ())


def _between(*inserted: bytes):
    return lambda choose, parts: [*parts[:1], *inserted, *parts[1:]]


_SKIPPABLE = b"\x50\x2a\x4d\x18"
KINDS.add_each(
    {
        "frames: empty ones": _between(*[zstd(b"")] * 3),
        "frames: one to be skipped first": lambda choose, parts: [_SKIPPABLE + b"\x05\0\0\0hello", *parts],
        "frames: one to be skipped that has no end": lambda choose, parts: [*parts, _SKIPPABLE + b"\xff\xff\xff\x7f"],
        "frames: noise between": lambda choose, parts: [*parts[:1], noise(choose), *parts[1:]],
        "frames: noise last": lambda choose, parts: [*parts, noise(choose)],
        "frames: zeros last": lambda choose, parts: [*parts, bytes(3000)],
        "frames: a mark without more": _between(b"\x28\xb5\x2f\xfd"),
        "frames: a dictionary that nobody has": _between(b"\x28\xb5\x2f\xfd\x23\x01\0\0\0\x05" + b"\x29\0\0hello"),
        "frames: a window of 2 GiB": _between(b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\0\0"),
        "frames: a window of 3 TB": _between(b"\x28\xb5\x2f\xfd\x00\xff" + b"\x01\0\0"),
        "frames: a size of 10^18": _between(b"\x28\xb5\x2f\xfd\xe0" + (10**18).to_bytes(8, "little") + b"\x01\0\0"),
        "frames: 20,000 empty ones": _between(zstd(b"") * 20_000),
        "frames: 20,000 marks": _between(b"\x28\xb5\x2f\xfd\xff" * 20_000),
    },
    _frames,
)


# Lines: one or some of them changed.


def _lines(
    choose: random.Random, change: Callable[[random.Random, dict], bytes | dict], all_of_them: bool = False
) -> Made:
    posts = some(choose)
    hit = set(range(len(posts))) if all_of_them else set(choose.sample(range(len(posts)), choose.randint(1, 5)))
    parts = dumped(posts)
    for number in hit:
        changed = change(choose, posts[number])
        parts[number] = changed if isinstance(changed, bytes) else dumped([changed])[0]
    hit |= {number + 1 for number in hit if not parts[number].endswith(b"\n")}
    ending = choose.choice(list(PACKINGS))
    return made(posts, PACKINGS[ending](b"".join(parts)), hit, ending)


def _with(**fields):
    return lambda choose, submission: {**submission, **{name: choose.choice(values) for name, values in fields.items()}}


KINDS.add_each(
    {
        "lines: half of one": lambda choose, submission: json.dumps(submission).encode()[: choose.randint(1, 60)] + b"\n",
        "lines: two on one": lambda choose, submission: json.dumps(submission).encode() * 2 + b"\n",
        "lines: no JSON": lambda choose, submission: choose.choice((b"<html>", b"None", b"{'a': 1}", b"[", b"\\", b"{]")) + b"\n",
        "lines: no object": lambda choose, submission: choose.choice((b"[1, 2]", b'"text"', b"17", b"null", b"true", b"[{}]")) + b"\n",
        "lines: 100,000 brackets": lambda choose, submission: choose.choice((b"[", b'{"a":')) * 100_000 + b"\n",
        "lines: 100,000 brackets that are closed": lambda choose, submission: b"[" * 100_000 + b"]" * 100_000 + b"\n",
        "lines: a number of 5,000 digits": lambda choose, submission: b'{"score": ' + b"9" * 5000 + b"}\n",
        "lines: a number far beyond": lambda choose, submission: json.dumps(submission).replace(
            f'"score": {submission["score"]}', '"score": 1e999'
        ).encode() + b"\n",
        "lines: no number": lambda choose, submission: json.dumps(submission).replace(
            f'"score": {submission["score"]}', '"score": ' + choose.choice(("NaN", "-Infinity"))
        ).encode() + b"\n",
        "lines: zeros": lambda choose, submission: json.dumps(submission).encode().replace(b"story", b"st\0ry") + b"\n",
        "lines: a byte that is none": lambda choose, submission: json.dumps(submission).encode().replace(b"story", b"st\xffry") + b"\n",
        "lines: surrogates": lambda choose, submission: b'{"url": "http://example.org/\\ud800\\udfff\\udc00", "score": 9}\n',
        "lines: a byte order mark": lambda choose, submission: "\ufeff".encode() + json.dumps(submission).encode() + b"\n",
        "lines: UTF-16": lambda choose, submission: json.dumps(submission).encode("utf-16") + b"\n",
        "lines: CRLF": lambda choose, submission: json.dumps(submission).encode() + b"\r\n",
        "lines: empty ones": lambda choose, submission: b"\n\r\n \n" + json.dumps(submission).encode() + b"\n",
        "lines: no end": lambda choose, submission: json.dumps(submission).encode(),
        "lines: a key twice": lambda choose, submission: b'{"url": "http://a.org/", "url": 5, "score": 9, "score": "x"}\n',
        "lines: 100,000 keys": lambda choose, submission: {**submission, **{f"k{n}": n for n in range(100_000)}},
        "fields: an address of another type": _with(url=[None, 5, [], {}, ["http://a.org"], True, ""]),
        "fields: a score of another type": _with(score=[None, "9", [], {}, True, -(10**300), 10**400, 3.5]),
        "fields: a domain of another type": _with(domain=[None, 5, [], {}, ["self.a"], "self."]),
        "fields: a self-post of another type": _with(is_self=["true", 1, [], {}, None]),
        "fields: another address of another type": _with(url_overridden_by_dest=[5, [], {}, ["x"], True, "http://["]),
        "fields: none": lambda choose, submission: {},
    },
    _lines,
)  # fmt: skip
KINDS.add_each(
    {f"addresses: {name}": value for name, value in URLS.items()},
    lambda choose, value: _lines(choose, _with(url=[value])),
)


def _bomb(choose: random.Random, middle: Callable[[str], bytes]) -> Made:
    """A frame of its own between others."""
    posts, ending = some(choose), choose.choice([name for name in PACKINGS if name != ".json"])
    lines = dumped(posts)
    data = PACKINGS[ending](b"".join(lines[:10])) + middle(ending) + PACKINGS[ending](b"".join(lines[10:]))
    return made(posts, data, (), ending)


KINDS.add_each(
    {
        "bombs: a line of 80 MiB": lambda ending: PACKINGS[ending](b"a" * (80 * MIB) + b"\n"),
        "bombs: a string of 80 MiB": lambda ending: PACKINGS[ending](b'{"url": "' + b"a" * (80 * MIB) + b'"}\n'),
        "bombs: 50 MiB of zeros": lambda ending: PACKINGS[ending](bytes(50 * MIB) + b"\n"),
        "bombs: 20 MiB of line ends": lambda ending: PACKINGS[ending](b"\n" * (20 * MIB)),
        "bombs: 200,000 lines of nothing": lambda ending: PACKINGS[ending](b"x\n" * 200_000),
        "bombs: twenty addresses of 100 labels": lambda ending: PACKINGS[ending](
            b'{"url": "http://' + b"a." * 100 + b'com/", "score": 9}\n'
        ) * 20,
        "bombs: an address of 8 MiB": lambda ending: PACKINGS[ending](b'{"url": "http://a.org/' + b"\xc3\xa9" * (4 * MIB) + b'", "score": 9}\n'),
    },
    _bomb,
)  # fmt: skip
KINDS.add_each(
    {
        "other files: empty": b"",
        "other files: noise": random.Random(5).randbytes(20_000),
        "other files: zeros": bytes(20_000),
        "other files: an HTML page": HTML,
        "other files: an HTML page in gzip": gzip.compress(HTML, mtime=0),
        "other files: a table of numbers": b"1,2,3\n" * 20_000,
    },
    lambda choose, data: Made(data, [], [], choose.choice(list(PACKINGS))),
)
