"""The rules told: what happens to a page of one variant, step by step, and what tripped a rule.

The steps are those that a build takes, with a note of what each was given and gave; lines are judged by the build's own
filter, one at a time.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from c4build.page import Page, page_text
from c4build.rules.badwords import bad_word_finder
from c4build.rules.language import likely_languages
from c4build.rules.lines import LOREM_IPSUM, dropping_line, line_judge, line_marks, lines_of
from c4build.rules.places import Place, Seen, places_of
from c4build.rules.steps import Drop, PlainSteps, Step, Steps, are_compiled, count_sentences, steps_of
from c4build.rules.tables import DROPPED_BY, PAGE_PHRASES, REASONS, RuleSet, Variant


class Taken(NamedTuple):
    """A step that a page took."""

    step: str
    text: str  # as the step found it
    result: str  # the text that stays, or a `Drop`


class LineTold(NamedTuple):
    """A line of a page as it was read."""

    text: str
    fate: str  # kept, or the rule that drops the line, or its page
    left: str  # what stays of it: citation marks may go
    seen: Seen


class Figures(NamedTuple):
    """Of a text; all is counted, whatever rules its page came to."""

    lines: int
    words: int
    characters: int
    sentences: int
    languages: list[tuple[str, float]]  # with probabilities, the likeliest first
    bad_words: list[str]  # each as it stands there


class _TellingSteps(PlainSteps):
    """The same steps, which also note what they do in `taken`."""

    def __init__(self, rules: RuleSet, variants: list[Variant], bad_words: Iterable[str]):
        self.taken: list[Taken] = []
        super().__init__(rules, variants, bad_words)

    def _make(self, rules: RuleSet, bad_words: Iterable[str]) -> dict[str, Step]:
        return {name: self._telling(name, step) for name, step in super()._make(rules, bad_words).items()}

    def _telling(self, name: str, step: Step) -> Step:
        def told(text: str) -> str:
            result = step(text)
            self.taken.append(Taken(name, text, result))
            return result

        return told

    def _lines(self, page: str, taking: int, running: int, reasons: bytearray) -> tuple[str | None, int]:
        text, left = super()._lines(page, taking, running, reasons)
        result = Drop(REASONS[reasons[0]]) if text is None else text
        self.taken.append(Taken("lines", "\n".join(lines_of(page)), result))
        return text, left


# Steps by the reasons that they give.
_STEPS = {reason: step for step, reasons in DROPPED_BY.items() if step != "lines" for reason in reasons}


def _dropping(taken: Sequence[Taken]) -> Taken | None:
    """The last step of some, where it drops the page."""
    return taken[-1] if taken and type(taken[-1].result) is Drop else None


class Teller:
    """Tells what the rules do to the pages of one variant."""

    def __init__(self, rules: RuleSet, variant: Variant, bad_words: Iterable[str]):
        bad_words = list(bad_words)
        self.variant = variant
        self.phrases = variant.steps & set(PAGE_PHRASES)  # that drop a page
        self._rules, self._bad_words = rules, bad_words if "bad_words" in variant.steps else []
        self._find_bad_words = bad_word_finder(bad_words)
        self._judge_line = line_judge(rules, self.phrases)
        self._marks = line_marks(rules)
        self._tell = self._ways_to_tell()

    @cached_property
    def _steps(self) -> _TellingSteps:
        return _TellingSteps(self._rules, [self.variant], self._bad_words)

    @cached_property
    def _building(self) -> Steps:
        """The steps that a build takes, which note nothing."""
        return steps_of(self._rules, [self.variant], self._bad_words)

    @cached_property
    def _cleaning(self) -> Steps:
        """The step `lines` of them alone, where the variant has it, which drops no page then."""
        lines = Variant(self.variant.name, "", self.variant.steps & {"lines"})
        return steps_of(self._rules, [lines], [])

    @cached_property
    def _dropping_line(self) -> Callable[[str], str]:
        return dropping_line(self._rules, self.phrases)

    def dropped_before(self, page: Page, reason: str = "") -> Taken | None:
        """The step that drops the page before deduplication, as `before` notes it; None where none does.

        `reason`: why it goes, where that is known.
        """
        if not are_compiled(self._rules):
            return _dropping(self.before(page)[-1])
        reason = reason or self._reason(lambda steps, reasons: steps.before(page.body, steps.all, reasons))
        if not reason:
            return None
        if reason in PAGE_PHRASES and self._rules.page_phrases_in_lines:
            return Taken("lines", "\n".join(lines_of(page.body.decode())), Drop(reason))
        step, before = _STEPS[reason], self._rules.before
        if self.variant.raw or before.index(step) < before.index("lines"):
            return Taken(step, page_text(page.body.decode()), Drop(reason))
        return Taken(step, self._cleaning.before(page.body, self._cleaning.all, bytearray(1)) or "", Drop(reason))

    def dropped_after(self, text: str, reason: str = "") -> Taken | None:
        """The same behind deduplication, as `after` notes it."""
        if not are_compiled(self._rules):
            return _dropping(self.after(text)[-1])
        reason = reason or self._reason(lambda steps, reasons: steps.after(text, steps.all, reasons))
        return Taken(_STEPS[reason], text, Drop(reason)) if reason else None

    def _reason(self, judge: Callable[[Steps, bytearray], object]) -> str:
        """Why a page goes, "" where it does not."""
        reasons = bytearray(1)
        judge(self._building, reasons)
        return REASONS[reasons[0]] if reasons[0] else ""

    def before(self, page: Page) -> tuple[str | None, str, list[Taken]]:
        """(the text that stays up to deduplication, None where the page goes; its fate; the steps it took)."""
        return self._run(lambda reasons: self._steps.before(page.body, self._steps.all, reasons))

    def after(self, text: str) -> tuple[str | None, str, list[Taken]]:
        """The same behind deduplication, on what it left of the text."""
        return self._run(lambda reasons: self._steps.after(text, self._steps.all, reasons))

    def _run(self, steps: Callable[[bytearray], str | None]) -> tuple[str | None, str, list[Taken]]:
        reasons = bytearray(1)
        self._steps.taken.clear()
        text = steps(reasons)
        return text, REASONS[reasons[0]], list(self._steps.taken)

    def lines(self, page: Page) -> list[LineTold]:
        """The lines of the page that are not empty, as they were read; of a variant that keeps the raw text, all kept."""
        return self._told(lines_of(page.body.decode()))

    def seen_in_line(self, line: str, rule: str) -> Seen:
        """What of a line a rule of lines goes by."""
        return self._marks(line, rule)

    def _told(self, lines: Sequence[str]) -> list[LineTold]:
        if self.variant.raw:
            return [LineTold(line, "kept", line.strip(), Seen([])) for line in lines]
        judged = zip(lines, map(self._judge_line, lines))
        return [LineTold(line, fate, left, self._marks(line, fate)) for line, (fate, left) in judged]

    def figures(self, text: str) -> Figures:
        return Figures(
            lines=text.count("\n") + 1 if text else 0,
            words=len(text.split()),
            characters=len(text),
            sentences=count_sentences(text, by_line=True),
            languages=likely_languages(text),
            bad_words=[text[start:stop] for start, stop in self._find_bad_words(text)],
        )

    def tripped(self, taken: Taken) -> Seen:
        """What of the text that a step found made it drop the page; nothing where it did not."""
        return self._tell[taken.step](taken.text) if type(taken.result) is Drop else Seen([])

    def seen(self, step: str, text: str) -> Seen:
        """What a step goes by in a text."""
        return self._tell[step](text)

    def marked(self, text: str) -> list[Place]:
        """Where phrases and words stand in a text for which a step of the variant drops a page that holds them."""
        found = [self._tell[step](text).places for step in (*PAGE_PHRASES, "bad_words") if step in self.variant.steps]
        return sorted(place for places in found for place in places)

    def _ways_to_tell(self) -> dict[str, Callable[[str], Seen]]:
        rules = self._rules

        def too_few(text: str, by_line: bool) -> Seen:
            return Seen([], f"{count_sentences(text, by_line)} sentences, {rules.min_sentences} at least")

        def language(text: str) -> Seen:
            likely = ", ".join(f"{name} {probability:.6f}" for name, probability in likely_languages(text))
            least = f"{rules.language} at {rules.min_language_probability} or more"
            return Seen([], f"{likely or 'no letters to go by'}; it must be {least}")

        def of_page(text: str) -> Seen:
            dropping = self._dropping_line(text)
            return Seen([], f"in the line {dropping.strip()}" if dropping else "")

        return {
            "lorem_ipsum": lambda text: Seen(places_of(text, [LOREM_IPSUM])),
            "curly_bracket": lambda text: Seen(places_of(text, rules.curly_brackets)),
            "bad_words": lambda text: Seen(self._find_bad_words(text)),
            "lines": of_page,
            "sentences": lambda text: too_few(text, by_line=True),
            "sentences_left": lambda text: too_few(text, rules.duplicates != "lines"),
            "language": language,
        }
