"""Compiles llama-cpp-python's llama.cpp with other definitions, into a folder of its own. Knows uv and pip; no models.

The installer fetches the source from wherever this person's packages come from, with the tools that compile it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmcli.errors import ModelError, NetworkError, ResourceError

PACKAGE = "llama-cpp-python"
ROOM = 2_000_000_000  # bytes: the source, what is compiled of it, and a GPU's kernels
KEPT_LINES = 2000  # of what the build said, the last ones
STEP = re.compile(r"\[\s*(\d+)/(\d+)\]\s")  # as ninja counts
OnStep = Callable[[int, int], None]


def compile_into(
    folder: Path, version: str, defines: Mapping[str, str], *, offline: bool = False, on_step: OnStep | None = None
) -> Path:
    """Compile this version of llama-cpp-python with CMake's `defines`; return the folder of its libraries.

    `folder` must be there, and takes whatever comes up. `on_step(done, total)` counts what is compiled. Errors:
    ResourceError without room on the disk; NetworkError where the source cannot be had; ModelError where it does not
    compile, with the file that has what was said.
    """
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise ResourceError(
            f"compiling llama.cpp needs {ROOM / 1e9:.0f} GB, and `{folder}` has {free / 1e9:.1f} GB left",
            hint="set MMCLI_DATA_DIR to a folder on another disk",
        )
    (folder / "uv.toml").touch()  # uv looks for its settings from here upwards: a clone's own are not for this
    target = folder / "packages"
    command = _command(target, version, defines, offline=offline)
    said: deque[str] = deque(maxlen=KEPT_LINES)
    with _running(command, folder) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            if on_step is not None and (step := STEP.search(line)):
                on_step(int(step[1]), int(step[2]))
        status = process.wait()
    libraries = next(target.glob("*/lib"), None)  # in the package's folder
    if status == 0 and libraries is not None:
        return libraries
    raise _failure(said, folder)


def _command(target: Path, version: str, defines: Mapping[str, str], *, offline: bool) -> list[str]:
    """An installer's command. Definitions are settings, not CMAKE_ARGS: uv keys what it has built by settings."""
    settings = [f"cmake.define.{name}={value}" for name, value in sorted(defines.items())]
    wanted = ["--target", str(target), "--no-deps", "--no-binary", PACKAGE, "-v", f"{PACKAGE}=={version}"]
    uv = shutil.which("uv") or (importlib.util.find_spec("uv") and [sys.executable, "-m", "uv"])
    if uv:
        program = [uv] if isinstance(uv, str) else list(uv)
        given = [word for setting in settings for word in ("--config-settings-package", f"{PACKAGE}:{setting}")]
        quiet = ["--offline"] if offline else []
        return [*program, "pip", "install", "--python", sys.executable, *quiet, *given, *wanted]
    if importlib.util.find_spec("pip") is None:
        raise ModelError("neither uv nor pip is here to download llama.cpp's source", hint="pip install uv")
    if offline:
        raise NetworkError("pip downloads llama.cpp's source, and --offline forbids that")
    given = [word for setting in settings for word in ("-C", setting)]
    program = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    return [*program, "install", "--no-cache-dir", *given, *wanted]


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command with its output in one stream; whatever ends us ends it and all that it started."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CMAKE_ARGS", "UV_CONFIG_FILE")}
    group = {"start_new_session": True} if os.name == "posix" else {}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        **group,  # type: ignore[call-overload]
    )
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _end(process: subprocess.Popen[str]) -> None:
    """Compilers are grandchildren: they go with the group. What does not listen is killed."""
    import signal

    def send(number: int) -> None:
        try:
            if os.name == "posix":
                os.killpg(process.pid, number)
            else:
                process.kill()
        except ProcessLookupError:
            pass

    send(signal.SIGTERM)
    timer = threading.Timer(5, send, [getattr(signal, "SIGKILL", signal.SIGTERM)])
    timer.start()
    try:
        process.wait()
    finally:
        timer.cancel()


def _failure(said: Sequence[str], folder: Path) -> ModelError | NetworkError:
    """What went wrong, in the words of whoever said it last; all of it is written down beside."""
    log = folder.parent / "build.log"
    log.write_text("\n".join(said) + "\n", "utf-8")
    errors = [line for line in said if re.search(r"\berror\b", line, re.IGNORECASE)]
    compiled = [line for line in errors if re.search(r": (fatal )?error: |CMake Error|FAILED:", line)]
    reason = (compiled or errors[-1:] or ["it gave no reason"])[0]
    reason = re.sub(r"^DEBUG ", "", " ".join(reason.split()))[:200]
    if not compiled and re.search(r"connect|network|dns|timed out|resolve host|No solution|not found in", reason, re.I):
        return NetworkError(f"llama.cpp's source cannot be downloaded: {reason}", hint=f"the whole log: {log}")
    return ModelError(f"llama.cpp cannot be compiled: {reason}", hint=f"the whole log: {log}")
