"""One training step and one scoring of held-out text, each a jitted function over a mesh."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from c4build.t5 import sharding
from c4build.t5.checkpoint import model_graph
from c4build.t5.config import ModelConfig
from c4build.t5.loss import target_losses
from c4build.t5.model import T5, shift_right
from c4build.t5.trained import joined, partition, unfrozen

COMPILER = {
    "gpu": {"xla_gpu_enable_triton_gemm": False}
}  # cuBLAS's products of these shapes are as fast, and compile faster


@functools.cache
def initialiser(config: ModelConfig, mesh):
    _, shapes = model_graph(config)
    places = sharding.parameter_shardings(shapes, mesh)
    return jax.jit(lambda key: nnx.state(T5(config, nnx.Rngs(key))), out_shardings=places)


def new_parameters(config: ModelConfig, seed: int, mesh) -> nnx.State:
    """Random parameters, made where they belong."""
    return initialiser(config, mesh)(jax.random.key(seed))


def state_shardings(state: dict, mesh) -> dict:
    """Where a training state (arrays, or their shapes) lies."""
    return {
        "params": sharding.parameter_shardings(state["params"], mesh),
        "optimizer": sharding.optimizer_shardings(state["optimizer"], state["params"], mesh),
        "step": sharding.everywhere(mesh),
    }


def start_state(params: nnx.State, optimizer, mesh, trained: str = "all") -> dict:
    """Parameters, the optimiser's moments of those that are trained, and the step."""
    shapes = jax.eval_shape(optimizer.init, partition(params, trained)[0])  # AdaFactor's moments all start at zero
    moments = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    state = {"params": params, "optimizer": moments, "step": np.zeros((), np.int32)}
    return jax.tree.map(jax.device_put, state, state_shardings(state, mesh))


def batch_losses(graph, params, batch, key=None):
    """Each target token's loss in nats and its log Z, see `loss.target_losses`."""
    model = nnx.merge(graph, params)
    if "tokens" in batch:  # a decoder alone
        tokens, is_target = batch["tokens"], batch["is_target"]
        return target_losses(model, model.joint_hidden(tokens, batch["segments"], is_target, key), tokens, is_target)
    targets, segments = batch["targets"], batch["target_segments"]
    decoder_inputs = shift_right(targets, segments)
    hidden = model.hidden(batch["inputs"], batch["input_segments"], decoder_inputs, segments, key)
    return target_losses(model, hidden, targets, segments)


def target_count(batch):
    return (batch["is_target"] if "tokens" in batch else batch["target_segments"] > 0).sum()


def batch_loss(graph, params, batch, key=None):
    """(sum of the target tokens' losses in nats, number of target tokens)."""
    losses, _ = batch_losses(graph, params, batch, key)
    return losses.sum(), target_count(batch)


def training_loss(graph, params, batch, key, z_loss: float):
    """(what is minimised, (sum of the losses in nats, number of target tokens)).

    What is minimised has `z_loss` times the square of log Z more for each target token, Z being the softmax's sum: it keeps
    the logits from drifting (as in Mesh TensorFlow, which trained the paper's models). It is not part of the loss that is logged.
    """
    losses, log_z = batch_losses(graph, params, batch, key)
    loss = losses.sum()
    return loss + z_loss * (log_z * log_z).sum(), (loss, target_count(batch))


def make_step(
    graph, optimizer, mesh, accumulate: int = 1, z_loss: float = 0.0, trained: str = "all", steps: int | None = None
):
    """state, batch, seed, the state's step at which the run began (0) -> state, {"loss", "targets", "tokens",
    "gradient_norm", "parameter_norm"}; jitted, the old state given up.

    The loss is the mean over the batch's target tokens, however it is cut up: with `accumulate`, gradients of sums are
    added up part by part and divided by the whole batch's count at the end. Gradients are those of what is `trained` alone;
    "gradual" unfreezing takes `steps`, the run's. What is asked for twice is compiled once.
    """
    return step_function(graph, optimizer, mesh, accumulate, z_loss, trained, steps if trained == "gradual" else None)


@functools.cache
def step_function(graph, optimizer, mesh, accumulate, z_loss, trained, steps):
    """See `make_step`."""

    def whole(params, fixed, batch, key):
        compute = jax.value_and_grad(lambda p: training_loss(graph, joined(p, fixed), batch, key, z_loss), has_aux=True)
        (_, (total, count)), gradients = compute(params)
        return total, count, gradients

    def in_parts(params, fixed, batch, key):
        # Part p takes the rows p, p + parts, ...: each device's rows are spread over all parts.
        parts = {n: jnp.swapaxes(x.reshape(-1, accumulate, x.shape[-1]), 0, 1) for n, x in batch.items()}

        def add(sums, part):
            arrays, part_key = part
            return jax.tree.map(jnp.add, sums, whole(params, fixed, arrays, part_key)), None

        zeros = (jnp.zeros(()), jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))
        return jax.lax.scan(add, zeros, (parts, jax.random.split(key, accumulate)))[0]

    def step(state, batch, seed, begun_at=0):
        key = jax.random.fold_in(jax.random.key(seed), state["step"])
        compute = whole if accumulate == 1 else in_parts
        params, fixed = partition(state["params"], trained)
        total, count, gradients = compute(params, fixed, batch, key)
        gradients = jax.tree.map(lambda g: g / count, gradients)
        updates, moments = optimizer.update(gradients, state["optimizer"], params)
        if trained == "gradual":
            updates = unfrozen(updates, state["step"] - begun_at, steps)
        metrics = {
            "loss": total / count,
            "targets": count,
            "tokens": (batch["segments"] > 0).sum()
            if "tokens" in batch
            else (batch["input_segments"] > 0).sum() + count,
            "gradient_norm": optax.tree.norm(gradients),
        }
        params = joined(optax.apply_updates(params, updates), fixed)
        metrics["parameter_norm"] = optax.tree.norm(params)
        state = {"params": params, "optimizer": moments, "step": state["step"] + 1}
        # It lies where the old state lay: left to XLA, the second step would meet other places and be compiled once more.
        return jax.lax.with_sharding_constraint(state, state_shardings(state, mesh)), metrics

    return jax.jit(step, donate_argnums=0, compiler_options=COMPILER.get(jax.default_backend()))


compiled_loss = jax.jit(batch_loss, static_argnums=0)


def evaluate_loss(graph, params, batches, mesh) -> dict:
    """The mean loss in nats of a target token over `batches` of arrays, dropout off."""
    total, count = 0.0, 0
    for arrays in batches:
        part, number = compiled_loss(graph, params, sharding.put_batch(arrays, mesh))
        total, count = total + float(part), count + int(number)
    return {"loss": total / max(count, 1), "targets": count}
