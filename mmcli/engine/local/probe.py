"""What the native build is and which devices it finds, as JSON lines: a program of its own, for a child process.

A library made for another CPU ends its process where it stands. So `mmcli doctor` runs
`python -m mmcli.engine.local.probe` and reads what it managed to
tell. Knows the package's files; llama.cpp itself is in bindings.py.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
from pathlib import Path
from typing import Any

from mmcli.engine.local import bindings, devices
from mmcli.errors import ModelError

COMPILERS = ((rb"clang version (\d+)", "clang"), (rb"GCC: \([^)]*\) (\d+)", "GCC"))  # clang links GCC's start files


def main() -> None:
    """Tell one fact after the other, each at once: the next step may be the last."""
    try:
        libraries = devices.libraries()
        tell({"package": importlib.metadata.version(devices.PACKAGE), "compiler": _compiler(libraries)})
        tell({"backends": devices.backends()})
        tell({"lacking": bindings.lacking()})
        llama, _ = bindings.native()
        tell(
            {
                "version": llama.llama_version().decode(),
                "system": llama.llama_print_system_info().decode(),
                "offload": bindings.can_offload(),
            }
        )
        tell(devices.told())
    except importlib.metadata.PackageNotFoundError:
        package = devices.PACKAGE
        tell({"error": f"{package} is not installed", "hint": f"pip install {package}  (see docs/install.md)"})
    except ModelError as error:
        tell({"error": error.message, "hint": error.hint})


def tell(fact: dict[str, Any]) -> None:
    """One line for the parent process, past all buffers that a crash would lose."""
    os.write(1, json.dumps(fact).encode() + b"\n")


def _compiler(libraries: list[Path]) -> str | None:
    """What compiled ggml's CPU code, such as "GCC 12", from the note compilers leave; None where there is none."""
    for path in libraries:
        if devices.backend(path) != "cpu":
            continue
        data = path.read_bytes()
        for pattern, name in COMPILERS:
            if found := re.search(pattern, data):
                return f"{name} {found[1].decode()}"
    return None


if __name__ == "__main__":
    main()
