"""The T5 encoder-decoder (section 2.1 of the paper), in Flax NNX.

Notable choices:
- RMS layer norm without bias before each block, residuals around it, no biases anywhere, no 1/sqrt(d) in attention.
- Relative positions: 32 buckets to distance 128, one table a stack, shared by its layers.
- Several examples may share a row. Attention stays inside an example (equal segment ids), and since an example's
  tokens lie side by side, the distance between two of its tokens is the distance in the row: no positions are needed.
- Dropout's noise is shared along the length, as in T5's own code; it is drawn from keys passed in.
- Parameters are float32; products run in `config.dtype`; norms, softmax and logits are float32.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from c4build.t5.config import ModelConfig

MASKED = -1e9


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
    keep = jax.random.bernoulli(key, 1.0 - rate, x.shape[:-2] + (1, x.shape[-1]))
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

    def keys_values(self, x):  # [batch, length, d_model] -> two of [batch, length, heads, d_kv]
        shape = x.shape[:-1] + (self.heads, -1)
        return self.k(x).reshape(shape), self.v(x).reshape(shape)

    def __call__(self, x, keys, values, bias, key=None):
        """`bias` [batch or 1, heads or 1, queries, keys] holds the positions and the mask, in float32."""
        queries = self.q(x).reshape(x.shape[:-1] + (self.heads, -1))
        scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys, preferred_element_type=jnp.float32)
        weights = jax.nn.softmax(scores + bias, axis=-1).astype(values.dtype)
        weights = dropout(weights, self.rate, key)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, values)
        return self.o(mixed.reshape(x.shape[:-1] + (-1,)))


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

    def __call__(self, x, bias, encoded, cross_bias, key):
        keys = split(key, 6)
        y = self.attention_norm(x)
        x = x + dropout(self.attention(y, *self.attention.keys_values(y), bias, keys[0]), self.rate, keys[1])
        if self.cross:
            attention = self.cross_attention
            y = attention(self.cross_norm(x), *attention.keys_values(encoded), cross_bias, keys[2])
            x = x + dropout(y, self.rate, keys[3])
        return x + dropout(self.feed_forward(self.feed_forward_norm(x), keys[4]), self.rate, keys[5])

    def step(self, x, bias, cache, position, cross_cache, cross_bias):
        """One token: `x` [batch, 1, d_model]; returns it and the cache [batch, max_length, heads, d_kv] with it."""
        y = self.attention_norm(x)
        new = self.attention.keys_values(y)
        cache = tuple(jax.lax.dynamic_update_slice_in_dim(old, n, position, 1) for old, n in zip(cache, new))
        x = x + self.attention(y, *cache, bias)
        x = x + self.cross_attention(self.cross_norm(x), *cross_cache, cross_bias)
        return x + self.feed_forward(self.feed_forward_norm(x)), cache


class Stack(nnx.Module):
    def __init__(self, config: ModelConfig, layers: int, decoder: bool, rngs: nnx.Rngs):
        self.config = config
        self.decoder = decoder
        start = nnx.initializers.variance_scaling(1.0, "fan_avg", "uniform")  # as T5X starts them
        self.relative_bias = nnx.Param(start(rngs.params(), (config.buckets, config.heads)))
        self.layers = nnx.List([Block(config, decoder, rngs) for _ in range(layers)])
        self.norm = Norm(config)

    def position_bias(self, queries: int, keys: int):
        """float32 [1, heads, queries, keys]."""
        config = self.config
        buckets = relative_buckets(queries, keys, not self.decoder, config.buckets, config.max_distance)
        return jnp.transpose(self.relative_bias[...][buckets], (2, 0, 1))[None]

    def __call__(self, x, mask, encoded=None, cross_mask=None, key=None):
        """`mask` [batch, 1, queries, keys] says which keys a query may see; `cross_mask` the same for the encoder."""
        keys = split(key, len(self.layers) + 2)
        bias = jnp.where(mask, self.position_bias(x.shape[1], x.shape[1]), MASKED)
        cross_bias = None if cross_mask is None else jnp.where(cross_mask, 0.0, MASKED)
        x = dropout(x, self.config.dropout, keys[0])
        call = nnx.remat(Block.__call__) if self.config.remat else Block.__call__
        for layer, layer_key in zip(self.layers, keys[2:]):
            x = call(layer, x, bias, encoded, cross_bias, layer_key)
        return dropout(self.norm(x), self.config.dropout, keys[1])


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

    def decode(self, decoder_inputs, target_segments, encoded, input_segments, key=None):
        length = decoder_inputs.shape[1]
        mask = same_segment(target_segments, target_segments) & np.tri(length, dtype=bool)[None, None]
        cross_mask = same_segment(target_segments, input_segments)
        return self.logits(self.decoder(self.embed(decoder_inputs), mask, encoded, cross_mask, key))

    def __call__(self, inputs, input_segments, decoder_inputs, target_segments, key=None):
        encoder_key, decoder_key = split(key, 2)
        encoded = self.encode(inputs, input_segments, encoder_key)
        return self.decode(decoder_inputs, target_segments, encoded, input_segments, decoder_key)

    def start_decoding(self, encoded, length: int):
        """Empty caches for `length` tokens, and the keys and values of the encoder's output, layer by layer."""
        shape = (encoded.shape[0], length, self.config.heads, self.config.d_kv)
        empty = jnp.zeros(shape, self.config.dtype)
        cache = [(empty, empty) for _ in self.decoder.layers]
        return cache, [layer.cross_attention.keys_values(encoded) for layer in self.decoder.layers]

    def decode_step(self, tokens, position, cache, cross_cache, input_segments):
        """Logits [batch, vocab_size] of the token after `tokens` [batch] at `position`, and the cache grown by it."""
        length = cache[0][0].shape[1]
        row = jax.lax.dynamic_slice_in_dim(self.decoder.position_bias(length, length), position, 1, 2)
        bias = jnp.where(jnp.arange(length) <= position, row, MASKED)
        cross_bias = jnp.where(input_segments[:, None, None, :] > 0, 0.0, MASKED)
        x = self.embed(tokens[:, None])
        grown = []
        for layer, layer_cache, layer_cross in zip(self.decoder.layers, cache, cross_cache):
            x, layer_cache = layer.step(x, bias, layer_cache, position, layer_cross, cross_bias)
            grown.append(layer_cache)
        return self.logits(self.decoder.norm(x))[:, 0], grown


def same_segment(query_segments, key_segments):
    """[batch, queries], [batch, keys] -> bool [batch, 1, queries, keys]; padding (0) is seen by nobody."""
    same = query_segments[:, None, :, None] == key_segments[:, None, None, :]
    return same & (key_segments > 0)[:, None, None, :]


def shift_right(targets, target_segments):
    """The decoder's input: the target one to the right, id 0 at the start of every segment."""
    shifted = jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1]
    before = jnp.pad(target_segments, ((0, 0), (1, 0)))[:, :-1]
    return jnp.where(before == target_segments, shifted, 0)


def token_losses(logits, targets, target_segments):
    """Cross-entropy in nats for each target token, 0 at padding: float32 [batch, length]."""
    picked = jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
    return jnp.where(target_segments > 0, jax.nn.logsumexp(logits, -1) - picked, 0.0)
