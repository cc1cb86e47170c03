"""`explain` gives each page the fate that the build gave it, tells what tripped a rule, and prints nothing that acts."""

import json
from collections import Counter

import pytest
import wet_files
from adversarial import pack
from adversarial import wet_files as odd_wet_files
from builds import VARIANTS, build, make_sources
from command import run_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c4build.corpora.c4 import Request
from c4build.corpora.examples import find_shards, read_shard
from c4build.corpora.explain import Explainer, choose, open_source, read_source
from c4build.errors import NothingReadError
from c4build.rules.badwords import bad_word_finder, bad_word_test
from c4build.rules.tables import RULE_SETS
from c4build.sample.resources import sample_folder

SAMPLE = sample_folder()
_DOMAINS = {"a.org": True, "b.org": ["news"], "c.co.uk": ["", "www"]}


def explained(request: Request, against: str = "") -> list:
    """What `explain` says of all pages of all inputs, in their order."""
    explainer = Explainer(request, against)
    found = []
    for path in sorted(request.inputs):
        source = open_source(str(path))
        found += explainer.explain(list(read_source(source, explainer.rules, [])), source.identity)
    return found


def assert_as_built(request: Request, variants=VARIANTS):
    """Counts by rule are those of the manifests, and what is kept is, page by page, what was written."""
    for name, manifest in build(request).items():
        if name not in variants:
            continue
        told = explained(request._replace(variants=[name]), request.out)
        fates = Counter(one.fate for one in told)
        assert fates.pop("kept", 0) == manifest["kept"], name
        assert fates == manifest["dropped"], name
        written = Counter(
            (example["url"], example["timestamp"], example["text"])
            for shard in find_shards(manifest["folder"])
            for example in read_shard(shard)
        )
        assert Counter((one.page.url, one.page.timestamp, one.text) for one in told if one.fate == "kept") == written
        assert sum(len(one.repeats) for one in told) == manifest["repeats_removed"]


def of_sample(inputs, out, rules: str) -> Request:
    return Request(
        inputs=list(map(str, inputs)),
        out=str(out),
        rules=rules,
        variants=VARIANTS,
        realnews_domains=str(SAMPLE / "realnews_domains.json"),
        webtext_urls=[str(SAMPLE / "webtext_urls.txt")],
        format="jsonl",
    )


@pytest.mark.parametrize("rules", RULE_SETS)
def test_pages_of_the_sample_have_the_fates_that_the_build_gave_them(rules, tmp_path):
    assert_as_built(of_sample([SAMPLE / "sample.warc.wet.gz"], tmp_path, rules))


@pytest.mark.parametrize("rules", RULE_SETS)
def test_pages_of_several_inputs_have_the_fates_that_the_build_gave_them(rules, tmp_path, sources):
    assert_as_built(sources.request(tmp_path, rules=rules, format="jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULE_SETS)
@pytest.mark.parametrize("files", ["articles.warc.wet.gz", "crawl-*.warc.wet.gz"])
def test_real_pages_have_the_fates_that_the_build_gave_them(files, rules, tmp_path, shared):
    assert_as_built(of_sample(sorted((shared / "wet").glob(files)), tmp_path, rules))


def assert_made_up_files_as_built(files, one_member: bool, folder, rules: str):
    folder.mkdir()
    inputs = []
    for number, records in enumerate(files):
        inputs.append(folder / f"{number}.warc.wet.gz")
        inputs[-1].write_bytes(pack(records, one_member))
    (folder / "domains.json").write_text(json.dumps(_DOMAINS))
    (folder / "urls.txt").write_text("https://www.a.org/x/\nd.org/\u00e9\n\n", encoding="utf-8")
    request = of_sample(inputs, folder / "out", rules)
    lists = {"realnews_domains": str(folder / "domains.json"), "webtext_urls": [str(folder / "urls.txt")]}
    try:
        assert_as_built(request._replace(**lists))
    except NothingReadError:
        pass


FILES = st.lists(odd_wet_files(), min_size=1, max_size=2)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=FILES, one_member=st.booleans(), rules=st.sampled_from(sorted(RULE_SETS)))
def test_pages_that_hypothesis_makes_have_the_fates_that_the_build_gave_them(
    files, one_member, rules, tmp_path_factory
):
    assert_made_up_files_as_built(files, one_member, tmp_path_factory.mktemp("made") / "up", rules)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=FILES, one_member=st.booleans(), rules=st.sampled_from(sorted(RULE_SETS)))
def test_many_pages_that_hypothesis_makes_have_the_fates_that_the_build_gave_them(
    files, one_member, rules, tmp_path_factory
):
    assert_made_up_files_as_built(files, one_member, tmp_path_factory.mktemp("made") / "up", rules)
