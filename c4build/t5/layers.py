"""What a stack is made of: norm, attention, feed-forward, adapter, and the block that holds them. See `model.py`."""

import jax
import jax.numpy as jnp
from flax import nnx

from c4build.t5.attention import attend, kept_keys
from c4build.t5.config import ModelConfig
from c4build.t5.cpu import layer_product


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
    return nnx.Linear(
        inputs, outputs, use_bias=False, dtype=config.dtype, kernel_init=start, dot_general=layer_product, rngs=rngs
    )


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

    def keys_values(self, x) -> tuple[jax.Array, jax.Array]:
        """[batch, length, d_model] -> two of [batch, length, heads, d_kv]."""
        shape = (*x.shape[:-1], self.heads, -1)
        return self.k(x).reshape(shape), self.v(x).reshape(shape)

    def __call__(self, x, keys, values, bias, visible, key=None):
        """`bias` and `visible` as in `attention.attend`."""
        queries = self.q(x).reshape((*x.shape[:-1], self.heads, -1))
        kept = kept_keys(self.rate, key, keys.shape[0], self.heads, keys.shape[1])
        mixed = attend(queries, keys, values, bias, visible, kept, self.implementation)
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


class Adapter(nnx.Module):
    """A small feed-forward network of inner width `config.adapter` behind the block's own (Houlsby et al. 2019).

    In T5's code it is one more layer of the block, with a norm, dropout and a residual of its own (`task_adapter.gin`).
    Its second matrix starts at zero, so that it changes nothing before it is trained.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs):
        self.down = linear(config.d_model, config.adapter, config.d_model**-0.5, config, rngs)
        self.up = linear(config.adapter, config.d_model, 0.0, config, rngs)
        self.rate = config.dropout

    def __call__(self, x, key=None):
        return self.up(dropout(jax.nn.relu(self.down(x)), self.rate, key))


class Block(nnx.Module):
    """Self-attention, in a decoder attention to the encoder, feed-forward, adapter; each normed before and added after."""

    def __init__(self, config: ModelConfig, cross: bool, rngs: nnx.Rngs):
        self.attention = Attention(config, rngs)
        self.attention_norm = Norm(config)
        if cross:
            self.cross_attention = Attention(config, rngs)
            self.cross_norm = Norm(config)
        self.feed_forward = FeedForward(config, rngs)
        self.feed_forward_norm = Norm(config)
        self.has_adapter = config.adapter > 0
        if self.has_adapter:
            self.adapter = Adapter(config, rngs)
            self.adapter_norm = Norm(config)
        self.rate = config.dropout

    def __call__(self, x, bias, visible, encoded, cross_visible, key):
        """[batch, length, d_model]; without `encoded` attention to the encoder is left out."""
        keys = split(key, 6)
        y = self.attention_norm(x)
        y = self.attention(y, *self.attention.keys_values(y), bias, visible, keys[0])
        x = x + dropout(y, self.rate, keys[1])
        if encoded is not None:
            attention = self.cross_attention
            y = attention(self.cross_norm(x), *attention.keys_values(encoded), None, cross_visible, keys[2])
            x = x + dropout(y, self.rate, keys[3])
        x = x + dropout(self.feed_forward(self.feed_forward_norm(x), keys[4]), self.rate, keys[5])
        return self.adapted(x, key)

    def adapted(self, x, key=None):
        if not self.has_adapter:
            return x
        # Keys of its own: those of the other layers are as they are without adapters.
        keys = split(None if key is None else jax.random.fold_in(key, 6), 2)
        return x + dropout(self.adapter(self.adapter_norm(x), keys[0]), self.rate, keys[1])

    def step(self, x, bias, visible, caches, layer, position, cross_cache, cross_visible):
        """One token: `x` [batch, 1, d_model]; returns it, and all layers' caches [layers, batch, max_length, heads, d_kv]
        with this layer's key and value of it. They are written in place, a token at a time."""
        y = self.attention_norm(x)
        at = (layer, 0, position, 0, 0)
        caches = tuple(
            jax.lax.dynamic_update_slice(cache, new[None], at)
            for cache, new in zip(caches, self.attention.keys_values(y))
        )
        own_keys, own_values = (jax.lax.dynamic_index_in_dim(cache, layer, 0, keepdims=False) for cache in caches)
        x = x + self.attention(y, own_keys, own_values, bias, visible)
        if cross_cache is not None:
            cross_keys, cross_values = cross_cache
            x = x + self.cross_attention(self.cross_norm(x), cross_keys, cross_values, None, cross_visible)
        return self.adapted(x + self.feed_forward(self.feed_forward_norm(x))), caches
