"""Rules of one's own: docs/rules.md says what the code does, and no changed rule set meets another's folder."""

import dataclasses
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import wet_files
from builds import build

from c4build.corpora.c4 import Request
from c4build.rules.tables import REASONS, RULE_SETS, STEPS, RuleSet, load_rules, reasons_in_order

PAGE = Path(__file__).parent.parent / "docs/rules.md"


def test_a_changed_rule_set_has_a_version_of_its_own():
    rules = load_rules("paper", ("min_sentences=4",))
    assert (rules.name, rules.version) == ("paper+", "1.0.586263642")
    assert load_rules("paper-final", ("min_sentences=4",)).version.startswith("1.1.")
    versions = {load_rules("paper", (f"min_sentences={n}",)).version for n in range(1, 1000) if n != 5}
    assert len(versions) == 998 and "1.0.0" not in versions


def test_the_same_change_has_the_same_version_however_it_is_written_and_in_every_process(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('base = "paper"\nend_marks = ["."]\nmin_sentences = 4\nmin_words_per_line = 3\n')
    settings = ("min_sentences=4", 'end_marks=["."]')
    expected = load_rules(str(file)).version
    assert load_rules("paper", settings).version == load_rules("paper", settings[::-1]).version == expected
    code = f"from c4build.rules.tables import load_rules; print(load_rules('paper', {settings!r}).version)"
    for seed in ("1", "2"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)})  # fmt: skip
        assert done.stdout.strip() == expected


def test_a_change_that_changes_nothing_keeps_name_and_version():
    assert load_rules("paper", ("min_sentences=5", 'drop_lines_with=["javascript"]')) is RULE_SETS["paper"]


def test_a_version_that_is_given_stays():
    assert load_rules("paper", ("min_sentences=4", "version=2.0.1")).version == "2.0.1"
    assert load_rules("paper", ("name=mine",)).version not in ("1.0.0", load_rules("paper", ("name=yours",)).version)


def test_a_changed_rule_set_is_built_beside_the_original_and_tfds_loads_both(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    source = wet_files.write_wet(tmp_path / "a.warc.wet.gz", wet_files.pages(0, 10))
    (tmp_path / "bad.txt").write_text("blorptastic\n")
    request = Request(inputs=[source], out=str(tmp_path / "out"), bad_words=str(tmp_path / "bad.txt"))
    assert build(request)["en"]["kept"] == 10
    changed = request._replace(settings=("min_sentences=10",))
    assert build(changed)["en"]["kept"] == 2  # every fifth page has 12 lines, the others 8
    for rules, kept in ((RULE_SETS["paper"], 10), (load_rules("paper", ("min_sentences=10",)), 2)):
        loaded = tfds.load(f"c4/en:{rules.version}", data_dir=str(tmp_path / "out"), download=False)
        assert sum(len(split) for split in loaded.values()) == kept


def documented() -> dict[str, str]:
    """Fields and what the page says they are in `paper`."""
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \| ", PAGE.read_text().partition("Steps for")[0], re.MULTILINE))


def test_the_page_has_every_field_with_the_value_of_paper():
    fields = documented()
    assert sorted(fields) == sorted(field.name for field in dataclasses.fields(RuleSet))
    paper = RULE_SETS["paper"].to_json()
    for name, said in fields.items():
        if said != "see below":
            value = paper[name]
            assert tomllib.loads(f"x = {said.strip('`')}")["x"] == (list(value) if isinstance(value, tuple) else value)
    (before,) = re.findall(r"`before = (\[.+?\])`", PAGE.read_text())
    assert tomllib.loads(f"x = {before}")["x"] == list(paper["before"])


def test_the_page_has_every_step_and_nothing_else():
    steps = re.findall(r"^\| `(\w+)` \| ", PAGE.read_text().partition("Steps for")[2], re.MULTILINE)
    assert sorted(steps) == sorted(STEPS)


def test_the_example_of_the_page_is_what_its_settings_say_and_builds(tmp_path):
    text = PAGE.read_text()
    (example,) = re.findall(r"```toml\n(.+?)```", text, re.DOTALL)
    file = tmp_path / "shorter.toml"
    file.write_text(example)
    rules = load_rules(str(file))
    settings = tuple(
        one or other
        for one, other in re.findall(r"--set (?:'(.+?)'|(\S+))", text.partition("```bash")[2].partition("```")[0])
    )
    assert rules == load_rules("paper-final", settings)
    assert (rules.name, rules.min_sentences, rules.remove_citations) == ("paper-final+", 2, True)
    line = "Here is a line about the old mill at number {} by the river."
    pages = [
        wet_files.Written(f"http://example.org/{n}", "\n".join(line.format(10 * n + i) for i in range(n)))
        for n in (1, 2)
    ]
    source = wet_files.write_wet(tmp_path / "a.warc.wet.gz", pages)
    made = build(Request(inputs=[source], out=str(tmp_path / "out"), rules=str(file)))
    assert (made["en"]["kept"], made["en"]["dropped"]) == (1, {"too_few_sentences": 1})


@pytest.mark.parametrize("name", RULE_SETS)
def test_reasons_stand_in_the_order_in_which_a_page_meets_the_rules(name):
    order = reasons_in_order(RULE_SETS[name].to_json())
    assert sorted(order) == sorted(REASONS[1:])
    expected = {
        "c4-3.1.0": ["too_long", "duplicate_url", "curly_bracket", "too_few_sentences", "other_language", "bad_words"],
    }.get(
        name,
        [
            "too_long",
            "curly_bracket",
            "bad_words",
            "too_few_sentences",
            "other_language",
            "duplicate_url",
            "nothing_left",
        ],
    )
    assert [reason for reason in order if reason in expected] == expected
