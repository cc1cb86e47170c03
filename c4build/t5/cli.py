"""`c4build t5 ...` and the function behind `c4build ablate`. Thin: what is heavy is imported when a command runs."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from c4build.errors import UsageError
from c4build.t5.options import (
    AttentionCode,
    Bind,
    Coordinator,
    DataAxis,
    From,
    ModelAxis,
    Out,
    Process,
    Processes,
    Remat,
    Set,
    Streams,
    TaskData,
    TaskNames,
    Vocab,
    ZLoss,
    guarded,
    mesh_and_streams,
    model_changes,
    shares,
    start_distributed,
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


@app.command()
def pretrain(
    corpus: Annotated[list[Path], typer.Option("--corpus", help="folder that c4build wrote, .tfrecord, .jsonl, .parquet")],
    vocab: Vocab,
    out: Out,
    model: Annotated[str, typer.Option(help="small, base, large, 3B, 11B; mini and tiny for tests")] = "base",
    set_: Set = (),
    rates: Annotated[str | None, typer.Option(help="shares of the corpora, e.g. 0.8,0.2; equal by default")] = None,
    from_hf: Annotated[Path | None, typer.Option(help="start from a Hugging Face folder instead of at random")] = None,
    objective: Annotated[str, typer.Option(help="replace_spans, span_corruption, prefix_lm, lm, bert_style, mass_style, "
                                                "drop_tokens, deshuffling")] = "replace_spans",
    noise_rate: Annotated[float, typer.Option(help="share of the tokens to hide")] = 0.15,
    mean_span: Annotated[float, typer.Option(help="mean length of a hidden span (span_corruption)")] = 3.0,
    sentinels: Annotated[int | None, typer.Option(help="ids that stand for hidden spans; 100, or what the objective takes")] = None,
    steps: Annotated[int, typer.Option(help="steps in all")] = 2**19,
    batch: Annotated[int, typer.Option(help="rows a step")] = 128,
    length: Annotated[int, typer.Option(help="tokens a row of inputs")] = 512,
    tokens: Annotated[str | None, typer.Option(help="only the corpus's first so many tokens, e.g. 2^25")] = None,
    accumulate: Annotated[int, typer.Option(help="parts a batch is computed in, one after another")] = 1,
    warmup: Annotated[int, typer.Option(help="k of 1/sqrt(max(n, k))")] = 10_000,
    learning_rate: Annotated[float, typer.Option(help="factor on the schedule")] = 1.0,
    seed: int = 0,
    log_every: int = 100,
    checkpoint_every: int = 5000,
    keep: Annotated[int, typer.Option(help="checkpoints to keep")] = 2,
    workers: Annotated[int, typer.Option(help="processes that prepare data; 0: a thread")] = 0,
    shuffle: Annotated[int, typer.Option(help="texts in the window that is shuffled")] = 1000,
    join: Annotated[bool, typer.Option("--join", help="join texts before they are cut, as the paper's baseline does")] = False,
    attention: AttentionCode = None,
    remat: Remat = None,
    z_loss: ZLoss = 1e-4,
    data: DataAxis = None,
    model_parallel: ModelAxis = 1,
    streams: Streams = None,
    coordinator: Coordinator = None,
    bind: Bind = None,
    processes: Processes = None,
    process: Process = None,
):  # fmt: skip
    """Pre-train a model on one or several corpora; resumes what is in --out."""

    def run():
        start_distributed(coordinator, processes, process, bind)
        from c4build.t5 import hf
        from c4build.t5.ablation import token_count
        from c4build.t5.config import model_config, padded_vocabulary
        from c4build.t5.objectives import SENTINELS, sentinels_needed
        from c4build.t5.pretrain import pretrain as start
        from c4build.t5.train import Training
        from c4build.t5.vocabulary import Vocabulary

        mesh, parts = mesh_and_streams(data, model_parallel, streams)
        needed = sentinels_needed(objective, length, noise_rate, mean_span)
        vocabulary = Vocabulary(vocab, sentinels or max(SENTINELS, needed))
        changes, params = model_changes(set_, attention=attention, remat=remat), None
        if from_hf:
            config, params = hf.load(from_hf, **changes)
        else:
            config = model_config(model, **{"vocab_size": padded_vocabulary(vocabulary.size), **changes})
        training = Training(
            steps=steps, batch=batch, inputs_length=length, accumulate=accumulate, seed=seed, log_every=log_every,
            checkpoint_every=checkpoint_every, keep=keep, z_loss=z_loss,
        )  # fmt: skip
        start(
            out, corpus, vocabulary, config, training, objective=objective, noise_rate=noise_rate, mean_span=mean_span,
            rates=shares(rates), tokens=token_count(tokens),
            warmup=warmup, learning_rate=learning_rate, mesh=mesh, streams=parts, workers=workers, shuffle=shuffle,
            join=join, params=params,
        )  # fmt: skip

    guarded(run)


@app.command()
def finetune(
    start: From,
    task: TaskNames,
    out: Out,
    task_data: TaskData = None,
    steps: Annotated[int, typer.Option(help="steps in all")] = 2**18,
    batch: int = 128,
    length: Annotated[int, typer.Option(help="tokens a row of inputs")] = 512,
    targets: Annotated[int, typer.Option(help="tokens a row of targets, and the most that is written")] = 128,
    accumulate: int = 1,
    learning_rate: float = 0.001,
    dropout: Annotated[float | None, typer.Option(help="the model's own by default")] = None,
    trained: Annotated[str, typer.Option(help="all, adapters (and layer norms), or gradual unfreezing")] = "all",
    adapter: Annotated[int | None, typer.Option(help="inner width of new adapters, e.g. 128")] = None,
    z_loss: ZLoss = 1e-4,
    optimizer: Annotated[
        str, typer.Option(help="continue with the run's moments and step, as T5 does, or fresh")
    ] = "continue",
    unknown: Annotated[
        float, typer.Option(help="share of a task's target tokens that may be unknown to the vocabulary")
    ] = 0.001,
    seed: int = 0,
    log_every: int = 100,
    checkpoint_every: Annotated[int, typer.Option(help="every so often the model is scored and saved")] = 5000,
    limit: Annotated[int | None, typer.Option(help="score only so many examples of a split")] = None,
    attention: AttentionCode = None,
    remat: Remat = None,
    data: DataAxis = None,
    model_parallel: ModelAxis = 1,
    streams: Streams = None,
    coordinator: Coordinator = None,
    bind: Bind = None,
    processes: Processes = None,
    process: Process = None,
):
    """Fine-tune a run's model on tasks, score every checkpoint, keep the best; resumes what is in --out."""

    def run():
        start_distributed(coordinator, processes, process, bind)
        from c4build.t5.finetune import finetune as tune
        from c4build.t5.train import Training

        mesh, parts = mesh_and_streams(data, model_parallel, streams)
        training = Training(
            steps=steps, batch=batch, inputs_length=length, targets_length=targets, accumulate=accumulate, seed=seed,
            log_every=log_every, checkpoint_every=checkpoint_every, z_loss=z_loss, trained=trained,
        )  # fmt: skip
        best = tune(
            out, start, task, training, task_data=task_data, learning_rate=learning_rate,
            changes=model_changes([], dropout=dropout, attention=attention, remat=remat, adapter=adapter), optimizer=optimizer, unknown=unknown, mesh=mesh, streams=parts, limit=limit,
        )  # fmt: skip
        typer.echo(json.dumps(best, indent=2))

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
        from c4build.t5.finetune import evaluate as score
        from c4build.t5.finetune import write_lines

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
        from c4build.t5.finetune import predict as write

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
    config: Annotated[str, typer.Argument(help="a TOML file; ablation-demo.toml and two more ship with the package")],
    resume: Annotated[bool, typer.Option("--resume", help="go on in a folder whose config was another")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="instead of the config's own folder")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress lines of single runs")] = False,
):
    """Run a whole study: pre-train on each corpus, fine-tune on each task, and write the paper's table. Skips what is done."""

    def run():
        from c4build.t5.ablation import ablate as study

        table = study(config, resume, out, quiet, say=lambda line: typer.echo(line, err=True))
        typer.echo(table.read_text(encoding="utf-8"))

    guarded(run)
