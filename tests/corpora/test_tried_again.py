"""What cannot be read or fetched for a while is tried again by the next run, in every flow."""

import json
from pathlib import Path

import pytest
import wet_files
from corpora_material import multistream, page
from faulty_server import is_open, serving

from c4build.corpora import books, reddit, wikipedia
from c4build.corpora import c4 as build
from c4build.errors import MissingInputsError, UsageError
from c4build.flow.local import run, run_flow
from c4build.flow.records import collect
from c4build.sample.resources import bad_words_file
from c4build.write.folder import read_manifest

PROSE = "It was late in the year, and the old sailor told them what he had seen at sea that night. " * 9


def _to_wet(folder: Path) -> list:
    return [
        Path(wet_files.write_wet(folder / f"{name}.warc.wet.gz", wet_files.pages(20 * at, 20)))
        for at, name in enumerate("ab")
    ]


def _to_books(folder: Path) -> list:
    return [_written(folder / f"{name}.txt", f"The book {name}. " + PROSE) for name in "ab"]


def _to_dumps(folder: Path) -> list:
    for number, name in enumerate(("aawiki", "bbwiki"), 1):
        (folder / f"{name}-20240501-pages-articles.xml.bz2").write_bytes(multistream([page(number, name, PROSE)], 1))
    return sorted(folder.iterdir())


def _to_submissions(folder: Path) -> list:
    posts = (json.dumps({"id": name, "url": f"http://example.org/{name}", "score": 9}) + "\n" for name in "ab")
    return [_written(folder / f"RS_{number}.jsonl", post) for number, post in enumerate(posts)]


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


FLOWS = {
    "build": (_to_wet, lambda given, out: build.prepare(build.Request(given, out, bad_words=str(bad_words_file())))),
    "books": (_to_books, lambda given, out: books.prepare_books(given, out, language="any")),
    "wikipedia": (_to_dumps, wikipedia.prepare_wikipedia),
    "webtext-urls": (_to_submissions, lambda given, out: reddit.prepare_webtext_urls(given, f"{out}/urls.gz")),
}


def run_to_manifest(name: str, prepared) -> dict:
    if name == "build":
        run(prepared)
        return build.read_summary(prepared.folders)["en"]
    run_flow(lambda root: collect(root, prepared.plan), prepared.plan.run.work, 2)
    return read_manifest(prepared.plan.folder)


@pytest.mark.parametrize("name", FLOWS)
def test_a_local_file_that_could_not_be_read_is_tried_again(tmp_path, name):
    """It is the same file all the time: neither its size nor its date tells that it can be read again."""
    write, prepare = FLOWS[name]
    (tmp_path / "in").mkdir()
    inputs = write(tmp_path / "in")

    def made() -> dict:
        prepared = prepare(list(map(str, inputs)), str(tmp_path / "out"))
        assert not prepared.complete
        if gone:
            inputs[1].rename(tmp_path / "away")
        return run_to_manifest(name, prepared)

    gone = True
    before = made()
    assert [damage["input"] for damage in before["damaged"]] == [str(inputs[1])]
    assert [source["read_to_its_end"] for source in before["inputs"]] == [True, False]
    (tmp_path / "away").rename(inputs[1])
    gone = False
    after = made()
    assert after["damaged"] == [] and after["kept"] > before["kept"]
    assert [source["read_to_its_end"] for source in after["inputs"]] == [True, True]


@pytest.mark.parametrize("name", FLOWS)
def test_a_run_stops_where_an_input_cannot_be_fetched_and_the_next_comes_to_what_local_files_come_to(tmp_path, name):
    write, prepare = FLOWS[name]
    (tmp_path / "in").mkdir()
    inputs = write(tmp_path / "in")
    wanted = run_to_manifest(name, prepare(list(map(str, inputs)), str(tmp_path / "local")))
    with serving({path.name: path.read_bytes() for path in inputs}) as server:
        urls = [f"{server.url}/{path.name}" for path in inputs]
        prepared = prepare(urls, str(tmp_path / "out"))
        server.fault = lambda path: "404" if path == inputs[1].name else ""
        with pytest.raises(MissingInputsError, match="run again to fetch 1 of 2 files") as raised:
            run_to_manifest(name, prepared)
        assert f"({urls[1]}: " in str(raised.value)
        assert not list((tmp_path / "out").rglob("*c4build.json"))
        server.fault = lambda path: ""
        found = run_to_manifest(name, prepare(urls, str(tmp_path / "out")))
    assert (found["kept"], found["splits"], found["damaged"]) == (wanted["kept"], wanted["splits"], [])
    assert found["files"].keys() == wanted["files"].keys()


@pytest.mark.parametrize(
    "name", ["books", *(pytest.param(name, marks=pytest.mark.slow) for name in ("wikipedia", "webtext-urls"))]
)
def test_no_more_connections_are_made_than_may_be_by_all_workers_together(tmp_path, name):
    prepare = {"books": books.prepare_books, "wikipedia": wikipedia.prepare_wikipedia}.get(
        name, lambda given, out, **options: reddit.prepare_webtext_urls(given, f"{out}/urls.gz", **options)
    )
    (tmp_path / "in").mkdir()
    with serving({path.name: path.read_bytes() for path in FLOWS[name][0](tmp_path / "in")}) as server:
        server.block, server.between = 1 << 8, 0.2
        urls = [f"{server.url}/{file}" for file in server.files]
        prepared = prepare(urls, str(tmp_path / "out"), max_connections=1)
        assert not any(map(is_open, server.live)), "what looked at the inputs keeps none"
        found = run_to_manifest(name, prepared)
    assert found["kept"] == 2 and found["damaged"] == [] and server.most_connected == server.most_open == 1
    with pytest.raises(UsageError, match="--max-connections 0: it must be 1 or more"):
        prepare(urls, str(tmp_path / "out"), max_connections=0)
