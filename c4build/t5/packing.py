"""Several examples to a row (section 3.1.2: "pack" sequences into each entry of the batch). Pure NumPy.

An example is a pair of id arrays, end tokens in. A row has `inputs`, `input_segments`, `targets`, `target_segments`:
segment n is the row's n-th example on both sides, 0 is padding.

Where `inputs_length` is 0, a row is one for a decoder alone: `tokens`, of each example first the inputs, then the targets;
`segments`; and `is_target`, 1 where a token is one of the targets. `targets_length` is the row's whole length.
"""

import numpy as np


def empty_row(inputs_length: int, targets_length: int) -> dict:
    sides = {"inputs": inputs_length, "targets": targets_length}
    row = {side: np.zeros(length, np.int32) for side, length in sides.items()}
    row |= {f"{side[:-1]}_segments": np.zeros(length, np.int32) for side, length in sides.items()}
    return row


def joint_row(examples, length: int) -> dict:
    row = {name: np.zeros(length, np.int32) for name in ("tokens", "segments", "is_target")}
    at = 0
    for segment, (inputs, targets) in enumerate(examples, 1):
        middle, end = at + len(inputs), at + len(inputs) + len(targets)
        row["tokens"][at:middle], row["tokens"][middle:end] = inputs, targets
        row["segments"][at:end] = segment
        row["is_target"][middle:end] = 1
        at = end
    return row


def row_widths(arrays: dict) -> tuple[int, int]:
    """(inputs, targets) of rows or a batch of them, as `make_row` takes them."""
    if "tokens" in arrays:
        return 0, arrays["tokens"].shape[-1]
    return arrays["inputs"].shape[-1], arrays["targets"].shape[-1]


def make_row(examples, inputs_length: int, targets_length: int) -> dict:
    if not inputs_length:
        return joint_row(examples, targets_length)
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
    rows: list[list[int]] = []
    room = np.zeros((len(examples), 2), np.int64)
    sizes = np.array([(len(inputs), len(targets)) for inputs, targets in examples]).reshape(-1, 2)
    if not inputs_length:
        sizes = np.stack([np.zeros(len(sizes), np.int64), sizes.sum(1)], 1)
    if len(sizes) and (sizes > (inputs_length, targets_length)).any():
        worst = sizes[(sizes > (inputs_length, targets_length)).any(1)][0]
        raise ValueError(
            f"an example of {worst[0]} inputs and {worst[1]} targets in rows of {inputs_length} and {targets_length}"
            if inputs_length
            else f"an example of {worst[1]} tokens in rows of {targets_length}"
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
