"""The demo's dump and books are what their generator makes, and what the demo makes of them adds up."""

import bz2
import json
from pathlib import Path

import pytest
from command import run_command

from c4build.sample import corpora as generate
from c4build.sample.resources import sample_books, sample_dump


def test_the_files_are_what_the_generator_makes():
    assert bz2.decompress(sample_dump().read_bytes()).decode() == "".join(generate.wiki_parts())
    assert {path.name: path.read_bytes() for path in sample_books().iterdir()} == generate.books()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = run_command("demo", "--out", "all", folder=folder)
    assert (done.code, done.error_lines) == (0, [])
    return folder / "all", done.out


def summary(folder) -> dict:
    (path,) = folder.rglob("c4build.json")
    return json.loads(path.read_text())


def test_the_demo_makes_a_wikipedia_of_the_articles_alone(demo):
    out, said = demo
    found = summary(out / "wikipedia")
    pages = generate.wiki_pages()
    redirects = sum(page.text.startswith("#REDIRECT") for page in pages)
    talks = sum(page.namespace != 0 for page in pages)
    disambiguations = sum("may refer to" in page.text for page in pages)
    assert found["kept"] == generate.ARTICLES == len(pages) - redirects - talks - disambiguations
    assert found["dropped"] == {"other_namespace": talks, "redirect": redirects, "disambiguation": disambiguations}
    assert "Wikipedia by the rules tfds" in said


def test_the_demo_makes_books_without_the_copy_and_the_german_one(demo):
    out, said = demo
    found = summary(out / "books")
    assert (found["kept"], found["dropped"]) == (len(generate.books()) - 2, {"other_language": 1, "copy": 1})
    assert found["words"] > 20_000
    assert "Books" in said


def test_no_markup_and_no_licence_is_left(demo):
    tensorflow_datasets = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")
    out, _ = demo
    texts = {}
    for name in ("wikipedia", "books"):
        (info,) = (out / name).rglob("dataset_info.json")
        builder = tensorflow_datasets.builder_from_directory(str(info.parent))
        texts[name] = [
            example["text"].numpy().decode() for example in builder.as_dataset(split="+".join(builder.info.splits))
        ]
        assert len(texts[name]) == summary(out / name)["kept"]
    assert not any(mark in text for text in texts["wikipedia"] for mark in ("[[", "{{", "<ref", "{|", "'''", "File:"))
    assert not any("gutenberg" in text.lower() for text in texts["books"])


def test_the_plain_beam_programs_write_what_the_demo_writes(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    from pipelines import books, wikipedia

    wikipedia.run([str(sample_dump()), "--out", str(tmp_path)])
    books.run([str(sample_books()), "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert f": {tmp_path}/wikipedia/" in said and f"books: {tmp_path}/books/" in said
    out, _ = demo
    for name in ("wikipedia", "books"):
        expected = {path.name: path.read_bytes() for path in (out / name).rglob("*.tfrecord*")}
        assert {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.tfrecord*")} == expected != {}
