"""Lists what llama.cpp's build can run on, and the devices it finds. Knows the package's files and ggml's devices."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmcli.engine.local import bindings, builds

PACKAGE = "llama-cpp-python"
TYPES = ("CPU", "GPU", "integrated GPU", "accelerator")  # ggml_backend_dev_type
NO_DEVICE = ("", "base", "cpu", "blas", "rpc")  # libraries of ggml that bring no device of their own
PATIENCE = 20  # seconds: a driver may take a few to start


def libraries() -> list[Path]:
    """The shared libraries that are loaded: those of llama-cpp-python, or of this machine's own build."""
    files = [Path(str(file.locate())) for file in importlib.metadata.files(PACKAGE) or []]
    named = os.environ.get(bindings.FOLDERS[0])
    own = Path(named) if named else builds.libraries_for(bindings.package())
    if own is not None:
        files = sorted(own.iterdir()) if own.is_dir() else []
    return [file for file in files if re.search(r"\.(so|dylib|dll)", file.name)]


def backend(library: Path) -> str:
    """ "cpu" for libggml-cpu.so; empty for what is not part of ggml."""
    found = re.match(r"(?:lib)?ggml-([a-z]+)", library.name)
    return found[1] if found else ""


def backends() -> list[str]:
    """What the build can use beside the CPU."""
    return sorted({name for path in libraries() if (name := backend(path)) not in ("", "base", "cpu")})


def free_gpu() -> int:
    """Bytes that are free on all GPUs together, for a process that has not loaded llama.cpp and need not.

    A build without a GPU's library is known by its files. Otherwise a child process looks: drivers may crash, and take
    their time.
    """
    try:
        if not any(name not in NO_DEVICE for name in backends()):
            return 0
        command = [sys.executable, "-P", "-m", "mmcli.engine.local.probe"]
        told = subprocess.run(command, capture_output=True, timeout=PATIENCE).stdout
        facts = [json.loads(line) for line in told.splitlines()]
    except (importlib.metadata.PackageNotFoundError, OSError, ValueError, subprocess.SubprocessError):
        return 0
    return free_in([device for fact in facts for device in fact.get("devices", ())])


def free_in(found: Sequence[dict[str, Any]]) -> int:
    """Bytes that are free on the GPUs among `found`."""
    return sum(device["free"] for device in found if "GPU" in device["type"])


def told() -> dict[str, Any]:
    """Version, commit and devices of the ggml that llama.cpp uses; empty where its library says nothing."""
    bindings.native()
    text, size, pointer = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p
    results: dict[str, Any] = {"dev_count": size, "dev_get": pointer, "dev_name": text, "dev_description": text}
    results |= {"dev_type": ctypes.c_int, "dev_memory": None}
    ggml = {name: bindings.function(f"ggml_backend_{name}", result) for name, result in results.items()}
    version, commit = (bindings.function(f"ggml_{name}", text) for name in ("version", "commit"))
    if version is None or commit is None or None in ggml.values():
        return {}
    return {"ggml": version().decode(), "commit": commit().decode(), "devices": list(_devices(ggml))}


def _devices(ggml: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for i in range(ggml["dev_count"]()):
        device = ctypes.c_void_p(ggml["dev_get"](ctypes.c_size_t(i)))
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        ggml["dev_memory"](device, ctypes.byref(free), ctypes.byref(total))
        kind = ggml["dev_type"](device)
        yield {
            "name": ggml["dev_name"](device).decode("utf-8", "replace"),
            "description": ggml["dev_description"](device).decode("utf-8", "replace"),
            "type": TYPES[kind] if 0 <= kind < len(TYPES) else f"type {kind}",
            "free": free.value,
            "total": total.value,
        }
