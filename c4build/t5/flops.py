"""The work of a training step and the share of the device's peak that it reaches (model FLOPs utilisation).

A matrix of n numbers costs 2n FLOPs a token forward, twice that backward: 6n. The encoder's matrices see the inputs, the
decoder's the targets, the decoder's keys and values of the encoder the inputs again, the output matrix the targets. A decoder
alone sees all as targets. Matrices that are not trained cost 4n: their own gradient is not computed.
Attention's two products cost 4 * queries * keys * inner forward, three times that with the backward pass. Norms, softmax
and what rematerialisation repeats are not counted; padding is, since it is computed.
"""

import functools
import time

from c4build.t5.config import ModelConfig

# Dense bf16 peak of one device, TFLOP/s, from the makers' data sheets.
PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12,
    "RTX 4090": 165e12, "V100": 125e12, "T4": 65e12,
    "TPU v6": 918e12, "TPU v5p": 459e12, "TPU v5 lite": 197e12, "TPU v5": 459e12, "TPU v4": 275e12, "TPU v3": 123e12,
}  # fmt: skip


def step_work(config: ModelConfig, batch: int, inputs: int, targets: int, trained: str = "all") -> dict[str, float]:
    """FLOPs by kind of one training step on `batch` rows of `inputs` (0 for a decoder alone) and `targets` tokens."""
    attention = 4 * config.d_model * config.inner
    feed_forward = (3 if config.activation == "gated-gelu" else 2) * config.d_model * config.d_ff
    encoder = config.encoder_layers * (attention + feed_forward)
    cross = 0 if config.decoder_only else config.decoder_layers * attention // 2
    decoder = config.decoder_layers * (attention + feed_forward) + cross
    scores = config.encoder_layers * inputs * inputs + config.decoder_layers * targets * (targets + inputs)
    adapters = 2 * config.d_model * config.adapter * (config.encoder_layers * inputs + config.decoder_layers * targets)
    each = 4.0 if trained == "adapters" else 6.0
    work = {
        "matrices": batch * each * (inputs * (encoder + cross) + targets * decoder),
        "attention": batch * 12.0 * scores * config.inner,
        "logits": batch * each * targets * config.vocab_size * config.d_model,
    }
    return work | ({"adapters": batch * 6.0 * adapters} if adapters else {})


def step_flops(config: ModelConfig, batch: int, inputs: int, targets: int, trained: str = "all") -> float:
    """Of one training step: what the share of the peak is counted by."""
    return sum(step_work(config, batch, inputs, targets, trained).values())


@functools.cache
def measured_peak(size: int = 1024) -> float:
    """FLOP/s of one device on a float32 matrix product: the yardstick where no data sheet is known (a CPU)."""
    import jax

    a = jax.numpy.ones((size, size), "float32")
    product = jax.jit(lambda x: x @ x)
    product(a).block_until_ready()
    best = min(_time(lambda: product(a).block_until_ready()) for _ in range(5))
    return 2.0 * size**3 / best


def _time(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def device_peak(device) -> tuple[float, str]:
    """(FLOP/s of one device, where the number comes from)."""
    for part, peak in PEAKS.items():
        if part.lower() in device.device_kind.lower():
            return peak, "data sheet, bf16"
    import jax

    # Pretended CPU devices share one processor.
    shared = jax.local_device_count() if device.platform == "cpu" else 1
    return measured_peak() / shared, "measured, float32 product"
