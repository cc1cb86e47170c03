"""Pre-training: a run's folder from corpora, a vocabulary and a model's numbers."""

import contextlib
import dataclasses

import jax

from c4build.errors import UsageError
from c4build.t5 import sharding
from c4build.t5.checkpoint import load_parameters, model_graph, read_run, write_run
from c4build.t5.config import ModelConfig
from c4build.t5.data import Feed, corpus_rows, held_out_batches
from c4build.t5.optimizer import inverse_square_root
from c4build.t5.progress import say
from c4build.t5.records import corpus_files
from c4build.t5.rows import corrupter, row_lengths
from c4build.t5.sources import Stream
from c4build.t5.step import evaluate_loss
from c4build.t5.train import Training, check_batch, train
from c4build.t5.vocabulary import check_rates


def make_feed(
    corpora, rates, vocabulary, corrupt, lengths, batch, mesh, *, streams, seed, limit, workers, shuffle, window, join=False
):  # fmt: skip
    rows = {
        index: corpus_rows(
            corpora, rates, vocabulary, corrupt, lengths,
            limit=limit, seed=seed, stream=Stream(index, streams), shuffle=shuffle, window=window, join=join,
        )
        for index in sharding.host_streams(mesh, streams)
    }  # fmt: skip
    return Feed(rows, batch // streams, workers=workers, of_streams=streams)


def pretrain(
    run, corpora, vocabulary, config: ModelConfig, training: Training, *, rates=None, objective="replace_spans",
    noise_rate=0.15, mean_span=3.0, warmup=10_000, learning_rate=1.0, tokens=None, mesh=None, streams=1, workers=0,
    shuffle=1000, window=64, join=False, params=None, quiet=False,
):  # fmt: skip
    """Trains a model on corpora (folders, mixed by `rates`) to `training.steps`; resumes what is in `run`.

    `tokens` cuts every corpus to its first so many tokens, read again and again. The targets' width follows from the
    objective. Returns the final state.
    """
    check_rates(corpora, rates)
    rates = list(rates) if rates else [1.0 / len(corpora)] * len(corpora)
    if config.vocab_size < vocabulary.size:
        raise UsageError(f"{vocabulary.path} has {vocabulary.size} ids, the model only {config.vocab_size}")
    rows = vocabulary, objective, training.inputs_length, noise_rate, mean_span
    corrupt, targets_length = corrupter(*rows, config.decoder_only)
    training = dataclasses.replace(training, targets_length=targets_length)
    mesh = mesh or sharding.make_mesh()
    check_batch(training, mesh, streams)
    lengths = row_lengths(config, training.inputs_length, targets_length, objective)
    feed = make_feed(
        corpora, rates, vocabulary, corrupt, lengths, training.batch, mesh,
        streams=streams, seed=training.seed, limit=tokens, workers=workers, shuffle=shuffle, window=window, join=join,
    )  # fmt: skip
    if not quiet and jax.process_index() == 0:
        for corpus in corpora:
            files, _ = corpus_files(corpus, "train")
            say(f"reading {corpus}: {len(files):,} file{'s' if len(files) > 1 else ''}")
    with contextlib.closing(feed):
        if jax.process_index() == 0:
            write_run(
                run, config, vocabulary, kind="pretrain", corpora=[str(corpus) for corpus in corpora], rates=rates,
                objective=objective, noise_rate=noise_rate, mean_span=mean_span, warmup=warmup, tokens=tokens,
                learning_rate=learning_rate, streams=streams, workers=workers, shuffle=shuffle, window=window, join=join,
                training=dataclasses.asdict(training),
            )  # fmt: skip
        schedule = inverse_square_root(warmup, learning_rate)
        return train(run, config, training, feed, schedule, mesh, params, quiet=quiet)


def corpus_loss(run, corpora, *, batches: int | None = 20, batch: int = 32, mesh=None) -> dict:
    """The loss of a run's model on the held-out text of corpora, with the objective it was trained by.

    The same text, corrupted in the same way, for every model: differences are the models'.
    """
    config, params, vocabulary = load_parameters(run)
    _, settings = read_run(run)
    mesh = mesh or sharding.make_mesh(1, 1)
    inputs_length = settings["training"]["inputs_length"]
    corrupt, targets_length = corrupter(
        vocabulary,
        settings["objective"],
        inputs_length,
        settings["noise_rate"],
        settings["mean_span"],
        config.decoder_only,
    )
    lengths = row_lengths(config, inputs_length, targets_length, settings["objective"])
    found = (
        arrays
        for corpus in corpora
        for arrays in held_out_batches(corpus, vocabulary, corrupt, lengths, batch, batches)
    )
    graph, _ = model_graph(config)
    return evaluate_loss(graph, params, found, mesh)
