"""What each rule would do to a page by itself: for the matrix of rules, which asks what one adds to the others."""

from collections import Counter
from collections.abc import Iterable

from c4build.page import Page
from c4build.rules.lines import line_filter
from c4build.rules.steps import Drop, make_steps
from c4build.rules.tables import PAGE_PHRASES, RuleSet


class Alone:
    """Asks every step of a rule set of a page, each of the text that the steps before it left, whatever they said of it.

    There is no deduplication, so that `sentences_left` is asked only where `sentences` is not. A page of a variant that
    keeps the raw text is asked of that text.
    """

    def __init__(self, rules: RuleSet, bad_words: Iterable[str]):
        in_lines = PAGE_PHRASES if rules.page_phrases_in_lines else ()
        named = [step for step in (*in_lines, *rules.before, *rules.after) if step != "lines"]
        if "sentences" in named:
            named = [step for step in named if step != "sentences_left"]
        self.names = tuple(dict.fromkeys(named))
        self._steps = make_steps(rules, bad_words)
        self._keep = line_filter(rules, ())
        self._phrases = [(1 << self.names.index(phrase), line_filter(rules, [phrase])) for phrase in in_lines]
        self._order = [
            (step, 1 << self.names.index(step) if step in self.names else 0)
            for step in (*rules.before, *rules.after)
            if step == "lines" or (step in self.names and step not in in_lines)
        ]

    def of(self, page: Page) -> int:
        """The steps that would drop the page, each a bit by its place in `names`."""
        text, read = page.text, page.body.decode()
        dropping = sum(bit for bit, keep in self._phrases if keep(read, Counter())[1])
        for step, bit in self._order:
            if step == "lines":
                text, _ = self._keep(read, Counter())
            elif type(result := self._steps[step](text)) is Drop:
                dropping |= bit
            else:
                text = result
        return dropping

    def of_raw(self, page: Page) -> int:
        """The same of a page whose lines are not judged."""
        text = page.text
        return sum(bit for step, bit in self._order if step != "lines" and type(self._steps[step](text)) is Drop)
