"""One fuzz case, how it ended, and which endings are faults. Knows no formats."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOCUMENTED = frozenset({0, 2, 3, 4, 5, 6, 7, 8, 9, 130, 141})
# What a terminal would obey: ESC and other controls but newline and tab, C1, and what turns the direction of a line.
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How much one case may take. CPU time, not the clock's: the machine may be busy."""

    cpu_seconds: float = 20.0
    memory: int = 700 * MB  # bytes above what the process had before


@dataclass(frozen=True)
class Ran:
    """How a call into mmcli, or a whole run of it, ended."""

    status: int = 0
    said: str = ""  # what a terminal was shown: stdout and stderr together
    silent: str | None = None  # how a damaged file was answered about as if it were whole


@dataclass(frozen=True)
class Case:
    """An input in `folder`, and the two ways to give it to mmcli."""

    label: str  # what it is, in words: "photo.jpg: cut to 812 of 4711 bytes"
    call: Callable[[], Ran]  # in this process
    arguments: tuple[str, ...]  # the same for `python -m mmcli`, run in the case's folder
    statuses: frozenset[int] = frozenset({0, 3})  # that this input may end with
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    prepare: Callable[[], None] = lambda: None  # writes what only a whole run needs
    check: Callable[[Ran], str | None] = lambda ran: None  # of a whole run: what is wrong with it


# (chance, the case's own empty folder, a folder that the worker keeps) -> the case
Make = Callable[[random.Random, Path, Path], Case]


@dataclass(frozen=True)
class Fault:
    """What must not happen, and did."""

    kind: str  # one word: "traceback", "status", "terminal", "silent", "memory", "time", "crash", "hang", "stream"
    words: str
    at: str = ""  # where in mmcli, so that a thousand cases of one fault are told once

    @property
    def signature(self) -> str:
        return f"{self.kind}: {self.at or self.words}"


def command(*arguments: str) -> Ran:
    """Run a command line of mmcli in this process; a bug of its shows its traceback."""
    from mmcli import main

    os.environ["MMCLI_DEBUG"] = "1"
    try:
        return Ran(main.run([*arguments]))
    finally:
        del os.environ["MMCLI_DEBUG"]


def judge(case: Case, ran: Ran) -> list[Fault]:
    """The faults that show in how a case ended."""
    faults = []
    if "Traceback (most recent call last)" in ran.said:
        faults.append(Fault("traceback", _raised(ran.said[ran.said.index("Traceback (") :]), _trace(ran.said)))
    elif ran.status not in DOCUMENTED:
        told = next((line for line in ran.said.splitlines() if "a bug in mmcli" in line), _first(ran.said))
        faults.append(Fault("status", f"status {ran.status}, which is not documented: {told}", told[:60]))
    elif ran.status not in case.statuses:
        wanted = ", ".join(map(str, sorted(case.statuses)))
        faults.append(Fault("status", f"status {ran.status}, not one of {wanted}: {_first(ran.said)}", str(ran.status)))
    if found := COMMANDS.search(ran.said):
        around = ran.said[max(0, found.start() - 30) : found.end() + 30]
        faults.append(Fault("terminal", f"shows {found[0]!r} in {around!r}", repr(found[0])))
    if ran.silent:
        faults.append(Fault("silent", ran.silent, ran.silent.split(":")[0]))
    if wrong := case.check(ran):
        faults.append(Fault("wrong", wrong, wrong.split(":")[0]))
    return faults


def _trace(text: str) -> str:
    """The innermost place of mmcli in a traceback, and the exception: the same for all cases of one fault."""
    places = re.findall(r'File ".*?(mmcli/[\w/]+\.py)", line \d+, in (\w+)', text)
    raised = [_raised(text).split(":")[0]]
    place = f"{places[-1][0]} in {places[-1][1]}" if places else ""
    return f"{raised[-1] if raised else ''} {place}".strip()


def _first(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "nothing said"


def _raised(text: str) -> str:
    """The last exception that a traceback names."""
    lines = [line for line in text.splitlines() if re.match(r"(\w+\.)*[A-Z]\w*(:|$)", line)]
    return (lines or [""])[-1][:300]
