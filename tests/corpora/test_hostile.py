"""Inputs made to stall, to swell or to end a run: what reads them takes time in step with their length, and says so."""

import bz2
import gzip
import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections import Counter

import corpora_material as material
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.corpora import parser_process
from c4build.corpora.books import BooksReader, prepare_books
from c4build.corpora.parser_process import parser
from c4build.corpora.reddit import REASONS, SubmissionsReader, judge_url, outbound_link, prepare_webtext_urls
from c4build.corpora.told import told_damages
from c4build.corpora.wikipedia import WikipediaReader, prepare_wikipedia
from c4build.errors import UsageError
from c4build.flow.units import Found, Part, Unit
from c4build.read.books import check_book, read_book
from c4build.read.chapters import MAX_TEXT_BYTES, BookError, split_chapters
from c4build.read.gutenberg import without_boilerplate
from c4build.read.gz import Damage
from c4build.read.paths import InputError
from c4build.read.plain_text import decode, tidy
from c4build.read.reddit import check_submissions, read_submissions
from c4build.read.wikipedia import Site, WikiPage, read_pages, read_site
from c4build.read.xhtml import read_document
from c4build.rules.wikitext import LEFTOVERS, RULES, WikitextError, _without_leftovers, is_disambiguation, to_text

SITE = Site("simplewiki", "https://simple.wikipedia.org/wiki/")
ROOT = pathlib.Path(__file__).parents[2]


def seconds(work) -> float:
    """CPU time of the best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def assert_linear(work, size: int):
    """`work` of twice and four times the size takes no more than in step, with room for noise."""
    first, last = seconds(lambda: work(size)), seconds(lambda: work(4 * size))
    assert last < 7 * first + 0.05, (first, last)  # the square takes 16 times


# Wikitext


@pytest.mark.parametrize(
    "repeated", ["{{ ", "{{", "{{\n", "<!--", "{{template:", "{{template : ", "{{a_", "__DISAMBIG_", "{{dab<!--"]
)
def test_looking_for_a_disambiguation_takes_time_in_step_with_the_text(repeated):
    assert_linear(lambda count: is_disambiguation("T", repeated * count), 20_000)
    assert_linear(lambda count: is_disambiguation("T", "{{" + repeated[-1] * count), 20_000)


@pytest.mark.parametrize("rule", LEFTOVERS)
@pytest.mark.parametrize(
    "around", [("<ref>", "</ref>"), ("[[a|", "]]"), ("{{", "}}"), ("{|", "|}"), ("<ref/ ", ""), ("[[ [a] ", ""), ("[[File:", ""),
               ("<ref>a</ref ", ""), ("\n {|", ""), ("{{a\n |", "")]
)  # fmt: skip
def test_the_rules_for_leftovers_take_time_in_step_with_the_text(rule, around):
    assert_linear(lambda count: LEFTOVERS[rule](around[0] * count + around[1] * count), 1000)


def test_markup_that_comes_together_again_and_again_is_given_up():
    text = "[["
    for _ in range(50):
        text = f"[<r{text}ef/>["
    with pytest.raises(WikitextError, match="nested more than"):
        _without_leftovers(text, Counter())


def _time_limited(wikitext: str, limit: float = 0.5) -> tuple[str, Counter]:
    found = Counter()
    with parser(limit) as parse:
        return parse.to_text(wikitext, RULES["tfds"], found), found


@pytest.mark.parametrize("repeated", ["<ref ", "[http://a ", "<div>", "<!--"])
def test_a_page_whose_markup_takes_too_long_is_ended_by_the_clock_of_its_process(repeated):
    before = os.times()
    with pytest.raises(WikitextError, match="more than 0.5 s of CPU time"):
        _time_limited(repeated * 60_000)
    after = os.times()
    assert sum(after[:4]) - sum(before[:4]) < 4
    assert _time_limited("An ''ordinary'' [[page]].")[0] == "An ordinary page."


def test_the_process_gives_the_texts_and_counts_that_the_function_gives():
    for snippet in material.SNIPPETS:
        direct = Counter()
        assert _time_limited(snippet, 60) == (to_text(snippet, found=direct), direct)


def _children() -> list[int]:
    """The processes whose parent is this one, dead ones that nobody waited for too."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def test_a_process_that_died_of_something_else_costs_no_page_and_leaves_no_zombie():
    with parser() as parse:
        assert parse.to_text("''a''", RULES["tfds"], Counter()) == "a"
        os.kill(parse._child._process.pid, signal.SIGKILL)
        assert parse.to_text("''b''", RULES["tfds"], Counter()) == "b"
        os.kill(parse._child._process.pid, signal.SIGINT)  # Ctrl-C is not for it
        pid = parse._child._process.pid
        assert parse.to_text("''c''", RULES["tfds"], Counter()) == "c"
        assert parse._child._process.pid == pid
    parser_process._end_all()
    assert pid not in _children()


PARENT = """
import os, sys, time
from collections import Counter
from c4build.corpora.parser_process import parser
from c4build.rules.wikitext import RULES
if __name__ == "__main__":
    with parser() as parse:
        parse.to_text("a", RULES["tfds"], Counter())
        if sys.argv[1] == "fork" and os.fork() == 0:
            time.sleep(60)
        print(parse._child._process.pid, os.getpid(), flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("fork", ["", "fork"])
def test_the_process_ends_when_its_parent_is_killed_though_a_fork_of_it_holds_the_pipes(fork):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, fork], stdout=subprocess.PIPE, env=environment, text=True)
    child, _pid = map(int, parent.stdout.readline().split())
    assert pathlib.Path(f"/proc/{child}").exists()
    parent.kill()
    parent.wait()
    for _ in range(150):
        if not _alive(child):
            break
        time.sleep(0.2)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_forked_process_has_parsers_of_its_own():
    _time_limited("a", 60)
    assert parser_process._idle
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if not parser_process._idle and _time_limited("''b''", 60)[0] == "b" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert _time_limited("''c''", 60)[0] == "c"


def read(reader, *paths, notes=None) -> tuple[list[Found], list[Damage]]:
    """(records, damages) of a unit of whole files."""
    notes = Counter() if notes is None else notes
    found = list(
        reader.read(Unit("u", tuple(Part(material.source(path)) for path in paths)), notes.update, lambda size: None)
    )
    return [one for one in found if isinstance(one, Found)], [one[1] for one in found if not isinstance(one, Found)]


def test_a_page_that_takes_too_long_is_unreadable_and_named_and_the_others_are_kept(tmp_path):
    path = tmp_path / "simplewiki.xml.bz2"
    pages = [
        material.page(1, "One", "Text."),
        material.page(2, "Two\u202e", "<ref " * 60_000),
        material.page(3, "Three", "More."),
    ]
    path.write_bytes(material.multistream(pages))
    records, damages = read(WikipediaReader(RULES["tfds"], {str(path): SITE}, 0.5), path)
    assert [record.reason for record in records] == ["kept", "unreadable", "kept"]
    (damage,) = damages
    assert damage.what == "the page 'Two\\u202e' is left out: its markup takes more than 0.5 s of CPU time"
    assert damage.offset > 0 and not damage.cut


WIKITEXT = st.lists(
    st.sampled_from(["{{", "}}", "[[", "]]", "{|", "|}", "<ref", "</ref>", ">", "<!--", "-->", "|", " ", "\n", "'''", "''", "=",
                     "dab", "Template:", "_", "__DISAMBIG__", "File:", "\ufdd0", "&#91;", "http://a", "[", "]"]), max_size=60,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=5), WIKITEXT)
def test_any_wikitext_comes_to_a_text_without_markup_or_is_refused(title, wikitext):
    assert is_disambiguation(title, wikitext) in (True, False)
    try:
        text = to_text(wikitext)
    except WikitextError as error:
        assert str(error)
    else:
        if "\ufdd0" not in wikitext and "&#91;" not in wikitext:
            assert not material.MARKUP.search(text)


# Dumps


@pytest.mark.slow
@pytest.mark.parametrize(
    "repeated", [b"<page>", b"</page>", b"<page></page>", b"<page><title>a</title>", b"<title>", b"<"]
)
def test_tags_over_and_over_in_a_dump_take_time_in_step_with_it(tmp_path, repeated):
    def work(count):
        path.write_bytes(b"<mediawiki>" + repeated * count + b"</mediawiki>")
        assert sum(1 for _ in read_pages(material.source(path))) <= 2 * count

    path = tmp_path / "simplewiki.xml"
    assert_linear(work, 2000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stream", [bz2.compress(b""), bz2.compress(b"x"), b"BZh91AY&SY", b"BZh91AY&SYBZ", bytes.fromhex("314159265359")]
)
def test_streams_of_a_few_bytes_take_time_in_step_with_their_number(tmp_path, stream):
    def work(count):
        path.write_bytes(bz2.compress(material.HEAD.encode()) + stream * count)
        list(read_pages(material.source(path)))

    path = tmp_path / "simplewiki.xml.bz2"
    assert_linear(work, 4000)


def test_a_dump_that_unpacks_to_far_more_than_any_is_left_at_a_point_and_named(tmp_path):
    path = tmp_path / "simplewiki.xml.bz2"
    bomb = bz2.compress(b"\0" * (32 << 20))
    path.write_bytes(
        bz2.compress(material.HEAD.encode()) + bz2.compress(material.page(1, "One", "Text.").encode()) + bomb * 1000
    )
    start = time.process_time()
    found = list(read_pages(material.source(path)))
    assert time.process_time() - start < 20
    assert [one.title for one in found if isinstance(one, WikiPage)] == ["One"]
    (damage,) = (one for one in found if isinstance(one, Damage))
    assert damage.what == "it unpacks to over 200 times its size; what follows is left out" and damage.cut


def test_a_dump_that_ends_before_its_end_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "simplewiki.xml.bz2"
    whole = material.multistream([material.page(number, f"T {number}", "Text.") for number in range(9)])
    path.write_bytes(whole[: [match.start() for match in re.finditer(b"BZh91AY", whole)][3]])
    damages = [one for one in read_pages(material.source(path)) if isinstance(one, Damage)]
    assert [damage.what for damage in damages] == ["the dump ends before its end (</mediawiki>): pages are missing"]
    assert damages[0].cut


LAUGHS = '<!DOCTYPE x [<!ENTITY a0 "lol">{}]>'.format(
    "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
)


def test_entities_in_a_page_and_pages_of_many_tags_are_named_and_left_out(tmp_path):
    path = tmp_path / "simplewiki.xml"
    pages = [material.page(1, "One", "x").replace(">x<", ">&a11;<"), material.page(2, "Two", "Text.").replace("</page>", "<a/>" * 5000 + "</page>"),
             material.page(3, "Three", "Text.")]  # fmt: skip
    path.write_text(LAUGHS + material.HEAD + "".join(pages) + material.TAIL)
    found = list(read_pages(material.source(path)))
    assert [one.title for one in found if isinstance(one, WikiPage)] == ["Three"]
    first, second = (one.what for one in found if isinstance(one, Damage))
    assert first.startswith("the page 'One' is not well-formed XML (undefined entity")
    assert second == "the page 'Two' has over 1,000 tags of XML and is left out"


def _two_revisions() -> str:
    page = material.page(1, "One", "Text.")
    revision = page[page.index("    <revision>") : page.index("  </page>")]
    return page.replace("  </page>", revision + "  </page>")


@pytest.mark.parametrize(
    "pages, message",
    [
        (_two_revisions(), "dump of histories"),
        (
            re.sub(r"<text bytes.*</text>", '<text bytes="5" sha1="x" />', material.page(1, "One", "Text.")),
            "dump of stubs",
        ),
    ],
)
def test_a_dump_of_histories_or_stubs_is_refused_before_work(tmp_path, pages, message):
    path = tmp_path / "simplewiki.xml"
    path.write_text(material.HEAD + pages + material.TAIL)
    with pytest.raises(UsageError, match=message):
        read_site(material.source(path))


def test_a_page_of_several_revisions_later_in_a_dump_is_named_and_left_out(tmp_path):
    path = tmp_path / "simplewiki.xml"
    path.write_text(material.HEAD + material.page(2, "Two", "Text.") + _two_revisions() + material.TAIL)
    found = list(read_pages(material.source(path)))
    assert [one.title for one in found if isinstance(one, WikiPage)] == ["Two"]
    assert ["has 2 revisions" in one.what for one in found if isinstance(one, Damage)] == [True]


def test_a_dumps_head_cannot_choose_a_folder_of_ours(tmp_path):
    path = tmp_path / "simplewiki.xml"
    path.write_text(
        material.HEAD.replace(">simplewiki<", ">../../../x<") + material.page(1, "One", "Text.") + material.TAIL
    )
    assert read_site(material.source(path)).name == "simplewiki"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_plain_dump_with_any_changes_gives_pages_and_damages_only(tmp_path_factory, data):
    whole = bytearray(
        (
            material.HEAD + "".join(material.page(n, f"T {n}", "Te&xt. " * n) for n in range(1, 6)) + material.TAIL
        ).encode()
    )
    pieces = [
        b"<page>",
        b"</page>",
        b"<revision>",
        b"&#",
        b"]]>",
        b"<!--",
        b"<![CDATA[",
        b"\0",
        b"\xff",
        b"9" * 5000,
        b"<a>",
    ]
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 40))] = data.draw(st.sampled_from(pieces) | st.binary(max_size=20))
    path = tmp_path_factory.mktemp("dump") / "simplewiki.xml"
    path.write_bytes(whole or b"x")
    assert all(isinstance(one, (WikiPage, Damage)) for one in read_pages(material.source(path)))


# Books


def write(path: pathlib.Path, data: bytes):
    path.write_bytes(data)
    return material.source(path)


def container(package: str = "p.opf", before: str = "") -> str:
    return f'{before}<container><rootfiles><rootfile full-path="{package}"/></rootfiles></container>'


def opf(items: list[str], references: list[int], before: str = "", title: str = "T") -> str:
    manifest = "".join(
        f'<item id="i{n}" href="{item}" media-type="application/xhtml+xml"/>' for n, item in enumerate(items)
    )
    spine = "".join(f'<itemref idref="i{n}"/>' for n in references)
    head = f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>'
    return f"{before}<package>{head}<manifest>{manifest}</manifest><spine>{spine}</spine></package>"


def epub(files: dict[str, bytes], package: str, rootfile: str = "", packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", rootfile or container(), zipfile.ZIP_DEFLATED)
        archive.writestr("p.opf", package, zipfile.ZIP_DEFLATED)
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    "repeated",
    [b"<a ", b"<a b='", b'<a b="', b"<!--", b"<!", b"<?", b"</a ", b"<svg></math>", b"<svg>", b"<a =", b"<", b"<h1>", b"<script></", b"&#", b"&a",
     b"<![CDATA[", b"<pre> ", b"<br>"],
)  # fmt: skip
def test_markup_over_and_over_in_a_document_takes_time_in_step_with_it(repeated):
    assert_linear(lambda count: read_document(b"<p>Before.</p>" + repeated * count), 3000)


def test_a_document_whose_tags_have_no_end_keeps_what_stands_before_and_says_so(tmp_path):
    files = {
        "a.xhtml": b"<p>Before.</p>" + b"<a " * 150_000,
        "b.xhtml": b"<p>Fine.</p><![endless[x]]>",
        "c.xhtml": b"<p>Last.</p>",
    }
    start = time.process_time()
    book = read_book(write(tmp_path / "b.epub", epub(files, opf(list(files), [0, 1, 2]))))
    assert time.process_time() - start < 5
    assert book.text.startswith("Before.") and book.text.endswith("Last.") and "Fine." in book.text
    assert book.troubles[0] == "a.xhtml: too many of its tags have no end; what follows them is left out"
    assert book.troubles[1].startswith("b.xhtml: its markup cannot be read to the end (")


@pytest.mark.parametrize(
    "text",
    [
        lambda n: "END" + " " * n + "x", lambda n: " " * n + "x", lambda n: "END OF" + " " * n + "x", lambda n: "START" + "*" * n + " x",
        lambda n: "THE FULL PROJECT GUTENBERG" + " " * n + "x", lambda n: "*" * n + " x", lambda n: "***\n\n" * n + "x",
        lambda n: "x" + "\n\n***" * n, lambda n: "CHAPTER I\n\n" * n, lambda n: "CHAPTER " + "I" * n + " x", lambda n: "CHAPTER I" + " " * n + "x",
        lambda n: "\n \n" * n + "x", lambda n: "Project Gutenberg's X\n" * n, lambda n: "\n" + " " * n + "x",
        lambda n: "Produced by " + "x " * n, lambda n: "Thanks to " + "PROOF " * n,
    ],
)  # fmt: skip
def test_cleaning_a_text_and_cutting_it_into_chapters_takes_time_in_step_with_it(text):
    def work(count):
        made = text(count)
        for book in (made, "Project Gutenberg's X\n\n" + made):
            split_chapters(tidy(book))
            without_boilerplate(book)

    assert_linear(work, 8000)


def test_an_encoding_that_takes_the_square_of_the_length_is_none_of_a_book():
    def work(count):
        decode(b"Character set encoding: punycode\n\n\xff-" + b"abcdefg9" * count)
        read_document(b"<?xml version='1.0' encoding='punycode'?><p>" + b"abcdefg9" * count)

    assert_linear(work, 5000)
    assert decode(b"Character set encoding: a\0b\n\ncaf\xe9")[0].endswith("caf\u00e9")


@pytest.mark.parametrize("encoding", ["utf-16", "UTF-16LE", "utf-32", "cp037"])
@pytest.mark.parametrize("end", [b"", b" ", b"  ", b"   "])
def test_a_document_that_declares_an_encoding_in_which_the_declaration_is_none_is_read_all_the_same(encoding, end):
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    assert read_document(declaration + b"<p>The ferry left at noon.</p>" + end)[1] == "The ferry left at noon."


def test_twenty_thousand_references_to_one_document_are_one(tmp_path):
    book = read_book(
        write(tmp_path / "b.epub", epub({"a.xhtml": b"<p>Once.</p>"}, opf(["a.xhtml"] * 20_000, range(20_000))))
    )
    assert (book.text, book.troubles) == ("Once.", [])


def test_the_troubles_of_a_book_are_told_up_to_a_number_and_then_counted(tmp_path):
    names = [f"missing-{number}.xhtml" for number in range(5000)]
    data = epub({"a.xhtml": b"<p>Here.</p>"}, opf(["a.xhtml", *names], range(5001)))
    book = read_book(write(tmp_path / "b.epub", data))
    assert book.text == "Here." and len(book.troubles) == 21
    assert book.troubles[-1] == "and 4,980 more of its documents have troubles"


def _lie(data: bytes, name: bytes, size: int) -> bytes:
    """The archive with another unpacked size of a file, in both its places."""
    out = bytearray(data)
    local, central = data.index(name), data.rindex(name)
    out[local - 8 : local - 4] = out[central - 22 : central - 18] = size.to_bytes(4, "little")
    return bytes(out)


BOMB = b"<p>" + b"\0" * (300 << 20)
HOSTILE_EPUBS = {
    "many large documents": lambda: (epub({f"{n}.xhtml": b"<p>" + b"a " * (4 << 20) for n in range(8)}, opf([f"{n}.xhtml" for n in range(8)], range(8))),
                                     "its documents are over 32 MiB together"),
    "a document that unpacks to 300 MB": lambda: (epub({"a.xhtml": BOMB}, opf(["a.xhtml"], [0])), "a.xhtml: it is over 16 MiB long"),
    "a size that is a lie": lambda: (_lie(epub({"a.xhtml": BOMB}, opf(["a.xhtml"], [0])), b"a.xhtml", 1000), "a.xhtml: it cannot be unpacked"),
    "a packing that is no EPUB's": lambda: (epub({"a.xhtml": BOMB}, opf(["a.xhtml"], [0]), packing=zipfile.ZIP_BZIP2), "packed in a way that no EPUB is"),
    "entities in the container": lambda: (epub({}, opf([], []), container("&a11;", LAUGHS)), "it is no EPUB: META-INF/container.xml|not well-formed"),
    "entities in the package": lambda: (epub({}, opf([], [], LAUGHS, "&a11;")), "p.opf is not well-formed XML"),
    "deep XML": lambda: (epub({}, "<a>" * 400_000 + "</a>" * 400_000), "its spine is empty"),
    "a long list": lambda: (epub({}, opf(["x" * 99] * 90_000, [])), "p.opf: it is over 8 MiB long"),
}  # fmt: skip
READ_BOOK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from c4build.read.books import read_book
from c4build.read.chapters import BookError
from c4build.read.paths import identify
try:
    read_book(identify(sys.argv[1]))
except BookError as error:
    print(error)
"""


def read_apart(path) -> subprocess.CompletedProcess:
    """What a process of its own says that may take a gigabyte."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", READ_BOOK, path]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE_EPUBS)
def test_an_epub_that_swells_is_refused_in_a_gigabyte(tmp_path, kind):
    data, message = HOSTILE_EPUBS[kind]()
    path = tmp_path / "b.epub"
    path.write_bytes(data)
    done = read_apart(path)
    assert done.returncode == 0, done.stderr
    assert re.search(message, done.stdout), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("line", ["\u2014\n\n", "ab\n", "\n", "a b\n\nCHAPTER I\n\n"])
def test_a_text_of_the_greatest_length_is_read_in_a_gigabyte(tmp_path, line):
    path = tmp_path / "b.txt"
    path.write_bytes(line.encode() * (MAX_TEXT_BYTES // len(line.encode())))
    done = read_apart(path)
    assert (done.returncode, done.stderr) == (0, "")


OTHERS = [
    (b"<!DOCTYPE html><html><body>Not found</body></html>", "page of HTML"),
    (b"WARC/1.0\r\nWARC-Type: conversion\r\n\r\n", "WARC file"),
    (gzip.compress(b"text", mtime=0), "gzip file"),
    (b"%PDF-1.4 ...", "PDF"),
    ((material.HEAD + material.TAIL).encode(), "dump of MediaWiki"),
]


@pytest.mark.parametrize("data, kind", OTHERS)
def test_a_first_file_that_is_no_book_is_refused_before_work_and_a_later_one_is_named(tmp_path, data, kind):
    bad = write(tmp_path / "a.txt", data)
    with pytest.raises(UsageError, match=kind):
        prepare_books([bad.path], str(tmp_path / "out"))
    write(tmp_path / "b.txt", b"A book. " * 50)
    records, damages = read(BooksReader(False, None, 0.99), bad.path, tmp_path / "b.txt")
    assert [record.reason for record in records] == ["unreadable", "kept"]
    assert kind in damages[0].what


def test_a_zip_that_is_no_epub_is_refused_before_work_but_a_damaged_epub_is_not(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    with pytest.raises(UsageError, match="a ZIP without the parts of an EPUB"):
        check_book(write(tmp_path / "a.epub", out.getvalue()))
    check_book(write(tmp_path / "b.epub", epub({}, opf([], []))[:-30]))
    check_book(write(tmp_path / "c.epub", epub({}, opf([], []))))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([b"", b"PK\x03\x04", b"\xff\xfe", b"Title: X\nCharacter set encoding: "]), st.binary(max_size=300)
)
def test_any_bytes_are_a_book_or_are_refused(tmp_path_factory, head, data):
    try:
        book = read_book(write(tmp_path_factory.mktemp("book") / "b.txt", head + data))
    except BookError as error:
        assert str(error)
    else:
        book.text.encode()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_epub_whose_parts_have_any_changes_is_a_book_or_is_refused(tmp_path_factory, data):
    parts = [
        container().encode(),
        opf(["a.xhtml", "b.xhtml"], [0, 1]).encode(),
        b"<html><h1>One</h1><p>Text &amp; more.</p></html>",
    ]
    which = data.draw(st.integers(0, 2))
    part = bytearray(parts[which])
    pieces = [
        b"<",
        b"<!",
        b"<![",
        b"&#",
        b"&#99999999999;",
        b"&a;",
        b"</",
        b"<svg>",
        b"<?xml encoding='utf-16'?>",
        b"..//",
        b"%00",
        b"\xff\xfe",
    ]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(part)))
        part[at : at + data.draw(st.integers(0, 12))] = data.draw(st.sampled_from(pieces) | st.binary(max_size=9))
    parts[which] = bytes(part)
    made = epub({"a.xhtml": parts[2], "b.xhtml": b"<p>Two.</p>"}, parts[1], parts[0])
    try:
        book = read_book(write(tmp_path_factory.mktemp("book") / "b.epub", made))
    except BookError as error:
        assert str(error)
    else:
        book.text.encode()


# Reddit


def test_a_url_of_many_labels_is_judged_in_time_in_step_with_it():
    for url in (
        "http://" + "a." * 32_000 + "com/",
        "http://" + "\u00fc." * 32_000 + "com",
        "http://a.b/" + "\u0315\u0300" * 32_000,
    ):
        assert_linear(lambda count, url=url: judge_url(url[: 16 * count]), 1000)
        assert judge_url(url) == ("bad_url", None)
    assert judge_url("http://" + "a." * 130 + "com/") == ("bad_url", None)


@settings(max_examples=500, deadline=None)
@given(
    st.text(max_size=80),
    st.sampled_from(["", "http://", "https://a.b/", "//", "http://[", "http://\u2100", "http://a:"]),
)
def test_any_text_as_a_url_comes_to_one_of_the_reasons(text, head):
    assert judge_url(head + text).reason in REASONS
    assert outbound_link({"url": head + text + "\ud800", "score": 5}).reason in REASONS


@pytest.mark.parametrize("score", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[" * 5000])
def test_a_score_that_is_no_number_keeps_no_link(tmp_path, score):
    path = tmp_path / "RS.json"
    path.write_text(f'{{"url": "http://a.b/c", "score": 5}}\n{{"url": "http://a.b/d", "score": {score}}}\n')
    records, _ = read(SubmissionsReader(), path)
    assert next(record.reason for record in records) == "kept"
    assert [record.reason for record in records][1] in ("no_score", "broken_line")


@pytest.mark.slow
@pytest.mark.parametrize(
    "frame", [zstandard.ZstdCompressor().compress(b""), zstandard.ZstdCompressor().compress(b"{}"), b"\x28\xb5\x2f\xfd"]
)
def test_frames_of_a_few_bytes_take_time_in_step_with_their_number(tmp_path, frame):
    def work(count):
        path.write_bytes(zstandard.ZstdCompressor().compress(b"{}\n") + frame * count)
        list(read_submissions(material.source(path)))

    path = tmp_path / "RS.zst"
    assert_linear(work, 3000)


@pytest.mark.slow
@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress, zlib.compress], ids=["bz2", "gz", "zst"])
def test_a_dump_of_submissions_that_swells_is_left_at_a_point_in_a_gigabyte(tmp_path, pack):
    if pack is zlib.compress:
        data = zstandard.ZstdCompressor().compress(b"\n" * (256 << 20)) * 40
    else:
        data = pack(b"\n" * (64 << 20)) * 40
    path = tmp_path / "RS"
    path.write_bytes(data)
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from c4build.read.reddit import read_submissions
from c4build.read.paths import identify
print([one.what for one in read_submissions(identify(sys.argv[1]))])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "it unpacks to over 200 times its size" in done.stdout


@pytest.mark.parametrize("data", [OTHERS[0][0], OTHERS[1][0], OTHERS[2][0], b"http://a.b\nhttp://c.d\n"])
def test_a_first_file_that_is_no_dump_of_submissions_is_refused_before_work(tmp_path, data):
    path = tmp_path / "RS_2018-08.json"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="no dump of submissions"):
        prepare_webtext_urls([str(path)], str(tmp_path / "urls.txt.gz"))


def test_a_later_file_that_is_no_dump_of_submissions_is_left_after_a_thousand_lines(tmp_path):
    path = tmp_path / "RS_2018-09.json"
    path.write_bytes(b"http://a.b\n" * 5000)
    records, damages = read(SubmissionsReader(), path)
    assert {record.reason for record in records} == {"broken_line"} and len(records) == 1000
    assert len(damages) == 22 and [one.what for one in damages if one.cut] == [
        "its first 1,000 lines are no JSON objects: this is no dump of submissions"
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"\x1f\x8b\x08", b"BZh9", b"BZh91AY&SY", b"{"]),
    st.binary(max_size=300),
)
def test_any_bytes_as_a_dump_of_submissions_give_lines_and_damages_only(tmp_path_factory, head, data):
    path = tmp_path_factory.mktemp("reddit") / "RS"
    path.write_bytes(head + data)
    records, damages = read(SubmissionsReader(), path)
    assert all(record.reason in REASONS for record in records)
    assert records or damages
    try:
        check_submissions(material.source(path))
    except UsageError as error:
        assert str(path) in str(error)


# What is told


def test_an_error_that_nobody_thought_of_is_a_damage_of_its_input_with_its_place(tmp_path):
    def broken():
        yield Found("kept")
        yield Damage(77, "first")
        raise ZeroDivisionError("\x1b[31mboo" + "x" * 1000)

    source = write(tmp_path / "a", b"x")
    found = list(told_damages(source, broken(), "pages"))
    assert found[:2] == [Found("kept"), (source.path, Damage(77, "first"))]
    path, damage = found[2]
    assert (path, damage.offset, damage.cut, len(found)) == (source.path, 77, True, 3)
    assert (
        damage.what.startswith("cannot be read on from about here (ZeroDivisionError: \\x1b[31mboo")
        and len(damage.what) < 310
    )


def test_damages_without_number_are_told_up_to_one_and_then_counted(tmp_path):
    source = write(tmp_path / "a", b"x")
    found = list(told_damages(source, (Damage(n, "bad", n == 900) for n in range(1000)), "pages"))
    assert len(found) == 52
    assert found[50] == (source.path, Damage(900, "bad", True))
    assert found[51] == (source.path, Damage(999, "and 949 more damages up to here"))


def test_a_file_that_cannot_be_opened_any_more_is_a_damage(tmp_path):
    source = write(tmp_path / "a.json", b"{}")
    os.unlink(source.path)
    with pytest.raises(InputError):
        next(read_submissions(source))
    ((_path, damage),) = list(SubmissionsReader().read(Unit("u", (Part(source),)), print, print))
    assert damage.what.startswith("cannot be opened") and damage.cut


@pytest.mark.parametrize("data, reader, what", [
    ((material.HEAD + material.TAIL).encode(), "wikipedia", "it holds no pages at all"),
    (b"\n\n", "reddit", "it holds no submissions at all"),
])  # fmt: skip
def test_an_input_without_any_record_is_said(tmp_path, data, reader, what):
    path = tmp_path / "simplewiki.xml"
    path.write_bytes(data)
    readers = {"wikipedia": WikipediaReader(RULES["tfds"], {str(path): SITE}), "reddit": SubmissionsReader()}
    records, damages = read(readers[reader], path)
    assert (records, [damage.what for damage in damages]) == ([], [what])


# Folders


def test_strict_rules_and_other_settings_of_books_have_folders_of_their_own(tmp_path):
    dump, book = tmp_path / "simplewiki-20240501.xml", tmp_path / "b.txt"
    dump.write_text(material.HEAD + material.page(1, "One", "Text.") + material.TAIL)
    book.write_text("A book.")
    folders = [prepare_wikipedia([str(dump)], str(tmp_path / "o"), rules).plan.folder for rules in RULES]
    for chapters, language, least in (
        (False, "en", 0.99),
        (True, "en", 0.99),
        (False, "de", 0.99),
        (False, "en", 0.9),
        (True, "any", 0.5),
    ):
        folders.append(prepare_books([str(book)], str(tmp_path / "o"), chapters, language, least).plan.folder)
    assert [os.path.relpath(folder, tmp_path / "o") for folder in folders] == [
        "wikipedia/20240501.simple/1.0.0", "wikipedia/20240501.simple/1.1.0", "books/1.0.0", "books/chapters/1.0.0", "books/de/1.0.0",
        "books/en-0.9/1.0.0", "books/chapters.any/1.0.0",
    ]  # fmt: skip
    for language, least in (("../x", 0.99), ("", 0.99), ("en", 2)):
        with pytest.raises(UsageError, match="--language|--least"):
            prepare_books([str(book)], str(tmp_path / "o"), False, language, least)
