"""Attention and the loss: every way of computing them gives the same, and keeps nothing that it should not."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c4build.errors import UsageError
from c4build.t5 import attention, kernel, loss
from c4build.t5.attention import Visible
from c4build.t5.config import changed, model_config
from c4build.t5.kernel import spread
from c4build.t5.layers import dropout
from c4build.t5.model import T5

BATCH, QUERIES, KEYS, HEADS, WIDTH = 3, 10, 14, 2, 8


def numbers_of(queries: int, keys: int):
    """Queries, keys, values, and the bias by distance."""
    rng = np.random.default_rng(0)
    sides = [(BATCH, queries, HEADS, WIDTH), (BATCH, keys, HEADS, WIDTH), (BATCH, keys, HEADS, WIDTH)]
    return [rng.normal(size=shape).astype("float32") for shape in (*sides, (HEADS, queries + keys - 1))]


def segments_of(parts):
    return np.repeat([[1, 2, 0], [1, 2, 3], [1, 1, 0]], parts, 1)


def packed(kind: str):
    """The arrays, and which keys the queries of packed rows see, with padding at their ends: a decoder's of an encoder's;
    a decoder's of its own, behind tokens that all see; an encoder's. The lengths are less than one tile of the kernel's,
    three, and two of another size."""
    if kind == "cross":
        return numbers_of(QUERIES, KEYS), Visible(segments_of([4, 4, 2]), segments_of([6, 5, 3]))
    if kind == "prefix":
        segments = segments_of([70, 40, 20])
        first = np.where(np.arange(130) % 70 < 9, 0, np.arange(130))
        return numbers_of(130, 130), Visible(segments, segments, np.broadcast_to(first, segments.shape))
    segments = segments_of([100, 150, 6])
    return numbers_of(256, 256), Visible(segments, segments)


@pytest.fixture(scope="module")
def arrays():
    return packed("cross")


def spread_out(bias, queries: int, keys: int):
    """[heads, queries, keys], as `attend` says where what is."""
    return bias[:, np.arange(keys)[None, :] - np.arange(queries)[:, None] + queries - 1]


def written_out(queries, keys, values, bias, visible, kept):
    """In float64, by NumPy."""
    queries, keys, values, bias = (np.asarray(x, np.float64) for x in (queries, keys, values, bias))
    seen = visible.queries[:, :, None] == np.where(visible.keys > 0, visible.keys, -1)[:, None, :]
    if visible.first is not None:
        seen &= np.arange(queries.shape[1])[None, :, None] >= visible.first[:, None, :]
    scores = np.einsum("bqhd,bkhd->bhqk", queries, keys) + spread_out(bias, queries.shape[1], keys.shape[1])
    scores = np.where(seen[:, None], scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-1e9))
    weights = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300) * kept[:, :, None, :]
    return np.einsum("bhqk,bkhd->bqhd", weights, values)


def gpu() -> bool:
    return jax.default_backend() == "gpu"


@functools.cache
def value_and_gradients(implementation, dtype):
    """A function of the four arrays and what is seen: the output, and the gradients of the sum of its squares where it is real."""

    def total(queries, keys, values, bias, visible, kept):
        halved = (x.astype(dtype) for x in (queries, keys, values))
        out = attention.attend(*halved, bias, visible, kept, implementation).astype(jnp.float32)
        real = (visible.queries > 0)[:, :, None, None]
        return (jnp.where(real, out, 0) ** 2).sum(), out

    return jax.jit(jax.grad(total, argnums=(0, 1, 2, 3), has_aux=True))


@pytest.mark.parametrize("kind", ["cross", "prefix", pytest.param("both ways", marks=pytest.mark.slow)])
@pytest.mark.parametrize("implementation", ["plain", "fused", "kernel", "auto"])
@pytest.mark.parametrize("dtype,near", [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_every_implementation_is_attention_as_it_is_written_and_has_its_gradients(implementation, dtype, near, kind):
    if gpu() and (implementation, dtype) == ("fused", "float32"):
        pytest.skip("cuDNN's kernel has no float32")
    near = 2e-3 if gpu() and dtype == "float32" else near  # a GPU's products of float32 are in TF32
    numbers, visible = packed(kind)
    kept = np.asarray(attention.kept_keys(0.1, jax.random.key(3), BATCH, HEADS, numbers[1].shape[1]))
    gradients, out = value_and_gradients(implementation, dtype)(*numbers, visible, kept)
    real, expected = visible.queries > 0, written_out(*numbers, visible, kept)
    assert np.linalg.norm((out - expected)[real]) < near * np.linalg.norm(expected[real])
    for ours, theirs in zip(
        gradients, value_and_gradients("plain", "float32")(*numbers, visible, kept)[0], strict=True
    ):
        assert np.linalg.norm(ours - theirs) < near * np.linalg.norm(theirs)


@pytest.mark.parametrize("queries,keys", [(1, 1), (1, 7), (7, 1), (5, 9)])
def test_a_bias_by_distance_is_spread_over_queries_and_keys(queries, keys):
    bias = np.random.default_rng(0).normal(size=(2, queries + keys - 1)).astype("float32")
    np.testing.assert_array_equal(spread(bias, queries, keys), spread_out(bias, queries, keys))


def test_the_kernels_are_such_as_triton_compiles_for_a_gpu():
    """As far as that shows without one: Pallas makes Triton's code of all three, for shapes of the shipped studies."""

    def total(queries, keys, values, bias, visible, kept):
        return kernel.attention(queries, keys, values, bias, visible, kept).astype(jnp.float32).sum()

    sides = [(2, 512, 12, 64), (2, 114, 12, 64), (2, 114, 12, 64)]
    arrays = [jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in sides]
    arrays.append(jax.ShapeDtypeStruct((12, 512 + 114 - 1), jnp.float32))
    visible = Visible(*(jax.ShapeDtypeStruct((2, length), jnp.int32) for length in (512, 114, 114)))
    kept = jax.ShapeDtypeStruct((2, 12, 114), jnp.float32)
    with for_an_h100():
        traced = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3))).trace(*arrays, visible, kept)
        assert traced.lower(lowering_platforms=("cuda",)).as_text().count("xla.gpu.triton") == 3


def for_an_h100():
    """From 0.11 on JAX wants to be told for which GPU where there is none."""
    device = jax.sharding.AbstractDevice
    if "platform" not in device.__dataclass_fields__:
        return contextlib.nullcontext()
    mesh = jax.sharding.AbstractMesh((1,), ("data",), abstract_device=device("NVIDIA H100 80GB HBM3", 132, "gpu"))
    return jax.sharding.use_abstract_mesh(mesh)


@pytest.mark.skipif(not gpu(), reason="needs a GPU with cuDNN: its kernel is compared with the plain form there")
@pytest.mark.parametrize("targets", [114, 192, 512])
def test_cudnns_kernel_takes_the_shapes_of_the_shipped_studies(targets):
    for queries, keys in ((512, 512), (targets, targets), (targets, 512)):
        assert attention.chosen("fused", "bfloat16", (queries, 12, 64), (keys, 12, 64), "gpu") == "fused"


def test_where_cudnn_refuses_the_plain_form_is_taken_or_what_it_says_is_said():
    shapes = (8, 2, 64), (8, 2, 64)
    for asked, platform in (("auto", "cpu"), ("plain", "cpu"), ("plain", "gpu"), ("fused", "cpu")):
        assert attention.chosen(asked, "float32", *shapes, platform) == asked.replace("auto", "plain")
    assert attention.chosen("auto", "float32", *shapes, "gpu") == "plain"  # float32 where there is a GPU, else no cuDNN
    with pytest.raises(UsageError, match="attention = 'fused': this GPU does not take it .*; ask for plain"):
        attention.chosen("fused", "float32", *shapes, "gpu")
    with pytest.raises(UsageError, match="attention = 'flash': it must be one of auto, plain, fused, kernel"):
        model_config("mini", attention="flash")


def test_dropping_keys_is_dropping_weights_with_noise_that_all_queries_share(arrays):
    (queries, keys, values, bias), visible = arrays

    @jax.jit
    def both(key):
        scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys) + spread_out(bias, QUERIES, KEYS)
        scores = jnp.where(visible.mask(), scores, attention.MASKED)
        weights = dropout(jax.nn.softmax(scores), 0.3, key)  # one draw for each batch, head and key
        kept = attention.kept_keys(0.3, key, BATCH, HEADS, KEYS)
        return (
            kept,
            attention.attend(queries, keys, values, bias, visible, kept),
            jnp.einsum("bhqk,bkhd->bqhd", weights, values),
        )

    kept, got, expected = both(jax.random.key(5))
    assert np.abs(got - expected)[visible.queries > 0].max() < (1e-2 if gpu() else 1e-5)
    assert 0.1 < float((kept == 0).mean()) < 0.5


def sizes_within(jaxpr):
    """The numbers of elements of everything that is computed."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.size for variable in equation.outvars)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from sizes_within(inner)


@pytest.mark.parametrize("implementation", ["plain", "fused"])  # the third fills up to tiles
def test_no_scores_are_kept_for_the_backward_pass(arrays, implementation):
    if gpu() and implementation == "fused":
        pytest.skip("cuDNN's kernel has no float32")
    numbers, visible = arrays
    call = functools.partial(attention.attend, visible=visible, implementation=implementation)
    kept = jax.eval_shape(lambda *x: jax.vjp(call, *x)[1], *numbers)
    assert max(leaf.size for leaf in jax.tree.leaves(kept)) < BATCH * HEADS * QUERIES * KEYS


@pytest.mark.parametrize("parts", [1, 3])
def test_the_loss_in_parts_is_the_loss_of_the_whole_and_its_logits_never_stand_whole(monkeypatch, parts):
    config = model_config("mini", vocab_size=96, d_model=8, encoder_layers=1, decoder_layers=1)
    graph, params = nnx.split(T5(config, nnx.Rngs(0)))
    rng = np.random.default_rng(1)
    length = 7
    hidden = rng.normal(size=(2, length, config.d_model)).astype("float32")
    segments = np.array([[1, 1, 1, 2, 2, 0, 0], [1] * 7])
    targets = rng.integers(3, 96, (2, length)) * (segments > 0)
    whole = 2 * length * config.vocab_size
    monkeypatch.setattr(loss, "AT_ONCE", -(-whole // parts))

    def total(hidden, params):
        losses, log_z = loss.target_losses(nnx.merge(graph, params), hidden, targets, segments)
        return losses.sum() + 0.1 * (log_z**2).sum(), (losses, log_z)

    def expected(hidden, params):
        logits = nnx.merge(graph, params).logits(hidden)
        losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0] * (segments > 0)
        log_z = jax.nn.logsumexp(logits, -1) * (segments > 0)
        return losses.sum() + 0.1 * (log_z**2).sum(), (losses, log_z)

    compute = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
    found = jax.jit(compute)(hidden, params)
    wanted = jax.jit(jax.value_and_grad(expected, argnums=(0, 1), has_aux=True))(hidden, params)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)
    largest = max(sizes_within(jax.make_jaxpr(compute)(hidden, params).jaxpr))
    assert largest == whole if parts == 1 else config.vocab_size * config.d_model <= largest < whole


def test_a_policy_is_said_by_name_and_as_before_there_were_policies():
    config = model_config("mini")
    assert [changed(config, remat=said).remat for said in (False, True, "minimal")] == ["none", "full", "minimal"]
    with pytest.raises(UsageError, match="remat = 'some': it must be one of none, minimal, full"):
        changed(config, remat="some")
