"""AdaFactor (Shazeer and Stern 2018) and the paper's two schedules (section 3.1.2 and 3.1.3).

optax's AdaFactor as T5 uses it: second moments factored where both sides of a matrix are 128 or more, decay 1 - t**-0.8,
updates clipped to a root mean square of 1, no momentum, no relative step (the schedule alone sets the pace), and the
step multiplied by the parameter's own root mean square (at least 0.001), as in the code that trained the paper's models.
A layer's array is a parameter of its own, though it lies in one array with those of its stack's other layers.

What is asked for twice is the same object, so that models of one study share their compiled steps.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from c4build.t5.sharding import name

WARMUP = 10_000  # k in 1/sqrt(max(n, k)), section 3.1.2


@functools.cache
def inverse_square_root(warmup: int = WARMUP, scale: float = 1.0):
    """scale / sqrt(max(n, warmup)): 0.01 for the paper's first 10,000 steps, then falling."""
    return lambda step: scale / jnp.sqrt(jnp.maximum(step, warmup).astype(jnp.float32))


@functools.cache
def constant(rate: float = 0.001):
    """Fine-tuning's."""
    return optax.constant_schedule(rate)


@functools.cache
def adafactor(schedule) -> optax.GradientTransformation:
    return by_layer(optax.adafactor(
        learning_rate=schedule,
        min_dim_size_to_factor=128,
        decay_rate=0.8,
        multiply_by_parameter_scale=True,
        clipping_threshold=1.0,
        momentum=None,
        eps=1e-30,
        factored=True,
    ))  # fmt: skip


def by_layer(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """`inner`, which looks at each array by itself, on every layer of arrays that hold all layers of a stack.

    The state is as `inner`'s, with the layers as a leading axis where the parameter has it; counts are those of one array.
    """

    def prepared(path, leaf):
        """The functions `init` and `update` for one array, and the shapes of its state."""
        shapes = jax.eval_shape(inner.init, leaf)
        if "layers." not in name(path):
            return inner.init, inner.update, shapes
        shapes = jax.eval_shape(inner.init, jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype))
        axes = jax.tree.map(lambda leaf: 0 if leaf.ndim else None, shapes)
        return jax.vmap(inner.init, 0, axes), jax.vmap(inner.update, (0, axes, 0), (0, axes)), shapes

    def arrays_of(params):
        paths, structure = jax.tree_util.tree_flatten_with_path(params)
        return [prepared(*path_and_leaf) for path_and_leaf in paths], [leaf for _, leaf in paths], structure

    def together(structure, states):
        """One state of many: a count once, all else as a tree of the parameters' structure."""
        return jax.tree.map(lambda *parts: structure.unflatten(parts) if parts[0].ndim else parts[0], *states)

    def init(params):
        functions, leaves, structure = arrays_of(params)
        return together(structure, [start(leaf) for (start, _, _), leaf in zip(functions, leaves)])

    def update(updates, state, params):
        functions, leaves, structure = arrays_of(params)
        changed, states = [], []
        for number, (gradient, (_, advance, shapes), leaf) in enumerate(
            zip(structure.flatten_up_to(updates), functions, leaves, strict=True)
        ):
            own = jax.tree.map(
                lambda shape, part: structure.flatten_up_to(part)[number] if shape.ndim else part, shapes, state
            )
            change, own = advance(gradient, own, leaf)
            changed.append(change)
            states.append(own)
        return structure.unflatten(changed), together(structure, states)

    return optax.GradientTransformation(init, update)
