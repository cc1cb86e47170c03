"""What a training step will hold and cost, without running it: `python benchmarks/trainer.py --plan`."""

import time

GIB = 2**30


def plan(options) -> None:
    """What one step keeps and holds under each policy of rematerialisation, and its budget. Abstract: no array is made."""
    import jax

    from c4build.t5.config import model_config
    from c4build.t5.flops import step_flops

    shape = f"{options.batch} x {options.length} inputs and {options.targets} targets, {options.dtype}"
    print(f"{options.size}, {shape}; XLA's plan is for {jax.default_backend()}\n")
    print("| remat | kept for the backward pass | XLA: temporary | state, given back in place | tracing | compiling |")
    print("|---|---|---|---|---|---|")
    for policy in ("none", "minimal", "full"):
        config = model_config(
            options.size, vocab_size=options.vocabulary, dtype=options.dtype, remat=policy, attention=options.attention
        )
        kept, traced, compiled, memory = planned(config, options)
        print(
            f"| {policy} | {kept / GIB:.1f} GiB | {memory.temp_size_in_bytes / GIB:.1f} GiB | "
            f"{memory.argument_size_in_bytes / GIB:.2f} GiB, {memory.alias_size_in_bytes / GIB:.2f} | {traced:.0f} s | "
            f"{compiled:.0f} s |",
            flush=True,
        )
    print(f"\nshare of peak = {step_flops(config, options.batch, options.length, options.targets) / 1e12:.1f} TFLOP "
          "/ (seconds a step x peak); `flops.py` has the formula\n")  # fmt: skip
    budget(config, options.batch, options.length, options.targets)


def tuned(options, widths) -> None:
    """Fine-tuning of everything beside fine-tuning of adapters, of each inner width."""
    import jax

    from c4build.t5.config import model_config
    from c4build.t5.flops import step_flops

    print(f"{options.size}, {options.batch} x {options.length} inputs and {options.targets} targets, {options.dtype}, remat "
          f"{options.remat}; XLA's plan is for {jax.default_backend()}\n")  # fmt: skip
    print(
        "| trained | numbers trained | moments | kept for the backward pass | XLA: temporary | TFLOP by XLA | by the formula |"
    )
    print("|---|---|---|---|---|---|---|")
    numbers = {
        "vocab_size": options.vocabulary,
        "dtype": options.dtype,
        "remat": options.remat,
        "attention": options.attention,
    }
    for width in (0, *widths):
        config, trained = model_config(options.size, adapter=width, **numbers), "adapters" if width else "all"
        kept, _, _, memory = planned(config, options, trained)
        work = step_flops(config, options.batch, options.length, options.targets, trained)
        name = f"adapters, {width}, and norms" if width else "everything"
        parameters, moments = trained_sizes(config, trained)
        print(f"| {name} | {parameters / 1e6:.1f} M | {moments / 2**20:.1f} MiB | {kept / GIB:.2f} GiB | "
              f"{memory.temp_size_in_bytes / GIB:.2f} GiB | {unrolled_flops(config, options, trained) / 1e12:.2f} | "
              f"{work / 1e12:.2f} |", flush=True)  # fmt: skip


def trained_sizes(config, trained: str) -> tuple[int, int]:
    """(how many numbers are trained, bytes of AdaFactor's moments)."""
    import jax

    from c4build.t5.checkpoint import model_graph
    from c4build.t5.optimizer import adafactor, constant
    from c4build.t5.trained import partition

    params, _ = partition(model_graph(config)[1], trained)
    moments = jax.tree.leaves(jax.eval_shape(adafactor(constant()).init, params))
    return sum(leaf.size for leaf in jax.tree.leaves(params)), sum(leaf.size * leaf.dtype.itemsize for leaf in moments)


def unrolled_flops(config, options, trained: str) -> float:
    """XLA's own count for one step. It counts what is in a loop once: for this the layers stand one after another."""
    from unittest import mock

    import jax

    from c4build.t5 import model

    layers = max(config.encoder_layers, config.decoder_layers)
    with mock.patch.dict(model.AT_ONCE, {jax.default_backend(): layers}):
        return lowered_step(config, options, trained, fresh=True).cost_analysis()["flops"]


def shapes_of(config, options):
    """The model without its numbers, and the shapes of those and of a batch."""
    import jax
    import jax.numpy as jnp

    from c4build.t5.checkpoint import model_graph
    from c4build.t5.packing import empty_row

    row = empty_row(options.length, options.targets)
    batch = {name: jax.ShapeDtypeStruct((options.batch, *array.shape), jnp.int32) for name, array in row.items()}
    return *model_graph(config), batch


def lowered_step(config, options, trained: str = "all", fresh: bool = False):
    """A training step, traced. `fresh`: traced anew even if one like it was."""
    import jax
    import jax.numpy as jnp

    from c4build.t5.optimizer import adafactor, inverse_square_root
    from c4build.t5.sharding import make_mesh
    from c4build.t5.step import step_function
    from c4build.t5.trained import partition

    graph, params, batch = shapes_of(config, options)
    optimizer = adafactor(inverse_square_root())
    moments = jax.eval_shape(optimizer.init, partition(params, trained)[0])
    state = {"params": params, "optimizer": moments, "step": jax.ShapeDtypeStruct((), jnp.int32)}
    make = step_function.__wrapped__ if fresh else step_function
    return make(graph, optimizer, make_mesh(1, 1), options.accumulate, 1e-4, trained, None).lower(state, batch, 0)


def planned(config, options, trained: str = "all"):
    """(bytes kept for the backward pass, seconds to trace, seconds to compile, XLA's memory analysis)."""
    import jax

    from c4build.t5.step import training_loss
    from c4build.t5.trained import joined, partition

    graph, params, batch = shapes_of(config, options)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def kept(params, batch, key):
        own, fixed = partition(params, trained)
        return jax.vjp(lambda p: training_loss(graph, joined(p, fixed), batch, key, 1e-4)[0], own)[1]

    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(jax.eval_shape(kept, params, batch, key)))
    begun = time.perf_counter()
    lowered = lowered_step(config, options, trained)
    traced = time.perf_counter()
    compiled = lowered.compile()
    return size, traced - begun, time.perf_counter() - traced, compiled.memory_analysis()


# An H100 SXM: dense bf16 and memory by its data sheet; the shares of the first as measured (docs/trainer.md), of the second assumed.
PEAK, BANDWIDTH = 989e12, 3.35e12
SHARES = {"matrices": 0.71, "attention": 0.20, "logits": 0.71}
STREAMED = 0.80


def budget(config, batch: int, inputs: int, targets: int) -> None:
    """A step's work by kind: FLOPs (with what is computed again), bytes moved, and milliseconds at an H100's rates.

    Bytes: an array read or written once is one pass. Matrices' own traffic hides behind their products.
    """
    from c4build.t5.flops import step_flops, step_work

    rows, columns = batch * inputs, batch * targets
    squares = config.encoder_layers * inputs**2 + config.decoder_layers * targets**2
    gradients = 2.0 * batch * config.heads * squares  # of the scores; cross-attention has no bias, and needs none
    parameters = 4.0 * (config.vocab_size * config.d_model + config.encoder_layers * 4 * config.d_model * config.inner
                        + config.decoder_layers * 8 * config.d_model * config.inner
                        + (config.encoder_layers + config.decoder_layers) * 2 * config.d_model * config.d_ff)  # fmt: skip
    layers = rows * config.encoder_layers, columns * config.decoder_layers
    work = step_work(config, batch, inputs, targets)
    again = {
        "matrices": 1.0,
        "attention": 9 / 6,  # the kernel multiplies twice forward, seven times backward
        "logits": 4 / 3,  # forward once more
    }
    streamed = {
        "attention": 2 * gradients,  # written by the kernel, and summed
        "logits": 6 * 4.0 * columns * config.vocab_size,  # made, read, made again, read, their gradient made and read
        # A sublayer: norm, dropout and residual read and write 6 times forward, again 4, backward 10; the encoder has 2.
        "norms, dropout, residuals": 20 * 2.0 * config.d_model * (2 * layers[0] + 3 * layers[1]),
        "relu and its dropout": 8 * 2.0 * config.d_ff * sum(layers),
        "AdaFactor": 10 * parameters,
    }
    print("| kind of work | TFLOP | GB moved | ms |\n|---|---|---|---|")
    total = 0.0
    for kind in dict.fromkeys([*work, *streamed]):
        flops, moved = work.get(kind, 0.0) * again.get(kind, 0.0), streamed.get(kind, 0.0)
        seconds = (flops / (PEAK * SHARES[kind]) if flops else 0.0) + moved / (BANDWIDTH * STREAMED)
        total += seconds
        print(f"| {kind} | {flops / 1e12:.1f} | {moved / 1e9:.1f} | {1000 * seconds:.1f} |")
    share = step_flops(config, batch, inputs, targets) / total / PEAK
    print(f"| a step | | | {1000 * total:.1f}: {100 * share:.0f} % of peak, {columns + rows:,} slots, "
          f"{(columns + rows) / total / 1e6:.2f} M a second |")  # fmt: skip
    print(f"\nassumed: {SHARES} of {PEAK / 1e12:.0f} TFLOP/s, {STREAMED} of {BANDWIDTH / 1e12} TB/s.")
