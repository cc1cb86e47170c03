"""What is done otherwise on a CPU gives the same as JAX's own way, and its memory stays."""

import ctypes
import os
import subprocess
import sys
from importlib.metadata import entry_points

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c4build.t5 import cpu, loss
from c4build.t5.config import model_config
from c4build.t5.model import T5

WITH_WEIGHTS = [((2, 3, 8), (8, 5)), ((2, 3, 5), (5, 8)), ((7, 4), (4, 4))]
SHAPES = [*WITH_WEIGHTS, ((2, 3, 6, 4), (2, 3, 4, 9)), ((2, 3, 6, 9), (2, 3, 9, 4))]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="on other devices it is JAX's own")
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_product_and_its_gradients_are_those_of_jax(shapes, dtype):
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)
    ours, back = jax.vjp(lambda x, w: cpu.product(x, w, jnp.float32), x, w)
    theirs, expected = jax.vjp(lambda x, w: jnp.matmul(x, w, preferred_element_type=jnp.float32), x, w)
    gradient = jnp.asarray(rng.normal(size=ours.shape), jnp.float32)
    rounding = 1e-5 if dtype == "float32" else 2e-2
    for found, wanted in zip((ours, *back(gradient)), (theirs, *expected(gradient)), strict=True):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(*(np.asarray(a, "float32") for a in (found, wanted)), rounding, rounding)


@pytest.mark.parametrize("sizes", [(8, 5), (5, 8)])
def test_a_weights_gradient_is_the_sum_over_all_rows(sizes):
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(2, 3, size)).astype("float32") for size in sizes)
    np.testing.assert_allclose(cpu.weights_gradient(x, y), np.einsum("abk,abn->kn", x, y), 1e-5, 1e-5)


def test_what_is_added_to_all_rows_has_the_sum_of_their_gradients():
    rng = np.random.default_rng(2)
    x, y, gradient = (rng.normal(size=shape).astype("float32") for shape in ((4, 2, 3), (2, 3), (4, 2, 3)))
    found, back = jax.vjp(cpu.plus, jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_array_equal(found, x + y)
    of_x, of_y = back(jnp.asarray(gradient))
    np.testing.assert_array_equal(of_x, gradient)
    np.testing.assert_allclose(of_y, gradient.sum(0), 1e-5, 1e-5)


def test_logits_that_are_kept_give_the_gradients_of_those_computed_again(monkeypatch):
    config = model_config("mini", vocab_size=96, encoder_layers=1, decoder_layers=1)
    graph, params = nnx.split(T5(config, nnx.Rngs(0)))
    rng = np.random.default_rng(3)
    hidden = rng.normal(size=(2, 7, config.d_model)).astype("float32")
    targets = rng.integers(3, 96, (2, 7))

    def gradients(kept):
        monkeypatch.setattr(loss, "KEPT", kept)

        def call(hidden, params):
            return loss.target_losses(nnx.merge(graph, params), hidden, targets, np.ones_like(targets))[0].sum()

        saved = jax.eval_shape(lambda: jax.vjp(lambda x: call(x, params), hidden)[1])
        assert any(leaf.shape == (1, 2, 7, 96) for leaf in jax.tree.leaves(saved)) == bool(kept)
        return jax.grad(call, argnums=(0, 1))(hidden, params)

    for found, wanted in zip(jax.tree.leaves(gradients(1)), jax.tree.leaves(gradients(0)), strict=True):
        np.testing.assert_allclose(found, wanted, 1e-5, 1e-6)


MEMORY = """
import resource, sys
from c4build.t5.cpu import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
import jax
step = jax.jit(lambda x: (x @ x.T @ x).sum())  # a block of 64 MiB each time
x = jax.numpy.ones((4096, 64))
for _ in range(5):
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="another libc")
@pytest.mark.skipif(bool(entry_points(group="jax_plugins")), reason="JAX may have another device")
def test_memory_of_a_step_stays_with_the_process():
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_COMPILATION_CACHE_DIR": ""}
    new, kept = (
        int(
            subprocess.run([sys.executable, "-c", MEMORY, way], env=environment, check=True, capture_output=True).stdout
        )
        for way in ("new", "kept")
    )
    assert kept < new / 10  # pages that the kernel had to give
