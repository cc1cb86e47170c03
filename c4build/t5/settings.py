"""What a run is asked for, each option once: a field is a flag of the command line and a key of a study's TOML file, and its
type, default, help and check stand here alone. No imports beyond the command line's, so that `--help` stays fast.
"""

import dataclasses
import difflib
import functools
import math
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

from typer import Option

from c4build.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Least:
    """The smallest value of a number."""

    value: float = 1


@dataclasses.dataclass(frozen=True)
class Choices:
    names: tuple


def whole(value):
    """A whole number, or a power written "2^25"; anything else as it is."""
    found = re.fullmatch(r"(\d+)(?:\^(\d+))?", value) if isinstance(value, str) else None
    return int(found[1]) ** int(found[2] or 1) if found else value


def token_count(value):
    """A number of tokens, or a power written "2^25"."""
    number = whole(value)
    if number is not None and not isinstance(number, int):
        raise UsageError(f"tokens = {value!r}: write a number, or a power as in 2^25")
    return number


class Group:
    """Options that belong together. Raises UsageError for a value that its field cannot have."""

    @classmethod
    @functools.cache
    def kinds_of_fields(cls) -> dict:
        """field -> (types, smallest value or None, choices or None)."""
        found = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            base, marks = (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())
            parts = get_args(base) if isinstance(base, types.UnionType) else (base,)
            plain = tuple(get_origin(part) or part for part in parts)
            least = next((mark.value for mark in marks if isinstance(mark, Least)), None)
            found[name] = plain, least, next((mark.names for mark in marks if isinstance(mark, Choices)), None)
        return found

    def __post_init__(self):
        for name, (kinds, least, choices) in self.kinds_of_fields().items():
            value = getattr(self, name)
            if int in kinds:
                value = whole(value)
            if tuple in kinds and isinstance(value, list):
                value = tuple(value)
            object.__setattr__(self, name, value)
            allowed = (*kinds, int) if float in kinds else (*kinds, str) if Path in kinds else kinds
            if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in kinds):
                raise UsageError(f"{name} = {value!r}: it must be {wanted(kinds)}")
            if choices and value is not None and value not in choices:
                raise UsageError(f"{name} = {value!r}: it must be one of {', '.join(choices)}")
            if least is not None and value is not None and not least <= value < math.inf:
                raise UsageError(f"{name} = {value}: it must be {least} or more")


def wanted(kinds) -> str:
    if int in kinds:
        return "a whole number, or a power as in 2^25"
    names = {float: "a number", str: "a text", bool: "true or false", tuple: "a list", Path: "a path", dict: "a table"}
    return " or ".join(names[kind] for kind in kinds if kind in names)


@dataclasses.dataclass(frozen=True)
class Training(Group):
    """How long, how large, how often. The defaults are the paper's baseline (section 3.1)."""

    steps: Annotated[int, Least(), Option(help="steps in all")] = 2**19
    batch: Annotated[int, Least(), Option(help="rows a step")] = 128
    inputs_length: Annotated[int, Least(), Option("--length", help="tokens a row of inputs")] = 512
    targets_length: Annotated[
        int, Least(), Option("--targets", help="tokens a row of targets, and the most that is written")
    ] = 512
    accumulate: Annotated[int, Least(), Option(help="parts a batch is computed in, one after another")] = 1
    seed: int = 0
    log_every: Annotated[int, Least()] = 100
    checkpoint_every: Annotated[int, Least(), Option(help="every so often it is saved, and scored")] = 5000
    keep: Annotated[int, Least(), Option(help="checkpoints to keep")] = 2
    z_loss: Annotated[
        float, Least(0), Option(help="weight of the square of log Z in what is minimised; 0 as in transformers")
    ] = 1e-4  # T5's own
    trained: Annotated[
        str,
        Choices(("all", "adapters", "gradual")),
        Option(help="all, adapters (and layer norms), or gradual unfreezing"),
    ] = "all"


@dataclasses.dataclass(frozen=True)
class Text(Group):
    """The unsupervised task: which text, and what is asked of it."""

    corpora: tuple = ()
    rates: tuple | None = None
    objective: Annotated[
        str,
        Option(help="replace_spans, span_corruption, prefix_lm, lm, bert_style, mass_style, drop_tokens, deshuffling"),
    ] = "replace_spans"
    noise_rate: Annotated[float, Option(help="share of the tokens to hide")] = 0.15
    mean_span: Annotated[float, Option(help="mean length of a hidden span (span_corruption)")] = 3.0
    tokens: Annotated[
        int | None, Option(parser=token_count, help="only the corpus's first so many tokens, e.g. 2^25")
    ] = None
    shuffle: Annotated[int, Least(), Option(help="texts in the window that is shuffled")] = 1000
    window: Annotated[int, Least()] = 64
    join: Annotated[bool, Option("--join", help="join texts before they are cut, as the paper's baseline does")] = False


@dataclasses.dataclass(frozen=True)
class Mixing(Group):
    """The tasks of a mixture, and what each source's share is (section 3.5.2): as large as the source, counted as `cap` at
    most, to the power 1 / temperature; or all equal. Text counts as `size` examples, as `cap` without it."""

    tasks: Annotated[tuple, Option("--task")] = ()
    task_data: Annotated[Path | None, Option(help="folder with TASK/SPLIT.jsonl, instead of TFDS")] = None
    mixing: Annotated[
        str, Choices(("proportional", "equal")), Option(help="share of a task: proportional to its size, or equal")
    ] = "proportional"
    cap: Annotated[int | None, Least(), Option(help="examples that a task counts for at most; the paper's K")] = None
    temperature: Annotated[
        float, Least(1), Option(help="1: proportional to sizes; the higher, the nearer to equal; the paper's T")
    ] = 1.0
    caps: dict | None = None  # of single tasks
    size: Annotated[int | None, Least()] = None


@dataclasses.dataclass(frozen=True)
class Pace(Group):
    """The learning rate by step: learning_rate / sqrt(max(n, warmup)), or constant."""

    schedule: Annotated[str, Choices(("inverse_square_root", "constant"))] = "inverse_square_root"
    warmup: Annotated[int, Least(), Option(help="k of 1/sqrt(max(n, k))")] = 10_000
    learning_rate: Annotated[float, Least(0), Option(help="factor on the schedule")] = 1.0


@dataclasses.dataclass(frozen=True)
class Feeding(Group):
    """How batches are made."""

    streams: Annotated[int | None, Least(), Option(help="parts the data is dealt out in; a multiple of the hosts")] = (
        None
    )
    workers: Annotated[int, Least(0), Option(help="processes that prepare data; 0: a thread")] = 0


@dataclasses.dataclass(frozen=True)
class Start(Group):
    """What goes on from the stage before."""

    optimizer: Annotated[
        str,
        Choices(("continue", "fresh")),
        Option(help="continue with the run's moments and step, as T5 does, or fresh"),
    ] = "continue"


@dataclasses.dataclass(frozen=True)
class Scoring(Group):
    """What is asked of the tasks' examples."""

    unknown: Annotated[
        float, Least(0), Option(help="share of a task's target tokens that may be unknown to the vocabulary")
    ] = 0.001
    limit: Annotated[int | None, Least(), Option(help="score only so many examples of a split")] = None


@dataclasses.dataclass(frozen=True)
class Changes(Group):
    """Of the model, what a stage may have otherwise than the one before; as that by default."""

    dropout: Annotated[float | None, Option(help="the model's own by default")] = None
    attention: Annotated[
        str | None, Option(help="plain, fused (cuDNN's on a GPU), kernel (ours, on one GPU), or auto, the default")
    ] = None
    remat: Annotated[
        str | None, Option(help="what the backward pass computes again: none, minimal (all but products), full")
    ] = None

    adapter: Annotated[int | None, Least(0), Option(help="inner width of new adapters, e.g. 128")] = None

    def given(self) -> dict:
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass(frozen=True)
class Devices(Group):
    """How a batch and a model are split."""

    data: Annotated[int | None, Least(), Option(help="devices that share out a batch's rows; all by default")] = None
    model: Annotated[int, Least(), Option("--model-parallel", help="devices that share out each matrix")] = 1


@dataclasses.dataclass(frozen=True)
class Hosts(Group):
    """Several processes that compute together."""

    coordinator: Annotated[str | None, Option(help="HOST:PORT of the first of several processes")] = None
    bind: Annotated[str | None, Option(help="HOST:PORT that the first listens on, where it is not --coordinator")] = (
        None
    )
    processes: Annotated[int | None, Option(help="how many processes there are")] = None
    process: Annotated[int | None, Option(help="which of them this is, from 0")] = None


# ---- a stage: all that one training is told


@dataclasses.dataclass(frozen=True)
class Stage:
    """One training: what it reads, how long, how fast, and from where it starts."""

    training: Training = Training()
    text: Text = Text()
    mixing: Mixing = Mixing()
    pace: Pace = Pace()
    feeding: Feeding = Feeding()
    start: Start = Start()
    scoring: Scoring = Scoring()
    changes: Changes = Changes()

    def flat(self) -> dict:
        """Every option by its name."""
        return {name: value for group in dataclasses.asdict(self).values() for name, value in group.items()}


GROUPS = {name: type(group) for name, group in vars(Stage()).items()}
OF_GROUP = {field.name: name for name, group in GROUPS.items() for field in dataclasses.fields(group)}


def nearest(key: str, known) -> str:
    """ "; did you mean ...?", or what there is."""
    known = [str(name) for name in known]
    near = difflib.get_close_matches(key, known, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def check_keys(table: Mapping, known, where: str) -> None:
    """Raises UsageError for a key that means nothing, naming the nearest that does."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} = {table!r}: it must be a table")
    for key in table:
        if key not in known:
            raise UsageError(f"{where} has no {key!r}; {nearest(key, known)}")


def stage_of(table: Mapping, where: str = "a stage") -> Stage:
    """A stage from its options by name. Raises UsageError."""
    check_keys(table, OF_GROUP, where)
    groups: dict[str, dict] = {name: {} for name in GROUPS}
    for key, value in table.items():
        groups[OF_GROUP[key]][key] = value
    try:
        return Stage(**{name: GROUPS[name](**given) for name, given in groups.items()})
    except UsageError as error:
        raise UsageError(f"{where}: {error}" if where != "a stage" else str(error)) from None


def pretraining(**options) -> Stage:
    """A stage with the defaults of `c4build t5 pretrain`."""
    return stage_of(options)


FINETUNING = {"steps": 2**18, "targets_length": 128, "schedule": "constant", "learning_rate": 0.001}


def finetuning(**options) -> Stage:
    """A stage with the defaults of `c4build t5 finetune` (section 3.1.3)."""
    return stage_of(FINETUNING | options)
