"""How llama.cpp is compiled here: the choice as a table, the package uv puts beside the build, and what came of it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from mmcli.engine.local import devices
from mmcli.health import variants
from mmcli.health.variants import VARIANTS, Compiler
from tests.conftest import PICTURES

ROOT = Path(__file__).parents[1]
GCC, CLANG = Compiler("GNU", 12), Compiler("Clang", 18)

# flags of /proc/cpuinfo, as far as they matter
NEHALEM = "fpu sse2 ssse3 sse4_1 sse4_2 popcnt"
SANDY_BRIDGE = f"{NEHALEM} aes avx"
IVY_BRIDGE = f"{SANDY_BRIDGE} f16c rdrand"
PILEDRIVER = f"{SANDY_BRIDGE} f16c fma xop fma4"
HASWELL = f"{IVY_BRIDGE} fma avx2 bmi1 bmi2 movbe"
ZEN_3 = f"{HASWELL} sse4a clzero vaes vpclmulqdq"
ALDER_LAKE = f"{HASWELL} avx_vnni"
SKYLAKE = f"{HASWELL} avx512f avx512cd avx512bw avx512dq avx512vl"
CASCADE_LAKE = f"{SKYLAKE} avx512_vnni"
ICE_LAKE = f"{CASCADE_LAKE} avx512vbmi avx512_vbmi2"
COOPER_LAKE = f"{CASCADE_LAKE} avx512_bf16"
ZEN_4 = f"{ICE_LAKE} avx512_bf16"
ZEN_5 = f"{ZEN_4} avx_vnni"
SAPPHIRE_RAPIDS = f"{ZEN_5} amx_bf16 amx_tile amx_int8"
KNIGHTS_LANDING = f"{HASWELL} avx512f avx512pf avx512er avx512cd"  # AVX-512 without the parts that ggml needs


@pytest.mark.parametrize(
    ("flags", "compiler", "chosen"),
    [
        (NEHALEM, GCC, "sse42 haswell"),
        (SANDY_BRIDGE, GCC, "sse42 sandybridge haswell"),
        (IVY_BRIDGE, GCC, "sse42 ivybridge haswell"),
        (PILEDRIVER, GCC, "sse42 piledriver haswell"),
        (HASWELL, GCC, "sse42 haswell"),
        (ZEN_3, GCC, "sse42 haswell"),
        (ALDER_LAKE, GCC, "sse42 haswell alderlake"),
        (ALDER_LAKE, Compiler("GNU", 10), "sse42 haswell"),  # does not know the instructions
        (SKYLAKE, GCC, "sse42 haswell skylakex"),
        (CASCADE_LAKE, GCC, "sse42 haswell cascadelake"),
        (ICE_LAKE, GCC, "sse42 haswell icelake"),
        (COOPER_LAKE, GCC, "sse42 haswell cooperlake"),
        (ZEN_4, GCC, "sse42 haswell zen4"),
        (ZEN_4, CLANG, "sse42 haswell zen4"),
        (ZEN_4, Compiler("GNU", 9), "sse42 haswell icelake"),
        (ZEN_5, GCC, "sse42 haswell zen4"),
        (SAPPHIRE_RAPIDS, GCC, "sse42 haswell sapphirerapids"),
        (SAPPHIRE_RAPIDS, Compiler("GNU", 10), "sse42 haswell zen4"),
        (SAPPHIRE_RAPIDS, Compiler("Clang", 11), "sse42 haswell zen4"),
        (KNIGHTS_LANDING, GCC, "sse42 haswell"),
        ("fpu sse2 ssse3", GCC, "x64 haswell"),  # older than all that mmcli's other libraries run on
        # not known to work: the safe build
        (ZEN_4, Compiler("GNU", 8), ""),
        (ZEN_4, Compiler("Clang", 8), ""),
        (ZEN_4, Compiler("NVHPC", 24), ""),
        (ZEN_4, None, ""),
        ("", GCC, ""),
    ],
)
def test_the_variants_are_this_cpu_s_and_those_that_run_anywhere(
    flags: str, compiler: Compiler | None, chosen: str
) -> None:
    assert variants.choose("Linux", "x86_64", "glibc", compiler, flags.split()) == tuple(chosen.split())


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [
        ("Linux", "aarch64", "glibc"),  # its variants need GCC 14, and nobody tried them
        ("Linux", "ppc64le", "glibc"),
        ("Linux", "i686", "glibc"),
        ("Linux", "", "glibc"),  # a 32-bit Python on a 64-bit kernel
        ("Linux", "x86_64", ""),  # musl
        ("Darwin", "x86_64", ""),
        ("Darwin", "arm64", ""),
        ("Windows", "AMD64", ""),
        ("FreeBSD", "amd64", ""),
    ],
)
def test_other_machines_get_the_safe_build(system: str, machine: str, libc: str) -> None:
    assert variants.choose(system, machine, libc, GCC, ZEN_4.split()) == ()


def test_off_linux_nothing_changes() -> None:
    assert variants.cmake_args("Darwin", (), CLANG) == ["-DGGML_NATIVE=OFF"]
    assert variants.cmake_args("Windows", (), None) == ["-DGGML_NATIVE=OFF"]
    recipe = Path("/a b/llama.cmake")
    assert variants.cmake_args("Linux", (), None, recipe) == ["-DGGML_NATIVE=OFF", f"-DCMAKE_PROJECT_INCLUDE={recipe}"]
    assert variants.cmake_args("Linux", ("sse42", "zen4"), GCC, recipe)[2:] == [
        "-DMMCLI_VARIANTS=sse42,zen4",
        "-DMMCLI_COMPILER=GNU-12",
    ]


def test_the_recipe_knows_the_variants_that_the_table_knows() -> None:
    named = re.search(r"set\(MMCLI_UNWANTED ([\w\s]+)\)", variants.RECIPE.read_text())
    assert named is not None and named[1].split() == list(VARIANTS)


# which compiler


def compiler(path: Path, *macros: str) -> Path:
    """A compiler of which nothing is known but what it predefines."""
    lines = "\n".join(f"#define {macro}" for macro in ("__x86_64__ 1", *macros))
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(os.name == "nt", reason="shell scripts")
@pytest.mark.parametrize(
    ("macros", "found"),
    [
        (("__GNUC__ 12",), GCC),
        (("__GNUC__ 4", "__clang__ 1", "__clang_major__ 18"), CLANG),  # clang passes for GCC 4
        (("__GNUC__ 4", "__clang__ 1", "__clang_major__ 19", "__INTEL_LLVM_COMPILER 20250000"), None),
        (("__TINYC__ 928",), None),
    ],
)
def test_a_compiler_is_known_by_what_it_predefines(
    tmp_path: Path, macros: tuple[str, ...], found: Compiler | None
) -> None:
    path = str(compiler(tmp_path / "gcc-99", *macros))
    assert variants.compiler_here({"CC": path, "CXX": path}) == found
    assert variants.compiler_here({"CC": f"{path} -pipe", "CXX": shlex.quote(path)}) == found


@pytest.mark.skipif(os.name == "nt", reason="shell scripts")
def test_two_compilers_or_none_are_no_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c, cxx = compiler(tmp_path / "c", "__GNUC__ 12"), compiler(tmp_path / "cxx", "__GNUC__ 13")
    assert variants.compiler_here({"CC": str(c), "CXX": str(cxx)}) is None
    assert variants.compiler_here({"CC": str(tmp_path / "none"), "CXX": str(c)}) is None
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert variants.compiler_here({}) is None


# the package that uv puts beside the build


@pytest.fixture(scope="module")
def native() -> ModuleType:
    spec = importlib.util.spec_from_file_location("native", ROOT / "packaging" / "native.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheel_is_what_the_sources_make_and_uv_asks_for_it(native: ModuleType) -> None:
    """`python3 packaging/native.py --pack` writes it."""
    (wheel,) = (ROOT / "packaging" / "native-build").glob("*.whl")
    assert wheel == native.wheel()
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert found == native.contents()
    settings = tomllib.loads((ROOT / "uv.toml").read_text())
    assert settings["extra-build-dependencies"] == {"llama-cpp-python": [f"mmcli-native-build=={native.version()}"]}
    assert settings["extra-build-variables"] == {"llama-cpp-python": {"CMAKE_ARGS": variants.SAFE}}
    assert settings["find-links"] == ["packaging/native-build"]
    # uv reads one of the two files, and says of the other that it is ignored
    assert "uv" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


@pytest.fixture
def beside(native: ModuleType, tmp_path: Path) -> Path:
    """The wheel unpacked, in a folder that a Python takes for one of packages."""
    folder = tmp_path / "a b"
    with zipfile.ZipFile(native.wheel()) as archive:
        archive.extractall(folder)
    return folder


def arguments(folder: Path, **environment: str) -> list[str]:
    """CMAKE_ARGS as a build sees it that has `folder` among its packages."""
    code = f"import json, os, site; site.addsitedir({str(folder)!r}); print(json.dumps(os.environ['CMAKE_ARGS']))"
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return shlex.split(json.loads(done.stdout))


def test_the_build_is_told_what_was_chosen(beside: Path) -> None:
    recipe = beside / "mmcli_native_build" / "llama.cmake"
    assert arguments(beside, CMAKE_ARGS=variants.SAFE) == variants.here(recipe=recipe)
    for own in ("-DGGML_CUDA=ON", "", "-DGGML_NATIVE=OFF -DGGML_BLAS=ON"):
        assert arguments(beside, CMAKE_ARGS=own) == shlex.split(own)


def test_a_fault_in_choosing_leaves_the_safe_build(beside: Path) -> None:
    file = beside / "mmcli_native_build" / "variants.py"
    file.write_text(file.read_text() + "\n\ndef here(environment):\n    raise OSError('no /proc')\n")
    assert arguments(beside, CMAKE_ARGS=variants.SAFE) == [variants.SAFE]


def test_the_line_for_pip_needs_nothing_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", ROOT / "packaging" / "native.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shlex.split(done.stdout) == variants.here()


# what came of it: the build these tests run with


def tags() -> list[str]:
    """The variants that are installed here, the slowest first."""
    names = {path.name for path in devices.libraries()}
    return [tag for tag in VARIANTS if any(re.fullmatch(rf"libggml-cpu-{tag}\.so", name) for name in names)]


def is_uv_s(distribution: importlib.metadata.Distribution) -> bool:
    """Whether uv compiled it as uv.toml says: it writes down what it was told."""
    told = json.loads(distribution.read_text("uv_build.json") or "{}")
    requires = [wanted["requirement"]["name"] for wanted in told.get("extra_build_requires", ())]
    return "mmcli-native-build" in requires and told.get("extra_build_variables") == {"CMAKE_ARGS": variants.SAFE}


def test_what_uv_compiled_here_has_the_variants() -> None:
    """Whatever goes wrong in choosing leaves the safe build: nobody would notice."""
    if not is_uv_s(importlib.metadata.distribution("llama-cpp-python")):
        pytest.skip("llama.cpp was built in another way")
    system, machine, libc = platform.system(), platform.machine(), platform.libc_ver()[0]
    if variants.choose(system, machine, libc, variants.compiler_here(), variants.cpu_flags()):
        assert {"haswell"} < set(tags())  # and one for older CPUs; the best for this one may be neither
    else:
        assert tags() == []


chosen = pytest.mark.skipif(not tags(), reason="llama.cpp was built in another way")

LOADED = """
import json, re
from mmcli.engine.local import bindings
bindings.native()
found = re.findall(r"libggml-cpu-(\\w+)\\.so", open("/proc/self/maps").read())
print(json.dumps(sorted(set(found))))
"""


@chosen
def test_the_best_variant_for_this_cpu_is_loaded_and_no_other() -> None:
    flags = variants.cpu_flags()
    best = [tag for tag in tags() if VARIANTS[tag].needs <= flags][-1]
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [best]


@chosen
def test_only_what_is_loaded_is_installed_and_once() -> None:
    names = [path.name for path in devices.libraries()]
    plain = {f"lib{name}.so" for name in ("llama", "mtmd", "ggml", "ggml-base")}
    assert sorted(names) == sorted(plain | {f"libggml-cpu-{tag}.so" for tag in tags()})
    assert {"haswell"} < set(tags())


@chosen
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="qemu-user is not installed")
@pytest.mark.parametrize(("model", "tag"), [("Nehalem", "sse42"), ("Haswell", "haswell")])
def test_other_cpus_run_the_same_build(model: str, tag: str, environment: dict[str, str]) -> None:
    """A wheel from a shared cache, an image or a machine that moved: emulated, so that this CPU's own is no help."""
    emulated = ["qemu-x86_64", "-cpu", model, sys.executable]
    done = subprocess.run([*emulated, "-c", LOADED], env=environment, capture_output=True, text=True, timeout=600)
    assert json.loads(done.stdout) == [tag], done.stderr
    asked = ["-m", "mmcli", "ask", PICTURES / "shapes.png", "What is in this picture?", "-m", "starter", "--temp", "0"]
    done = subprocess.run([*emulated, *asked], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "red circle" in done.stdout and "blue square" in done.stdout
