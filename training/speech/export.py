"""Checkpoint -> the five files of a Whisper in CTranslate2's form, as faster-whisper loads it. Knows no training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ctranslate2.specs import whisper_spec
from torch import nn

from training.speech import features
from training.speech.config import WINDOW
from training.speech.model import Attention, SpeechModel
from training.speech.tokens import tokens

# Only sound of the window's length is looked at in one go; a longer clip is walked through.
PREPROCESSOR = {
    "chunk_length": WINDOW // 50,  # seconds
    "feature_size": features.MELS,
    "hop_length": features.HOP,
    "n_fft": features.WINDOW,
    "sampling_rate": features.SAMPLE_RATE,
}


def export(model: SpeechModel, folder: Path, compute_type: str = "int8") -> None:
    """Write `model` to `folder`; `int8`, `float16` or `float32`."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = make_spec(model)
    spec.validate()
    spec.optimize(compute_type)
    spec.save(str(folder))
    tokens().save(folder / "tokenizer.json")
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR, indent=2) + "\n", "utf-8")


def make_spec(model: SpeechModel) -> Any:
    """The weights under CTranslate2's names."""
    config, known = model.config, tokens()
    spec = whisper_spec.WhisperSpec(config.encoder_layers, config.heads, config.decoder_layers, config.heads)
    encoder, decoder = model.encoder, model.decoder
    for theirs, conv in ((spec.encoder.conv1, encoder.conv1), (spec.encoder.conv2, encoder.conv2)):
        theirs.weight, theirs.bias = array(conv.weight), array(conv.bias)
    spec.encoder.position_encodings.encodings = array(encoder.all_positions())
    set_norm(spec.encoder.layer_norm, encoder.norm)
    for layer, block in zip(spec.encoder.layer, encoder.blocks, strict=True):
        set_attention(layer.self_attention, block.attention, block.attention_norm)
        set_mlp(layer.ffn, block)

    spec.decoder.embeddings.weight = array(decoder.table())
    spec.decoder.projection.weight = array(decoder.table())  # tied: stored once
    spec.decoder.position_encodings.encodings = array(decoder.positions)
    set_norm(spec.decoder.layer_norm, decoder.norm)
    for layer, block in zip(spec.decoder.layer, decoder.blocks, strict=True):
        set_attention(layer.self_attention, block.attention, block.attention_norm)
        set_attention(layer.attention, block.cross, block.cross_norm, of_memory=True)
        set_mlp(layer.ffn, block)

    spec.register_vocabulary(known.vocabulary())
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []  # else `<|endoftext|>` is banned at first, and silence must be words
    spec.config.lang_ids = [known.english]
    spec.config.alignment_heads = [[1, 0]]  # the head that was taught to look at the word to come
    return spec


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().contiguous().numpy().copy()


def set_norm(spec: Any, norm: nn.LayerNorm) -> None:
    spec.gamma, spec.beta = array(norm.weight), array(norm.bias)


def set_attention(spec: Any, attention: Attention, norm: nn.LayerNorm, of_memory: bool = False) -> None:
    """Query, key and value in one matrix; looking at the encoder, the query apart. Keys have no bias."""
    set_norm(spec.layer_norm, norm)
    query, key, value = attention.query, attention.key, attention.value
    weights = [array(part.weight) for part in (query, key, value)]
    biases = [array(query.bias), np.zeros(len(weights[1]), np.float32), array(value.bias)]
    groups = ([0], [1, 2]) if of_memory else ([0, 1, 2],)
    for linear, group in zip(spec.linear, groups, strict=False):
        linear.weight = np.concatenate([weights[i] for i in group])
        linear.bias = np.concatenate([biases[i] for i in group])
    spec.linear[-1].weight, spec.linear[-1].bias = array(attention.out.weight), array(attention.out.bias)


def set_mlp(spec: Any, block: Any) -> None:
    set_norm(spec.layer_norm, block.mlp_norm)
    spec.linear_0.weight, spec.linear_0.bias = array(block.mlp.up.weight), array(block.mlp.up.bias)
    spec.linear_1.weight, spec.linear_1.bias = array(block.mlp.down.weight), array(block.mlp.down.bias)
