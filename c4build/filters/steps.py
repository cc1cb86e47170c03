"""The steps of a rule set put together: what happens to one page before and after deduplication."""

from collections import Counter
from itertools import islice
from typing import Callable, Iterable, Optional, Sequence, Union

from c4build.filters.badwords import bad_word_test
from c4build.filters.language import language_test
from c4build.filters.lines import line_filter
from c4build.filters.sentences import has_sentences, sentence_spans
from c4build.page import Page
from c4build.rules import CODE, RuleSet, Variant

# A step takes a text, and the lines of the page as it was read, to the text that stays, or to why the page goes.
Step = Callable[[str, list[str]], Union[str, "Drop"]]


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
        made = _make_steps(rules, bad_words, self.lines)

        def plan(names: Sequence[str]) -> list[tuple[Step, int]]:
            masks = [(made[name], _having(name, variants)) for name in names]
            return [(step, mask) for step, mask in masks if mask]

        self._before, self._after = plan(rules.before), plan(rules.after)

    def before(self, page: Page, running: int, reasons: bytearray) -> Optional[str]:
        """Takes the cleaned track (bits of `clean`) or the raw one (bits of `raw`) up to deduplication.

        Returns the text, None where no variant is left; writes the reasons of those that drop out into `reasons`.
        """
        return _run(self._before, page.text, page.lines, running, reasons)

    def after(self, text: str, running: int, reasons: bytearray) -> Optional[str]:
        """The same behind deduplication, on what it left of the text."""
        return _run(self._after, text, [], running, reasons)


def _having(step: str, variants: Sequence[Variant]) -> int:
    return sum(1 << bit for bit, variant in enumerate(variants) if step in variant.steps)


def _run(steps, text, lines, running, reasons):
    for step, mask in steps:
        taking = running & mask
        if not taking:
            continue
        result = step(text, lines)
        if type(result) is Drop:
            code = CODE[result]
            for bit in range(len(reasons)):
                if taking >> bit & 1:
                    reasons[bit] = code
            running &= ~taking
            if not running:
                return None
        else:
            text = result
    return text


def _make_steps(rules: RuleSet, bad_words: Iterable[str], line_counts: Counter) -> dict[str, Step]:
    keep_lines = line_filter(rules)
    judge_language = language_test(rules.language, rules.min_language_probability)
    holds_bad_word = bad_word_test(bad_words)
    least = rules.min_sentences
    in_text = rules.duplicates == "lines"

    def lorem_ipsum(text, _):
        return Drop("lorem_ipsum") if "lorem ipsum" in text.lower() else text

    def curly_bracket(text, _):
        return Drop("curly_bracket") if any(bracket in text for bracket in rules.curly_brackets) else text

    def bad_words_step(text, _):
        return Drop("bad_words") if holds_bad_word(text) else text

    def lines(_, page_lines):
        kept, reason = keep_lines(page_lines, line_counts)
        return Drop(reason) if reason else "\n".join(kept).strip()

    def sentences(text, _):
        return text if sentences_in_lines(text, least) else Drop("too_few_sentences")

    def sentences_left(text, _):
        if not text:
            return Drop("nothing_left")
        enough = has_sentences(text, least) if in_text else sentences_in_lines(text, least)
        return text if enough else Drop("too_few_sentences_left")

    def language(text, _):
        reason = judge_language(text)
        return Drop(reason) if reason else text

    return {
        "lorem_ipsum": lorem_ipsum,
        "curly_bracket": curly_bracket,
        "bad_words": bad_words_step,
        "lines": lines,
        "sentences": sentences,
        "sentences_left": sentences_left,
        "language": language,
    }


def sentences_in_lines(text: str, least: int) -> bool:
    """True if the lines of `text`, each taken by itself, have `least` sentences together; a kept line has one or more."""
    if not text:
        return False
    lines = text.split("\n")
    missing = least - len(lines)
    if missing <= 0:
        return True
    # No line has more sentences than marks that could end one, and its last character ends none before the end.
    if sum(line.count(mark, 0, len(line) - 1) for line in lines for mark in ".?!") < missing:
        return False
    for line in lines:
        # The first sentence of the line is accounted for.
        missing -= sum(1 for _ in islice(sentence_spans(line), 1, missing + 1))
        if missing <= 0:
            return True
    return False
