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
    def __init__(self, path: Path, architecture: str, seed: int) -> None:
        self.gguf = gguf.GGUFWriter(path, architecture)
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
        self.gguf.add_tensor(name, (self._random.standard_normal(shape) * 0.05).astype(np.float16))

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
) -> tuple[Path, Path]:
    """Write NAME.gguf and NAME-mmproj.gguf into `folder`; return their paths. The shape defaults to the preset NAME."""
    shape = shape or PRESETS[name]
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / f"{name}.gguf", folder / f"{name}-mmproj.gguf"
    _write_weights(weights, name, shape, template, metadata or {}, seed)
    _write_projector(projector, name, shape, seed + 1)
    return weights, projector


def _write_weights(
    path: Path, name: str, shape: Shape, template: str | None, metadata: dict[str, str], seed: int
) -> None:
    out = _Writer(path, "llama", seed)
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
    _add_vocabulary(out.gguf, shape.vocab)
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
    out.close()


def _add_vocabulary(out: gguf.GGUFWriter, size: int) -> None:
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


def _write_projector(path: Path, name: str, shape: Shape, seed: int) -> None:
    out = _Writer(path, "clip", seed)
    out.gguf.add_name(name)
    out.gguf.add_type("mmproj")
    out.gguf.add_bool("clip.has_vision_encoder", True)
    out.gguf.add_string("clip.projector_type", "mlp")
    out.gguf.add_bool("clip.use_gelu", False)
    width, places = shape.vision_width, shape.image_tokens + 1
    for key, value in (
        ("image_size", shape.side),
        ("patch_size", shape.patch),
        ("embedding_length", width),
        ("feed_forward_length", shape.vision_ff),
        ("projection_dim", shape.width),
        ("block_count", shape.vision_layers),
        ("attention.head_count", shape.vision_heads),
    ):
        out.gguf.add_uint32(f"clip.vision.{key}", value)
    out.gguf.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    out.gguf.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    out.gguf.add_array("clip.vision.image_std", [0.25, 0.25, 0.25])
    out.half("v.patch_embd.weight", width, 3, shape.patch, shape.patch)
    out.vector("v.class_embd", width, 0.1)
    out.half("v.position_embd.weight", places, width)
    norms = [f"v.blk.{i}.{ln}" for i in range(shape.vision_layers) for ln in ("ln1", "ln2")]
    for norm in ("v.pre_ln", "v.post_ln", *norms):
        out.vector(f"{norm}.weight", width, 1.0)
        out.vector(f"{norm}.bias", width, 0.0)
    for i in range(shape.vision_layers):
        for tensor, rows, columns in (
            *((part, width, width) for part in ("attn_q", "attn_k", "attn_v", "attn_out")),
            ("ffn_up", shape.vision_ff, width),
            ("ffn_down", width, shape.vision_ff),
        ):
            out.half(f"v.blk.{i}.{tensor}.weight", rows, columns)
            out.vector(f"v.blk.{i}.{tensor}.bias", rows, 0.0)
    for i, columns in ((0, width), (2, shape.width)):
        out.half(f"mm.{i}.weight", shape.width, columns)
        out.vector(f"mm.{i}.bias", shape.width, 0.0)
    out.close()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in PRESETS:
        sys.exit(f"usage: python -m tests.random_llava {{{','.join(PRESETS)}}} FOLDER")
    for written in write(Path(sys.argv[2]), sys.argv[1]):
        print(written)
