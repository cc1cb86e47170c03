"""The T5 encoder-decoder (section 2.1 of the paper), in Flax NNX.

Notable choices:
- RMS layer norm without bias before each block, residuals around it, no biases anywhere, no 1/sqrt(d) in attention.
- Relative positions: 32 buckets to distance 128, one table a stack, shared by its layers.
- Several examples may share a row. Attention stays inside an example (equal segment ids), and since an example's
  tokens lie side by side, the distance between two of its tokens is the distance in the row: no positions are needed.
- Dropout's noise is shared along the length, as in T5's own code; it is drawn from keys passed in.
- The layers of a stack are one: their arrays have a leading axis for the layers, over which `lax.scan` goes, so that a
  stack compiles in the time of a layer. What the backward pass keeps is `config.remat`'s policy.
- Parameters are float32; products run in `config.dtype`; norms, softmax and logits are float32.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from c4build.t5.attention import attend, drop_keys
from c4build.t5.config import ModelConfig


def relative_buckets(queries: int, keys: int, bidirectional: bool, buckets: int = 32, max_distance: int = 128):
    """The bucket of each (query, key) distance: int32 [queries, keys].

    Half the buckets are exact small distances; the rest grow as a logarithm up to `max_distance`; all beyond share the
    last. A bidirectional stack gives half of all buckets to keys on the right. Computed in float32, as T5 does, since
    the rounding decides the bucket at the borders.
    """
    distance = np.arange(keys)[None, :] - np.arange(queries)[:, None]
    offset = np.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        offset = np.where(distance > 0, buckets, 0)
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = buckets // 2
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
    ratio = ratio / np.float32(math.log(max_distance / exact)) * np.float32(buckets - exact)
    large = np.minimum(exact + ratio.astype(np.int32), buckets - 1)
    return (offset + np.where(distance < exact, distance, large)).astype(np.int32)


def dropout(x, rate: float, key):
    """Zeroes with probability `rate`; the same noise at each position of the last axis but one. No key: no dropout."""
    if key is None or rate == 0.0:
        return x
    keep = jax.random.bernoulli(key, 1.0 - rate, (*x.shape[:-2], 1, x.shape[-1]))
    return jnp.where(keep, x / (1.0 - rate), 0).astype(x.dtype)


def split(key, count: int):
    return [None] * count if key is None else list(jax.random.split(key, count))


class Norm(nnx.Module):
    """Scale by the root of the mean square; no mean subtracted, no bias."""

    def __init__(self, config: ModelConfig):
        self.scale = nnx.Param(jnp.ones(config.d_model))
        self.epsilon = config.epsilon
        self.dtype = config.dtype

    def __call__(self, x):  # [..., d_model]
        x = x.astype(jnp.float32)
        x = x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + self.epsilon)
        return (x * self.scale[...]).astype(self.dtype)


def linear(inputs: int, outputs: int, deviation: float, config: ModelConfig, rngs: nnx.Rngs) -> nnx.Linear:
    start = nnx.initializers.normal(deviation)
    return nnx.Linear(inputs, outputs, use_bias=False, dtype=config.dtype, kernel_init=start, rngs=rngs)


class Attention(nnx.Module):
    def __init__(self, config: ModelConfig, rngs: nnx.Rngs):
        # T5 leaves out 1/sqrt(d) and starts the queries smaller by that factor instead.
        self.q = linear(config.d_model, config.inner, (config.d_model * config.d_kv) ** -0.5, config, rngs)
        self.k = linear(config.d_model, config.inner, config.d_model**-0.5, config, rngs)
        self.v = linear(config.d_model, config.inner, config.d_model**-0.5, config, rngs)
        self.o = linear(config.inner, config.d_model, config.inner**-0.5, config, rngs)
        self.heads = config.heads
        self.rate = config.dropout
        self.implementation = config.attention

    def keys_values(self, x):  # [batch, length, d_model] -> two of [batch, length, heads, d_kv]
        shape = (*x.shape[:-1], self.heads, -1)
        return self.k(x).reshape(shape), self.v(x).reshape(shape)

    def __call__(self, x, keys, values, bias, mask, key=None):
        """`bias` float32 [1, heads, queries, keys] for positions, or None; `mask` bool [batch, 1, queries, keys]."""
        queries = self.q(x).reshape((*x.shape[:-1], self.heads, -1))
        mixed = attend(queries, keys, drop_keys(values, self.rate, key), bias, mask, self.implementation)
        return self.o(mixed.reshape((*x.shape[:-1], -1)))


class FeedForward(nnx.Module):
    def __init__(self, config: ModelConfig, rngs: nnx.Rngs):
        self.gated = config.activation == "gated-gelu"
        self.wi = linear(config.d_model, config.d_ff, config.d_model**-0.5, config, rngs)
        if self.gated:
            self.gate = linear(config.d_model, config.d_ff, config.d_model**-0.5, config, rngs)
        self.wo = linear(config.d_ff, config.d_model, config.d_ff**-0.5, config, rngs)
        self.rate = config.dropout

    def __call__(self, x, key=None):
        if self.gated:
            x = jax.nn.gelu(self.gate(x), approximate=True) * self.wi(x)
        else:
            x = jax.nn.relu(self.wi(x))
        return self.wo(dropout(x, self.rate, key))


class Block(nnx.Module):
    """Self-attention, in the decoder attention to the encoder, feed-forward; each normed before and added after."""

    def __init__(self, config: ModelConfig, cross: bool, rngs: nnx.Rngs):
        self.cross = cross
        self.attention = Attention(config, rngs)
        self.attention_norm = Norm(config)
        if cross:
            self.cross_attention = Attention(config, rngs)
            self.cross_norm = Norm(config)
        self.feed_forward = FeedForward(config, rngs)
        self.feed_forward_norm = Norm(config)
        self.rate = config.dropout

    def __call__(self, x, bias, mask, encoded, cross_mask, key):
        keys = split(key, 6)
        y = self.attention_norm(x)
        y = self.attention(y, *self.attention.keys_values(y), bias, mask, keys[0])
        x = x + dropout(y, self.rate, keys[1])
        if self.cross:
            attention = self.cross_attention
            y = attention(self.cross_norm(x), *attention.keys_values(encoded), None, cross_mask, keys[2])
            x = x + dropout(y, self.rate, keys[3])
        return x + dropout(self.feed_forward(self.feed_forward_norm(x), keys[4]), self.rate, keys[5])

    def step(self, x, bias, mask, caches, layer, position, cross_cache, cross_mask):
        """One token: `x` [batch, 1, d_model]; returns it, and all layers' caches [layers, batch, max_length, heads, d_kv]
        with this layer's key and value of it. They are written in place, a token at a time."""
        y = self.attention_norm(x)
        at = (layer, 0, position, 0, 0)
        caches = tuple(
            jax.lax.dynamic_update_slice(cache, new[None], at)
            for cache, new in zip(caches, self.attention.keys_values(y))
        )
        own = (jax.lax.dynamic_index_in_dim(cache, layer, 0, keepdims=False) for cache in caches)
        x = x + self.attention(y, *own, bias, mask)
        x = x + self.cross_attention(self.cross_norm(x), *cross_cache, None, cross_mask)
        return x + self.feed_forward(self.feed_forward_norm(x)), caches


POLICIES = {  # of `config.remat`: what the backward pass finds computed
    "none": jax.checkpoint_policies.everything_saveable,
    "minimal": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


def rematerialised(layer, policy: str):
    """The layer of a scan, which keeps what the policy says. Attention keeps no scores whatever it says."""
    return layer if policy == "none" else jax.checkpoint(layer, prevent_cse=False, policy=POLICIES[policy])


class Stack(nnx.Module):
    def __init__(self, config: ModelConfig, layers: int, decoder: bool, rngs: nnx.Rngs):
        self.config = config
        self.decoder = decoder
        start = nnx.initializers.variance_scaling(1.0, "fan_avg", "uniform")  # as T5X starts them
        self.relative_bias = nnx.Param(start(rngs.params(), (config.buckets, config.heads)))
        self.count = layers
        each = nnx.split_rngs(splits=layers)(nnx.vmap(lambda rngs: Block(config, decoder, rngs)))
        self.layers = each(rngs)  # one block, all of whose arrays are [layers, ...]
        self.norm = Norm(config)

    def position_bias(self, queries: int, keys: int):
        """float32 [1, heads, queries, keys]."""
        config = self.config
        buckets = relative_buckets(queries, keys, not self.decoder, config.buckets, config.max_distance)
        return jnp.transpose(self.relative_bias[...][buckets], (2, 0, 1))[None]

    def __call__(self, x, mask, encoded=None, cross_mask=None, key=None):
        """`mask` [batch, 1, queries, keys] says which keys a query may see; `cross_mask` the same for the encoder."""
        first, last, keys = None, None, None
        if key is not None:
            keys = jax.random.split(key, self.count + 2)
            first, last, keys = keys[0], keys[1], keys[2:]
        bias = self.position_bias(x.shape[1], x.shape[1])
        block, arrays = nnx.split(self.layers)

        def layer(x, own):
            arrays, key = own
            return nnx.merge(block, arrays)(x, bias, mask, encoded, cross_mask, key), None

        x = dropout(x, self.config.dropout, first)
        x, _ = jax.lax.scan(rematerialised(layer, self.config.remat), x, (arrays, keys))
        return dropout(self.norm(x), self.config.dropout, last)

    def step(self, x, position, caches, cross_caches, input_segments):
        """One token through all layers, see `Block.step`. `cross_caches`: two of [layers, batch, inputs, heads, d_kv]."""
        length = caches[0].shape[2]
        bias = jax.lax.dynamic_slice_in_dim(self.position_bias(length, length), position, 1, 2)
        mask = jnp.arange(length)[None, None, None] <= position
        cross_mask = input_segments[:, None, None, :] > 0
        block, arrays = nnx.split(self.layers)

        def layer(carry, own):
            arrays, number, cross_cache = own
            x, caches = carry
            step = nnx.merge(block, arrays).step
            return step(x, bias, mask, caches, number, position, cross_cache, cross_mask), None

        (x, caches), _ = jax.lax.scan(layer, (x, caches), (arrays, jnp.arange(self.count), cross_caches))
        return self.norm(x), caches

    def cross_caches(self, encoded):
        """Keys and values of the encoder's output in every layer: two of [layers, batch, inputs, heads, d_kv]."""
        block, arrays = nnx.split(self.layers)
        return jax.lax.map(lambda own: nnx.merge(block, own).cross_attention.keys_values(encoded), arrays)


class T5(nnx.Module):
    """Token ids in, logits out. Rows may hold several examples: equal segment ids belong together, 0 is padding."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs):
        self.config = config
        self.embedding = nnx.Param(jax.random.normal(rngs.params(), (config.vocab_size, config.d_model)))
        self.encoder = Stack(config, config.encoder_layers, False, rngs)
        self.decoder = Stack(config, config.decoder_layers, True, rngs)
        if config.own_head:
            start = config.d_model**-0.5 * jax.random.normal(rngs.params(), (config.vocab_size, config.d_model))
            self.head = nnx.Param(start)

    def embed(self, tokens):  # [batch, length] -> [batch, length, d_model]
        return self.embedding[...][tokens].astype(self.config.dtype)

    def encode(self, inputs, input_segments, key=None):
        mask = same_segment(input_segments, input_segments)
        return self.encoder(self.embed(inputs), mask, key=key)

    def logits(self, x):  # [..., d_model] -> float32 [..., vocab_size]
        if self.config.scale_logits:
            x = x * self.config.d_model**-0.5
        table = (self.head if self.config.own_head else self.embedding)[...].astype(x.dtype)
        return jnp.einsum("...d,vd->...v", x, table, preferred_element_type=jnp.float32)

    def hidden(self, inputs, input_segments, decoder_inputs, target_segments, key=None):
        """The decoder's output, before the logits: [batch, targets, d_model]."""
        encoder_key, decoder_key = split(key, 2)
        encoded = self.encode(inputs, input_segments, encoder_key)
        length = decoder_inputs.shape[1]
        mask = same_segment(target_segments, target_segments) & np.tri(length, dtype=bool)[None, None]
        cross_mask = same_segment(target_segments, input_segments)
        return self.decoder(self.embed(decoder_inputs), mask, encoded, cross_mask, decoder_key)

    def __call__(self, inputs, input_segments, decoder_inputs, target_segments, key=None):
        return self.logits(self.hidden(inputs, input_segments, decoder_inputs, target_segments, key))

    def start_decoding(self, encoded, length: int):
        """Empty caches for `length` tokens, and the keys and values of the encoder's output, of all layers."""
        shape = (self.decoder.count, encoded.shape[0], length, self.config.heads, self.config.d_kv)
        empty = jnp.zeros(shape, self.config.dtype)
        return (empty, empty), self.decoder.cross_caches(encoded)

    def decode_step(self, tokens, position, caches, cross_caches, input_segments):
        """Logits [batch, vocab_size] of the token after `tokens` [batch] at `position`, and the caches grown by it."""
        x, caches = self.decoder.step(self.embed(tokens[:, None]), position, caches, cross_caches, input_segments)
        return self.logits(x)[:, 0], caches


def same_segment(query_segments, key_segments):
    """[batch, queries], [batch, keys] -> bool [batch, 1, queries, keys]; padding (0) is seen by nobody."""
    same = query_segments[:, None, :, None] == key_segments[:, None, None, :]
    return same & (key_segments > 0)[:, None, None, :]


def shift_right(targets, target_segments):
    """The decoder's input: the target one to the right, id 0 at the start of every segment."""
    shifted = jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1]
    before = jnp.pad(target_segments, ((0, 0), (1, 0)))[:, :-1]
    return jnp.where(before == target_segments, shifted, 0)
