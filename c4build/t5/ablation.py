"""A whole study from one TOML file (`study.py`): every row's stages, and the paper's table.

    CACHE/NAME-DIGEST/       a stage of one model, a run as of `c4build t5`; its run.json says how it was started and, when it is
                             done, what came of it
    CACHE/vocabulary-DIGEST/ a vocabulary
    CACHE/data.json          digests of what was read
    OUT/table.md, .csv, .png this study's numbers, the paper's beside them
    OUT/losses.csv, .png     every model on every corpus's held-out text
    OUT/curves.png           the training losses

CACHE is OUT/stages, or a folder that several studies and machines share: a stage is made once, by whoever comes first; others
wait for it. A rerun skips what is done, and goes on with what was stopped from its last checkpoint.
"""

import glob
import hashlib
import itertools
import statistics
import time
from pathlib import Path

from c4build.errors import UsageError
from c4build.t5 import digests as files
from c4build.t5 import paper
from c4build.t5.checkpoint import result_of
from c4build.t5.fingerprints import Fingerprints
from c4build.t5.locks import locked
from c4build.t5.progress import silent
from c4build.t5.study import (
    Cell,
    Digests,
    Job,
    cells_of,
    digest,
    find_config,
    model_of,
    read_config,
    unique_jobs,
    vocabulary_sample,
)  # fmt: skip


def matches(pattern) -> list[str]:
    """The folders of a name or a pattern; none if there are none."""
    return [str(pattern)] if Path(pattern).exists() else sorted(glob.glob(str(pattern)))


def located(study: dict) -> dict:
    """The study with its corpora's folders found: all must be there before an hour is spent.

    Raises UsageError naming all that are not.
    """
    from c4build.t5.records import corpus_folder

    names = {corpus["name"] for corpus in study.get("corpus", [])}
    used = [row.get("vocabulary", {}).get("corpora", []) for row in study["row"]]
    used += [row["stage"][name].get("corpora", []) for row in study["row"] for name in row["stages"]]
    patterns = [pattern for corpus in study.get("corpus", []) for pattern in corpus["folders"]]
    patterns += [name for some in used for name in some if name not in names]
    missing = dict.fromkeys(str(pattern) for pattern in patterns if not matches(pattern))
    if missing:
        raise UsageError(
            f"no such corpora: {', '.join(missing)}; `c4build` makes them, `c4build demo` the demonstration's"
        )
    corpora = [
        {**corpus, "folders": [str(corpus_folder(f)) for pattern in corpus["folders"] for f in matches(pattern)]}
        for corpus in study.get("corpus", [])
    ]
    return {**study, "corpus": corpora}


class Study:
    """A study that is being run: `do` makes sure that a job is done; `table` writes what is there."""

    def __init__(self, config, out=None, cache=None, quiet: bool = False, say=print):
        path = find_config(config)
        self.study = located(read_config(path))
        self.title = self.study.get("name", path.stem)
        self.out = Path(out or self.study.get("out") or path.stem)
        self.cache = Path(cache or self.study.get("cache") or self.out / "stages")
        self.corpora = {corpus["name"]: corpus for corpus in self.study.get("corpus", [])}
        self.quiet, self.say, self.started = quiet, say, time.time()
        self.cells = cells_of(self.study)
        self.digests = Digests(Fingerprints(self.cache / "data.json"), self.corpora)
        self.jobs = unique_jobs(self.cells, self.digests)

    def folder(self, job: Job) -> Path:
        return self.cache / self.digests.name(job)

    def progress(self, what: str) -> None:
        self.say(f"{what}  [{time.time() - self.started:.0f} s]")

    def mesh(self):
        from c4build.t5.sharding import make_mesh

        devices = self.study.get("devices", {})
        return make_mesh(devices.get("data"), devices.get("model", 1))

    def claimed(self, name: str):
        """Holds what is made in CACHE/NAME against other processes; waits, and says so, while one of them has it."""
        said = f"another process is making {name}: waiting for it"
        return locked(self.cache / f"{name}.lock", lambda: self.progress(said))

    def vocabulary(self, settings: dict):
        from c4build.t5.vocabulary import Vocabulary, train_vocabulary

        settings = dict(settings)
        sentinels = settings.pop("sentinels")
        if "file" in settings:
            return Vocabulary(settings["file"], sentinels)
        name = f"vocabulary-{self.digests.vocabulary(settings)[:16]}"
        path = self.cache / name / "vocab.model"
        with self.claimed(name):
            if path.exists():
                fault = files.fault(path.parent, whole=False)
                if fault:
                    raise files.ChangedFile(f"{fault}: take it from a copy, or delete the folder")
                return Vocabulary(path, sentinels)
            sample, rates = vocabulary_sample(settings, self.corpora)
            settings.pop("corpora", None), settings.pop("rates", None)
            part = path.with_name("vocab.part")
            said = silent if self.quiet else self.say
            train_vocabulary(sample, part, settings.pop("size", 32000), rates=rates, say=said, **settings)
            files.write_bytes(path, part.read_bytes())
            part.unlink()
            files.seal(path.parent, ["vocab.model"])
        return Vocabulary(path, sentinels)

    def do(self, job: Job, what: str) -> dict:
        """The result of a job, made now if it is not there, with the jobs that it starts from."""
        folder = self.folder(job)
        if (found := result_of(folder)) is not None:
            return found
        if job.start:
            self.do(job.start, what)
        with self.claimed(folder.name):
            if (found := result_of(folder)) is not None:
                return found
            self.progress(f"{what}: {job.name}, {folder.name}")
            return self.make(job, folder)

    def make(self, job: Job, folder: Path) -> dict:
        from c4build.t5.config import padded_vocabulary
        from c4build.t5.run import Beginning, go_on_from, run

        start = self.folder(job.start) if job.start else None
        if start:
            beginning = go_on_from(start, job.stage, silent if self.quiet else self.say)
        else:
            vocabulary = self.vocabulary(job.vocabulary)
            rows = {"vocab_size": padded_vocabulary(vocabulary.size)}
            beginning = Beginning(model_of({**rows, **job.model}, **job.stage.changes.given()), vocabulary)
        result, _ = run(
            folder,
            job.stage,
            beginning,
            start=start and start.name,
            mesh=self.mesh(),
            quiet=self.quiet,
            scored=job.scored,
        )
        return result

    # ---- what comes of it

    def scores(self, cell: Cell) -> dict | None:
        """{task: {split: metrics}} of a cell, each task at its best checkpoint; None where it is not done."""
        if len(cell.members) > 1:
            folder = self.together(cell)
            return files.read_json(folder / "scores.json") if (folder / "scores.json").exists() else None
        result = result_of(self.folder(cell.members[0]))
        return result and result.get("scores")

    def together(self, cell: Cell) -> Path:
        """The folder of an ensemble."""
        return self.cache / f"ensemble-{digest([self.digests(job) for job in cell.members])[:16]}"

    def score_together(self, cell: Cell) -> None:
        """Scores an ensemble's members, all of them done, as one."""
        from c4build.t5.scoring import evaluate_together

        folder, stage = self.together(cell), cell.members[0].stage
        with self.claimed(folder.name):
            if not (folder / "scores.json").exists():
                self.progress(f"{cell.row}, seed {cell.seed}: {len(cell.members)} models write together, {folder.name}")
                scores = evaluate_together(
                    [self.folder(job) for job in cell.members], stage.mixing.tasks, task_data=stage.mixing.task_data,
                    inputs_length=stage.training.inputs_length, targets_length=stage.training.targets_length,
                    batch=stage.training.batch, limit=stage.scoring.limit, mesh=self.mesh(),
                )  # fmt: skip
                files.write_json(folder / "scores.json", scores)

    def text_job(self, cell: Cell) -> Job | None:
        """The first stage of a cell's first member that reads text: the model whose loss is shown."""
        return next((job for job in cell.members[0].chain if job.stage.text.corpora), None)

    def results(self) -> list[dict]:
        """{"row", "seed", "column", "score", "exact"}, and {"row", "seed", "loss", "repeats"} of text; what is done."""
        from c4build.t5.scoring import column_score, exact_matches

        found, seen = [], set()
        for cell in self.cells:
            job = self.text_job(cell)
            about = {"row": cell.row, "seed": cell.seed}
            if job and (cell.row, cell.seed) not in seen and (result := result_of(self.folder(job))):
                seen.add((cell.row, cell.seed))
                found.append({**about, "loss": result["loss"], "repeats": result["repeats"]})
            scores = self.scores(cell)
            if not scores:
                continue
            for name in cell.columns:
                column = paper.TASK_COLUMNS.get(name, name)
                found.append(
                    {**about, "column": column, "score": column_score(name, scores), "exact": exact_matches(scores)}
                )
        return found

    def text_runs(self) -> dict[str, list[Path]]:
        """{row: the folders of its models of text, one a seed}, of those that are done."""
        found: dict[str, list[Path]] = {}
        for cell in self.cells:
            job = self.text_job(cell)
            if job and result_of(self.folder(job)) and self.folder(job) not in found.get(cell.row, []):
                found.setdefault(cell.row, []).append(self.folder(job))
        return found

    def table(self) -> Path:
        from c4build.t5.tables import write_all

        columns = dict.fromkeys(paper.TASK_COLUMNS.get(name, name) for cell in self.cells for name in cell.columns)
        runs = self.text_runs()
        losses: tuple[list, list, list] = ([], [], [])
        if "losses" in self.study and runs:
            self.progress("every model on every corpus's held-out text")
            losses = loss_matrix(self.study["losses"], self.corpora, runs)
        self.out.mkdir(parents=True, exist_ok=True)
        curves = {row: curve(folders[0]) for row, folders in runs.items()}
        return write_all(self.out, self.title, self.study["row"], list(columns), self.results(), losses, curves)


def ablate(config, out=None, cache=None, only=(), shard=(1, 1), quiet: bool = False, say=print) -> Path:
    """Runs the study and returns the path of its table. What is done in its cache is skipped.

    `only` names rows; `shard` (i, n) takes every n-th of the models, beginning with the i-th: the stages that several need are
    made by the first to come. The table has what is done.
    """
    study = Study(config, out, cache, quiet, say)
    rows = [row["name"] for row in study.study["row"]]
    for name in only:
        if name not in rows:
            raise UsageError(f"--only {name}: there is no such row; there are {', '.join(rows)}")
    share_compilations(study.cache)
    chosen = [cell for cell in study.cells if not only or cell.row in only]
    mine = chosen[shard[0] - 1 :: shard[1]]
    for cell in mine:
        what = f"{cell.row}, seed {cell.seed}" + (f", {', '.join(cell.columns)}" if cell.columns else "")
        for job in cell.members:
            study.do(job, what)
        if len(cell.members) > 1:
            study.score_together(cell)
    with study.claimed("table"):
        table = study.table()
    undone = sum(result_of(study.folder(job)) is None for job in study.jobs.values())
    if undone:
        say(f"{undone} of {len(study.jobs)} stages are still to be done: the table has what is there")
    study.progress(str(table))
    return table


def shard_of(text: str) -> tuple[int, int]:
    """ "2/8" -> (2, 8). Raises UsageError."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {text}: write which of how many, as in 2/8")
    return int(number), int(count)


def share_compilations(cache: Path) -> None:
    """The models are alike: one compilation serves them all."""
    import jax

    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]  # jax sets its options' attributes late
        jax.config.update("jax_compilation_cache_dir", str((cache / "compiled").absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def curve(run) -> list[tuple[int, float]]:
    from c4build.t5.log import read_metrics

    return [(line["step"], line["loss"]) for line in read_metrics(run) if "loss" in line]


def loss_matrix(settings: dict, corpora: dict, runs: dict):
    """(models, texts, losses): the mean over seeds of each row's models on each corpus's held-out text.

    Each is kept in its run's losses.json, by the text's digest.
    """
    from c4build.t5.pretrain import corpus_loss

    settings = dict(settings)
    names = settings.pop("corpora", None) or list(corpora)
    texts = {" = ".join(same): corpora[same[0]]["folders"] for same in same_text(names, corpora)}

    def loss(run, folders) -> float:
        path = run / "losses.json"
        known = files.read_json(path) if path.exists() else {}
        key = digest([[held_out_digest(folder) for folder in folders], settings])
        if key not in known:
            known[key] = corpus_loss(run, folders, **settings)["loss"]
            files.write_json(path, known)
        return known[key]

    matrix = [[statistics.fmean(loss(run, folders) for run in runs[row]) for folders in texts.values()] for row in runs]
    return list(runs), list(texts), matrix


def same_text(names, corpora) -> list[list[str]]:
    """The corpora, those together that hold out the same text: one column of the heat map for each."""
    groups: dict[tuple, list[str]] = {}
    for name in names:
        groups.setdefault(tuple(held_out_digest(folder) for folder in corpora[name]["folders"]), []).append(name)
    return list(groups.values())


def held_out_digest(folder, texts: int = 1000) -> str:
    """SHA-256 of the first texts of a corpus that are held out."""
    from c4build.t5.records import corpus_files, in_part, read_texts

    found_files, held_out = corpus_files(folder, "validation")
    found = (text for file in found_files for _, _, text in read_texts(file) if in_part(text, "validation", held_out))
    return hashlib.sha256("\0".join(itertools.islice(found, texts)).encode()).hexdigest()
