"""Variants of one's own: from the same read as the others, byte for byte what a build of its own makes; read by TFDS."""

import json

import pytest
import wet_files
from builds import build
from command import run_command

from c4build.corpora.c4 import Request
from c4build.dedup.keys import MOST_VARIANTS
from c4build.rules.own_variants import leave_one_out, own_variants, parse_variant
from c4build.rules.tables import RULE_SETS, VARIANTS, RuleError, load_rules


@pytest.fixture(scope="module")
def wet(tmp_path_factory) -> str:
    """A WET file of pages that every rule takes one of, and that nothing else would take."""
    text, Written = wet_files.text, wet_files.Written
    german = ["Die alte Frau ging langsam durch den Garten.", "Der Hund schlief am Ofen.", "Es regnete den ganzen Tag."]
    found = wet_files.pages(0, 12) + [
        Written("http://a.org/bad", text(100) + "\nNobody had ever called him a blorptastic fellow before."),
        Written("http://a.org/code", text(101) + "\nThe braces {like these} are what programmers write."),
        Written("http://a.org/lorem", text(102) + "\nThe words lorem ipsum stand for text to come."),
        Written("http://a.org/both", text(103) + "\nThe words lorem ipsum { stand for text to come."),
        Written("http://a.org/code-and-bad", text(104) + "\nA blorptastic {fellow} of the north he was."),
        Written("http://a.org/short", text(105, 1)),
        Written("http://a.org/german", "\n".join(f"{line[:-1]} im Jahr {n}." for n, line in enumerate(german * 4))),
        Written("http://a.org/same", text(3)),
        Written("http://a.org/some", text(4, 4) + "\n" + text(106)),
        Written("http://a.org/few-left", text(5) + "\n" + text(107, 1)),
    ]
    return wet_files.write_wet(tmp_path_factory.mktemp("wet") / "a.warc.wet.gz", found)


@pytest.fixture(scope="module")
def bad_words(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("lists") / "bad.txt"
    path.write_text("blorptastic\n")
    return str(path)


def shards(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


def turned_off(rules: str, rule: str) -> list[str]:
    """Settings that take a rule out of a rule set; none where there are none."""
    base = RULE_SETS[rules]
    if base.page_phrases_in_lines and rule == "curly_bracket":
        return ["curly_brackets=[]"]
    return [
        f"{when}={json.dumps([step for step in getattr(base, when) if step != rule])}"
        for when in ("before", "after")
        if rule in getattr(base, when)
    ]


@pytest.mark.parametrize("rules", [pytest.param("paper-final", marks=pytest.mark.slow), "c4-3.1.0"])
def test_leave_one_out_is_byte_for_byte_what_builds_without_one_rule_make(rules, wet, bad_words, tmp_path):
    request = Request([wet], str(tmp_path / "all"), rules=rules, bad_words=bad_words, leave_one_out=True)
    made = build(request)
    names = ["lorem_ipsum", "curly_bracket", "bad_words", "sentences", "language", "sentences_left", "duplicates"]
    assert sorted(made) == sorted(["en", *(f"en.without_{rule}" for rule in names)])
    for rule in names:
        name, out = f"en.without_{rule}", tmp_path / rule
        settings = turned_off(rules, rule)
        if settings:
            build(request._replace(out=str(out), settings=settings, leave_one_out=False))
        else:  # no setting turns it off: the variant alone, from a read of its own
            own = [f"{name}=en - {rule}"]
            build(request._replace(out=str(out), variants=[name], own_variants=own, leave_one_out=False))
        (alone,) = out.glob("c4/*/*/")
        together = tmp_path / "all/c4" / name / RULE_SETS[rules].version
        assert shards(alone) == shards(together), rule
        kept = made[name]["kept"]
        assert kept > made["en"]["kept"] or rule in ("duplicates", "sentences"), rule
    assert made["en.without_duplicates"]["repeats_removed"] == 0 < made["en"]["repeats_removed"]


def test_eleven_variants_come_of_one_read_and_tfds_reads_them(wet, bad_words, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    rules = tmp_path / "mine.toml"
    rules.write_text(
        'base = "paper-final"\n[variants]\nplain = "en - bad_words - curly_bracket"\n"p.2" = "plain - language"\n'
    )
    line = ["build", wet, "--out", tmp_path / "out", "--badwords", bad_words, "--rules", rules, "--workers", 1]
    done = run_command(*line, "--leave-one-out", "--variant", "raw-en=en.noclean + bad_words")
    assert (done.code, done.error_lines) == (0, [])
    manifests = {
        path.parent.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("out/c4/*/*/c4build.json")
    }
    manifests = {name: found.get("content", found) for name, found in manifests.items()}
    assert len(manifests) == 11
    assert manifests["p.2"]["kept"] == manifests["plain"]["kept"] + 1 > manifests["en"]["kept"]
    for name, manifest in manifests.items():
        loaded = tfds.load(f"c4/{name}:1.1.0", data_dir=str(tmp_path / "out"), download=False)
        assert sum(len(split) for split in loaded.values()) == manifest["kept"], name
    again = run_command(*line, "--variant", "raw-en=en.noclean")
    assert again.code == 2 and "holds a corpus with variant = [bad_words, language], not [language], " in again.err


def test_a_formula_takes_rules_out_and_puts_them_in():
    plain = parse_variant("plain", " en  - bad_words -language ")
    assert plain.steps == VARIANTS["en"].steps - {"bad_words", "language"} and plain.deduplicated
    assert parse_variant("x", "en.noblocklist + bad_words").steps == VARIANTS["en"].steps
    assert not parse_variant("x", "en - duplicates").deduplicated
    assert parse_variant("x", "realnewslike - language").news_only
    assert [one.name for one in own_variants("paper", ["a=en - language", "b=a - bad_words"])] == ["a", "b"]
    names = [one.name for one in leave_one_out(load_rules("paper", ('before=["lines"]', "after=[]")))]
    assert names == ["en.without_duplicates"]


@pytest.mark.parametrize(
    "given, said",
    [
        ("en - bad_words", "--variant en - bad_words: write it as in NAME='en - bad_words'"),
        ("en=en - language", "the name is taken"),
        ("a/b=en", "the name must be letters, digits, _ . - and begin with a letter"),
        ("x=english", "no variant is called 'english': there are en, en.noblocklist"),
        ("x=en - words", "no rule is called 'words': there are lorem_ipsum, "),
        ("x=en bad_words", "write it as in 'en - bad_words'"),
        ("x=en - lines", "duplicates are found among cleaned lines; take out `duplicates` with `lines`"),
    ],
)
def test_a_formula_that_cannot_be_is_refused_in_a_line(given, said):
    with pytest.raises(RuleError) as caught:
        own_variants("paper", [given])
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_more_variants_than_a_run_can_make_are_refused(wet, tmp_path):
    own = [f"v{number}=en" for number in range(MOST_VARIANTS)]
    line = [part for one in own for part in ("--variant", one)]
    done = run_command("build", wet, "--out", tmp_path / "out", *line)
    assert (done.code, done.err) == (2, f"c4build: {MOST_VARIANTS + 1} variants: one run makes up to {MOST_VARIANTS}\n")
    assert not (tmp_path / "out").exists()
