"""To and from Hugging Face's T5 checkpoints: a folder with config.json and model.safetensors.

Their Linear weights are [out, in], ours [in, out]. transformers 5 always ties the output matrix to the embedding and
keeps `scale_decoder_outputs` for the scaling that went with it; older versions wrote `tie_word_embeddings: false` for
v1.1. A file that has a `lm_head.weight` unlike `shared.weight` has an output matrix of its own, whatever its config
says: transformers decides in the same way.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from c4build.errors import UsageError
from c4build.t5 import digests
from c4build.t5.config import ModelConfig, changed
from c4build.t5.model import T5
from c4build.t5.objectives import SENTINELS
from c4build.t5.sharding import flatten, unflatten
from c4build.t5.trained import with_adapters

LAYER_NAMES = {
    "attention_norm": "layer.0.layer_norm",
    "attention": "layer.0.SelfAttention",
    "cross_norm": "layer.1.layer_norm",
    "cross_attention": "layer.1.EncDecAttention",
}


def hf_names(path: tuple, array, gated: bool):
    """(name in a Hugging Face file, index into `array`) of what the parameter at `path` of a T5 holds: of every layer."""
    if "layers" not in path:
        yield hf_name(path, None, gated), ...
    else:
        for layer in range(array.shape[0]):
            yield hf_name(path, layer, gated), layer


def hf_name(path: tuple, layer: int | None, gated: bool) -> str:
    if path == ("embedding",):
        return "shared.weight"
    if path == ("head",):
        return "lm_head.weight"
    stack, *rest = path
    if rest == ["relative_bias"]:
        return f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    if rest == ["norm", "scale"]:
        return f"{stack}.final_layer_norm.weight"
    _, part, leaf, *_ = rest
    block = f"{stack}.block.{layer}"
    feed_forward = f"layer.{2 if stack == 'decoder' else 1}"
    if part == "feed_forward_norm":
        return f"{block}.{feed_forward}.layer_norm.weight"
    if part == "feed_forward":
        leaf = {"wi": "wi_1" if gated else "wi", "gate": "wi_0", "wo": "wo"}[leaf]
        return f"{block}.{feed_forward}.DenseReluDense.{leaf}.weight"
    name = f"{block}.{LAYER_NAMES[part]}"
    return f"{name}.weight" if leaf == "scale" else f"{name}.{leaf}.weight"


def to_hf(params: nnx.State, config: ModelConfig) -> dict[str, np.ndarray]:
    """Every parameter, or its gradient, under Hugging Face's name and in its layout, float32."""
    gated = config.activation == "gated-gelu"
    arrays = {}
    for path, value in nnx.to_flat_state(params):
        array = np.asarray(value[...], np.float32)
        for name, index in hf_names(path, array, gated):
            arrays[name] = np.ascontiguousarray(array[index].T if path[-1] == "kernel" else array[index])
    return arrays


def as_encoder_decoder(config: ModelConfig, params: nnx.State) -> tuple[ModelConfig, nnx.State]:
    """The same model as an encoder and a decoder: of one set of weights, two copies. Raises UsageError where there is none."""
    if config.decoder_only or config.adapter:
        what = f"the architecture {config.architecture!r}" if config.decoder_only else "adapters"
        raise UsageError(f"a Hugging Face folder of T5 has no place for {what}; keep the run's own checkpoints")
    if config.architecture == "encoder-decoder":
        return config, params
    config = dataclasses.replace(config, architecture="encoder-decoder")
    flat = flatten(params)
    parts = [(key, leaf) for key, leaf in flat.items() if key.startswith("decoder.") and ".cross_" not in key]
    flat |= {key.replace("decoder.", "encoder.", 1): leaf for key, leaf in parts}
    return config, unflatten(nnx.state(nnx.eval_shape(lambda: T5(config, nnx.Rngs(0))), nnx.Param), flat)


def write_config(config: ModelConfig) -> dict:
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "d_ff": config.d_ff,
        "d_kv": config.d_kv,
        "num_heads": config.heads,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.decoder_layers,
        "feed_forward_proj": config.activation,
        "dropout_rate": config.dropout,
        "relative_attention_num_buckets": config.buckets,
        "relative_attention_max_distance": config.max_distance,
        "layer_norm_epsilon": config.epsilon,
        # transformers reads this as "scale the decoder's output", and decides about the matrix by the weights.
        "tie_word_embeddings": config.scale_logits,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }


def read_config(fields: dict, own_head: bool, **changes) -> ModelConfig:
    if fields["feed_forward_proj"] not in ("relu", "gated-gelu"):
        raise UsageError(
            f"feed_forward_proj {fields['feed_forward_proj']!r} is neither T5's relu nor v1.1's gated-gelu"
        )
    config = {
        "vocab_size": fields["vocab_size"],
        "d_model": fields["d_model"],
        "d_ff": fields["d_ff"],
        "d_kv": fields["d_kv"],
        "heads": fields["num_heads"],
        "encoder_layers": fields["num_layers"],
        "decoder_layers": fields.get("num_decoder_layers") or fields["num_layers"],
        "activation": fields["feed_forward_proj"],
        "own_head": own_head,
        "scale_logits": fields.get("scale_decoder_outputs", fields.get("tie_word_embeddings") is not False),
        "dropout": fields.get("dropout_rate", 0.1),
        "buckets": fields.get("relative_attention_num_buckets", 32),
        "max_distance": fields.get("relative_attention_max_distance", 128),
        "epsilon": fields.get("layer_norm_epsilon", 1e-6),
    }
    return changed(ModelConfig(**config), **changes)


def load(folder, **changes) -> tuple[ModelConfig, nnx.State]:
    """The model in a Hugging Face folder. `changes` are fields of ModelConfig (`dtype`, `dropout`, `remat`); with `adapter`
    it has new ones.

    Raises UsageError naming the arrays that are missing, unknown or of another shape.
    """
    folder = Path(folder)
    adapter = changes.pop("adapter", 0)
    if changes.get("architecture", "encoder-decoder") != "encoder-decoder":
        raise UsageError(f"{folder}: a Hugging Face folder holds an encoder-decoder, no {changes['architecture']!r}")
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder}: no {name}; a Hugging Face folder of a T5 has config.json and model.safetensors"
            )
    check_export(folder)
    try:
        arrays = load_file(folder / "model.safetensors")
    except SafetensorError as error:
        raise UsageError(f"{folder / 'model.safetensors'}: {error}") from error
    if "shared.weight" not in arrays:
        raise UsageError(f"{folder / 'model.safetensors'}: no array shared.weight; it is no T5")
    shared = arrays["shared.weight"]
    own_head = "lm_head.weight" in arrays and not np.array_equal(arrays["lm_head.weight"], shared)
    config = read_config(json.loads((folder / "config.json").read_text()), own_head, **changes)
    if not own_head:
        arrays.pop("lm_head.weight", None)
    for name in [name for name in arrays if re.fullmatch(r"(encoder|decoder)\.embed_tokens\.weight", name)]:
        del arrays[name]  # copies of the embedding, written by old versions
    params = nnx.state(nnx.eval_shape(lambda: T5(config, nnx.Rngs(0))), nnx.Param)
    flat = nnx.to_flat_state(params)
    gated = config.activation == "gated-gelu"
    for path, value in flat:
        whole = np.empty(value.shape, np.float32)
        for name, index in hf_names(path, whole, gated):
            if name not in arrays:
                raise UsageError(f"{folder / 'model.safetensors'}: no array {name}")
            array = arrays.pop(name).astype(np.float32)
            array = array.T if path[-1] == "kernel" else array
            if array.shape != whole[index].shape:
                raise UsageError(
                    f"{folder / 'model.safetensors'}: {name} is {array.shape}, config.json says {whole[index].shape}"
                )
            whole[index] = array
        value.set_value(jax.numpy.asarray(whole))
    if arrays:
        raise UsageError(f"{folder / 'model.safetensors'}: arrays that T5 does not have: {', '.join(sorted(arrays))}")
    if adapter:
        config = changed(config, adapter=adapter)
        shapes = nnx.state(nnx.eval_shape(lambda: T5(config, nnx.Rngs(0))), nnx.Param)
        params = unflatten(shapes, with_adapters(config, flatten(params)))
    return config, params


def save(folder, config: ModelConfig, params: nnx.State, vocabulary=None) -> None:
    """Writes config.json and model.safetensors as `transformers` reads them, spiece.model, and their digests.

    Raises UsageError for a model that `transformers` does not have, and where the folder has another checkpoint.
    """
    config, params = as_encoder_decoder(config, params)
    names = ["config.json", "model.safetensors"]
    if vocabulary is not None:
        names += ["spiece.model", "tokenizer_config.json"]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name in names if (folder / name).exists()]
    if there and not (folder / digests.DIGEST).exists():
        raise UsageError(f"{folder} holds {', '.join(there)} that c4build did not write: give another --hf")
    save_file(to_hf(params, config), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(write_config(config), indent=2) + "\n")
    if vocabulary is not None:
        shutil.copyfile(vocabulary.path, folder / "spiece.model")
        fields = {"tokenizer_class": "T5Tokenizer", "extra_ids": vocabulary.sentinels}
        (folder / "tokenizer_config.json").write_text(json.dumps(fields, indent=2) + "\n")
    digests.seal(folder, names)


def sentinels(folder) -> int:
    """How many sentinels go with the vocabulary in a folder."""
    path = Path(folder) / "tokenizer_config.json"
    return json.loads(path.read_text()).get("extra_ids", SENTINELS) if path.exists() else SENTINELS


def check_export(folder: Path) -> None:
    """Raises ChangedFile where a folder of ours is not as it was written. One that others wrote has no digest."""
    fault = digests.fault(folder, whole=False) if (folder / digests.DIGEST).is_file() else None
    if fault:
        raise digests.ChangedFile(
            f"{fault}: export the run again, or delete {folder / digests.DIGEST} if the change was meant"
        )


def count(params: nnx.State) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))
