"""Data that ships with the package: lists and the demo's sample."""

import pathlib

_PACKAGE = pathlib.Path(__file__).parent


def bad_words_file(language: str = "en") -> pathlib.Path:
    """The packaged list of a language: inside the package when installed, beside it in a checkout."""
    installed = _PACKAGE / "badwords" / f"{language}.txt"
    return installed if installed.exists() else _PACKAGE.parent / "badwords" / f"{language}.txt"


def sample_folder() -> pathlib.Path:
    return _PACKAGE / "sample"
