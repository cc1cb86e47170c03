"""A book and its chapters, and where the chapters of a plain text begin."""

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

# Of a plain text, or of an EPUB's documents together: the whole Encyclopaedia Britannica a few times.
MAX_TEXT_BYTES = 1 << 25
_LEAST_CHAPTER = 200  # characters: a line of a table of contents is no chapter
_LONGEST_HEADING = 400


class BookError(Exception):
    """The file is no book that can be read; the text says why. `cut` where there may be more of it than was read."""

    def __init__(self, message: str, cut: bool = False):
        super().__init__(message)
        self.cut = cut


class Chapter(NamedTuple):
    title: str  # empty for what stands before the first
    text: str


class Book(NamedTuple):
    title: str
    author: str
    chapters: list[Chapter]
    troubles: list[str]  # what of it could not be read

    @property
    def text(self) -> str:
        return "\n\n".join(chapter.text for chapter in self.chapters)


_NUMBER = r"(?:[IVXLC]+|\d{1,3}|[A-Z][a-z]+(?:-[a-z]+)?|[A-Z]+(?:-[A-Z]+)?)"
_HEADING = re.compile(
    rf"^[ \t]*(?:(?:CHAPTER|Chapter|BOOK|Book|PART|Part|LETTER|Letter|CANTO|Canto|STAVE|Stave|ACT|SCENE)\s+(?:THE\s+)?{_NUMBER}\b[^\n]{{0,80}}"
    r"|(?:PROLOGUE|EPILOGUE|PREFACE|INTRODUCTION|CONCLUSION|AFTERWORD|FOREWORD|Prologue|Epilogue|Preface|Introduction)\.?)[ \t]*$"
)


def split_chapters(text: str) -> list[Chapter]:
    """The chapters of a plain text: each from a line such as `CHAPTER IV` that stands apart to the next with text in between.

    Together they are the whole text.
    """
    bounds, titles = [0], [""]
    heading: _Heading | None = None  # the last that was met
    for found in itertools.chain(_headings(text), [None]):
        if heading is not None and heading.start:
            # Characters between this heading and the next, without the empty lines between paragraphs.
            stop, paragraph = (len(text), None) if found is None else (found.start - 2, found.paragraph)
            if (
                paragraph is None
                or stop - heading.stop - heading.goes_on - 2 * (paragraph - heading.paragraph - 1) >= _LEAST_CHAPTER
            ):
                bounds.append(heading.start)
                titles.append(heading.title)
        elif heading is not None:
            titles[0] = heading.title
        heading = found
    return [
        Chapter(title, text[start : stop - 2] if stop is not None else text[start:])
        for title, start, stop in zip(titles, bounds, [*bounds[1:], None])
    ]


class _Heading(NamedTuple):
    """A line that may begin a chapter."""

    start: int  # of the line in the text
    stop: int
    paragraph: int  # its number
    goes_on: bool  # its paragraph has more lines
    title: str


def _headings(text: str) -> Iterator[_Heading]:
    start = number = 0
    while start <= len(text):
        end = text.find("\n\n", start)
        end = len(text) if end < 0 else end
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if stop - start <= _LONGEST_HEADING and _HEADING.match(line := text[start:stop]):
            yield _Heading(start, stop, number, stop < end, line.strip())
        start, number = end + 2, number + 1
