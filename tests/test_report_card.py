"""The data card and Croissant beside a report: what their readers make of them, and of names made to be misread."""

import gzip
import html.parser
import json
import re
import shutil
import unicodedata
from pathlib import Path

import pytest
import wet_files
from builds import build
from command import run_command
from corpus_folders import manifest
from wet_files import Written

from c4build.report.card import is_ours

HOSTILE = "|`<img src=x onerror=alert(1)>``](javascript:alert(2))**\u202e\x1b[31m\u2028\u2029\x85\x0b\x1c\r<!--"


@pytest.fixture(scope="module")
def out(sources, tmp_path_factory) -> Path:
    """A corpus as JSONL and one as Parquet, of a file with a hostile name, and all that a report can write."""
    folder = tmp_path_factory.mktemp("card")
    name = folder / f"{HOSTILE.replace('/', '')}.warc.wet.gz"
    wet_files.write_wet(name, wet_files.pages(0, 20) + [Written("http://example.org/short", "Too short.")])
    for variant, format in (("en", "jsonl"), ("en.noclean", "parquet")):
        build(sources.request(folder / "out", inputs=(str(name),), format=format, variants=(variant,)))
    done = run_command("report", folder / "out", "--markdown")
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == [f"{folder}/out/{name}" for name in ("report.html", "README.md", "croissant.json")]
    return folder / "out"


class Tags(html.parser.HTMLParser):
    """What of HTML there is in a text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.texts, self.comments = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.comments.append(data)


def test_the_card_has_the_counts_and_shows_other_peoples_names_as_text(out):
    markdown_it = pytest.importorskip("markdown_it")
    card = (out / "README.md").read_text()
    assert is_ours(card.encode())
    left = {char for char in card if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")} - {"\n"}
    assert left == set()
    reader = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table")
    found = Tags(reader.render(card.split("---\n", 2)[2]))
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    assert "img" not in [tag for tag, _ in found.tags] and found.comments == []
    assert all(link.startswith(("https://commoncrawl.org/", "https://arxiv.org/")) for link in links)
    assert any(
        "onerror=alert(1)>``](javascript:alert(2))**\\u202e\\x1b[31m\\u2028\\u2029\\x85\\x0b\\x1c\\r<!--"
        in "".join(found.texts[at : at + 9])
        for at in range(len(found.texts))
    )
    said = {name: manifest(out / f"c4/{name}/1.0.0") for name in ("en", "en.noclean")}
    rows: dict[str, list[str]] = {}
    for line in card.splitlines():
        name, *cells = re.findall(r"[^|]+", line) or [""]
        rows.setdefault(name.strip("* "), cells)
    for row, key in (("read", "pages"), ("kept", "kept"), ("bytes of examples", "bytes")):
        assert [int(cell.split("(")[0].replace(",", "")) for cell in rows[row][:2]] == [
            one[key] for one in said.values()
        ]
    assert rows["too few sentences"][0].startswith(f" {said['en']['dropped']['too_few_sentences']:,} (")


@pytest.mark.parametrize("variant", ["en", "en.noclean"])
def test_croissant_loads_the_very_examples(out, variant):
    mlcroissant = pytest.importorskip("mlcroissant")
    found = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    name = f"c4.{variant}/train"
    records = {record[f"{name}/url"]: record[f"{name}/text"] for record in found.records(name)}
    assert {url.decode(): text.decode() for url, text in records.items()} == read_train(out / f"c4/{variant}/1.0.0")


def read_train(folder: Path) -> dict[str, str]:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    rows = []
    for path in folder.glob("c4-train*"):
        rows += map(json.loads, gzip.open(path)) if path.suffix == ".gz" else pyarrow.read_table(path).to_pylist()
    assert rows
    return {row["url"]: row["text"] for row in rows}


@pytest.mark.slow
def test_a_card_of_somebody_else_is_not_written_over(sources, tmp_path):
    build(sources.request(tmp_path, variants=("en.noclean",)))
    (tmp_path / "README.md").write_text("# Mine\n")
    done = run_command("report", tmp_path, "--markdown")
    assert done.code == 2 and done.error_lines == [
        f"c4build: {tmp_path}/README.md is not c4build's, or was changed, and is left as it is; move it away for a new one"
    ]
    assert (tmp_path / "README.md").read_text() == "# Mine\n"
    (tmp_path / "README.md").unlink()
    assert run_command("report", tmp_path, "--markdown").code == 0
    assert (
        "tfds.load(" in (tmp_path / "README.md").read_text() and "configs:" not in (tmp_path / "README.md").read_text()
    )


def test_a_report_and_croissant_of_somebody_else_are_not_written_over_and_ours_are(out, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    ours = {name: (tmp_path / "out" / name).read_bytes() for name in ("report.html", "croissant.json")}
    assert run_command("report", tmp_path / "out", "--markdown").code == 0
    for name, data in ours.items():
        for other in (b"mine\n", data.replace(b"c4build", b"my own", 1)):
            (tmp_path / "out" / name).write_bytes(other)
            done = run_command("report", tmp_path / "out", "--markdown")
            assert done.code == 2 and done.error_lines == [
                f"c4build: {tmp_path}/out/{name} is not c4build's, or was changed, and is left as it is; "
                "move it away for a new one"
            ]
            assert (tmp_path / "out" / name).read_bytes() == other
        (tmp_path / "out" / name).unlink()
