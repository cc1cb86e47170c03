"""The figures of one file's pages before the rules, counted when Clean has read it to its end."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from c4build.flow.figures import Json, Looked, Tally, count_page, host_of, judge_text
from c4build.page import Page
from c4build.rules.alone import Alone
from c4build.rules.tables import RuleSet


class LookedAt(NamedTuple):
    page: Page
    url: str  # normalised
    is_news: bool  # or nobody asks


class FileFigures:
    """One is made ready a process and used for many files."""

    def __init__(self, rules: RuleSet, bad_words: Iterable[str]):
        self._alone = Alone(rules, bad_words)

    def of(self, looked: Looked) -> Json:
        """What is said in the table of candidates of a file: levels, and figures of all its pages and of those of news."""
        level, judged = looked.level, looked.judged()
        found = {"all": BeforeFigures(), "news": BeforeFigures()}
        for chance, (page, url, is_news) in looked.pages():
            among = [found["all"], *([found["news"]] if is_news else [])]
            counted, host = count_page(page), host_of(url)
            for one in among:
                one.tally.count(counted, host, level.weight)
            if chance >= judged.limit:
                continue
            in_all, raw, dropping = judge_text(page.text), self._alone.of_raw(page.body), self._alone.of(page.body)
            for one in among:
                one.tally.judge(in_all, judged.weight)
                one.dropping[dropping] += judged.weight
                one.raw[raw] += judged.weight
        return {
            "levels": [level.halvings, judged.halvings],
            **{name: before.to_json() for name, before in found.items()},
        }


class BeforeFigures:
    """Of pages as they reach the rules."""

    def __init__(self, told: Json | None = None):
        told = told or {"tally": None, "dropping": {}, "raw": {}}
        self.tally = Tally(told["tally"])
        # Pages by the rules that drop them, by themselves: of the cleaned text, of the raw one; see `Alone`.
        self.dropping, self.raw = (Counter({int(k): v for k, v in told[name].items()}) for name in ("dropping", "raw"))

    def merge(self, other: "BeforeFigures"):
        self.tally.merge(other.tally)
        self.dropping.update(other.dropping)
        self.raw.update(other.raw)

    def to_json(self) -> Json:
        dropping, raw = (dict(sorted(masks.items())) for masks in (self.dropping, self.raw))
        return {"tally": self.tally.to_json(), "dropping": dropping, "raw": raw}
