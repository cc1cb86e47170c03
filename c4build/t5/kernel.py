"""Attention in one kernel, which reads the position bias that all rows share: FlashAttention (Dao et al. 2022, 2023) in Pallas.

cuDNN's kernel takes a bias beside a mask only as one array [batch, heads, queries, keys], and gives its gradient in that
size. Here a tile of scores is made of the bias [heads, queries, keys] and the mask [batch, queries, keys], and the bias's
gradient is added up over the rows within a kernel: nothing of the scores' size is ever in memory.

    forward    a tile of queries, over all keys: outputs; each query's highest score, and the sum of its exponents
    keys       a tile of keys, over all queries: gradients of keys and values
    queries    a tile of queries, over all keys: gradient of the queries
    bias       a tile of scores, over all rows: gradient of the bias, where there is one

Sums are float32 and in a fixed order: the same bits every time. Triton compiles it for a GPU; elsewhere Pallas interprets
it, for tests. It runs on one device: XLA does not know how to divide it.
"""

import functools

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

MASKED = -1e9
SAVED = "attention kernel"  # what the backward pass needs of the forward one, for a policy of rematerialisation
_TILE = 64  # queries or keys


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def attention(queries, keys, values, bias, mask, interpret: bool = False):
    """[batch, queries, heads, d_kv], two of [batch, keys, heads, d_kv] -> [batch, queries, heads, d_kv].

    `bias` float32 [1, heads, queries, keys], or None; `mask` bool [batch, 1, queries, keys] says which keys a query sees.
    """
    return _forward(queries, keys, values, bias, mask, interpret)[0]


def _forward(queries, keys, values, bias, mask, interpret):
    tiled = _tiled(queries, keys, values, bias, mask)
    batch, length, heads, _ = tiled[0].shape
    row = jax.ShapeDtypeStruct((batch, heads, length), jnp.float32)
    over = _OverKeys(tiled[1].shape[1], tiled[0].shape[3])
    outputs, highest, sums = _call(
        functools.partial(_forward_kernel, keys=keys.shape[1]),
        (heads, length // _TILE, batch),
        [over.queries, over.keys, over.keys, over.bias, over.mask],
        [over.queries, over.row, over.row],
        [tiled[0], row, row],
        interpret,
    )(*tiled)
    outputs, highest, sums = checkpoint_name((outputs, highest, sums), SAVED)
    return _cut(outputs, queries), (queries, keys, values, bias, mask, outputs, highest, sums)


def _backward(interpret, saved, gradient):
    queries, keys, values, bias, mask, outputs, highest, sums = saved
    tiled = q, k, v, b, _ = _tiled(queries, keys, values, bias, mask)
    gradient = _filled(gradient)
    products = jnp.einsum("bqhd,bqhd->bhq", gradient, outputs, preferred_element_type=jnp.float32)
    given = (*tiled, gradient, highest, sums, products)
    batch, length, heads, width = q.shape
    tiles, key_tiles = length // _TILE, k.shape[1] // _TILE
    names = {"keys": keys.shape[1]}

    over = _OverQueries(length, width)
    dk, dv = _call(
        functools.partial(_keys_kernel, **names),
        (heads, key_tiles, batch),
        _given(over),
        [over.keys, over.keys],
        [k, v],
        interpret,
    )(*given)
    across = _OverKeys(k.shape[1], width)
    (dq,) = _call(
        functools.partial(_queries_kernel, **names),
        (heads, tiles, batch),
        _given(across),
        [across.queries],
        [q],
        interpret,
    )(*given)
    db = None
    if bias is not None:
        through = _OverRows(batch, width)
        (db,) = _call(
            functools.partial(_bias_kernel, **names),
            (heads, tiles, key_tiles),
            _given(through),
            [through.bias],
            [b],
            interpret,
        )(*given)
        db = db[:, :, : queries.shape[1], : keys.shape[1]]
    return _cut(dq, queries), _cut(dk, keys), _cut(dv, values), db, None


attention.defvjp(_forward, _backward)


def _given(view) -> list[pl.BlockSpec]:
    """What the kernels of the backward pass are given, in its order, as a program sees it."""
    sides = [view.queries, view.keys, view.keys, view.bias, view.mask]
    return [*sides, view.queries, view.row, view.row, view.row]


class _OverKeys:
    """What a program sees that has a tile of queries and goes over all keys: programs are (head, tile, row)."""

    def __init__(self, length: int, width: int):
        self.queries = pl.BlockSpec((None, _TILE, None, width), lambda head, tile, row: (row, tile, head, 0))
        self.keys = pl.BlockSpec((None, length, None, width), lambda head, tile, row: (row, 0, head, 0))
        self.bias = pl.BlockSpec((None, None, _TILE, length), lambda head, tile, row: (0, head, tile, 0))
        self.mask = pl.BlockSpec((None, None, _TILE, length), lambda head, tile, row: (row, 0, tile, 0))
        self.row = pl.BlockSpec((None, None, _TILE), lambda head, tile, row: (row, head, tile))


class _OverQueries:
    """What a program sees that has a tile of keys and goes over all queries: programs are (head, tile, row)."""

    def __init__(self, length: int, width: int):
        self.queries = pl.BlockSpec((None, length, None, width), lambda head, tile, row: (row, 0, head, 0))
        self.keys = pl.BlockSpec((None, _TILE, None, width), lambda head, tile, row: (row, tile, head, 0))
        self.bias = pl.BlockSpec((None, None, length, _TILE), lambda head, tile, row: (0, head, 0, tile))
        self.mask = pl.BlockSpec((None, None, length, _TILE), lambda head, tile, row: (row, 0, 0, tile))
        self.row = pl.BlockSpec((None, None, length), lambda head, tile, row: (row, head, 0))


class _OverRows:
    """What a program sees that has a tile of scores and goes over all rows: programs are (head, query tile, key tile)."""

    def __init__(self, batch: int, width: int):
        self.queries = pl.BlockSpec((batch, _TILE, None, width), lambda head, tile, key_tile: (0, tile, head, 0))
        self.keys = pl.BlockSpec((batch, _TILE, None, width), lambda head, tile, key_tile: (0, key_tile, head, 0))
        self.bias = pl.BlockSpec((None, None, _TILE, _TILE), lambda head, tile, key_tile: (0, head, tile, key_tile))
        self.mask = pl.BlockSpec((batch, None, _TILE, _TILE), lambda head, tile, key_tile: (0, 0, tile, key_tile))
        self.row = pl.BlockSpec((batch, None, _TILE), lambda head, tile, key_tile: (0, head, tile))


def _forward_kernel(q_ref, k_ref, v_ref, bias_ref, mask_ref, o_ref, highest_ref, sums_ref, *, keys):
    q = q_ref[...]

    def body(tile, carry):
        total, highest, sums = carry
        at = pl.ds(tile * _TILE, _TILE)
        scores = _scores(q, k_ref[at, :], _tile_of(bias_ref, slice(None), at), mask_ref[:, at], tile, keys)
        higher = jnp.maximum(highest, scores.max(axis=1))
        shrunk = jnp.exp(highest - higher)
        weights = jnp.exp(scores - higher[:, None])
        v = v_ref[at, :]
        total = total * shrunk[:, None] + triton.dot(weights.astype(v.dtype), v)
        return total, higher, sums * shrunk + weights.sum(axis=1)

    begin = jnp.zeros(q.shape, jnp.float32), jnp.full(_TILE, -jnp.inf, jnp.float32), jnp.zeros(_TILE, jnp.float32)
    total, highest, sums = jax.lax.fori_loop(0, k_ref.shape[0] // _TILE, body, begin)
    o_ref[...] = (total / sums[:, None]).astype(o_ref.dtype)
    highest_ref[...] = highest
    sums_ref[...] = sums


def _keys_kernel(q_ref, k_ref, v_ref, bias_ref, mask_ref, do_ref, highest_ref, sums_ref, products_ref, dk_ref, dv_ref,
                 *, keys):  # fmt: skip
    k, v, key_tile = k_ref[...], v_ref[...], pl.program_id(1)

    def body(tile, carry):
        dk, dv = carry
        at = pl.ds(tile * _TILE, _TILE)
        q, do, mask = q_ref[at, :], do_ref[at, :], mask_ref[at, :]
        scores = _scores(q, k, _tile_of(bias_ref, at, slice(None)), mask, key_tile, keys)
        weights, dscores = _gradient(scores, mask, do, v, highest_ref[at], sums_ref[at], products_ref[at])
        return dk + triton.dot(dscores.T.astype(q.dtype), q), dv + triton.dot(weights.T.astype(do.dtype), do)

    begin = jnp.zeros(k.shape, jnp.float32), jnp.zeros(v.shape, jnp.float32)
    dk, dv = jax.lax.fori_loop(0, q_ref.shape[0] // _TILE, body, begin)
    dk_ref[...] = dk.astype(dk_ref.dtype)
    dv_ref[...] = dv.astype(dv_ref.dtype)


def _queries_kernel(q_ref, k_ref, v_ref, bias_ref, mask_ref, do_ref, highest_ref, sums_ref, products_ref, dq_ref,
                    *, keys):  # fmt: skip
    q, do, rows = q_ref[...], do_ref[...], (highest_ref[...], sums_ref[...], products_ref[...])

    def body(tile, dq):
        at = pl.ds(tile * _TILE, _TILE)
        k, mask = k_ref[at, :], mask_ref[:, at]
        scores = _scores(q, k, _tile_of(bias_ref, slice(None), at), mask, tile, keys)
        dscores = _gradient(scores, mask, do, v_ref[at, :], *rows)[1]
        return dq + triton.dot(dscores.astype(k.dtype), k)

    dq = jax.lax.fori_loop(0, k_ref.shape[0] // _TILE, body, jnp.zeros(q.shape, jnp.float32))
    dq_ref[...] = dq.astype(dq_ref.dtype)


def _bias_kernel(q_ref, k_ref, v_ref, bias_ref, mask_ref, do_ref, highest_ref, sums_ref, products_ref, db_ref,
                 *, keys):  # fmt: skip
    bias, key_tile = bias_ref[...], pl.program_id(2)

    def body(row, db):
        mask = mask_ref[row]
        scores = _scores(q_ref[row], k_ref[row], bias, mask, key_tile, keys)
        return (
            db + _gradient(scores, mask, do_ref[row], v_ref[row], highest_ref[row], sums_ref[row], products_ref[row])[1]
        )

    db_ref[...] = jax.lax.fori_loop(0, q_ref.shape[0], body, jnp.zeros((_TILE, _TILE), jnp.float32))


def _scores(q, k, bias, mask, key_tile, keys: int):
    """float32 [queries, keys] of a tile; -inf for keys that are there only to fill the last tile."""
    scores = triton.dot(q, k.T)
    if bias is not None:
        scores += bias
    scores = jnp.where(mask != 0, scores, MASKED)
    if keys % _TILE:
        place = key_tile * _TILE + jax.lax.broadcasted_iota(jnp.int32, scores.shape, 1)
        scores = jnp.where(place < keys, scores, -jnp.inf)
    return scores


def _gradient(scores, mask, do, v, highest, sums, products):
    """The weights of a tile, and the gradient of its scores."""
    weights = jnp.exp(scores - highest[:, None]) / sums[:, None]
    dscores = weights * (triton.dot(do, v.T) - products[:, None])
    return weights, jnp.where(mask != 0, dscores, 0.0)


def _tile_of(ref, queries, keys):
    return None if ref is None else ref[queries, keys]


def _call(kernel, programs, given, made, shapes, interpret):
    def run(*arrays):
        return pl.pallas_call(
            kernel,
            grid=programs,
            in_specs=[None if array is None else spec for spec, array in zip(given, arrays)],
            out_specs=made,
            out_shape=[jax.ShapeDtypeStruct(shape.shape, shape.dtype) for shape in shapes],
            compiler_params=triton.CompilerParams(num_warps=4, num_stages=2),
            interpret=interpret,
        )(*arrays)

    return run


def _tiled(queries, keys, values, bias, mask):
    """The arrays filled up to whole tiles; the mask as bytes."""
    sides = [(0, 0), (0, 0), *((0, -size % _TILE) for size in mask.shape[2:])]
    bias = None if bias is None else jnp.pad(bias.astype(jnp.float32), sides)
    return _filled(queries), _filled(keys), _filled(values), bias, jnp.pad(mask.astype(jnp.int8), sides)


def _filled(array):
    """[batch, length, heads, d_kv] with a length of whole tiles, and a d_kv that Triton multiplies: 16, 32, 64, ..."""
    _, length, _, width = array.shape
    return jnp.pad(array, [(0, 0), (0, -length % _TILE), (0, 0), (0, max(16, pl.next_power_of_2(width)) - width)])


def _cut(array, like):
    return array[:, : like.shape[1], :, : like.shape[3]]
