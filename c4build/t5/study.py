"""A study as data: one TOML file of what all rows share, and of what each row has otherwise.

    name, out, cache, seeds         its title, its folder, the folder of its stages (OUT/stages), [0]
    [[corpus]]                      name, folders, rates: a text that stages name
    [base.model]                    size, and any number of the model
    [base.vocabulary]               size, corpora, rates, ...; or file
    [base.stage.NAME]               any option of `settings.Stage`; and
        corpora = ["C4"]                names from above, or folders
        each = ["glue", "squad"]        this stage once for each of these tasks, from the same start: the table's columns
        for.glue = { batch = 8 }        what the stage of one of `each` has otherwise
        leave_out = true                of this stage's tasks, not those of the column
    [base] stages = [...]           which stages in which order; all, as they stand, by default
    [[row]]                         name, paper (the paper's row to print beside it), and any of base's keys
        ensemble = 4, apart = "NAME"    so many models, alike up to the stage NAME (apart from the first on, by default)
    [losses], [devices]             the heat map of held-out text; how a batch is split

A row becomes chains of jobs, a job one stage of one model: jobs of like digest are one, whichever row or study asks for them.
"""

import dataclasses
import functools
import glob
import hashlib
import json
import re
import tomllib
from pathlib import Path

from c4build.errors import UsageError
from c4build.t5 import paper
from c4build.t5.config import ModelConfig, model_config
from c4build.t5.settings import (
    FINETUNING,
    OF_GROUP,
    Devices,
    Stage,
    check_keys,
    stage_of,
)  # fmt: skip

CONFIGS = Path(__file__).with_name("configs")
TOP = ("name", "out", "cache", "seeds", "corpus", "base", "row", "losses", "devices")
BASE = ("model", "vocabulary", "stage", "stages", "ensemble", "apart")
CORPUS = ("name", "folders", "rates")
VOCABULARY = ("size", "file", "corpora", "characters", "strict", "sentinels", "rates")
LOSSES = ("batches", "batch", "corpora")
STAGE = (*(name for name in OF_GROUP if name != "seed"), "each", "for", "leave_out")  # seeds are the study's
OWN = tuple(name for name in STAGE if name not in ("each", "for", "leave_out", "corpora", "tasks"))
MODEL = (*(field.name for field in dataclasses.fields(ModelConfig)), "size")
MEMBERS_APART = 1000  # between the seeds of an ensemble's members
# Of a stage, what changes no number of its parameters.
UNDECISIVE = {"log_every", "keep", "attention", "remat", "task_data", "corpora", "tasks"}


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One stage of one model. `model` is as in TOML; `start` the job that it goes on from; `scored`: on its tasks."""

    name: str
    stage: Stage
    model: dict
    vocabulary: dict
    start: "Job | None"
    scored: bool

    @property
    def chain(self) -> list["Job"]:
        return [*(self.start.chain if self.start else []), self]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A row's model of one seed and its columns: the last jobs of its members, one for each."""

    row: str
    seed: int
    columns: tuple
    members: tuple


def find_config(name) -> Path:
    """A file as it is named, else one that ships with the package."""
    return find_configs(name)[0]


def find_configs(name) -> list[Path]:
    """All files of a name or a pattern, here, else among those that ship."""
    for folder, pattern in (("", str(name)), (CONFIGS, Path(name).name)):
        found = [path for path in map(Path, sorted(glob.glob(str(Path(folder, pattern))))) if path.is_file()]
        if found:
            return found
    raise UsageError(f"{name}: no such file; {', '.join(p.name for p in sorted(CONFIGS.glob('*.toml')))} ship")


def read_config(path) -> dict:
    """The study with every key checked, each row merged with base. Raises UsageError naming a key that means nothing."""
    try:
        study = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    try:
        return checked(study)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def checked(study: dict) -> dict:
    check_keys(study, TOP, "the study")
    base, rows = study.get("base", {}), study.get("row", [])
    check_keys(base, BASE, "[base]")
    check_keys(study.get("losses", {}), LOSSES, "[losses]")
    check_keys(study.get("devices", {}), [f.name for f in dataclasses.fields(Devices)], "[devices]")
    for corpus in study.get("corpus", []):
        check_keys(corpus, CORPUS, "a [[corpus]]")
        if not {"name", "folders"} <= set(corpus):
            raise UsageError(f"a [[corpus]] has name and folders, and may have rates: {corpus}")
    if not rows:
        raise UsageError("no [[row]]")
    check_lists(study, "the study", seeds=int)
    for table in [*rows, *study.get("corpus", [])]:
        if not isinstance(table.get("name"), str):
            raise UsageError(f"a [[row]] and a [[corpus]] have a name: {table}")
    for kind in ("row", "corpus"):
        names = [table["name"] for table in study.get(kind, [])]
        if len(set(names)) < len(names):
            raise UsageError(f"two of [[{kind}]] have one name")
    corpora = {corpus["name"]: corpus for corpus in study.get("corpus", [])}
    return {**study, "row": [checked_row(merged(base, row), corpora) for row in rows]}


def check_lists(table: dict, where: str, **kinds) -> None:
    """Raises UsageError where a key's value is no list of its kind."""
    for key, kind in kinds.items():
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, kind) for one in value):
            raise UsageError(
                f"{where}: {key} = {value!r}: it must be a list of {'numbers' if kind is int else 'names'}"
            )


def merged(base: dict, changes: dict) -> dict:
    """`base` with `changes`, tables into tables."""
    found = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found


def checked_row(row: dict, corpora: dict) -> dict:
    where = f"row {row['name']!r}"
    check_keys(row, ("name", "paper", *BASE), where)
    if row.get("paper") and row["paper"] not in paper.ROWS:
        raise UsageError(f"{where}: the paper has no row {row['paper']!r}; it has {', '.join(paper.ROWS)}")
    check_keys(row.get("model", {}), MODEL, f"{where}, model")
    words = row.get("vocabulary", {})
    check_keys(words, VOCABULARY, f"{where}, vocabulary")
    if "rates" in words and len(words["rates"]) != len(words.get("corpora", [])):
        raise UsageError(
            f"{where}: vocabulary has {len(words.get('corpora', []))} corpora and {len(words['rates'])} rates"
        )
    stages = row.get("stage", {})
    order = row.get("stages") or list(stages)
    if not order:
        raise UsageError(f"{where} has no stage")
    for name in order:
        check_keys({name: None}, stages, f"{where}: stages")
        check_keys(stages[name], STAGE, f"{where}, stage {name}")
        check_lists(stages[name], f"{where}, stage {name}", each=str, corpora=str)
        stage_of(options_of(stages[name], corpora), f"{where}, stage {name}")
        for column, own in stages[name].get("for", {}).items():
            check_keys({column: None}, stages[name].get("each", []), f"{where}, stage {name}: each")
            check_keys(own, OWN, f"{where}, stage {name}, for {column}")
            stage_of(options_of(stages[name], corpora, column), f"{where}, stage {name}, for {column}")
    if not isinstance(row.get("ensemble", 1), int) or row.get("ensemble", 1) < 1:
        raise UsageError(f"{where}: ensemble = {row['ensemble']!r}: it must be a whole number, 1 or more")
    if row.get("apart"):
        check_keys({row["apart"]: None}, order, f"{where}: apart")
    if len([name for name in order if stages[name].get("each")]) > 1 or any(stages[n].get("each") for n in order[:-1]):
        raise UsageError(f"{where}: only its last stage may have `each`")
    model_of(row.get("model", {}))
    return {**row, "stages": order}


def model_of(table: dict, **more) -> ModelConfig:
    """[model] with what is `more`. Raises UsageError."""
    table = dict(table)
    return model_config(table.pop("size", "base"), **{**table, **more})


def options_of(table: dict, corpora: dict, column=None) -> dict:
    """A stage's table as options: corpora by their folders, `each` as the column's task with what is `for` it, and the defaults
    of fine-tuning where it reads no text."""
    table = {**table, **table.get("for", {}).get(column, {})}
    options = {key: value for key, value in table.items() if key not in ("each", "for", "leave_out")}
    named = options.pop("corpora", [])
    if table.get("each") is not None:
        options["tasks"] = [column] if column else table["each"]
    if table.get("leave_out") and column:
        from c4build.t5.mixture import unique_tasks

        left_out = {task.name for task in unique_tasks([column])}
        options["tasks"] = [t.name for t in unique_tasks(options["tasks"]) if t.name not in left_out]
    if named:
        options["corpora"], rates = [], []
        for name, rate in zip(named, options.get("rates") or [1.0 / len(named)] * len(named), strict=True):
            folders = corpora[name]["folders"] if name in corpora else [name]
            shares = corpora.get(name, {}).get("rates") or [1.0 / len(folders)] * len(folders)
            options["corpora"] += [str(folder) for folder in folders]
            rates += [rate * share for share in shares]
        options["rates"] = rates
    elif table.get("schedule", "constant") == "constant":
        options = {**FINETUNING, **options}
    return options


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


# ---- rows as jobs


def cells_of(study: dict) -> list[Cell]:
    """Every row, seed and column of a study; jobs that are alike are one object only after `digest`."""
    corpora = {corpus["name"]: corpus for corpus in study.get("corpus", [])}
    found = []
    for row in study["row"]:
        last = row["stage"][row["stages"][-1]]
        for seed in study.get("seeds", [0]):
            for column in last.get("each") or [None]:
                members = range(row.get("ensemble", 1))
                jobs = tuple(chain_of(row, corpora, seed, member, column) for member in members)
                found.append(Cell(row["name"], seed, (column,) if column else tuple(last.get("tasks", ())), jobs))
    return found


def chain_of(row: dict, corpora: dict, seed: int, member: int, column) -> Job:
    """The last job of one model: its chain has the others."""
    jobs: list[Job] = []
    apart = row["stages"].index(row["apart"]) if row.get("apart") else 0
    for number, name in enumerate(row["stages"]):
        options = options_of(row["stage"][name], corpora, column)
        options["seed"] = seed + (MEMBERS_APART * member if number >= apart else 0)
        stage = stage_of(options, f"row {row['name']!r}, stage {name}")
        scored = number == len(row["stages"]) - 1 and bool(stage.mixing.tasks)
        start = jobs[-1] if jobs else None
        jobs.append(Job(name, stage, row.get("model", {}), vocabulary_of(row), start, scored))
    return jobs[-1]


def vocabulary_of(row: dict) -> dict:
    """[vocabulary], with as many sentinels as the row's objectives take where it does not say."""
    from c4build.t5.objectives import SENTINELS, sentinels_needed

    words = dict(row.get("vocabulary", {}))
    stages = [
        stage_of(options_of(row["stage"][name], {})) for name in row["stages"] if row["stage"][name].get("corpora")
    ]
    needed = [
        sentinels_needed(s.text.objective, s.training.inputs_length, s.text.noise_rate, s.text.mean_span)
        for s in stages
    ]
    return words | {"sentinels": words.get("sentinels") or max([SENTINELS, *needed])}


class Digests:
    """The digest of all that decides a job: its options, its model, its vocabulary, its data, and the job before.

    `data` has `corpus(folder)`, `task(name, folder)` and `file(path)`: digests of what is read (`fingerprints`).
    """

    def __init__(self, data, corpora: dict):
        self.data, self.corpora = data, corpora
        self.of = functools.cache(self.job)

    def __call__(self, job: Job) -> str:
        return self.of(job)

    def job(self, job: Job) -> str:
        stage = job.stage
        options = {key: value for key, value in stage.flat().items() if key not in UNDECISIVE}
        options.pop("checkpoint_every") if not job.scored else None
        parts = {
            "stage": options,
            "scored": job.scored,
            "text": [self.data.corpus(folder) for folder in stage.text.corpora],
            "tasks": {name: self.data.task(name, stage.mixing.task_data) for name in task_names(stage)},
            "start": self.of(job.start) if job.start else None,
        }
        if job.start is None:
            model = dataclasses.asdict(model_of(job.model, vocab_size=ModelConfig.vocab_size))
            parts["model"] = {key: value for key, value in model.items() if key not in UNDECISIVE}
            parts["vocabulary"] = self.vocabulary(job.vocabulary)
        return digest(parts)

    def vocabulary(self, settings: dict) -> str:
        settings = dict(settings)
        if "file" in settings:
            return digest({"file": self.data.file(settings["file"]), "sentinels": settings["sentinels"]})
        folders = vocabulary_sample(settings, self.corpora)[0]
        return digest(settings | {"corpora": [self.data.corpus(folder) for folder in folders]})

    def name(self, job: Job) -> str:
        """Of its folder among the stages."""
        return f"{slug(job.name)}-{self(job)[:16]}"


def task_names(stage: Stage) -> list[str]:
    from c4build.t5.mixture import unique_tasks

    return [task.name for task in unique_tasks(stage.mixing.tasks)]


def digest(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def vocabulary_sample(settings: dict, corpora: dict) -> tuple[list, list]:
    """(folders, a rate for each): [vocabulary] corpora are names of corpora or folders; a corpus's folders share its rate."""
    names = settings.get("corpora") or list(corpora)
    rates = settings.get("rates") or [1.0] * len(names)
    shares: dict[str, float] = {}
    for name, rate in zip(names, rates, strict=True):
        folders = corpora[name]["folders"] if name in corpora else sorted(glob.glob(name)) or [name]
        for folder in folders:
            shares[str(folder)] = shares.get(str(folder), 0.0) + rate / len(folders)
    return list(shares), list(shares.values())


def unique_jobs(cells, digests: Digests) -> dict[str, Job]:
    """{folder's name: job}, each after the job that it starts from."""
    found: dict[str, Job] = {}
    for cell in cells:
        for member in cell.members:
            for job in member.chain:
                found.setdefault(digests.name(job), job)
    return found
