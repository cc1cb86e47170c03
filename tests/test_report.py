"""`c4build report`: the page in a real browser, its numbers beside the manifests', other people's text as text."""

import json
import re
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import wet_files
from browser import Opened, open_browser
from builds import build
from command import run_command
from corpus_folders import complete_folders, counts, manifest, manifest_path
from wet_files import Written

from c4build.corpora.c4 import Request
from c4build.write.files import seal
from c4build.write.samples import DROPPED_LINE, DROPPED_PAGE, KEPT_PAGE, KINDS, Sample, write_samples
from c4build.write.statistics import (
    HISTOGRAMS,
    Histogram,
    Language,
    Matrix,
    Side,
    Statistics,
    Top,
    bin_of,
    write_statistics,
)

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"  # as in conftest.py

# What a page, a URL or a file may be called by somebody who means harm.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)></script>\u202etxt.exe\u2066\x1b[31m\x07\u200b&amp;"
DROPPED = "\n".join([HOSTILE + " sits there.", *wet_files.sentences(1, 8), "{ " + HOSTILE])


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """The demo's corpora, by other rules one of hostile pages and damaged inputs, and one of real articles where they are."""
    folder = tmp_path_factory.mktemp("report")
    done = run_command("demo", "--out", folder / "out")
    assert done.code == 0, done.err[-500:]
    name = HOSTILE.replace("/", "\u2044").replace("\0", "")
    hostile = folder / f"{name}.warc.wet.gz"
    pages = [Written(f"http://example.org/{number}?{HOSTILE}", DROPPED) for number in range(3)] + wet_files.pages(0, 20)
    wet_files.write_wet(hostile, pages)
    damaged = folder / f"{name} damaged.warc.wet.gz"
    damaged.write_bytes(hostile.read_bytes()[:-700])
    done = run_command("build", hostile, damaged, "--out", folder / "out", "--rules", "paper-final", "--workers", 1)
    assert done.code == 1, done.err[-500:]
    add_hostile(folder / "out/c4/en/1.1.0", str(damaged))
    if (articles := SHARED / "wet/articles.warc.wet.gz").exists():
        done = run_command("build", articles, "--out", folder / "out", "--rules", "c4-3.1.0", "--workers", 1)
        assert done.code == 0, done.err[-500:]
    return folder / "out"


def add_hostile(folder: Path, path: str):
    """Puts samples and statistics that hold hostile texts beside a corpus."""
    text = f"{HOSTILE} tripped here {HOSTILE}"
    place = (text.index("tripped"), text.index("here") + 4)
    samples = [
        Sample(
            kind, rule, f"http://{HOSTILE}/{rule}", HOSTILE, path, 3, text, 0, len(text), [place], HOSTILE, line=line
        )
        for kind, rule, line in (
            (DROPPED_PAGE, "bad_words", None),
            (DROPPED_LINE, "no_end_mark", 7),
            (KEPT_PAGE, "kept", None),
        )
    ]
    histogram = Histogram(90, 5760, 123_456, [(1, 2, 64), (128, 192, 5632), (192, 256, 64)])
    top = Top(90, 2, [(f"{HOSTILE}.example", 5000), ("example.org", 760), ("", 3)])
    languages = [Language("en", 5696, [0] * 19 + [5696]), Language("", 64, [64] + [0] * 19)]
    side = Side(dict.fromkeys(HISTOGRAMS, histogram), 90, languages, top, top, top, top)
    matrix = Matrix(90, 5760, ["bad_words", "sentences"], [64, 128], [[192, 64], [64, 256]])
    add(folder, samples, Statistics(before=side, after=side, rules=matrix, repeated=top))


def add(folder: Path, samples: list[Sample], statistics: Statistics):
    """Puts samples and statistics beside a corpus."""
    sums = {}
    write_samples(str(folder / "samples.jsonl"), samples, sums)
    write_statistics(str(folder / "statistics.json"), statistics, sums)
    said = manifest(folder)
    said["files"] |= {name: found._asdict() for name, found in sums.items()}
    (folder / "c4build.json").write_text(json.dumps(seal(said)))


@pytest.fixture(scope="module")
def report(out) -> Path:
    shown, browser = out.parent / "shown", out.parent / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shown}\n')
    browser.chmod(0o755)
    done = run_command("report", out, "--open", environment={"BROWSER": f"{browser} %s"})
    assert (done.code, done.out, done.err) == (0, f"{out}/report.html\n", "")
    assert shown.read_text() == (out / "report.html").as_uri() + "\n"
    return out / "report.html"


@pytest.fixture(scope="module")
def browser():
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser, report) -> Opened:
    return Opened(browser, report)


def numbers_of(folder: Path) -> dict[str, int]:
    """All that a manifest counts, by where it stands in it."""
    found = {}
    for name, value in counts(folder.parent)[folder.name].items():
        found |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return {name: value for name, value in found.items() if value or "." not in name or name.startswith("splits")}


def test_every_figure_is_that_of_the_manifest_and_every_count_of_a_manifest_is_there(out, opened):
    cells = opened.page.eval_on_selector_all(
        "td[data-of]", "all => all.map(td => [td.dataset.of, td.dataset.value, td.firstChild.textContent.trim()])"
    )
    shown = {of: (int(value), int(text.replace(",", ""))) for of, value, text in cells}
    expected = {}
    for folder in complete_folders(out):
        of_lines = {name: count for name, count in numbers_of(folder).items() if not name.startswith("lines")}
        expected |= {f"{folder.relative_to(out)} {name}": (count, count) for name, count in of_lines.items()}
    assert {of: pair for of, pair in shown.items() if " lines." not in of} == expected
    lines = {of: value for of, (value, _) in shown.items() if " lines." in of}
    for rules in ("1.0.0", "1.1.0"):
        said = manifest(out / "c4/en" / rules)["lines"]
        assert {f"c4/en/{rules} lines.{name}": count for name, count in said.items() if count}.items() <= lines.items()


def test_every_chart_says_what_the_table_beside_it_says(out, opened):
    for folder in complete_folders(out):
        place = str(folder.relative_to(out))
        said = manifest(folder)
        drawn = opened.page.eval_on_selector_all(
            f"[data-card='{place}'] svg text", "all => all.map(text => text.textContent)"
        )
        read = next(said[name] for name in ("pages", "books") if name in said)
        found = Counter(int(text.split(" ")[0].replace(",", "")) for text in drawn if text[0].isdigit())
        assert found == Counter([read, said["kept"], *said["dropped"].values()]), place


def test_the_page_asks_for_nothing_says_nothing_and_runs_nothing(opened, report):
    assert opened.requests == [report.as_uri()] and opened.said == []
    names, attributes, links = opened.page.evaluate(
        """[[...document.querySelectorAll("*")].map(one => one.localName),
            [...document.querySelectorAll("*")].flatMap(one => one.getAttributeNames()),
            [...document.querySelectorAll("[href]")].map(one => one.getAttribute("href"))]"""
    )
    assert not set(names) & {
        "script",
        "img",
        "iframe",
        "link",
        "object",
        "embed",
        "form",
        "use",
        "image",
        "foreignobject",
    }
    assert not [name for name in set(attributes) if name.startswith("on") or name in ("src", "style", "action")]
    assert {link[0] for link in links} == {"#"}
    html = report.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy


def test_what_pages_and_files_are_called_shows_as_text_and_nothing_unseen_is_left(out, opened):
    text = opened.page.inner_text("body") + opened.page.evaluate("document.body.textContent")
    assert (
        text.count("<script>alert(1)<\u2044script>\"'><img src=x onerror=alert(2)>") >= 2
    )  # inputs, and the damaged one
    left = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")} - {"\n", "\t"}
    assert left == set()
    signs = opened.page.eval_on_selector_all(".sign", "all => all.map(one => [one.textContent, one.title])")
    assert ["U+202E", "RIGHT-TO-LEFT OVERRIDE"] in signs and ["U+001B", "control character"] in signs


def test_samples_show_what_tripped_the_rule_and_statistics_their_numbers(opened):
    marked = opened.page.eval_on_selector_all("#g2 .samples mark", "all => all.map(mark => mark.textContent)")
    assert marked == ["tripped here"] * 3
    tables = opened.page.eval_on_selector_all(
        "#g2 article table",
        """all => Object.fromEntries(all.map(table => [table.caption.textContent,
            [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent.trim()))]))""",
    )
    assert tables["Words a page"] == [["1", "64", "64"], ["128 to 191", "5,632", "5,632"], ["192 to 255", "64", "64"]]
    assert tables["Pages that one rule alone drops, and that two rules both drop"][1] == [
        "sentences",
        "128",
        "64",
        "256",
    ]
    assert tables["Domains by pages"][1] == ["example.org", "760", "760"]
    drawn = opened.page.eval_on_selector_all("#g2 article svg text", "all => all.map(text => text.textContent)")
    assert {"5,000", "760", "5,696", "128"} <= set(drawn)


@pytest.fixture(scope="module")
def other(out) -> Path:
    """A build of nearly the same pages by another rule: some stay that the hostile corpus lacks, some have hostile lines more."""
    folder = out.parent / "other"
    longer = [
        page._replace(text=f"{page.text}\n{HOSTILE} stands behind the old mill.") for page in wet_files.pages(0, 12)
    ]
    hostile = Written(f"http://example.org/0?{HOSTILE}", DROPPED)
    source = wet_files.write_wet(out.parent / "other.warc.wet.gz", [hostile, *longer])
    build(Request([source], str(folder), rules="paper-final", settings=["curly_brackets=[]"]))
    return folder


@pytest.fixture(scope="module")
def small(out, other) -> Path:
    """A report of the hostile corpus alone, which has every kind of section."""
    folder = out.parent / "small"
    shutil.copytree(out / "c4/en/1.1.0", folder / "c4/en/1.1.0")
    shutil.copytree(out / ".c4build/runs", folder / ".c4build/runs")
    assert run_command("report", folder, "--against", other).code == 0
    return folder / "report.html"


def test_what_changed_is_what_diff_says_and_shows_as_text(browser, small, other):
    done = run_command("diff", small.parent, other, "--json", "-n", 5)
    found = json.loads(done.out)
    opened = Opened(browser, small)
    opened.open_all()
    tables = opened.page.eval_on_selector_all(
        "#changes table",
        """all => Object.fromEntries(all.map(table => [table.caption.textContent,
            [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent.trim()))]))""",
    )
    assert [int(count.replace(",", "")) for _, count in tables["Pages of both"]] == list(found["pages"].values())
    assert min(found["pages"][kind] for kind in ("only_a", "only_b", "other_text")) > 0
    counted = {
        name.replace("_", " "): pair
        for kind in ("pages", "dropped", "kept")
        for name, pair in found["counts"][kind].items()
    }
    assert {row[0]: [int(cell.replace(",", "")) for cell in row[1:3]] for row in tables["Pages by rule"]} == counted
    made = {name: (a, b) for name, a, b in tables["How they were made, where it differs"]}
    assert "{" in made["curly brackets"][0] and made["curly brackets"][1] == "" and "min sentences" not in made
    text = opened.page.inner_text("#changes")
    assert {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")} <= {"\n", "\t"}
    assert "no input: it did not read" in text
    lines = opened.page.eval_on_selector_all("#changes ins", "all => all.map(one => one.textContent)")
    assert len(lines) == 5 and all(
        line.startswith("+ <script>alert(1)</script>") and line.endswith("stands behind the old mill.")
        for line in lines
    )
    titles = opened.page.eval_on_selector_all("#changes h3", "all => all.map(one => one.textContent)")
    assert titles == [
        "Only in A, and why it is not in B", "Only in B, and why it is not in A", "With other text: − in A, + in B"
    ]  # fmt: skip
    assert opened.requests == [small.as_uri()] and opened.said == []
    opened.close()


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize(
    "which", ["small", pytest.param("report", marks=pytest.mark.slow)]
)  # a large page takes axe long
def test_axe_finds_nothing(browser, request, which, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe()
    opened = Opened(browser, request.getfixturevalue(which), width, scheme)
    opened.open_all()
    found = axe.run(opened.page, options={}).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    opened.close()


@pytest.mark.parametrize(
    "which, width, scheme", [("report", 1280, "dark"), ("report", 390, "light"), ("small", 390, "dark")]
)
def test_nothing_goes_over_the_edge(browser, request, which, width, scheme):
    opened = Opened(browser, request.getfixturevalue(which), width, scheme)
    for _ in range(2):
        opened.page.evaluate("window.scrollTo(1000, 0)")
        assert opened.page.evaluate("[document.documentElement.scrollWidth, window.scrollX]") == [width, 0]
        opened.open_all()
    opened.close()


def test_all_of_it_is_reached_by_keyboard(browser, small):
    opened = Opened(browser, small)
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")  # seen while it has the focus
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    summaries = page.evaluate("document.querySelectorAll('summary').length")
    toggled = 0
    for _ in range(1000):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BODY":
            break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            before = page.evaluate("document.activeElement.parentElement.open")
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open") is not before
            if before:
                page.keyboard.press("Enter")
            toggled += 1
    assert toggled == summaries > 5
    targets = page.eval_on_selector_all("nav a", "all => all.map(a => !!document.querySelector(a.hash))")
    assert all(targets) and len(targets) > 8
    opened.close()


@pytest.mark.slow
def test_a_report_of_a_crawl_with_many_variants_is_small(out, tmp_path):
    said = {**manifest(out / "c4/en/1.1.0"), "files": {}}
    many = {reason: 100_000_000_000 + n for n, reason in enumerate(manifest(out / "c4/en/1.0.0")["dropped"])}
    inputs = [{**said["inputs"][0], "path": f"crawl-data/segments/{n:05}.warc.wet.gz"} for n in range(90_000)]
    damaged = [
        {"input": f"crawl-data/segments/{n:05}", "offset": n, "what": "it ends too early"} for n in range(10_000)
    ]
    for variant in range(20):
        folder = tmp_path / f"c4/en.{variant:02}/1.1.0"
        folder.mkdir(parents=True)
        own = {
            "variant": f"en.{variant:02}",
            "pages": sum(many.values()) + 100_000_000,
            "kept": 100_000_000,
            "dropped": many,
        }
        fields = {**said, **own}
        if variant == 0:
            fields |= {"damaged": damaged, "more_damaged": 90_000, "inputs": inputs}
        (folder / "c4build.json").write_text(json.dumps(seal(fields)))
        if variant < 5:  # one has as many samples as the report shows, and their texts are as long as they can be
            texts = (
                [f"{reason} {n} ".ljust(1000, "\u1234") for reason in many for n in range(11)] if variant == 0 else []
            )
            samples = [
                Sample(kind, text.split()[0], f"http://{text}", "", "a", 1, text[:800], 0, 10**5)
                for text in texts
                for kind in KINDS
            ]
            add(folder, samples, large_statistics())
    done = run_command("report", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert 500_000 < (tmp_path / "report.html").stat().st_size < 5_000_000


def large_statistics() -> Statistics:
    """All lists as long as they can be."""
    histogram = Histogram(10**9, 10**12, 10**15, [(bin_of(3 << n)[0], bin_of(3 << n)[1], 10**10) for n in range(30)])
    top = Top(10**9, 10**6, [(f"{'a' * 60}{n}.example.co.uk", 10**12) for n in range(100)])
    languages = [Language(f"l{n}", 10**10, [10**9] * 20) for n in range(55)]
    side = Side(dict.fromkeys(HISTOGRAMS, histogram), 10**9, languages, top, top, top, top)
    return Statistics(
        before=side, after=side, rules=Matrix(9, 9, ["a"] * 7, [10**9] * 7, [[10**9] * 7] * 7), repeated=top
    )


@pytest.mark.parametrize("what", ["nothing", "one corpus", "a page that is no folder"])
def test_a_folder_that_is_no_out_is_refused_in_one_line(out, tmp_path, what):
    folder, why = {
        "nothing": (tmp_path, "no complete corpus lies here"),
        "one corpus": (out / "c4/en/1.0.0", "name the folder that was given as --out"),
        "a page that is no folder": (out / "c4/en/1.0.0/c4build.json", "no complete corpus lies here"),
    }[what]
    done = run_command("report", folder)
    assert done.code == 2 and len(done.error_lines) == 1 and f"{folder}" in done.err and why in done.err


def test_a_manifest_that_is_wrong_is_named_in_the_report_and_by_the_exit_code(out, tmp_path):
    shutil.copytree(out / "c4", tmp_path / "c4")
    manifest_path(tmp_path / "c4/en.noclean/1.0.0").write_text("{}")
    said = manifest(tmp_path / "c4/realnewslike/1.0.0")
    (tmp_path / "c4/realnewslike/1.0.0/c4build.json").write_text(
        json.dumps(seal({**said, "dropped": {"lines": "many"}}))
    )
    done = run_command("report", tmp_path)
    assert done.code == 1 and len(done.error_lines) == 2
    assert "en.noclean/1.0.0/c4build.json: it does not hold" in done.err
    assert "realnewslike/1.0.0: its manifest is not what c4build writes (it.dropped.lines" in done.err
    page = (tmp_path / "report.html").read_text()
    assert "en.noclean/1.0.0/c4build.json: it does not hold" in page and ">webtextlike<" in page


def test_without_the_extra_it_says_what_to_install(out):
    code = f"""
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "vl_convert" else find(name, package)
sys.argv = ["c4build", "report", {str(out)!r}]
from c4build.commands.main import main
main()"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = "c4build: the report needs pip install 'c4build[report]' (vl-convert-python missing)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
