"""What the flows have in common."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from c4build.read.gz import Damage
from c4build.write.files import is_local


class Prepared(NamedTuple):
    """What a person asks for, found possible and planned; nothing is read yet."""

    plan: Any  # `web.Plan` or `records.CollectPlan`, whose modules import Beam
    inputs: Sequence[Any]  # `Input` or `records.Unit`
    page_files: list[str]  # of the inputs
    folders: dict[str, str]  # of the corpora, by name
    complete: bool  # all of it was made before


def may_be_gone(damage: Damage, path: str) -> bool:
    """True for a damage of the input at `path` that the next run may not find: then it reads the input again."""
    # What a server sent in place of the file, or did not send, may be there the next time.
    return damage.failed or (damage.cut and not is_local(path))
