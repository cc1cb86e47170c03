"""JSON that others may have changed, held against the shape it should have."""

from typing import Any

_LONGEST = 100_000  # characters of a text, elements of a list
_LARGEST = {int: 1 << 62, float: 1e11}  # seconds since 1970 are a date


def checked(value: Any, shape: Any, where: str = "it"):
    """Raises ValueError where `value` has another shape.

    Args:
      value: what JSON gave.
      shape: a type; a dict of such, all of whose names the value has; a list of one, for lists of any length; or a dict
        with the name "*" alone, for any names. A tuple has an alternative for what may be null.
      where: as the error says it.
    """
    if isinstance(shape, tuple):
        if value is not None:
            checked(value, shape[0], where)
    elif isinstance(shape, dict):
        _has(isinstance(value, dict) and len(value) <= _LONGEST, where)
        for name in value if "*" in shape else shape:
            _has(name in value, f"{where}.{name}")
            checked(value[name], shape.get("*") or shape[name], f"{where}.{name}")
    elif isinstance(shape, list):
        _has(isinstance(value, list) and len(value) <= _LONGEST, where)
        for one in value:
            checked(one, shape[0], where)
    elif shape is str:
        _has(isinstance(value, str) and len(value) <= _LONGEST, where)
    else:
        number = isinstance(value, (int, float) if shape is float else int) and not isinstance(value, bool)
        _has(number and -1 <= value <= _LARGEST[shape], where)


def _has(right: bool, where: str):
    if not right:
        raise ValueError(f"{where} is not what c4build writes")
