"""Finds what llama.cpp can be built for here: this machine's GPU, or exactly its CPU. Knows tools and flags only."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmcli.health import variants

Kind = Literal["CUDA", "Vulkan", "Metal", "CPU"]

GLSLC, VULKAN_HEADER = "glslc", "vulkan/vulkan.h"


@dataclass(frozen=True)
class Target:
    """What to build for, why, and CMake's definitions for it."""

    kind: Kind
    what: str  # "the NVIDIA H200 (CUDA, compute capability 9.0)"
    defines: Mapping[str, str]
    missing: str | None = None  # what would have to be installed for something better


@dataclass(frozen=True)
class HostMachine:
    """What decides: found once, so that the decision can be tried for machines that are not at hand."""

    system: str  # "Linux", "Darwin", "Windows"
    processor: str  # "x86_64", "arm64"
    flags: frozenset[str]
    compiler: variants.Compiler | None
    nvidia: tuple[tuple[str, str], ...] = ()  # name and compute capability of each GPU, such as ("NVIDIA H200", "9.0")
    has_nvidia: bool = False  # the driver is there, whatever nvidia-smi tells
    nvcc: str | None = None
    gpu: bool = False  # any GPU that renders
    vulkan: bool = False  # Vulkan's headers, and the compiler of its shaders


def choose(machine: HostMachine) -> Target:
    """The best there is: Metal on Apple's own chips, CUDA where its compiler is, else Vulkan, else this very CPU."""
    if machine.system == "Darwin" and machine.processor == "arm64":
        return Target("Metal", "this Mac's GPU (Metal)", _native(machine) | {"GGML_METAL": "ON"})
    if machine.has_nvidia and machine.nvcc:
        return _cuda(machine, machine.nvcc)
    if (machine.gpu or machine.has_nvidia) and machine.vulkan:
        missing = "the CUDA toolkit (nvcc), which is faster than Vulkan" if machine.has_nvidia else None
        return Target("Vulkan", "this machine's GPU (Vulkan)", _native(machine) | {"GGML_VULKAN": "ON"}, missing)
    missing = None
    if machine.has_nvidia:
        missing = "the CUDA toolkit (nvcc) for the NVIDIA GPU that is here"
    elif machine.gpu:
        missing = f"Vulkan's headers and `{GLSLC}` for the GPU that is here (Debian: apt install libvulkan-dev glslc)"
    return Target("CPU", "exactly this CPU", _native(machine), missing)


def _cuda(machine: HostMachine, nvcc: str) -> Target:
    capabilities = sorted({capability for _, capability in machine.nvidia}, key=lambda text: text.split("."))
    names = ", ".join(sorted({name for name, _ in machine.nvidia})) or "NVIDIA GPU"
    defines = _native(machine) | {
        "GGML_CUDA": "ON",
        "CMAKE_CUDA_COMPILER": nvcc,
        "CMAKE_CUDA_ARCHITECTURES": ";".join(text.replace(".", "") for text in capabilities) or "native",
    }
    told = f", compute capability {', '.join(capabilities)}" if capabilities else ""
    return Target("CUDA", f"the {names} (CUDA{told})", defines)


def _native(machine: HostMachine) -> dict[str, str]:
    """For exactly this CPU; and on Linux, only what is loaded."""
    defines = {"GGML_NATIVE": "ON"}
    compiler = machine.compiler
    if "amx_tile" in machine.flags and compiler is not None and compiler.name == "GNU" and compiler.major < 14:
        defines |= dict.fromkeys(("CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS"), "-fno-dse")  # llama.cmake says why
    if machine.system == "Linux":
        defines["CMAKE_PROJECT_INCLUDE"] = str(variants.RECIPE)
    return defines


def here() -> HostMachine:
    """This machine, as far as its system tells."""
    nvidia = tuple(_nvidia())
    return HostMachine(
        platform.system(),
        platform.machine(),
        variants.cpu_flags(),
        variants.compiler_here(),
        nvidia,
        bool(nvidia) or Path("/proc/driver/nvidia/version").exists(),
        _nvcc(),
        any(Path("/dev/dri").glob("renderD*")) or (platform.system() == "Windows" and "VULKAN_SDK" in os.environ),
        _has_vulkan(),
    )


def _nvidia() -> list[tuple[str, str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=30, errors="replace").stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^([^,\n]+), (\d+\.\d+)$", text, re.MULTILINE)


def _nvcc() -> str | None:
    """CUDA's compiler, where CMake looks for it, and where NVIDIA's packages put it."""
    named = os.environ.get("CUDACXX")
    folders = [os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), "/usr/local/cuda", "/opt/cuda"]
    inside = [shutil.which("nvcc", path=str(Path(folder, "bin"))) for folder in folders if folder]
    return next((found for found in [named and shutil.which(named), shutil.which("nvcc"), *inside] if found), None)


def _has_vulkan() -> bool:
    sdk = os.environ.get("VULKAN_SDK")
    folders = [
        Path("/usr/include"),
        Path("/usr/local/include"),
        *([Path(sdk, "include"), Path(sdk, "Include")] if sdk else []),
    ]
    tools = os.pathsep.join(filter(None, (os.environ.get("PATH"), str(Path(sdk, "bin")) if sdk else None)))
    return any((folder / VULKAN_HEADER).exists() for folder in folders) and shutil.which(GLSLC, path=tools) is not None
