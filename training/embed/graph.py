"""Towers as ONNX graphs, written operator by operator from numpy arrays. Knows no torch and no pictures.

Matrices are kept as f32, f16, or int8 with a scale for each column; onnxruntime makes f32 of them as it loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray
OPSET = 20


class Graph:
    """Collects nodes; each method takes and gives names of values."""

    def __init__(self, store: str = "f32") -> None:
        self.store = store
        self.nodes: list[onnx.NodeProto] = []
        self.kept: list[onnx.TensorProto] = []
        self._known: dict[bytes, str] = {}

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def constant(self, array: Array) -> str:
        """A value kept as it is; small ones that are equal are kept once."""
        key = repr((array.dtype, array.shape)).encode() + array.tobytes() if array.size < 64 else b""
        if key and key in self._known:
            return self._known[key]
        name = f"c{len(self.kept)}"
        self.kept.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        if key:
            self._known[key] = name
        return name

    def matrix(self, array: Array) -> str:
        """(in, out) f32, kept as the graph keeps matrices."""
        if self.store == "f32":
            return self.constant(array.astype(np.float32))
        if self.store == "f16":
            return self.op("Cast", self.constant(array.astype(np.float16)), to=TensorProto.FLOAT)
        flat = array.reshape(-1, array.shape[-1])
        scale = (np.abs(flat).max(0) / 127).astype(np.float32) + np.float32(1e-12)
        small = np.rint(array / scale).astype(np.int8)
        return self.op("Mul", self.op("Cast", self.constant(small), to=TensorProto.FLOAT), self.constant(scale))

    def numbers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def linear(self, x: str, weight: Array, bias: Array | None) -> str:
        """`weight` (in, out)."""
        y = self.op("MatMul", x, self.matrix(weight))
        return y if bias is None else self.op("Add", y, self.constant(bias.astype(np.float32)))

    def norm(self, x: str, weight: Array, bias: Array, eps: float = 1e-5) -> str:
        scale, shift = (self.constant(part.astype(np.float32)) for part in (weight, bias))
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=eps)

    def gelu(self, x: str) -> str:
        return self.op("Gelu", x, approximate="tanh")

    def attention(self, q: str, k: str, v: str, heads: int, width: int, bias: str | None = None) -> str:
        """(n, length, width) of each; `bias` is added to the scores (n, heads, length, length)."""
        shape = self.numbers(0, 0, heads, width // heads)
        q, k, v = (self.op("Transpose", self.op("Reshape", part, shape), perm=[0, 2, 1, 3]) for part in (q, k, v))
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.constant(np.float32((width // heads) ** -0.5)))
        if bias:
            scores = self.op("Add", scores, bias)
        mixed = self.op("Transpose", self.op("MatMul", self.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return self.op("Reshape", mixed, self.numbers(0, 0, width))

    def block(self, x: str, weights: dict[str, Array], heads: int, bias: str | None = None) -> str:
        """A transformer's, its norms first. `weights`: ln1, q, k, v, o, ln2, up, down, each `.weight` and `.bias`."""

        def part(y: str, name: str) -> str:
            return self.linear(y, weights[f"{name}.weight"].T, weights[f"{name}.bias"])

        y = self.norm(x, weights["ln1.weight"], weights["ln1.bias"])
        width = weights["q.weight"].shape[0]
        mixed = self.attention(part(y, "q"), part(y, "k"), part(y, "v"), heads, width, bias)
        x = self.op("Add", x, part(mixed, "o"))
        y = self.norm(x, weights["ln2.weight"], weights["ln2.bias"])
        return self.op("Add", x, part(self.gelu(part(y, "up")), "down"))

    def patches(self, pixels: str, weight: Array, bias: Array) -> str:
        """(n, 3, side, side) → (n, patches, width); `weight` (width, 3, size, size)."""
        size = weight.shape[-1]
        stored = weight.reshape(len(weight), -1).T  # (in, width): a scale for each column
        kernel = self.op("Transpose", self.matrix(stored), perm=[1, 0])
        kernel = self.op("Reshape", kernel, self.numbers(*weight.shape))
        x = self.op("Conv", pixels, kernel, self.constant(bias.astype(np.float32)), strides=[size, size])
        return self.op("Transpose", self.op("Reshape", x, self.numbers(0, len(weight), -1)), perm=[0, 2, 1])

    def write(
        self, path: Path, given: tuple[str, int, Sequence[int | str]], out: tuple[str, str, int], about: str = ""
    ) -> None:
        """`given`: name, element type and shape of the input; `out`: the value, its name there, and its width."""
        value, name, width = out
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(
            self.nodes,
            "tower",
            [helper.make_tensor_value_info(*given)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])],
            self.kept,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        model.doc_string, model.producer_name = about, "mmcli training"
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())
