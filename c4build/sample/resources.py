"""Data that ships with the package: lists and the demo's sample."""

import pathlib

_PACKAGE = pathlib.Path(__file__).parent.parent


def bad_words_file(language: str = "en") -> pathlib.Path:
    """The packaged list of a language: inside the package when installed, beside it in a checkout."""
    installed = _PACKAGE / "badwords" / f"{language}.txt"
    return installed if installed.exists() else _PACKAGE.parent / "badwords" / f"{language}.txt"


def sample_folder() -> pathlib.Path:
    return _PACKAGE / "sample"


def sample_dump() -> pathlib.Path:
    """The demo's MediaWiki dump."""
    (path,) = (_PACKAGE / "sample").glob("*.xml.bz2")
    return path


def sample_books() -> pathlib.Path:
    """The demo's folder of books."""
    return _PACKAGE / "sample" / "books"
