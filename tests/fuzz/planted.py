"""Faults that are planted, one of each kind: the fuzz must find them. Its own tests use them; no run does."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from mmcli.errors import InputError
from tests.fuzz.case import Case, Limits, Make, Ran


def _planted(call: Callable[[], Ran], arguments: tuple[str, ...] = ("--version",)) -> Make:
    def make(chance: random.Random, folder: Path, keep: Path) -> Case:
        (folder / "input").write_bytes(chance.randbytes(8))
        return Case("planted: an input", call, arguments, frozenset({0, 3}), limits=Limits(2.0, 100 << 20))

    return make


def _raise() -> Ran:
    raise KeyError("nobody catches this")


def _refuse() -> Ran:
    raise InputError("`a.png` is damaged")


def _fill() -> Ran:
    return Ran(len(bytearray(300 << 20)) * 0)


def _spin() -> Ran:
    while True:
        pass


def _die() -> Ran:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Ran()


def _hang() -> Ran:
    time.sleep(3600)
    return Ran()


def _write() -> Ran:
    os.write(2, b"TIFFReadDirectory: Warning\n")
    return Ran()


TARGETS: dict[str, Make] = {
    "none": _planted(Ran),
    "refused": _planted(_refuse),
    "traceback": _planted(_raise),
    "status": _planted(lambda: Ran(42)),
    "terminal": _planted(lambda: Ran(0, "a \x1b]52;c;ZXZpbA==\x07 b")),
    "silent": _planted(lambda: Ran(silent="png cut short: shown as if it were whole")),
    "memory": _planted(_fill),
    "time": _planted(_spin),
    "crash": _planted(_die),
    "hang": _planted(_hang),
    "stream": _planted(_write),
    "process": _planted(Ran, ("ask",)),
}
