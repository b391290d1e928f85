"""Hints for a llama.cpp that does not work, or could be faster. Knows environments and installers' commands."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shlex
import sys

from mmcli.health import cpu
from mmcli.health.variants import SAFE

PACKAGE = "llama-cpp-python"
BETTER = "mmcli doctor --rebuild"  # where the installed one works


def command(flags: str = SAFE) -> str:
    """What to type to have llama.cpp installed anew with these flags: takes about 5 minutes on 2 cores."""
    wanted = f"{PACKAGE}=={_version()}" if _version() else PACKAGE
    python = shlex.quote(sys.executable) if os.name != "nt" else f'& "{sys.executable}"'
    if importlib.util.find_spec("pip") is not None:
        install = f"{python} -m pip install --force-reinstall --no-deps --no-cache-dir --no-binary {PACKAGE} {wanted}"
    else:
        place = shlex.quote(sys.executable) if os.name != "nt" else f'"{sys.executable}"'
        install = f"uv pip install --python {place} --reinstall --no-deps --no-cache --no-binary {PACKAGE} {wanted}"
    if os.name == "nt":
        return f'$env:CMAKE_ARGS = "{flags}"; {install}'
    return f'CMAKE_ARGS="{flags}" {install}'


def advice(command: str) -> str:
    """The command, after that for a compiler where there is none."""
    if cpu.has_compiler():
        return command
    return f"install a C++ compiler (Debian, Ubuntu: apt install build-essential), then: {command}"


def _version() -> str:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return ""
