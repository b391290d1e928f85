"""Whole processes, timed side by side. Knows the clock and the kernel's accounting; knows no models.

A shared machine is noisy, so what is compared runs in turns (A B C, A B C, …) and what is printed is the ratio of
each round, its median first. A single absolute time means little; a ratio from one round means much.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

HOG = "while True: pass"
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # an installed mmcli has its .pyc files


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float  # wall clock, from before the start to after the end
    cpu: float  # seconds, user and system
    peak: int  # bytes of resident memory at most, pages of mapped files included
    out: str
    err: str


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end; its failure is ours."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**os.environ, **(env or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    if process.returncode != 0:
        sys.exit(f"status {process.returncode} from {' '.join(command)}\n{texts[1][-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, *texts)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that use all the CPU time they get, while the block runs."""
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", HOG]) for _ in range(processes)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@dataclass
class Ratios:
    """A table of ratios: one line per name, one value per round."""

    values: dict[str, list[float]] = field(default_factory=dict)
    bars: dict[str, tuple[str, float]] = field(default_factory=dict)  # name → ("≤" or "≥", the bar)

    def add(self, name: str, value: float, most: float | None = None, least: float | None = None) -> None:
        self.values.setdefault(name, []).append(value)
        if most is not None:
            self.bars[name] = ("≤", most)
        if least is not None:
            self.bars[name] = ("≥", least)

    def show(self) -> None:
        """median, min, max, runs, the bar and whether the median keeps it."""
        width = max(len(name) for name in self.values)
        print(f"\n{'ratio':{width}}  median     min     max  runs  bar")
        for name, values in self.values.items():
            median = statistics.median(values)
            line = f"{name:{width}}  {median:6.3f}  {min(values):6.3f}  {max(values):6.3f}  {len(values):4}"
            if name in self.bars:
                sign, bar = self.bars[name]
                kept = median <= bar if sign == "≤" else median >= bar
                line += f"  {sign} {bar:g}  {'kept' if kept else 'MISSED'}"
            print(line)


def machine() -> str:
    """One line about where this was measured: cores, load, interpreter."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f} before, Python {sys.version.split()[0]}"
