"""A tower as an ONNX graph: named tensors in, vectors out. Alone imports onnxruntime; knows no pictures, no words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmcli import telemetry
from mmcli.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where a graph has several outputs, the one that is the vector: names of transformers', sentence-transformers' and
# open_clip's exports, the surest first.
OUTPUTS = ("image_embeds", "text_embeds", "sentence_embedding", "pooler_output", "embedding", "embeddings", "output")
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class Tower:
    """One graph, loaded. Names, types and the order of its inputs are read from it."""

    def __init__(self, path: Path, threads: int) -> None:
        telemetry.forbid_onnxruntime()
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)  # only what ends the process
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others work here, too
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes have no common parent but this one
            raise ModelError(
                f"`{path}` cannot be loaded: {_first_line(error)}",
                hint="it may be damaged, or a file beside it (`….onnx_data`) may be missing",
            ) from error
        self.path = path
        inputs = self._session.get_inputs()
        self.inputs = {item.name: _TYPES.get(item.type, np.float32) for item in inputs}
        self.shapes = {item.name: item.shape for item in inputs}
        self._output = self._chosen_output()

    def _chosen_output(self) -> str:
        outputs: dict[str, Any] = {item.name: item for item in self._session.get_outputs()}
        for name in OUTPUTS:
            if name in outputs:
                return name
        flat = [name for name, item in outputs.items() if len(item.shape) == 2]
        if not flat:
            raise ModelError(f"`{self.path}` gives no vector: its outputs are {', '.join(outputs)}")
        return flat[0]

    @property
    def takes_one(self) -> bool:
        """Whether it was exported for a single picture or text at a time."""
        shape = next(iter(self.shapes.values()))
        return bool(shape) and shape[0] == 1

    def run(self, values: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Vectors (n, dim) of unit length; `values` by the graph's names, n in each."""
        feed = {name: np.ascontiguousarray(value, self.inputs[name]) for name, value in values.items()}
        n = len(next(iter(feed.values())))
        parts = (
            [{name: value[i : i + 1] for name, value in feed.items()} for i in range(n)] if self.takes_one else [feed]
        )
        try:
            found = np.concatenate([self._session.run([self._output], part)[0] for part in parts])
        except Exception as error:  # as above
            raise ModelError(f"`{self.path}` cannot be run: {_first_line(error)}") from error
        return unit(found.astype(np.float32))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row divided by its length; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    out: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return out


def all_threads() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0].strip() if lines else type(error).__name__
