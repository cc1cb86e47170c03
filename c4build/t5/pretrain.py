"""Pre-training: a run that reads text; and a model's loss on text that was held out."""

from c4build.t5 import sharding
from c4build.t5.checkpoint import load_parameters, model_graph, read_run
from c4build.t5.config import ModelConfig
from c4build.t5.data import Feed, corpus_rows, held_out_batches
from c4build.t5.rows import corrupter, row_lengths
from c4build.t5.run import Beginning, run
from c4build.t5.settings import Training, pretraining
from c4build.t5.sources import Stream
from c4build.t5.step import evaluate_loss


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
    folder,
    corpora,
    vocabulary,
    config: ModelConfig,
    training: Training,
    *,
    mesh=None,
    params=None,
    quiet=False,
    **options,
):
    """Trains a model on corpora (folders, mixed by `rates`) to `training.steps`; resumes what is in `folder`.

    `options` are those of `settings.Stage` by name. `tokens` cuts every corpus to its first so many tokens, read again and
    again. The targets' width follows from the objective. Returns the final state.
    """
    stage = pretraining(corpora=tuple(map(str, corpora)), **{**vars(training), **options})
    return run(folder, stage, Beginning(config, vocabulary, params), mesh=mesh, quiet=quiet)[1]


def corpus_loss(folder, corpora, *, batches: int | None = 20, batch: int = 32, mesh=None) -> dict:
    """The loss of a run's model on the held-out text of corpora, with the objective it was trained by.

    The same text, corrupted in the same way, for every model: differences are the models'.
    """
    config, params, vocabulary = load_parameters(folder)
    _, settings = read_run(folder)
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
