"""Wikitext to text, held against TFDS's own functions; each rule for what those leave behind by itself."""

from collections import Counter
from types import SimpleNamespace

import corpora_material as material
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c4build.read.wikipedia import read_pages
from c4build.rules.wikitext import LEFTOVERS, RULES, is_disambiguation, is_redirect, to_text


@pytest.fixture(scope="module")
def tfds():
    reader, clean = material.tfds_wikipedia()
    return SimpleNamespace(reader=reader, clean=clean)


def test_every_article_of_the_sample_is_tfds_to_the_letter_but_for_lines_with_markup(tfds):
    path = material.shared("wiki/enwiki-sample.xml.bz2")
    articles = [page for page in read_pages(material.source(path)) if not is_redirect(page.text)]
    assert [(int(page.id), page.title, page.text) for page in articles] == [
        (page.id, page.title, page.text) for page in tfds.reader(path)
    ]
    differing, found = [], Counter()
    for page in articles:
        theirs, ours = tfds.clean(int(page.id), page.title, page.text), to_text(page.text, found=found)
        if material.MARKUP.search(theirs):
            differing.append(page.title)
            _assert_only_markup_is_missing(theirs, ours)
        else:
            assert ours == theirs, page.title
        assert not material.MARKUP.search(ours), page.title
    assert len(articles) == 106
    assert differing == [
        "Anarchism", "Alabama", "Abraham Lincoln", "Aristotle", "Andre Agassi", "Alkali metal", "Ambiguity",
        "Arthur Schopenhauer", "Azerbaijan", "Art", "Abortion", "American Revolutionary War",
    ]  # fmt: skip
    assert found == {"unread_references": 11, "unread_tables": 2, "unread_links": 1}


def _assert_only_markup_is_missing(theirs: str, ours: str):
    """What is not in our text lies between two pieces of it that follow one another in TFDS's, and starts with markup."""
    gaps, at = [], 0
    for line in ours.split("\n"):
        while True:
            found = theirs.find(line, at)
            if found >= 0 and material.MARKUP.search(theirs, at, found) is None and not theirs[at:found].strip():
                at = found + len(line)
                break
            mark = material.MARKUP.search(theirs, at)
            assert mark, f"{line!r} is not where it should be"
            head = theirs[at : mark.start()].strip("\n")
            assert line.startswith(head) or not head.strip(), (line[:80], head[:80])
            line = line[len(head) :] if head and line.startswith(head) else line
            following = theirs.find(line, mark.start()) if line.strip() else mark.end()
            assert following >= 0, line
            gaps.append(theirs[mark.start() : following])
            at = following
    assert all(len(gap) < 20_000 for gap in gaps)


@pytest.mark.parametrize("number", range(len(material.SNIPPETS)))
def test_each_snippet_alone_is_what_tfds_makes_of_it(tfds, number):
    _compare(tfds, material.SNIPPETS[number])


@settings(max_examples=250, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(material.SNIPPETS), st.sampled_from(["", " ", "\n", "\n\n", "\n== Title ==\n"])),
        min_size=2,
        max_size=7,
    )
)
def test_any_snippets_together_are_what_tfds_makes_of_them(tfds, parts):
    _compare(tfds, "".join(snippet + between for snippet, between in parts))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab {}[]|<>/='\n!-*#:;&refFile", max_size=60))
def test_any_jumble_of_markup_is_what_tfds_makes_of_it(tfds, text):
    _compare(tfds, text)


def _compare(tfds, wikitext: str):
    theirs, ours = tfds.clean(1, "Title", wikitext), to_text(wikitext)
    if material.MARKUP.search(theirs):
        assert not material.MARKUP.search(ours)
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "wikitext, theirs, ours, rule",
    [
        ("''a<ref>b''c</ref>d''", "a<ref>bc</ref>d''", "ad''", "unread_references"),
        ("Start<ref>no end.\n\nNext.", "Start<ref>no end.\n\nNext.", "Start\n\nNext.", "unread_references"),
        (
            "Lead.\n\n{{Box\n|a=1\n|b=2\n\nProse stays.",
            "Lead.\n\n{{Box\n|a=1\n|b=2\n\nProse stays.",
            "Lead.\n\nProse stays.",
            "unread_templates",
        ),
        (
            "Before.\n{|\n| ''a\n|-\n| b\n\nAfter.",
            "Before.\n{|\n| ''a\n|-\n| b\n\nAfter.",
            "Before.\n\nAfter.",
            "unread_tables",
        ),
        ("An [[open link.", "An [[open link.", "An open link.", "unread_links"),
        (
            "[[File:A.jpg|thumb|a [[b]] c\nText.",
            "[[File:A.jpg|thumb|a b c\nText.",
            "Text.",
            "unread_links",
        ),
    ],
)
def test_what_tfds_leaves_behind_goes_by_a_rule_of_its_own(tfds, wikitext, theirs, ours, rule):
    found = Counter()
    assert tfds.clean(1, "T", wikitext) == theirs
    assert to_text(wikitext, found=found) == ours
    assert found == {rule: 1}


@pytest.mark.parametrize(
    "rule, text, cleaned",
    [
        ("unread_references", 'a<ref name="x">b\nc</ref>d<ref/>e<references group="n">f', "adef"),
        ("unread_templates", "a {{b {{c}} d}} e {{open\n| x = 1\nf", "a  e \nf"),
        ("unread_tables", "a\n{| x\n| b\n{|\n| c\n|}\n|}\nd\n{| open\n| e\n\nf", "a\n\nd\n\n\nf"),
        ("unread_links", "[[a]] [[b|c]] [[File:d|[[e]] f]] [[g [http://h i] j]] [[k", "a c  g [http://h i] j k"),
    ],
)
def test_a_rule_for_leftovers_takes_out_just_its_own_markup(rule, text, cleaned):
    assert LEFTOVERS[rule](text) == cleaned


def test_brackets_that_are_meant_as_such_stay_as_tfds_keeps_them(tfds):
    wikitext = "Write <nowiki>{{stub}} or [[cat]] or <ref></nowiki> or &#91;&#91;dog]] or &lt;ref&gt; or &#123;| here."
    expected = "Write {{stub}} or [[cat]] or <ref> or [[dog]] or <ref> or {| here."
    assert tfds.clean(1, "T", wikitext) == expected
    assert to_text(wikitext) == expected


def test_an_entity_that_is_no_character_becomes_one_that_can_be_written():
    found = Counter()
    assert to_text("a &#xD800; b", found=found).encode() == "a \ufffd b".encode()
    assert found == {"surrogates": 1}


def test_strict_rules_take_out_categories_language_links_and_reference_like_sections():
    wikitext = (
        "Lead about [[cats]].\n\n== History ==\nLong ago.\n\n=== Sources ===\nOld books.\n\n==== Deep ====\nDeeper.\n\n"
        "=== Later ===\nNot so long ago.\n\n== References ==\n* Smith.\n\n=== Notes ===\nX.\n\n== Legacy ==\nStill here.\n\n"
        "== External links ==\n* [http://a.b Site]\n[[Category:Cats]]\n[[de:Katze]]\n"
    )
    assert to_text(wikitext, RULES["strict"]) == (
        "Lead about cats.\n\nHistory \nLong ago.\n\nLater \nNot so long ago.\n\nLegacy \nStill here."
    )
    assert to_text("A cat.\n[[Category:Cats]]\n[[fr:Chat]]", RULES["strict"]) == "A cat."
    assert to_text("A cat.\n[[Category:Cats]]\n[[fr:Chat]]") == "A cat.\nCategory:Cats\nfr:Chat"


@pytest.mark.parametrize(
    "title, wikitext, expected",
    [
        ("Mercury (disambiguation)", "'''Mercury''' may be:", True),
        ("Mercury", "'''Mercury''' may be:\n* a planet\n{{disambiguation}}", True),
        ("Mercury", "{{Disambiguation|geo|surname}}", True),
        ("Smith", "{{ hndis |Smith, John}}", True),
        ("Smith", "{{Template:Dab}}", True),
        ("Smith", "{{disambiguation_page}}", True),
        ("Smith", "text __DISAMBIG__", True),
        ("Mercury", "{{about|the planet|other uses|Mercury (disambiguation)}} A planet.", False),
        ("Mercury", "A planet{{disambiguation needed|date=May 2020}}.", False),
        ("Mercury", "<!-- {{disambiguation}} --> A planet.", False),
        ("Dab", "A dab is a fish. {{dablink|x}}", False),
    ],
)
def test_a_page_is_a_disambiguation_by_its_title_template_or_magic_word(title, wikitext, expected):
    assert is_disambiguation(title, wikitext) is expected


def test_templates_far_deeper_than_the_parser_goes_end_in_text_without_braces():
    text = to_text("Before. " + "{{a|" * 300 + "core" + "}}" * 300 + "\n\nAfter.")
    assert text.startswith("Before.") and text.endswith("After.") and "{{" not in text


def test_a_page_of_twenty_thousand_open_links_ends_without_their_brackets():
    assert to_text("[[" * 20_000 + "x") == "x"
