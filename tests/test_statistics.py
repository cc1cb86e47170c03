"""Statistics against a plain recount: exact where all pages are looked at, within the stated error where a sketch is full."""

import random
from collections import Counter

import pytest
import tldextract
from builds import build
from hypothesis import given
from hypothesis import strategies as st
from test_explain import explained

from c4build.corpora.explain import Explainer
from c4build.flow.figures import Looking, Sketch
from c4build.rules.tables import RULE_SETS, VARIANTS
from c4build.write.samples import read_samples
from c4build.write.statistics import MOST_COUNTED, MOST_JUDGED, Side, read_statistics


def assert_recounted(side: Side, texts: list[tuple[str, str]], figures):
    """`texts`: (url, text) of all pages; `figures` is what `explain` counts of a text."""
    found = [figures(text) for _, text in texts]
    for name, histogram in side.histograms.items():
        values = [getattr(one, name) for one in found]
        assert (histogram.sampled, histogram.pages, histogram.total) == (len(texts), len(texts), sum(values)), name
        assert sum(pages for *_, pages in histogram.counts) == len(texts)
        for low, high, pages in histogram.counts:
            assert sum(low <= value < high for value in values) == pages, name
    likely = Counter(one.languages[0][0] if one.languages else "" for one in found)
    assert {language.name: language.pages for language in side.languages} == likely
    for language in side.languages:
        assert sum(language.probabilities) == language.pages
    pages, size = Counter(), Counter()
    extract = tldextract.TLDExtract(suffix_list_urls=())
    for url, text in texts:
        host = extract(url)
        domain = f"{host.domain}.{host.suffix}"
        pages[domain] += 1
        size[domain] += len(text.encode())
    assert (dict(side.domains_by_pages.counted), side.domains_by_pages.error) == (pages, 0)
    assert dict(side.domains_by_bytes.counted) == size


@pytest.mark.parametrize("rules", ["paper", "c4-3.1.0"])
def test_what_is_counted_is_what_explain_counts(rules, sources, tmp_path):
    request = sources.request(tmp_path, rules=rules, variants=["en", "en.noclean", "realnewslike"])
    for name, manifest in build(request).items():
        found, of_variant = read_statistics(manifest["folder"]), request._replace(variants=[name])
        told = [one for one in explained(of_variant, request.out) if one.page and one.fate != "not_a_news_domain"]
        figures = Explainer.asked(of_variant).teller.figures
        assert_recounted(found.before, [(one.page.url, one.page.text) for one in told], figures)
        kept = [one for one in told if one.fate == "kept"]
        assert_recounted(found.after, [(one.page.url, one.text) for one in kept], figures)
        repeated = Counter(unit.text[:200] for one in told for unit, _ in one.repeats)
        assert dict(found.repeated.counted).items() <= repeated.items() and found.repeated.error == 0
        assert len(found.repeated.counted) == min(len(repeated), 100)


@pytest.mark.parametrize("rules", RULE_SETS)
def test_the_matrix_is_what_variants_of_one_rule_each_drop(rules, sources, tmp_path):
    request = sources.request(tmp_path, rules=rules, variants=["en"])
    (manifest,) = build(request).values()
    found = read_statistics(manifest["folder"]).rules
    drops = []
    for rule in found.rules:
        others = [step for step in sorted(VARIANTS["en"].steps) if step not in (rule, "lines")]
        alone = " - ".join(["en", *others])
        told = explained(request._replace(variants=["only"], own_variants=[f"only={alone}"]))
        drops.append({(one.page.url, one.number) for one in told if one.page and one.step})
    assert found.both == [[len(a & b) for b in drops] for a in drops]
    for at, alone in enumerate(found.alone):
        assert alone == len(drops[at].difference(*drops[:at], *drops[at + 1 :]))
    assert sum(found.alone) > 0


def test_what_is_nearly_dropped_is_told(sources, tmp_path):
    request = sources.request(tmp_path, variants=["en"], settings=["min_sentences=8"])
    (manifest,) = build(request).values()
    near = [one for one in read_samples(manifest["folder"]) if one.kind == "near_page"]
    told = Explainer.asked(request).teller
    kept = {one.page.url: one.text for one in explained(request, request.out) if one.fate == "kept"}
    exact = {url for url, text in kept.items() if told.figures(text).sentences == 8}
    assert {one.url for one in near if one.rule == "too_few_sentences"} == exact != set()
    assert {one.why for one in near} == {"8 sentences, 8 at least"}


@pytest.mark.parametrize("pages", [MOST_COUNTED + 1, 5 * MOST_COUNTED, 40_000])
def test_the_pages_looked_at_are_those_of_the_lowest_hashes(pages):
    choose = random.Random(pages)
    chances = [choose.randrange(2**64) for _ in range(pages)]
    looking = Looking()
    for chance in chances:
        looking.add(chance, bytes(100), str(chance), True)
    looked = looking.found()
    assert sorted(int(page.url) for page in looked.pages) == sorted(c for c in chances if c < looked.level.limit)
    assert len(looked.pages) <= MOST_COUNTED < sum(c < 2 * looked.level.limit for c in chances)
    judged = looked.judged.limit
    assert all((page.body is not None) == (int(page.url) < judged) for page in looked.pages)
    assert sum(c < judged for c in chances) <= MOST_JUDGED < sum(c < 2 * judged for c in chances)


@given(st.lists(st.lists(st.tuples(st.sampled_from("abcdefghijklmnop"), st.integers(1, 50)))), st.integers(1, 6))
def test_a_sketch_is_wrong_by_no_more_than_it_says(parts, names):
    truth, whole = Counter(), Sketch(names)
    for part in parts:
        sketch = Sketch(names)
        for name, count in part:
            truth[name] += count
            sketch.add([name], [count])
        error, counts = sketch.to_json()
        assert len(counts) <= names
        whole.merge(Sketch(names, counts, error))
    assert len(whole.counts) <= 2 * names
    assert all(whole.counts[name] <= count <= whole.counts[name] + whole.error for name, count in truth.items())
    assert (names + 1) * whole.error <= truth.total()
