"""What options of `c4build t5 ...` share, and what their values become. Nothing heavy is imported before a command runs."""

import importlib.util
import json
from pathlib import Path
from typing import Annotated

import typer

from c4build.errors import C4BuildError, OutputError, UsageError

Vocab = Annotated[Path, typer.Option("--vocab", help="sentencepiece file")]
Out = Annotated[Path, typer.Option("--out", help="folder of the run; a rerun resumes what is in it")]
From = Annotated[Path, typer.Option("--from", help="a run's folder, or a Hugging Face folder with its vocab.model")]
TaskNames = Annotated[list[str], typer.Option("--task", help="task or suite (glue, superglue); several are mixed")]
TaskData = Annotated[Path | None, typer.Option("--task-data", help="folder with TASK/SPLIT.jsonl, instead of TFDS")]
Set = Annotated[list[str], typer.Option("--set", help="any number of the model, as name=value, e.g. --set d_ff=1024")]
AttentionCode = Annotated[
    str | None,
    typer.Option(
        "--attention", help="plain, fused (cuDNN's on a GPU), kernel (ours, on one GPU), or auto, the default"
    ),
]
Remat = Annotated[
    str | None,
    typer.Option("--remat", help="what the backward pass computes again: none, minimal (all but products), full"),
]
ZLoss = Annotated[float, typer.Option(help="weight of the square of log Z in what is minimised; 0 as in transformers")]
DataAxis = Annotated[int | None, typer.Option("--data", help="devices that share out a batch's rows; all by default")]
ModelAxis = Annotated[int, typer.Option("--model-parallel", help="devices that share out each matrix")]
Streams = Annotated[int | None, typer.Option(help="parts the data is dealt out in; a multiple of the hosts")]
Coordinator = Annotated[str | None, typer.Option(help="HOST:PORT of the first of several processes")]
Bind = Annotated[str | None, typer.Option(help="HOST:PORT that the first listens on, where it is not --coordinator")]
Processes = Annotated[int | None, typer.Option(help="how many processes there are")]
Process = Annotated[int | None, typer.Option(help="which of them this is, from 0")]


PACKAGES = (
    "flax", "grain", "jax", "matplotlib", "optax", "orbax", "rouge_score", "sacrebleu", "safetensors", "scipy",
    "sentencepiece", "sklearn", "tensorboardX",
)  # fmt: skip


def check_extra() -> None:
    """Raises UsageError where a package of the extra `train` is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the trainer needs pip install 'c4build[train]' ({', '.join(missing)} missing)")


def guarded(call):
    """Runs `call`, and says in one line what a disk or a device refuses."""
    check_extra()
    try:
        import jax

        call()
        if jax.distributed.is_initialized():
            jax.distributed.shutdown()  # waits for the other processes
    except OSError as error:
        raise OutputError(str(error)) from error
    except ValueError as error:  # as orbax tells of a disk
        if ": Error writing " not in str(error):
            raise
        raise OutputError(f"cannot write a checkpoint: {' '.join(str(error).split())}") from error
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        line = str(error).splitlines()[0]
        raise C4BuildError(
            f"the device's memory is full; try --accumulate, --remat minimal or full, or a smaller --batch: {line}"
        ) from error


def model_changes(settings: list[str], **named) -> dict:
    """["d_ff=1024", "own_head=true"] -> {"d_ff": 1024, "own_head": True}, and what is `named` if it is not None."""
    changes = {name: value for name, value in named.items() if value is not None}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write name=value")
        try:
            changes[name] = json.loads(value.lower() if value.lower() in ("true", "false") else value)
        except ValueError:
            changes[name] = value
    return changes


def shares(text: str | None) -> list[float] | None:
    """ "0.8,0.2" -> [0.8, 0.2]."""
    try:
        return [float(rate) for rate in text.split(",")] if text else None
    except ValueError as error:
        raise UsageError(f"--rates {text}: write numbers, as in 0.8,0.2") from error


def start_distributed(coordinator, processes, process, bind=None) -> None:
    """Joins the other processes. The first listens on `bind`, else on the coordinator's address: by itself JAX would
    listen on all of the machine's."""
    import jax

    if coordinator or processes:
        jax.distributed.initialize(coordinator, processes, process, coordinator_bind_address=bind or coordinator)


def mesh_and_streams(data, model, streams):
    import jax

    from c4build.t5.sharding import make_mesh

    return make_mesh(data, model), streams or jax.process_count()
