"""Headers of language models in the shapes of real ones, and what llama.cpp itself would allocate for them.

A file holds metadata and the table of its tensors, then a hole: it takes no space. llama.cpp reads it with `no_alloc`,
reckons a context's memory as if it would run it, and says so in its log. That log is what mmcli's own arithmetic is
compared with. Knows the GGUF writer and the binding; knows none of mmcli's arithmetic.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from mmcli.engine.local import bindings, mtmd
from tests.random_llava import add_vocabulary

MIB = 1 << 20
BLOCK, BLOCK_BYTES = gguf.GGML_QUANT_SIZES[Type.Q8_0]


@dataclass(frozen=True)
class Shape:
    """One model: the numbers every architecture has, and `extra` metadata under the architecture's own prefix."""

    architecture: str
    layers: int
    width: int
    ff: int
    heads: int
    kv_heads: int | list[int]
    head: int
    vocab: int = 32_000
    extra: dict[str, Any] = field(default_factory=dict)


# Numbers as public logs, sources and the known counts of parameters have them, not from the files themselves: each is a
# shape that llama.cpp takes. Vocabularies are cut short, since they do not matter here.
SHAPES = {
    "smolvlm-256m": Shape("llama", 30, 576, 1536, 9, 3, 64),
    "llava-1.5-7b": Shape("llama", 32, 4096, 11008, 32, 32, 128),
    "llava-llama-3-8b": Shape("llama", 32, 4096, 14336, 32, 8, 128),
    "qwen2.5-vl-3b": Shape("qwen2vl", 36, 2048, 11008, 16, 2, 128, extra={"rope.dimension_sections": [16, 24, 24, 0]}),
    "qwen3-vl-2b": Shape(
        "qwen3vl", 28, 2048, 6144, 16, 8, 128,
        extra={"n_deepstack_layers": 3, "rope.dimension_sections": [24, 20, 20, 0]},
    ),
    "qwen3-vl-4b": Shape(
        "qwen3vl", 36, 2560, 9728, 32, 8, 128,
        extra={"n_deepstack_layers": 3, "rope.dimension_sections": [24, 20, 20, 0]},
    ),
    "gemma-3-4b": Shape("gemma3", 34, 2560, 10240, 8, 4, 256, extra={"attention.sliding_window": 1024}),
    "gemma-4-e4b": Shape(
        "gemma4", 42, 2560, 10240, 8, 2, 512,
        extra={
            "attention.sliding_window": 512,
            "attention.sliding_window_pattern": [i % 6 != 5 for i in range(42)],
            "attention.key_length_swa": 256,
            "attention.value_length_swa": 256,
            "attention.shared_kv_layers": 18,
            "embedding_length_per_layer_input": 256,
            "final_logit_softcapping": 30.0,
        },
    ),
    "lfm2.5-vl-1.6b": Shape(
        "lfm2", 16, 2048, 8192, 32, [8 if i in (2, 5, 8, 10, 12, 14) else 0 for i in range(16)], 64,
        extra={"shortconv.l_cache": 3},
    ),
    "qwen3.5-4b": Shape(
        "qwen35", 32, 2560, 9216, 16, 4, 256,
        extra={
            "rope.dimension_sections": [11, 11, 10, 0],
            "full_attention_interval": 4,
            "ssm.conv_kernel": 4,
            "ssm.inner_size": 4096,
            "ssm.state_size": 128,
            "ssm.time_step_rank": 32,
            "ssm.group_count": 16,
        },
    ),
    "qwen3-vl-30b-a3b": Shape(
        "qwen3vlmoe", 48, 2048, 6144, 32, 4, 128,
        extra={
            "n_deepstack_layers": 3,
            "rope.dimension_sections": [24, 20, 20, 0],
            "expert_count": 128,
            "expert_used_count": 8,
            "expert_feed_forward_length": 768,
        },
    ),
    "qwen3-30b-a3b": Shape(
        "qwen3moe", 48, 2048, 6144, 32, 4, 128,
        extra={"expert_count": 128, "expert_used_count": 8, "expert_feed_forward_length": 768},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Allocated:
    """What llama.cpp would take, in bytes as its log rounds them (to 0.01 MiB)."""

    kv: int  # KV cells, and the states of recurrent layers
    compute: int


def write(path: Path, shape: Shape, *, tensors: bool = True) -> Path:
    """Write the header of such a model, with a hole for its weights; without `tensors` nothing could load it."""
    out = gguf.GGUFWriter(path, shape.architecture)
    _add_metadata(out, shape)
    for name, dimensions in _tensors(shape) if tensors else []:
        _add(out, name, *dimensions)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_ti_data_to_file()
    out.close()
    hole = sum(-(-tensor.nbytes // 32) * 32 for table in out.tensors for tensor in table.values())
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 32 + hole)
    return path


def allocated(path: Path, n_ctx: int, *, n_batch: int = 512, really: bool = False) -> Allocated:
    """What llama.cpp says a context of `n_ctx` tokens, made as mmcli's engine makes it, would take on a CPU.

    `really`: it does take it, and the file must be whole.
    """
    llama, _ = bindings.native()
    params = llama.llama_model_default_params()
    params.n_gpu_layers, params.no_alloc = 0, not really
    if not really:
        params.load_mode = 0  # mapping and estimating exclude each other
    model = llama.llama_model_load_from_file(os.fsencode(path), params)
    assert model, bindings.log.last_error()
    wanted = llama.llama_context_default_params()
    wanted.n_ctx, wanted.n_batch, wanted.n_ubatch, wanted.n_outputs_max = n_ctx, n_batch, n_batch, 1
    wanted.offload_kqv = wanted.op_offload = False
    lines: list[str] = []
    with bindings.log.listening(lines.append):  # the log itself keeps the last lines only
        context = llama.llama_init_from_model(model, wanted)
    text = "\n".join(lines)
    assert context, bindings.log.last_error()
    llama.llama_free(context)
    llama.llama_model_free(model)
    return Allocated(
        kv=_sum(r"^llama_(?:kv_cache|memory_recurrent): size = +([\d.]+) MiB", text),
        compute=_sum(r"compute buffer size = +([\d.]+) MiB", text),
    )


def encoder(weights: Path, projector: Path) -> tuple[int, int]:
    """Side of the picture libmtmd warms up with, in pixels (0: none), and the bytes its encoder takes for it."""
    _, native = bindings.native()
    loaded = mtmd.Weights(weights, gpu_layers=0, on_progress=lambda done, total: True)
    params = native.mtmd_context_params_default()
    params.use_gpu, params.warmup, params.print_timings = False, True, False
    lines: list[str] = []
    with bindings.log.listening(lines.append):
        handle = native.mtmd_init_from_file(os.fsencode(projector), loaded.handle, params)
    assert handle, bindings.log.last_error()
    native.mtmd_free(handle)
    loaded.close()
    text = "\n".join(lines)
    side = re.search(r"image size = (\d+) x", text)
    return int(side[1]) if side else 0, _sum(r"compute buffer size = +([\d.]+) MiB", text)


def _sum(pattern: str, text: str) -> int:
    return round(sum(float(number) for number in re.findall(pattern, text, re.MULTILINE)) * MIB)


def _add_metadata(out: gguf.GGUFWriter, shape: Shape) -> None:
    out.add_context_length(131_072)
    out.add_embedding_length(shape.width)
    out.add_block_count(shape.layers)
    out.add_feed_forward_length(shape.ff)
    out.add_head_count(shape.heads)
    out.add_head_count_kv(shape.kv_heads)
    out.add_key_length(shape.head)
    out.add_value_length(shape.head)
    out.add_rope_dimension_count(shape.head)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(shape.vocab)
    add_vocabulary(out, shape.vocab)
    for key, value in shape.extra.items():
        name = f"{shape.architecture}.{key}"
        if isinstance(value, list):
            out.add_array(name, value)
        elif isinstance(value, float):
            out.add_float32(name, value)
        else:
            out.add_uint32(name, value)


def _tensors(shape: Shape) -> list[tuple[str, tuple[int, ...]]]:
    """Names and (rows, columns) of all tensors; those of one dimension are float32."""
    width, extra = shape.width, shape.extra
    out: list[tuple[str, tuple[int, ...]]] = [
        ("token_embd.weight", (shape.vocab, width)),
        ("token_embd_norm.weight" if shape.architecture == "lfm2" else "output_norm.weight", (width,)),
    ]
    per_layer = extra.get("embedding_length_per_layer_input", 0)
    if per_layer:
        out += [
            ("per_layer_token_embd.weight", (shape.vocab, per_layer * shape.layers)),
            ("per_layer_model_proj.weight", (per_layer * shape.layers, width)),
            ("per_layer_proj_norm.weight", (per_layer,)),
        ]
    for i in range(shape.layers):
        recurrent, head = _is_recurrent(shape, i), _head(shape, i)
        block = _recurrent(shape) if recurrent else _attention(shape, i, head)
        block += [("attn_norm", (width,))]
        if experts := extra.get("expert_count"):
            ff = extra["expert_feed_forward_length"]
            block += [("ffn_gate_inp", (experts, width)), ("ffn_down_exps", (experts, width, ff))]
            block += [("ffn_gate_exps", (experts, ff, width)), ("ffn_up_exps", (experts, ff, width))]
        else:
            block += [("ffn_gate", (shape.ff, width)), ("ffn_up", (shape.ff, width)), ("ffn_down", (width, shape.ff))]
        if shape.architecture == "qwen35":
            block.append(("post_attention_norm", (width,)))
        else:
            block.append(("ffn_norm", (width,)))
        if shape.architecture.startswith("gemma"):
            block += [("post_attention_norm", (width,)), ("post_ffw_norm", (width,))]
        if per_layer:
            block += [("inp_gate", (per_layer, width)), ("proj", (width, per_layer)), ("post_norm", (width,))]
        out += [(f"blk.{i}.{name}" + ("" if "." in name or name == "ssm_a" else ".weight"), d) for name, d in block]
    if per_layer:
        out.append(("rope_freqs.weight", (shape.head // 2,)))
    return out


def _is_recurrent(shape: Shape, i: int) -> bool:
    interval = shape.extra.get("full_attention_interval")
    return _kv_heads(shape, i) == 0 or bool(interval and (i + 1) % interval)


def _kv_heads(shape: Shape, i: int) -> int:
    return shape.kv_heads[i] if isinstance(shape.kv_heads, list) else shape.kv_heads


def _head(shape: Shape, i: int) -> int:
    windows = shape.extra.get("attention.sliding_window_pattern")
    return int(shape.extra["attention.key_length_swa"]) if windows and windows[i] else shape.head


def _attention(shape: Shape, i: int, head: int) -> list[tuple[str, tuple[int, ...]]]:
    width, kv = shape.width, _kv_heads(shape, i) * head
    gate = 2 if shape.architecture == "qwen35" else 1  # its queries come with their gates
    block: list[tuple[str, tuple[int, ...]]] = [
        ("attn_q", (gate * shape.heads * head, width)),
        ("attn_k", (kv, width)),
        ("attn_v", (kv, width)),
        ("attn_output", (width, shape.heads * head)),
    ]
    if shape.architecture == "qwen2vl":
        block += [("attn_q.bias", (shape.heads * head,)), ("attn_k.bias", (kv,)), ("attn_v.bias", (kv,))]
    elif shape.architecture != "llama":
        block += [("attn_q_norm", (head,)), ("attn_k_norm", (head,))]
    return block


def _recurrent(shape: Shape) -> list[tuple[str, tuple[int, ...]]]:
    width, extra = shape.width, shape.extra
    if "shortconv.l_cache" in extra:
        return [
            ("shortconv.conv.weight", (width, extra["shortconv.l_cache"])),
            ("shortconv.in_proj.weight", (3 * width, width)),
            ("shortconv.out_proj.weight", (width, width)),
        ]
    values, rank = extra["ssm.inner_size"], extra["ssm.time_step_rank"]
    channels = values + 2 * extra["ssm.group_count"] * extra["ssm.state_size"]
    return [
        ("attn_qkv", (channels, width)),
        ("attn_gate", (values, width)),
        ("ssm_conv1d.weight", (channels, extra["ssm.conv_kernel"])),
        ("ssm_dt.bias", (rank,)),
        ("ssm_a", (rank,)),
        ("ssm_beta", (rank, width)),
        ("ssm_alpha", (rank, width)),
        ("ssm_norm", (extra["ssm.state_size"],)),
        ("ssm_out", (width, values)),
    ]


def _add(out: gguf.GGUFWriter, name: str, *dimensions: int) -> None:
    if len(dimensions) == 1 or dimensions[-1] % BLOCK:
        out.add_tensor_info(name, dimensions, np.dtype(np.float32), 4 * math.prod(dimensions))
        return
    packed = (*dimensions[:-1], dimensions[-1] // BLOCK * BLOCK_BYTES)
    out.add_tensor_info(name, packed, np.dtype(np.uint8), math.prod(packed), raw_dtype=Type.Q8_0)
