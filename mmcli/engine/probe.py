"""What the native build is and which devices it finds, as JSON lines: a program of its own, for a child process.

A library made for another CPU ends its process where it stands. So `mmcli doctor` runs `python -m mmcli.engine.probe`
and reads what it managed to tell. Knows ggml's list of devices; llama.cpp itself is in mtmd.py.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmcli.engine import mtmd
from mmcli.errors import ModelError

PACKAGE = "llama-cpp-python"
DEVICE_TYPES = ("CPU", "GPU", "integrated GPU", "accelerator")  # ggml_backend_dev_type
COMPILERS = ((rb"clang version (\d+)", "clang"), (rb"GCC: \([^)]*\) (\d+)", "GCC"))  # clang links GCC's start files


def main() -> None:
    """Tell one fact after the other, each at once: the next step may be the last."""
    try:
        libraries = _libraries()
        tell({"package": importlib.metadata.version(PACKAGE), "compiler": _compiler(libraries)})
        tell({"backends": sorted({name for path in libraries if (name := _backend(path)) not in ("", "base", "cpu")})})
        llama, _ = mtmd.native()
        tell(
            {
                "version": llama.llama_version().decode(),
                "system": llama.llama_print_system_info().decode(),
                "offload": mtmd.can_offload(),
            }
        )
        tell(_ggml(Path(llama.__file__).parent / "lib"))
    except importlib.metadata.PackageNotFoundError:
        tell({"error": f"{PACKAGE} is not installed", "hint": f"pip install {PACKAGE}  (see docs/install.md)"})
    except ModelError as error:
        tell({"error": error.message, "hint": error.hint})


def tell(fact: dict[str, Any]) -> None:
    """One line for whoever started this process, past all buffers that a crash would lose."""
    os.write(1, json.dumps(fact).encode() + b"\n")


def _libraries() -> list[Path]:
    """The shared libraries that llama-cpp-python brought."""
    files = importlib.metadata.files(PACKAGE) or []
    return [Path(str(file.locate())) for file in files if re.search(r"\.(so|dylib|dll)", file.name)]


def _backend(library: Path) -> str:
    """ "cpu" for libggml-cpu.so; empty for what is no part of ggml."""
    found = re.match(r"(?:lib)?ggml-([a-z]+)", library.name)
    return found[1] if found else ""


def _compiler(libraries: list[Path]) -> str | None:
    """What compiled ggml's CPU code, such as "GCC 12", from the note compilers leave; None where there is none."""
    for library in libraries:
        if _backend(library) != "cpu":
            continue
        data = library.read_bytes()
        for pattern, name in COMPILERS:
            if found := re.search(pattern, data):
                return f"{name} {found[1].decode()}"
    return None


def _ggml(folder: Path) -> dict[str, Any]:
    """Version, commit and devices of the ggml beside llama.cpp; empty where its library is elsewhere."""
    ggml, base = (_open(folder, name) for name in ("ggml", "ggml-base"))
    if ggml is None or base is None:
        return {}
    for name in ("ggml_version", "ggml_commit", "ggml_backend_dev_name", "ggml_backend_dev_description"):
        getattr(base, name).restype = ctypes.c_char_p
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    return {
        "ggml": base.ggml_version().decode(),
        "commit": base.ggml_commit().decode(),
        "devices": list(_devices(ggml, base)),
    }


def _devices(ggml: ctypes.CDLL, base: ctypes.CDLL) -> Iterator[dict[str, Any]]:
    for i in range(ggml.ggml_backend_dev_count()):
        device = ctypes.c_void_p(ggml.ggml_backend_dev_get(ctypes.c_size_t(i)))
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        base.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        kind = base.ggml_backend_dev_type(device)
        yield {
            "name": base.ggml_backend_dev_name(device).decode("utf-8", "replace"),
            "description": base.ggml_backend_dev_description(device).decode("utf-8", "replace"),
            "type": DEVICE_TYPES[kind] if 0 <= kind < len(DEVICE_TYPES) else f"type {kind}",
            "free": free.value,
            "total": total.value,
        }


def _open(folder: Path, name: str) -> ctypes.CDLL | None:
    """One of ggml's libraries, already loaded by llama.cpp; None where it is not in the folder."""
    for file in (f"lib{name}.so", f"lib{name}.dylib", f"{name}.dll"):
        if (folder / file).exists():
            return ctypes.CDLL(str(folder / file))
    return None


if __name__ == "__main__":
    main()
