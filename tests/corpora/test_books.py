"""Books to text: Gutenberg's words in all their spellings, encodings, chapters, and EPUB in reading order."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.errors import UsageError
from c4build.read.books import find_books, read_book
from c4build.read.chapters import BookError, split_chapters
from c4build.read.gutenberg import without_boilerplate
from c4build.read.paths import identify
from c4build.read.plain_text import decode

BODY = (
    "CHAPTER I\n\nIt was the end of the summer, and nobody in the village had seen the ferry start for a week.\n\n"
    'She said that the project of the bridge would begin in spring. "The end of this," he answered, "is near."\n\n'
    "CHAPTER II\n\nThe End of the line was a small print shop, where the full licence of the house hung on the wall."
)

STARTS = [
    "The Project Gutenberg EBook of The Ferry, by A. Writer\n\nThis eBook is for the use of anyone anywhere at no cost and with\nalmost no restrictions whatsoever.\n\n\nTitle: The Ferry\n\nAuthor: A. Writer\n\nRelease Date: May 1, 2004 [EBook #12345]\n\nLanguage: English\n\nCharacter set encoding: ASCII\n\n*** START OF THIS PROJECT GUTENBERG EBOOK THE FERRY ***\n\n\n\n\nProduced by Some Body and the Online Distributed\nProofreading Team at http://www.pgdp.net\n\n\n\n",
    "The Project Gutenberg eBook of The Ferry\n    \nThis ebook is for the use of anyone anywhere in the United States and\nmost other parts of the world at no cost.\n\nTitle: The Ferry\n\nAuthor: A. Writer\n\n        \nRelease date: May 1, 2024 [eBook #71234]\n\nLanguage: English\n\nCredits: Some Body\n\n\n*** START OF THE PROJECT GUTENBERG EBOOK THE FERRY ***\n\n",
    "\ufeffProject Gutenberg's The Ferry, by A. Writer\n\nTitle: The Ferry\nAuthor: A. Writer\n\n***START OF THE PROJECT GUTENBERG EBOOK THE FERRY***\n\n\nE-text prepared by Some Body\n\n\n\nNote: Project Gutenberg also has an HTML version of this file.\n\n",
    "Title: The Ferry\nAuthor: A. Writer\n\n*** START OF THIS PROJECT GUTENBERG EBOOK THE FERRY; OR,\nTHE LONG WAY OVER THE WATER ***\n\n",
    'The Project Gutenberg Etext of The Ferry, by A. Writer\n\nTitle: The Ferry\nAuthor: A. Writer\n\nCopyright laws are changing all over the world, be sure to check\n\n**Welcome To The World of Free Plain Vanilla Electronic Texts**\n\n***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\nWhy is this "Small Print!" statement here?\n\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\n\n\n\nThis etext was prepared by Some Body, Santa Clara, CA.\n\n',
    "Title: The Ferry\nAuthor: A. Writer\n\n*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.03.17.02*END*\n[Portions of this header are copyright (C) 2001]\n\n\nScanned and proofed by Some Body\n\n",
    "Title: The Ferry\nAuthor: A. Writer\n\n*** START OF THE PROJECT GUTENBERG ETEXT THE FERRY ***\n\nTranscribed from the 1901 edition by Some Body\n\n",
    "Title: The Ferry\nAuthor: A. Writer\n\nSTART OF THE PROJECT GUTENBERG E-BOOK THE FERRY\n\n",
]
ENDS = [
    "\n\n\n\n\n\nEnd of the Project Gutenberg EBook of The Ferry, by A. Writer\n\n*** END OF THIS PROJECT GUTENBERG EBOOK THE FERRY ***\n\n***** This file should be named 12345.txt or 12345.zip *****\n\n*** START: FULL LICENSE ***\n\nTHE FULL PROJECT GUTENBERG LICENSE\n",
    "\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE FERRY ***\n\nUpdated editions will replace the previous one\u2014the old editions will\nbe renamed.\n",
    "\n\n***END OF THE PROJECT GUTENBERG EBOOK THE FERRY***\n\n\n******* This file should be named 12345-8.txt or 12345-8.zip *******\n",
    "\n\nEnd of Project Gutenberg's The Ferry, by A. Writer\n",
    "\n\nEnd of Project Gutenberg\u2019s The Ferry\n",
    "\n\nEnd of The Project Gutenberg Etext of The Ferry\n",
    '\n\nThe End of Project Gutenberg etext of "The Ferry"\n',
    "\n\nEnd of this Project Gutenberg Etext of The Ferry, by A. Writer\n",
    "\n\nEnd of the Project Gutenberg E-Book of The Ferry\n",
    "\n\n*** START: FULL LICENSE ***\n\nSection 1.  General Terms of Use\n",
    "\n\nThis file should be named ferry10.txt or ferry10.zip\n",
    "\n\nUpdated editions will replace the previous one--the old editions\nwill be renamed.\n",
    "\n\nEnde dieses Projekt Gutenberg Etextes The Ferry\n",
    "\n\nEinde van Project Gutenberg's The Ferry\n",
    "",
]


@pytest.mark.parametrize("end", range(len(ENDS)))
@pytest.mark.parametrize("start", range(len(STARTS)))
def test_gutenbergs_words_are_gone_in_every_spelling_of_its_start_and_end(start, end):
    stripped = without_boilerplate(STARTS[start] + "\n\n" + BODY + ENDS[end])
    assert stripped.text == BODY
    assert stripped[1:] == (True, "The Ferry", "A. Writer")
    assert "gutenberg" not in stripped.text.lower()


@pytest.mark.parametrize("end", range(len(ENDS) - 1))
def test_a_footer_without_a_header_goes_too(end):
    assert without_boilerplate(BODY + ENDS[end]).text == BODY


def test_a_header_that_no_line_ends_goes_with_its_fields():
    text = (
        "Project Gutenberg's The Ferry, by A. Writer\n\nTitle: The Ferry\n\nAuthor: A. Writer\n    and Another\n\n"
        + BODY
    )
    assert without_boilerplate(text) == (BODY, True, "The Ferry", "A. Writer and Another")


def test_a_book_that_is_not_gutenbergs_is_left_alone():
    text = "A Book\n\nThe project was at an end. START OF THE THING.\n\nProduced by hand.\n\nThe end of Gutenberg is told here."
    assert without_boilerplate(text) == (text, False, None, None)


def test_a_book_about_gutenberg_keeps_his_name():
    text = (
        STARTS[0]
        + "Johannes Gutenberg printed bibles in Mainz.\n\nThe end of the project of Gutenberg came soon."
        + ENDS[0]
    )
    assert without_boilerplate(text).text == (
        "Johannes Gutenberg printed bibles in Mainz.\n\nThe end of the project of Gutenberg came soon."
    )


@given(st.text(alphabet="ab.\n *ENDSTARTOFGUB", max_size=300))
def test_every_line_of_a_stripped_text_is_one_of_the_lines_that_went_in(text):
    lines = [line.strip() for line in text.split("\n")]
    assert all(line.strip() in lines for line in without_boilerplate(text).text.split("\n"))


WORDS = "The caf\u00e9 of Zo\u00eb B\u00e9ranger \u2014 \u201cna\u00efve\u201d, she said \u2014 stood by the r\u00f4le-players\u2019 theatre, \u00e0 la mode. "


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "cp1252"],
)
def test_a_text_comes_out_the_same_from_every_encoding(encoding):
    text = WORDS * 20
    assert decode(text.encode(encoding)) == (text, True)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "mac-roman", "cp437"])
def test_a_text_without_a_mark_in_a_rarer_encoding_is_read_by_its_statistics(encoding):
    text = (
        "A long plain English sentence with caf\u00e9s and na\u00efve r\u00f4les in it, and Zo\u00eb too. " * 40
    ).replace("\u2014", "-")
    assert decode(text.encode(encoding))[0] == text


def test_what_gutenbergs_header_says_of_the_encoding_decides():
    header = "Title: X\n\nCharacter set encoding: {}\n\n"
    for name, encoding in (
        ("ISO-8859-1", "latin-1"),
        ("ISO Latin-1", "latin-1"),
        ("KOI8-R", "koi8-r"),
        ("CP-1250", None),
    ):
        text = header.format(name) + ("\u0416\u0436" if encoding == "koi8-r" else "\u00e9\u00df")
        if encoding:
            assert decode(text.encode(encoding)) == (text, True)
    for name in ("UTF-16", "UTF-32", "utf-16-be", "cp037"):  # in which the header itself would not be what it is
        for rest in ("caf\u00e9", "caf\u00e9s"):
            text = header.format(name) + rest
            assert decode(text.encode("cp1252"))[0] == text, name
    assert decode(header.format("Nonsense-99").encode() + b"caf\xe9 \x93quoted\x94")[0].endswith(
        "caf\u00e9 \u201cquoted\u201d"
    )


@given(st.binary(max_size=2000))
@settings(deadline=None)
def test_any_bytes_at_all_are_decoded_to_text_that_can_be_written(data):
    decode(data)[0].encode()


@given(st.text(max_size=400))
def test_any_utf8_is_read_as_such(text):
    if "\0" not in text and not text.startswith("\ufeff"):
        assert decode(text.encode()) == (text, True)


def test_chapters_begin_at_headings_with_text_behind_them_and_not_in_the_table_of_contents():
    prose = "A sentence that is long enough to make a chapter of it, if it is said some times. " * 4
    text = (
        "THE FERRY\n\nCONTENTS\n\nCHAPTER I. The Start\n\nCHAPTER II. The End\n\n"
        f"CHAPTER I\nThe Start\n\n{prose.strip()}\n\nIn Chapter II of his life he moved.\n\nCHAPTER II\n\n{prose.strip()}\n\nEpilogue\n\nDone."
    )
    chapters = split_chapters(text)
    assert [chapter.title for chapter in chapters] == ["", "CHAPTER I", "CHAPTER II", "Epilogue"]
    assert chapters[0].text == "THE FERRY\n\nCONTENTS\n\nCHAPTER I. The Start\n\nCHAPTER II. The End"
    assert "\n\n".join(chapter.text for chapter in chapters) == text


@given(
    st.lists(
        st.sampled_from(["CHAPTER I", "CHAPTER 2", "x" * 250, "short", "BOOK TWO\nmore", "Letter IV. To him"]),
        max_size=12,
    )
)
def test_chapters_together_are_the_whole_text(paragraphs):
    text = "\n\n".join(paragraphs)
    assert "\n\n".join(chapter.text for chapter in split_chapters(text)) == text


CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def epub(
    documents: dict[str, str], spine: list[str], extra: dict[str, str] | None = None, linear_no=(), metadata=""
) -> bytes:
    """An EPUB whose files lie in the order of `documents` and are read in that of `spine`."""
    items = "".join(
        f'<item id="i{number}" href="{name}" media-type="application/xhtml+xml"/>'
        for number, name in enumerate(documents)
    )
    names = {name: f"i{number}" for number, name in enumerate(documents)}
    references = "".join(
        f'<itemref idref="{names.get(name, "none")}"' + (' linear="no"' if name in linear_no else "") + "/>"
        for name in spine
    )
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="u">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Ferry</dc:title><dc:creator>A. Writer</dc:creator>'
        f'{metadata}</metadata><manifest>{items}<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        f'<item id="css" href="s.css" media-type="text/css"/></manifest><spine><itemref idref="nav"/>{references}</spine></package>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/content.opf", package)
        for name, text in {**documents, **(extra or {})}.items():
            archive.writestr("OEBPS/" + name.replace("%20", " ") if not name.startswith("META-INF") else name, text)
    return out.getvalue()


def html(body: str) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>No</title><style>p {{}}</style></head><body>{body}</body></html>'


def write(path, data: bytes):
    path.write_bytes(data)
    return identify(str(path))


def test_an_epub_comes_out_in_the_order_of_its_spine_not_of_its_files(tmp_path):
    documents = {
        "z-last.xhtml": html("<h2>Three</h2><p>The end.</p>"),
        "a%20first.xhtml": html("<h1>One</h1><p>It <em>beg</em>an &amp; went\n   on.</p><p>Next<br/>line.</p>"),
        "notes.xhtml": html("<p>Aside.</p>"),
        "middle.xhtml": html(
            "<div><h2>Two <small>parts</small></h2><ul><li>a</li><li>b</li></ul><pre>x  y\n z</pre></div>"
        ),
    }
    data = epub(
        documents, ["a%20first.xhtml", "middle.xhtml", "notes.xhtml", "z-last.xhtml"], linear_no=["notes.xhtml"]
    )
    book = read_book(write(tmp_path / "b.epub", data))
    assert (book.title, book.author, book.troubles) == ("The Ferry", "A. Writer", [])
    assert [chapter.title for chapter in book.chapters] == ["One", "Two parts", "Three"]
    assert book.text == "One\n\nIt began & went on.\n\nNext\nline.\n\nTwo parts\n\na\nb\n\nx y\nz\n\nThree\n\nThe end."


def test_scripts_ruby_and_pictures_leave_no_text_in_an_epub(tmp_path):
    body = '<script>var a = "<p>no</p>";</script><script src="x"/><p>\u6f22<ruby>\u5b57<rp>(</rp><rt>ji</rt></ruby><img alt="no" src="x"/> ok</p><svg><text>no</text></svg>'
    book = read_book(write(tmp_path / "b.epub", epub({"a.xhtml": html(body)}, ["a.xhtml"])))
    assert book.text == "\u6f22\u5b57 ok"


def test_an_epub_of_gutenberg_loses_its_header_and_licence_and_keeps_its_chapters(tmp_path):
    header = html(
        "<div id='pg-header'><h2>The Project Gutenberg eBook of The Ferry</h2><p>This ebook is for the use of anyone.</p><p>Title: The Ferry</p><div>*** START OF THE PROJECT GUTENBERG EBOOK THE FERRY ***</div></div>"
    )
    mixed = html(
        "<h2>Chapter 2</h2><p>Second text.</p><div>*** END OF THE PROJECT GUTENBERG EBOOK THE FERRY ***</div><p>Updated editions will replace.</p>"
    )
    documents = {
        "h.xhtml": header,
        "c1.xhtml": html("<h2>Chapter 1</h2><p>First text.</p>"),
        "c2.xhtml": mixed,
        "l.xhtml": html("<p>Licence.</p>"),
    }
    book = read_book(write(tmp_path / "b.epub", epub(documents, list(documents))))
    assert [tuple(chapter) for chapter in book.chapters] == [
        ("Chapter 1", "Chapter 1\n\nFirst text."), ("Chapter 2", "Chapter 2\n\nSecond text."),
    ]  # fmt: skip


def test_a_document_missing_from_an_epub_is_told_and_the_rest_kept(tmp_path):
    data = epub({"a.xhtml": html("<p>Here.</p>"), "gone.xhtml": ""}, ["a.xhtml", "gone.xhtml", "unknown.xhtml"])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if not name.endswith("gone.xhtml"):
                new.writestr(name, old.read(name))
    book = read_book(write(tmp_path / "b.epub", out.getvalue()))
    told = ["OEBPS/gone.xhtml: it is not in the file", "none: the reading order names it, but not the list of files"]
    assert (book.text, book.troubles) == ("Here.", told)


ENCRYPTION = '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:CipherData><enc:CipherReference URI="OEBPS/{}"/></enc:CipherData></enc:EncryptedData></encryption>'


def test_a_protected_epub_is_refused_but_not_one_whose_fonts_alone_are(tmp_path):
    documents = {"a.xhtml": html("<p>Here.</p>")}
    fonts = epub(documents, ["a.xhtml"], {"META-INF/encryption.xml": ENCRYPTION.format("font.otf")})
    assert read_book(write(tmp_path / "f.epub", fonts)).text == "Here."
    locked = epub(documents, ["a.xhtml"], {"META-INF/encryption.xml": ENCRYPTION.format("a.xhtml")})
    with pytest.raises(BookError, match="protected against reading"):
        read_book(write(tmp_path / "l.epub", locked))


@pytest.mark.parametrize(
    "name, data, why",
    [
        ("a.txt", b"", "it holds no text"),
        ("a.txt", b" \n\n \r\n", "it holds no text"),
        ("a.txt", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0" + bytes(range(256)) * 50, "it is not text"),
        ("a.epub", b"PK\x03\x04 and no more", "it is no whole EPUB"),
        ("a.epub", epub({}, []), "its spine is empty"),
        ("a.epub", epub({"a.xhtml": html("")}, ["a.xhtml"]), "it holds no text"),
        ("a.epub", epub({"a.xhtml": html("<p>x</p>")}, ["a.xhtml"])[:-40], "it is no whole EPUB"),
    ],
)
def test_what_is_no_book_is_refused_with_the_reason(tmp_path, name, data, why):
    with pytest.raises(BookError, match=why):
        read_book(write(tmp_path / name, data))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_epub_with_changed_bytes_is_read_or_refused_but_never_a_crash(tmp_path_factory, data):
    whole = bytearray(epub({"a.xhtml": html("<p>One.</p>"), "b.xhtml": html("<p>Two.</p>")}, ["a.xhtml", "b.xhtml"]))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("book") / "b.epub"
    try:
        book = read_book(write(path, bytes(whole)))
    except BookError as error:
        assert str(error)
    else:
        assert book.text


def test_folders_are_searched_for_books_and_each_is_found_once(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.txt", "deep/a.EPUB", "deep/c.jpg", ".hidden.txt"):
        (tmp_path / name).write_bytes(b"x")
    found = find_books([str(tmp_path), str(tmp_path / "b.txt")])
    assert [source.name for source in found] == ["a.EPUB", "b.txt"]
    for wrong, message in (
        (str(tmp_path / "no.txt"), "no such file"),
        (str(tmp_path / "deep/c.jpg"), "books are .txt or .epub"),
    ):
        with pytest.raises(UsageError, match=message):
            find_books([wrong])
    with pytest.raises(UsageError, match="no input"):
        find_books([])


def test_a_plain_book_is_named_by_its_header_or_else_by_its_file(tmp_path):
    gutenberg = read_book(write(tmp_path / "pg1.txt", (STARTS[0] + BODY + ENDS[0]).replace("\n", "\r\n").encode()))
    assert (gutenberg.title, gutenberg.author, gutenberg.text) == ("The Ferry", "A. Writer", BODY)
    other = read_book(write(tmp_path / "My Book.txt", b"Some text.   \r\rMore.\n\n\n\n\nEnd.\n"))
    assert (other.title, other.author, other.text) == ("My Book", "", "Some text.\n\nMore.\n\nEnd.")
