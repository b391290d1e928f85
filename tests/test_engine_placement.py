"""Threads that draw together beside busy programs: when, on which CPUs, and that they are given back."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmcli import engine
from mmcli.engine import Message, Sampling, hardware
from mmcli.engine.local import cpu_affinity as module
from mmcli.engine.local.cpu_affinity import Placement, fair_part
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from tests.conftest import TIMEOUT
from tests.engines import STARTER, picture, user

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="affinity is Linux's"),
    pytest.mark.skipif(sys.platform.startswith("linux") and len(os.sched_getaffinity(0)) < 2, reason="one CPU"),
]
if sys.platform.startswith("linux"):
    ALL = os.sched_getaffinity(0)
HOG = "while True: pass"


@dataclass
class Kernel:
    """What it tells; a test changes it."""

    others: int = 0
    ran: int = 0  # ns of each thread
    waited: int = 0

    def go_on(self, *, ran: float, waited: float) -> None:
        """So many seconds later, for each thread."""
        self.ran += int(ran * 1e9)
        self.waited += int(waited * 1e9)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    told = Kernel()
    for name in ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "100")
    monkeypatch.setattr(hardware, "running", lambda: told.others + len(ALL))
    monkeypatch.setattr(hardware, "others_running", lambda: told.others)
    monkeypatch.setattr(module, "_ran_and_waited", lambda task: (told.ran, told.waited))
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    return told


@pytest.fixture(autouse=True)
def nobody_stays_behind() -> Iterator[None]:
    yield
    assert os.sched_getaffinity(0) == ALL


@pytest.mark.parametrize(
    ("cpus", "threads", "others", "part"),
    [
        (2, 2, 1, 1),
        (2, 2, 2, 1),
        (2, 2, 9, 1),
        (8, 8, 8, 4),
        (8, 8, 4, 4),  # on five of them three would have two threads: no sooner done
        (8, 8, 1, 4),
        (8, 4, 4, 4),
        (8, 1, 8, 1),
        (64, 64, 128, 16),
    ],
)
def test_the_fair_part(cpus: int, threads: int, others: int, part: int) -> None:
    assert fair_part(cpus, threads, others) == part


def test_held_up_by_others_they_draw_together_until_those_are_gone(kernel: Kernel) -> None:
    placement = Placement()
    with placement.computing():
        placement.look(2)
        assert os.sched_getaffinity(0) == ALL
        kernel.others = len(ALL)
        kernel.go_on(ran=1, waited=1)
        placement.look(2)
        together = os.sched_getaffinity(0)
        assert len(together) < len(ALL)
        kernel.go_on(ran=1, waited=1)  # now they wait for each other
        placement.look(2)
        assert os.sched_getaffinity(0) == together
        kernel.others = 0
        placement.look(2)
        assert os.sched_getaffinity(0) == ALL
        kernel.others = len(ALL)
        placement.look(2)  # what they waited while together is not held against strangers
        assert os.sched_getaffinity(0) == ALL


@pytest.mark.parametrize(
    ("others", "ran", "waited", "threads"),
    [
        (0, 1, 1, 2),  # nobody else: they wait for each other
        (4, 1, 0.1, 2),  # others of a low priority
        (4, 1e-6, 1e-5, 2),  # too little to say anything
        (4, 1, 1, 1),  # one thread waits for nobody
    ],
)
def test_otherwise_they_stay_apart(kernel: Kernel, others: int, ran: float, waited: float, threads: int) -> None:
    placement = Placement()
    kernel.others = others
    with placement.computing():
        kernel.go_on(ran=ran, waited=waited)
        placement.look(threads)
        assert os.sched_getaffinity(0) == ALL


def test_those_that_compute_go_and_come_back(kernel: Kernel) -> None:
    """A thread as OpenMP makes them goes along; a sound server's and Python's own, and what these start, do not."""
    placement = Placement()
    over = threading.Event()
    python = [threading.Thread(target=over.wait, args=(TIMEOUT,)) for _ in range(2)]
    openmp, sound = native_thread(), native_thread("threaded-ml")
    python[0].start()
    with placement.computing():
        kernel.others = len(ALL)
        kernel.go_on(ran=1, waited=1)
        placement.look(2)
        python[1].start()  # by a thread that computes
        together = os.sched_getaffinity(0)
        assert together < ALL
        where = [openmp, python[1].native_id, sound, python[0].native_id]
        assert [os.sched_getaffinity(task) for task in where if task] == [together, together, ALL, ALL]
    assert [os.sched_getaffinity(task) for task in where if task] == [ALL] * 4
    over.set()
    for thread in python:
        thread.join()


def native_thread(name: str | None = None) -> int:
    """A thread that Python does not know of, for some seconds; its number."""
    before = set(os.listdir("/proc/self/task"))
    libc = ctypes.CDLL(None)
    assert libc.pthread_create(ctypes.byref(ctypes.c_void_p()), None, libc.sleep, ctypes.c_void_p(5)) == 0
    (task,) = set(os.listdir("/proc/self/task")) - before
    if name is not None:
        Path(f"/proc/self/task/{task}/comm").write_text(name)
    return int(task)


def test_they_take_one_cpu_of_each_core_before_the_second_of_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight CPUs of four cores; our threads, which ran on three of them, keep those that are of different cores."""
    tasks = {"11": (0, 90), "12": (4, 80), "13": (1, 70)}  # thread → the CPU it ran on, and how long
    monkeypatch.setattr(module, "TASKS", SimpleNamespace(iterdir=lambda: [Path(name) for name in tasks]))
    monkeypatch.setattr(hardware, "stat", lambda task: [""] * 36 + [str(tasks[task.name][0])])
    monkeypatch.setattr(module, "_ran_and_waited", lambda task: (tasks[task.name][1], 0))
    monkeypatch.setattr(module, "_core_of", lambda cpu: str(cpu % 4))
    assert module._most_used(range(8))[:2] == [0, 1]
    assert sorted(cpu % 4 for cpu in module._most_used(range(8))[:4]) == [0, 1, 2, 3]


def test_the_next_computation_begins_where_the_last_one_ended(kernel: Kernel) -> None:
    placement = Placement()
    kernel.others = len(ALL)
    with placement.computing():
        kernel.go_on(ran=1, waited=1)
        placement.look(2)
        together = os.sched_getaffinity(0)
    assert os.sched_getaffinity(0) == ALL != together
    with placement.computing(), placement.computing():
        assert os.sched_getaffinity(0) == together
    kernel.others = 0
    with placement.computing():
        assert os.sched_getaffinity(0) == ALL


@pytest.mark.parametrize(("name", "value"), [("OMP_PROC_BIND", "true"), ("GOMP_SPINCOUNT", "2000")])
def test_threads_placed_by_hand_or_spinning_long_stay_apart(
    name: str, value: str, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    placement = Placement()
    kernel.others = len(ALL)
    with placement.computing():
        kernel.go_on(ran=1, waited=1)
        placement.look(2)
        assert os.sched_getaffinity(0) == ALL


def test_a_kernel_that_does_not_tell_changes_nothing(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(task: Path) -> tuple[int, int]:
        raise FileNotFoundError

    monkeypatch.setattr(module, "_ran_and_waited", refuse)
    placement = Placement()
    kernel.others = len(ALL)
    with placement.computing():
        placement.look(2)
        assert os.sched_getaffinity(0) == ALL


def test_an_answer_is_the_same_together_and_apart(kernel: Kernel) -> None:
    question = user(picture("red", "blue"), "What is in this picture?")
    with engine.load(STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf", Options(threads=2)) as running:
        apart = spoken(running, question, lambda: None)
        assert {cpus for _, cpus in apart} == {len(ALL)}
        kernel.others = len(ALL)
        together = spoken(running, question, lambda: kernel.go_on(ran=1, waited=1))
        assert {cpus for _, cpus in together[2:-1]} == {fair_part(len(ALL), 2, len(ALL))}
        assert [words for words, _ in together] == [words for words, _ in apart] != []


def spoken(running: LocalEngine, question: Message, between: Callable[[], None]) -> list[tuple[str, int]]:
    """Each piece, and how many CPUs we then computed on."""
    told = []
    for piece in running.generate([question], Sampling(temperature=0)):
        told.append((piece.text, len(os.sched_getaffinity(0))))
        between()
    return told


def test_beside_real_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two for each CPU: whoever computes waits most of the time."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "100")
    stop = threading.Event()

    def compute() -> None:
        block = bytes(1 << 20)
        while not stop.is_set():
            hashlib.sha256(block).digest()  # without Python's lock

    placement = Placement()
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", HOG]) for _ in range(2 * len(ALL))]
    threads = [threading.Thread(target=compute) for _ in ALL]
    try:
        with placement.computing():
            for thread in threads:
                thread.start()
            end = time.monotonic() + TIMEOUT
            while os.sched_getaffinity(0) == ALL and time.monotonic() < end:
                placement.look(len(ALL))
                time.sleep(0.01)
            assert len(os.sched_getaffinity(0)) < len(ALL)
            stop.set()
    finally:
        stop.set()
        for hog in hogs:
            hog.kill()
            hog.wait()
        for thread in threads:
            thread.join()
