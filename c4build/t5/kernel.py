"""Attention in one kernel that knows how T5's differs: FlashAttention (Dao et al. 2022, 2023) in Pallas.

cuDNN's kernel takes T5's position bias beside the mask of packed rows only as one array [batch, heads, queries, keys]. But
the bias of a head depends on the distance of query and key alone, and the mask on their segments: here a tile of scores is
made from those vectors, which a processor of the GPU keeps close by, and tiles in which no query sees a key are passed over.

    forward    a tile of queries, over all keys: outputs; each query's logarithm of the sum of its exponents
    keys       a tile of keys, over all queries: gradients of keys and values
    queries    a tile of queries, over all keys: gradient of the queries; and of the scores, where there is a bias

The scores' gradient is written in the queries' format and added up over the rows in float32. Sums are in a fixed order: the
same bits every time. Triton compiles it for a GPU; elsewhere Pallas interprets it, for tests. It runs on one device: XLA
does not know how to divide it.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

MASKED = -1e9
SAVED = "attention kernel"  # what the backward pass needs of the forward one, for a policy of rematerialisation
_STEP = 64  # lengths are filled up to whole steps


class _Tiles(NamedTuple):
    """How a kernel is cut: the most queries and keys of a tile, and Triton's warps and stages."""

    queries: int
    keys: int
    warps: int
    stages: int


FORWARD = KEYS = QUERIES = _Tiles(64, 64, 4, 2)  # the fastest of seven that were tried on an H100, for all three


@functools.partial(jax.custom_vjp, nondiff_argnums=(6,))
def attention(queries, keys, values, bias, visible, kept, interpret: bool = False):
    """[batch, queries, heads, d_kv], two of [batch, keys, heads, d_kv] -> [batch, queries, heads, d_kv].

    `bias`, `visible` and `kept` as in `attention.attend`; `kept` has no gradient.
    """
    return _forward(queries, keys, values, bias, visible, kept, interpret)[0]


def _forward(queries, keys, values, bias, visible, kept, interpret):
    given = _Given(queries, keys, values, bias, visible, kept)
    over = _OverKeys(given, FORWARD)
    outputs, sums = _call(
        functools.partial(_forward_kernel, real=keys.shape[1], tiles=over.tiles),
        over.programs, given.seen_by(over), over.given, [over.queries, over.row], [given.q, given.row], FORWARD, interpret,
    )  # fmt: skip
    outputs, sums = checkpoint_name((outputs, sums), SAVED)
    return _cut(outputs, queries), (queries, keys, values, bias, visible, kept, outputs, sums)


def _backward(interpret, saved, gradient):
    queries, keys, values, bias, visible, kept, outputs, sums = saved
    given = _Given(queries, keys, values, bias, visible, kept)
    gradient = _filled(gradient)
    products = jnp.einsum("bqhd,bqhd->bhq", gradient, outputs, preferred_element_type=jnp.float32)
    more = [gradient, sums, products]

    over = _OverQueries(given, KEYS)
    dk, dv = _call(
        functools.partial(_keys_kernel, tiles=over.tiles),
        over.programs, [*given.seen_by(over), *more], [*over.given, over.queries, over.row, over.row], [over.keys, over.keys],
        [given.k, given.v], KEYS, interpret,
    )  # fmt: skip
    across = _OverKeys(given, QUERIES)
    made = [(across.queries, given.q)] + ([] if bias is None else [(across.scores, given.scores)])
    dq, *dscores = _call(
        functools.partial(_queries_kernel, tiles=across.tiles),
        across.programs, [*given.seen_by(across), *more], [*across.given, across.queries, across.row, across.row],
        [spec for spec, _ in made], [shape for _, shape in made], QUERIES, interpret,
    )  # fmt: skip
    db = None
    if bias is not None:
        total = dscores[0].astype(jnp.float32).sum(0)[:, : queries.shape[1], : keys.shape[1]]
        db = jax.linear_transpose(lambda x: spread(x, *total.shape[1:]), bias)(total)[0]
    return _cut(dq, queries), _cut(dk, keys), _cut(dv, values), db, None, None


attention.defvjp(_forward, _backward)


def spread(bias, queries: int, keys: int):
    """A bias by distance [heads, queries + keys - 1] as [heads, queries, keys]: row q begins q places before the last row."""
    heads, length = bias.shape
    rows = jnp.broadcast_to(jnp.pad(bias, ((0, 0), (0, 1)))[:, None], (heads, queries, length + 1))
    # Rows of one number less: each begins one place later than the one before.
    shifted = rows.reshape(heads, -1)[:, : queries * length].reshape(heads, queries, length)
    return shifted[:, :, queries - 1 : queries - 1 + keys]


class _Given:
    """The arrays, filled up to whole tiles, as the kernels take them."""

    def __init__(self, queries, keys, values, bias, visible, kept):
        self.q, self.k, self.v = _filled(queries), _filled(keys), _filled(values)
        self.batch, self.length, self.heads, self.width = self.q.shape
        self.keys = self.k.shape[1]
        more, more_keys = self.length - queries.shape[1], self.keys - keys.shape[1]
        if bias is not None:
            bias = jnp.pad(bias.astype(jnp.float32), ((0, 0), (more, more_keys + 1)))
        if kept is not None:
            kept = jnp.pad(kept.astype(jnp.float32), ((0, 0), (0, 0), (0, more_keys)))
        self.q_ids = _ids(visible.queries, more)
        self.k_ids = _ids(jnp.where(visible.keys > 0, visible.keys, -1), more_keys, -1)
        self.first = None if visible.first is None else _ids(visible.first, more_keys)
        self.arrays = [self.q, self.k, self.v, bias, kept, self.q_ids, self.k_ids, self.first]
        self.row = jax.ShapeDtypeStruct((self.batch, self.heads, self.length), jnp.float32)
        self.scores = jax.ShapeDtypeStruct((self.batch, self.heads, self.length, self.keys), queries.dtype)

    def seen_by(self, view) -> list:
        """The arrays, and first which tiles each program goes over: int32 [batch, tiles, 2], from and up to."""
        seen = self.q_ids[:, :, None] == self.k_ids[:, None, :]
        if self.first is not None:
            seen &= jnp.arange(self.length)[None, :, None] >= self.first[:, None, :]
        queries, keys = view.tiles
        tiles = seen.reshape(-1, self.length // queries, queries, self.keys // keys, keys).any((2, 4))
        if view.own == "keys":
            tiles = jnp.swapaxes(tiles, 1, 2)
        count = tiles.shape[2]
        begin = jnp.argmax(tiles, 2)
        end = jnp.where(tiles.any(2), count - jnp.argmax(tiles[:, :, ::-1], 2), 1)
        return [jnp.stack([begin, end], 2).astype(jnp.int32), *self.arrays]


def _ids(ids, more: int, filling: int = 0):
    return jnp.pad(ids.astype(jnp.int32), ((0, 0), (0, more)), constant_values=filling)


def _tile(length: int, most: int) -> int:
    return most if length % most == 0 else _STEP


_RANGE = pl.BlockSpec((None, None, 2), lambda head, tile, row: (row, tile, 0))


class _OverKeys:
    """What a program sees that has a tile of queries and goes over all keys: programs are (head, tile, row)."""

    def __init__(self, given: _Given, tiles: _Tiles):
        queries, keys = _tile(given.length, tiles.queries), _tile(given.keys, tiles.keys)
        self.tiles, self.own = (queries, keys), "queries"
        self.programs = given.heads, given.length // queries, given.batch
        self.queries = pl.BlockSpec((None, queries, None, given.width), lambda head, tile, row: (row, tile, head, 0))
        self.row = pl.BlockSpec((None, None, queries), lambda head, tile, row: (row, head, tile))
        self.scores = pl.BlockSpec((None, None, queries, given.keys), lambda head, tile, row: (row, head, tile, 0))
        side = pl.BlockSpec((None, given.keys, None, given.width), lambda head, tile, row: (row, 0, head, 0))
        bias = pl.BlockSpec((None, given.length + given.keys), lambda head, tile, row: (head, 0))
        kept = pl.BlockSpec((None, None, given.keys), lambda head, tile, row: (row, head, 0))
        own = pl.BlockSpec((None, queries), lambda head, tile, row: (row, tile))
        others = pl.BlockSpec((None, given.keys), lambda head, tile, row: (row, 0))
        self.given = [_RANGE, self.queries, side, side, bias, kept, own, others, others]


class _OverQueries:
    """What a program sees that has a tile of keys and goes over all queries: programs are (head, tile, row)."""

    def __init__(self, given: _Given, tiles: _Tiles):
        queries, keys = _tile(given.length, tiles.queries), _tile(given.keys, tiles.keys)
        self.tiles, self.own = (queries, keys), "keys"
        self.programs = given.heads, given.keys // keys, given.batch
        self.queries = pl.BlockSpec((None, given.length, None, given.width), lambda head, tile, row: (row, 0, head, 0))
        self.keys = pl.BlockSpec((None, keys, None, given.width), lambda head, tile, row: (row, tile, head, 0))
        self.row = pl.BlockSpec((None, None, given.length), lambda head, tile, row: (row, head, 0))
        bias = pl.BlockSpec((None, given.length + given.keys), lambda head, tile, row: (head, 0))
        kept = pl.BlockSpec((None, None, keys), lambda head, tile, row: (row, head, tile))
        others = pl.BlockSpec((None, given.length), lambda head, tile, row: (row, 0))
        own = pl.BlockSpec((None, keys), lambda head, tile, row: (row, tile))
        self.given = [_RANGE, self.queries, self.keys, self.keys, bias, kept, others, own, own]


def _forward_kernel(range_ref, q_ref, k_ref, v_ref, bias_ref, kept_ref, q_ids_ref, k_ids_ref, first_ref, o_ref, sums_ref,
                    *, real, tiles):  # fmt: skip
    q, q_ids, q_at = q_ref[...], q_ids_ref[...][:, None], _places(pl.program_id(1), tiles[0])[:, None]
    length = pl.num_programs(1) * tiles[0]

    def body(tile, carry):
        total, highest, sums = carry
        at, k_at = pl.ds(tile * tiles[1], tiles[1]), _places(tile, tiles[1])[None, :]
        scores = _scores(q, k_ref[at, :], bias_ref, k_at - q_at, length)
        first = None if first_ref is None else first_ref[at][None, :]
        scores = jnp.where(_seen(q_ids, k_ids_ref[at][None, :], q_at, first), scores, MASKED)
        if real % tiles[1]:
            scores = jnp.where(k_at < real, scores, -jnp.inf)
        higher = jnp.maximum(highest, scores.max(axis=1))
        shrunk = jnp.exp(highest - higher)
        weights = jnp.exp(scores - higher[:, None])
        sums = sums * shrunk + weights.sum(axis=1)
        if kept_ref is not None:
            weights *= kept_ref[at][None, :]
        v = v_ref[at, :]
        return total * shrunk[:, None] + triton.dot(weights.astype(v.dtype), v), higher, sums

    begin = jnp.zeros(q.shape, jnp.float32), jnp.full(tiles[0], -jnp.inf, jnp.float32), jnp.zeros(tiles[0], jnp.float32)
    total, highest, sums = jax.lax.fori_loop(range_ref[0], range_ref[1], body, begin)
    o_ref[...] = (total / sums[:, None]).astype(o_ref.dtype)
    sums_ref[...] = highest + jnp.log(sums)


def _keys_kernel(range_ref, q_ref, k_ref, v_ref, bias_ref, kept_ref, q_ids_ref, k_ids_ref, first_ref, do_ref, sums_ref,
                 products_ref, dk_ref, dv_ref, *, tiles):  # fmt: skip
    """Its tiles are [keys, queries]."""
    k, v, k_ids, k_at = k_ref[...], v_ref[...], k_ids_ref[...][:, None], _places(pl.program_id(1), tiles[1])[:, None]
    first = None if first_ref is None else first_ref[...][:, None]
    kept = 1.0 if kept_ref is None else kept_ref[...][:, None]
    length = q_ref.shape[0]

    def body(tile, carry):
        dk, dv = carry
        at, q_at = pl.ds(tile * tiles[0], tiles[0]), _places(tile, tiles[0])[None, :]
        q, do = q_ref[at, :], do_ref[at, :]
        scores = _scores(k, q, bias_ref, k_at - q_at, length)
        seen = _seen(q_ids_ref[at][None, :], k_ids, q_at, first)
        weights = jnp.where(seen, jnp.exp(scores - sums_ref[at][None, :]), 0.0)
        dscores = weights * (triton.dot(v, do.T) * kept - products_ref[at][None, :])
        return dk + triton.dot(dscores.astype(q.dtype), q), dv + triton.dot(weights.astype(do.dtype), do)

    begin = jnp.zeros(k.shape, jnp.float32), jnp.zeros(v.shape, jnp.float32)
    dk, dv = jax.lax.fori_loop(range_ref[0], range_ref[1], body, begin)
    dk_ref[...] = dk.astype(dk_ref.dtype)
    dv_ref[...] = (dv * kept).astype(dv_ref.dtype)


def _queries_kernel(range_ref, q_ref, k_ref, v_ref, bias_ref, kept_ref, q_ids_ref, k_ids_ref, first_ref, do_ref, sums_ref,
                    products_ref, dq_ref, dscores_ref=None, *, tiles):  # fmt: skip
    q, do, q_ids, q_at = q_ref[...], do_ref[...], q_ids_ref[...][:, None], _places(pl.program_id(1), tiles[0])[:, None]
    sums, products = sums_ref[...][:, None], products_ref[...][:, None]
    length = pl.num_programs(1) * tiles[0]

    def body(tile, dq):
        at, k_at = pl.ds(tile * tiles[1], tiles[1]), _places(tile, tiles[1])[None, :]
        k = k_ref[at, :]
        scores = _scores(q, k, bias_ref, k_at - q_at, length)
        first = None if first_ref is None else first_ref[at][None, :]
        seen = _seen(q_ids, k_ids_ref[at][None, :], q_at, first)
        weights = jnp.where(seen, jnp.exp(scores - sums), 0.0)
        kept = 1.0 if kept_ref is None else kept_ref[at][None, :]
        dscores = (weights * (triton.dot(do, v_ref[at, :].T) * kept - products)).astype(k.dtype)
        if dscores_ref is not None:
            dscores_ref[:, at] = dscores
        return dq + triton.dot(dscores, k)

    def no_gradient(tile, nothing):
        dscores_ref[:, pl.ds(tile * tiles[1], tiles[1])] = jnp.zeros(tiles, dscores_ref.dtype)
        return nothing

    begin, end = range_ref[0], range_ref[1]
    dq = jax.lax.fori_loop(begin, end, body, jnp.zeros(q.shape, jnp.float32))
    dq_ref[...] = dq.astype(dq_ref.dtype)
    if dscores_ref is not None:
        jax.lax.fori_loop(0, begin, no_gradient, 0)
        jax.lax.fori_loop(end, k_ref.shape[0] // tiles[1], no_gradient, 0)


def _places(tile, size: int):
    return tile * size + jax.lax.iota(jnp.int32, size)


def _scores(rows, columns, bias_ref, distance, length):
    """float32, of a tile: queries' or keys' products with the others', and the bias."""
    scores = triton.dot(rows, columns.T)
    return scores if bias_ref is None else scores + bias_ref[distance + (length - 1)]


def _seen(query_ids, key_ids, query_at, first):
    same = query_ids == key_ids
    return same if first is None else same & (query_at >= first)


def _call(kernel, programs, arrays, given, made, shapes, tiles, interpret):
    return pl.pallas_call(
        kernel,
        grid=programs,
        in_specs=[None if array is None else spec for spec, array in zip(given, arrays, strict=True)],
        out_specs=made,
        out_shape=shapes,
        compiler_params=triton.CompilerParams(num_warps=tiles.warps, num_stages=tiles.stages),
        interpret=interpret,
    )(*arrays)


def _filled(array):
    """[batch, length, heads, d_kv] with a length of whole steps, and a d_kv that Triton multiplies: 16, 32, 64, ..."""
    _, length, _, width = array.shape
    return jnp.pad(array, [(0, 0), (0, -length % _STEP), (0, 0), (0, max(16, pl.next_power_of_2(width)) - width)])


def _cut(array, like):
    return array[:, : like.shape[1], :, : like.shape[3]]
