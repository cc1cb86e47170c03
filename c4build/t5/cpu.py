"""What is done otherwise on a CPU: products and sums in the form that XLA's CPU compiler is fast at, and memory that stays.

On a CPU the left side of a product is copied, turned round, where the sum goes over its rows. A weight's gradient is such a
product, and JAX may have the wider array copied, a column at a time: here it is always the narrower one. And a sum over a
first axis of few is many times slower there than a product with ones. On any other device all is as JAX itself has it.
"""

import functools
from importlib.metadata import entry_points

import jax
import jax.numpy as jnp

from c4build.memory import set_malloc

KEPT = 2**28  # bytes at the end of the heap that a larger model gives back


def keep_memory() -> None:
    """Where JAX has no other device: memory that XLA gives up stays with the process.

    A step's temporary memory is one block. From glibc it comes new from the kernel each time, which fills it with zeros, page
    by page: a tenth of a step and more. To be called before JAX starts its threads, each of which has its ways from then on.
    """
    if not entry_points(group="jax_plugins"):
        set_malloc(arena_max=1, mmap_max=0, trim_threshold=KEPT)


def on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def product(x, w, dtype=None):
    """[..., m, k] times [k, n] or [..., k, n], of one format: [..., m, n], in `dtype` or, without it, theirs."""
    return _product(dtype, w.ndim == 2, x, w) if on_cpu() else _matmul(dtype, None, x, w)


def layer_product(x, kernel, dimensions, **named):
    """`product`, as `nnx.Linear` calls for it."""
    return product(x, kernel) if on_cpu() else jax.lax.dot_general(x, kernel, dimensions, **named)


def weights_gradient(x, gradient):
    """Of w in `x @ w`, given that of the product: [..., k], [..., n] -> [k, n]."""
    if not on_cpu():
        return jnp.einsum("...k,...n->kn", x, gradient)
    return _turned(*(array.reshape(-1, array.shape[-1]) for array in (x, gradient)))


def plus(x, y):
    """[batch, ...] and [...], added for each row of the batch."""
    return _plus(x, y) if on_cpu() else x + y


def _matmul(dtype, shared, x, w):
    return jnp.matmul(x, w, preferred_element_type=dtype)


_product = jax.custom_vjp(_matmul, nondiff_argnums=(0, 1))  # shared: all rows have one w


def _forward(dtype, shared, x, w):
    # Of what is not trained no gradient is computed, and what it would take is not kept.
    kept = x.value if w.perturbed else None, w.value if x.perturbed else None
    return _matmul(dtype, shared, x.value, w.value), kept


def _backward(dtype, shared, kept, gradient):
    x, w = kept
    of_x = None if w is None else jnp.matmul(gradient, _swapped(w)).astype(w.dtype)
    of_w = None if x is None else (weights_gradient if shared else _turned)(x, gradient).astype(x.dtype)
    return of_x, of_w


_product.defvjp(_forward, _backward, symbolic_zeros=True)

_swapped = functools.partial(jnp.swapaxes, axis1=-1, axis2=-2)


def _turned(x, y):
    """[..., m, k], [..., m, n] -> [..., k, n], the sum over m; the narrower one is turned."""
    if x.shape[-1] <= y.shape[-1]:
        return jnp.matmul(_swapped(x), y)
    return _swapped(jnp.matmul(_swapped(y), x))


@jax.custom_vjp
def _plus(x, y):
    return x + y


def _backward_of_plus(_, gradient):
    total = jnp.ones((1, len(gradient)), gradient.dtype) @ gradient.reshape(len(gradient), -1)
    return gradient, total.reshape(gradient.shape[1:])


_plus.defvjp(lambda x, y: (x + y, None), _backward_of_plus)
