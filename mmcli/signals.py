"""Handles Ctrl-C in two steps, first the answer, then the program; and `kill`, which restores the terminal.

Knows signals; knows no engine and no terminal.

Python runs signal handlers between bytecodes, so a handler alone waits until llama.cpp returns from a long encode. The
wakeup file descriptor is written at once, in C; a thread reads it and can act on the second Ctrl-C without waiting.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How to leave without waiting for anything; main.py, the only place that exits, puts its own here.
leave_now: Callable[[int], None] = lambda status: None  # noqa: E731
INTERRUPTED = 130  # the status of a program that SIGINT ended; 128 and the number for the others

_ends: set[int] = set()  # signals that end the program at once, now


@contextmanager
def two_steps(stop: Callable[[], None]) -> Iterator[None]:
    """While inside: the first SIGINT calls `stop`, the second `leave_now` (both from a thread)."""
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as under nohup: then Ctrl-C is not meant for us
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def listen() -> None:
        seen = 0
        while data := os.read(reading, 64):
            for number in _ends.intersection(data):
                leave_now(128 + number)
            seen += data.count(signal.SIGINT)
            if seen == 1:
                stop()
            elif seen > 1:
                leave_now(INTERRUPTED)
        os.close(reading)

    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    wakeup_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=listen, daemon=True, name="interrupts").start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup_before)
        signal.signal(signal.SIGINT, before)
        os.close(writing)


@contextmanager
def clean_end() -> Iterator[None]:
    """While inside, SIGTERM and SIGHUP end the program by `leave_now`; inside `two_steps`, at once."""
    names = ("SIGTERM", "SIGHUP")  # Windows has no hang-up
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}  # as under nohup
    for number in before:
        signal.signal(number, lambda number, frame: leave_now(128 + number))
    _ends.update(before)
    try:
        yield
    finally:
        _ends.difference_update(before)
        for number, handler in before.items():
            signal.signal(number, handler)
