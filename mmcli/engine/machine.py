"""What this machine can give: cores and memory, as a container or an affinity mask leaves them. Knows no models."""

from __future__ import annotations

import os
import time
from pathlib import Path


def cores() -> int:
    """Physical cores this process may use: hyper-threads share the units that matrix products need."""
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    logical = psutil.cpu_count(logical=True) or physical
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    limit = min(physical, max(1, allowed * physical // logical))
    return max(1, min(limit, _quota() or limit))


def _quota() -> int | None:
    """Whole CPUs a cgroup (a container) grants, or None: cgroup v2's cpu.max is "quota period" in µs, or "max …"."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


def free_memory() -> int:
    """Bytes that can be taken without swapping, the cgroup's limit included."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        return free if limit == "max" else max(0, min(free, int(limit) - used))
    except (OSError, ValueError):
        return free


class Pace:
    """Finds the number of threads that decodes fastest while other programs use the machine too.

    Threads of one forward pass wait for each other, so one that has to share its core holds up all of them; then
    fewer can be faster. Where a probe costs nothing it is not made: only when the process gets clearly less CPU time
    than its threads could use does it try one thread for a few tokens, and it keeps what was faster.
    """

    WINDOW, PROBE, REST = 8, 4, 64  # tokens: per measurement, per probe, between probes
    CROWDED = 0.8  # share of the threads' possible CPU time below which the machine counts as busy

    def __init__(self, threads: int) -> None:
        self.threads = self._most = threads
        self._times: list[float] = []
        self._started = (time.perf_counter(), time.process_time())
        self._usual = 0.0  # seconds a token with all threads
        self._rest = 0

    def token(self, seconds: float) -> int:
        """Tell what the last token took; get the number of threads for the next."""
        self._times.append(seconds)
        if self._most == 1:
            return 1
        if self._rest > 0:
            self._rest -= 1
            if self._rest == 0:
                self._begin(self._most)
            return self.threads
        probing = self.threads < self._most
        if len(self._times) < (self.PROBE if probing else self.WINDOW):
            return self.threads
        typical = sorted(self._times)[len(self._times) // 2]
        if probing:
            best = self.threads if typical < self._usual else self._most
            self._begin(best)
            self._rest = self.REST
        elif self._crowded():
            self._usual = typical
            self._begin(1)
        else:
            self._begin(self._most)
        return self.threads

    def _begin(self, threads: int) -> None:
        self.threads, self._times = threads, []
        self._started = (time.perf_counter(), time.process_time())

    def _crowded(self) -> bool:
        wall, cpu = self._started
        passed = time.perf_counter() - wall
        return passed > 0 and (time.process_time() - cpu) / (passed * self._most) < self.CROWDED
