"""Writes a model to measure a build of llama.cpp with: of a usual shape, with random weights. Runs nothing.

The starter model is too small for that: most of its time goes to everything but computing. Speed does not depend on
what weights have learnt, so these are made here, 80 MB of them.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

LAYERS, WIDTH, FF, HEADS, VOCABULARY = 12, 1024, 2816, 16, 4096
CONTEXT = 1024  # tokens
STRING, UINT32, FLOAT32 = 8, 4, 6  # of GGUF's types of values
F32, Q4_0 = 0, 2  # of ggml's types of tensors
BLOCK, BLOCK_BYTES = 32, 18  # numbers and bytes in a block of Q4_0: a scale in half precision, 32 times 4 bits
SCALE = struct.pack("<e", 0.01)
ALIGNMENT = 32  # bytes


def write(path: Path, seed: int = 0) -> None:
    """Write the model: a Llama of 150 million weights in Q4_0, without a vocabulary."""
    tensors = list(_tensors())
    numbers = {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": FF,
        "attention.head_count": HEADS,
        "vocab_size": VOCABULARY,
    }
    texts = {"general.architecture": "llama", "general.name": "mmcli workload", "tokenizer.ggml.model": "none"}
    table = [_text(key) + struct.pack("<I", STRING) + _text(value) for key, value in texts.items()]
    table += [_text(f"llama.{key}") + struct.pack("<II", UINT32, value) for key, value in numbers.items()]
    table.append(_text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", FLOAT32, 1e-5))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(table)) + b"".join(table)
    offset = 0
    for name, shape, kind, size in tensors:
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += -(-size // ALIGNMENT) * ALIGNMENT
    chance = random.Random(seed)
    blocks = b"".join(SCALE + chance.randbytes(BLOCK_BYTES - 2) for _ in range(1 << 14))
    ones = struct.pack("<f", 1.0)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for _, _, kind, size in tensors:
            piece = blocks if kind == Q4_0 else ones * 1024
            for start in range(0, size, len(piece)):
                file.write(piece[: size - start])
            file.write(bytes(-size % ALIGNMENT))


def _tensors() -> Iterator[tuple[str, tuple[int, ...], int, int]]:
    """Name, shape (the fastest dimension first), type and bytes of each."""

    def matrix(name: str, columns: int, rows: int) -> tuple[str, tuple[int, ...], int, int]:
        return f"{name}.weight", (columns, rows), Q4_0, columns * rows // BLOCK * BLOCK_BYTES

    def norm(name: str) -> tuple[str, tuple[int, ...], int, int]:
        return f"{name}.weight", (WIDTH,), F32, WIDTH * 4

    yield matrix("token_embd", WIDTH, VOCABULARY)
    for layer in range(LAYERS):
        yield norm(f"blk.{layer}.attn_norm")
        yield norm(f"blk.{layer}.ffn_norm")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield matrix(f"blk.{layer}.{name}", WIDTH, WIDTH)
        yield matrix(f"blk.{layer}.ffn_gate", WIDTH, FF)
        yield matrix(f"blk.{layer}.ffn_up", WIDTH, FF)
        yield matrix(f"blk.{layer}.ffn_down", FF, WIDTH)
    yield norm("output_norm")
    yield matrix("output", WIDTH, VOCABULARY)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
