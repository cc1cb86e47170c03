"""A whole study from one TOML file: a model a corpus and seed, fine-tuned on every task, and the paper's table.

    OUT/study.json                     the config as it was read
    OUT/vocab.model                    one vocabulary for all models
    OUT/CORPUS/seed-N/pretrain/        a run of `c4build t5 pretrain`; done.json when it is finished
    OUT/CORPUS/seed-N/finetune-TASK/   a run of `c4build t5 finetune`
    OUT/table.md, .csv, .png           this study's numbers, the paper's beside them
    OUT/losses.csv, .png               every model on every corpus's held-out text
    OUT/curves.png                     the training losses

A rerun skips what is done, and goes on with what was stopped from its last checkpoint.
"""

import glob
import hashlib
import itertools
import json
import re
import statistics
import time
import tomllib
from pathlib import Path

from c4build.errors import UsageError
from c4build.t5 import digests, paper
from c4build.t5.progress import silent

CONFIGS = Path(__file__).with_name("configs")
TUNED = {"dropout", "attention", "remat"}  # of the model, where fine-tuning wants another than pre-training
SECTIONS = {
    "model": None,  # any number of ModelConfig, and `size`
    "vocabulary": {"size", "file", "corpora", "characters", "strict", "sentinels", "rates"},
    "pretrain": {
        "steps", "batch", "inputs_length", "accumulate", "log_every", "checkpoint_every", "keep", "objective",
        "noise_rate", "mean_span", "warmup", "learning_rate", "streams", "workers", "shuffle", "window", "join", "z_loss",
    },
    "finetune": {
        "tasks", "data", "steps", "batch", "inputs_length", "targets_length", "accumulate", "log_every",
        "checkpoint_every", "keep", "learning_rate", "streams", "limit", "z_loss", "optimizer", "unknown", *TUNED,
    },
    "losses": {"batches", "batch"},
    "devices": {"data", "model"},
}  # fmt: skip
CORPUS_KEYS = {"name", "folders", "rates", "tokens", "paper"}
TRAINING_KEYS = {
    "steps", "batch", "inputs_length", "targets_length", "accumulate", "log_every", "checkpoint_every", "keep",
    "z_loss",
}  # fmt: skip


def find_config(name) -> Path:
    """A file as it is named, else one of the three that ship with the package."""
    for path in (Path(name), CONFIGS / Path(name).name):
        if path.is_file():
            return path
    raise UsageError(f"{name}: no such file; {', '.join(p.name for p in sorted(CONFIGS.glob('*.toml')))} ship")


def read_config(path) -> dict:
    """The study with every key checked. Raises UsageError naming a key that means nothing."""
    try:
        study = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    for key, value in study.items():
        if key in ("name", "out", "seeds", "corpus"):
            continue
        if key not in SECTIONS:
            raise UsageError(f"{path}: nothing is called {key!r}")
        unknown = set(value) - SECTIONS[key] if SECTIONS[key] else set()
        if unknown:
            raise UsageError(f"{path}: [{key}] has no {', '.join(sorted(unknown))}")
    words = study.get("vocabulary", {})
    if "rates" in words and len(words["rates"]) != len(words.get("corpora", [])):
        raise UsageError(
            f"{path}: [vocabulary] has {len(words.get('corpora', []))} corpora and {len(words['rates'])} rates"
        )
    for corpus in study.get("corpus", []):
        if set(corpus) - CORPUS_KEYS or not {"name", "folders"} <= set(corpus):
            raise UsageError(f"{path}: a [[corpus]] has name and folders, and may have rates, tokens, paper: {corpus}")
        if corpus.get("paper") and corpus["paper"] not in paper.ROWS:
            raise UsageError(f"{path}: the paper has no row {corpus['paper']!r}; it has {', '.join(paper.ROWS)}")
        corpus["tokens"] = token_count(corpus.get("tokens"))
    if not study.get("corpus"):
        raise UsageError(f"{path}: no [[corpus]]")
    names = [corpus["name"] for corpus in study["corpus"]]
    if len(set(names)) < len(names):
        raise UsageError(f"{path}: two corpora have one name")
    return study


def token_count(value):
    """A number, or a power written "2^25"."""
    if value is None or isinstance(value, int):
        return value
    found = re.fullmatch(r"(\d+)(?:\^(\d+))?", value) if isinstance(value, str) else None
    if not found:
        raise UsageError(f"tokens = {value!r}: write a number, or a power as in 2^25")
    return int(found[1]) ** int(found[2] or 1)


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def matches(pattern) -> list[str]:
    """The folders of a name or a pattern; none if there are none."""
    return [str(pattern)] if Path(pattern).exists() else sorted(glob.glob(str(pattern)))


def all_folders(study) -> dict[str, list[Path]]:
    """The folders of every corpus: all must be there before an hour is spent. Raises UsageError naming all that are not."""
    from c4build.t5.records import corpus_folder

    wanted = {corpus["name"]: corpus["folders"] for corpus in study["corpus"]}
    others = [name for name in study.get("vocabulary", {}).get("corpora", []) if name not in wanted]
    patterns = [str(pattern) for patterns in [*wanted.values(), others] for pattern in patterns]
    missing = dict.fromkeys(pattern for pattern in patterns if not matches(pattern))
    if missing:
        raise UsageError(
            f"no such corpora: {', '.join(missing)}; `c4build` makes them, `c4build demo` the demonstration's"
        )
    return {
        name: [corpus_folder(folder) for pattern in patterns for folder in matches(pattern)]
        for name, patterns in wanted.items()
    }


def task_columns(names) -> list[tuple[str, str]]:
    """(what to fine-tune on, its column): the paper's columns by their names, single tasks by their own."""
    from c4build.t5.tasks import tasks_of

    return [(name, paper.TASK_COLUMNS.get(name, name)) for name in names if tasks_of(name)]


def ablate(config, resume: bool = False, out=None, quiet: bool = False, say=print) -> Path:
    """Runs the study and returns the path of its table.

    What is done in its folder is skipped. A folder with results of another config is refused unless `resume` says
    to go on in it.
    """
    path = find_config(config)
    study = read_config(path)
    out = Path(out or study.get("out") or path.stem)
    corpora = all_folders(study)
    columns = task_columns(study.get("finetune", {}).get("tasks", []))
    known = out / "study.json"
    if known.exists() and digests.read_json(known) != json.loads(json.dumps(study)) and not resume:
        raise UsageError(f"{out} holds a study of another config; name another --out, or --resume to go on in it")
    digests.write_json(known, study)

    import jax

    if not jax.config.jax_compilation_cache_dir:  # the models are alike: one compilation serves them all
        jax.config.update("jax_compilation_cache_dir", str((out / "compiled").absolute()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    started = time.time()
    vocabulary = study_vocabulary(study, corpora, out, silent if quiet else say)
    results, runs, curves = [], {}, {}
    for corpus in study["corpus"]:
        for seed in study.get("seeds", [0]):
            folder = out / slug(corpus["name"]) / f"seed-{seed}"
            say(f"{corpus['name']}, seed {seed}: pre-training  [{time.time() - started:.0f} s]")
            found = pretrain_stage(study, corpus, corpora[corpus["name"]], seed, vocabulary, folder / "pretrain", quiet)
            results.append({"corpus": corpus["name"], "seed": seed, **found})
            runs.setdefault(corpus["name"], []).append(folder / "pretrain")
            for name, column in columns:
                say(f"{corpus['name']}, seed {seed}: {name}  [{time.time() - started:.0f} s]")
                score = finetune_stage(study, name, seed, folder / "pretrain", folder / f"finetune-{name}", quiet)
                results.append({"corpus": corpus["name"], "seed": seed, "column": column, "score": score})
        curves[corpus["name"]] = curve(runs[corpus["name"]][0])
    say(f"every model on every corpus's held-out text  [{time.time() - started:.0f} s]")
    losses = loss_matrix(study, corpora, runs, out)
    from c4build.t5.tables import write_all

    table = write_all(
        out, study.get("name", path.stem), study["corpus"], [column for _, column in columns], results, losses, curves
    )
    say(f"{table}  [{time.time() - started:.0f} s]")
    return table


def study_vocabulary(study, corpora, out, say):
    from c4build.t5.vocabulary import Vocabulary, train_vocabulary

    settings = dict(study.get("vocabulary", {}))
    sentinels = settings.pop("sentinels", None) or study_sentinels(study.get("pretrain", {}))
    if "file" in settings:
        return Vocabulary(settings["file"], sentinels)
    path = out / "vocab.model"
    if path.exists():
        fault = digests.fault(out, whole=False)
        if fault:
            raise digests.ChangedFile(f"{fault}: take it from a copy, or start anew in another folder")
        return Vocabulary(path, sentinels)
    sample, rates = vocabulary_sample(study, corpora)
    settings.pop("corpora", None), settings.pop("rates", None)
    part = out / "vocab.part"
    train_vocabulary(sample, part, settings.pop("size", 32000), rates=rates, say=say, **settings)
    digests.write_bytes(path, part.read_bytes())
    part.unlink()
    digests.seal(out, ["vocab.model"])
    return Vocabulary(path, sentinels)


def vocabulary_sample(study, corpora) -> tuple[list, list]:
    """(folders, a rate for each): [vocabulary] corpora are names of corpora or folders of their own; a corpus's folders
    share its rate."""
    settings = study.get("vocabulary", {})
    names = settings.get("corpora") or list(corpora)
    rates = settings.get("rates") or [1.0] * len(names)
    shares = {}
    for name, rate in zip(names, rates, strict=True):
        folders = corpora.get(name) or matches(name)
        for folder in folders:
            shares[folder] = shares.get(folder, 0.0) + rate / len(folders)
    return list(shares), list(shares.values())


def study_sentinels(section) -> int:
    """100, or as many as the objective takes."""
    from c4build.t5.objectives import SENTINELS, sentinels_needed

    rows = section.get("objective", "replace_spans"), section.get("inputs_length", 512)
    return max(SENTINELS, sentinels_needed(*rows, section.get("noise_rate", 0.15), section.get("mean_span", 3.0)))


def study_mesh(study):
    from c4build.t5.sharding import make_mesh

    devices = study.get("devices", {})
    return make_mesh(devices.get("data"), devices.get("model", 1))


def training_of(section, seed):
    from c4build.t5.train import Training

    return Training(seed=seed, **{key: value for key, value in section.items() if key in TRAINING_KEYS})


def pretrain_stage(study, corpus, sources, seed, vocabulary, run, quiet) -> dict:
    """{"loss", "repeats"} of a finished pre-training run."""
    from c4build.t5.config import model_config, padded_vocabulary
    from c4build.t5.log import read_metrics
    from c4build.t5.pretrain import pretrain

    done = run / "done.json"
    if not done.exists():
        section = study.get("pretrain", {})
        model = dict(study.get("model", {}))
        config = model_config(model.pop("size", "base"), **{"vocab_size": padded_vocabulary(vocabulary.size), **model})
        more = {key: value for key, value in section.items() if key not in TRAINING_KEYS}
        pretrain(
            run, sources, vocabulary, config, training_of(section, seed), rates=corpus.get("rates"),
            tokens=corpus["tokens"], mesh=study_mesh(study), quiet=quiet, **more,
        )  # fmt: skip
        lines = [line for line in read_metrics(run) if "loss" in line]
        tail = [line["loss"] for line in lines[-max(1, len(lines) // 10) :]]
        digests.write_json(done, {"loss": statistics.fmean(tail), "repeats": lines[-1]["repeats"]})
    return digests.read_json(done)


def finetune_stage(study, name, seed, start, run, quiet) -> float:
    """The best score of a finished fine-tuning run."""
    from c4build.t5.finetune import finetune

    done = run / "done.json"
    if not done.exists():
        section = dict(study["finetune"])
        more = {key: value for key, value in section.items() if key not in TRAINING_KEYS | TUNED | {"tasks", "data"}}
        training = training_of({"targets_length": 128, "steps": 2**18, **section}, seed)
        best = finetune(
            run, start, [name], training, task_data=section.get("data"), mesh=study_mesh(study), quiet=quiet,
            changes={key: section[key] for key in TUNED & set(section)}, **more,
        )  # fmt: skip
        digests.write_json(done, best)
    return digests.read_json(done)["score"]


def curve(run) -> list[tuple[int, float]]:
    from c4build.t5.log import read_metrics

    return [(line["step"], line["loss"]) for line in read_metrics(run) if "loss" in line]


def loss_matrix(study, corpora, runs, out):
    """(models, texts, losses): the mean over seeds of each corpus's models on each whole corpus's held-out text."""
    from c4build.t5.pretrain import corpus_loss

    path = out / "losses.json"
    found = digests.read_json(path) if path.exists() else {}
    whole = [corpus["name"] for corpus in study["corpus"] if not corpus["tokens"]] or list(corpora)[:1]
    columns = same_text(whole, corpora)
    whole = [names[0] for names in columns]
    settings = study.get("losses", {})
    for folders_of_runs in runs.values():
        for run in folders_of_runs:
            for text in whole:
                key = f"{run.relative_to(out)} on {text}"
                if key not in found:
                    found[key] = corpus_loss(run, corpora[text], **settings)["loss"]
                    digests.write_json(path, found)
    matrix = [
        [statistics.fmean(found[f"{run.relative_to(out)} on {text}"] for run in runs[name]) for text in whole]
        for name in runs
    ]
    return list(runs), [" = ".join(names) for names in columns], matrix


def same_text(names, corpora) -> list[list[str]]:
    """The corpora, those together that hold out the same text: one column of the heat map for each."""
    groups = {}
    for name in names:
        groups.setdefault(tuple(held_out_digest(folder) for folder in corpora[name]), []).append(name)
    return list(groups.values())


def held_out_digest(folder, texts: int = 1000) -> str:
    """SHA-256 of the first texts of a corpus that are held out."""
    from c4build.t5.records import corpus_files, in_part, read_texts

    files, held_out = corpus_files(folder, "validation")
    found = (text for file in files for _, _, text in read_texts(file) if in_part(text, "validation", held_out))
    return hashlib.sha256("\0".join(itertools.islice(found, texts)).encode()).hexdigest()
