"""What this machine can give: cores and memory, as a container or an affinity mask leaves them. Knows no models."""

from __future__ import annotations

import os
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


def total_memory() -> int:
    """Bytes of memory, the cgroup's limit included."""
    import psutil

    total = int(psutil.virtual_memory().total)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        return total if limit == "max" else min(total, int(limit))
    except (OSError, ValueError):
        return total


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
