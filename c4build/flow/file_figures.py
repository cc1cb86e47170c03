"""The figures of one file's pages before the rules, counted when Clean has read it to its end."""

from collections import Counter
from collections.abc import Iterable

from c4build.flow.figures import Json, Looked, Tally, host_of, judge_text, text_of
from c4build.rules.alone import Alone
from c4build.rules.tables import RuleSet, Variant


def asked_before(variants: Iterable[Variant]) -> list[str]:
    """Of which pages figures are made before the rules: of all, and of those of news where a variant is of these."""
    return ["all", *(["news"] if any(variant.news_only for variant in variants) else [])]


class FileFigures:
    """One is made ready a process and used for many files."""

    def __init__(self, rules: RuleSet, tracks: Iterable[Variant], bad_words: Iterable[str]):
        tracks, alone = [*tracks], Alone(rules, bad_words)
        self._asked = asked_before(tracks)
        ways = (("dropping", alone.of, False), ("raw", alone.of_raw, True))
        self._alone = [(name, of) for name, of, raw in ways if any(track.raw == raw for track in tracks)]

    def of(self, looked: Looked) -> Json:
        """What is said in the table of candidates of a file: levels, and figures of the pages that are asked for."""
        level, judged, pages = looked
        found = {name: BeforeFigures() for name in self._asked}
        for name, figures in found.items():
            counted = [(page.counted, host_of(page.url)) for page in pages if page.is_news or name == "all"]
            figures.tally.count(counted, level.weight)
        for page in pages:
            if page.body is None:
                continue
            judged_text = judge_text(text_of(page.body))
            among = [figures for name, figures in found.items() if page.is_news or name == "all"]
            for figures in among:
                figures.tally.judge(judged_text, judged.weight)
            for name, of in self._alone:
                dropping = of(page.body)
                for figures in among:
                    getattr(figures, name)[dropping] += judged.weight
        return {
            "levels": [level.halvings, judged.halvings],
            **{name: before.to_json() for name, before in found.items()},
        }


class BeforeFigures:
    """Of pages as they reach the rules."""

    def __init__(self, told: Json | None = None):
        told = told or {"tally": None, "dropping": {}, "raw": {}}
        self.tally = Tally(told["tally"])
        # Pages by the rules that drop them, by themselves: of the cleaned text, of the raw one; see `Alone`. What no track
        # has is not asked.
        self.dropping, self.raw = (Counter({int(k): v for k, v in told[name].items()}) for name in ("dropping", "raw"))

    def merge(self, other: "BeforeFigures"):
        self.tally.merge(other.tally)
        self.dropping.update(other.dropping)
        self.raw.update(other.raw)

    def to_json(self) -> Json:
        dropping, raw = (dict(sorted(masks.items())) for masks in (self.dropping, self.raw))
        return {"tally": self.tally.to_json(), "dropping": dropping, "raw": raw}
