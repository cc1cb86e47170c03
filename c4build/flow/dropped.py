"""All pages that a build drops, with the reason why, as shards of their own beside each corpus: `--write-dropped`.

    {"url": ..., "timestamp": ..., "reason": "bad_words", "text": ...}

The text is as it was read, or of pages that went in deduplication or behind it what the rules had left of it by then.
Pages that the reader gives no text of (no_url, too_long, ...) are counted only. Unit k writes shard k.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import pyarrow as pa

from c4build.flow.candidates import read_candidates
from c4build.flow.corpus import Corpus
from c4build.flow.outcomes import Outcomes, Surviving
from c4build.flow.pagefiles import PageFile, dropped_file
from c4build.flow.sampling import LostBy, Row
from c4build.rules.steps import bits_of
from c4build.rules.tables import REASONS
from c4build.write.example import Text, utf8
from c4build.write.files import FileSums, join
from c4build.write.shards import FORMATS, Example, dropped_name

_FIELDS = ("url", "timestamp", "reason", "text")
_LOST = ["url", "timestamp", "text", "raw"]


def _encode(page: Example) -> bytes:
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


_FORMATS = {
    "jsonl": FORMATS["jsonl"]._replace(encode=_encode),
    "parquet": FORMATS["parquet"],
}


class UnitDropped:
    """Those of one unit. Its files are there when the stack that it was given is closed."""

    def __init__(self, unit: int, shards: int, format: str, corpora: Sequence[Corpus], stack: ExitStack):
        self._format = _FORMATS[format]
        self.sums: list[FileSums] = [{} for _ in corpora]
        paths = [join(corpus.folder, dropped_name(format, corpus.dataset.name, unit, shards)) for corpus in corpora]
        self._writes = [
            stack.enter_context(self._format.open(path, _FIELDS, sums)) for path, sums in zip(paths, self.sums)
        ]

    def begin(self, file: PageFile, losses: np.ndarray, pages: range, columns: Sequence[int]):
        """Takes what Clean dropped of the pages of a file; what follows is of this file. See `UnitSamples.begin`."""
        self._lost_by = LostBy(losses, file.rows)
        if not file.dropped:
            return
        with read_candidates(dropped_file(file.path), file.content) as (_, found):
            for one in found:
                if one.number not in pages:
                    continue
                lost = dict(self._lost_by(one.row))
                for bit, column in enumerate(columns):
                    if reason := one.groups[column]:
                        self._write(bit, one.url, one.timestamp, lost.get(bit, reason), one.body)

    def lost(self, batch: pa.RecordBatch, row: int, lost: np.ndarray):
        """Takes pages that were in after Clean, and are out by now. See `UnitSamples.lost`."""
        rows = np.flatnonzero(lost)
        columns = (batch.column(name).take(pa.array(rows)).to_pylist() for name in _LOST)
        for at, (url, timestamp, text, raw) in zip(rows.tolist(), zip(*columns)):
            for bit, reason in self._lost_by(row + at):
                if int(lost[at]) >> bit & 1:
                    self._write(bit, url, timestamp, reason, raw if text is None else text)

    def wanted(self, pages: Surviving, outcomes: Outcomes) -> np.ndarray:
        """See `UnitSamples.wanted`."""
        wanted = np.zeros(pages.rows.num_rows, bool)
        wanted[outcomes.rows[outcomes.before != outcomes.kept]] = True
        return wanted

    def judged(self, row: Row, before: int, kept: int, reasons: Sequence[int], text: Text):
        """Takes a page that came to the rules behind deduplication."""
        for bit in bits_of(before & ~kept):
            self._write(bit, row.url, row.timestamp, reasons[bit], text)

    def repeated(self, row: Row, running: int, lost: Sequence[tuple[int, int]], text: str):
        """Lines and spans are not written."""

    def _write(self, bit: int, url: Text, timestamp: Text, reason: int, text: Text):
        values = (url, timestamp, REASONS[reason], text)
        self._writes[bit](self._format.encode({name: utf8(value).decode() for name, value in zip(_FIELDS, values)}))
