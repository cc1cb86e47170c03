"""Sizes of the model. No imports beyond the standard library, so that `--help` stays fast."""

import dataclasses
from typing import Any

from c4build.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One T5. The defaults are the paper's Base (section 3.1.1).

    `activation` is "relu" (v1.0) or "gated-gelu" (v1.1). `own_head`: an output matrix of its own instead of the
    embedding. `scale_logits`: d_model**-0.5 before the logits. `dtype` is what matrix products run in; parameters,
    norms, softmax, logits and loss are float32 whatever it says. `attention` says which code computes attention
    (`attention.py`). `remat` says what the backward pass computes again, under T5X's names: "none" the attention scores
    alone, "minimal" all but the products with the layers' matrices, "full" all but the layers' inputs.

    `architecture` is one of section 3.2: "encoder-decoder"; "shared", where one set of weights is both encoder and decoder
    (attention to the encoder is the decoder's alone); "lm" and "prefix-lm", a decoder of `decoder_layers` alone. `adapter`
    is the inner width of the adapters (section 3.5.1), 0 for none.
    """

    vocab_size: int = 32128
    d_model: int = 768
    d_ff: int = 3072
    d_kv: int = 64
    heads: int = 12
    encoder_layers: int = 12
    decoder_layers: int = 12
    activation: str = "relu"
    own_head: bool = False
    scale_logits: bool = True
    dropout: float = 0.1
    buckets: int = 32
    max_distance: int = 128
    epsilon: float = 1e-6
    dtype: str = "float32"
    attention: str = "auto"
    remat: str = "none"
    architecture: str = "encoder-decoder"
    adapter: int = 0

    @property
    def decoder_only(self) -> bool:
        return self.architecture in ("lm", "prefix-lm")

    @property
    def inner(self) -> int:
        return self.heads * self.d_kv


# The paper's five (section 3.7), and two for tests and demonstrations.
SIZES = {
    "mini": {"d_model": 32, "d_ff": 64, "d_kv": 8, "heads": 4, "encoder_layers": 2, "decoder_layers": 2},
    "tiny": {"d_model": 128, "d_ff": 512, "d_kv": 32, "heads": 4, "encoder_layers": 2, "decoder_layers": 2},
    "small": {"d_model": 512, "d_ff": 2048, "d_kv": 64, "heads": 8, "encoder_layers": 6, "decoder_layers": 6},
    "base": {"d_model": 768, "d_ff": 3072, "d_kv": 64, "heads": 12, "encoder_layers": 12, "decoder_layers": 12},
    "large": {"d_model": 1024, "d_ff": 4096, "d_kv": 64, "heads": 16, "encoder_layers": 24, "decoder_layers": 24},
    "3B": {"d_model": 1024, "d_ff": 16384, "d_kv": 128, "heads": 32, "encoder_layers": 24, "decoder_layers": 24},
    "11B": {"d_model": 1024, "d_ff": 65536, "d_kv": 128, "heads": 128, "encoder_layers": 24, "decoder_layers": 24},
}


CHOICES = {
    "activation": ("relu", "gated-gelu"),
    "dtype": ("float32", "bfloat16"),
    "attention": ("auto", "plain", "fused", "kernel"),
    "remat": ("none", "minimal", "full"),
    "architecture": ("encoder-decoder", "shared", "lm", "prefix-lm"),
}


def model_config(size: str, **changes) -> ModelConfig:
    """The named size with any number changed. Raises UsageError for a name or a number that does not exist."""
    if size not in SIZES:
        raise UsageError(f"no model size {size!r}; there are {', '.join(SIZES)}")
    return changed(ModelConfig(), **(SIZES[size] | changes))


def changed(config: ModelConfig, **changes) -> ModelConfig:
    """`config` with other numbers. Raises UsageError for one that does not exist, or is of another type."""
    fields: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(ModelConfig)}
    if isinstance(changes.get("remat"), bool):  # as runs and studies said it before there were policies
        changes["remat"] = "full" if changes["remat"] else "none"
    for name, value in changes.items():
        if name not in fields:
            raise UsageError(f"a model has no {name!r}; it has {', '.join(fields)}")
        wanted = (int, float) if fields[name] is float else fields[name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and fields[name] is not bool):
            raise UsageError(f"{name} = {value!r}: it must be {fields[name].__name__}")
        if fields[name] is int and value < (name != "adapter"):
            raise UsageError(f"{name} = {value}: it must be {int(name != 'adapter')} or more")
    for name, choices in CHOICES.items():
        if changes.get(name, choices[0]) not in choices:
            raise UsageError(f"{name} = {changes[name]!r}: it must be one of {', '.join(choices)}")
    if not 0 <= changes.get("dropout", 0) < 1:
        raise UsageError(f"dropout = {changes['dropout']}: it must be 0 or more, and less than 1")
    config = dataclasses.replace(config, **changes)
    if config.architecture == "shared" and config.encoder_layers != config.decoder_layers:
        raise UsageError(
            f"architecture = 'shared': encoder_layers = {config.encoder_layers} and decoder_layers = "
            f"{config.decoder_layers} must be the same number, since they are the same layers"
        )
    return config


def padded_vocabulary(size: int) -> int:
    """Rows of the embedding for `size` ids: the next multiple of 128, so that the matrix divides over devices (32,100
    becomes T5's own 32,128)."""
    return -(-size // 128) * 128
