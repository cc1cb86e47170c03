"""Writes float64.npz beside each golden.npz: the same gradients by transformers in float64, the truth that float32 rounds.

python tests/t5/golden/make_float64.py
"""

from pathlib import Path

import numpy as np
import torch
import transformers

NAMES = {
    "grad_shared": "shared.weight",
    "grad_encoder_0_q": "encoder.block.0.layer.0.SelfAttention.q.weight",
    "grad_decoder_last_wo": "decoder.block.1.layer.2.DenseReluDense.wo.weight",
    "grad_encoder_relative_bias": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "grad_encoder_final_norm": "encoder.final_layer_norm.weight",
}

for folder in sorted(Path(__file__).parent.glob("t5-*")):
    arrays = np.load(folder / "golden.npz")
    model = transformers.T5ForConditionalGeneration.from_pretrained(folder).double().eval()
    model(
        **{name: torch.tensor(arrays[name]).long() for name in ("input_ids", "attention_mask", "labels")}
    ).loss.backward()
    weights = dict(model.named_parameters())
    np.savez_compressed(
        folder / "float64.npz", **{name: weights[weight].grad.numpy() for name, weight in NAMES.items()}
    )
