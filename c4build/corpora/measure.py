"""How long a text is, in tokens of a SentencePiece model, words or bytes; and a text cut to an exact length."""

from collections.abc import Callable
from typing import NamedTuple

from c4build.errors import UsageError


class Measure(NamedTuple):
    """`length(text)` in `unit`; `cut(text, n)` is a start of the text of exactly n units, None where it has none."""

    unit: str  # tokens | words | bytes
    length: Callable[[str], int]
    cut: Callable[[str, int], str | None]


def words() -> Measure:
    return Measure("words", lambda text: len(text.split()), _cut_words)


def text_bytes() -> Measure:
    return Measure("bytes", lambda text: len(text.encode(errors="surrogatepass")), _cut_bytes)


def tokens(vocabulary: str) -> Measure:
    """By a SentencePiece model, without an end-of-sequence token. Raises UsageError."""
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise UsageError("--vocab needs a package: pip install 'c4build[train]'") from error
    try:
        model = SentencePieceProcessor(model_file=vocabulary)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"--vocab {vocabulary}: it cannot be read as a SentencePiece model") from error
    return Measure("tokens", lambda text: len(model.encode(text)), lambda text, count: _cut_tokens(model, text, count))


def _cut_words(text: str, count: int) -> str | None:
    rest = text.split(None, count)
    tail = rest[count] if len(rest) > count else ""
    return text[: len(text) - len(tail)].rstrip() if len(rest) >= count else None


def _cut_bytes(text: str, count: int) -> str | None:
    """None where a character would be split."""
    try:
        return text.encode(errors="surrogatepass")[:count].decode()
    except UnicodeDecodeError:
        return None


def _cut_tokens(model, text: str, count: int) -> str | None:
    """A start of a text can have other tokens than the whole has there: those near the place are tried, then all."""
    found = model.encode(text)
    if len(found) < count:
        return None
    place = len(model.decode(found[:count]))  # about there: the model may have normalised what stands before
    near = sorted(range(max(0, place - 200), min(len(text), place + 200) + 1), key=lambda at: (abs(at - place), at))
    for at in near:
        if len(model.encode(text[:at])) == count:
            return text[:at]
    return next((text[:at] for at in range(len(text), -1, -1) if len(model.encode(text[:at])) == count), None)
