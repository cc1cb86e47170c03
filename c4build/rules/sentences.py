"""Sentences as Punkt finds them (Kiss & Strunk, 2006), in the manner of NLTK 3.8.1 with its English parameters.

Notable choices:
- NLTK 3.8.1 is what TFDS pins; later versions also close a sentence at curly quotes and guillemets.
- Sentences come one at a time, so that "are there three?" stops at the third.
- `?` and `!` always end a sentence under Punkt; only a period asks the model, and its answers are remembered.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import islice, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from c4build.compiled import core

_NON_WORD = r"[)\";}\]*:@'({\[!?]"
_MULTI_CHAR = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
_CANDIDATE = re.compile(rf"[.?!](?=(?P<after>{_NON_WORD}|\s+(?P<next>\S+)))")
_WORD = re.compile(
    rf"{_MULTI_CHAR}"
    r"|(?=[^(\"`{\[:;&#*@)}\]\-,])\S+?"
    rf"(?=\s|$|{_NON_WORD}|{_MULTI_CHAR}|,(?=$|\s|{_NON_WORD}|{_MULTI_CHAR}))"
    r"|\S"
)
# Closing punctuation after a break belongs to the sentence before it.
_CLOSING = re.compile(r"[\"')\]}]+?(?:\s+|(?=--)|$)", re.MULTILINE)
_NUMBER = re.compile(r"^-?[.,]?\d[\d,.\-]*\.?$")
_INITIAL = re.compile(r"[^\W\d]\.$")
_ELLIPSIS = re.compile(r"\.\.+$")
_SPACES = " \n\t\r\x0b\x0c"


def _english() -> ModuleType:
    """`punkt.data.english`, without the package that it is in, which takes longer to load than its parameters."""
    package = find_spec("punkt")
    (folder,) = package.submodule_search_locations  # type: ignore[union-attr, misc]
    spec = spec_from_file_location("punkt.data.english", Path(folder, "data", "english.py"))
    module = module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


english = _english()
_ABBREVIATIONS = frozenset(english.ABBREV_TYPES)
_COLLOCATIONS = frozenset(map(tuple, english.COLLOCATIONS))
_STARTERS = frozenset(english.SENT_STARTERS)
_CONTEXTS = dict(english.ORTHO_CONTEXT)
# Flags of `_CONTEXTS`: the case a word type was seen in, at the beginning or in the middle of sentences.
_BEG_UC, _MID_UC, _UNK_UC, _BEG_LC, _MID_LC, _UNK_LC = 2, 4, 8, 16, 32, 64
_UC = _BEG_UC | _MID_UC | _UNK_UC
_LC = _BEG_LC | _MID_LC | _UNK_LC


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of each sentence of `text`, in code points, in order."""
    shift = 0
    spans = _raw_spans(text)
    previous = next(spans)
    for start, stop in spans:
        begin, end = previous[0] + shift, previous[1]
        closing = _CLOSING.match(text[start:stop])
        if closing:
            yield begin, start + len(closing.group().rstrip())
            shift = closing.end()
        else:
            shift = 0
            if begin < end:
                yield begin, end
        previous = start, stop
    begin, end = previous[0] + shift, previous[1]
    if begin < end:
        yield begin, end


def has_sentences(text: str, least: int) -> bool:
    """True if `text`, in which something is to be seen, has at least `least` sentences."""
    return next(islice(sentence_spans(text), least - 1, None), None) is not None


def _raw_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of one or more sentences, before closing punctuation goes to the sentence that it follows."""
    last = 0
    for match, context in _candidates(text):
        if match.group() != "." or _contains_break(context):
            yield last, match.end()
            last = match.end() if match.group("next") is None else match.start("next")
    yield last, len(text.rstrip())


def _candidates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yields each possible end of a sentence with the words around it; of marks that share their word, the last."""
    word_start = word_stop = 0
    previous = None
    for match in _CANDIDATE.finditer(text):
        mark = match.start()
        space = max(text.rfind(char, word_stop, mark) for char in _SPACES)
        # A space in first place counts as none: NLTK's way of saying "not found" is 0.
        start = space + 1 if space > word_stop else word_start
        if previous is not None and word_stop <= start:
            yield previous, text[word_start:word_stop] + previous.group() + previous.group("after")
        previous, word_start, word_stop = match, start, mark
    if previous is not None:
        yield previous, text[word_start:word_stop] + previous.group() + previous.group("after")


@lru_cache(maxsize=1 << 16)
def _contains_break(context: str) -> bool:
    """True if a token of `context` other than the last ends a sentence."""
    tokens = [token for line in context.split("\n") for token in _WORD.findall(line)]
    return any(_breaks(token, after) for token, after in pairwise(tokens))


def _breaks(token: str, after: str) -> bool:
    """True if a sentence ends between the tokens `token` and `after`."""
    is_break, is_abbreviation, is_ellipsis = _first_pass(token)
    if not token.endswith("."):
        return is_break
    kind = _kind(token)
    if len(kind) > 1 and kind[-1] == ".":
        kind = kind[:-1]
    after_kind = _kind(after)
    if _first_pass(after)[0] and len(after_kind) > 1 and after_kind[-1] == ".":
        after_kind = after_kind[:-1]
    if (kind, after_kind) in _COLLOCATIONS:
        return False
    is_initial = _INITIAL.match(token) is not None
    if (is_abbreviation or is_ellipsis) and not is_initial:
        if _starts_sentence(after, after_kind) is True:
            return True
        if after[0].isupper() and after_kind in _STARTERS:
            return True
    if is_initial or kind == "##number##":
        starts = _starts_sentence(after, after_kind)
        if starts is False:
            return False
        if starts is None and is_initial and after[0].isupper() and not _CONTEXTS.get(after_kind, 0) & _LC:
            return False
    return is_break


def _first_pass(token):
    """(ends a sentence, abbreviation, ellipsis) by the token alone."""
    if token in (".", "?", "!"):
        return True, False, False
    if _ELLIPSIS.match(token):
        return False, False, True
    if token.endswith(".") and not token.endswith(".."):
        word = token[:-1].lower()
        known = word in _ABBREVIATIONS or word.split("-")[-1] in _ABBREVIATIONS
        return not known, known, False
    return False, False, False


def _kind(token):
    return _NUMBER.sub("##number##", token.lower())


def _starts_sentence(token, kind):
    """True, False, or None where the case of `token` tells nothing."""
    if token in (";", ":", ",", ".", "!", "?"):
        return False
    context = _CONTEXTS.get(kind, 0)
    if token[0].isupper() and context & _LC and not context & _MID_UC:
        return True
    if token[0].islower() and (context & _UC or not context & _BEG_LC):
        return False
    return None


@lru_cache(maxsize=1)
def punkt() -> Any:
    """The compiled Punkt with NLTK's English parameters; None without compiled rules."""
    if core is None:
        return None
    return core.Punkt(
        list(english.ABBREV_TYPES),
        [tuple(pair) for pair in english.COLLOCATIONS],
        list(english.SENT_STARTERS),
        dict(english.ORTHO_CONTEXT),
    )
