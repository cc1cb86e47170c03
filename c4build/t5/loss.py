"""Cross-entropy, a part of the target positions at a time: the logits of a whole batch never stand in memory, unless they are few.

Each part's logits are computed again in the backward pass: one more product with the output matrix, 1 to 3 % of a step; few
(`KEPT`) are kept. Their gradient, softmax less what was asked for, is written down here, and made in the format of the products.
"""

import jax
import jax.numpy as jnp

from c4build.t5.cpu import weights_gradient
from c4build.t5.model import product

AT_ONCE = 2**28  # logits: 1 GiB in float32
KEPT = 1 / 32  # of those: 32 MiB


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

    def part(hidden, targets, target_segments):
        losses, log_z = _losses(*model.output(hidden), targets)
        real = target_segments > 0
        return jnp.where(real, losses, 0.0), jnp.where(real, log_z, 0.0)

    found = jax.lax.map(lambda arrays: part(*arrays), (cut(hidden), cut(targets), cut(target_segments)))
    return joined(found[0]), joined(found[1])


@jax.custom_vjp
def _losses(x, table, targets):
    """[..., d_model], [vocab_size, d_model], [...] -> the losses and log Z, float32 [...]."""
    return _forward(x, table, targets)[0]


def _forward(x, table, targets):
    logits = product(x, table)
    log_z = jax.nn.logsumexp(logits, -1)
    losses = log_z - jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
    return (losses, log_z), (x, table, targets, log_z, logits if logits.size <= KEPT * AT_ONCE else None)


def _backward(saved, gradients):
    x, table, targets, log_z, logits = saved
    of_loss, of_log_z = (gradient[..., None] for gradient in gradients)
    asked = (
        jax.lax.broadcasted_iota(targets.dtype, (*targets.shape, table.shape[0]), targets.ndim) == targets[..., None]
    )
    softmax = jnp.exp((product(x, table) if logits is None else logits) - log_z[..., None])
    gradient = (softmax * (of_loss + of_log_z) - jnp.where(asked, of_loss, 0.0)).astype(x.dtype)
    return jnp.einsum("...v,vd->...d", gradient, table), weights_gradient(gradient, x), None


_losses.defvjp(_forward, _backward)
