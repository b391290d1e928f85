"""Models that speak, with random weights, for tests on the real llama.cpp: what they say is noise of the right form.

Shapes and names are those that llama.cpp's own converters write; a model of a few hundred kilobytes runs the same code
as one of a gigabyte. Knows the GGUF writer only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.random_llava import _add_norms, _Writer

RATE = 24_000  # Hz
FRAME = 1920  # samples: 12.5 frames a second
LATENT = 32
RATIOS = (4, 5, 6)  # of Mimi's convolutions; with the 16 of its down-sampling they make a frame


@dataclass(frozen=True)
class Pocket:
    """The backbone and Mimi: layers, widths, heads."""

    layers: int = 2
    width: int = 64
    ff: int = 128
    heads: int = 2
    mimi_layers: int = 2
    mimi_width: int = 64
    mimi_heads: int = 2
    channels: int = 8  # of the outermost convolution
    flow: int = 64
    letters: str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"-()"


def n_frames(n_tokens: int) -> int:
    """How many frames are made of a text where nothing ends it earlier: libmtmd's own limit."""
    return int(np.ceil((n_tokens / 3 + 2) * 12.5))


def write_pocket(folder: Path, shape: Pocket | None = None, *, ends_at_once: bool = False) -> tuple[Path, Path]:
    """A Pocket TTS, pocket.gguf and pocket-mmproj.gguf, that speaks for as long as a text allows, or hardly at all."""
    shape = shape or Pocket()
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / "pocket.gguf", folder / "pocket-mmproj.gguf"
    _pocket_backbone(weights, shape)
    out = _Writer(projector, "clip", 1)
    out.gguf.add_name("pocket")
    out.gguf.add_type("mmproj")
    out.gguf.add_bool("clip.has_audio_encoder", True)
    out.gguf.add_bool("clip.has_gen_audio_encoder", True)
    out.gguf.add_string("clip.audio.projector_type", "pockettts_spkenc")
    out.gguf.add_string("clip.gen.audio.projector_type", "pockettts_gen")
    out.gguf.add_string("clip.gen.audio.model_variant", "english")
    out.gguf.add_uint32("clip.audio.num_mel_bins", 1)
    for sense in ("audio", "gen.audio"):
        for key, value in (
            ("embedding_length", shape.mimi_width),
            ("feed_forward_length", 2 * shape.mimi_width),
            ("block_count", shape.mimi_layers),
            ("projection_dim", shape.width),
            ("attention.head_count", shape.mimi_heads),
        ):
            out.gguf.add_uint32(f"clip.{sense}.{key}", value)
        out.gguf.add_float32(f"clip.{sense}.attention.layer_norm_epsilon", 1e-5)
    _mimi(out, shape)
    _flow(out, shape, ends_at_once)
    out.close()
    return weights, projector


def _pocket_backbone(path: Path, shape: Pocket) -> None:
    out = _Writer(path, "pockettts", 0)
    head = shape.width // shape.heads
    out.gguf.add_name("pocket")
    out.gguf.add_context_length(4096)
    out.gguf.add_embedding_length(shape.width)
    out.gguf.add_block_count(shape.layers)
    out.gguf.add_feed_forward_length(shape.ff)
    out.gguf.add_head_count(shape.heads)
    out.gguf.add_layer_norm_eps(1e-5)
    out.gguf.add_rope_dimension_count(head)
    out.gguf.add_rope_freq_base(10_000.0)
    tokens = ["<unk>", "<s>", "</s>", "▁", *shape.letters, "<|pad|>", "<|bos_before_voice|>", "<|audio_bos|>"]
    n_plain = 1 + len(shape.letters)
    out.gguf.add_vocab_size(len(tokens))
    out.gguf.add_tokenizer_model("t5")  # SentencePiece's unigram model
    out.gguf.add_tokenizer_pre("default")
    out.gguf.add_token_list(tokens)
    out.gguf.add_token_scores([0.0] * 3 + [-1.0] * n_plain + [-1000.0] * 3)
    out.gguf.add_token_types([2, 3, 3] + [1] * n_plain + [3] * 3)
    out.gguf.add_unk_token_id(0)
    out.gguf.add_bos_token_id(1)
    out.gguf.add_eos_token_id(2)
    out.gguf.add_add_space_prefix(True)
    out.gguf.add_add_bos_token(False)
    out.gguf.add_add_eos_token(False)
    out.half("token_embd.weight", len(tokens), shape.width)
    _add_norms(out, "output_norm", width=shape.width)
    for i in range(shape.layers):
        _add_norms(out, f"blk.{i}.attn_norm", f"blk.{i}.ffn_norm", width=shape.width)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.half(f"blk.{i}.{name}.weight", shape.width, shape.width)
        out.half(f"blk.{i}.ffn_up.weight", shape.ff, shape.width)
        out.half(f"blk.{i}.ffn_down.weight", shape.width, shape.ff)
    out.close()


def _mimi(out: _Writer, shape: Pocket) -> None:
    """The codec: its encoder hears the reference voice, its decoder makes samples."""
    width, widest = shape.mimi_width, shape.channels * 2 ** len(RATIOS)
    for prefix in ("a", "a.gen.wav.tfm"):
        for i in range(shape.mimi_layers):
            block = f"{prefix}.blk.{i}"
            _add_norms(out, f"{block}.ln1", f"{block}.ln2", width=width)
            for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
                out.half(f"{block}.{name}.weight", width, width)
            out.half(f"{block}.ffn_up.weight", 2 * width, width)
            out.half(f"{block}.ffn_down.weight", width, 2 * width)
            out.vector(f"{block}.ls1.weight", width, 0.5)
            out.vector(f"{block}.ls2.weight", width, 0.5)

    def conv(name: str, n_out: int, n_in: int, kernel: int) -> None:
        out.half(f"{name}.weight", n_out, n_in, kernel)
        out.vector(f"{name}.bias", n_out, 0.01)

    conv("a.seanet.conv_in", shape.channels, 1, 7)
    conv("a.gen.wav.seanet.conv_in", widest, width, 7)
    for i, ratio in enumerate(RATIOS):
        channels = shape.channels * 2**i
        conv(f"a.seanet.blk.{i}.res_conv1", channels // 2, channels, 3)
        conv(f"a.seanet.blk.{i}.res_conv2", channels, channels // 2, 1)
        conv(f"a.seanet.blk.{i}.scale_conv", 2 * channels, channels, 2 * ratio)
    for i, ratio in enumerate(reversed(RATIOS)):
        channels = widest // 2 ** (i + 1)
        block = f"a.gen.wav.seanet.blk.{i}"
        out.half(f"{block}.scale_conv.weight", 2 * channels, channels, 2 * ratio)  # transposed: (in, out, kernel)
        out.vector(f"{block}.scale_conv.bias", channels, 0.01)
        conv(f"{block}.res_conv1", channels // 2, channels, 3)
        conv(f"{block}.res_conv2", channels, channels // 2, 1)
    conv("a.seanet.conv_out", width, widest, 3)
    conv("a.gen.wav.seanet.conv_out", 1, shape.channels, 3)
    out.half("a.downsample.conv.weight", LATENT, width, 32)
    out.half("a.speaker_proj.weight", shape.width, LATENT)
    out.half("a.gen.wav.quant_out.weight", width, LATENT)
    out.half("a.gen.wav.upsample.weight", width, 1, 32)


def _flow(out: _Writer, shape: Pocket, ends_at_once: bool) -> None:
    """The backbone's state -> the next latent; and whether the speech ends."""
    flow, steps = shape.flow, 16

    def linear(name: str, rows: int, columns: int) -> None:
        out.half(f"{name}.weight", rows, columns)
        out.vector(f"{name}.bias", rows, 0.1)

    linear("a.gen.flow.input_proj", flow, LATENT)
    linear("a.gen.flow.cond_embd", flow, shape.width)
    linear("a.gen.flow.final.ada", 2 * flow, flow)
    linear("a.gen.flow.final.proj", LATENT, flow)
    for i in range(2):
        out.gguf.add_tensor(f"a.gen.flow.time.{i}.freqs", np.linspace(1, 0.01, steps, dtype=np.float32))
        linear(f"a.gen.flow.time.{i}.up", flow, 2 * steps)
        linear(f"a.gen.flow.time.{i}.down", flow, flow)
        out.vector(f"a.gen.flow.time.{i}.norm", flow, 1.0)
    for i in range(2):
        _add_norms(out, f"a.gen.flow.blk.{i}.norm", width=flow)
        linear(f"a.gen.flow.blk.{i}.up", flow, flow)
        linear(f"a.gen.flow.blk.{i}.down", flow, flow)
        linear(f"a.gen.flow.blk.{i}.ada", 3 * flow, flow)
    out.half("a.gen.out_eos.weight", 1, shape.width)
    out.vector("a.gen.out_eos.bias", 1, 100.0 if ends_at_once else -100.0)
    out.half("a.gen.input_linear.weight", shape.width, LATENT)
    out.vector("a.gen.emb_mean", LATENT, 0.0)
    out.vector("a.gen.emb_std", LATENT, 1.0)
