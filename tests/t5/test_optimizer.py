"""AdaFactor step by step against optax's parts and the papers' formulas, written out in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from c4build.t5.optimizer import adafactor, constant, inverse_square_root


def test_the_schedule_is_the_papers():
    schedule = inverse_square_root()
    for step in (0, 1, 9_999, 10_000, 10_001, 40_000, 2**19):
        assert float(schedule(step)) == pytest.approx(1 / np.sqrt(max(step, 10**4)), rel=1e-6)
    assert float(schedule(0)) == pytest.approx(0.01)
    assert float(constant()(123_456)) == pytest.approx(0.001)


def papers_adafactor(parameter, gradients, rates):
    """Algorithm 4 and section 8 of Shazeer and Stern 2018, for one parameter; the moments are factored from 128 x 128."""
    x = parameter.astype(np.float64)
    factored = x.ndim == 2 and min(x.shape) >= 128
    rows = columns = moment = 0.0
    seen = []
    for t, (gradient, rate) in enumerate(zip(gradients, rates), 1):
        g = gradient.astype(np.float64)
        decay = 1 - t**-0.8
        square = g**2 + 1e-30
        if factored:
            rows = decay * rows + (1 - decay) * square.mean(1)
            columns = decay * columns + (1 - decay) * square.mean(0)
            second = np.outer(rows, columns) / rows.mean()
        else:
            second = moment = decay * moment + (1 - decay) * square
        update = g / np.sqrt(second)
        update /= max(1.0, np.sqrt(np.mean(update**2)))
        x = x - rate * max(1e-3, np.sqrt(np.mean(x**2))) * update
        seen.append(x)
    return seen


@pytest.mark.parametrize("shape", [(7,), (64, 200), (128, 130), (256, 128)])
def test_adafactor_is_the_papers_step_by_step(shape):
    rng = np.random.default_rng(0)
    parameter = rng.normal(size=shape).astype(np.float32)
    gradients = [rng.normal(size=shape).astype(np.float32) * 10.0 ** rng.integers(-4, 2) for _ in range(12)]
    schedule = inverse_square_root(warmup=4)
    expected = papers_adafactor(parameter, gradients, [1 / np.sqrt(max(step, 4)) for step in range(12)])
    optimizer = adafactor(schedule)
    x, state = jnp.asarray(parameter), optimizer.init(jnp.asarray(parameter))
    for gradient, wanted in zip(gradients, expected):
        updates, state = optimizer.update(jnp.asarray(gradient), state, x)
        x = optax.apply_updates(x, updates)
        np.testing.assert_allclose(x, wanted, rtol=2e-5, atol=2e-6)


def test_adafactor_is_optax_s_parts_in_the_papers_order():
    rng = np.random.default_rng(1)
    parts = optax.chain(
        optax.scale_by_factored_rms(decay_rate=0.8, min_dim_size_to_factor=128, epsilon=1e-30),
        optax.clip_by_block_rms(1.0),
        optax.scale_by_param_block_rms(1e-3),
        optax.scale_by_learning_rate(inverse_square_root(3)),
    )
    ours = adafactor(inverse_square_root(3))
    params = {"a": jnp.asarray(rng.normal(size=(130, 140)), "float32"), "b": jnp.zeros(5)}
    theirs = params
    state, other = ours.init(params), parts.init(params)
    for _ in range(6):
        gradients = {name: jnp.asarray(rng.normal(size=x.shape), "float32") for name, x in params.items()}
        updates, state = ours.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        updates, other = parts.update(gradients, other, theirs)
        theirs = optax.apply_updates(theirs, updates)
        for name in params:
            np.testing.assert_allclose(params[name], theirs[name], rtol=1e-6, atol=1e-6)
    # A parameter of zeros moves at the least scale, not at none.
    assert float(jnp.abs(params["b"]).max()) > 0


def test_moments_of_large_matrices_are_two_vectors():
    state = adafactor(constant()).init({"kernel": jnp.zeros((512, 2048))})
    moments = state[0]
    assert (moments.v_row["kernel"].shape, moments.v_col["kernel"].shape) == ((512,), (2048,))
    assert moments.v["kernel"].size == 1


def test_each_layer_of_stacked_arrays_moves_as_an_array_of_its_own():
    """Factored and clipped by itself; a stack has more layers than some sides are long."""
    rng = np.random.default_rng(2)
    shapes = {"wide.kernel": (128, 160), "narrow.kernel": (4, 130), "norm.scale": (9,)}
    numbers = {name: rng.normal(size=(140, *shape)).astype("float32") for name, shape in shapes.items()}
    sizes = 10.0 ** rng.integers(-3, 2, 140)  # of the layers' gradients
    gradients = {
        name: (x * sizes.reshape((140,) + (1,) * (x.ndim - 1))).astype("float32") for name, x in numbers.items()
    }
    optimizer = adafactor(inverse_square_root(3))

    @jax.jit
    def moved(gradients, state, params):
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    stacked = {"layers": numbers, "table": jnp.ones((4, 5))}
    single = {name: [x[layer] for layer in (0, 7, 139)] for name, x in numbers.items()}
    moves = {name: [x[layer] for layer in (0, 7, 139)] for name, x in gradients.items()}
    state, other = jax.jit(optimizer.init)(stacked), jax.jit(optimizer.init)(single)
    for _ in range(3):
        stacked, state = moved({"layers": gradients, "table": jnp.ones((4, 5))}, state, stacked)
        single, other = moved(moves, other, single)
    for name, expected in single.items():
        for layer, wanted in zip((0, 7, 139), expected):
            np.testing.assert_allclose(stacked["layers"][name][layer], wanted, rtol=1e-6, atol=1e-6)
    moments = state[0]
    assert moments.v_row["layers"]["wide.kernel"].shape == (140, 128)
    assert moments.v_col["layers"]["wide.kernel"].shape == (140, 160)
    assert moments.v["layers"]["narrow.kernel"].shape == (140, 4, 130) and moments.count.shape == ()
