"""Reads the exported GGUF files back into the network, to go on training from what is shipped.

The weights are those of the files, so of Q8_0: nothing is lost that matters beside a step of training. The heads for
training only are not in them, and begin anew.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import torch
from torch import Tensor

from training.config import Config
from training.export import DECODER_NAMES, PROJECTOR_NAMES, VISION_NAMES
from training.model import StarterModel


def restore(weights: Path, projector: Path) -> StarterModel:
    """The network as the two files have it."""
    config = Config()
    decoder, vision = _tensors(weights), _tensors(projector)
    found = {"embed.weight": decoder["token_embd.weight"], "norm.weight": decoder["output_norm.weight"]}
    for i in range(config.layers):
        for theirs, ours in DECODER_NAMES.items():
            weight = decoder[f"blk.{i}.{theirs}.weight"]
            found[f"blocks.{i}.{ours}.weight"] = rotate_half(weight, config.heads) if ours in ("q", "k") else weight
    found["encoder.position"] = vision["v.position_embd.weight"]
    found["encoder.patch.weight"] = vision["v.patch_embd.weight"].reshape(config.vision_width, -1)
    found["encoder.patch.bias"] = vision["v.patch_embd.bias"]
    pairs = dict(PROJECTOR_NAMES)
    for i in range(config.vision_layers):
        pairs |= {f"v.blk.{i}.{theirs}": f"encoder.blocks.{i}.{ours}" for theirs, ours in VISION_NAMES.items()}
    for theirs, ours in pairs.items():
        found |= {f"{ours}.{part}": vision[f"{theirs}.{part}"] for part in ("weight", "bias")}
    model = StarterModel(config)
    missing, unknown = model.load_state_dict(found, strict=False)
    assert not unknown and all(name.startswith("aux.") for name in missing), (missing, unknown)
    return model


def _tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a GGUF file as float32, in torch's order of dimensions."""
    return {
        tensor.name: torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
        for tensor in gguf.GGUFReader(path).tensors
    }


def rotate_half(weight: Tensor, heads: int) -> Tensor:
    """Rows of q or k from llama.cpp's RoPE pairs back to rotate-half order: export.interleaved undone."""
    half = weight.shape[0] // heads // 2
    return weight.view(heads, half, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
