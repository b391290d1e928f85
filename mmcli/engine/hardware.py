"""Reports this machine's cores and memory, within a container's or an affinity mask's limits. Knows no models."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path


def cores() -> int:
    """Physical cores this process may use: hyper-threads share the units that matrix products need."""
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    logical = psutil.cpu_count(logical=True) or physical
    usable = len(allowed()) if hasattr(os, "sched_getaffinity") else logical
    limit = min(physical, max(1, usable * physical // logical))
    return max(1, min(limit, _quota() or limit))


@functools.cache
def allowed() -> frozenset[int]:
    """The CPUs this process was given; later it may keep to some of them (cpu_affinity.py)."""
    return frozenset(os.sched_getaffinity(0))


def _quota() -> int | None:
    """Whole CPUs a cgroup (a container) grants, or None: cgroup v2's cpu.max is "quota period" in µs, or "max …"."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


SPINS_ALONE, SPINS_LASTING, SPINS_BESIDE_OTHERS = 2000, 400, 100


def calm_threads(*, lasting: bool = False) -> None:
    """Let OpenMP's threads sleep when they wait long; a user's own settings stay.

    `lasting`: for work that may go on for hours, beside whatever comes.

    libgomp reads GOMP_SPINCOUNT, other runtimes the policy, both once, when they are loaded. Usually llama.cpp loads
    them; but PortAudio's ALSA plugins do too (through libsoxr), so whoever starts PortAudio first calls this before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if "GOMP_SPINCOUNT" not in os.environ:
        os.environ["GOMP_SPINCOUNT"] = str(spin_count(lasting=lasting))


def spin_count(*, lasting: bool = False) -> int:
    """How often an OpenMP thread that waits for the others looks again before it sleeps.

    Threads that only spin lose 80 to 99 % of the speed on a busy machine; those that sleep early lose 2 to 7 % on an
    idle one, but nothing where many answers share a pass (docs/performance.md). The count is fixed for a process, so
    the machine as it is at the start decides.
    """
    return SPINS_BESIDE_OTHERS if is_busy() else SPINS_LASTING if lasting else SPINS_ALONE


def sleeps_soon() -> bool:
    """Whether a thread of ours that waits leaves its CPU to others before long."""
    return int(os.environ.get("GOMP_SPINCOUNT", SPINS_ALONE)) <= SPINS_LASTING


def may_share(n_cpus: int) -> bool:
    """Whether more threads want to run than there are CPUs, and ours leave theirs when they wait.

    One short read: all there is to do on an idle machine.
    """
    return sleeps_soon() and running() > n_cpus


def is_busy() -> bool:
    """Whether other programs keep the CPUs busy right now, as Linux counts them; False where nobody says.

    The least of three looks, since what runs for a moment only does no harm.
    """
    try:
        looks = []
        for _ in range(3):
            looks.append(others_running())
            time.sleep(0.0005)
        return min(looks) + cores() > len(allowed())
    except (OSError, ValueError, IndexError, AttributeError):
        return False


def others_running() -> int:
    """Threads of other processes that run or wait for a CPU. /proc/loadavg counts all, `R` in our own stat ours."""
    ours = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            ours += stat(task)[0] == "R"
    return max(0, running() - ours)


def running() -> int:
    """Threads of all processes that run or wait for a CPU."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])


def stat(task: Path) -> list[str]:
    """What /proc says of a thread after its name, the state first (proc_pid_stat(5), from field 3 on)."""
    return (task / "stat").read_text().rpartition(")")[2].split()


CPUINFO = Path("/proc/cpuinfo")
# What llama.cpp may be compiled to use, in ggml's words -> the flag of /proc/cpuinfo, or of macOS's sysctl
X86 = {
    "AVX": "avx",
    "AVX2": "avx2",
    "FMA": "fma",
    "F16C": "f16c",
    "BMI2": "bmi2",
    "AVX512": "avx512f",
    "AVX512_VBMI": "avx512vbmi",
    "AVX512_VNNI": "avx512_vnni",
    "AVX512_BF16": "avx512_bf16",
    "AMX_INT8": "amx_int8",
}


def cpu_flags() -> frozenset[str]:
    """What this x86 CPU can do, in Linux' words; nothing where the system does not say."""
    try:
        with open(CPUINFO, "rb", buffering=0) as file:
            first = file.read(16_384).decode("utf-8", "replace")  # the first core's; with hundreds, all take a while
    except OSError:
        return frozenset()
    lines = (line.partition(":")[2].split() for line in first.splitlines() if line.startswith("flags"))
    return frozenset(next(lines, ()))


def lacks(flags: Collection[str], features: Iterable[str]) -> list[str]:
    """Those of `X86` among `features` that a CPU with these flags does not have; none where there are no flags."""
    return [feature for feature in features if flags and feature in X86 and X86[feature] not in flags]


MADV_DONTNEED = 4  # Linux': the pages are read again when they are touched


def release_mapped(files: Iterable[Path]) -> None:
    """Take what is mapped of these files out of this process's memory.

    It stays in the system's cache as long as nobody else wants the memory. On Linux; nothing happens elsewhere.
    """
    if sys.platform != "linux":
        return
    import ctypes

    names = {os.path.realpath(path) for path in files}
    libc = ctypes.CDLL(None)
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            place, _, name = line.rstrip("\n").partition("/")
            if f"/{name}" in names:
                first, last = (int(number, 16) for number in place.split()[0].split("-"))
                libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), MADV_DONTNEED)


def total_memory() -> int:
    """Bytes of memory, the cgroup's limit included."""
    import psutil

    total = int(psutil.virtual_memory().total)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        return total if limit == "max" else min(total, int(limit))
    except (OSError, ValueError):
        return total


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where it has ended."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def peak_memory() -> int:
    """Bytes this process had in memory at most, what it had mapped of files included; 0 where nobody counts."""
    try:  # Linux: `ru_maxrss` would count what the parent held as it started this process
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


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
