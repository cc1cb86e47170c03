"""What the flows have in common."""

from typing import Any, NamedTuple, Sequence


class Prepared(NamedTuple):
    """What a person asks for, found possible and planned; nothing is read yet."""

    plan: Any  # `web.Plan` or `records.CollectPlan`, whose modules import Beam
    inputs: Sequence[Any]  # `Input` or `records.Unit`
    page_files: list[str]  # of the inputs
    folders: dict[str, str]  # of the corpora, by name
    complete: bool  # all of it was made before
