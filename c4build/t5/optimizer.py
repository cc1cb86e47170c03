"""AdaFactor (Shazeer and Stern 2018) and the paper's two schedules (section 3.1.2 and 3.1.3).

optax's AdaFactor as T5 uses it: second moments factored where both sides of a matrix are 128 or more, decay 1 - t**-0.8,
updates clipped to a root mean square of 1, no momentum, no relative step (the schedule alone sets the pace), and the
step multiplied by the parameter's own root mean square (at least 0.001), as in the code that trained the paper's models.

What is asked for twice is the same object, so that models of one study share their compiled steps.
"""

import functools

import jax.numpy as jnp
import optax

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
    return optax.adafactor(
        learning_rate=schedule,
        min_dim_size_to_factor=128,
        decay_rate=0.8,
        multiply_by_parameter_scale=True,
        clipping_threshold=1.0,
        momentum=None,
        eps=1e-30,
        factored=True,
    )
