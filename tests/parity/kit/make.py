"""Makes the kit: the pages as one WET file, and what TFDS's own functions say of each.

    python tests/parity/kit/make.py

writes `kit.warc.wet.gz` and `verdicts.jsonl` beside this script. A verdict is a line of JSON: `rule` and `page` (what is tested),
`url`, `kept`, and `text` where the page is kept, `reason` where it is not, by TFDS's counter.
"""

import collections
import gzip
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent), str(HERE.parent.parent.parent)]

import tfds_c4  # noqa: E402
import wet_files  # noqa: E402
from kit_pages import Case, cases  # noqa: E402
from tensorflow_datasets.text import c4_utils  # noqa: E402

from c4build.sample.resources import bad_words_file  # noqa: E402

WET, VERDICTS = HERE / "kit.warc.wet.gz", HERE / "verdicts.jsonl"


def wet_bytes(made: list[Case]) -> bytes:
    return b"".join(wet_files.members(map(_written, made)))


def verdicts(made: list[Case], wet: Path) -> list[dict]:
    """What TFDS makes of each page of the WET file, in the order of the pages."""
    words = bad_words_file().read_text().splitlines()
    kept = {url: text for url, text, *_ in tfds_c4.corpus([str(wet)], "en", bad_words=words).examples}
    reasons = why_not(made, wet, words, kept.keys())
    assert not kept.keys() & reasons.keys()
    said = []
    for case in made:
        line = {"rule": case.rule, "page": case.name, "url": case.address, "kept": case.address in kept}
        extra = {"text": kept[case.address]} if line["kept"] else {"reason": reasons[case.address]}
        said.append({**line, **extra})
    return said


def why_not(made: list[Case], wet: Path, bad_words: list[str], kept: Collection[str]) -> dict[str, str]:
    """The counter under which TFDS drops each page that is not `kept`, by URL."""
    counts = tfds_c4.use_tfds()
    reasons: dict[str, str] = {}

    def through(pages: Iterable, step: Callable[..., Iterable]) -> list:
        """What `step` makes of the pages; notes of those that it drops under which name it counted them."""
        left = []
        for page in pages:
            counts.clear()
            found = list(step(page))
            left += found
            if not found:
                reasons[page.url] = min(
                    (name for name in counts if "/filtered" in name), key=len
                )  # and more with the language's name
        return left

    pages = list(c4_utils.split_wet_file(str(wet)))
    reasons |= {
        case.address: _not_a_page(case, counts) for case in made if case.address not in {page.url for page in pages}
    }
    pages = through(pages, lambda page: [page] if c4_utils.is_valid_length(page) else [])
    copies = collections.defaultdict(list)
    for page in pages:
        copies[page.normalized_url].append(page)
    pages = [c4_utils.select_newest_page(same_url) for same_url in copies.values()]
    older = {page.url for same_url in copies.values() for page in same_url} - {page.url for page in pages}
    reasons |= dict.fromkeys(older, "duplicate-url-filter/filtered")
    pages = through(pages, c4_utils.get_clean_page_fn())
    pages = through(pages, tfds_c4.repeated_lines_remover(pages))
    pages = through([page for page in pages if page.url not in kept], c4_utils.detect_english)
    keep = c4_utils.get_badwords_filter_fn({"en": bad_words})
    through(pages, lambda page: [page] if keep(page) else [])
    return reasons


def _not_a_page(case: Case, counts: Counter) -> str:
    """Why a record is no page to TFDS: what it counts of a file that has this record alone."""
    with tempfile.NamedTemporaryFile(suffix=".gz") as file:
        file.write(gzip.compress(wet_files.record(_written(case))))
        file.flush()
        counts.clear()
        assert not list(c4_utils.split_wet_file(file.name))
    (reason,) = [name for name in counts if "/filtered" in name]
    return reason


def _written(case: Case) -> wet_files.Written:
    return wet_files.Written(case.address, case.body, case.date or None)


def jsonl(lines: list[dict]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    made = cases()
    WET.write_bytes(wet_bytes(made))
    VERDICTS.write_text(jsonl(verdicts(made, WET)))
