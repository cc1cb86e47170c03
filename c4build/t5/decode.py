"""Greedy and beam search with a key/value cache: a batch at a time, one compiled program for each shape.

Inputs are a text a row, end token in, padded on the right. A model without an encoder goes on behind them. A batch stops with the
last of its texts. The beams of a text are an axis of their own, over which a step is mapped: they read the encoder's keys and values,
which are the same for all, from one copy.

Beam search comes in two kinds, which differ in how a hypothesis of a certain length, end token included, is scored:

- "t5" divides its log probability by ((5 + length) / 6) ** alpha, as the code of the paper does (Wu et al. 2016). Every
  candidate that ends may be taken; a batch stops when no running hypothesis could beat its worst finished one even at full
  length; one that reached the full length without an end counts only where no other ended.
- "transformers" divides by length ** alpha, and is that package's search (with `early_stopping=False`), so that the same
  weights give the same ids: only the first `beams` candidates may end; full length is an end; a batch stops when no running
  hypothesis could beat the worst of its finished ones at the present length.

The paper decodes greedily except for translation and summaries, where it uses 4 beams and an alpha of 0.6 (section 3.1.4).
"""

from functools import partial

import jax
import jax.numpy as jnp

from c4build.t5.ensemble import model_of

PAD, EOS = 0, 1
WORST = -1e9


@partial(jax.jit, static_argnames=("graph", "length"))
def greedy(graph, params, inputs, input_segments, length: int):
    """The likeliest next token, up to `length` times: int32 [batch, length], padded with 0 after the end token."""
    model = model_of(graph, params)
    first, cache, fixed = model.start_decoding(inputs, input_segments, length)
    batch = inputs.shape[0]

    def go_on(state):
        position, _, _, finished, _ = state
        return (position < length) & ~finished.all()

    def step(state):
        position, last, written, finished, cache = state
        logits, cache = model.decode_step(last, position, cache, fixed)
        token = jnp.where(finished, PAD, jnp.argmax(logits, -1).astype(jnp.int32))
        return position + 1, token, written.at[:, position].set(token), finished | (token == EOS), cache

    start = (0, first, jnp.zeros((batch, length), jnp.int32), jnp.zeros(batch, bool), cache)
    return jax.lax.while_loop(go_on, step, start)[2]


BEAMS = 2  # the beams' axis in caches: [layers, batch, beams, positions, heads, d_kv]


def pick(x, indices):
    """x[b, indices[b, i]] for [batch, n, ...] and [batch, k]."""
    return jnp.take_along_axis(x, indices.reshape(indices.shape + (1,) * (x.ndim - 2)), axis=1)


def pick_caches(cache, parents):
    """cache[:, b, parents[b, i]] for [layers, batch, beams, ...] and [batch, beams]."""
    return jax.vmap(lambda own, chosen: own[:, chosen], in_axes=(1, 0), out_axes=1)(cache, parents)


PENALTIES = {
    "t5": lambda length, alpha: ((5.0 + length) / 6.0) ** alpha,
    "transformers": lambda length, alpha: length**alpha,
}


@partial(jax.jit, static_argnames=("graph", "length", "beams", "kind"))
def beam_search(
    graph, params, inputs, input_segments, length: int, beams: int = 4, alpha: float = 0.6, kind: str = "t5"
):
    """The best of `beams` hypotheses: (int32 [batch, length], scores [batch]). `kind` is one of PENALTIES."""
    penalty, t5 = PENALTIES[kind], kind == "t5"
    model = model_of(graph, params)
    batch, vocabulary = inputs.shape[0], model.config.vocab_size
    first, cache, fixed = model.start_decoding(inputs, input_segments, length)
    decode_step = jax.vmap(model.decode_step, in_axes=(1, None, BEAMS, None), out_axes=(1, BEAMS))

    def go_on(state):
        return (state["position"] < length) & state["hopeful"].any()

    def step(state):
        position = state["position"]
        last = jax.lax.dynamic_index_in_dim(state["running"], position - 1, 2, keepdims=False)
        last = jnp.where(position == 0, first[:, None], last)
        logits, cache = decode_step(last, position, state["cache"], fixed)
        scores = jax.nn.log_softmax(logits) + state["running_scores"][..., None]

        # Twice as many candidates as beams: even if every beam may end here, as many go on.
        scores, flat = jax.lax.top_k(scores.reshape(batch, -1), 2 * beams)
        parents, tokens = flat // vocabulary, flat % vocabulary
        candidates = pick(state["running"], parents).at[:, :, position].set(tokens)
        ended = (tokens == EOS) | (not t5 and position + 1 == length)

        running_scores, best = jax.lax.top_k(scores + ended * WORST, beams)
        parents = pick(parents, best)
        cache = jax.tree.map(lambda own: pick_caches(own, parents), cache)

        may_finish = ended & (t5 or jnp.arange(2 * beams) < beams)
        power = penalty(position + 1.0, alpha)
        finals = scores / power + (~may_finish | ~state["hopeful"][:, None]) * WORST
        all_scores = jnp.concatenate([state["finished_scores"], finals], 1)
        all_sequences = jnp.concatenate([state["finished"], candidates], 1)
        finished_scores, kept = jax.lax.top_k(all_scores, beams)
        is_finished = pick(jnp.concatenate([state["is_finished"], may_finish], 1), kept)

        worst = jnp.where(is_finished, finished_scores.min(1, keepdims=True), WORST)
        best_possible = running_scores[:, :1] / (penalty(float(length), alpha) if t5 else power)
        hopeful = state["hopeful"] & (best_possible > worst).any(1)
        return {
            "position": position + 1,
            "running": pick(candidates, best),
            "running_scores": running_scores,
            "finished": pick(all_sequences, kept),
            "finished_scores": finished_scores,
            "is_finished": is_finished,
            "hopeful": hopeful,
            "cache": cache,
        }

    start = {
        "position": 0,
        "running": jnp.zeros((batch, beams, length), jnp.int32),
        "running_scores": jnp.tile(jnp.where(jnp.arange(beams) == 0, 0.0, WORST), (batch, 1)),
        "finished": jnp.zeros((batch, beams, length), jnp.int32),
        "finished_scores": jnp.full((batch, beams), WORST),
        "is_finished": jnp.zeros((batch, beams), bool),
        "hopeful": jnp.ones(batch, bool),
        "cache": jax.tree.map(lambda own: jnp.repeat(own[:, :, None], beams, BEAMS), cache),
    }
    end = jax.lax.while_loop(go_on, step, start)
    found = end["is_finished"].any(1)
    scores = jnp.where(found, end["finished_scores"][:, 0], end["running_scores"][:, 0])
    return jnp.where(found[:, None], end["finished"][:, 0], end["running"][:, 0]), scores
