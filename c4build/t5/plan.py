"""What a study will do and cost, before anything runs: no data is read, and no array is made."""

from c4build.t5.ablation import matches
from c4build.t5.config import ModelConfig, changed, padded_vocabulary
from c4build.t5.fingerprints import Names
from c4build.t5.flops import step_flops
from c4build.t5.study import Digests, Job, cells_of, find_config, model_of, read_config, unique_jobs

GIB = 2**30


def plan(config, only=(), mfu: float = 0.4, peak: float = 989.0, devices: int = 1) -> str:
    """Rows, their stages and which of them are shared; each stage's FLOPs, tokens, memory a device and hours, at a share `mfu` of
    `devices` times `peak` TFLOP/s; as Markdown."""
    study = read_config(find_config(config))
    cells = [cell for cell in cells_of(study) if not only or cell.row in only]
    corpora = {corpus["name"]: corpus for corpus in study.get("corpus", [])}
    digests = Digests(Names(), corpora)
    jobs = unique_jobs(cells, digests)
    used: dict[str, list[str]] = {name: [] for name in jobs}
    for cell in cells:
        for member in cell.members:
            for job in member.chain:
                if cell.row not in used[digests.name(job)]:
                    used[digests.name(job)].append(cell.row)
    speed = mfu * peak * 1e12 * devices
    share = study.get("devices", {}).get("model", 1)
    lines = [f"# {study.get('name', config)}", ""]
    lines += [f"{row['name']}: {', '.join(row['stages'])}" for row in study["row"] if not only or row["name"] in only]
    lines += ["", "| stage | for | seed | reads | steps | tokens | EFLOP | GiB a device | hours |", "|---" * 9 + "|"]
    total = {"flops": 0.0, "tokens": 0.0}
    for name, job in jobs.items():
        cost = cost_of(job, share, devices // share or 1)
        total = {key: total[key] + cost[key] for key in total}
        rows = used[name]
        who = rows[0] if len(rows) == 1 else f"{rows[0]} and {len(rows) - 1} more"
        lines.append(
            f"| {name} | {who} | {job.stage.training.seed} | {reads(job)} | {job.stage.training.steps:,} | "
            f"{cost['tokens']:.2e} | {cost['flops'] / 1e18:.4g} | {cost['memory'] / GIB:.1f} | "
            f"{cost['flops'] / speed / 3600:.2f} |"
        )
    shared = sum(len(rows) > 1 for rows in used.values())
    asked = sum(len(member.chain) for cell in cells for member in cell.members)
    lines += [
        "",
        f"{len(cells)} models and columns ask for {asked} stages; {len(jobs)} are different, {shared} shared by several rows.",
        f"{total['flops'] / 1e18:.4g} EFLOP, {total['tokens']:.2e} tokens: {total['flops'] / speed / 3600:.1f} hours at {mfu:.0%} of "
        f"{devices} x {peak:g} TFLOP/s. Scoring and the heat map come on top.",
        "Memory: parameters, moments and gradients, and what the backward pass keeps, counted by tracing; the compiler's own needs "
        "come on top.",
        *missing(study),
    ]
    return "\n".join(lines)


def missing(study) -> list[str]:
    """A line where corpora are not there yet."""
    patterns = [pattern for corpus in study.get("corpus", []) for pattern in corpus["folders"]]
    lost = dict.fromkeys(pattern for pattern in patterns if not matches(pattern))
    return [f"Not there yet: {', '.join(lost)}."] if lost else []


def reads(job: Job) -> str:
    tasks = list(job.stage.mixing.tasks)
    said = tasks if len(tasks) < 4 else [f"{len(tasks)} tasks"]
    return " + ".join([*(["text"] if job.stage.text.corpora else []), *said])


def model_at(job: Job) -> ModelConfig:
    """The model of a job, with the changes of its stages."""
    words = job.vocabulary
    size = padded_vocabulary(words.get("size", 32000) + words["sentinels"])
    config = model_of({"vocab_size": size, **job.model})
    for one in job.chain:
        config = changed(config, **one.stage.changes.given())
    return config


def widths(job: Job) -> tuple[int, int]:
    """(inputs, targets) of a row, as `packing` takes them."""
    from c4build.t5.objectives import lengths
    from c4build.t5.rows import row_lengths

    text, training = job.stage.text, job.stage.training
    inputs, targets = training.inputs_length, training.targets_length
    if text.corpora:
        width = lengths(text.objective, inputs, text.noise_rate, text.mean_span)[1]
        targets = max(width, targets) if job.stage.mixing.tasks else width
    objective = text.objective if text.corpora and not job.stage.mixing.tasks else None
    return row_lengths(model_at(job), inputs, targets, objective)


def cost_of(job: Job, model_devices: int, data_devices: int) -> dict:
    """{"flops", "tokens", "memory": bytes a device} of a job."""
    training, config = job.stage.training, model_at(job)
    inputs, targets = widths(job)
    rows = -(-training.batch // training.accumulate // data_devices)
    numbers, kept = kept_of(config, rows, inputs, targets, training.trained)
    return {
        "flops": training.steps * step_flops(config, training.batch, inputs, targets, training.trained),
        "tokens": training.steps * training.batch * (inputs + targets),
        "memory": (numbers + kept) / model_devices,
    }


KEPT: dict[tuple, tuple[int, int]] = {}


def kept_of(config: ModelConfig, rows: int, inputs: int, targets: int, trained: str) -> tuple[int, int]:
    """(bytes of the parameters, and of the moments and gradients of what is trained; bytes that the backward pass finds of the
    forward one), by tracing alone."""
    import jax
    import jax.numpy as jnp

    from c4build.t5.checkpoint import model_graph
    from c4build.t5.optimizer import adafactor, inverse_square_root
    from c4build.t5.packing import make_row
    from c4build.t5.step import training_loss
    from c4build.t5.trained import joined, partition

    key = config, rows, inputs, targets, trained
    if key not in KEPT:
        graph, params = model_graph(config)
        row = make_row([], inputs, targets)
        batch = {name: jax.ShapeDtypeStruct((rows, *array.shape), jnp.int32) for name, array in row.items()}
        free, fixed = partition(params, trained)
        seed = jax.eval_shape(lambda: jax.random.key(0))

        def kept(free, fixed, batch, seed):
            return jax.vjp(lambda p: training_loss(graph, joined(p, fixed), batch, seed, 1e-4)[0], free)[1]

        def size(tree):
            return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

        moments = jax.eval_shape(adafactor(inverse_square_root()).init, free)
        state = size(params) + size(free) + size(moments)
        KEPT[key] = state, size(jax.eval_shape(kept, free, fixed, batch, seed))
    return KEPT[key]
