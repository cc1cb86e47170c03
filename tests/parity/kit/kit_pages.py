"""The pages of the kit: each tests one thing of one rule. Its other lines pass every rule, and no other page has them."""

import functools
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import wet_files
from adversarial import GOOD, ODD
from kit_lines import LINES

OLD, NEW = "2019-04-18T12:00:00Z", "2019-04-20T12:00:00Z"


class Case(NamedTuple):
    """A record of the WET file."""

    rule: str  # the row of the table
    name: str  # what is tested, in a few words
    body: str
    url: str = ""  # made from rule and name where it is empty
    date: str = OLD

    @property
    def address(self) -> str:
        return self.url or f"http://kit.example/{self.rule}/{self.name}".replace(" ", "-")


_seeds = itertools.count(1)


def filler(count: int = 6) -> list[str]:
    """Plain English lines of one sentence each, which no other page has."""
    return wet_files.sentences(100_000 + next(_seeds), count)


def among(*lines: str) -> str:
    """A text with the lines in its middle."""
    plain = filler()
    return "\n".join([*plain[:3], *lines, *plain[3:]])


def line_cases(rule: str, lines: dict[str, str]) -> list[Case]:
    return [Case(rule, name, among(line)) for name, line in lines.items()]


def odd_lines() -> list[Case]:
    """The odd lines of the parity tests, but those that are repeated or cut a record in two: these are tested by name."""
    known = {_key(line) for case in TESTED for line in case.body.splitlines()} | {_key(line) for line in GOOD}
    lines = [line for line in ODD if line.strip() and not line.strip().startswith("WARC") and _key(line) not in known]
    return [Case("odd lines", f"{number}", among(line)) for number, line in enumerate(lines, 1)]


def _few(*lines: str) -> str:
    return "\n".join(lines)


def sentences() -> list[Case]:
    one, two, three = (functools.partial(filler, count) for count in (1, 2, 3))
    four, five = filler(4), filler(5)
    bodies = {
        "one": _few(*one()),
        "two": _few(*two()),
        "three": _few(*three()),
        "four": _few(*four),
        "five": _few(*five),
        "three in one line": " ".join(three()),
        "two in one line": " ".join(two()),
        "two and an abbreviation": _few("Mr. Bell and Dr. Reed met in the small library at noon.", *one()),
        "two and initials": _few("The works of J. S. Bach and No. 5 of them were played twice.", *one()),
        "marks alone": "He came home late in the evening of that day !!! . . .",
        "marks without spaces": "He came home late in the evening of that day!!!...!",
        "e.g. before a name": _few("She reads old books, e.g. Smith wrote one that she likes.", *one()),
        "ends at curly marks": "He said \u201cI came home late.\u201d She said \u201cSo did I, my dear.\u201d They said \u201cWe all did so.\u201d And so they did.",
        "no space between": "He came home late in the evening.She was there before him.They ate in the kitchen.",
        "small letters": "he came home late in the evening. she was there before him. they ate in the kitchen.",
        "numbers": "It cost 3. 4 of them were sold in the spring. 5 were left over.",
        "fewer when lines are joined": _few("It was a letter to the old Dr.", "Smith was the name upon it, she said.", *one()),
        "none": "menu\nhome\ncontact us",
    }  # fmt: skip
    return [Case("sentences", name, body) for name, body in bodies.items()]


def line_ends() -> list[Case]:
    bodies = {"line ends of Windows": "\r\n".join(filler()), "empty lines": "\n\n \n".join(filler())}
    return [Case("lines and spaces", name, body) for name, body in bodies.items()]


def records() -> list[Case]:
    return [
        Case("records", "plain", among()),
        Case("records", "no text", ""),
        Case("records", "no date", among(), date=""),
        *line_cases(
            "records",
            {
                "line of the format": "WARC/1.0",
                "line of a later format": "WARC/1.1",
                "line that begins with WARC": "WARC files are what all of this is made of.",
                "line like a length": "Content-Length: 7 is what this line says now.",
                "line like a length in capitals": "CONTENT-LENGTH is shouted in this line of the text.",
                "line like a length in small letters": "content-length in small letters is text like any other.",
                "line that begins with Content": "Content is what all of this is made of.",
            },
        ),
        Case("records", "another date within", among("WARC-Date: 2019-04-25T00:00:00Z")),
    ]  # fmt: skip


def length() -> list[Case]:
    made = []
    for name, size in (("190000 characters", 190_000), ("190001 characters", 190_001)):
        text = among()
        made.append(Case("length of a page", name, text + "\n" + "x" * (size - len(text) - 1)))
    text = among()
    made.append(
        Case("length of a page", "190000 characters of two bytes", text + "\n" + "\u00e9" * (190_000 - len(text) - 1))
    )
    return made


def urls() -> list[Case]:
    """Copies of a URL, the newest of which stays: two records each, a note of the first URL in the second's."""

    def pair(name: str, first: str, second: str, older: str | None = None, newer: str | None = None) -> list[Case]:
        old = Case("newest copy of a URL", f"{name}, older", older or among(), first, OLD)
        return [old, Case("newest copy of a URL", f"{name}, newer", newer or among(), second, NEW)]

    at = "kit.example/copy"
    too_long = "\n".join([*filler(), "x" * 190_001])
    return [
        *pair("https", f"http://{at}/1", f"https://{at}/1"),
        *pair("www", f"http://{at}/2", f"http://www.{at}/2"),
        *pair("slash at the end", f"http://{at}/3", f"http://{at}/3/"),
        *pair("utm", f"http://{at}/4", f"http://{at}/4?utm_source=mail"),
        *pair("ref", f"http://{at}/5", f"http://{at}/5?reference=7"),
        *pair("feed", f"http://{at}/6", f"http://{at}/6?feed=rss"),
        *pair("another query", f"http://{at}/7", f"http://{at}/7?id=1"),
        *pair("utm after another", f"http://{at}/8?id=1", f"http://{at}/8?id=1&utm_source=mail"),
        *pair("capital letters", f"http://{at}/9", f"http://{at.upper()}/9"),
        *pair("fragment", f"http://{at}/10", f"http://{at}/10#top"),
        *pair("newer one without sentences", f"http://{at}/11", f"https://{at}/11", newer="menu\nhome\ncontact us"),
        *pair("newer one too long", f"http://{at}/12", f"https://{at}/12", newer=too_long),
        *pair("newer one with a bad word", f"http://{at}/13", f"https://{at}/13", newer=among("They said sexy in the night.")),
    ]  # fmt: skip


def _by_owner(names: list[str]) -> list[str]:
    """URLs of the names, the one whose copies of lines TFDS keeps first."""
    made = [f"http://kit.example/repeats/{name}" for name in names]
    return sorted(made, key=lambda url: hashlib.md5(url.encode()).hexdigest())


def repeats() -> list[Case]:
    """Lines that stand twice, on one page or on two."""

    def two(name: str, first: Callable[[list[str]], list[str]], second: Callable[[list[str]], list[str]]) -> list[Case]:
        shared, urls = filler(4), _by_owner([f"{name}-a".replace(" ", "-"), f"{name}-b".replace(" ", "-")])
        bodies = ("\n".join(make(shared)) for make in (first, second))
        marks = ("owner", "other")
        return [Case("repeated lines", f"{name}, {mark}", body, url) for mark, body, url in zip(marks, bodies, urls)]

    def with_own(shared: list[str]) -> list[str]:
        return [*filler(3), *shared, *filler(3)]

    once = filler(4)
    german = ["Der Hund lief schnell \u00fcber die gr\u00fcne Wiese nach Hause zur\u00fcck."] * 1
    other = [f"Die Katze lag am Tag {n} auf dem warmen Ofen und schlief sehr lange." for n in range(12)]
    return [
        Case("repeated lines", "twice on one page", "\n".join([*once, once[0], once[1], *filler(2)])),
        Case("repeated lines", "twice with other capitals", "\n".join([*filler(4), *_capitals(filler(1)), *filler(2)])),
        *two("on two pages", with_own, with_own),
        *two("with other capitals", with_own, lambda shared: with_own([line.upper() for line in shared])),
        *two("with spaces around", with_own, lambda shared: with_own([f"  {line} " for line in shared])),
        *two("nothing else", list, list),
        *two("two sentences left", with_own, lambda shared: [*shared, *filler(2)]),
        *two("owner in another language", lambda shared: [*german, *other, *shared[:1]], lambda shared: with_own(shared[:1])),
        *two("owner without sentences", lambda shared: shared[:2], lambda shared: with_own(shared[:2])),
    ]  # fmt: skip


def _capitals(lines: list[str]) -> list[str]:
    return [*lines, *(line.upper() for line in lines)]


def languages() -> list[Case]:
    german = "\n".join(f"Die Katze lag am Abend {n} auf dem warmen Ofen und schlief sehr lange." for n in range(20, 26))
    french = "\n".join(f"Le chat dormait au soleil du jour {n} devant la porte de la maison." for n in range(20, 26))
    chinese = "\n".join(
        f"\u6625\u5929\u7684\u65f6\u5019 \u6cb3\u8fb9 \u7684 \u67f3\u6811 {n} \u90fd\u7eff\u4e86." for n in range(6)
    )
    digits = "\n".join(f"{n} 12 34 56 78 90." for n in range(6))
    half = "\n".join([*german.replace("Abend", "Morgen").split("\n"), *filler(2)])
    mostly = "\n".join([german.replace("Abend", "Montag").split("\n")[0], *filler(12)])
    bodies = {
        "English": among(), "German": german, "French": french, "Chinese": chinese, "digits": digits,
        "half German": half, "a line of German": mostly,
        "capital letters": "\n".join(line.upper() for line in filler()),
        "names": "\n".join(f"Aldo Bruno Carlo Dario {n} Ennio Fabio Guido." for n in range(6)),
    }  # fmt: skip
    return [Case("language", name, body) for name, body in bodies.items()]


TESTED = [case for rule, lines in LINES.items() for case in line_cases(rule, lines)]


@functools.cache  # lines are drawn once
def cases() -> list[Case]:
    """All pages, in the order of the file."""
    made = [
        *records(), *length(), *urls(), *TESTED, *line_ends(), *sentences(), *repeats(), *languages(), *odd_lines(),
    ]  # fmt: skip
    addresses = Counter(case.address for case in made)
    assert set(addresses.values()) == {1}, "each page has a URL of its own"
    others = [case for case in made if case.rule != "repeated lines"]
    keys = Counter(
        key
        for case in others
        for key in {_key(line) for line in case.body.splitlines()}
        if key.endswith((".", "!", "?"))
    )
    assert set(keys.values()) == {1}, f"on two pages: {[key for key, count in keys.items() if count > 1]}"
    return made


def _key(line: str) -> str:
    """By which TFDS knows a line again."""
    return re.sub(r"\[\d*\]|\[edit\]|\[citation needed\]", "", line.strip()).lower()
