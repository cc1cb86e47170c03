"""Attention as T5 has it: no 1/sqrt(d), a bias for positions that all rows share, a mask for each row.

Bias and mask go in apart, and what is as large as [batch, heads, queries, keys] is computed again in the backward pass:
nothing of that size is kept, or goes from layer to layer. Dropout has the noise of T5's own code, which all queries of a
head share: it drops a key for all of them at once. So dropping weights is dropping values, and no kernel has to know.

    plain   written out; any device and format
    fused   `jax.nn.dot_product_attention`: cuDNN's kernel on a GPU, XLA's own code elsewhere. Bias rounded to the format
    kernel  ours, which makes bias and mask as it goes, see `kernel.py`; on one GPU (elsewhere interpreted: slow, for tests)
    auto    on one GPU kernel, on several fused, where the GPU takes the shapes and format, else plain
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from c4build.errors import UsageError
from c4build.t5 import kernel
from c4build.t5.cpu import plus, product
from c4build.t5.kernel import MASKED, spread


class Visible(NamedTuple):
    """Which keys a query sees: those of its own segment; where `first` is given, only from that query on.

    `queries` int [batch, queries] and `keys` int [batch, keys] are segments; padding, 0, is seen by nobody. `first` int
    [batch, keys]: the place of the first query that sees a key. A batch of 1 stands for all rows.
    """

    queries: Any
    keys: Any
    first: Any = None

    def mask(self):
        """bool [batch, 1, queries, keys]."""
        seen = (self.queries[:, :, None] == self.keys[:, None, :]) & (self.keys > 0)[:, None, :]
        if self.first is not None:
            seen = seen & (jnp.arange(self.queries.shape[1])[None, :, None] >= self.first[:, None, :])
        return seen[:, None]


def attend(queries, keys, values, bias, visible: Visible, kept=None, implementation: str = "auto"):
    """[batch, queries, heads, d_kv], two of [batch, keys, heads, d_kv] -> [batch, queries, heads, d_kv].

    `bias` float32 [heads, queries + keys - 1], or None: what is added to the score of query q and key k is at
    k - q + queries - 1. `kept` [batch, heads, keys], or None, is a factor of each key's weights, see `kept_keys`.
    """
    platform = jax.default_backend()
    way = chosen(implementation, queries.dtype.name, queries.shape[1:], keys.shape[1:], platform)
    return _function(way, platform)(queries, keys, values, bias, visible, kept)


def _function(way: str, platform: str) -> Callable:
    if way == "kernel":
        return functools.partial(kernel.attention, interpret=platform != "gpu")
    written = plain if way == "plain" else functools.partial(fused, "cudnn" if platform == "gpu" else "xla")
    # Layers that are scanned share nothing with their backward pass; those of a GPU, one after another, would.
    return jax.checkpoint(written, prevent_cse=platform == "gpu")


def plain(queries, keys, values, bias, visible, kept):
    values = _dropped(values, kept)
    queries, keys, values = (jnp.swapaxes(x, 1, 2) for x in (queries, keys, values))  # [batch, heads, length, d_kv]
    scores = product(queries, jnp.swapaxes(keys, 2, 3), jnp.float32)
    if bias is not None:
        scores = plus(scores, spread(bias, *scores.shape[2:]))
    weights = jax.nn.softmax(jnp.where(visible.mask(), scores, MASKED), axis=-1).astype(values.dtype)
    return jnp.swapaxes(product(weights, values), 1, 2)


def fused(implementation, queries, keys, values, bias, visible, kept):
    values = _dropped(values, kept)
    if bias is not None:
        bias = spread(bias, queries.shape[1], keys.shape[1])[None].astype(queries.dtype)
    mask = visible.mask()
    return jax.nn.dot_product_attention(queries, keys, values, bias, mask, scale=1.0, implementation=implementation)


def chosen(asked: str, dtype: str, queries: tuple, keys: tuple, platform: str) -> str:
    """ "plain", "fused" or "kernel" for what was asked. Raises UsageError where the GPU does not take what was."""
    if asked == "plain" or platform != "gpu":
        return "plain" if asked == "auto" else asked
    if queries[0] == 1:  # decoding, a token at a time
        return "plain"
    if asked == "auto":
        ways = [] if dtype == "float32" else ["kernel", "fused"]
        return next((way for way in ways if not refusal(way, dtype, queries, keys)), "plain")
    if reason := refusal(asked, dtype, queries, keys):
        raise UsageError(
            f"attention = '{asked}': this GPU does not take it ({reason}); ask for plain, or leave the choice"
        )
    return asked


@functools.cache
def refusal(way: str, dtype: str, queries: tuple, keys: tuple) -> str | None:
    """Why attention of these shapes, with the bias's gradient, is not computed in this way on this GPU; None if it is."""
    if way == "kernel" and (jax.device_count() > 1 or jax.default_backend() != "gpu"):
        return "it runs on one device"
    shapes = [(1, *queries), (1, *keys), (1, *keys)]
    arrays = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    arrays.append(jax.ShapeDtypeStruct((queries[1], queries[0] + keys[0] - 1), jnp.float32))
    visible = Visible(*(jax.ShapeDtypeStruct((1, length), jnp.int32) for length in (queries[0], keys[0], keys[0])))

    kept = jax.ShapeDtypeStruct((1, queries[1], keys[0]), jnp.float32)

    def total(queries, keys, values, bias, visible, kept):
        return _function(way, "gpu")(queries, keys, values, bias, visible, kept).astype(jnp.float32).sum()

    try:
        jax.jit(jax.grad(total, argnums=(0, 1, 2, 3))).lower(*arrays, visible, kept).compile()
    except (NotImplementedError, RuntimeError, ValueError) as error:
        return str(error).splitlines()[0]
    return None


def kept_keys(rate: float, key, batch: int, heads: int, keys: int):
    """Dropout of attention weights whose noise all queries share: float32 [batch, heads, keys], 0 or 1 / (1 - rate); None if
    nothing is dropped."""
    if key is None or rate == 0.0:
        return None
    return jax.random.bernoulli(key, 1.0 - rate, (batch, heads, keys)) / (1.0 - rate)


def _dropped(values, kept):
    return values if kept is None else (values * jnp.swapaxes(kept, 1, 2)[..., None]).astype(values.dtype)
