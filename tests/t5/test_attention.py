"""Attention and the loss: every way of computing them gives the same, and keeps nothing that it should not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c4build.errors import UsageError
from c4build.t5 import attention, kernel, loss
from c4build.t5.config import changed, model_config
from c4build.t5.layers import dropout
from c4build.t5.model import T5, same_segment

BATCH, QUERIES, KEYS, HEADS, WIDTH = 3, 10, 14, 2, 8


@pytest.fixture(scope="module")
def arrays():
    """Queries, keys, values, bias and the mask of packed rows, with padding at their ends."""
    rng = np.random.default_rng(0)
    shapes = [(BATCH, QUERIES, HEADS, WIDTH), (BATCH, KEYS, HEADS, WIDTH), (BATCH, KEYS, HEADS, WIDTH)]
    shapes.append((1, HEADS, QUERIES, KEYS))
    segments = [np.repeat([[1, 2, 0], [1, 2, 3], [1, 1, 0]], parts, 1) for parts in ([4, 4, 2], [6, 5, 3])]
    return [rng.normal(size=shape).astype("float32") for shape in shapes], np.asarray(same_segment(*segments)), segments


def written_out(queries, keys, values, bias, mask):
    """In float64, by NumPy."""
    queries, keys, values, bias = (np.asarray(x, np.float64) for x in (queries, keys, values, bias))
    scores = np.where(mask, np.einsum("bqhd,bkhd->bhqk", queries, keys) + bias, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-1e9))
    return np.einsum("bhqk,bkhd->bqhd", weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300), values)


def gpu() -> bool:
    return jax.default_backend() == "gpu"


@functools.cache
def value_and_gradients(implementation, dtype):
    """A function of the four arrays and the mask: the output, and the gradients of the sum of its squares where it is real."""

    def total(queries, keys, values, bias, mask):
        halved = (x.astype(dtype) for x in (queries, keys, values))
        out = attention.attend(*halved, bias, mask, implementation).astype(jnp.float32)
        real = mask.any(-1)[:, 0, :, None, None]
        return (jnp.where(real, out, 0) ** 2).sum(), out

    return jax.jit(jax.grad(total, argnums=(0, 1, 2, 3), has_aux=True))


@pytest.mark.parametrize("implementation", ["plain", "fused", "kernel", "auto"])
@pytest.mark.parametrize("dtype,near", [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_every_implementation_is_attention_as_it_is_written_and_has_its_gradients(arrays, implementation, dtype, near):
    if gpu() and (implementation, dtype) == ("fused", "float32"):
        pytest.skip("cuDNN's kernel has no float32")
    numbers, mask, (segments, _) = arrays
    gradients, out = value_and_gradients(implementation, dtype)(*numbers, mask)
    real = segments > 0
    away = np.abs(np.asarray(out) - written_out(*numbers, mask))[real]
    assert away.max() < near
    for ours, theirs in zip(gradients, value_and_gradients("plain", "float32")(*numbers, mask)[0], strict=True):
        assert np.linalg.norm(ours - theirs) < near * np.linalg.norm(theirs)


def test_the_kernels_are_such_as_triton_compiles_for_a_gpu():
    """As far as that shows without one: Pallas makes Triton's code of all four, for shapes of the shipped studies."""

    def total(queries, keys, values, bias, mask):
        return kernel.attention(queries, keys, values, bias, mask).astype(jnp.float32).sum()

    sides = [(2, 512, 12, 64), (2, 114, 12, 64), (2, 114, 12, 64)]
    arrays = [jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in sides]
    arrays.append(jax.ShapeDtypeStruct((1, 12, 512, 114), jnp.float32))
    mask = jax.ShapeDtypeStruct((2, 1, 512, 114), bool)
    traced = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3))).trace(*arrays, mask)
    assert traced.lower(lowering_platforms=("cuda",)).as_text().count("xla.gpu.triton") == 4


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


def test_dropping_values_is_dropping_weights_with_noise_that_all_queries_share(arrays):
    (queries, keys, values, bias), mask, (segments, _) = arrays

    @jax.jit
    def both(key):
        scores = jnp.where(mask, jnp.einsum("bqhd,bkhd->bhqk", queries, keys) + bias, attention.MASKED)
        weights = dropout(jax.nn.softmax(scores), 0.3, key)  # one draw for each batch, head and key
        dropped = attention.drop_keys(values, 0.3, key)
        expected = jnp.einsum("bhqk,bkhd->bqhd", weights, values)
        return dropped, attention.attend(queries, keys, dropped, bias, mask), expected

    dropped, got, expected = both(jax.random.key(5))
    assert np.abs(got - expected)[segments > 0].max() < 1e-5
    assert 0.1 < float((dropped == 0).mean()) < 0.5


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
    numbers, mask, _ = arrays
    call = functools.partial(attention.attend, mask=mask, implementation=implementation)
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
