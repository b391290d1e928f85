"""Embedding models of random weights, of any size, as real ones come: two ONNX files and a tokenizer."""

from __future__ import annotations

import json
import random
import string
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mmcli.embed.recipe import Preparation, Recipe, Wording
from training.embed.graph import Graph

Array = np.ndarray


@dataclass(frozen=True)
class Shape:
    """Sizes of both towers; the default takes milliseconds, B32 is ViT-B/32 at 256 pixels with CLIP's text tower."""

    dim: int = 16
    side: int = 32
    patch: int = 16
    width: int = 32
    layers: int = 1
    heads: int = 2
    text_width: int = 32
    text_layers: int = 1
    text_heads: int = 2
    context: int = 16
    vocab: int = 300


TINY = Shape()
B32 = Shape(512, 256, 32, 768, 12, 12, 512, 12, 8, 77, 49408)


def write_folder(folder: Path, shape: Shape = TINY, seed: int = 0, *, sigmoid: bool = False) -> Path:
    """A model that describes itself, as those of immich-app do."""
    write_pictures(folder / "visual/model.onnx", shape, seed, name="image")
    write_texts(folder / "textual/model.onnx", shape, seed, name="text", kind=TensorProto.INT32)
    write_tokenizer(folder / "textual/tokenizer.json", shape.vocab)
    how = {"size": [shape.side, shape.side], "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3}
    how |= {"interpolation": "bicubic", "resize_mode": "squash", "fill_color": 0}
    (folder / "visual/preprocess_cfg.json").write_text(json.dumps(how))
    text = {"context_length": shape.context, "vocab_size": shape.vocab, "tokenizer_kwargs": {"clean": "canonicalize"}}
    config = {"embed_dim": shape.dim, "vision_cfg": {"image_size": shape.side}, "text_cfg": text}
    config |= {"init_logit_bias": -10} if sigmoid else {}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_parts(folder: Path, shape: Shape = TINY, seed: int = 0) -> Path:
    """As onnx-community and Xenova have them: vision.onnx, text.onnx, tokenizer.json."""
    write_pictures(folder / "vision.onnx", shape, seed)
    write_texts(folder / "text.onnx", shape, seed)
    write_tokenizer(folder / "tokenizer.json", shape.vocab)
    return folder


def recipe(shape: Shape = TINY) -> Recipe:
    return Recipe(Preparation(shape.side), Wording(shape.context, canonicalise=True))


def write_pictures(path: Path, shape: Shape, seed: int, name: str = "pixel_values") -> None:
    rng, graph = np.random.default_rng([seed, 1]), Graph()
    kernel = rng.normal(0, (3 * shape.patch**2) ** -0.5, (shape.width, 3, shape.patch, shape.patch))
    x = graph.patches(name, kernel, np.zeros(shape.width))
    places = rng.normal(0, 0.3, ((shape.side // shape.patch) ** 2, shape.width)).astype(np.float32)
    x = graph.op("Add", x, graph.constant(places))
    for _ in range(shape.layers):
        x = graph.block(x, _block(rng, shape.width), shape.heads)
    given = (name, TensorProto.FLOAT, ["n", 3, shape.side, shape.side])
    graph.write(path, given, (_ended(graph, rng, x, shape.width, shape.dim), "pooler_output", shape.dim))


def write_texts(path: Path, shape: Shape, seed: int, name: str = "input_ids", kind: int = TensorProto.INT64) -> None:
    rng, graph = np.random.default_rng([seed, 2]), Graph()
    table = graph.constant(rng.normal(0, 1, (shape.vocab, shape.text_width)).astype(np.float32))
    places = graph.constant(rng.normal(0, 0.3, (shape.context, shape.text_width)).astype(np.float32))
    x = graph.op("Add", graph.op("Gather", table, name), places)
    for _ in range(shape.text_layers):
        x = graph.block(x, _block(rng, shape.text_width), shape.text_heads)
    out = _ended(graph, rng, x, shape.text_width, shape.dim)
    graph.write(path, (name, kind, ["n", shape.context]), (out, "pooler_output", shape.dim))


def _block(rng: np.random.Generator, width: int) -> dict[str, Array]:
    sizes = {name: (width, width) for name in "qkvo"} | {"up": (4 * width, width), "down": (width, 4 * width)}
    out: dict[str, Array] = {}
    for name, (rows, columns) in sizes.items():
        out[f"{name}.weight"] = rng.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)
        out[f"{name}.bias"] = np.zeros(rows, np.float32)
    for name in ("ln1", "ln2"):
        out |= {f"{name}.weight": np.ones(width, np.float32), f"{name}.bias": np.zeros(width, np.float32)}
    return out


def _ended(graph: Graph, rng: np.random.Generator, x: str, width: int, dim: int) -> str:
    x = graph.norm(x, np.ones(width), np.zeros(width))
    mean = graph.op("ReduceMean", x, graph.numbers(1), keepdims=0)
    return graph.linear(mean, rng.normal(0, 1, (width, dim)).astype(np.float32), None)


def write_tokenizer(path: Path, vocab: int) -> None:
    """Bytes as tokens, an end mark, and nothing joined: it takes any text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = {token: at for at, token in enumerate(("<pad>", "<eos>", *letters))}
    assert len(tokens) <= vocab
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))


def write_gemma_tokenizer(path: Path, n: int, seed: int = 0) -> None:
    """A tokenizer of Gemma's form with `n` merges: bytes for what has no letter, ▁ for a space, <eos> behind a text."""
    rng = random.Random(seed)
    letters = sorted(
        {*string.ascii_letters, *string.digits, *"▁.,!?äöüßéñçøабвгдежзийклмнопрстуфхцчшщыьэюя日本語中国人大小"}
    )
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{value:02X}>" for value in range(256)), *letters]
    known, merges = set(tokens), []
    pieces = list(letters)
    while len(merges) < n:
        left, right = rng.choice(pieces), rng.choice(pieces)
        if len(left + right) <= 8 and (left + right not in known or rng.random() < 0.3):
            if (left, right) in merges[-2000:]:
                continue
            merges.append((left, right))
            if left + right not in known:
                known.add(left + right)
                tokens.append(left + right)
                pieces.append(left + right)
    vocab = {token: at for at, token in enumerate(tokens)}
    special = [
        {"id": vocab[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": True}
        for name in ("<pad>", "<eos>", "<bos>", "<unk>")
    ]
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    model |= {"vocab": vocab, "merges": [list(pair) for pair in dict.fromkeys(merges)], "ignore_merges": False}
    end = {"SpecialToken": {"id": "<eos>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [text, end], "pair": [text, end, text, end]}
    template["special_tokens"] = {"<eos>": {"id": "<eos>", "ids": [vocab["<eos>"]], "tokens": ["<eos>"]}}
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    file = {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": split,
        "post_processor": template,
        "decoder": None,
        "model": model,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(file, ensure_ascii=False), "utf-8")


def random_text(rng: random.Random) -> str:
    """Words of several scripts, letters that no tokenizer has, blanks."""
    alphabets = (string.ascii_letters, "абвгдежзийклмн", "日本語中国人大小", "äöüßéñçø", string.digits, "🙂🚲é€ـم")
    some = ["".join(rng.choices(rng.choice(alphabets), k=rng.randint(1, 12))) for _ in range(rng.randint(1, 9))]
    return (" " * rng.choice((1, 1, 1, 2))).join(some)
