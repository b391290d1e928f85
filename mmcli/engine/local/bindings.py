"""Finds llama.cpp's libraries, adapts them to this process, and loads them once. The only module that loads llama_cpp.

Here a build fails that cannot work: one that is missing, made for another CPU, or without a backend. llama.cpp's log is
kept here, and what it says before it aborts is handed on.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import os
import re
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmcli import errors
from mmcli.engine import hardware
from mmcli.engine.local import builds
from mmcli.errors import ModelError

# llama-cpp-python's own variables: where libllama and libmtmd are, if not in the package
FOLDERS = ("LLAMA_CPP_LIB_PATH", "MTMD_CPP_LIB")
LOG_LINES = 400  # the last lines of llama.cpp's log are kept to explain a failure
REASON = re.compile("error|failed", re.IGNORECASE)


class Log:
    """llama.cpp's log, which is one for the whole process: kept for explanations, handed on to those who listen.

    A line belongs to the thread that called llama.cpp, so that two engines do not explain each other's failures.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str]] = deque(maxlen=LOG_LINES)  # thread and line
        self._partial: dict[int, str] = {}  # what a thread has begun to write
        self._listeners: list[Callable[[str], None]] = []
        self._lock = threading.RLock()  # one thread may scale or encode a picture while another decodes

    def feed(self, text: bytes) -> None:
        thread = threading.get_ident()
        with self._lock:
            *whole, rest = (self._partial.pop(thread, "") + text.decode("utf-8", "replace")).split("\n")
            if rest:
                self._partial[thread] = rest
            for line in whole:
                self._lines.append((thread, line))
                for listener in tuple(self._listeners):
                    listener(line)

    @contextmanager
    def listening(self, listener: Callable[[str], None]) -> Iterator[None]:
        """While inside, `listener` gets every line, of any thread."""
        with self._lock:
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    @contextmanager
    def captured(self) -> Iterator[list[str]]:
        """The lines that calls of this thread write inside."""
        thread, lines = threading.get_ident(), list[str]()

        def take(line: str) -> None:
            if threading.get_ident() == thread:
                lines.append(line)

        with self.listening(take):
            yield lines

    @property
    def lines(self) -> list[str]:
        """The last lines of all threads."""
        with self._lock:
            return [line for _, line in self._lines]

    def last_error(self) -> str:
        """The last line that looks like a reason, of this thread if it has one; or an empty string."""
        with self._lock:
            reasons = [(thread, line) for thread, line in self._lines if REASON.search(line)]
        own = [line for thread, line in reasons if thread == threading.get_ident()] or [line for _, line in reasons]
        telling = [line for line in own if "failed to load model" not in line]
        return (telling or own or [""])[-1].strip()


log = Log()
callbacks: list[Any] = []  # C keeps only the pointer: the Python objects must live as long as the process


_starting = threading.RLock()  # weights and projector may be loaded by two threads at once


def native() -> tuple[Any, Any]:
    """The binding modules (llama_cpp.llama_cpp, llama_cpp.mtmd_cpp), ready, with logging tied to `log`."""
    with _starting:
        return _started()


@functools.cache
def _started() -> tuple[Any, Any]:
    llama, mtmd = _bindings()
    if features := lacking():
        raise ModelError(
            f"llama.cpp was compiled for a CPU with {', '.join(features)}, which this one does not have",
            hint="`mmcli doctor` prints the command that rebuilds it",
        )
    callback = llama.llama_log_callback(lambda level, text, user_data: log.feed(text))
    callbacks.append(callback)
    llama.llama_log_set(callback, None)
    mtmd.mtmd_helper_log_set(callback, None)  # sets libmtmd's own log too
    _explain_aborts()
    _load_backends()
    llama.llama_backend_init()
    return llama, mtmd


@functools.cache
def _bindings() -> tuple[Any, Any]:
    hardware.calm_threads()
    # When llama.cpp aborts, its reason is enough: a debugger's backtrace would bury it.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    own = None if FOLDERS[0] in os.environ else builds.libraries_for(package())
    if "llama_cpp" not in sys.modules:
        # The package's __init__ also imports its high-level half (numpy, jinja2, diskcache): 0.24 s we have no use for.
        module = types.ModuleType("llama_cpp")
        module.__path__ = [str(package())]
        module.__spec__ = importlib.util.find_spec("llama_cpp")
        sys.modules["llama_cpp"] = module
    try:
        with _loading_from(own):
            return importlib.import_module("llama_cpp.llama_cpp"), importlib.import_module("llama_cpp.mtmd_cpp")
    except (OSError, RuntimeError, FileNotFoundError) as error:
        if own is not None:
            raise ModelError(
                f"the llama.cpp that `mmcli doctor --rebuild` made cannot be loaded: {error}",
                hint="`mmcli doctor --rebuild` builds it again, `mmcli doctor --undo` returns to the installed one",
            ) from error
        raise ModelError(
            f"llama.cpp's library cannot be loaded: {error}",
            hint="reinstall llama-cpp-python for this machine (see docs/install.md)",
        ) from error


@functools.cache
def package() -> Path:
    """The folder of llama-cpp-python's bindings, which are not imported for that."""
    loaded = sys.modules.get("llama_cpp")
    spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec("llama_cpp")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "llama-cpp-python is not installed",
            hint="pip install llama-cpp-python  (see docs/install.md)",
        )
    return Path(spec.submodule_search_locations[0])


@contextmanager
def _loading_from(libraries: Path | None) -> Iterator[None]:
    """While inside, the bindings load their libraries from this folder instead of the one beside them.

    Not for longer: child processes find out by themselves.
    """
    if libraries is None:
        yield
        return
    os.environ.update(dict.fromkeys(FOLDERS, str(libraries)))
    try:
        yield
    finally:
        for name in FOLDERS:
            os.environ.pop(name, None)


def folder() -> Path:
    """Where llama.cpp's libraries were loaded from."""
    return Path(_bindings()[0]._base_path)


def function(name: str, result: Any = ctypes.c_int) -> Any:
    """A function of ggml that the bindings leave out, from the copy that llama.cpp itself uses; None if there is none.

    libllama's handle finds what it depends on, too; Windows wants the very library. A wheel holds each library under
    several names, and to open another name is to load another copy, with devices and callbacks of its own.
    """
    llama, _ = _bindings()
    libraries = [llama._lib]
    if sys.platform == "win32":
        paths = [folder() / f"{name}.dll" for name in ("ggml", "ggml-base", "ggml-cpu")]
        libraries += [ctypes.CDLL(str(path)) for path in paths if path.exists()]
    for library in libraries:
        if hasattr(library, name):
            found = library[name]  # an object of our own: types set on it change nobody else's
            found.restype = result
            return found
    return None


def lacking() -> list[str]:
    """What llama.cpp was compiled to use and this CPU does not have: its first computation would end the process."""
    uses = {feature: function(f"ggml_cpu_has_{feature.lower()}") for feature in hardware.X86}
    return hardware.lacks(hardware.cpu_flags(), [feature for feature, has in uses.items() if has is not None and has()])


def _load_backends() -> None:
    """For a build with GGML_BACKEND_DL: what computes is in libraries of its own, and ggml takes the CPU's best.

    They are searched where the package is, and never where ggml looks by itself: the working folder is among that.
    """
    count = function("ggml_backend_reg_count", ctypes.c_size_t)
    load = function("ggml_backend_load_all_from_path", None)
    if count is None or load is None or count() > 0:
        return
    # Of a wheel that llama.cpp's own CMake files installed they are in bin/ beside the package.
    for place in (folder(), package().parent / "bin"):
        if count() == 0 and any(place.glob("*ggml-cpu*")):
            load(os.fsencode(place))
    if count() == 0:
        raise ModelError(
            "llama.cpp has no backend: none was installed with it",
            hint="reinstall llama-cpp-python for this machine (see docs/install.md)",
        )


def _explain_aborts() -> None:
    """Where llama.cpp finds what it cannot go on from it aborts: hand its reason to `errors.last_words` before that."""
    install = function("ggml_set_abort_callback", ctypes.c_void_p)
    if errors.last_words is None or install is None:
        return
    callback = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda message: _aborts(message.decode("utf-8", "replace")))
    callbacks.append(callback)
    install(callback)


def _aborts(message: str) -> None:
    """`message` is ggml's: /path/of/its/source.cpp:12: the reason."""
    found = re.fullmatch(r"(?:.*[/\\])?([^/\\:]+:\d+): (.*)", message, re.DOTALL)
    place, reason = found.groups() if found else ("", message)
    if errors.last_words is not None:
        errors.last_words(
            ModelError(
                f"llama.cpp cannot continue: {reason.strip()}" + (f" ({place})" if place else ""),
                hint="the model's files may be damaged, or belong to different models; --debug shows llama.cpp's log",
            )
        )


def version() -> str:
    """The version of llama-cpp-python and the CPU features llama.cpp was built with: part of a KV file's key."""
    llama, _ = native()
    features = llama.llama_print_system_info().decode()
    return f"{builds.version(package())} | {features}"


def can_offload() -> bool:
    llama, _ = native()
    return bool(llama.llama_supports_gpu_offload())
