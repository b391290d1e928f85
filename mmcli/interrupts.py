"""Ctrl-C in two steps: the first ends the answer, the second the program. Knows signals; knows no engine.

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
leave_now: Callable[[], None] = lambda: None  # noqa: E731


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
            seen += data.count(signal.SIGINT)
            if seen == 1:
                stop()
            elif seen > 1:
                leave_now()
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
