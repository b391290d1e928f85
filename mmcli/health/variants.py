"""Which of ggml's CPU libraries llama.cpp is compiled into here: those that run anywhere, and the best for this CPU.

Imports nothing of mmcli's: packaging/native-build/ ships this file and llama.cmake to where llama-cpp-python is built.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

SAFE = "-DGGML_NATIVE=OFF"  # one library for every x86-64 CPU with AVX2; plain NEON on ARM
RECIPE = Path(__file__).with_name("llama.cmake")


@dataclass(frozen=True)
class Compiler:
    """What compiles, in CMake's words: "GNU" or "Clang", and the first number of its version."""

    name: str
    major: int

    def __str__(self) -> str:
        return f"{self.name}-{self.major}"


@dataclass(frozen=True)
class Variant:
    """One of ggml's libraries for x86: the flags of /proc/cpuinfo it needs, and the oldest compilers that know them."""

    needs: frozenset[str]
    gnu: int = 9  # older ones lack C++17's <filesystem>
    clang: int = 9


def _variants() -> dict[str, Variant]:
    """ggml's table (ggml/src/CMakeLists.txt), the slowest first: a later one is the better where both run."""
    sse42 = frozenset({"sse4_2"})
    avx = sse42 | {"avx"}
    haswell = avx | {"f16c", "fma", "avx2", "bmi2"}
    skylakex = haswell | {f"avx512{part}" for part in ("f", "cd", "vl", "dq", "bw")}
    vbmi, vnni, bf16 = {"avx512vbmi"}, {"avx512_vnni"}, {"avx512_bf16"}
    return {
        "x64": Variant(frozenset()),
        "sse42": Variant(sse42),
        "sandybridge": Variant(avx),
        "ivybridge": Variant(avx | {"f16c"}),
        "piledriver": Variant(avx | {"f16c", "fma"}),
        "haswell": Variant(haswell),
        "alderlake": Variant(haswell | {"avx_vnni"}, gnu=11, clang=12),
        "skylakex": Variant(skylakex),
        "cannonlake": Variant(skylakex | vbmi),
        "cascadelake": Variant(skylakex | vnni),
        "icelake": Variant(skylakex | vbmi | vnni),
        "cooperlake": Variant(skylakex | vnni | bf16, gnu=10),
        "zen4": Variant(skylakex | vbmi | vnni | bf16, gnu=10),
        "sapphirerapids": Variant(
            skylakex | vbmi | vnni | bf16 | {"amx_tile", "amx_int8"},
            gnu=11,
            clang=12,
        ),
    }


VARIANTS = _variants()


def choose(system: str, machine: str, libc: str, compiler: Compiler | None, flags: Collection[str]) -> tuple[str, ...]:
    """The variants to compile, the slowest first; none where the safe build is the one that is known to work.

    `system` and `machine` are platform's, `libc` is "glibc" or another, `flags` are those of /proc/cpuinfo. A wheel may
    end up on another CPU (a shared cache, an image, a virtual machine that moves), so beside the best one for this CPU
    there is always one for AVX2 and one that runs anywhere.
    """
    if system != "Linux" or machine not in ("x86_64", "AMD64") or libc != "glibc" or compiler is None or not flags:
        return ()
    known = {
        tag: variant
        for tag, variant in VARIANTS.items()
        if compiler.major >= {"GNU": variant.gnu, "Clang": variant.clang}.get(compiler.name, sys.maxsize)
    }
    fitting = [tag for tag, variant in known.items() if variant.needs <= set(flags)]
    if "haswell" not in known or not fitting:
        return ()
    wanted = {"sse42" if "sse42" in fitting else "x64", "haswell", fitting[-1]}
    return tuple(tag for tag in known if tag in wanted)


def cmake_args(system: str, variants: Collection[str], compiler: Compiler | None, recipe: Path = RECIPE) -> list[str]:
    """CMake's arguments for llama-cpp-python with these variants; off Linux the safe build as it always was."""
    if system != "Linux":
        return [SAFE]
    chosen = [f"-DMMCLI_VARIANTS={','.join(variants)}", f"-DMMCLI_COMPILER={compiler}"] if variants else []
    return [SAFE, f"-DCMAKE_PROJECT_INCLUDE={recipe}", *chosen]


def here(environment: Mapping[str, str] = os.environ, recipe: Path = RECIPE) -> list[str]:
    """CMake's arguments for this machine."""
    system, compiler = platform.system(), compiler_here(environment)
    libc = platform.libc_ver()[0]
    machine = platform.machine() if sys.maxsize > 2**32 else ""  # a 32-bit Python on a 64-bit kernel
    return cmake_args(system, choose(system, machine, libc, compiler, cpu_flags()), compiler, recipe)


def cpu_flags() -> frozenset[str]:
    """What this CPU can do, as Linux tells of its first core; nothing where nobody tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


def compiler_here(environment: Mapping[str, str] = os.environ) -> Compiler | None:
    """The compiler that CMake will take for both C and C++, if it is GCC or clang; llama.cmake checks it again."""
    c = _identified(environment.get("CC"), ("cc", "gcc", "clang"), "c")
    cxx = _identified(environment.get("CXX"), ("c++", "g++", "clang++"), "c++")
    return cxx if c == cxx else None


def _identified(command: str | None, candidates: Collection[str], language: str) -> Compiler | None:
    """Who it is, from the macros it predefines: names and versions of programs may say anything."""
    words = shlex.split(command) if command else [found for name in candidates if (found := shutil.which(name))][:1]
    if not words:
        return None
    try:
        asked = [*words, "-x", language, "-dM", "-E", os.devnull]
        text = subprocess.run(asked, capture_output=True, text=True, timeout=30, errors="replace").stdout
    except (OSError, subprocess.SubprocessError):
        return None
    macros = dict(re.findall(r"^#define (\w+) (.*)$", text, re.MULTILINE))
    if "__INTEL_COMPILER" in macros or "__INTEL_LLVM_COMPILER" in macros or "__x86_64__" not in macros:
        return None
    name, version = ("Clang", "__clang_major__") if "__clang__" in macros else ("GNU", "__GNUC__")
    return Compiler(name, int(macros[version])) if macros.get(version, "").isdigit() else None
