"""The steps of a rule set put together: what happens to one page before and after deduplication."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Union

from c4build.page import Page
from c4build.rules.badwords import bad_word_test
from c4build.rules.language import language_test
from c4build.rules.lines import LOREM_IPSUM, Lines, line_filter
from c4build.rules.sentences import has_plain_ends, has_sentences, sentence_spans
from c4build.rules.tables import CODE, PAGE_PHRASES, RuleSet, Variant

# A step takes a text to the text that stays, or to why the page goes. The step `lines` takes the lines of the page as
# it was read instead: most pages go there, and their whole text is never needed.
Step = Callable[[str], Union[str, "Drop"]]


class Drop(str):
    """The name of the reason why a page goes."""


class Steps:
    """The steps of `rules` for some variants, made ready once a process. Pages' lines are counted in `lines`.

    Variants are bits: variant i of the sequence is `1 << i`.
    """

    def __init__(self, rules: RuleSet, variants: Sequence[Variant], bad_words: Iterable[str]):
        self.lines: Counter = Counter()
        self.all = (1 << len(variants)) - 1
        self.raw = sum(1 << bit for bit, variant in enumerate(variants) if variant.raw)
        self.clean = self.all & ~self.raw
        self.deduplicated = sum(1 << bit for bit, variant in enumerate(variants) if variant.deduplicated)
        self._phrases = frozenset(PAGE_PHRASES) if rules.page_phrases_in_lines else frozenset()
        self._having = {phrase: _having(phrase, variants) for phrase in self._phrases}
        self._phrases -= {phrase for phrase, mask in self._having.items() if not mask & self.clean}
        self._keep_lines = cache(lambda phrases: line_filter(rules, phrases))
        made = self._make(rules, bad_words)

        def plan(names: Sequence[str], among: int) -> list[tuple[str, int]]:
            masks = [(name, _having(name, variants) & among) for name in names]
            return [(name, mask) for name, mask in masks if mask]

        # Deduplication leaves a raw text as it is, so that nothing need wait for it.
        before = plan(rules.before, self.all) + plan(rules.after, self.raw)
        self._before = [(made.get(name), mask) for name, mask in before]  # None: the step `lines`
        self._after = [(made[name], mask) for name, mask in plan(rules.after, self.clean)]

    def before(self, page: Page, lines: Lines, running: int, reasons: bytearray) -> str | None:
        """Takes the cleaned track (bits of `clean`) or the raw one (bits of `raw`) up to deduplication.

        `lines` are the page's, of `candidate_lines`. Returns the text, None where no variant is left; writes the
        reasons of those that drop out into `reasons`.
        """
        text = None
        for step, mask in self._before:
            taking = running & mask
            if not taking:
                continue
            if step is None:
                text, running = self._lines(lines, taking, running, reasons)
                if not running:
                    return None
                continue
            result = step(page.text if text is None else text)
            if type(result) is Drop:
                running = _drop(result, taking, running, reasons)
                if not running:
                    return None
            else:
                text = result
        return page.text if text is None else text

    def after(self, text: str, running: int, reasons: bytearray) -> str | None:
        """The same behind deduplication, on what it left of the text."""
        for step, mask in self._after:
            taking = running & mask
            if not taking:
                continue
            result = step(text)
            if type(result) is Drop:
                running = _drop(result, taking, running, reasons)
                if not running:
                    return None
            else:
                text = result
        return text

    def _lines(self, lines: Lines, taking: int, running: int, reasons: bytearray) -> tuple[str | None, int]:
        """(the text that stays for the variants `taking`, those of `running` that are left).

        A page that goes for a phrase in a line stays in the variants that do not look for it, and is counted once.
        """
        phrases, counts = self._phrases, self.lines
        while taking:
            text, reason = self._keep_lines(phrases)(lines, counts)
            if not reason:
                return text, running
            dropped = taking & self._having[reason]
            running = _drop(Drop(reason), dropped, running, reasons)
            taking &= ~dropped
            phrases, counts = phrases - {reason}, Counter()
        return None, running

    def _make(self, rules: RuleSet, bad_words: Iterable[str]) -> dict[str, Step]:
        return make_steps(rules, bad_words)


def _drop(reason: Drop, taking: int, running: int, reasons: bytearray) -> int:
    """Notes the reason for the variants `taking`; returns those still running."""
    for bit in bits_of(taking):
        reasons[bit] = CODE[reason]
    return running & ~taking


@cache
def bits_of(variants: int) -> tuple[int, ...]:
    """The places of the bits that are set."""
    return tuple(bit for bit in range(variants.bit_length()) if variants >> bit & 1)


def _having(step: str, variants: Sequence[Variant]) -> int:
    return sum(1 << bit for bit, variant in enumerate(variants) if step in variant.steps)


def make_steps(rules: RuleSet, bad_words: Iterable[str]) -> dict[str, Step]:
    """All steps but `lines`, by name."""
    judge_language = language_test(rules.language, rules.min_language_probability)
    holds_bad_word = bad_word_test(bad_words)
    least = rules.min_sentences
    too_few = Drop("too_few_sentences")
    in_text = rules.duplicates == "lines"

    def lorem_ipsum(text):
        return Drop("lorem_ipsum") if LOREM_IPSUM in text.lower() else text

    def curly_bracket(text):
        return Drop("curly_bracket") if any(bracket in text for bracket in rules.curly_brackets) else text

    def bad_words_step(text):
        return Drop("bad_words") if holds_bad_word(text) else text

    def sentences(text):
        return text if sentences_in_lines(text, least) else too_few

    def sentences_left(text):
        if not text:
            return Drop("nothing_left")
        enough = has_sentences(text, least) if in_text else sentences_in_lines(text, least)
        return text if enough else Drop("too_few_sentences_left")

    def language(text):
        reason = judge_language(text)
        return Drop(reason) if reason else text

    return {
        "lorem_ipsum": lorem_ipsum,
        "curly_bracket": curly_bracket,
        "bad_words": bad_words_step,
        "sentences": sentences,
        "sentences_left": sentences_left,
        "language": language,
    }


def sentences_in_lines(text: str, least: int) -> bool:
    """True if the lines of `text`, each taken by itself, have `least` sentences together; a kept line has one or more."""
    if not text:
        return False
    missing = least - 1 - text.count("\n")
    if has_plain_ends(text, missing, " "):
        return True
    lines = text.split("\n")
    # No line has more sentences than marks that could end one, and a mark in last place begins none.
    marks = text.count(".") + text.count("?") + text.count("!")
    if marks - sum([line[-1] in ".?!" for line in lines]) < missing:
        return False
    for line in lines:
        # The first sentence of the line is accounted for.
        missing -= sum(1 for _ in islice(sentence_spans(line), 1, missing + 1))
        if missing <= 0:
            return True
    return False


def count_sentences(text: str, by_line: bool) -> int:
    """How many sentences `sentences_in_lines` finds in `text`, or, not by line, `has_sentences`."""
    if not text:
        return 0
    return sum(1 for line in (text.split("\n") if by_line else [text]) for _ in sentence_spans(line))
