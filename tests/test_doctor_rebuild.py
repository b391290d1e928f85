"""`mmcli doctor --rebuild` and `--undo`: what is built for which machine, what is kept of it, and when it is loaded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmcli.engine.local import bindings, builds, devices
from mmcli.errors import ModelError, NetworkError, ResourceError
from mmcli.health import compiling, own_build, probe_process, targets, variants
from mmcli.health.targets import HostMachine
from tests.conftest import PICTURES, Run

PACKAGE = bindings.package()
posix = pytest.mark.skipif(os.name == "nt", reason="shell scripts")

GCC, NEW_GCC, CLANG = (variants.Compiler(*words) for words in (("GNU", 12), ("GNU", 14), ("Clang", 18)))
LINUX = HostMachine("Linux", "x86_64", frozenset({"avx2"}), GCC)
AMX = replace(LINUX, flags=frozenset({"avx2", "amx_tile"}))
H200 = replace(LINUX, has_nvidia=True, nvidia=(("NVIDIA H200", "9.0"),), nvcc="/usr/bin/nvcc")
TRIMMED = {"CMAKE_PROJECT_INCLUDE": str(variants.RECIPE)}
NATIVE = {"GGML_NATIVE": "ON"}
STORES = {"CMAKE_C_FLAGS": "-fno-dse", "CMAKE_CXX_FLAGS": "-fno-dse"}


# what is built for


@pytest.mark.parametrize(
    ("machine", "kind", "defines"),
    [
        (LINUX, "CPU", NATIVE | TRIMMED),
        (AMX, "CPU", NATIVE | TRIMMED | STORES),
        (replace(AMX, compiler=NEW_GCC), "CPU", NATIVE | TRIMMED),
        (replace(AMX, compiler=CLANG), "CPU", NATIVE | TRIMMED),  # does not know the flag, and needs none
        (replace(AMX, compiler=None), "CPU", NATIVE | TRIMMED),
        (
            H200,
            "CUDA",
            NATIVE
            | TRIMMED
            | {"GGML_CUDA": "ON", "CMAKE_CUDA_COMPILER": "/usr/bin/nvcc", "CMAKE_CUDA_ARCHITECTURES": "90"},
        ),
        (
            replace(H200, nvidia=(("A", "8.6"), ("B", "12.0"), ("C", "8.6"))),
            "CUDA",
            NATIVE
            | TRIMMED
            | {"GGML_CUDA": "ON", "CMAKE_CUDA_COMPILER": "/usr/bin/nvcc", "CMAKE_CUDA_ARCHITECTURES": "120;86"},
        ),
        (replace(LINUX, gpu=True, vulkan=True), "Vulkan", NATIVE | TRIMMED | {"GGML_VULKAN": "ON"}),
        (replace(LINUX, vulkan=True), "CPU", NATIVE | TRIMMED),  # headers, and no GPU
        (HostMachine("Darwin", "arm64", frozenset(), CLANG), "Metal", NATIVE | {"GGML_METAL": "ON"}),
        (HostMachine("Darwin", "x86_64", frozenset(), CLANG), "CPU", NATIVE),
        (HostMachine("Windows", "AMD64", frozenset(), None), "CPU", NATIVE),
    ],
)
def test_the_best_that_this_machine_can_build(machine: HostMachine, kind: str, defines: dict[str, str]) -> None:
    target = targets.choose(machine)
    assert (target.kind, dict(target.defines)) == (kind, defines)


@pytest.mark.parametrize(
    ("machine", "kind", "missing"),
    [
        (replace(H200, nvcc=None), "CPU", "CUDA toolkit"),
        (replace(H200, nvcc=None, vulkan=True), "Vulkan", "faster than Vulkan"),
        (replace(LINUX, gpu=True), "CPU", "glslc"),
        (LINUX, "CPU", None),
        (H200, "CUDA", None),
    ],
)
def test_what_a_gpu_lacks_is_said(machine: HostMachine, kind: str, missing: str | None) -> None:
    target = targets.choose(machine)
    assert target.kind == kind
    assert (missing or "") in (target.missing or "") and (missing is None) == (target.missing is None)


@posix
def test_gpus_are_known_from_nvidia_s_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "nvidia-smi", "echo 'NVIDIA H200, 9.0'; echo 'NVIDIA L4, 8.9'; echo 'N/A, [N/A]'")
    program(tmp_path / "nvcc", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    here = targets.here()
    assert here.nvidia == (("NVIDIA H200", "9.0"), ("NVIDIA L4", "8.9")) and here.has_nvidia
    assert here.nvcc == str(tmp_path / "nvcc")
    assert targets.choose(here).defines["CMAKE_CUDA_ARCHITECTURES"] == "89;90"


# compiling


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(script)}\n")
    path.chmod(0o755)


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes the script of a `uv` that stands in for the real one, which takes minutes and a network."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    yield lambda script: program(folder / "uv", script)


TARGET = 'while [ "$1" != --target ]; do shift; done; '  # $2 is then the folder


@posix
def test_what_is_compiled_is_counted(installer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installer(
        'echo "$@" > arguments; env > environment; '
        'echo "DEBUG [1/3] Building C object a.o"; echo "noise [x/y]" >&2; echo "[ 3/3] Linking libllama.so"; '
        f'{TARGET} mkdir -p "$2/llama_cpp/lib"'
    )
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_BLAS=ON")
    folder, steps = tmp_path / "work", []
    folder.mkdir()
    libraries = compiling.compile_into(
        folder, "0.3.36", {"GGML_NATIVE": "ON"}, on_step=lambda done, total: steps.append((done, total))
    )
    assert libraries == folder / "packages" / "llama_cpp" / "lib"
    assert steps == [(1, 3), (3, 3)]
    arguments = (folder / "arguments").read_text()
    assert "--config-settings-package llama-cpp-python:cmake.define.GGML_NATIVE=ON" in arguments
    assert "--no-deps --no-binary llama-cpp-python -v llama-cpp-python==0.3.36" in arguments
    assert "CMAKE_ARGS" not in (folder / "environment").read_text()
    assert (folder / "uv.toml").exists()  # the settings of a clone above would be taken otherwise


@posix
@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        ("DEBUG /src/a.cpp:3:1: error: expected ';'\nninja: build stopped", ModelError, "a.cpp:3:1: error: expected"),
        ("CMake Error at CMakeLists.txt:3: no nvcc\nerror: build failed", ModelError, "no nvcc"),
        ("error: Failed to fetch: tcp connect error", NetworkError, "tcp connect error"),
        ("error: dns error: failed to lookup address", NetworkError, "dns error"),
        ("", ModelError, "gave no reason"),
    ],
)
def test_what_went_wrong_is_said_and_kept(
    installer: Any, tmp_path: Path, said: str, error: type[Exception], says: str
) -> None:
    (tmp_path / "said").write_text(said)
    installer(f"cat {tmp_path / 'said'}; exit 1")
    folder = tmp_path / "data" / "work"
    folder.mkdir(parents=True)
    with pytest.raises(error, match=says) as raised:
        compiling.compile_into(folder, "0.3.36", {})
    log = tmp_path / "data" / "build.log"
    assert str(log) in str(getattr(raised.value, "hint", "")) and said.split("\n")[0] in log.read_text()


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "ROOM", shutil.disk_usage(tmp_path).total + 1)
    with pytest.raises(ResourceError, match="needs"):
        compiling.compile_into(tmp_path, "0.3.36", {})


@posix
def test_ctrl_c_ends_the_compilers_and_leaves_nothing(
    installer: Any, tmp_path: Path, environment: dict[str, str]
) -> None:
    installer(f"sleep 300 & echo $! > {tmp_path}/compiler; wait")
    data = tmp_path / "data"
    env = environment | {"PATH": os.environ["PATH"], "MMCLI_DATA_DIR": str(data)}
    command = [sys.executable, "-m", "mmcli", "doctor", "--rebuild"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while not (tmp_path / "compiler").exists() or not (tmp_path / "compiler").read_text().strip():
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    compiler = int((tmp_path / "compiler").read_text())
    with pytest.raises(ProcessLookupError):
        while True:  # init may take a moment to bury it
            os.kill(compiler, 0)
            if "Z" in Path(f"/proc/{compiler}/stat").read_text().rpartition(")")[2].split()[0]:
                raise ProcessLookupError
            time.sleep(0.05)
    assert [path.name for path in (data / "llama.cpp").iterdir()] == []


# what is kept, and loaded


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMCLI_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def copied(folder: Path) -> Path:
    """The installed libraries in a folder of their own: a build that says the same words."""
    folder.mkdir(parents=True)
    for path in devices.libraries():
        if not (folder / path.name).exists():
            shutil.copy2(path, folder / path.name)
    return folder


def kept(tmp_path: Path, **changed: Any) -> builds.Build:
    """A build that is kept and fits, but for what is `changed`."""
    build = builds.Build(
        "build-1",
        builds.version(PACKAGE),
        builds.bindings(PACKAGE),
        builds.cpu_here(),
        "CPU",
        ("-DGGML_NATIVE=ON",),
        1.42,
        "2026-11-30",
    )
    builds.keep(copied(tmp_path / "made"), replace(build, **changed))
    return replace(build, **changed)


LOADED = """
import json
from mmcli.engine.local import bindings
bindings.native()
print(json.dumps(sorted({line.split()[-1] for line in open("/proc/self/maps") if "llama" in line or "ggml" in line})))
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc")


def loaded(environment: dict[str, str]) -> set[str]:
    """The folders that a new process loads llama.cpp's libraries from."""
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True)
    return {str(Path(path).parent) for path in json.loads(done.stdout)}


@linux
def test_a_kept_build_is_loaded_and_answers(
    mmcli: Run, data: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    build = kept(tmp_path)
    assert loaded(environment | {"MMCLI_DATA_DIR": str(data)}) == {str(build.libraries)}
    done = mmcli("ask", PICTURES / "shapes.png", "How many?", "-m", "starter", env={"MMCLI_DATA_DIR": str(data)})
    assert done.status == 0, done.stderr
    assert {path.parent for path in devices.libraries()} == {build.libraries}
    found = next(own_build.examine())
    assert found.level == "ok" and "1.42 times" in found.message


@linux
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"package": "0.3.35"}, "0.3.35"),
        ({"bindings": (1, 2)}, "bindings"),
        ({"cpu": builds.CpuMark("riscv64")}, "another CPU"),
        ({"cpu": replace(builds.cpu_here(), flags=("avx10", *builds.cpu_here().flags))}, "another CPU"),
    ],
)
def test_a_build_that_does_not_fit_is_left_alone_and_told(
    data: Path, tmp_path: Path, environment: dict[str, str], changed: dict[str, Any], says: str
) -> None:
    build = kept(tmp_path, **changed)
    assert loaded(environment | {"MMCLI_DATA_DIR": str(data)}) == {str(PACKAGE / "lib")}
    assert build.libraries.is_dir()
    found = next(own_build.examine())
    assert found.level == "warning" and says in found.message and "--rebuild" in (found.remedy or "")


def test_a_cpu_with_more_runs_what_was_made_for_less() -> None:
    here = builds.CpuMark("x86_64", "", ("avx", "avx2", "fma"))
    assert builds.CpuMark("x86_64", "", ("avx", "fma")).runs_on(here)
    assert not builds.CpuMark("x86_64", "", ("avx", "avx512f")).runs_on(here)
    assert not builds.CpuMark("arm64", "Apple M3").runs_on(builds.CpuMark("arm64", "Apple M1"))


@linux
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"folder": "../.."}'])
def test_a_damaged_record_is_told_and_nothing_of_it_is_loaded(
    data: Path, tmp_path: Path, environment: dict[str, str], text: str
) -> None:
    kept(tmp_path)
    builds.record().write_text(text)
    assert loaded(environment | {"MMCLI_DATA_DIR": str(data)}) == {str(PACKAGE / "lib")}
    assert next(own_build.examine()).level == "warning"
    assert own_build.undo().facts == {"removed": True}


def test_a_record_names_no_folder_but_one_beside_it(data: Path, tmp_path: Path) -> None:
    kept(tmp_path)
    told = json.loads(builds.record().read_text())
    builds.record().write_text(json.dumps(told | {"folder": "../../elsewhere"}))
    with pytest.raises(ValueError, match="elsewhere"):
        builds.kept()


@linux
def test_a_kept_build_that_cannot_be_loaded_names_both_ways_out(mmcli: Run, data: Path, tmp_path: Path) -> None:
    build = kept(tmp_path)
    (library_file,) = build.libraries.glob("libllama.so")
    library_file.write_bytes(b"\x7fELF" + bytes(64))
    done = mmcli("demo", env={"MMCLI_DATA_DIR": str(data)})
    assert done.status == 4
    assert "`mmcli doctor --rebuild`" in done.stderr and "`mmcli doctor --undo`" in done.stderr
    assert mmcli("doctor", "--undo", env={"MMCLI_DATA_DIR": str(data)}).status == 0
    assert mmcli("demo", env={"MMCLI_DATA_DIR": str(data)}).status == 0


@linux
def test_one_s_own_variable_comes_first(data: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    kept(tmp_path)
    own = copied(tmp_path / "own")
    named = dict.fromkeys(bindings.FOLDERS, str(own))
    assert loaded(environment | named | {"MMCLI_DATA_DIR": str(data)}) == {str(own)}


def test_another_build_replaces_the_one_before(data: Path, tmp_path: Path) -> None:
    first = kept(tmp_path / "1")
    second = replace(first, folder="build-2", ratio=2.0)
    builds.keep(copied(tmp_path / "2" / "made"), second)
    assert builds.kept() == second and not first.libraries.exists()
    assert own_build.undo().facts == {"removed": True} and not builds.place().exists()
    assert own_build.undo().facts == {"removed": False}


# trying


def judged(libraries: Path, tmp_path: Path) -> list[Any]:
    target = targets.Target("CPU", "this", NATIVE)
    return list(own_build._judge(libraries, PACKAGE, target, tmp_path))


@pytest.mark.parametrize(("ratio", "is_kept"), [(1.5, True), (1.0, False), (0.7, False)])
def test_what_says_the_same_is_kept_if_it_is_faster(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: float, is_kept: bool
) -> None:
    monkeypatch.setattr(own_build, "compare", lambda new, old, folder: (ratio, {}))  # the clock's part
    trial, speed = judged(copied(tmp_path / "made"), tmp_path)
    assert trial.level == "ok" and trial.facts["new"] == trial.facts["installed"] != []
    assert speed.facts["kept"] is is_kept and f"{ratio if is_kept else 1 / ratio:.2f} times" in speed.message
    build = builds.kept()
    assert (build is not None) is is_kept
    if build is not None:
        assert build.ratio == ratio and builds.why_not(build, PACKAGE) is None
        assert builds.libraries_for(PACKAGE) == build.libraries


def test_a_build_is_measured_beside_the_installed_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_build, "ROUNDS", 1)
    ratio, facts = own_build.compare(copied(tmp_path / "made"), PACKAGE / "lib", tmp_path)
    assert ratio is not None and ratio > 0
    assert len(facts["rounds"]) == 1
    for took in facts["rounds"]:
        assert all(took[which][what] > 0 for which in ("installed", "new") for what in ("prompt", "answer"))


@linux
def test_a_build_that_does_not_load_is_not_kept(data: Path, tmp_path: Path) -> None:
    libraries = copied(tmp_path / "made")
    (libraries / "libmtmd.so").write_bytes(b"no library")
    (found,) = judged(libraries, tmp_path)
    assert found.level == "problem" and "not kept" in found.message and builds.kept() is None


def said(*answers: str, passed: bool = True, crash: str | None = None) -> probe_process.Ended:
    items = [
        {"item": f"{i}", "answer": answer, "passed": passed, "essential": True} for i, answer in enumerate(answers)
    ]
    return probe_process.Ended([{"item": item} for item in items], crash)


@pytest.mark.parametrize(
    ("new", "old", "says"),
    [
        (said("red"), said("red"), None),
        (said("Red."), said("red"), "same words"),
        (said("red", passed=False), said("red"), "computes wrong results"),
        (said("red", crash="SIGILL"), said("red"), "SIGILL"),
        (said(), said("red"), "computes wrong results"),
        (said("red"), said(crash="SIGILL"), None),  # the installed one is broken: any that is right is better
        (probe_process.Ended([{"error": "no backend"}]), said("red"), "no backend"),
    ],
)
def test_a_build_that_is_wrong_is_told_from_one_that_is_right(
    new: probe_process.Ended, old: probe_process.Ended, says: str | None
) -> None:
    wrong = own_build._wrong(new, old)
    assert (wrong is None) == (says is None) and (says or "") in (wrong or "")


# the command


def test_both_at_once_are_a_contradiction(mmcli: Run) -> None:
    done = mmcli("doctor", "--rebuild", "--undo")
    assert done.status == 2 and "--undo" in done.stderr


@posix
def test_a_failed_build_is_an_error_and_leaves_what_was_there(
    mmcli: Run, installer: Any, data: Path, tmp_path: Path
) -> None:
    build = kept(tmp_path)
    installer("echo 'x.cpp:1:1: error: no'; exit 1")
    env = {"MMCLI_DATA_DIR": str(data), "PATH": os.environ["PATH"]}
    done = mmcli("doctor", "--rebuild", env=env)
    assert done.status == 4 and "x.cpp:1:1: error: no" in done.stderr
    assert builds.kept() == build and {path.name for path in builds.place().iterdir()} == {
        *("build-1", "build.json", "build.log")
    }


@pytest.mark.slow
@pytest.mark.skipif("MMCLI_TEST_REBUILD" not in os.environ, reason="compiles llama.cpp: 5 minutes, and a network")
def test_a_real_build_is_made_tried_and_judged(mmcli: Run, data: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "mmcli", "doctor", "--rebuild", "--json"]
    env = environment | {"MMCLI_DATA_DIR": str(data)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["trial"]["level"] == found["speed"]["level"] == "ok"
    assert found["trial"]["facts"]["new"] == found["trial"]["facts"]["installed"]
    is_kept = found["speed"]["facts"]["kept"]
    assert is_kept == (found["speed"]["facts"]["ratio"] >= own_build.FASTER) == (builds.kept() is not None)
    assert mmcli("doctor", "--undo", env={"MMCLI_DATA_DIR": str(data)}).status == 0
    assert builds.kept() is None
