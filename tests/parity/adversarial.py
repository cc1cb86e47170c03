"""WET files that hypothesis makes: valid UTF-8, and everything else that can go wrong in them."""

import gzip

from hypothesis import strategies as st

LINE_ENDS = ("\n", "\r\n", "\r")
URLS = (
    "http://a.org/x",
    "https://a.org/x",
    "http://www.a.org/x/",
    "http://a.org/x?utm_source=q",
    "http://b.org/y",
    "https://news.b.org/z",
    "http://c.co.uk/?ref=1",
    "ftp://c.co.uk/",
    "http://d.org/\u00e9",
    "",
)
DATES = ("2019-04-18T00:00:00Z", "2019-04-19T00:00:00Z", "2019-04-20T00:00:00Z", "")
GOOD = (
    "The river was quiet when we came back from the long walk.",
    "She asked whether anyone had seen the letter on the table.",
    "Nobody in the village remembers who built the old stone bridge.",
    "It rained for three days, and then the sun came out again.",
    "Mr. Smith and Dr. Jones met at 5 p.m. in the small library.",
    "Is there any reason to doubt what the old captain told us?",
    "What a beautiful morning it was for a walk along the beach!",
    '"We will be home before dinner," said the youngest of them."',
)
ODD = (
    "The bridge was finished late.[1]", "[edit] The bridge stands to this day and no one knows why.", "It was late. [1]",
    "Too short.", "One two three four five.", "One two three four.", "- - - - .", "He went on and on and on...",
    "He went on and on and on....", "He went on and on and on..", "He said so more than once.'", "(He said so more than once.)",
    "He said so more than once.\u201d", "It ends in a mark of its own\u2026", "Lorem Ipsum stands in this line of text.",
    "Please switch javascript on to see all of it.", "Javascript shows { in this line of the text.",
    "Here is a bracket { in the middle of it.", "Our privacy policy { has brackets } in the line.", "This site uses cookies as you know.",
    "They said sexy in a loud voice to all.", "They said SEXY\u0301 in a loud voice to all.", "se\u212by \u212ainky words are in this line.",
    "WARC/1.0", " WARC/1.0\u3000", "WARC/1.1", "WARC-Target-URI: http://b.org/y", "WARC-Date: 2019-04-25T00:00:00Z", "Content-Type: text/odd",
    "Content-Length: 7", "CONTENT-LENGTH is shouted in this line of text.", "content-type in small letters is text like any other.",
    "  Spaces stand around this line of the text.  ", "", " \t", "\u3000", "menu", "12 34 56 78 90.", "\ufeffA mark of byte order stands before this line.",
    "NUL\0 stands in the middle of this one line.", "One line\x0bis two lines for some, and it is long enough.",
    "Some lines\x0cend where others\x1cgo on and on and on.", "Next line\x85is a character, and this is long enough.",
    "A separator\u2028of lines stands in this line of text.", "One unit\x1fseparator more is in this line of text.",
    "\U0001f98a foxes and \U0001f44b\U0001f3fd hands are in this line of text.", "\u05e9\u05dc\u05d5\u05dd is read from right to left in this line.",
    "Der Hund lief schnell \u00fcber die gr\u00fcne Wiese nach Hause.", "\u6625\u5929\u7684\u65f6\u5019\uff0c\u6cb3\u8fb9\u7684\u67f3\u6811\u90fd\u7eff\u4e86\u3002", "\u0130stanbul is large and \u1e9e is a letter of this line.",
    "today !!! . . . . and so on it goes.", "See e.g. Smith. He knows it. J. Bach wrote. No. 5 is fine.", "x" * 1000 + " is a word of this long line.",
    "x" * 1001 + " is a word of this long line.", "the river was quiet when we came back from the long walk.",
    "  THE RIVER was quiet when we came back from the long walk.",
)  # fmt: skip

lines = st.one_of(st.sampled_from(GOOD), st.sampled_from(GOOD), st.sampled_from(ODD), st.text(max_size=30))
numbered = st.builds(
    "{1} Number {0} was the first of them to say so.".format, st.integers(0, 99), st.sampled_from(GOOD)
)


@st.composite
def bodies(draw) -> str:
    """A page's text; now and then of exactly as many characters as are allowed, or one more."""
    found = draw(st.lists(st.one_of(lines, numbered), max_size=12))
    text = "".join(line + draw(st.sampled_from(LINE_ENDS)) for line in found)
    if draw(st.integers(0, 40)) == 0:
        text = "\n".join(GOOD) + "\n"
        return text + "x" * (190_000 - len(text) + draw(st.integers(0, 1)))
    return text


@st.composite
def wet_files(draw) -> bytes:
    """A WET file as plain bytes per record, to be packed by `pack`."""
    records = []
    for _ in range(draw(st.integers(1, 12))):
        head = [
            "WARC/1.0" if draw(st.integers(0, 15)) else draw(st.sampled_from(["WARC/1.1", " WARC/1.0 ", "WARC/1.0\t"]))
        ]
        url, date = draw(st.sampled_from(URLS)), draw(st.sampled_from(DATES))
        head += [f"WARC-Target-URI: {url}"] if url or draw(st.booleans()) else []
        head += [f"WARC-Date: {date}"] if date else []
        head += draw(
            st.lists(
                st.sampled_from(["WARC-Type: conversion", "X-Odd: a line of its own.", "Content-Type: text/plain"])
            )
        )
        body = draw(bodies())
        head += [f"Content-Length: {len(body.encode())}"]
        end = draw(st.sampled_from(["\r\n", "\r\n", "\n"]))
        gap = draw(st.sampled_from(["\r\n\r\n", "\r\n\r\n", "\n\n", "\n", ""]))
        records.append((end.join(head) + end + end + body + gap).encode("utf-8", "ignore"))
    return records


def pack(records: list[bytes], one_member: bool) -> bytes:
    if one_member:
        return gzip.compress(b"".join(records), 1, mtime=0)
    return b"".join(gzip.compress(record, 1, mtime=0) for record in records)
