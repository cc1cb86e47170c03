"""What decoding costs: caches, steps, compilations. What it writes is held to other programs in test_model and test_architectures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import make_corpus, make_vocabulary, random_parameters

from c4build.t5.checkpoint import model_graph
from c4build.t5.config import model_config, padded_vocabulary
from c4build.t5.decode import beam_search, greedy
from c4build.t5.model import T5
from c4build.t5.scoring import Writer


def one_layer(vocab_size, **changes):
    config = model_config("mini", vocab_size=vocab_size, encoder_layers=1, decoder_layers=1, **changes)
    return config, model_graph(config)[0], random_parameters(config)


@pytest.fixture
def steps(monkeypatch):
    """Grows by one whenever a token is decoded, by programs that are compiled from now on."""
    found: list[int] = []
    step = T5.decode_step

    def counted(self, tokens, position, caches, fixed):
        jax.debug.callback(lambda at: found.append(int(at)), position)
        return step(self, tokens, position, caches, fixed)

    monkeypatch.setattr(T5, "decode_step", counted)
    return found


def test_beams_read_one_copy_of_the_encoders_keys_and_values():
    config = model_config("mini", vocab_size=128, encoder_layers=1, decoder_layers=8)
    graph, params = model_graph(config)[0], random_parameters(config)
    inputs = np.full((1, 256), 5, np.int32)
    keys_and_values = 2 * config.decoder_layers * inputs.size * config.heads * config.d_kv * 4

    def held(beams):
        """Bytes of what the loop over positions reads and carries."""
        traced = beam_search.trace(graph, params, inputs, np.ones_like(inputs), 4, beams).jaxpr
        (loop,) = [equation for equation in traced.eqns if equation.primitive.name == "while"]
        return sum(array.aval.size * array.aval.dtype.itemsize for array in loop.invars)

    assert held(8) - held(1) < keys_and_values / 8


def made_to_end(params, written, others=()):
    """The model writes the end token where it wrote some other one in the middle, that is not in `others`; returns the place."""
    new = [place for place, token in enumerate(written) if list(written).index(token) == place and token not in others]
    end = next(place for place in new if place > 2)
    head = np.array(params["head"][...])
    head[[1, written[end]]] = head[[written[end], 1]]
    params["head"].set_value(jnp.asarray(head))
    return end


@pytest.mark.parametrize("architecture", ["encoder-decoder", "lm"])
def test_a_batch_ends_with_its_last_text(architecture, steps):
    _, graph, params = one_layer(144, architecture=architecture, own_head=True)
    inputs = np.random.default_rng(0).integers(2, 144, (1, 8)).astype(np.int32).repeat(2, 0)
    segments = np.ones_like(inputs)
    end = made_to_end(params, np.asarray(greedy(graph, params, inputs, segments, 20))[0])
    steps.clear()
    ids = np.asarray(greedy(graph, params, inputs, segments, 20))
    jax.effects_barrier()
    assert [list(row).index(1) for row in ids] == [end, end]
    assert steps == list(range(end + 1))
    steps.clear()
    ids, _ = beam_search(graph, params, inputs, segments, 20, 1, 0.6, "transformers")
    jax.effects_barrier()
    assert [list(row).index(1) for row in np.asarray(ids)] == [end, end]
    assert len(steps) == end + 1


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    return make_vocabulary(folder / "vocab.model", [make_corpus(folder / "corpus", 60, shards=1)])


def test_rows_without_a_text_do_not_keep_a_batch_going(vocabulary, steps):
    config, graph, params = one_layer(padded_vocabulary(vocabulary.size) + 16, own_head=True)
    text = "On Monday Anna lost a lamp"
    ids = np.array([[*vocabulary.encode(text), 1]], np.int32)
    ids = np.pad(ids, ((0, 1), (0, 32 - ids.size)))  # and a row without a text
    end = made_to_end(params, *np.asarray(greedy(graph, params, ids, (ids > 0).astype(np.int32), 24)))
    steps.clear()
    writer = Writer(config, params, vocabulary, inputs_length=32, targets_length=24, batch=4)
    writer([text])
    jax.effects_barrier()
    assert len(steps) == end + 1


def test_texts_of_one_bucket_are_written_by_one_program_whichever_checkpoint_it_is(vocabulary):
    config, _, params = one_layer(padded_vocabulary(vocabulary.size) + 64)
    texts = ["Anna lost a lamp", "Boris", "On Monday Anna found the lamp at the harbour and sold it on Friday", "Clara"]
    lengths = [len(vocabulary.encode(text)) + 1 for text in texts]
    assert max(lengths[:2]) <= 16 < 32 < lengths[2] <= 64
    before = greedy._cache_size()
    for checkpoint in (params, jax.tree.map(lambda leaf: leaf + 0, params)):
        writer = Writer(config, checkpoint, vocabulary, inputs_length=64, targets_length=4, batch=1)
        for _ in range(2):
            writer(texts)
    assert greedy._cache_size() - before == 2
