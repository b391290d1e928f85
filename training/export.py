"""Writes the trained model as two GGUF files llama.cpp understands: the decoder, and encoder with projector."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from torch import Tensor

from training import tokenizer
from training.config import Config
from training.model import StarterModel

# Jinja, written so that llama.cpp's own detection also takes it for "vicuna".
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + '</s>\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
FILE_TYPES = {"f16": LlamaFileType.MOSTLY_F16, "q8_0": LlamaFileType.MOSTLY_Q8_0, "f32": LlamaFileType.ALL_F32}
# llama.cpp's names and ours: of a decoder's block, of an encoder's, and of what there is one of
DECODER_NAMES = {
    "attn_norm": "norm1", "ffn_norm": "norm2", "attn_q": "q", "attn_k": "k", "attn_v": "v",
    "attn_output": "o", "ffn_gate": "gate", "ffn_up": "up", "ffn_down": "down",
}  # fmt: skip
VISION_NAMES = {
    "ln1": "ln1", "ln2": "ln2", "attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_out": "o",
    "ffn_up": "up", "ffn_down": "down",
}  # fmt: skip
PROJECTOR_NAMES = {"v.pre_ln": "encoder.pre", "v.post_ln": "encoder.post", "mm.0": "mm0", "mm.2": "mm2"}
DESCRIPTION = "A starter model trained from scratch on drawn pictures of coloured shapes; it knows nothing else."


def write_tensor(writer: GGUFWriter, name: str, tensor: Tensor, file_type: str) -> None:
    array = tensor.detach().float().numpy().copy()
    if array.ndim == 1 or name == "v.position_embd.weight" or file_type == "f32":
        writer.add_tensor(name, array.astype(np.float32))
    elif file_type == "q8_0" and array.ndim == 2:
        quantized = gguf.quants.quantize(array, GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, quantized, raw_dtype=GGMLQuantizationType.Q8_0)
    else:
        writer.add_tensor(name, array.astype(np.float16))


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """Rows of q or k from rotate-half order to llama.cpp's RoPE pairs."""
    half = weight.shape[0] // heads // 2
    return weight.view(heads, 2, half, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def describe_file(writer: GGUFWriter, kind: str, file_type: str) -> None:
    writer.add_type(kind)
    writer.add_name("mmcli starter")
    writer.add_description(DESCRIPTION)
    writer.add_license("MIT")
    writer.add_file_type(FILE_TYPES[file_type])


def finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_decoder(state: dict[str, Tensor], config: Config, path: Path, file_type: str) -> None:
    known = tokenizer.load()
    writer = GGUFWriter(path, "llama")
    describe_file(writer, "model", file_type)
    writer.add_context_length(2048)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ff)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.heads)
    writer.add_layer_norm_rms_eps(config.eps)
    writer.add_rope_dimension_count(config.width // config.heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_vocab_size(len(known.tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(known.tokens)
    specials = len(tokenizer.SPECIALS)
    kinds = [gguf.TokenType.CONTROL] * specials + [gguf.TokenType.NORMAL] * (len(known.tokens) - specials)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in known.merges])
    writer.add_bos_token_id(tokenizer.BOS)
    writer.add_eos_token_id(tokenizer.EOS)
    writer.add_pad_token_id(tokenizer.PAD)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)
    write_tensor(writer, "token_embd.weight", state["embed.weight"], file_type)  # tied: no output.weight
    write_tensor(writer, "output_norm.weight", state["norm.weight"], file_type)
    for i in range(config.layers):
        for theirs, ours in DECODER_NAMES.items():
            weight = state[f"blocks.{i}.{ours}.weight"]
            if ours in ("q", "k"):
                weight = interleaved(weight, config.heads)
            write_tensor(writer, f"blk.{i}.{theirs}.weight", weight, file_type)
    finish(writer)


def write_projector(state: dict[str, Tensor], config: Config, path: Path, file_type: str) -> None:
    writer = GGUFWriter(path, "clip")
    describe_file(writer, "mmproj", file_type)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", True)  # the tanh approximation
    key = "clip.vision."
    writer.add_uint32(key + "image_size", config.image_size)
    writer.add_uint32(key + "patch_size", config.patch_size)
    writer.add_uint32(key + "embedding_length", config.vision_width)
    writer.add_uint32(key + "feed_forward_length", config.vision_ff)
    writer.add_uint32(key + "block_count", config.vision_layers)
    writer.add_uint32(key + "attention.head_count", config.vision_heads)
    writer.add_float32(key + "attention.layer_norm_epsilon", config.eps)
    writer.add_uint32(key + "projection_dim", config.width)
    writer.add_array(key + "image_mean", [0.5, 0.5, 0.5])
    writer.add_array(key + "image_std", [0.5, 0.5, 0.5])
    writer.add_array(key + "feature_layer", [config.vision_layers])  # or llama.cpp leaves the last block out
    writer.add_string(key + "mm_patch_merge_type", "flat")
    size, e = config.patch_size, "encoder."
    patch = state[e + "patch.weight"].view(config.vision_width, 3, size, size)
    write_tensor(writer, "v.patch_embd.weight", patch, file_type)
    write_tensor(writer, "v.patch_embd.bias", state[e + "patch.bias"], file_type)
    write_tensor(writer, "v.position_embd.weight", state[e + "position"], file_type)
    parts = dict(PROJECTOR_NAMES)
    for i in range(config.vision_layers):
        parts |= {f"v.blk.{i}.{theirs}": f"{e}blocks.{i}.{ours}" for theirs, ours in VISION_NAMES.items()}
    for theirs, ours in parts.items():
        for kind in ("weight", "bias"):
            write_tensor(writer, f"{theirs}.{kind}", state[f"{ours}.{kind}"], file_type)
    finish(writer)


def export(model: StarterModel, folder: Path, file_type: str = "q8_0") -> tuple[Path, Path]:
    """Write `starter.gguf` and `starter-mmproj.gguf` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / "starter.gguf", folder / "starter-mmproj.gguf"
    state = model.state_dict()
    write_decoder(state, model.config, weights, file_type)
    write_projector(state, model.config, projector, file_type)
    return weights, projector
