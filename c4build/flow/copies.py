"""Of examples with one key all but one go: keys of files of examples in arrays. Pure, but for reading these files."""

from collections.abc import Iterable, Iterator

import numpy as np

from c4build.dedup.keys import by_bucket, deal
from c4build.flow.examples import ExamplesFile, read_columns
from c4build.write.tables import joined

KEY = np.dtype([("high", "<u8"), ("low", "<u8"), ("rank", "<i8"), ("unit", "<u4"), ("row", "<u4")])


def keys_of(file: ExamplesFile, buckets: int) -> Iterator[tuple[int, bytes]]:
    """Yields (bucket, keys) of a file's examples."""
    keys = np.zeros(file.rows, KEY)
    row = 0
    for batch in read_columns(file.path, file.content, ["key", "rank"]):
        part = keys[row : row + batch.num_rows]
        hashed = joined(batch.column("key"))[0].view("<u8").reshape(-1, 2)
        part["high"], part["low"] = hashed[:, 0], hashed[:, 1]
        part["rank"] = batch.column("rank").to_numpy()
        row += batch.num_rows
    keys["unit"], keys["row"] = file.unit, np.arange(file.rows)
    for bucket, some in by_bucket([deal(keys, buckets)], buckets):
        yield bucket, some.tobytes()


def copies(keys: Iterable[bytes]) -> dict[int, bytes]:
    """By unit, the rows (32 bits each) whose key another example has that stays: the highest rank, then the first."""
    found = np.frombuffer(b"".join(keys), KEY)
    order = np.lexsort((found["row"], found["unit"], -found["rank"], found["low"], found["high"]))
    found = found[order]
    again = np.zeros(len(found), bool)
    again[1:] = (found["high"][1:] == found["high"][:-1]) & (found["low"][1:] == found["low"][:-1])
    lost = found[again]
    lost = lost[np.argsort(lost["unit"], kind="stable")]
    units, starts = np.unique(lost["unit"], return_index=True)
    return {int(unit): rows.tobytes() for unit, rows in zip(units, np.split(lost["row"], starts[1:]))}
