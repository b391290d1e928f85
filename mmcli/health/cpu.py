"""Compares this machine's CPU features with those the native build uses. Runs nothing native."""

from __future__ import annotations

import functools
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from mmcli.engine import hardware
from mmcli.engine.hardware import X86

# As llama_print_system_info tells them; the same for x86 is in engine/hardware.py
ARM = {"NEON": "asimd", "DOTPROD": "asimddp", "FP16_VA": "asimdhp", "MATMUL_INT8": "i8mm", "SVE": "sve"}
MACOS = {"advsimd": "asimd", "feat_dotprod": "asimddp", "feat_fp16": "asimdhp", "feat_i8mm": "i8mm", "avx1.0": "avx"}
# What is worth a new build, the best first. Measured: 2 threads, LLaVA's shape with a billion weights in Q4_0, a
# picture of 576 tokens (docs/install.md).
WORTH = {
    "AMX_INT8": "a picture's prefill took 4.1 s instead of 13.9 s where it was measured",
    "AVX512": "a picture's prefill took 7.0 s instead of 13.9 s where it was measured",
    "AVX2": "several times the speed",
    "MATMUL_INT8": "how much was not measured",
    "DOTPROD": "how much was not measured",
}


@dataclass(frozen=True)
class Cpu:
    """This machine's CPU; no flags means that they are unknown here."""

    name: str
    flags: frozenset[str]

    def has(self, feature: str) -> bool:
        return (X86 | ARM).get(feature, "") in self.flags


@functools.cache
def this() -> Cpu:
    """The CPU we run on."""
    if platform.system() == "Darwin":
        return _from_sysctl(_output("sysctl", "-a"))
    try:
        return from_cpuinfo(hardware.CPUINFO.read_text("utf-8", "replace"))
    except OSError:
        return Cpu(platform.processor() or platform.machine(), frozenset())


def from_cpuinfo(text: str) -> Cpu:
    """Linux: the first core stands for all."""
    table: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        table.setdefault(key.strip().lower(), value.strip())
    flags = table.get("flags") or table.get("features") or ""
    return Cpu(table.get("model name") or platform.machine(), frozenset(flags.lower().split()))


def _from_sysctl(text: str) -> Cpu:
    """macOS: Intel lists its features in words, Apple's own has a switch for each."""
    name, flags = platform.machine(), set[str]()
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "machdep.cpu.brand_string":
            name = value
        elif key in ("machdep.cpu.features", "machdep.cpu.leaf7_features"):
            flags |= set(value.lower().split())
        elif key.startswith("hw.optional.") and value == "1":
            flags.add(key.rpartition(".")[2].lower())
    return Cpu(name, frozenset(flags | {MACOS[flag] for flag in flags & set(MACOS)}))


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, errors="replace").stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def used(system: str) -> list[str]:
    """The CPU features the build uses, from llama_print_system_info: `CPU : AVX = 1 | AVX2 = 1 | …`."""
    return [feature for feature in re.findall(r"(\w+) = 1\b", system) if feature in X86 | ARM]


def unused(cpu: Cpu, build: Iterable[str]) -> list[str]:
    """What the CPU has, the build leaves aside, and is worth having; the best first."""
    build = set(build)
    return [feature for feature in WORTH if cpu.has(feature) and feature not in build]


def is_risky(build: Iterable[str], compiler: str | None) -> bool:
    """Whether a GCC before 14 compiled AMX code: without -fno-dse it dies at the first quantized matrix
    (docs/install.md). Some later 12s and 13s are fixed, but only the first number is known here.
    """
    found = re.fullmatch(r"GCC (\d+)", compiler or "")
    return "AMX_INT8" in build and found is not None and int(found[1]) < 14


@functools.cache
def has_compiler() -> bool:
    """Whether a new build could be compiled here; on Windows CMake alone knows where Visual Studio is."""
    return platform.system() == "Windows" or bool(_output("c++", "--version"))
