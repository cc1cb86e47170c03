"""`c4build t5 ...` and the function behind `c4build ablate`. Thin: what is heavy is imported when a command runs."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from c4build.errors import UsageError
from c4build.t5.options import (
    From,
    Out,
    Set,
    TaskData,
    TaskNames,
    Vocab,
    guarded,
    mesh_and_streams,
    model_changes,
    shares,
    start_distributed,
    takes,
)  # fmt: skip
from c4build.t5.settings import (
    FINETUNING,
    Changes,
    Devices,
    Feeding,
    Hosts,
    Mixing,
    Pace,
    Scoring,
    Start,
    Text,
    Training,
    finetuning,
    pretraining,
)  # fmt: skip

app = typer.Typer(
    help="Train a T5 on a corpus: vocabulary, pre-training, fine-tuning, scores. Needs the extra `train`.",
    no_args_is_help=True,
)


@app.command()
def vocab(
    folders: Annotated[list[Path], typer.Argument(help="corpora; one named twice counts twice")],
    out: Annotated[Path, typer.Option("--out", help="the file to write")],
    rates: Annotated[str | None, typer.Option(help="shares of the corpora, e.g. 10,1,1,1; equal by default")] = None,
    size: Annotated[int, typer.Option(help="pieces; 100 sentinels come on top")] = 32000,
    characters: Annotated[int, typer.Option(help="how much text to learn from")] = 100_000_000,
    threads: Annotated[int, typer.Option(help="threads of sentencepiece")] = 2,
):
    """Train a sentencepiece vocabulary on a sample of corpora: pad 0, eos 1, unk 2, 100 sentinels at the top."""

    def run():
        from c4build.t5.progress import say
        from c4build.t5.vocabulary import train_vocabulary

        made = train_vocabulary(folders, out, size, characters, threads=threads, rates=shares(rates), say=say)
        typer.echo(f"{out}: {made.pieces:,} pieces, {made.size:,} ids with the sentinels")

    guarded(run)


def started(options: dict):
    """(the mesh, the other options with the streams), in a process that has joined the others."""
    hosts, devices = ({name: options.pop(name) for name in vars(group())} for group in (Hosts, Devices))
    start_distributed(**hosts)
    mesh, streams = mesh_and_streams(devices["data"], devices["model"], options["streams"])
    return mesh, options | {"streams": streams}


@app.command()
@takes(
    Text,
    Training,
    Pace,
    Feeding,
    Changes,
    Devices,
    Hosts,
    without=("window", "targets_length", "dropout", "schedule", "trained", "adapter"),
)
def pretrain(
    corpus: Annotated[
        list[Path], typer.Option("--corpus", help="folder that c4build wrote, .tfrecord, .jsonl, .parquet")
    ],
    vocab: Vocab,
    out: Out,
    options: dict,
    size: Annotated[str, typer.Option("--model", help="small, base, large, 3B, 11B; mini and tiny for tests")] = "base",
    set_: Set = None,
    rates: Annotated[str | None, typer.Option(help="shares of the corpora, e.g. 0.8,0.2; equal by default")] = None,
    from_hf: Annotated[Path | None, typer.Option(help="start from a Hugging Face folder instead of at random")] = None,
    sentinels: Annotated[
        int | None, typer.Option(help="ids that stand for hidden spans; 100, or what the objective takes")
    ] = None,
):
    """Pre-train a model on one or several corpora; resumes what is in --out."""

    def run():
        from c4build.t5 import hf
        from c4build.t5.config import model_config, padded_vocabulary
        from c4build.t5.objectives import SENTINELS, sentinels_needed
        from c4build.t5.run import Beginning
        from c4build.t5.run import run as train
        from c4build.t5.vocabulary import Vocabulary

        mesh, known = started(options)
        stage = pretraining(corpora=[str(one) for one in corpus], rates=shares(rates), **known)
        text = stage.text
        needed = sentinels_needed(text.objective, stage.training.inputs_length, text.noise_rate, text.mean_span)
        vocabulary = Vocabulary(vocab, sentinels or max(SENTINELS, needed))
        changes, params = model_changes(set_, **stage.changes.given()), None
        if from_hf:
            config, params = hf.load(from_hf, **changes)
        else:
            config = model_config(size, **{"vocab_size": padded_vocabulary(vocabulary.size), **changes})
        train(out, stage, Beginning(config, vocabulary, params), mesh=mesh)

    guarded(run)


@app.command()
@takes(Training, Mixing, Pace, Feeding, Start, Scoring, Changes, Devices, Hosts,
       without=("tasks", "size", "warmup", "schedule"), **FINETUNING)  # fmt: skip
def finetune(start: From, task: TaskNames, out: Out, options: dict):
    """Fine-tune a run's model on tasks, score every checkpoint, keep the best; resumes what is in --out."""

    def run():
        from c4build.t5.progress import say
        from c4build.t5.run import go_on_from
        from c4build.t5.run import run as train

        mesh, known = started(options)
        stage = finetuning(tasks=task, **known)
        found, _ = train(out, stage, go_on_from(start, stage, say), start=start, mesh=mesh)
        typer.echo(json.dumps(found, indent=2))

    guarded(run)


@app.command("eval")
def evaluate(
    start: From,
    task: TaskNames,
    task_data: TaskData = None,
    step: Annotated[int | None, typer.Option(help="a checkpoint; the best, else the last, by default")] = None,
    length: int = 512,
    targets: int = 128,
    batch: int = 64,
    limit: int | None = None,
    predictions: Annotated[Path | None, typer.Option(help="write every prediction to this JSONL file")] = None,
):
    """Score a model on tasks; JSON to standard output."""

    def run():
        from c4build.t5.scoring import evaluate as score
        from c4build.t5.scoring import write_lines

        found, lines = score(
            start, task, task_data=task_data, inputs_length=length, targets_length=targets, batch=batch, limit=limit,
            step=step,
        )  # fmt: skip
        if predictions:
            write_lines(predictions, lines)
        typer.echo(json.dumps(found, indent=2))

    guarded(run)


@app.command()
def predict(
    text: Annotated[str, typer.Argument(help="a text, a file with a text a line, or - for standard input")],
    start: From,
    out: Annotated[Path | None, typer.Option("--out", help="write here instead of to standard output")] = None,
    beams: int = 1,
    penalty: Annotated[
        str, typer.Option(help="of beams, for their length: t5 as in the paper, or transformers")
    ] = "t5",
    length: int = 512,
    targets: int = 128,
    step: int | None = None,
):
    """What the model writes for a text, or for each line of a file."""

    def run():
        from c4build.t5.decode import PENALTIES
        from c4build.t5.scoring import predict as write

        if penalty not in PENALTIES:
            raise UsageError(f"--penalty {penalty}: it is one of {', '.join(PENALTIES)}")
        if text == "-":
            lines = sys.stdin.read().splitlines()
        elif len(text) < 1024 and Path(text).is_file():
            lines = Path(text).read_text(encoding="utf-8").splitlines()
        else:
            lines = [text]
        written = write(
            start, lines, beams=beams, kind=penalty, inputs_length=length, targets_length=targets, step=step
        )
        answer = "".join(line + "\n" for line in written)
        if out:
            out.write_text(answer, encoding="utf-8")
        else:
            typer.echo(answer, nl=False)

    guarded(run)


@app.command()
def export(
    start: From,
    hf: Annotated[Path, typer.Option("--hf", help="the Hugging Face folder to write")],
    step: int | None = None,
):
    """Write a run's model as a Hugging Face checkpoint: config.json, model.safetensors, spiece.model."""

    def run():
        from c4build.t5 import hf as files
        from c4build.t5.checkpoint import load_parameters

        config, params, vocabulary = load_parameters(start, step)
        files.save(hf, config, params, vocabulary)
        typer.echo(f"{hf}: {files.count(params):,} parameters")

    guarded(run)


@app.command()
def tasks():
    """List the tasks and their fields, with one example of each as text in and text out."""

    def run():
        from c4build.t5.tasks import LIST

        for task in LIST:
            text_in, text_out = task.pairs(task.sample)[0]
            typer.echo(f"{task.name}  ({task.suite}; TFDS: {task.tfds}; in the table: {', '.join(task.table)})")
            typer.echo(f"  fields: {', '.join(f'{name} ({what})' for name, what in task.fields.items())}")
            typer.echo(f"  in:     {text_in}")
            typer.echo(f"  out:    {text_out}\n")

    guarded(run)


def ablate(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG...",
            help="TOML files, or patterns; those that ship are in c4build/t5/configs, e.g. demo-*.toml",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="instead of the config's own folder")] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="folder of the stages, which studies and machines may share; OUT/stages"),
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ROW", help="this row alone; repeatable")] = None,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="one of N machines' share of a study, in a folder they share")
    ] = "1/1",
    plan: Annotated[
        bool, typer.Option("--plan", help="print rows, stages, FLOPs, memory and hours; run nothing")
    ] = False,
    mfu: Annotated[float, typer.Option(help="of --plan: the share of a device's peak that is reached")] = 0.4,
    peak: Annotated[float, typer.Option(help="of --plan: a device's peak in TFLOP/s; an H100's")] = 989.0,
    devices: Annotated[int, typer.Option(help="of --plan: how many devices there are")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress lines of single runs")] = False,
):
    """Run a whole study: every row's stages, scores, and the paper's table. Skips what is done."""

    def run():
        from c4build.t5.ablation import ablate as study
        from c4build.t5.ablation import shard_of
        from c4build.t5.plan import plan as planned
        from c4build.t5.study import find_configs

        paths = [path for name in configs for path in find_configs(name)]
        if out and len(paths) > 1:
            raise UsageError(f"--out {out}: {len(paths)} studies cannot have one folder")
        for path in paths:
            if plan:
                typer.echo(planned(path, only=only or (), mfu=mfu, peak=peak, devices=devices))
                continue
            table = study(
                path, out, cache, only or (), shard_of(shard), quiet, say=lambda line: typer.echo(line, err=True)
            )
            typer.echo(table.read_text(encoding="utf-8"))

    guarded(run)
