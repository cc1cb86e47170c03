"""`diff` names the pages that a plain comparison of two outputs names, says why, and prints nothing that acts."""

import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import wet_files
from builds import build
from command import run_command
from hypothesis import given
from hypothesis import strategies as st
from object_servers import BUCKET, serving_s3
from test_explain import explained

from c4build.commands.diff import line_diff
from c4build.corpora.c4 import Request
from c4build.corpora.examples import find_shards, read_shard
from c4build.corpora.meet import deal_out, entry, meet
from c4build.sample.resources import sample_folder

SAMPLE = str(sample_folder() / "sample.warc.wet.gz")


@pytest.fixture(scope="module")
def sample_builds(tmp_path_factory) -> dict[int, Path]:
    """The sample, built with min_sentences=4 and 5."""
    outs = {least: tmp_path_factory.mktemp(f"least-{least}") for least in (4, 5)}
    for least, out in outs.items():
        build(Request([SAMPLE], str(out), settings=[f"min_sentences={least}"], format="jsonl"))
    return outs


def texts(out) -> dict[str, str]:
    """URL: text of all pages of the variant en below a folder, read plainly."""
    (folder,) = {path.parent for path in Path(out).glob("c4/en/*/*-of-*")}
    return {one["url"]: one["text"] for shard in find_shards(str(folder)) for one in read_shard(shard)}


def diff(*arguments) -> dict:
    done = run_command("diff", *arguments, "--json", "-n", 10_000)
    assert done.code == 0, done.err
    return json.loads(done.out)


def assert_names_what_differs(found: dict, a, b):
    """The pages that `diff` names are those of a plain comparison."""
    one, two, named = texts(a), texts(b), found["examples"]
    changed = {url for url in one.keys() & two.keys() if one[url] != two[url]}
    assert {page["url"] for page in named["only_a"]} == one.keys() - two.keys()
    assert {page["url"] for page in named["only_b"]} == two.keys() - one.keys()
    assert {page["url"] for page in named["other_text"]} == changed
    pages = found["pages"]
    assert [pages[kind] for kind in ("only_a", "only_b", "other_text")] == [
        len(named[kind]) for kind in ("only_a", "only_b", "other_text")
    ]
    assert pages["same"] + pages["other_fields"] == len(one.keys() & two.keys()) - len(changed)
    for page in named["other_text"]:
        signs = {"-": one, "+": two}
        assert page["lines"] and all(line in signs[sign][page["url"]].split("\n") for sign, line in page["lines"])


def test_two_builds_of_the_sample_differ_by_the_pages_that_a_plain_comparison_names(sample_builds):
    found = diff(sample_builds[4], sample_builds[5])
    assert_names_what_differs(found, sample_builds[4], sample_builds[5])
    assert found["pages"]["only_a"] == 2 and found["pages"]["only_b"] == 0
    assert {page["reason"] for page in found["examples"]["only_a"]} == {"too_few_sentences"}
    changes = {change["what"]: (change["a"], change["b"]) for change in found["differences"]}
    assert changes["min_sentences"] == (4, 5) and changes.keys() == {"name", "version", "min_sentences"}
    manifests = [json.loads(next(Path(sample_builds[n]).glob("c4/en/*/c4build.json")).read_bytes()) for n in (4, 5)]
    for reason, counts in found["counts"]["dropped"].items():
        assert counts == [manifest["dropped"].get(reason, 0) for manifest in manifests]


def test_what_differs_is_told_to_a_person(sample_builds):
    done = run_command("diff", sample_builds[4], sample_builds[5], "-n", 1)
    assert done.code == 0 and done.err == ""
    assert "min_sentences: 4 in A, 5 in B" in done.out and "2  only in A" in done.out
    assert done.out.count("too_few_sentences: 4 sentences, 5 at least") == 1


@pytest.mark.parametrize("page_files", ["there", "gone"])
def test_why_a_page_is_in_one_build_only_is_what_explain_says_of_it(page_files, sources, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    (tmp_path / "left-out.txt").write_text("example.org/page-50\n")
    of_a = sources.request(a, variants=["en"], inputs=sources.wet[:2], format="parquet")
    lists = {"variants": ["en"], "exclude": str(tmp_path / "left-out.txt"), "settings": ["min_sentences=9"]}
    of_b = sources.request(b, inputs=sources.wet[1:], **lists)
    build(of_a)
    build(of_b)
    fates = {one.page.url: one.fate for one in explained(of_b, of_b.out) if one.page}
    if page_files == "gone":
        for out in (a, b):
            shutil.rmtree(out / ".c4build")
    found = diff(a, b, "--badwords", sources.bad_words, "--exclude", tmp_path / "left-out.txt")
    assert_names_what_differs(found, a, b)
    for page in found["examples"]["only_a"]:
        assert page["reason"] == fates.get(page["url"], "no_input"), page
    reasons = Counter(page["reason"] for page in found["examples"]["only_a"])
    assert reasons["no_input"] > 20 and reasons["too_few_sentences"] > 10
    assert {page["reason"] for page in found["examples"]["only_b"]} == {"no_input"}
    other = diff(a, b)
    assert {page["reason"] for page in other["examples"]["only_a"]} == {""}
    assert "not known: the list of pages that were left out" in other["examples"]["only_a"][0]["told"]


@pytest.mark.parametrize("format", ["tfrecord", "array_record", "parquet"])
def test_formats_are_read_alike(format, sample_builds, tmp_path):
    build(Request([SAMPLE], str(tmp_path), format=format))
    found = diff(sample_builds[5], tmp_path)
    assert found["pages"] == {"same": 419, "only_a": 0, "only_b": 0, "other_text": 0, "other_fields": 0}
    assert {change["what"] for change in found["differences"]} == {"format"}


@pytest.mark.slow
def test_a_build_in_a_bucket_is_compared_and_read_there(sample_builds, tmp_path):
    boto3 = pytest.importorskip("boto3")
    local = diff(sample_builds[4], sample_builds[5])
    url, text = next(iter(texts(sample_builds[4]).items()))
    (tmp_path / "set.txt").write_text(text)
    with serving_s3() as (_, environment), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client, out = boto3.client("s3"), sample_builds[4]
        client.create_bucket(Bucket=BUCKET)
        for path in out.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), BUCKET, f"four/{path.relative_to(out)}")
        done = run_command("diff", f"s3://{BUCKET}/four", sample_builds[5], "--json", "-n", 9, environment=environment)
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert (found["pages"], found["examples"]) == (local["pages"], local["examples"])
        done = run_command(
            "overlap", f"s3://{BUCKET}/four", "--with", tmp_path / "set.txt", "--json", environment=environment
        )
        assert done.code == 0, done.err
        (document,) = json.loads(done.out)["documents"]
        assert url in {place["url"] for place in document["places"]} or document["pages"] > 5


_names, _words = st.sampled_from("abcdefgh"), st.sampled_from(["", "x", "y\nz"])
_corpora = st.lists(st.fixed_dictionaries({"url": _names, "text": _words, "timestamp": _words}), max_size=30)


@given(_corpora, _corpora, st.integers(1, 9), st.integers(0, 3))
def test_streamed_comparison_is_that_of_dicts(tmp_path_factory, a, b, partitions, most):
    folders = []
    for side in (a, b):
        folders.append(str(tmp_path_factory.mktemp("side")))
        names = {"url", "timestamp"}
        assert deal_out((entry(one, 0, row, names) for row, one in enumerate(side)), folders[-1], partitions) == len(
            side
        )
    found = meet(*folders, partitions, most)
    expected = _compared(a, b)
    assert (found.same, found.other_fields, found.other_text, found.only_a, found.only_b) == expected
    for kept, side, count in ((found.examples_a, a, found.only_a), (found.examples_b, b, found.only_b)):
        assert len(kept) == min(most, count)
        assert all(one.item() == entry(side[one["row"]], 0, int(one["row"]), names) for one in kept)
    assert len(found.pairs) == min(most, found.other_text)
    for one, two in found.pairs:
        assert a[one["row"]]["url"] == b[two["row"]]["url"] and a[one["row"]]["text"] != b[two["row"]]["text"]


def _compared(a: list[dict], b: list[dict]) -> tuple[int, int, int, int, int]:
    """(same, other fields, other text, only in A, only in B) by names, with as many alike as can be."""
    sides = []
    for side in (a, b):
        by_name = defaultdict(list)
        for one in side:
            by_name[one["url"]].append(one)
        sides.append(by_name)
    counts = [0] * 5
    for name in {*sides[0], *sides[1]}:
        one, two = list(sides[0][name]), list(sides[1][name])
        for kind, alike in enumerate((("text", "timestamp"), ("text",), ())):
            for page in list(one):
                same = next((other for other in two if all(page[f] == other[f] for f in alike)), None)
                if same is not None:
                    one.remove(page)
                    two.remove(same)
                    counts[kind] += 1
        counts[3] += len(one)
        counts[4] += len(two)
    return tuple(counts)


@given(st.lists(st.sampled_from("abc"), min_size=1), st.lists(st.sampled_from("abc"), min_size=1))
def test_a_line_diff_turns_one_text_into_the_other(a, b):
    told = list(line_diff("\n".join(a), "\n".join(b)))
    left, came = (Counter(line for sign, line in told if sign == wanted) for wanted in "-+")
    assert Counter(a) - left + came == Counter(b) and not left - Counter(a)


def test_no_command_of_a_page_reaches_the_terminal(tmp_path):
    odd = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202eback\u2066 is what the old baker of the town always said to us."
    first = [
        wet_files.Written("http://a.org/\x1b[2J\u202e\u2028\u2029\x85\x0b\x1c\u20601", wet_files.text(1) + "\n" + odd)
    ]
    same = wet_files.Written("http://a.org/\x1b[2J\u202e\u2028\u2029\x85\x0b\x1c\u20602", wet_files.text(2))
    changed = same._replace(text=wet_files.text(2) + "\n" + odd)
    for name, pages in (("a", [*first, same]), ("b", [changed])):
        wet_files.write_wet(tmp_path / f"{name}.warc.wet.gz", pages)
        build(Request([str(tmp_path / f"{name}.warc.wet.gz")], str(tmp_path / name)))
    for more in ([], ["--json"]):
        terminal = {"FORCE_COLOR": "1", "TERM": "xterm"}
        done = run_command("diff", tmp_path / "a", tmp_path / "b", *more, environment=terminal)
        assert done.code == 0 and "\\u202e" in done.out
        assert "\x1b[2J" not in done.out and "\x1b[31mred" not in done.out and "\x1b]" not in done.out
        styled = done.out.replace("\n", "") if more else done.out.replace("\x1b[", "").replace("\n", "")
        assert styled.isprintable()


def test_what_cannot_be_compared_is_said_in_a_line(sample_builds, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(sample_builds[4], out)
    (shard,) = out.glob("c4/en/*/*-train*")
    content = shard.read_bytes()
    for change, code, said in (
        (lambda: shard.write_bytes(content[:-500]), 1, shard.name),
        (lambda: shard.unlink(), 1, f"{shard.name} is missing"),
        (lambda: (out / "c4/en" / shard.parent.name / "c4build.json").unlink(), 2, "it is not complete"),
        (lambda: shutil.rmtree(out), 2, f"{out}: no corpus that c4build made lies here"),
    ):
        change()
        done = run_command("diff", out, sample_builds[5])
        assert done.code == code and said in done.err and len(done.err.splitlines()) == 1 and done.out == ""
    both = tmp_path / "both"
    for least in (4, 5):
        shutil.copytree(sample_builds[least] / "c4", both / "c4", dirs_exist_ok=True)
    done = run_command("diff", both, sample_builds[5])
    assert done.code == 2 and "name one of the folders" in done.err
    done = run_command("diff", sample_builds[4], sample_builds[5], "--scratch", tmp_path / "none")
    assert done.code == 2 and f"--scratch {tmp_path / 'none'}: there is no such folder" in done.err
