"""Several examples to a row (section 3.1.2: "pack" sequences into each entry of the batch). Pure NumPy.

An example is a pair of id arrays, end tokens in. A row has `inputs`, `input_segments`, `targets`, `target_segments`:
segment n is the row's n-th example on both sides, 0 is padding.
"""

import numpy as np


def empty_row(inputs_length: int, targets_length: int) -> dict:
    sides = {"inputs": inputs_length, "targets": targets_length}
    row = {side: np.zeros(length, np.int32) for side, length in sides.items()}
    row |= {f"{side[:-1]}_segments": np.zeros(length, np.int32) for side, length in sides.items()}
    return row


def make_row(examples, inputs_length: int, targets_length: int) -> dict:
    row = empty_row(inputs_length, targets_length)
    for side, ends in (("inputs", 0), ("targets", 1)):
        at = 0
        for segment, example in enumerate(examples, 1):
            ids = example[ends]
            row[side][at : at + len(ids)] = ids
            row[f"{side[:-1]}_segments"][at : at + len(ids)] = segment
            at += len(ids)
    return row


def pack(examples, inputs_length: int, targets_length: int) -> list[list[int]]:
    """Which examples share a row: longest first, each into the first row where both its sides fit.

    Raises ValueError for an example that no row could hold.
    """
    rows, room = [], np.zeros((len(examples), 2), np.int64)
    sizes = np.array([(len(inputs), len(targets)) for inputs, targets in examples]).reshape(-1, 2)
    if len(sizes) and (sizes > (inputs_length, targets_length)).any():
        worst = sizes[(sizes > (inputs_length, targets_length)).any(1)][0]
        raise ValueError(
            f"an example of {worst[0]} inputs and {worst[1]} targets in rows of {inputs_length} and {targets_length}"
        )
    for index in np.argsort(-sizes.max(1), kind="stable"):
        fits = (room[: len(rows)] >= sizes[index]).all(1)
        if fits.any():
            row = int(np.argmax(fits))
        else:
            row = len(rows)
            rows.append([])
            room[row] = inputs_length, targets_length
        rows[row].append(int(index))
        room[row] -= sizes[index]
    return rows


def stack(rows, count: int | None = None) -> dict:
    """Rows to a batch; with `count`, empty rows fill it up."""
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0] if isinstance(rows[0][name], np.ndarray)}
    if count is not None and count > len(rows):
        arrays = {name: np.pad(array, ((0, count - len(rows)), (0, 0))) for name, array in arrays.items()}
    return arrays
