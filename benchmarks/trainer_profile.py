"""Where a training step's time goes on this GPU: `python benchmarks/trainer.py --profile`.

Steps are run on one batch of made-up packed rows, without the data pipeline; their time is taken over many of them, then a
few are traced by JAX's profiler and its kernels are summed up by the part of the model that they belong to.
"""

import collections
import glob
import re
import tempfile
import time


def made_state(options, config):
    """(the jitted step, a state, a batch of full rows, each of one example)."""
    import numpy as np

    from c4build.t5 import sharding
    from c4build.t5.checkpoint import model_graph
    from c4build.t5.optimizer import adafactor, inverse_square_root
    from c4build.t5.step import make_step, new_parameters, start_state

    mesh = sharding.make_mesh(1, 1)
    graph, _ = model_graph(config)
    optimizer = adafactor(inverse_square_root())
    state = start_state(new_parameters(config, 0, mesh), optimizer, mesh)
    step = make_step(graph, optimizer, mesh, options.accumulate, 1e-4)
    rng = np.random.default_rng(0)
    batch = {}
    for side, length in (("input", options.length), ("target", options.targets)):
        batch[f"{side}s"] = rng.integers(3, 8000, (options.batch, length)).astype(np.int32)
        batch[f"{side}_segments"] = np.ones((options.batch, length), np.int32)
    return step, state, sharding.put_batch(batch, mesh)


def profile(options) -> dict:
    import jax

    from c4build.t5.config import model_config
    from c4build.t5.flops import device_peak, step_flops

    config = model_config(options.size, vocab_size=options.vocabulary, dtype=options.dtype, remat=options.remat,
                          attention=options.attention, dropout=0.1)  # fmt: skip
    step, state, batch = made_state(options, config)
    begun = time.perf_counter()
    compiled = step.lower(state, batch, 0).compile()
    compiling = time.perf_counter() - begun
    for _ in range(options.warm):
        state, metrics = compiled(state, batch, 0)
    jax.block_until_ready(state)
    begun = time.perf_counter()
    for _ in range(options.steps):
        state, metrics = compiled(state, batch, 0)
    jax.block_until_ready(state)
    seconds = (time.perf_counter() - begun) / options.steps
    peak, _ = device_peak(jax.devices()[0])
    share = step_flops(config, options.batch, options.length, options.targets) / seconds / peak
    memory = compiled.memory_analysis()
    stats = jax.devices()[0].memory_stats() or {}
    print(f"{jax.devices()[0].device_kind}: {options.size}, {options.batch} x {options.length} and {options.targets}, "
          f"{options.dtype}, remat {options.remat}, attention {options.attention}: {1000 * seconds:.1f} ms a step, "
          f"{100 * share:.1f} % of peak; compiled in {compiling:.0f} s; XLA's temporary {memory.temp_size_in_bytes / 2**30:.1f} GiB, "
          f"most held {stats.get('peak_bytes_in_use', 0) / 2**30:.1f} GiB; loss {float(metrics['loss']):.4f}", flush=True)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(3):
                state, _ = compiled(state, batch, 0)
            jax.block_until_ready(state)
        kernels(folder, 3, options.kernels)
    return {"seconds": seconds, "share": share, "compiling": compiling}


KINDS = {  # of kernels, by the first that fits their name
    "products with matrices": r"nvjet|gemm|xmma|cublas",
    "attention": r"^_?_?(forward|keys|queries)_kernel|cudnn|fmha",
    "all else (norms, dropout, residuals, loss, AdaFactor)": "",
}


def kernels(folder: str, steps: int, most: int) -> None:
    """Prints milliseconds a step by kind of kernel, and the longest kernels by name."""
    import jax

    found: collections.Counter = collections.Counter()
    counts: collections.Counter = collections.Counter()
    for name in glob.glob(f"{folder}/**/*.xplane.pb", recursive=True):
        for plane in jax.profiler.ProfileData.from_file(name).planes:
            for line in plane.lines if "GPU" in plane.name else ():
                for event in line.events if line.name.startswith("Stream") else ():
                    kernel = re.sub(r"[_.]\d+", "", event.name)[:80]
                    found[kernel] += event.duration_ns / steps / 1e6
                    counts[kernel] += 1
    kinds: collections.Counter = collections.Counter()
    for kernel, spent in found.items():
        kinds[next(kind for kind, names in KINDS.items() if re.search(names, kernel))] += spent
    for heading, times in (("kind of kernel", kinds), ("kernel", found)):
        print(f"\n| {heading} | ms a step | of them a step |\n|---|---|---|")
        for name, spent in times.most_common(most):
            print(f"| {name} | {spent:.2f} | {counts[name] // steps if counts[name] else ''} |")
