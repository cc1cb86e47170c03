"""Puts the kit through datatrove's filters for C4: `C4QualityFilter`, then `C4BadWordsFilter`.

    pip install 'datatrove[io]' spacy regex warcio
    python run_datatrove.py [--as-tfds] > datatrove.jsonl

`--as-tfds` sets the two thresholds that have other defaults there to TFDS's: five words a line, three sentences a page. Its bad words
are the list of this repository, in place of a download. What is not run: its language filter, which loads a model from the net, and
deduplication, which is a pipeline of its own there.
"""

import argparse
import json
import re
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import C4BadWordsFilter, C4QualityFilter
from kit_records import read_pages

WORDS = Path(__file__).parents[3] / "badwords" / "en.txt"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--as-tfds", action="store_true")
    thresholds = {"min_words_per_line": 5, "min_num_sentences": 3} if parser.parse_args().as_tfds else {}
    quality, bad_words = C4QualityFilter(**thresholds), C4BadWordsFilter()
    words = "|".join(map(re.escape, WORDS.read_text().splitlines()))
    bad_words._badwords_regex["en"] = re.compile(rf"(?:\W|^)({words})(?:\W|$)")  # as its `_get_badwords` makes it
    for url, text in read_pages():
        document = Document(text=text, id=url)
        if quality.filter(document) is True and bad_words.filter(document) is True:
            print(json.dumps({"url": url, "text": document.text}))


if __name__ == "__main__":
    main()
