"""Runs a program that may crash, and reads its output up to then. Knows signals and JSON lines; no llama.cpp."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmcli

SIGNALS = {
    "SIGILL": "an instruction this CPU does not have (SIGILL)",
    "SIGABRT": "an abort (SIGABRT)",
    "SIGSEGV": "an invalid memory access (SIGSEGV)",
    "SIGBUS": "an invalid memory access (SIGBUS)",
    "SIGFPE": "an arithmetic fault (SIGFPE)",
    "SIGKILL": "killed, perhaps because memory ran out (SIGKILL)",
}
WINDOWS = {0xC000001D: "SIGILL", 0xC0000005: "SIGSEGV", 0xC0000409: "SIGABRT"}  # NTSTATUS codes


@dataclass(frozen=True)
class Ended:
    """How a child ended: what it told, and what killed it, if anything did."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    crash: str | None = None  # "an abort (SIGABRT)"
    last_words: str = ""  # the last line it left on stderr

    def merged(self) -> dict[str, Any]:
        """All facts as one table."""
        return {key: value for fact in self.facts for key, value in fact.items()}

    def sentence(self) -> str:
        """What killed it, with its own reason where it left one."""
        return f"{self.crash}: {self.last_words}" if self.last_words else str(self.crash)


def program(module: str, *arguments: str) -> list[str]:
    """The command that runs one of mmcli's own modules in another Python, whatever the working folder holds."""
    return [sys.executable, "-P", "-m", module, *arguments]


def run(
    command: Sequence[str],
    *,
    seconds: float = 120,
    on_fact: Callable[[dict[str, Any]], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run `command` to its end, at most `seconds` long; every line of JSON on its stdout is a fact.

    `environment`: variables beside this process's own.
    """
    facts: list[dict[str, Any]] = []
    late = threading.Event()
    with tempfile.TemporaryFile() as stderr:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=_environment() | dict(environment or {}),
        ) as child:

            def give_up() -> None:
                late.set()
                child.kill()

            timer = threading.Timer(seconds, give_up)
            timer.daemon = True
            timer.start()
            try:
                assert child.stdout is not None
                for line in child.stdout:
                    if (fact := _fact(line)) is not None:
                        facts.append(fact)
                        if on_fact is not None:
                            on_fact(fact)
                code = child.wait()
            except BaseException:
                child.kill()
                raise
            finally:
                timer.cancel()
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 4000))
        words = [line.strip() for line in stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
    crash = f"no result within {seconds:.0f} s" if late.is_set() else _crash(code)
    return Ended(facts, crash, words[-1][:300] if words and crash else "")


def _environment() -> dict[str, str]:
    """This process's own, with this very mmcli on Python's path where it is not installed there."""
    home = str(Path(mmcli.__file__).parents[1])
    if home in sysconfig.get_paths().values():
        return dict(os.environ)
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}


def _fact(line: bytes) -> dict[str, Any] | None:
    """A fact, or None for anything else that a library may have printed."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _crash(code: int) -> str | None:
    if code == 0:
        return None
    name = WINDOWS.get(code & 0xFFFFFFFF, "")
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
    return SIGNALS.get(name, name or f"an error (status {code})")
