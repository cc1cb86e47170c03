"""Puts the kit through Dolma's taggers for C4, `c4_v1` or `c4_v2`, and does what the tags say.

    pip install dolma warcio
    python run_dolma.py c4_v2 > dolma.jsonl

The taggers drop nothing: they mark. Here a page goes that has a mark for the whole page (a bad word, javascript, lorem ipsum, a curly
bracket), a line that has one for it (no end mark, too few words), and a page of which nothing is left. No tagger of theirs counts sentences.
"""

import argparse
import json

from dolma.core.data_types import Document
from dolma.core.registry import TaggerRegistry
from kit_records import read_pages

PAGE = {"has_naughty_word", "has_javascript", "has_lorem_ipsum", "has_curly_brace"}
LINE = {"lines_with_no_ending_punctuation", "lines_with_too_few_words"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tagger", choices=["c4_v1", "c4_v2"])
    tagger = TaggerRegistry.get(parser.parse_args().tagger)()
    for url, text in read_pages():
        spans = tagger.predict(Document(source="kit", id=url, text=text)).spans
        if any(span.type in PAGE for span in spans):
            continue
        kept, place = [], 0
        for start, end in sorted({(span.start, span.end) for span in spans if span.type in LINE}):
            kept.append(text[place:start])
            place = max(place, end)
        left = "".join([*kept, text[place:]]).strip()
        if left:
            print(json.dumps({"url": url, "text": left}))


if __name__ == "__main__":
    main()
