"""The samples of each corpus, from what its units held: of each group those with the lowest chances, told by the rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from c4build.errors import CorruptFileError
from c4build.flow.candidates import (
    AS_READ,
    CLEANED,
    MOST_HELD,
    NEAR_LANGUAGE,
    NEAR_SENTENCES,
    READ,
    REPEATED_GROUP,
    Candidate,
    Limit,
    lowest,
    read_rows,
)
from c4build.flow.line_samples import line_samples
from c4build.flow.settings import FinishSettings
from c4build.flow.unit_figures import UnitFigures
from c4build.page import Page
from c4build.read.paths import Input
from c4build.rules.places import Place
from c4build.rules.tables import CODE, REASONS
from c4build.rules.told import Teller
from c4build.write.files import delete
from c4build.write.samples import (
    DROPPED_LINE,
    DROPPED_PAGE,
    KEPT_PAGE,
    NEAR_LINE,
    NEAR_PAGE,
    Sample,
    cut_sample,
)
from c4build.write.statistics import Statistics

_NOT_BY_A_STEP = {CODE[name] for name in ("not_a_news_domain", "duplicate_url", "not_in_url_list", "excluded")}
_NEAR = {NEAR_LANGUAGE: ("language", "language_unsure"), NEAR_SENTENCES: ("sentences", "too_few_sentences")}


class _Told(NamedTuple):
    """What tripped a rule."""

    text: str
    step: str = ""
    places: Sequence[Place] = ()
    why: str = ""


class SampleTeller:
    """Tells the samples of all variants of a run."""

    def __init__(self, settings: FinishSettings, inputs: Sequence[Input], units: Sequence[tuple[int, str]]):
        """`units`: each with what it was made from."""
        self._settings, self._inputs = settings, inputs
        self._lowest = lowest(settings.clean.samples)
        self._known: dict[tuple, Sample] = {}
        self._known_lines: dict[tuple, list[Sample]] = {}
        variants = settings.variants
        self._figures = UnitFigures(variants)
        limits: dict[str, list[Limit]] = {}
        for unit, made_from in units:
            path = settings.run.samples_file(unit)
            with read_rows(path, made_from) as (said, groups):
                self._figures.merge(UnitFigures(variants, said["figures"]))
                for rows in groups:
                    self._lowest.add_rows(rows)
                limits[path] = [*map(Limit._make, said["limits"])]
        self._check(limits)

    def _check(self, limits: Mapping[str, Iterable[Limit]]):
        """Raises CorruptFileError where what is lowest of all may be missing of a unit; `limits` are by path of its table."""
        last = {limit.place: limit for limit in self._lowest.limits()}
        # These were held to what another unit had left, which has less by now: an input came back, or has other pages.
        wrong = [
            path
            for path, found in limits.items()
            if any(limit.place not in last or limit < last[limit.place] for limit in found)
        ]
        for path in wrong:
            delete(path)
        if wrong:
            what = f"{wrong[0]}: it was made beside pages that have changed since"
            raise CorruptFileError(f"{what}; run the same command again and it is made again")

    def of(self, variant: int) -> Iterator[Sample]:
        """The samples of a variant, by kind and rule, the lowest chances first."""
        rules, meant = self._settings.clean.rules, self._settings.variants[variant]
        teller = Teller(rules, meant, self._settings.bad_words)
        for group in self._lowest.groups_of(variant):
            found = self._lowest.of(variant, group)
            if group == READ:
                yield from () if meant.raw else self._lines_of(found, teller)
                continue
            for candidate in found:
                yield self._page(candidate, group, teller)

    def statistics_of(self, variant: int) -> Statistics:
        return self._figures.statistics(self._settings.clean.rules, self._settings.variants, variant)

    def _page(self, of: Candidate, group: int, teller: Teller) -> Sample:
        """A page, or what it lost, as a sample: told once for all variants that have this text of it."""
        key = (of.file, of.number, of.stage, of.groups, group, teller.variant.raw)
        if key not in self._known:
            self._known[key] = self._new(of, group, teller)
        return self._known[key]

    def _new(self, of: Candidate, group: int, teller: Teller) -> Sample:
        if group == REPEATED_GROUP:
            told = _Told(of.body.decode(), why="it stands on another page, which keeps it")
            return self._sample(of, DROPPED_LINE, "repeated", told)
        if group in _NEAR:
            (step, rule), text = _NEAR[group], of.body.decode()
            return self._sample(of, NEAR_PAGE, rule, _Told(text, step, why=teller.seen(step, text).remark))
        if not group:
            return self._sample(of, KEPT_PAGE, "kept", _Told(of.body.decode()))
        return self._sample(of, DROPPED_PAGE, REASONS[group], _tell(of, group, teller))

    def _sample(self, of: Candidate, kind: str, rule: str, told: _Told, line: int | None = None) -> Sample:
        return cut_sample(
            kind, rule, of.url, of.timestamp, self._inputs[of.file].path, of.number + 1, told.text, told.places,
            told.why, told.step, line,
        )  # fmt: skip

    def _lines_of(self, pages: Sequence[Candidate], teller: Teller) -> list[Sample]:
        """The samples of lines, told once for all variants that have the same pages and judge their lines alike."""
        key = (tuple((of.file, of.number) for of in pages), teller.phrases)
        if key not in self._known_lines:
            self._known_lines[key] = list(self._lines(pages, teller))
        return self._known_lines[key]

    def _lines(self, pages: Sequence[Candidate], teller: Teller) -> Iterator[Sample]:
        """Lines that the rules drop, and some that they nearly drop, of pages as they were read."""
        clean = self._settings.clean
        for fate, page, number, line in line_samples(clean.rules, teller.phrases, clean.samples).of(pages):
            kind, rule = (NEAR_LINE, "too_few_words") if fate == "kept" else (DROPPED_LINE, fate)
            seen = teller.seen_in_line(line, rule)
            places = seen.places if kind == DROPPED_LINE else ()
            yield self._sample(pages[page], kind, rule, _Told(line, places=places, why=seen.remark), number)


def _page_of(candidate: Candidate) -> Page:
    return Page(candidate.url, candidate.body, candidate.timestamp, "", "")


def _tell(of: Candidate, reason: int, teller: Teller) -> _Told:
    page = _page_of(of)
    if reason in _NOT_BY_A_STEP:
        return _Told(page.text if of.stage == AS_READ else of.body.decode())
    known = REASONS[reason] if len(of.body) < MOST_HELD - 3 else ""  # nothing of the page is missing
    if of.stage == CLEANED:
        taken = teller.dropped_after(of.body.decode(), known)
    else:
        taken = teller.dropped_before(page, known)
    if taken is None or taken.result != REASONS[reason]:
        why = f"what tripped it stands behind the first {MOST_HELD:,} bytes of the page"
        return _Told(of.body.decode(), why=why)
    seen = teller.tripped(taken)
    return _Told(taken.text, taken.step, seen.places, seen.remark)
