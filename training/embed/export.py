"""Writes the trained towers as `mmcli` reads them: two ONNX files and a tokenizer.json; no torch runs them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from onnx import TensorProto
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from training import tokenizer
from training.config import Config
from training.embed.graph import Graph
from training.embed.model import POSITIVE, Sizes, Towers, frozen_encoder
from training.model import Encoder

ABOUT = "A starter model trained from scratch on drawn pictures of coloured shapes; it knows nothing else."
Arrays = dict[str, np.ndarray]


def arrays(state: dict[str, Tensor]) -> Arrays:
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


def under(state: Arrays, begin: str) -> Arrays:
    return {name.removeprefix(begin): array for name, array in state.items() if name.startswith(begin)}


def write_pictures(path: Path, encoder: Encoder, model: Towers, store: str) -> None:
    config, sizes = Config(), model.sizes
    graph, state, head = Graph(store), arrays(encoder.state_dict()), arrays(model.head.state_dict())
    size = config.patch_size
    x = graph.patches("pixel_values", state["patch.weight"].reshape(-1, 3, size, size), state["patch.bias"])
    x = graph.op("Add", x, graph.constant(state["position"]))
    x = graph.norm(x, state["pre.weight"], state["pre.bias"], config.eps)
    for i in range(config.vision_layers):
        x = graph.block(x, under(state, f"blocks.{i}."), config.vision_heads)
    x = graph.norm(x, state["post.weight"], state["post.bias"], config.eps)
    x = graph.norm(x, head["norm.weight"], head["norm.bias"])
    x = graph.linear(
        graph.gelu(graph.linear(x, head["look.weight"].T, head["look.bias"])), head["unit.weight"].T, head["unit.bias"]
    )
    weight = graph.op("Softmax", graph.op("Mul", x, graph.constant(head["sharp"])), axis=1)
    pooled = graph.op("ReduceSum", graph.op("Mul", x, weight), graph.numbers(1), keepdims=0)
    bent = graph.gelu(graph.linear(pooled, head["up.weight"].T, head["up.bias"]))
    straight = graph.linear(pooled, head["straight.weight"].T, head["straight.bias"])
    out = graph.op("Add", straight, graph.linear(bent, head["down.weight"].T, head["down.bias"]))
    side = config.image_size
    given = ("pixel_values", TensorProto.FLOAT, ["n", 3, side, side])
    graph.write(path, given, (out, "image_embeds", sizes.dim), ABOUT)


def write_texts(path: Path, model: Towers, store: str) -> None:
    sizes, graph, state = model.sizes, Graph(store), arrays(model.text.state_dict())
    is_real = graph.op("Not", graph.op("Equal", "input_ids", graph.numbers(0)))
    real = graph.op("Unsqueeze", graph.op("Cast", is_real, to=TensorProto.FLOAT), graph.numbers(-1))  # (n, length, 1)
    row = graph.op("Unsqueeze", graph.op("Transpose", real, perm=[0, 2, 1]), graph.numbers(1))  # (n, 1, 1, length)
    one, much = graph.constant(np.float32(1)), graph.constant(np.float32(1e4))
    bias = graph.op("Mul", graph.op("Sub", row, one), much)
    x = graph.op("Gather", graph.matrix(state["embed.weight"]), "input_ids")
    length = graph.op("Shape", "input_ids", start=1, end=2)
    places = graph.op("Slice", graph.constant(state["position"]), graph.numbers(0), length)
    x = graph.op("Add", x, places)
    for i in range(sizes.layers):
        x = graph.block(x, under(state, f"blocks.{i}."), sizes.heads, bias)
    x = graph.op("Mul", graph.norm(x, state["norm.weight"], state["norm.bias"]), real)
    total = graph.op("ReduceSum", x, graph.numbers(1), keepdims=0)
    mean = graph.op("Div", total, graph.op("ReduceSum", real, graph.numbers(1), keepdims=0))
    out = graph.linear(mean, state["out.weight"].T, state["out.bias"])
    graph.write(path, ("input_ids", TensorProto.INT64, ["n", "length"]), (out, "text_embeds", sizes.dim), ABOUT)


def write_tokenizer(path: Path) -> None:
    """The starter's byte-level BPE in Hugging Face's form; each word begins with a space."""
    known = tokenizer.load()
    made = Tokenizer(models.BPE(vocab=known.ids, merges=known.merges))
    made.normalizer = normalizers.Prepend(" ")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(tokenizer.PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.save(str(path), pretty=False)


def export(model: Towers, folder: Path, store: str = "int8") -> Path:
    """Write vision.onnx, text.onnx, tokenizer.json and config.json into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder / "vision.onnx", frozen_encoder(), model, store)
    write_texts(folder / "text.onnx", model, store)
    write_tokenizer(folder / "tokenizer.json")
    bias = model.bias.item() - math.log(POSITIVE)  # so that the sigmoid is a true probability
    facts = {"scale": round(model.scale.exp().item(), 4), "bias": round(bias, 4), "dim": Sizes().dim}
    (folder / "config.json").write_text(json.dumps(facts) + "\n")
    return folder
