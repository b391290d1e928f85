"""llama.cpp's libraries: a build that cannot work is told before anything computes.

The real libraries, but for what this machine cannot have: another CPU, and a build in other pieces.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmcli.engine import hardware
from mmcli.engine.local import bindings, devices
from mmcli.errors import ModelError
from mmcli.health import native, probe_process

CPUINFO = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu sse4_2 avx f16c fma\nbugs\t\t: none\n\nprocessor\t: 1\n"
)


def test_what_the_build_uses_this_cpu_has() -> None:
    assert bindings.lacking() == []
    assert bindings.function("ggml_cpu_has_wings") is None


def test_features_are_read_from_the_first_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "cpuinfo")
    assert hardware.lacks(hardware.cpu_flags(), ["AVX", "AVX2", "AVX512", "FMA"]) == ["AVX2", "AVX512"]
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd\n")  # another architecture
    assert hardware.lacks(hardware.cpu_flags(), ["AVX"]) == []
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "missing")  # another system
    assert hardware.lacks(hardware.cpu_flags(), ["AVX"]) == []


OTHER_CPU = """
import sys
from pathlib import Path
from mmcli.engine import hardware
from mmcli.engine.local import bindings
hardware.CPUINFO = Path(sys.argv.pop(1))
told = bindings.function
if told("ggml_cpu_has_avx2") is None:  # this build chooses when it runs: as if it had been made for one CPU
    bindings.function = lambda name, *result: (lambda: 1) if name == "ggml_cpu_has_avx2" else told(name, *result)
from mmcli.{module} import main
main()
"""


def test_a_build_for_another_cpu_is_told_before_it_crashes(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    command = [sys.executable, "-c", OTHER_CPU.format(module="main"), str(tmp_path / "cpuinfo"), "demo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (4, "")
    assert "compiled for a CPU with AVX2" in done.stderr and "`mmcli doctor`" in done.stderr


def test_the_doctor_prints_the_build_for_a_cpu_that_lacks_something(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    probe = probe_process.run(
        [sys.executable, "-c", OTHER_CPU.format(module="engine.local.probe"), str(tmp_path / "cpuinfo")]
    )
    found = native.build(probe)
    assert found.level == "problem" and found.status == 4
    assert "AVX2" in found.message and "-DGGML_NATIVE=OFF" in (found.remedy or "")


class Ggml:
    """A ggml whose backends are libraries of their own (GGML_BACKEND_DL), in so far as loading them goes."""

    def __init__(self, works: bool = True) -> None:
        self.loaded: list[Path] = []
        self._works = works

    def function(self, name: str, result: Any = ctypes.c_int) -> Any:
        return {"ggml_backend_reg_count": self._count, "ggml_backend_load_all_from_path": self._load}[name]

    def _count(self) -> int:
        return len(self.loaded) if self._works else 0

    def _load(self, folder: bytes) -> None:
        self.loaded.append(Path(folder.decode()))


@pytest.mark.parametrize("places", [("bin",), ("llama_cpp/lib",), ("llama_cpp/lib", "bin")])
def test_backends_are_loaded_once_from_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[str, ...]
) -> None:
    ggml = _package(tmp_path, monkeypatch, Ggml())
    for place in places:
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "libggml-cpu-haswell.so").touch()
    bindings._load_backends()
    assert ggml.loaded == [tmp_path / places[0]]
    bindings._load_backends()
    assert len(ggml.loaded) == 1


def test_the_working_folder_brings_no_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ggml = _package(tmp_path, monkeypatch, Ggml())
    (tmp_path / "libggml-cpu-haswell.so").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="has no backend"):
        bindings._load_backends()
    assert ggml.loaded == []


def test_backends_that_do_not_fit_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _package(tmp_path, monkeypatch, Ggml(works=False))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "libggml-cpu-zen4.so").touch()
    with pytest.raises(ModelError, match="has no backend"):
        bindings._load_backends()


def test_the_devices_are_those_of_the_ggml_that_llama_cpp_uses() -> None:
    told = devices.told()
    assert [device["type"] for device in told["devices"]][-1] == "CPU" and told["devices"][-1]["total"] > 0
    maps = Path("/proc/self/maps")
    if maps.exists():  # each library once: another copy would have devices of its own
        lines = [line.split() for line in maps.read_text().splitlines() if "libggml-base" in line]
        assert len({line[-1] for line in lines}) == 1


def _package(folder: Path, monkeypatch: pytest.MonkeyPatch, ggml: Ggml) -> Ggml:
    """The bindings as if they lay in `folder`, with this ggml."""
    (folder / "llama_cpp" / "lib").mkdir(parents=True)
    package = folder / "llama_cpp"
    monkeypatch.setattr(bindings, "package", lambda: package)
    module = type("module", (), {"_base_path": package / "lib"})
    monkeypatch.setattr(bindings, "_bindings", lambda: (module, None))
    monkeypatch.setattr(bindings, "function", ggml.function)
    return ggml
