"""The exact command that builds llama.cpp anew for this machine. Knows environments and CMake's flags."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shlex
import sys
from pathlib import Path

import mmcli
from mmcli.health import cpu

PACKAGE = "llama-cpp-python"
SAFE = "-DGGML_NATIVE=OFF"
FAST_GCC = "-DCMAKE_C_FLAGS=-fno-dse -DCMAKE_CXX_FLAGS=-fno-dse"  # GCC 12 drops stores that AMX needs


def native() -> str:
    """CMake's flags for a build for exactly this CPU."""
    return FAST_GCC if cpu.compiler_here() == "gcc" and cpu.this().has("AVX2") else ""


def command(flags: str, clone: Path = Path(mmcli.__file__).parents[1], prefix: Path = Path(sys.prefix)) -> str:
    """What to type to have llama.cpp built with these flags: takes about 5 minutes on 2 cores."""
    if flags != SAFE and _is_clone(clone, prefix):  # a clone asks for the safe build already
        file = shlex.quote(str(clone / "pyproject.toml"))
        return f"sed -i.bak 's/{SAFE}/{flags}/' {file} && uv run --directory {shlex.quote(str(clone))} mmcli --version"
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


def _is_clone(clone: Path, prefix: Path) -> bool:
    """Whether we run in a clone's own environment, whose pyproject.toml asks for the safe build."""
    if prefix.parent != clone:
        return False
    try:
        return SAFE in (clone / "pyproject.toml").read_text("utf-8")
    except OSError:
        return False


def advice(flags: str) -> str:
    """The command, after that for a compiler where there is none."""
    if cpu.compiler_here() is not None:
        return command(flags)
    return f"install a C++ compiler (Debian, Ubuntu: apt install build-essential), then: {command(flags)}"


def _version() -> str:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return ""
