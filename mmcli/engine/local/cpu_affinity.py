"""Chooses the CPUs for our threads beside busy programs. Linux only; elsewhere all CPUs are used.

The threads of a forward pass wait for each other hundreds of times a token. Where each of them shares its CPU with a
stranger, the pass moves on only while all happen to run: beside two busy programs on two CPUs it kept a third of its
speed, not its fair half (docs/performance.md). So our threads draw together on as many CPUs as are our fair part, and
the kernel, which keeps all CPUs equally loaded, takes the strangers to the others.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmcli.engine import hardware

LOOK_EVERY = 0.1  # seconds between two looks at the machine
ENOUGH = 30_000_000  # ns of running and waiting that say something
HELD_UP = 0.2  # of that time spent waiting for a CPU. Programs of a low priority (nice 19) cost less than 0.1
TASKS = Path("/proc/self/task")


def fair_part(cpus: int, threads: int, others: int) -> int:
    """How many CPUs to draw together on: the fair part of the machine, less what would make no pass shorter."""
    part = max(1, cpus * threads // (threads + others))
    turns = -(-threads // part)  # threads of the CPU that has most of them
    return -(-threads // turns)


class Placement:
    """Of this process: affinity is a matter of its threads, whichever model they compute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._looked = 0.0
        self._before: dict[int, tuple[int, int]] = {}  # thread → ns it had run, and waited for a CPU, at the last look
        self._all: Collection[int] | None = None  # the CPUs we may use, while we use fewer
        self._last: Collection[int] | None = None  # the few that were used when the last computation ended

    @contextmanager
    def computing(self) -> Iterator[None]:
        """While inside, `look` may move our threads; afterwards they are where they were, as are those they start."""
        with self._lock:
            self._users += 1
            if self._users == 1 and self._last is not None and min(_others()):
                self._draw_together(self._last)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._last = os.sched_getaffinity(0) if self._all is not None else None
                    self._spread()

    def look(self, threads: int) -> None:
        """Before a forward pass of so many threads: is it time to draw together, or to spread again?"""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY or not self._lock.acquire(blocking=False):
            return
        try:
            self._looked = now
            if self._users and not _is_placed_by_hand():
                self._judge(threads)
        except (OSError, ValueError, IndexError, AttributeError):
            pass  # this system does not tell, or a thread has just ended: they stay where they are
        finally:
            self._lock.release()

    def _judge(self, threads: int) -> None:
        if self._all is not None:
            if not max(_others()):
                self._spread()
            return
        cpus = os.sched_getaffinity(0)
        if not hardware.may_share(len(cpus)):  # on one CPU, a thread that spins takes the time of the one it waits for
            return
        ran, waited = self._used()
        if ran + waited < ENOUGH or waited < HELD_UP * (ran + waited) or not (others := min(_others())):
            return
        if (part := fair_part(len(cpus), threads, others)) < min(len(cpus), threads):
            self._draw_together(_most_used(cpus)[:part])

    def _used(self) -> tuple[int, int]:
        """ns that our threads have run, and waited for a CPU, since this was last asked."""
        ran = waited = 0
        now = {}
        for task in TASKS.iterdir():
            with contextlib.suppress(OSError):  # a thread that has just ended
                now[int(task.name)] = so_far = _ran_and_waited(task)
                before = self._before.get(int(task.name), (0, 0))
                ran, waited = ran + so_far[0] - before[0], waited + so_far[1] - before[1]
        self._before = now
        return ran, waited

    def _draw_together(self, cpus: Collection[int]) -> None:
        self._all = self._all or os.sched_getaffinity(0)
        _place(_computing(), cpus)

    def _spread(self) -> None:
        if self._all is not None:
            _place(TASKS.iterdir(), self._all)  # those too that were started by one of them meanwhile
            self._all = None
            self._used()  # while together, they waited for each other: that says nothing of strangers


def _others() -> list[int]:
    """Threads of other programs that run or want to, in three looks: some do for a moment only."""
    return [hardware.others_running() for _ in range(3)]


def _is_placed_by_hand() -> bool:
    return any(name in os.environ for name in ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"))


def _ran_and_waited(task: Path) -> tuple[int, int]:
    """ns on a CPU, and ns ready but waiting for one: the first two numbers of schedstat (Linux, sched-stats.rst)."""
    ran, waited, _ = (task / "schedstat").read_text().split()
    return int(ran), int(waited)


def _most_used(cpus: Collection[int]) -> list[int]:
    """These CPUs, those first on which our threads have run longest, counting each thread where it ran last.

    One of each physical core before the second of any: hyper-threads share the units that matrix products need.
    """
    ran = dict.fromkeys(cpus, 0)
    for task in TASKS.iterdir():
        with contextlib.suppress(OSError):
            cpu = int(hardware.stat(task)[36])
            ran[cpu] = ran.get(cpu, 0) + _ran_and_waited(task)[0]
    ordered = sorted(cpus, key=lambda cpu: -ran[cpu])
    first_of_core = {_core_of(cpu): cpu for cpu in reversed(ordered)}
    return sorted(ordered, key=lambda cpu: first_of_core[_core_of(cpu)] != cpu)


def _core_of(cpu: int) -> str:
    """The CPUs of its physical core, as Linux lists them (cputopology.rst)."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _computing() -> list[Path]:
    """The threads of a forward pass: the one that asks, and those that OpenMP made.

    Python's other threads have other work, and what they start (a voice, a player of sound) inherits where they run: on
    the CPU of the forward pass, a voice was not heard before the answer's end. The same goes for the threads of sound
    servers, which have names of their own; OpenMP's are called as the one that made them.
    """
    me = threading.get_native_id()
    others = {thread.native_id for thread in threading.enumerate()} - {me}
    name = _name(TASKS / str(me))
    return [task for task in TASKS.iterdir() if int(task.name) not in others and _name(task) == name]


def _name(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:  # it has just ended
        return ""


def _place(tasks: Iterable[Path], cpus: Collection[int]) -> None:
    for task in tasks:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(task.name), cpus)


placement = Placement()
