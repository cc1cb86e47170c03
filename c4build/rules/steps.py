"""The steps of a rule set put together: what happens to one page before and after deduplication."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Union

from c4build.compiled import core
from c4build.page import page_text
from c4build.rules.badwords import bad_word_test
from c4build.rules.language import compiled_detector, language_test
from c4build.rules.lines import LOREM_IPSUM, line_filter
from c4build.rules.sentences import has_sentences, punkt, sentence_spans
from c4build.rules.tables import CODE, PAGE_PHRASES, RuleSet, Variant, bits_where

# A step takes a text to the text that stays, or to why the page goes. The step `lines` takes the page as it was read.
Step = Callable[[str], Union[str, "Drop"]]


class Drop(str):
    """The name of the reason why a page goes."""


class Steps(ABC):
    """The steps of `rules` for some variants, made ready once a process.

    Variants are bits: variant i of the sequence is `1 << i`.
    """

    def __init__(self, rules: RuleSet, variants: Sequence[Variant]):
        self.all = (1 << len(variants)) - 1
        self.raw = bits_where(lambda variant: variant.raw, variants)
        self.clean = self.all & ~self.raw

        def plan(names: Sequence[str], among: int) -> list[tuple[str, int]]:
            masks = [(name, having(name, variants) & among) for name in names]
            return [(name, mask) for name, mask in masks if mask]

        # Deduplication leaves a raw text as it is, so that nothing need wait for it.
        self.plan_before = plan(rules.before, self.all) + plan(rules.after, self.raw)
        self.plan_after = plan(rules.after, self.clean)

    @abstractmethod
    def before(self, body: bytes, running: int, reasons: bytearray) -> str | None:
        """Takes the cleaned track (bits of `clean`) or the raw one (bits of `raw`) up to deduplication.

        `body` is the page's, see `Page`. Returns the text, None where no variant is left; writes the reasons of those that
        drop out into `reasons`.
        """

    @abstractmethod
    def after(self, text: str, running: int, reasons: bytearray) -> str | None:
        """The same behind deduplication, on what it left of the text."""

    @abstractmethod
    def counted_lines(self) -> dict[str, int]:
        """The lines of the pages since the last call, by fate."""


def steps_of(rules: RuleSet, variants: Sequence[Variant], bad_words: Iterable[str]) -> Steps:
    """The compiled steps; the plain ones, which do the same, where there are none or one of these steps is not compiled."""
    return (CompiledSteps if are_compiled(rules) else PlainSteps)(rules, variants, bad_words)


def are_compiled(rules: RuleSet) -> bool:
    """True where all steps of the rules are."""
    return core is not None and {*rules.before, *rules.after} <= {*core.STEPS}


class CompiledSteps(Steps):
    """By `core/steps.cpp`."""

    def __init__(self, rules: RuleSet, variants: Sequence[Variant], bad_words: Iterable[str]):
        super().__init__(rules, variants)
        looking = variants if rules.page_phrases_in_lines else ()
        plan = {
            **rules.to_json(),
            "bad_words": sorted(set(bad_words)),
            "before": self.plan_before,
            "after": self.plan_after,
            "look_for_lorem": having("lorem_ipsum", looking) & self.clean,
            "look_for_curly": having("curly_bracket", looking) & self.clean,
            "codes": CODE,
        }
        self.compiled = core.Steps(plan, punkt(), compiled_detector())

    def before(self, body: bytes, running: int, reasons: bytearray) -> str | None:
        return self.compiled.before(body, running, reasons)

    def after(self, text: str, running: int, reasons: bytearray) -> str | None:
        return self.compiled.after(text, running, reasons)

    def counted_lines(self) -> dict[str, int]:
        return self.compiled.take_counts()


class PlainSteps(Steps):
    """In Python: what people read, `explain` shows, and the compiled steps are held to."""

    def __init__(self, rules: RuleSet, variants: Sequence[Variant], bad_words: Iterable[str]):
        super().__init__(rules, variants)
        self._lines_counted: Counter = Counter()
        self._phrases = frozenset(PAGE_PHRASES) if rules.page_phrases_in_lines else frozenset()
        self._having = {phrase: having(phrase, variants) for phrase in self._phrases}
        self._phrases -= {phrase for phrase, mask in self._having.items() if not mask & self.clean}
        self._keep_lines = cache(lambda phrases: line_filter(rules, phrases))
        made = self._make(rules, bad_words)
        self._before = [(made.get(name), mask) for name, mask in self.plan_before]  # None: the step `lines`
        self._after = [(made[name], mask) for name, mask in self.plan_after]

    def before(self, body: bytes, running: int, reasons: bytearray) -> str | None:
        page, text = body.decode(), None
        for step, mask in self._before:
            taking = running & mask
            if not taking:
                continue
            if step is None:
                text, running = self._lines(page, taking, running, reasons)
                if not running:
                    return None
                continue
            result = step(page_text(page) if text is None else text)
            if type(result) is Drop:
                running = _drop(result, taking, running, reasons)
                if not running:
                    return None
            else:
                text = result
        return page_text(page) if text is None else text

    def after(self, text: str, running: int, reasons: bytearray) -> str | None:
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

    def counted_lines(self) -> dict[str, int]:
        counted, self._lines_counted = self._lines_counted, Counter()
        return dict(counted)

    def _lines(self, page: str, taking: int, running: int, reasons: bytearray) -> tuple[str | None, int]:
        """(the text that stays for the variants `taking`, those of `running` that are left).

        A page that goes for a phrase in a line stays in the variants that do not look for it, and is counted once.
        """
        phrases, counts = self._phrases, self._lines_counted
        while taking:
            text, reason = self._keep_lines(phrases)(page, counts)
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


def having(step: str, variants: Sequence[Variant]) -> int:
    return bits_where(lambda variant: step in variant.steps, variants)


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
    """True if the lines of `text`, each taken by itself, have `least` sentences together."""
    spans = (span for line in text.split("\n") for span in sentence_spans(line))
    return next(islice(spans, least - 1, None), None) is not None


def count_sentences(text: str, by_line: bool) -> int:
    """How many sentences `sentences_in_lines` finds in `text`, or, not by line, `has_sentences`."""
    found = punkt()
    return plain_count_sentences(text, by_line) if found is None else found.count_sentences(text.encode(), by_line)


def plain_count_sentences(text: str, by_line: bool) -> int:
    if not text:
        return 0
    return sum(1 for line in (text.split("\n") if by_line else [text]) for _ in sentence_spans(line))
