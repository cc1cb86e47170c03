"""Several models that write together: their logits are averaged before the softmax (section 3.6, Table 13).

An ensemble goes where a model's graph goes: its parameters are the members' stacked, and each step of decoding is that of all
members at once, by `jax.vmap`.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

MEMBERS = -1  # the caches' last axis: those before it are as a single model's, which beams are picked along


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """The graph of models of one configuration."""

    graph: nnx.GraphDef


def stacked(members: list[nnx.State]) -> nnx.State:
    """The parameters of an ensemble."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def model_of(graph, params):
    """The model of a graph, or of an ensemble's, with its parameters."""
    return Members(graph.graph, params) if isinstance(graph, Ensemble) else nnx.merge(graph, params)


class Members:
    """What decoding asks of a model, answered by several."""

    def __init__(self, graph, params):
        self.graph, self.params = graph, params
        first = jax.tree.map(lambda leaf: leaf[0], params)
        self.config = nnx.merge(graph, first).config

    def start_decoding(self, inputs, input_segments, length: int, copies: int = 1):
        def start(params):
            return nnx.merge(self.graph, params).start_decoding(inputs, input_segments, length, copies)

        first, caches, fixed = jax.vmap(start, out_axes=(0, MEMBERS, 0))(self.params)
        return first[0], caches, fixed

    def decode_step(self, tokens, position, caches, fixed):
        def step(params, caches, fixed):
            return nnx.merge(self.graph, params).decode_step(tokens, position, caches, fixed)

        logits, caches = jax.vmap(step, in_axes=(0, MEMBERS, 0), out_axes=(0, MEMBERS))(self.params, caches, fixed)
        return logits.mean(0), caches
