"""Writes LLaVA-shaped models with random weights, for tests and benchmarks on the real llama.cpp.

Speed and token-for-token equality with another program do not depend on what the weights have learnt. Knows the GGUF
writer only. `python -m tests.random_llava PRESET FOLDER` writes one of the presets.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

VICUNA = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] + ' ' }}"
    "{% elif m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}"
    "{% else %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """Text and vision: layers, widths, heads; vocabulary in tokens; side and patch of the picture in pixels."""

    layers: int = 2
    width: int = 64
    ff: int = 128
    heads: int = 4
    kv_heads: int = 2
    vocab: int = 512
    vision_layers: int = 2
    vision_width: int = 64
    vision_ff: int = 128
    vision_heads: int = 4
    side: int = 56
    patch: int = 14
    type: Type = Type.Q8_0
    context: int = 4096

    @property
    def image_tokens(self) -> int:
        return (self.side // self.patch) ** 2


PRESETS = {
    "tiny": Shape(),
    # Enough work that a prefix is worth storing (0.3 s): many picture tokens through a narrow model.
    "slow": Shape(8, 512, 1536, 8, 8, 512, 8, 384, 1536, 6, 448, 14),
    "160m": Shape(12, 768, 2048, 12, 4, 32_000, 12, 768, 3072, 12, 224, 16),
    "1b": Shape(22, 2048, 5632, 32, 4, 32_000, 24, 1024, 4096, 16, 336, 14, Type.Q4_0),
}  # fmt: skip


class _Writer:
    def __init__(self, path: Path, architecture: str, seed: int, max_tensors: int = 0) -> None:
        self.gguf = gguf.GGUFWriter(path, architecture, split_max_tensors=max_tensors)
        self._random = np.random.default_rng(seed)
        self._blocks: dict[tuple[int, str], np.ndarray] = {}

    def matrix(self, name: str, rows: int, columns: int, kind: Type, *, tiled: bool = True) -> None:
        """A random (rows, columns) matrix: 64 rows, then shifted copies of them (quantizing in numpy is slow)."""
        key = (columns, kind.name)
        if not tiled or key not in self._blocks:
            height = 64 if tiled else rows
            values = (self._random.standard_normal((height, columns)) * 0.05).astype(np.float32)
            block = gguf.quants.quantize(values, kind)
            if not tiled:
                self.gguf.add_tensor(name, block, raw_dtype=kind)
                return
            self._blocks[key] = block
        turned = np.roll(self._blocks[key], int(self._random.integers(64)), axis=0)
        self.gguf.add_tensor(name, np.tile(turned, (-(-rows // 64), 1))[:rows], raw_dtype=kind)

    def half(self, name: str, *shape: int) -> None:
        self.whole(name, *shape, kind=np.float16)

    def whole(self, name: str, *shape: int, kind: type = np.float32) -> None:
        self.gguf.add_tensor(name, (self._random.standard_normal(shape) * 0.05).astype(kind))

    def vector(self, name: str, size: int, value: float) -> None:
        self.gguf.add_tensor(name, np.full(size, value, np.float32))

    def close(self) -> None:
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_tensors_to_file()
        self.gguf.close()


def write(
    folder: Path,
    name: str = "tiny",
    shape: Shape | None = None,
    *,
    template: str | None = VICUNA,
    metadata: dict[str, str] | None = None,
    seed: int = 0,
    max_tensors: int = 0,
) -> tuple[Path, Path]:
    """Write NAME.gguf and NAME-mmproj.gguf into `folder`; return their paths. The shape defaults to the preset NAME.

    With `max_tensors` the weights are split, so many tensors a file, and the path is that of the first part.
    """
    shape = shape or PRESETS[name]
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / f"{name}.gguf", folder / f"{name}-mmproj.gguf"
    _write_weights(weights, name, shape, template, metadata or {}, seed, max_tensors=max_tensors)
    _write_projector(projector, name, shape, seed + 1)
    return min(folder.glob(f"{name}-00001-of-*.gguf"), default=weights) if max_tensors else weights, projector


def _write_weights(
    path: Path,
    name: str,
    shape: Shape,
    template: str | None,
    metadata: dict[str, str],
    seed: int,
    architecture: str = "llama",
    max_tensors: int = 0,
) -> None:
    out = _Writer(path, architecture, seed, max_tensors)
    if architecture == "qwen2vl":
        quarter = shape.width // shape.heads // 8
        out.gguf.add_rope_dimension_sections([2 * quarter, quarter, quarter, 0])
    values: dict[str, Any] = {
        "context_length": shape.context,
        "embedding_length": shape.width,
        "block_count": shape.layers,
        "feed_forward_length": shape.ff,
        "rope_dimension_count": shape.width // shape.heads,
        "vocab_size": shape.vocab,
    }
    out.gguf.add_name(metadata.get("general.name", name))
    out.gguf.add_context_length(values["context_length"])
    out.gguf.add_embedding_length(values["embedding_length"])
    out.gguf.add_block_count(values["block_count"])
    out.gguf.add_feed_forward_length(values["feed_forward_length"])
    out.gguf.add_head_count(shape.heads)
    out.gguf.add_head_count_kv(shape.kv_heads)
    out.gguf.add_layer_norm_rms_eps(1e-5)
    out.gguf.add_rope_dimension_count(values["rope_dimension_count"])
    out.gguf.add_rope_freq_base(10_000.0)
    out.gguf.add_vocab_size(values["vocab_size"])
    add_vocabulary(out.gguf, shape.vocab)
    if template is not None:
        out.gguf.add_chat_template(template)
    kv_width = shape.width // shape.heads * shape.kv_heads
    out.matrix("token_embd.weight", shape.vocab, shape.width, shape.type)
    out.vector("output_norm.weight", shape.width, 1.0)
    # The output head is random throughout, so that the likeliest token is not always one of the first 64.
    out.matrix("output.weight", shape.vocab, shape.width, Type.Q8_0, tiled=False)
    for i in range(shape.layers):
        out.vector(f"blk.{i}.attn_norm.weight", shape.width, 1.0)
        out.vector(f"blk.{i}.ffn_norm.weight", shape.width, 1.0)
        for tensor, rows, columns in (
            ("attn_q", shape.width, shape.width),
            ("attn_k", kv_width, shape.width),
            ("attn_v", kv_width, shape.width),
            ("attn_output", shape.width, shape.width),
            ("ffn_gate", shape.ff, shape.width),
            ("ffn_up", shape.ff, shape.width),
            ("ffn_down", shape.width, shape.ff),
        ):
            out.matrix(f"blk.{i}.{tensor}.weight", rows, columns, shape.type)
        if architecture == "qwen2vl":
            for tensor, rows in (("attn_q", shape.width), ("attn_k", kv_width), ("attn_v", kv_width)):
                out.vector(f"blk.{i}.{tensor}.bias", rows, 0.0)
    out.close()


def add_vocabulary(out: gguf.GGUFWriter, size: int) -> None:
    """A SentencePiece vocabulary: specials, bytes, ASCII letters, then made-up words up to `size`."""
    letters = [chr(code) for code in range(33, 127)] + ["▁"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *letters]
    words = [f"▁w{i:x}" for i in range(size - len(tokens))]
    kinds = [2, 3, 3] + [6] * 256 + [1] * (len(letters) + len(words))
    out.add_tokenizer_model("llama")
    out.add_token_list([*tokens, *words])
    out.add_token_scores([0.0] * 3 + [-1e4] * 256 + [-float(i) for i in range(len(letters) + len(words))])
    out.add_token_types(kinds)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_add_bos_token(True)


def write_mrope(folder: Path, shape: Shape | None = None) -> tuple[Path, Path]:
    """A Qwen2-VL: pictures of any size, M-RoPE (a picture takes more cells than positions)."""
    shape = shape or Shape(patch=14)
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / "mrope.gguf", folder / "mrope-mmproj.gguf"
    _write_weights(weights, "mrope", shape, VICUNA, {}, 0, "qwen2vl")
    out = _projector(projector, "mrope", "qwen2vl_merger", "vision", shape)
    width = shape.vision_width
    for name in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        out.half(name, width, 3, shape.patch, shape.patch)
    _add_blocks(out, "v", shape, key_bias=True)
    _add_norms(out, "v.post_ln", width=width)
    for i, rows in ((0, 4 * width), (2, shape.width)):
        out.half(f"mm.{i}.weight", rows, 4 * width)
        out.vector(f"mm.{i}.bias", rows, 0.0)
    out.close()
    return weights, projector


def write_tiled(folder: Path, shape: Shape | None = None) -> tuple[Path, Path]:
    """An InternVL: pictures in tiles, which its encoder takes several of at once."""
    shape = shape or Shape()
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / "tiled.gguf", folder / "tiled-mmproj.gguf"
    _write_weights(weights, "tiled", shape, VICUNA, {}, 0)
    out = _projector(projector, "tiled", "internvl", "vision", shape)
    width, merged = shape.vision_width, 4 * shape.vision_width
    out.gguf.add_uint32("clip.vision.projector.scale_factor", 2)
    out.gguf.add_uint32("clip.vision.preproc_max_tiles", 4)
    out.half("v.patch_embd.weight", width, 3, shape.patch, shape.patch)
    out.vector("v.class_embd", width, 0.1)
    out.whole("v.position_embd.weight", shape.image_tokens + 1, width)
    _add_blocks(out, "v", shape, key_bias=True)
    _add_norms(out, "mm.model.mlp.0", width=merged)
    for i, columns in ((1, merged), (3, shape.width)):
        out.half(f"mm.model.mlp.{i}.weight", shape.width, columns)
        out.vector(f"mm.model.mlp.{i}.bias", shape.width, 0.0)
    out.close()
    return weights, projector


def write_recurrent(folder: Path, shape: Shape | None = None) -> tuple[Path, Path]:
    """A Mamba that sees: its state cannot be rolled back to an earlier position."""
    shape, state, rank, kernel = shape or Shape(), 16, 4, 4
    inner = 2 * shape.width
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / "recurrent.gguf", folder / "recurrent-mmproj.gguf"
    out = _Writer(weights, "mamba", 0)
    out.gguf.add_name("recurrent")
    out.gguf.add_context_length(shape.context)
    out.gguf.add_embedding_length(shape.width)
    out.gguf.add_feed_forward_length(0)
    out.gguf.add_head_count(0)
    out.gguf.add_block_count(shape.layers)
    out.gguf.add_layer_norm_rms_eps(1e-5)
    out.gguf.add_ssm_conv_kernel(kernel)
    out.gguf.add_ssm_inner_size(inner)
    out.gguf.add_ssm_state_size(state)
    out.gguf.add_ssm_time_step_rank(rank)
    add_vocabulary(out.gguf, shape.vocab)
    out.gguf.add_chat_template(VICUNA)
    out.matrix("token_embd.weight", shape.vocab, shape.width, shape.type)
    out.matrix("output.weight", shape.vocab, shape.width, Type.Q8_0, tiled=False)
    out.vector("output_norm.weight", shape.width, 1.0)
    for i in range(shape.layers):
        block = f"blk.{i}"
        out.vector(f"{block}.attn_norm.weight", shape.width, 1.0)
        out.half(f"{block}.ssm_in.weight", 2 * inner, shape.width)
        out.gguf.add_tensor(f"{block}.ssm_conv1d.weight", np.full((inner, kernel), 0.3, np.float32))
        out.vector(f"{block}.ssm_conv1d.bias", inner, 0.1)
        out.half(f"{block}.ssm_x.weight", rank + 2 * state, inner)
        out.half(f"{block}.ssm_dt.weight", inner, rank)
        out.vector(f"{block}.ssm_dt.bias", inner, 0.5)
        out.gguf.add_tensor(f"{block}.ssm_a", np.full((inner, state), -0.5, np.float32))
        out.vector(f"{block}.ssm_d", inner, 1.0)
        out.half(f"{block}.ssm_out.weight", shape.width, inner)
    out.close()
    _write_projector(projector, "recurrent", shape, 1)
    return weights, projector


def write_hearing(folder: Path, shape: Shape | None = None, *, stack: int = 4) -> tuple[Path, Path]:
    """An Ultravox: a Whisper encoder and a projector that takes `stack` frames as one, sound in, no pictures."""
    shape, mels = shape or Shape(), 80
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / "hearing.gguf", folder / "hearing-mmproj.gguf"
    _write_weights(weights, "hearing", shape, VICUNA, {}, 0)
    out = _projector(projector, "hearing", "ultravox", "audio", shape)
    width = shape.vision_width
    out.gguf.add_uint32("clip.audio.num_mel_bins", mels)
    out.gguf.add_uint32("clip.audio.projector.stack_factor", stack)
    for i, channels in ((1, mels), (2, width)):
        out.half(f"a.conv1d.{i}.weight", width, channels, 3)
        out.gguf.add_tensor(f"a.conv1d.{i}.bias", np.zeros((width, 1), np.float32))
    out.gguf.add_tensor("a.position_embd.weight", np.zeros((1500, width), np.float32))
    _add_blocks(out, "a", shape, key_bias=False)
    _add_norms(out, "a.post_ln", width=width)
    out.vector("mm.a.norm_pre.weight", stack * width, 1.0)
    out.half("mm.a.mlp.1.weight", 2 * width, stack * width)
    out.vector("mm.a.norm_mid.weight", width, 1.0)
    out.half("mm.a.mlp.2.weight", shape.width, width)
    out.close()
    return weights, projector


def _write_projector(path: Path, name: str, shape: Shape, seed: int) -> None:
    """LLaVA 1.5's: a CLIP encoder with a class token, and two linear layers."""
    out = _projector(path, name, "mlp", "vision", shape, seed)
    width = shape.vision_width
    out.half("v.patch_embd.weight", width, 3, shape.patch, shape.patch)
    out.vector("v.class_embd", width, 0.1)
    out.half("v.position_embd.weight", shape.image_tokens + 1, width)
    _add_norms(out, "v.pre_ln", "v.post_ln", width=width)
    _add_blocks(out, "v", shape, key_bias=True)
    for i, columns in ((0, width), (2, shape.width)):
        out.half(f"mm.{i}.weight", shape.width, columns)
        out.vector(f"mm.{i}.bias", shape.width, 0.0)
    out.close()


def _projector(path: Path, name: str, kind: str, sense: str, shape: Shape, seed: int = 1) -> _Writer:
    """The header of an mmproj; `sense` is "vision" or "audio"."""
    out = _Writer(path, "clip", seed)
    out.gguf.add_name(name)
    out.gguf.add_type("mmproj")
    out.gguf.add_bool(f"clip.has_{sense}_encoder", True)
    out.gguf.add_string("clip.projector_type", kind)
    out.gguf.add_bool("clip.use_gelu", False)
    for key, value in (
        ("image_size", shape.side),
        ("patch_size", shape.patch),
        ("embedding_length", shape.vision_width),
        ("feed_forward_length", shape.vision_ff),
        ("projection_dim", shape.width),
        ("block_count", shape.vision_layers),
        ("attention.head_count", shape.vision_heads),
    ):
        out.gguf.add_uint32(f"clip.{sense}.{key}", value)
    out.gguf.add_float32(f"clip.{sense}.attention.layer_norm_epsilon", 1e-5)
    if sense == "vision":
        out.gguf.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
        out.gguf.add_array("clip.vision.image_std", [0.25, 0.25, 0.25])
    return out


def _add_norms(out: _Writer, *names: str, width: int) -> None:
    for name in names:
        out.vector(f"{name}.weight", width, 1.0)
        out.vector(f"{name}.bias", width, 0.0)


def _add_blocks(out: _Writer, prefix: str, shape: Shape, *, key_bias: bool) -> None:
    """The encoder's transformer blocks; Whisper's keys have no bias."""
    width = shape.vision_width
    for i in range(shape.vision_layers):
        _add_norms(out, f"{prefix}.blk.{i}.ln1", f"{prefix}.blk.{i}.ln2", width=width)
        for tensor, rows, columns in (
            *((part, width, width) for part in ("attn_q", "attn_k", "attn_v", "attn_out")),
            ("ffn_up", shape.vision_ff, width),
            ("ffn_down", width, shape.vision_ff),
        ):
            out.half(f"{prefix}.blk.{i}.{tensor}.weight", rows, columns)
            if key_bias or tensor != "attn_k":
                out.vector(f"{prefix}.blk.{i}.{tensor}.bias", rows, 0.0)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in PRESETS:
        sys.exit(f"usage: python -m tests.random_llava {{{','.join(PRESETS)}}} FOLDER")
    for written in write(Path(sys.argv[2]), sys.argv[1]):
        print(written)
