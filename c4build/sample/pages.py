"""The pages of the sample, which hit every rule from both sides.

Everything follows from the seed: the same text on every machine. A page is (URL, date, lines); each function below
that yields pages is named after the rules that its pages are about, and says which of them should stay.
"""

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from c4build.rules.urls import in_validation, normalize_url
from c4build.sample.prose import OTHER_LANGUAGES, THEMES, prose, sentence

SEED = 1910
DATE = "2019-04-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}Z"
ARTICLES = 320

NEWS_DOMAINS = {
    "morningledger.com": True,
    "harbourpost.co.uk": True,
    "citygazette.org": ["news", "sport"],
    "valleytimes.net": ["www", "blog"],
}
SITES = (
    "kitchennotes.org",
    "greenthumb.net",
    "fieldguide.org",
    "oldstones.info",
    "nightsky.edu",
    "gearcheck.com",
    "slowtravel.eu",
    "dailyhealth.org",
    "machineroom.dev",
    "quietvalley.blog",
)
NEWS_SITES = ("morningledger.com", "www.harbourpost.co.uk", "news.citygazette.org", "blog.valleytimes.net")
MENU = ["Home", "About us", "Archive", "Contact", "Search this site", "Subscribe", "Log in"]
FOOTER = ["Copyright 2019 All rights reserved", "Terms of use | Privacy policy | Cookie policy", "Back to top"]


class Record(NamedTuple):
    """A page of the sample."""

    url: str
    date: str
    body: str


def date(rng: random.Random) -> str:
    numbers = {"day": rng.randint(18, 26), "hour": rng.randrange(24), "minute": rng.randrange(60)}
    return DATE.format(second=rng.randrange(60), **numbers)


def article_url(rng: random.Random, site: str, theme: str, number: int, validation: bool) -> str:
    """An address of its own; one of the validation split where that is asked for."""
    stem = f"https://{site}/{theme.replace(' ', '-')}/{number}"
    if not validation:
        return stem
    return next(url for n in itertools.count() if in_validation(normalize_url(url := f"{stem}-{n}")))


def articles(rng: random.Random) -> Iterator[Record]:
    """Plain pages that every rule set keeps, between the menus and footers that none does."""
    themes = list(THEMES)
    for number in range(ARTICLES):
        theme = themes[number % len(themes)]
        # One in twenty belongs to the validation split, and every third of those to the news.
        validation = number % 20 == 4
        if theme == "local news" or number % 8 == 3 or number % 60 == 4:
            site = NEWS_SITES[number % len(NEWS_SITES)]
        else:
            site = rng.choice(SITES)
        url = article_url(rng, site, theme, number, validation)
        lines = [*MENU, f"{theme.title()}, part {number}", *prose(rng, theme, rng.randint(4, 8)), *FOOTER]
        yield Record(url, date(rng), "\n".join(lines))


def english(rng: random.Random, extra: Iterable[str], theme: str = "nature", paragraphs: int = 4) -> str:
    """Good prose with the lines in question in the middle of it."""
    lines = prose(rng, theme, paragraphs)
    return "\n".join([*lines[:2], *extra, *lines[2:]])


def end_marks(rng: random.Random) -> Iterator[str]:
    """Lines that end in what counts and in what does not; the pages stay."""
    for ending in (
        ".",
        "!",
        "?",
        '."',
        ".\u201d",
        "\u201d",
        "...",
        "....",
        "..",
        "\u2026",
        ".'",
        ".)",
        ";",
        ':"',
        ".[1]",
        " .",
        "?!",
    ):
        yield english(rng, [f"This line about the old mill ends in its own way{ending}"])


def counts_of_words_and_sentences(rng: random.Random) -> Iterator[str]:
    """Lines of two to six words; pages of two to six sentences, in one line and in as many lines."""
    yield english(rng, ["Too short.", "Three words here.", "Now it is four.", "This one here has five.", "- - - - ."])
    for count in range(2, 7):
        said = [sentence(rng, "history") for _ in range(count)]
        yield " ".join(said)
        yield "\n".join(sentence(rng, "technology") for _ in range(count))


def long_words(rng: random.Random) -> Iterator[str]:
    """A word of 1,000 characters and one of 1,001."""
    for length in (1000, 1001):
        yield english(rng, [f"The longest word on this page is {'w' * length} and it ends here."])


def citations(rng: random.Random) -> Iterator[str]:
    """Marks that are taken out, and those that are none."""
    marks = ("[1]", "[]", "[23]", "[edit]", "[citation needed]", "[Edit]", "[a]", "[1,2]")
    yield english(rng, [f"The bridge was finished in that year{mark} after a long delay." for mark in marks])
    yield english(
        rng, ["The bridge was finished late. [1]", "[edit] The bridge stands to this day.", "It fell down.[2]"]
    )


def phrases(rng: random.Random) -> Iterator[str]:
    """Lorem ipsum, javascript, curly brackets and policy notices: in lines that stay and in lines that go anyway."""
    yield english(rng, ["Here the printer forgot the Lorem Ipsum that filled the page before."])
    yield english(rng, ["lorem ipsum"])
    yield english(rng, ["Please switch on Javascript to see all of this page."])
    yield english(rng, ["Javascript would show { here if it were switched on."])
    yield english(rng, ["A set is written as { one, two, three } in most books."])
    yield english(rng, ["a set is { one }"])
    yield english(rng, ["Only the closing bracket } stands in this line of text."])
    yield english(rng, ["By reading on you accept our terms of use { all of them }."])
    for phrase in ("terms of use", "privacy policy", "Cookie Policy", "uses cookies", "use of cookies", "use cookies"):
        yield english(rng, [f"More about this in what we call the {phrase} of this site."])


def bad_words(rng: random.Random) -> Iterator[str]:
    """A mild word of the list: whole, in capitals, as a part of another, with other neighbours, in a line that goes."""
    for word in (
        "sexy",
        "SEXY",
        "sexiest",
        "sexy_",
        "_sexy",
        "unsexy",
        "sexy2",
        "sexy\u0301",
        "sexy\u200b",
        "se\u0445y",
        "\u017fexy",
    ):
        yield english(rng, [f"Somebody wrote the word {word} on the wall of the station."])
    yield english(rng, ["sexy"])
    yield english(rng, ["This shirt is from Kinky's, said the label, and nothing else."])
    yield english(rng, ["This shirt is from \u212ainky Street, said the label, and nothing else."])
    for gap in (" ", "  ", "\n"):
        yield english(rng, [f"They spoke of a girl{gap}on the cover and of a barely{gap}legal copy of it."])


def lengths(rng: random.Random) -> Iterator[str]:
    """The longest page that is allowed, and one that has a character more."""
    stem = "\n".join(prose(rng, "reviews", 5)) + "\n"
    for length in (190_000, 190_001):
        filler = "menu entry\n" * ((length - len(stem)) // 11)
        yield stem + filler + "x" * (length - len(stem) - len(filler))


def repeats(rng: random.Random) -> Iterator[str]:
    """Pages, lines and three-sentence spans that stand more than once."""
    whole = "\n".join(prose(rng, "travel", 5))
    yield whole
    yield whole
    line = "The same sentence stands on several pages of this sample, and only one keeps it."
    for variant in (line, line.upper(), f"  {line} "):
        yield english(rng, [variant], "health")
    yield english(rng, [line, line, "A line that is here twice.", "A line that is here twice."], "health")
    span = [sentence(rng, "astronomy") for _ in range(3)]
    yield english(rng, [" ".join(span)], "astronomy")
    yield english(rng, span, "astronomy")
    yield english(rng, [span[0] + " " + span[1], span[2] + " " + sentence(rng, "astronomy")], "astronomy")
    yield "\n".join(span)


def unicode_oddities(rng: random.Random) -> Iterator[str]:
    """Characters that are spaces, line ends or neither; other scripts; what is more than one byte or one code unit."""
    for char in "\0\x0b\x0c\x1c\x1f\x85\xa0\u180e\u200b\u200d\u2028\u2029\u3000\ufeff":
        yield english(rng, [f"{char}Between the words of this{char}line stands something odd.{char}"])
    yield english(
        rng,
        [
            "\U0001f98a The fox left a message \U0001f44b\U0001f3fd with more than one code point. \U0001f98a\u200d\U0001f525."
        ],
    )
    yield english(rng, ["e\u0301te\u0301 and \u00e9t\u00e9 are spelled in two ways in this line."])
    yield english(rng, ["\u200fשלום means peace, and is written from right to left\u200e."])
    yield english(rng, ["I\u0307stanbul and \u0130stanbul and Stra\u00dfe are hard to put in lower case."])


def records_in_text(rng: random.Random) -> Iterator[str]:
    """Lines that look like a record's head."""
    yield english(rng, ["Content-Type: text/html is what the server said before it fell silent."])
    yield english(rng, ["CONTENT-LENGTH is a header, and this line starts like one of them."])
    yield english(rng, ["WARCs are files that hold many pages, one after the other."])
    yield english(rng, ["content-type: in small letters this line is like any other line."])
    yield english(rng, ["We mention WARC/1.0 in passing, which starts no page of its own."])


def code_and_boilerplate(rng: random.Random) -> Iterator[str]:
    """Pages without prose: code, menus, numbers."""
    yield "def main():\n    print('hello')\n    return 0\n\nfor i in range(10):\n    main()"
    yield 'int main(void) {\n  puts("Hello.");\n  return 0;\n}'
    yield "\n".join(MENU * 5 + FOOTER)
    yield "\n".join(str(n * 7919 % 1000) for n in range(60))
    yield ". . . . .\n" * 6
    yield "1 2 3 4 5 6 7 8.\n" * 4
    yield "Buy now! Free shipping on all orders today! Click here! Offer ends soon! Call us! Hurry up!"


def other_languages(rng: random.Random) -> Iterator[str]:
    """Pages in other languages, and pages that mix one with English."""
    for sentences in OTHER_LANGUAGES.values():
        for _ in range(3):
            yield "\n".join(" ".join(rng.sample(sentences, 3)) for _ in range(4))
        yield "\n".join(prose(rng, "history", 2) + [" ".join(sentences)] * 2)


RULES = (
    end_marks, counts_of_words_and_sentences, long_words, citations, phrases, bad_words, lengths, repeats,
    unicode_oddities, records_in_text, code_and_boilerplate, other_languages,
)  # fmt: skip


def rule_pages(rng: random.Random) -> Iterator[Record]:
    for rule in RULES:
        for number, body in enumerate(rule(rng)):
            yield Record(f"http://www.rules.example.com/{rule.__name__}/{number}", date(rng), body)


def spellings_of_urls(rng: random.Random) -> Iterator[Record]:
    """Copies of a page under spellings that are the same, and that are not; the newest stays."""
    same = (
        "http://{}",
        "https://{}",
        "https://www.{}",
        "http://{}/",
        "https://{}//",
        "http://{}?utm_source=mail",
        "http://{}?ref=home",
        "http://{}?feed",
        "http://{}?reference=3",
    )
    other = ("http://{}?id=1&utm_source=mail", "http://{}?id=2", "HTTP://{}", "http://{}#top")
    for number, spelling in enumerate((*same, *other)):
        lines = "\n".join(prose(rng, "cooking", 4))
        yield Record(spelling.format("spellings.example.org/soup"), f"2019-04-20T10:00:{number:02d}Z", lines)


def newer_copies(rng: random.Random) -> Iterator[Record]:
    """Copies of a page: the newer one too long, without prose, of the same date; and older ones that are good."""
    good = english(rng, ["The older copy of this page can be read to its end."], "gardening")
    for name, newer in (("long", good + "\n" + "more\n" * 40_000), ("empty-handed", "Nothing but a menu\n" * 5)):
        yield Record(
            f"https://copies.example.net/{name}", "2019-04-19T08:00:00Z", good.replace("older", f"older {name}")
        )
        yield Record(f"https://copies.example.net/{name}", "2019-04-23T08:00:00Z", newer)
    for number in range(3):
        body = english(rng, [f"Copy number {number} has the same date as all the others."], "gardening")
        yield Record("https://copies.example.net/same-date", "2019-04-21T12:00:00Z", body)


def news_domains(rng: random.Random) -> Iterator[Record]:
    """Domains that are news with any subdomain, with a listed one, and that only look like it."""
    hosts = ("morningledger.com", "sub.morningledger.com", "harbourpost.co.uk", "www.harbourpost.co.uk", "citygazette.org",
             "www.citygazette.org", "sport.citygazette.org", "old.citygazette.org", "valleytimes.net", "blog.valleytimes.net",
             "MorningLedger.com", "morningledger.com.example.org", "notmorningledger.com", "co.uk", "192.168.0.1")  # fmt: skip
    for number, host in enumerate(hosts):
        yield Record(
            f"https://{host}/domains/{number}", date(rng), english(rng, [f"News of {host} today."], "local news")
        )


def empty_pages(rng: random.Random) -> Iterator[Record]:
    """Records without text."""
    yield Record("https://empty.example.org/", date(rng), "")
    yield Record("https://empty.example.org/blank", date(rng), " \n\t\n\u3000\n")


def records() -> list[Record]:
    rng = random.Random(SEED)
    sources = (articles, rule_pages, spellings_of_urls, newer_copies, news_domains, empty_pages)
    pages = [page for source in sources for page in source(rng)]
    rng.shuffle(pages)
    return pages
