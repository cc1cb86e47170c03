"""The figures of one unit's pages: those that Clean counted of its files, and those of what it keeps; and of all units."""

from collections.abc import Sequence
from itertools import repeat

from c4build.flow.figures import Counted, Json, Judged, Level, Sketch, Tally, host_of, judge_text, matrix
from c4build.flow.file_figures import BeforeFigures, asked_before
from c4build.rules.alone import asked_alone
from c4build.rules.steps import bits_of
from c4build.rules.tables import RuleSet, Variant
from c4build.write.statistics import Statistics

_LINES = 1000  # repeated ones that a sketch holds
_LINE_CHARACTERS = 200


class UnitFigures:
    """Of the files of a unit, one after the other; or of all units, put together in their order."""

    def __init__(self, variants: Sequence[Variant], told: Json | None = None):
        told = told or {"after": [None] * len(variants), "repeated": [(0, {})] * len(variants)}
        self.before = {name: BeforeFigures(told.get(name)) for name in asked_before(variants)}
        self.after = [Tally(one) for one in told["after"]]
        self._repeated = [Sketch(_LINES, counts, error) for error, counts in told["repeated"]]
        self.level = self.judged = Level(64)  # of pages that are looked at, and of those that are judged
        # Of a file's pages: the variants that keep each, and what is counted of it with its host.
        self._kept: list[tuple[int, tuple[Counted, str]]] = []

    def begin(self, said: Json, first: bool):
        """Goes on with a file: `said` is what `FileFigures` left; its own figures count in one unit, the `first` of it."""
        self._count_kept()
        self.level, self.judged = (Level(halvings) for halvings in said["levels"])
        if first:
            for name, before in self.before.items():
                before.merge(BeforeFigures(said[name]))

    def count(self, variants: int, counted: Counted, url: str):
        """Counts a text that some variants keep, a bit each."""
        self._kept.append((variants, (counted, host_of(url))))

    def judge(self, variants: int, text: bytes) -> Judged:
        """Judges a text, UTF-8, that some variants keep, and counts what is found."""
        judged = judge_text(text)
        for bit in bits_of(variants):
            self.after[bit].judge(judged, self.judged.weight)
        return judged

    def _count_kept(self):
        for bit, after in enumerate(self.after):
            after.count([page for variants, page in self._kept if variants >> bit & 1], self.level.weight)
        self._kept = []

    def repeated(self, lost: Sequence[tuple[str, int]]):
        """Counts lines or spans, each with the variants that lose it."""
        for bit, lines in enumerate(self._repeated):
            of = (text[:_LINE_CHARACTERS] for text, variants in lost if variants >> bit & 1)
            lines.add(of, repeat(self.level.weight))

    def merge(self, other: "UnitFigures"):
        for name, before in other.before.items():
            self.before[name].merge(before)
        for own, after in zip(self.after, other.after):
            own.merge(after)
        for own_lines, lines in zip(self._repeated, other._repeated):
            own_lines.merge(lines)

    def to_json(self) -> Json:
        self._count_kept()
        return {
            **{name: before.to_json() for name, before in self.before.items()},
            "after": [tally.to_json() for tally in self.after],
            "repeated": [lines.to_json() for lines in self._repeated],
        }

    def statistics(self, rules: RuleSet, variants: Sequence[Variant], bit: int) -> Statistics:
        """Of a variant."""
        variant = variants[bit]
        before, after = self.before["news" if variant.news_only else "all"], self.after[bit].side()
        side = before.tally.side()
        masks = before.raw if variant.raw else before.dropping
        return Statistics(
            before=side,
            after=after,
            rules=matrix(asked_alone(rules), variant.steps, masks, side.languages_sampled),
            repeated=self._repeated[bit].top(after.histograms["characters"].sampled),
        )
