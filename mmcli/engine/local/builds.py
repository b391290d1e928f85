"""Finds the llama.cpp that `mmcli doctor --rebuild` made, and decides whether it may be loaded here.

It lies in the data folder beside a record of what it was made for. It is loaded instead of the one that
llama-cpp-python brought while that has the same version and bindings, and the CPU is one it runs on.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmcli import config, files
from mmcli.engine import hardware

# Flags of x86 in /proc/cpuinfo that compilers may use; the others are about kernel and hypervisor, and come and go.
INSTRUCTIONS = re.compile(
    r"(sse|ssse|avx|amx|fma|bmi|sha|xsave|rd(rand|seed|pid)|v?aes|v?pclmul|cl(zero|wb|flush)|movdir|lahf|3dnow)"
    r"|^(abm|adx|cx16|f16c|fsgsbase|gfni|mmx|movbe|popcnt|serialize|tbm|wbnoinvd|xop)"
)


@dataclass(frozen=True)
class CpuMark:
    """What a build must find again: the kind of machine, and every instruction that a compiler may have used."""

    machine: str  # "x86_64"
    name: str = ""  # where no flags are known
    flags: tuple[str, ...] = ()

    def runs_on(self, here: CpuMark) -> bool:
        return (self.machine, self.name) == (here.machine, here.name) and set(self.flags) <= set(here.flags)


@dataclass(frozen=True)
class Build:
    """A build that is kept: its folder's name, what it was made for, and what it brought when it was tried."""

    folder: str
    package: str  # version of llama-cpp-python
    bindings: tuple[int, ...]  # what bindings() told
    cpu: CpuMark
    kind: str  # "CUDA", "Vulkan", "Metal" or "CPU"
    arguments: tuple[str, ...]  # CMake's
    ratio: float  # of the seconds of the build before it to its own
    made: str  # "2026-11-30"

    @property
    def libraries(self) -> Path:
        return place() / self.folder


def place() -> Path:
    return config.data_dir() / "llama.cpp"


def record() -> Path:
    return place() / "build.json"


def kept() -> Build | None:
    """The build that is kept, whether it may be loaded or not; None where there is none. ValueError: damaged."""
    try:
        text = record().read_text("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    try:
        told = json.loads(text)
        cpu = told.pop("cpu")
        build = Build(
            **told
            | {
                "bindings": tuple(told["bindings"]),
                "arguments": tuple(told["arguments"]),
                "cpu": CpuMark(**cpu | {"flags": tuple(cpu["flags"])}),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a record of a build: {error}") from error
    if not build.folder or Path(build.folder).name != build.folder:
        raise ValueError(f"`{build.folder}` is not a folder beside it")
    return build


def why_not(build: Build, package: Path) -> str | None:
    """Why it cannot be loaded with the bindings in `package`; None where it can."""
    if build.package != (now := version(package)):
        return f"it was built for llama-cpp-python {build.package}, but {now} is installed"
    if build.bindings != bindings(package):
        return "the bindings of llama-cpp-python have changed"
    if not build.cpu.runs_on(cpu_here()):
        return "it was made for another CPU"
    if not build.libraries.is_dir():
        return f"`{build.libraries}` no longer exists"
    return None


def libraries_for(package: Path) -> Path | None:
    """The folder to load llama.cpp from instead of the installed one; None where nothing fits."""
    try:
        build = kept()
    except ValueError:
        return None  # `mmcli doctor` tells
    return build.libraries if build is not None and why_not(build, package) is None else None


def version(package: Path) -> str:
    """The version of llama-cpp-python in `package`; importlib.metadata would take 15 ms."""
    source = (package / "__init__.py").read_text("utf-8")
    return source.rpartition("__version__ = ")[2].strip().strip("\"'")


def bindings(package: Path) -> tuple[int, ...]:
    """Sizes of the files that describe libllama and libmtmd: they must describe the very libraries that are loaded."""
    return tuple(path.stat().st_size for path in sorted(package.glob("*_cpp.py")))


def cpu_here() -> CpuMark:
    """This machine's CPU as a build remembers it."""
    flags = _instructions()
    return CpuMark(platform.machine(), "" if flags else _name(), flags)


def _instructions() -> tuple[str, ...]:
    """What Linux says of the first core, sorted; nothing on other systems."""
    try:
        with open(hardware.CPUINFO, "rb", buffering=0) as file:
            lines = file.read(16_384).decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            return tuple(sorted(flag for flag in value.split() if INSTRUCTIONS.search(flag)))
        if key.strip() == "Features":  # ARM: instructions alone
            return tuple(sorted(value.split()))
    return ()


def _name() -> str:
    if platform.system() != "Darwin":
        return platform.processor()
    import ctypes

    size, buffer = ctypes.c_size_t(256), ctypes.create_string_buffer(256)
    ctypes.CDLL(None).sysctlbyname(b"machdep.cpu.brand_string", buffer, ctypes.byref(size), None, 0)
    return buffer.value.decode("utf-8", "replace")


def keep(libraries: Path, build: Build) -> None:
    """Move the folder `libraries` to where `build` names it, and record it; an earlier build is removed.

    OSError, or as files.write.
    """
    place().mkdir(parents=True, exist_ok=True)
    before = _quietly_kept()
    os.replace(libraries, build.libraries)
    _write(asdict(build))
    if before is not None and before.folder != build.folder:
        shutil.rmtree(before.libraries, ignore_errors=True)


def forget() -> bool:
    """Remove the build that is kept, and whatever a broken-off one left; False where there was none. OSError."""
    was_there = record().exists()
    with contextlib.suppress(FileNotFoundError):
        record().unlink()  # first: from now on nobody loads it
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place())
    return was_there


def _quietly_kept() -> Build | None:
    try:
        return kept()
    except ValueError:
        return None


def _write(table: dict[str, Any]) -> None:
    """The record, whole or not at all."""
    files.write(record(), (json.dumps(table, indent=1) + "\n").encode(), mode=0o600)
