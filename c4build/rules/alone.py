"""What each rule would do to a page by itself: for the matrix of rules, which asks what one adds to the others."""

from collections.abc import Iterable

from c4build.rules.steps import bits_of, steps_of
from c4build.rules.tables import PAGE_PHRASES, RuleSet, Variant


def _in_lines(rules: RuleSet) -> tuple[str, ...]:
    """The steps that look for their phrases in lines."""
    return tuple(PAGE_PHRASES) if rules.page_phrases_in_lines else ()


def asked_alone(rules: RuleSet) -> tuple[str, ...]:
    """The steps that `Alone` asks, in its order."""
    named = [step for step in (*_in_lines(rules), *rules.before, *rules.after) if step != "lines"]
    if "sentences" in named:
        named = [step for step in named if step != "sentences_left"]
    return tuple(dict.fromkeys(named))


class Alone:
    """Asks every step of a rule set of a page, each of the text that the steps before it left, whatever they said of it.

    There is no deduplication, so that `sentences_left` is asked only where `sentences` is not. A page of a variant that
    keeps the raw text is asked of that text.
    """

    def __init__(self, rules: RuleSet, bad_words: Iterable[str]):
        self.names = asked_alone(rules)
        # A variant for each step: with the lines judged, and of the raw text, in which no line is looked at.
        cleaned = [Variant(step, "", frozenset({"lines", step})) for step in self.names]
        raw = [Variant(step, "", frozenset({step}).difference(_in_lines(rules))) for step in self.names]
        self._steps = steps_of(rules, [*cleaned, *raw], bad_words)

    def of(self, body: bytes) -> int:
        """The steps that would drop the page with this body, see `Page`, each a bit by its place in `names`."""
        return self._dropping(body, self._steps.clean)

    def of_raw(self, body: bytes) -> int:
        """The same of a page whose lines are not judged."""
        return self._dropping(body, self._steps.raw) >> len(self.names)

    def _dropping(self, body: bytes, asked: int) -> int:
        reasons = bytearray(2 * len(self.names))
        text = self._steps.before(body, asked, reasons)
        if text is not None:
            self._steps.after(text, asked, reasons)
        return sum(1 << bit for bit in bits_of(asked) if reasons[bit])
