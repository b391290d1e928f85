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
    mimi_ff: int = 128
    channels: int = 8  # of the outermost convolution
    flow: int = 64
    flow_blocks: int = 2
    letters: str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"-()"


# As large as the real one (100M): speed does not depend on what weights have learnt.
FULL = Pocket(6, 1024, 4096, 16, 2, 512, 8, 2048, 64, 512, 6)


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
            ("feed_forward_length", shape.mimi_ff),
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
            out.half(f"{block}.ffn_up.weight", shape.mimi_ff, width)
            out.half(f"{block}.ffn_down.weight", width, shape.mimi_ff)
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
    loud = np.random.default_rng(2).standard_normal((1, shape.channels, 3))  # else it could not be heard
    out.gguf.add_tensor("a.gen.wav.seanet.conv_out.weight", loud.astype(np.float16))
    out.vector("a.gen.wav.seanet.conv_out.bias", 1, 0.0)
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
    for i in range(shape.flow_blocks):
        _add_norms(out, f"a.gen.flow.blk.{i}.norm", width=flow)
        linear(f"a.gen.flow.blk.{i}.up", flow, flow)
        linear(f"a.gen.flow.blk.{i}.down", flow, flow)
        linear(f"a.gen.flow.blk.{i}.ada", 3 * flow, flow)
    out.half("a.gen.out_eos.weight", 1, shape.width)
    out.vector("a.gen.out_eos.bias", 1, 100.0 if ends_at_once else -100.0)
    out.half("a.gen.input_linear.weight", shape.width, LATENT)
    out.vector("a.gen.emb_mean", LATENT, 0.0)
    out.vector("a.gen.emb_std", LATENT, 1.0)


@dataclass(frozen=True)
class Qwen:
    """The talker, its code predictor and its decoder: layers and widths; what libmtmd fixes stands below."""

    layers: int = 2
    width: int = 64
    ff: int = 128
    head: int = 32
    code_layers: int = 2
    codes: int = 64  # of an acoustic code book
    speaker: int = 64


CODECS, SEMANTIC, BOOKS = 3072, 2048, 15  # codec tokens, those of them that are sounds; acoustic code books
NAMED = ("bos", "eos_token", "pad", "think", "think_bos", "think_eos", "language_english", "language_german")
DAC_STRIDES = (8, 5, 4, 3)  # with the two doublings before them a frame of 1920 samples


def write_qwen(folder: Path, shape: Qwen | None = None) -> tuple[Path, Path]:
    """A Qwen3-TTS as qwen.gguf and qwen-mmproj.gguf; it knows English and German, and hardly ever ends by itself."""
    shape = shape or Qwen()
    folder.mkdir(parents=True, exist_ok=True)
    weights, projector = folder / "qwen.gguf", folder / "qwen-mmproj.gguf"
    _talker(weights, shape)
    out = _Writer(projector, "clip", 1)
    out.gguf.add_name("qwen")
    out.gguf.add_type("mmproj")
    out.gguf.add_bool("clip.has_audio_encoder", True)
    out.gguf.add_bool("clip.has_gen_audio_encoder", True)
    out.gguf.add_string("clip.audio.projector_type", "qwen3tts_spkenc")
    out.gguf.add_string("clip.gen.audio.projector_type", "qwen3tts_gen")
    out.gguf.add_uint32("clip.audio.num_mel_bins", 128)
    for sense, width, layers, heads in (
        ("audio", shape.speaker, 3, 1),
        ("gen.audio", shape.width, shape.code_layers, 2),
    ):
        for key, value in (
            ("embedding_length", width),
            ("feed_forward_length", 2 * width),
            ("block_count", layers),
            ("projection_dim", shape.width),
            ("attention.head_count", heads),
        ):
            out.gguf.add_uint32(f"clip.{sense}.{key}", value)
        out.gguf.add_float32(f"clip.{sense}.attention.layer_norm_epsilon", 1e-5)
    _speaker_encoder(out, shape)
    _code_predictor(out, shape)
    _code2wav(out)
    out.close()
    return weights, projector


def _talker(path: Path, shape: Qwen) -> None:
    out = _Writer(path, "qwen3tts", 0)
    heads = shape.width // shape.head
    out.gguf.add_name("qwen")
    out.gguf.add_context_length(4096)
    out.gguf.add_embedding_length(shape.width)
    out.gguf.add_block_count(shape.layers)
    out.gguf.add_feed_forward_length(shape.ff)
    out.gguf.add_head_count(heads)
    out.gguf.add_head_count_kv(1)
    out.gguf.add_key_length(shape.head)
    out.gguf.add_value_length(shape.head)
    out.gguf.add_layer_norm_rms_eps(1e-6)
    out.gguf.add_rope_freq_base(1_000_000.0)
    out.gguf.add_rope_dimension_sections([6, 5, 5, 0])
    letters = [chr(code) for code in range(33, 127)] + ["▁"]
    plain = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *letters]
    control = ["<|im_start|>", "<|im_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>"]
    codecs = [f"<|codec_{i}|>" for i in range(CODECS)]
    codecs[SEMANTIC + 100 : SEMANTIC + 100 + len(NAMED)] = [f"<|codec_{name}|>" for name in NAMED]
    tokens = [*plain, *control, *codecs]
    first, end = len(tokens) - CODECS, tokens.index("<|codec_eos_token|>")
    out.gguf.add_vocab_size(len(tokens))
    out.gguf.add_tokenizer_model("llama")
    out.gguf.add_token_list(tokens)
    out.gguf.add_token_scores([0.0] * 3 + [-1e4] * 256 + [-1.0] * (len(tokens) - 259))
    out.gguf.add_token_types([2, 3, 3] + [6] * 256 + [1] * len(letters) + [3] * (len(control) + CODECS))
    out.gguf.add_bos_token_id(1)
    out.gguf.add_eos_token_id(end)
    out.gguf.add_unk_token_id(0)
    out.gguf.add_add_bos_token(False)
    never = [token for token in range(first + SEMANTIC, len(tokens)) if token != end]
    out.gguf.add_array("tokenizer.ggml.suppress_tokens", never)
    out.half("token_embd.weight", len(tokens), shape.width)
    out.half("output.weight", CODECS, shape.width)
    out.vector("output_norm.weight", shape.width, 1.0)
    for i in range(shape.layers):
        _qwen_block(out, f"blk.{i}", shape.width, heads * shape.head, shape.head, shape.ff, "attn_norm", "ffn_norm")
    out.close()


def _qwen_block(
    out: _Writer, block: str, width: int, q_width: int, head: int, ff: int, norm_1: str, norm_2: str
) -> None:
    """Qwen3's layer with one pair of keys and values."""
    attn_out = "attn_output" if norm_1 == "attn_norm" else "attn_out"
    for name, size in ((norm_1, width), (norm_2, width), ("attn_q_norm", head), ("attn_k_norm", head)):
        out.vector(f"{block}.{name}.weight", size, 1.0)
    for name, rows, columns in (
        ("attn_q", q_width, width),
        ("attn_k", head, width),
        ("attn_v", head, width),
        (attn_out, width, q_width),
        ("ffn_gate", ff, width),
        ("ffn_up", ff, width),
        ("ffn_down", width, ff),
    ):
        out.half(f"{block}.{name}.weight", rows, columns)


def _code_predictor(out: _Writer, shape: Qwen) -> None:
    """The talker's state and first code -> the other fifteen codes of the frame."""
    for i in range(shape.code_layers):
        block = f"a.gen.code.blk.{i}"
        _qwen_block(out, block, shape.width, shape.width, shape.width // 2, 2 * shape.width, "ln1", "ln2")
        # heads and pairs of keys and values are equally many there, unless the header says otherwise
    out.gguf.add_uint32("clip.gen.audio.attention.head_count_kv", 1)
    out.half("a.gen.code.embd.weight", BOOKS, shape.codes, shape.width)
    out.half("a.gen.code.head.weight", BOOKS, shape.codes, shape.width)
    out.half("a.gen.code.out_embd.weight", CODECS, shape.width)
    out.vector("a.gen.code.output_norm.weight", shape.width, 1.0)


def _speaker_encoder(out: _Writer, shape: Qwen) -> None:
    """ECAPA-TDNN: the reference voice's mel spectrogram -> one row for the talker."""
    width, narrow = shape.speaker, 16

    def conv(name: str, n_out: int, n_in: int, kernel: int) -> None:
        out.half(f"{name}.weight", n_out, n_in, kernel)
        out.vector(f"{name}.bias", n_out, 0.01)

    conv("a.conv1d.0", width, 128, 5)
    for i in (1, 2, 3):
        conv(f"a.blk.{i}.conv_pw1", width, width, 1)
        conv(f"a.blk.{i}.conv_pw2", width, width, 1)
        conv(f"a.blk.{i}.se_conv1", narrow, width, 1)
        conv(f"a.blk.{i}.se_conv2", width, narrow, 1)
        for j in range(7):
            conv(f"a.blk.{i}.res2.{j}", width // 8, width // 8, 3)
    conv("a.conv_out", 3 * width, 3 * width, 1)
    conv("a.asp_tdnn", narrow, 9 * width, 1)
    conv("a.asp_attn", 3 * width, narrow, 1)
    conv("mm.a.fc", shape.width, 6 * width, 1)


def _code2wav(out: _Writer) -> None:
    """Sixteen codes a frame -> samples; its numbers of layers and heads are libmtmd's own."""
    book, hidden, inner, width = 16, 32, 48, 32
    random = np.random.default_rng(3)

    def single(name: str, *size: int) -> None:
        out.gguf.add_tensor(name, (random.standard_normal(size) * 0.1).astype(np.float32))

    def biased(name: str, *size: int) -> None:
        out.half(f"{name}.weight", *size)
        out.vector(f"{name}.bias", size[0], 0.01)

    def snake(name: str, size: int) -> None:
        out.vector(f"{name}.alpha", size, 1.0)
        out.vector(f"{name}.beta", size, 0.5)

    wav = "a.gen.wav"
    for which, size in (("first", (SEMANTIC, book)), ("rest", (BOOKS, SEMANTIC, book))):
        out.half(f"{wav}.quant.{which}.in_proj.weight", book, hidden)
        out.half(f"{wav}.quant.{which}.out_proj.weight", hidden, book)
        out.half(f"{wav}.quant.{which}.codebook.weight", *size)
    biased(f"{wav}.pre_conv", inner, hidden, 3)
    biased(f"{wav}.tfm.in_proj", width, inner)
    biased(f"{wav}.tfm.out_proj", inner, width)
    out.vector(f"{wav}.tfm.output_norm.weight", width, 1.0)
    for i in range(8):
        block = f"{wav}.tfm.blk.{i}"
        for name in ("ln1", "ln2", "ls1", "ls2"):
            out.vector(f"{block}.{name}.weight", width, 1.0)
        for name in ("attn_q", "attn_k", "attn_v"):
            out.half(f"{block}.{name}.weight", 16 * 4, width)
        out.half(f"{block}.attn_out.weight", width, 16 * 4)
        for name in ("ffn_gate", "ffn_up", "ffn_down"):
            out.half(f"{block}.{name}.weight", width, width)
    for i in range(2):
        block = f"{wav}.up.blk.{i}"
        single(f"{block}.conv.weight", inner, inner, 2)
        out.vector(f"{block}.conv.bias", inner, 0.01)
        biased(f"{block}.dwconv", inner, 1, 7)
        _add_norms(out, f"{block}.norm", width=inner)
        biased(f"{block}.pw1", 2 * inner, inner)
        biased(f"{block}.pw2", inner, 2 * inner)
        out.vector(f"{block}.gamma", inner, 0.5)
    channels = 32
    biased(f"{wav}.dac.entry", channels, inner, 7)
    for i, stride in enumerate(DAC_STRIDES):
        block = f"{wav}.dac.blk.{i}"
        snake(f"{block}.snake", channels)
        single(f"{block}.conv.weight", channels, channels // 2, 2 * stride)
        channels //= 2
        out.vector(f"{block}.conv.bias", channels, 0.01)
        for j in range(3):
            snake(f"{block}.res.{j}.act1", channels)
            biased(f"{block}.res.{j}.conv1", channels, channels, 7)
            snake(f"{block}.res.{j}.act2", channels)
            biased(f"{block}.res.{j}.conv2", channels, channels, 1)
    snake(f"{wav}.dac.post_snake", channels)
    loud = random.standard_normal((1, channels, 7))
    out.gguf.add_tensor(f"{wav}.dac.post_conv.weight", loud.astype(np.float16))
    out.vector(f"{wav}.dac.post_conv.bias", 1, 0.0)
