"""What is told of the damages of an input."""

from collections.abc import Iterator

from c4build.errors import C4BuildError, printable
from c4build.flow.units import Found
from c4build.read.gz import Damage
from c4build.read.paths import Input, InputError

_TOLD = 50  # damages of a piece of an input that are described, besides those that cut it short; all are counted


def told_damages(source: Input, found: Iterator[Found | Damage], expected: str | None):
    """Yields what a reader found in an input, its damages with their path, printable, and the first of many only.

    An error that nobody thought of is a damage of this input, and no matter of the others.

    Args:
      source: the input.
      found: records and damages.
      expected: the records of which there must be one; None where there may be none.
    """
    records = damages = more = place = 0
    try:
        for one in found:
            if not isinstance(one, Damage):
                records += 1
                yield one
                continue
            damages, place = damages + 1, one.offset
            if damages <= _TOLD or one.cut:
                yield source.path, one._replace(what=printable(one.what))
            else:
                more += 1
    except (C4BuildError, MemoryError):
        raise
    except InputError as error:
        damages += 1
        yield source.path, Damage.of(error)
    except Exception as error:
        damages += 1
        yield (
            source.path,
            Damage(
                place, printable(f"cannot be read on from about here ({type(error).__name__}: {error})"), True, True
            ),
        )
    if more:
        yield source.path, Damage(place, f"and {more:,} more damages up to here")
    if expected and not records and not damages:
        yield source.path, Damage(0, f"it holds no {expected} at all", True)
