"""The peer itself: TFDS's functions, called as `tfds_c4` calls them, answer as they are known to.

Whatever these hold is TFDS's behaviour and not ours: should one fail, the other tests of this folder compare with
something else than they say.
"""

import hashlib
import json

import langdetect
import pytest
import tfds_c4
from adversarial import pack
from tensorflow_datasets.text import c4_utils

OLD, NEW = "2019-04-18T00:00:00Z", "2019-04-19T00:00:00Z"
RIVER = "The river was quiet when we came back from the long walk."
LETTER = "She asked whether anyone had seen the letter on the table."
BRIDGE = "Nobody in the village remembers who built the old stone bridge."
RAIN = "It rained for three days, and then the sun came out again."
CAPTAIN = "Is there any reason to doubt what the old captain told us?"
MORNING = "What a beautiful morning it was for a walk along the beach!"


@pytest.fixture
def wet(tmp_path):
    """Writes (url, date, lines) pages as a WET file; returns its path in a list."""

    def write(*pages) -> list[str]:
        records = []
        for url, date, lines in pages:
            body = "\n".join(lines)
            head = f"WARC/1.0\r\nWARC-Target-URI: {url}\r\nWARC-Date: {date}\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n"
            records.append((head + body + "\r\n\r\n").encode())
        path = tmp_path / "pages.warc.wet.gz"
        path.write_bytes(pack(records, one_member=False))
        return [str(path)]

    return write


def text_by_url(paths, variant="en", **lists) -> dict[str, str]:
    return {example[0]: example[1] for example in tfds_c4.corpus(paths, variant, **lists).examples}


def cleaned(*lines) -> tuple[list[str], dict[str, int]]:
    """(the lines of a page that cleaning keeps, or none where it drops the page; its counters)."""
    tfds_c4.use_tfds()
    counts = tfds_c4.Counter()
    page = c4_utils.PageFeatures(text="\n".join((*lines, RIVER, LETTER, BRIDGE)))
    kept = list(c4_utils.get_clean_page_fn()(page, counter_inc_fn=lambda name, amount=1: counts.update({name: amount})))
    return (kept[0].text.split("\n")[:-3] if kept else []), dict(counts)


def sentences(text: str) -> list[str]:
    tfds_c4.use_tfds()
    return c4_utils._get_sentences(text)


def passes_bad_words(text: str, *words: str) -> bool:
    tfds_c4.use_tfds()
    return c4_utils.get_badwords_filter_fn({"en": words})(c4_utils.PageFeatures(text=text, language="en"))


# Reading


def test_a_line_of_warc_1_0_within_a_body_starts_a_page_and_a_header_line_there_overwrites_the_pages_own(wet):
    paths = wet(
        ("http://a.org/1", OLD, ["The first.", " WARC/1.0\u3000", "The second.", "WARC-Target-URI: http://a.org/2", "WARC-Date: 2020"]),
        ("http://a.org/3", OLD, ["WARC/1.1", "The third.", "Content-Type: odd", "Content-Length: 9", "CONTENT-X", "content-x"]),
    )
    tfds_c4.use_tfds()
    pages = [(page.url, page.text, page.timestamp, page.content_type, page.content_length) for page in c4_utils.split_wet_file(paths[0])]
    assert pages == [
        ("http://a.org/1", "The first.", OLD, "text/plain", "7"),
        ("http://a.org/2", "The second.", "2020", "", ""),
        ("http://a.org/3", "The third.\ncontent-x", OLD, "odd", "9"),
    ]


def test_190_000_code_points_are_allowed_and_a_longer_newer_copy_displaces_nothing(wet):
    lines = [RIVER, LETTER, BRIDGE]
    room = 190_000 - len("\n".join(lines)) - 1
    paths = wet(
        ("http://a.org/1", OLD, [*lines, "\U0001f98a" * room]),
        ("http://a.org/1", NEW, [*lines, "x" * (room + 1)]),
        ("http://a.org/2", OLD, [*lines, "x" * (room + 1)]),
    )
    result = tfds_c4.corpus(paths, "en.noblocklist")
    assert [(example[0], example[2]) for example in result.examples] == [("http://a.org/1", OLD)]
    assert result.counts["too-long-filter/filtered"] == 2


# URLs


def test_the_newest_date_as_a_string_wins_and_keeps_its_own_spelling_of_the_url(wet):
    paths = wet(
        ("http://a.org/x", "2019-4", [RIVER, LETTER, BRIDGE]),
        ("https://www.a.org/x/?utm_source=1", "2019-04-20", [RIVER, LETTER, RAIN]),
        ("http://a.org/x/", "2019-3", [RIVER, LETTER, MORNING]),
    )
    assert text_by_url(paths) == {"http://a.org/x": "\n".join([RIVER, LETTER, BRIDGE])}


def test_of_copies_of_one_date_the_first_in_the_given_order_stays(wet):
    paths = wet(("http://a.org/x", OLD, [RIVER, LETTER, BRIDGE]), ("http://a.org/x/", OLD, [RIVER, LETTER, RAIN]))
    assert list(text_by_url(paths)) == ["http://a.org/x"]
    assert list(text_by_url(paths, newest_order=lambda page: -len(page.url))) == ["http://a.org/x/"]


@pytest.mark.parametrize(
    "url, normalised",
    [
        ("https://www.a.org/?to=http://www.b.org/", "a.org/?to=b.org"),
        ("HTTP://www.a.org", "HTTP://www.a.org"),
        ("http://a.org/?reference=1", "a.org"),
        ("http://a.org/?id=1&utm_source=x", "a.org/?id=1&utm_source=x"),
        ("http://a.org///", "a.org"),
    ],
)
def test_urls_are_normalised(url, normalised):
    tfds_c4.use_tfds()
    assert c4_utils.normalize_url(url) == normalised


def test_the_split_goes_by_the_normalised_url(wet):
    held_out = next(url for url in (f"a.org/{n}" for n in range(9999)) if int(hashlib.md5(url.encode()).hexdigest(), 16) % 1000 == 0)
    paths = wet((f"https://www.{held_out}/", OLD, [RIVER, LETTER, BRIDGE]), ("http://b.org", OLD, [RAIN, CAPTAIN, MORNING]))
    assert {(example[0], example[5]) for example in tfds_c4.corpus(paths, "en").examples} == {
        (f"https://www.{held_out}/", "validation"),
        ("http://b.org", "train"),
    }


def test_news_domains_are_compared_with_their_case_and_a_list_of_subdomains_refuses_the_bare_domain(wet, tmp_path):
    domains = tmp_path / "domains.json"
    domains.write_text(json.dumps({"a.org": True, "b.co.uk": ["news"]}))
    urls = ["http://x.a.org/", "http://A.org/", "http://news.b.co.uk/", "http://b.co.uk/", "http://c.org/"]
    # Two lines of ten of its own for each, as no page may lose its lines to another one.
    paths = wet(*((url, OLD, [f"{line[:-1]} near {url[7]}{n}." for line in (RIVER, LETTER, BRIDGE, RAIN)]) for n, url in enumerate(urls)))
    assert set(text_by_url(paths, "realnewslike", realnews_domains=str(domains))) == {"http://x.a.org/", "http://news.b.co.uk/"}


def test_listed_urls_are_normalised_and_an_empty_one_is_that_of_a_page_without_host(wet):
    paths = wet(
        ("http://a.org/x", OLD, [RIVER, LETTER, BRIDGE]),
        ("http://b.org/", OLD, [RAIN, CAPTAIN, MORNING]),
        ("https://www./", OLD, ["Mr. Smith met us at the old library. We all went in.", "He was as late as he always is!"]),
    )
    assert set(text_by_url(paths, "webtextlike", webtext_urls=["https://www.a.org/x/?ref=1"])) == {"http://a.org/x"}
    assert set(text_by_url(paths, "webtextlike", webtext_urls=["", "c.org"])) == {"https://www./"}
    counts = tfds_c4.corpus(paths, "webtextlike", webtext_urls=["a.org/x", "http://a.org/x", "c.org"]).counts
    found = {name: counts[f"webtextlike-filter/{name}"] for name in ("passed", "filtered", "missing-page")}
    assert found == {"passed": 1, "filtered": 2, "missing-page": 1}


def test_a_list_of_urls_is_read_as_beam_reads_it(tmp_path):
    (tmp_path / "urls.txt").write_bytes("http://a.org\r\nb.org/\u2028x\n\n\nc.org\rd.org \n".encode())
    assert tfds_c4.read_url_list(tmp_path / "urls.txt") == ["http://a.org", "b.org/\u2028x", "", "", "c.org\rd.org "]


# Cleaning


@pytest.mark.parametrize(
    "line, kept",
    [
        ('He said so more than once."', True),
        ("He said so more than once..", True),
        ('He said so more than once..."', True),
        ("Has he said so more than once?", True),
        ("He said so more than once!", True),
        ("He said so more than once\u2026", False),
        ("He said so more than once.\u201d", False),
        ("He said so more than once.'", False),
        ("(He said so more than once.)", False),
        ("He said so more than once...", False),
        ("He said so more than once....", False),
        ("Has he said so more than once?...", False),
    ],
)
def test_a_line_ends_in_a_mark_and_not_in_an_ellipsis(line, kept):
    assert cleaned(line)[0] == ([line] if kept else [])


@pytest.mark.parametrize(
    "line, kept",
    [
        ("The bridge was finished very late.[12]", ["The bridge was finished very late."]),
        ("The bridge was finished very late. [1]", []),
        ("[edit] The bridge was finished very late.", ["The bridge was finished very late."]),
        ("The bridge [Edit] was[a] finished[1,2] very[] late[\u0663].", ["The bridge [Edit] was[a] finished[1,2] very late."]),
        ("One two three[citation needed] four.", []),
        ("- - - - .", ["- - - - ."]),
        (f"A word of {'x' * 1000} is long.", [f"A word of {'x' * 1000} is long."]),
        (f"A word of {'x' * 998}[1] is long.", []),
    ],
)
def test_citations_go_after_the_length_of_words_is_judged_and_before_words_are_counted(line, kept):
    assert cleaned(line)[0] == kept


@pytest.mark.parametrize(
    "line, counter",
    [
        ("The words LOREM Ipsum stand for text to come.", "filtered:loremipsum"),
        ("The brace { is what programmers write all day.", "filtered:squigglybracket"),
        ("Our privacy policy { is found on this page.", "filtered:squigglybracket"),
        ("Here javascript writes { on the page for you.", "line-filtered:javascript"),
        ("Our Terms of Use are found on this page.", "line-filtered:policy"),
        ("The brace } is what programmers write all day.", "line-passed"),
        ("The words lorem  ipsum stand for text to come.", "line-passed"),
    ],
)
def test_a_phrase_drops_its_line_or_its_page(line, counter):
    kept, counts = cleaned(line)
    dropped = {"filtered:loremipsum": {}, "filtered:squigglybracket": {}}
    rest = dropped.get(counter, {"line-passed": 3, "passed": 1})
    assert counts == dict(tfds_c4.Counter(rest) + tfds_c4.Counter({counter: 1}))
    assert kept == ([line] if counter == "line-passed" else [])


# Repeated lines


def owner(*urls: str) -> str:
    return min(urls, key=lambda url: hashlib.md5(url.encode()).hexdigest())


def test_a_repeated_line_stays_on_the_page_with_the_smallest_md5_of_its_raw_url_whatever_its_case(wet):
    urls = ["http://a.org/1", "http://www.b.org/1"]
    first = owner(*urls)
    assert first != owner("a.org/1", "b.org/1").replace("a.", "http://a.").replace("b.", "http://www.b.")
    paths = wet((urls[0], OLD, [RIVER, LETTER, BRIDGE, RAIN]), (urls[1], OLD, [RIVER.upper(), CAPTAIN, MORNING, "[edit] " + LETTER]))
    others = {urls[0]: [BRIDGE, RAIN], urls[1]: [CAPTAIN, MORNING]}
    counts = tfds_c4.corpus(paths, "en").counts
    texts = text_by_url(paths)
    assert list(texts) == [first] and len(others[first]) == 2
    assert (counts["dedupe-lines/line-filtered:global_duplicate"], counts["dedupe-lines/filtered:too_few_sentences"]) == (2, 1)


def test_within_a_page_the_first_copy_of_a_line_stays_unstripped(wet):
    paths = wet(("http://a.org", OLD, [RIVER, "[edit] " + LETTER, LETTER.upper(), BRIDGE]))
    assert text_by_url(paths) == {"http://a.org": f"{RIVER}\n {LETTER}\n{BRIDGE}"}


def test_lower_case_is_that_of_unicode_and_nothing_is_normalised():
    tfds_c4.use_tfds()
    keys = [next(c4_utils._emit_url_to_lines(c4_utils.PageFeatures(text=text)))[0] for text in (" \u00c9t\u00e9\u3000", "\u00e9t\u00e9", "e\u0301te\u0301")]
    assert keys[0] == keys[1] != keys[2]


def test_sentences_are_counted_again_where_no_line_was_removed(wet):
    # Line by line there are three; joined, the mark of the second line takes the third along.
    lines = ["Here you can read all about vitamin B.", "apples and pears are full of it.", 'He said that it was "as good as gold."']
    by_line = [len(sentences(line)) for line in lines]
    assert by_line == [1, 1, 1] and len(sentences("\n".join(lines))) == 2
    counts = tfds_c4.corpus(wet(("http://a.org", OLD, lines)), "en").counts
    assert counts["clean-page/passed"] == 1 and counts["dedupe-lines/line-filtered:local_duplicate"] == 0
    assert counts["dedupe-lines/filtered:too_few_sentences"] == 1


def test_a_page_that_a_later_rule_drops_owns_its_lines_and_one_that_cleaning_drops_owns_none(wet):
    urls = sorted((f"http://a.org/{n}" for n in range(4)), key=lambda url: hashlib.md5(url.encode()).hexdigest())
    paths = wet(
        (urls[0], OLD, [BRIDGE, "A brace { is in this line of it."]),
        (urls[1], OLD, [RIVER, LETTER, "They said sexy in a loud voice to all."]),
        (urls[2], OLD, [RIVER, BRIDGE, RAIN, CAPTAIN]),
    )
    assert text_by_url(paths, bad_words=["sexy"]) == {urls[2]: "\n".join([BRIDGE, RAIN, CAPTAIN])}
    assert set(text_by_url(paths, "en.noblocklist")) == {urls[1], urls[2]}
    assert set(text_by_url(paths, "en.noclean")) == set(urls[:3])


# Sentences


@pytest.mark.parametrize(
    "text, count",
    [
        ("We leave today !!!", 3),
        ("We leave today!!!", 2),
        (". . . .", 4),
        ("\u201cWe leave.\u201d \u201cWe stay.\u201d", 1),
        ("\u00abWe leave.\u00bb \u00abWe stay.\u00bb", 1),
        ("See e.g. Smith.", 2),
        ("Mr. Smith met Dr. Jones.", 1),
        ('He said "no." She left.', 2),
    ],
)
def test_sentences_are_those_of_nltk_3_8_1(text, count):
    assert len(sentences(text)) == count


# Language


def test_language_is_that_of_langdetect_with_seed_0_and_a_page_of_digits_has_none(wet):
    german = ["Der Hund lief schnell \u00fcber die gr\u00fcne Wiese nach Hause.", "Es regnete drei Tage, dann schien die Sonne.", "Niemand wusste, wer das war."]
    paths = wet(("http://a.org", OLD, german), ("http://b.org", OLD, ["12 34 56 78 90."] * 3), ("http://c.org", OLD, [RIVER, LETTER, BRIDGE]))
    result = tfds_c4.corpus(paths, "en.noclean")
    assert {example[0] for example in result.examples} == {"http://c.org"}
    expected = {"passed": 1, "filtered:langdetect_exception": 1, "filtered:ignored_language": 1, "filtered:ignored_language-de": 1}
    assert {name.split("/")[1]: count for name, count in result.counts.items() if name.startswith("english-filter/")} == expected


def test_a_language_detector_that_others_have_changed_is_not_the_peers():
    tfds_c4.use_tfds()
    page = c4_utils.PageFeatures(text=RIVER)
    assert [found.language for found in c4_utils.detect_english(page)] == ["en"]
    theirs = langdetect.DetectorFactory()
    theirs.langlist, theirs.word_lang_prob_map = ["xx"], {}
    before, langdetect.detector_factory._factory = langdetect.detector_factory._factory, theirs
    try:
        assert [found.language for found in c4_utils.detect_english(page)] == ["en"]
        assert langdetect.detector_factory._factory is theirs
    finally:
        langdetect.detector_factory._factory = before


# Bad words


@pytest.mark.parametrize(
    "text, passes",
    [
        ("It was a sexy thing", False),
        ("SEXY", False),
        ("sexy\u0301 or not", False),  # a combining mark
        ("\u200bsexy\u200d!", False),  # ZWSP and ZWJ
        ("so\u0301sexy", True),
        ("_sexy_", True),
        ("sexy\u00b2", True),
        ("sexy2", True),
        ("unsexy", True),
        ("he will kic\u212a them", False),
        ("\u017fexy", True),  # long s
        ("\uff53\uff45\uff58\uff59", True),  # full width
        ("a two  girls film", True),
        ("a two\ngirls film", True),
        ("a two girls film", False),
        ("a.b", False),
        ("axb", True),
        ("so \U0001f595!", False),
        ("so\U0001f595", True),
    ],
)
def test_bad_words_stand_between_what_python_calls_no_word(text, passes):
    assert passes_bad_words(text, "sexy", "kick", "two girls", "a.b", "\U0001f595") == passes
