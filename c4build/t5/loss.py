"""Cross-entropy, a part of the target positions at a time: the logits of a whole batch never stand in memory.

Each part's logits are computed again in the backward pass: one more product with the output matrix, 1 to 3 % of a step.
"""

import jax
import jax.numpy as jnp

AT_ONCE = 2**28  # logits: 1 GiB in float32


def target_losses(model, hidden, targets, target_segments):
    """Of the decoder's output [batch, length, d_model]: each target token's loss in nats, and its log Z, Z being the sum
    that the softmax divides by. Both float32 [batch, length], 0 at padding."""
    batch, length = targets.shape
    parts = -(-length * batch * model.config.vocab_size // AT_ONCE)
    width = -(-length // min(parts, length))
    parts = -(-length // width)

    def cut(x):  # [batch, length, ...] -> [parts, batch, width, ...]
        x = jnp.pad(x, [(0, 0), (0, parts * width - length)] + [(0, 0)] * (x.ndim - 2))
        return jnp.swapaxes(x.reshape((batch, parts, width, *x.shape[2:])), 0, 1)

    def joined(x):
        return jnp.swapaxes(x, 0, 1).reshape(batch, parts * width)[:, :length]

    @jax.checkpoint
    def part(hidden, targets, target_segments):
        logits = model.logits(hidden)
        real = target_segments > 0
        log_z = jax.nn.logsumexp(logits, -1)
        picked = jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
        return jnp.where(real, log_z - picked, 0.0), jnp.where(real, log_z, 0.0)

    found = jax.lax.map(lambda arrays: part(*arrays), (cut(hidden), cut(targets), cut(target_segments)))
    return joined(found[0]), joined(found[1])
