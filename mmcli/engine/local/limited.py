"""Runs a chat template, compiled once, within limits: in this process, or in one of its own.

sandbox.py runs what it can count. What it cannot is run by `main` in another Python: variables come in as JSON on
stdin, the text goes out as JSON on stdout. Knows processes; knows no Jinja and no messages.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli.engine import hardware
from mmcli.engine.local.sandbox import Program, Refused, TooMuch, Uncounted

if TYPE_CHECKING:
    import subprocess

SECONDS = 5  # of CPU in a process of its own
PATIENCE = 60.0  # seconds in all: other programs may want the CPUs
MEMORY = 1 << 30  # bytes
MOST_SOURCE = 1 << 20  # characters
MOST_TEXT = 16 << 20  # characters of the prompt, and eight times what was given


class Compiled:
    """One template. Use `compiled` to make it: the same template is compiled only once."""

    def __init__(self, source: str) -> None:
        """Refused where it is not a template."""
        if len(source) > MOST_SOURCE:
            raise Refused(f"it is {len(source)} characters long")
        self._source = source
        self._program: Program | None = None
        try:
            self._program = Program(source)
        except Uncounted:
            pass  # the process compiles it

    def run(self, variables: Mapping[str, object], n_given: int) -> str:
        """The rendered text; `n_given`: how many characters are in the variables. TooMuch and Refused as sandbox.py."""
        if self._program is not None:
            try:
                return self._program.run(variables, n_given)
            except Uncounted:
                self._program = None
        return _run_apart(self._source, variables, n_given)


_compiling = threading.Lock()  # two threads may want the same one: the second gets what the first has made


def compiled(source: str) -> Compiled:
    """The template of this source. Refused where it is none."""
    with _compiling:
        return _compiled(source)


@functools.lru_cache(maxsize=4)
def _compiled(source: str) -> Compiled:
    return Compiled(source)


def _run_apart(source: str, variables: Mapping[str, object], n_given: int) -> str:
    import signal
    import subprocess
    import tempfile

    request = json.dumps({"source": source, "variables": variables, "most": MOST_TEXT + 8 * n_given})
    home = str(Path(__file__).parents[3])
    start = f"import sys; sys.path.insert(0, {home!r}); from mmcli.engine.local.limited import main; main()"
    command = [sys.executable, "-P", "-c", start]
    try:
        with tempfile.TemporaryFile() as given:
            given.write(request.encode())
            given.seek(0)
            with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
                said = _wait(child)
                status = child.wait()
    except OSError as error:
        raise TooMuch(f"no process can be started for it: {error.strerror or error}") from error
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        hurried = status in (-getattr(signal, "SIGXCPU", 24), -9)
        raise TooMuch(f"it does not end within {SECONDS} seconds" if hurried else "it takes too much memory") from None
    if "refused" in answer:
        raise Refused(answer["refused"])
    if "too_much" in answer:
        raise TooMuch(answer["too_much"])
    return str(answer["text"])


def _wait(child: subprocess.Popen[bytes]) -> bytes:
    """What the child writes; it is killed when it takes too long, or too much where the system sets no limit."""
    import subprocess

    until = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                said, _ = child.communicate(timeout=0.1)
                return said
            except subprocess.TimeoutExpired:
                if time.monotonic() > until:
                    raise TooMuch(f"it does not end within {PATIENCE:.0f} seconds") from None
                if hardware.resident(child.pid) > MEMORY:
                    raise TooMuch("it takes too much memory") from None
    except BaseException:
        child.kill()
        raise


def main() -> None:
    """The process: limits first, then the template."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides
    _limit()
    answer: dict[str, str]
    try:
        request = json.load(sys.stdin)
        text = Program(request["source"], counting=False).run(request["variables"], 0)
        answer = {"text": text} if len(text) <= request["most"] else {"too_much": "it produces too long a text"}
    except TooMuch as error:
        answer = {"too_much": str(error)}
    except Refused as error:
        answer = {"refused": str(error)}
    except MemoryError:
        answer = {"too_much": "it takes too much memory"}
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _limit() -> None:
    """Limits of CPU time and memory, where the system has them (Linux, macOS in part)."""
    try:
        import resource
    except ImportError:  # Windows: the parent watches alone
        return
    for name, most in (("RLIMIT_CPU", SECONDS), ("RLIMIT_AS", MEMORY), ("RLIMIT_CORE", 0)):
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            pass  # a lower limit is set, or the system knows none
