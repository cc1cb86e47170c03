"""What of a model is trained (section 3.5.1, Table 10): all of it, adapters, or more and more of its layers.

    all         everything
    adapters    the adapters and every layer norm; nothing else has gradients or moments
    gradual     layer norms, embedding and output matrix all along; of each stack's L layers the last in the first L-th of the
                steps, the last two in the second, and so on. A stack's table of positions is its first layer's, as in T5's
                checkpoints

Frozen arrays keep their bits.
"""

import re

import jax
import jax.numpy as jnp
from flax import nnx

from c4build.errors import UsageError
from c4build.t5.config import ModelConfig
from c4build.t5.model import T5
from c4build.t5.sharding import flatten, name

TRAINED = ("all", "adapters", "gradual")
ADAPTER = re.compile(r"\.adapter(_norm)?\.")


def check_trained(trained: str, config: ModelConfig | None = None) -> None:
    """Raises UsageError for a word that means nothing, or that a model cannot be trained by."""
    if trained not in TRAINED:
        raise UsageError(f"trained = {trained!r}: it must be one of {', '.join(TRAINED)}")
    if trained == "adapters" and config is not None and not config.adapter:
        raise UsageError("trained = 'adapters': the model has none; say how wide they are, as in adapter = 128")


def partition(params: nnx.State, trained: str) -> tuple[nnx.State, nnx.State | None]:
    """(what is trained at some step, the rest)."""
    if trained != "adapters":
        return params, None
    free, fixed = nnx.split_state(params, lambda path, _: "adapter" in path or path[-1] == "scale", ...)
    return free, fixed


def joined(params: nnx.State, fixed: nnx.State | None) -> nnx.State:
    return params if fixed is None else nnx.merge_state(params, fixed)


def unfrozen(updates: nnx.State, step, steps: int) -> nnx.State:
    """Gradual unfreezing: the updates of a run's step (from 0, of `steps` in all), those of frozen layers -0, which changes
    no number. The optimiser's moments go on for all."""
    leaves = flatten(updates)
    counts = {key: leaf.shape[0] for key, leaf in leaves.items() if ".layers." in key}
    episode = step * max(counts.values()) // steps
    # A stack of fewer layers is unfrozen earlier, as its layers are the last ones of a longer one.
    of_stack = {key.partition(".")[0]: count for key, count in counts.items()}

    def of(path, update):
        key = name(path)
        stack = key.partition(".")[0]
        if key.endswith(".scale") or stack not in of_stack:
            return update
        layers = jnp.arange(of_stack[stack]) if ".layers." in key else jnp.zeros((), jnp.int32)
        free = layers >= of_stack[stack] - 1 - episode
        return jnp.where(free.reshape(free.shape + (1,) * (update.ndim - free.ndim)), update, -0.0)

    return jax.tree_util.tree_map_with_path(of, updates)


def new_adapters(config: ModelConfig) -> dict:
    """The adapters' arrays by name, as `layers.Adapter` starts them; always the same."""
    shapes = flatten(nnx.state(nnx.eval_shape(lambda: T5(config, nnx.Rngs(0)))))
    found = {}
    for number, (key, leaf) in enumerate(sorted(shapes.items())):
        if key.endswith("adapter.down.kernel"):
            draw = jax.random.normal(jax.random.fold_in(jax.random.key(0), number), leaf.shape)
            found[key] = draw * config.d_model**-0.5
        elif ADAPTER.search(key):
            found[key] = jnp.full(leaf.shape, float(key.endswith(".scale")))
    return found


def with_adapters(config: ModelConfig, flat: dict) -> dict:
    """A model's arrays by name, with new adapters where it has none and `config` wants some.

    Raises UsageError where its own have another width.
    """
    own = {key: leaf for key, leaf in flat.items() if ADAPTER.search(key)}
    if not own and config.adapter:
        return flat | new_adapters(config)
    widths = {leaf.shape[-1] for key, leaf in own.items() if key.endswith("adapter.down.kernel")} or {0}
    if widths != {config.adapter}:
        raise UsageError(f"adapter = {config.adapter}: the model has adapters of {widths.pop()}, and keeps them")
    return flat
