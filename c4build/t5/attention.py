"""Attention as T5 has it: no 1/sqrt(d), a bias for positions that all rows share, a mask for each row.

Bias and mask go in apart, and what is as large as [batch, heads, queries, keys] is computed again in the backward pass:
nothing of that size is kept, or goes from layer to layer. Dropout has the noise of T5's own code, which all queries of a
head share: it drops a key for all of them at once. So dropping weights is dropping values, and no kernel has to know.

    plain   written out; any device and format
    fused   `jax.nn.dot_product_attention`: cuDNN's kernel on a GPU, XLA's own code elsewhere. Bias rounded to the format
    kernel  a kernel that reads the bias as it is, see `kernel.py`; on one GPU (elsewhere interpreted: slow, for tests)
    auto    fused on a GPU whose cuDNN takes the shapes and gives the bias its gradient, else plain; `kernel` has not been
            on a GPU yet, and is for who asks for it
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from c4build.errors import UsageError
from c4build.t5 import kernel

MASKED = -1e9


def attend(queries, keys, values, bias, mask, implementation: str = "auto"):
    """[batch, queries, heads, d_kv], two of [batch, keys, heads, d_kv] -> [batch, queries, heads, d_kv].

    `bias` float32 [1, heads, queries, keys], or None; `mask` bool [batch, 1, queries, keys] says which keys a query sees.
    """
    platform = jax.default_backend()
    way = chosen(implementation, queries.dtype.name, queries.shape[1:], keys.shape[1:], platform)
    return _function(way, platform)(queries, keys, values, bias, mask)


def _function(way: str, platform: str) -> Callable:
    if way == "plain":
        return plain
    if way == "kernel":
        return functools.partial(kernel.attention, interpret=platform != "gpu")
    return functools.partial(fused, kernel="cudnn" if platform == "gpu" else "xla")


@functools.partial(jax.checkpoint, prevent_cse=False)  # the layers are scanned, where nothing could be shared
def plain(queries, keys, values, bias, mask):
    scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys, preferred_element_type=jnp.float32)
    if bias is not None:
        scores = scores + bias
    weights = jax.nn.softmax(jnp.where(mask, scores, MASKED), axis=-1).astype(values.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, values)


def fused(queries, keys, values, bias, mask, kernel):
    return _fused(queries, keys, values, bias, mask, kernel)


@functools.partial(jax.checkpoint, prevent_cse=False, static_argnums=5)
def _fused(queries, keys, values, bias, mask, kernel):
    bias = None if bias is None else bias.astype(queries.dtype)
    return jax.nn.dot_product_attention(queries, keys, values, bias, mask, scale=1.0, implementation=kernel)


def chosen(asked: str, dtype: str, queries: tuple, keys: tuple, platform: str) -> str:
    """ "plain", "fused" or "kernel" for what was asked. Raises UsageError where the GPU does not take what was."""
    if asked == "plain" or platform != "gpu":
        return "plain" if asked == "auto" else asked
    if queries[0] == 1:  # decoding, a token at a time
        return "plain"
    way = "fused" if asked == "auto" else asked
    reason = refusal(way, dtype, queries, keys)
    if reason and asked != "auto":
        raise UsageError(
            f"attention = '{way}': this GPU does not take it ({reason}); ask for plain, or leave the choice"
        )
    return "plain" if reason else way


@functools.cache
def refusal(way: str, dtype: str, queries: tuple, keys: tuple) -> str | None:
    """Why attention of these shapes, with the bias's gradient, is not computed in this way on this GPU; None if it is."""
    if way == "kernel" and (jax.device_count() > 1 or jax.default_backend() != "gpu"):
        return "it runs on one device"
    shapes = [(1, *queries), (1, *keys), (1, *keys)]
    arrays = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    arrays.append(jax.ShapeDtypeStruct((1, queries[1], queries[0], keys[0]), jnp.float32))
    mask = jax.ShapeDtypeStruct((1, 1, queries[0], keys[0]), bool)

    def total(queries, keys, values, bias, mask):
        return _function(way, "gpu")(queries, keys, values, bias, mask).astype(jnp.float32).sum()

    try:
        jax.jit(jax.grad(total, argnums=(0, 1, 2, 3))).lower(*arrays, mask).compile()
    except (NotImplementedError, RuntimeError, ValueError) as error:
        return str(error).splitlines()[0]
    return None


def drop_keys(values, rate: float, key):
    """Dropout of attention weights whose noise all queries share, done to the values [batch, keys, heads, d_kv]."""
    if key is None or rate == 0.0:
        return values
    batch, length, heads, _ = values.shape
    keep = jax.random.bernoulli(key, 1.0 - rate, (batch, heads, 1, length))
    return jnp.where(jnp.transpose(keep, (0, 3, 1, 2)), values / (1.0 - rate), 0).astype(values.dtype)
