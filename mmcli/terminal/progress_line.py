"""Shows one transient line of progress on stderr. Knows phases and counts, not what they mean.

It is drawn by a thread of its own, since one call into the native library may take many seconds. The cursor is
never hidden and the line never longer than the terminal is wide, so there is nothing to restore but that line.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmcli.sanitize import one_line
from mmcli.terminal import streams

if TYPE_CHECKING:
    from rich.console import Console

    from mmcli.terminal.style import Style

DELAY = 0.3  # seconds: what is quicker needs no progress
PERIOD = 0.1  # seconds between two drawings
LABELS = {
    "load": "loading the model",
    "encode": "encoding the media",
    "prefill": "reading the prompt",
    "pages": "reading the pages",
    "caption": "captioning",
    "read": "reading",
    "index": "indexing",
    "stop": "stopping after this step; Ctrl-C again ends at once",
}
COUNTED = ("caption", "read", "index")  # pictures, pages or files, not percent
BAR_WIDTH = 20  # cells
NARROW, NARROW_BAR_WIDTH = 72, 8  # cells: below that, what the bar says matters more than how it looks

_lock = threading.RLock()  # held by the thread that writes to stderr
_current: Progress | None = None


class Progress:
    """Call it with (phase, done, total), from any thread.

    A `total` of 0 means nobody knows; one below 0 that the phase is the whole line, without the time it takes.
    """

    def __init__(self, console: Console | None) -> None:
        self._console = console  # None: silent
        self._now: tuple[str, int, int] | None = None
        self._since = 0.0
        self.note = ""  # what else there is to say of the phase
        self._before = 0  # what was done when the phase began: a download may go on where it once stopped
        self._is_drawn = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        if self._console is None or self._stopped.is_set():
            return
        if self._now is None or self._now[0] != phase:
            self._since, self._before = time.monotonic(), done
        self._now = (phase, done, total)
        if self._thread is None:
            self._thread = threading.Thread(target=self._draw_until_stopped, name="progress", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Erase the line for good; only after this may anybody else write to the terminal."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.erase()

    def erase(self) -> None:
        """Erase the line; it comes back with the next drawing."""
        if self._is_drawn and self._console is not None:
            self._is_drawn = False
            streams.write("\r\x1b[K", self._console.file)

    def _draw_until_stopped(self) -> None:
        wait = DELAY
        while not self._stopped.wait(wait):
            wait = PERIOD
            try:
                self.draw()
            except (OSError, ValueError):  # stderr went away: the answer may still arrive
                return

    def draw(self) -> None:
        """Write the line anew, over the one before."""
        if self._console is None or self._now is None:
            return
        room = self._console.width - 3  # the terminal's own ^C must fit behind it, or the line could not be wiped
        bar = BAR_WIDTH if room >= NARROW else NARROW_BAR_WIDTH
        line = progress_line(*self._now, time.monotonic() - self._since, self._before, bar)
        for word in self.note.split("  ") if self.note and self._now[0] in ("caption", "index") else ():
            if len(line) + 2 + len(word) > room:
                break
            line = f"{line}  {word}"
        with _lock:
            self._is_drawn = True
            streams.write(f"\r{line[:room]}\x1b[K", self._console.file)


def progress_line(phase: str, done: int, total: int, seconds: float, before: int = 0, width: int = BAR_WIDTH) -> str:
    """One line of plain ASCII, so that its length is its width."""
    label = one_line(LABELS.get(phase, phase)).encode("ascii", "replace").decode()
    elapsed = f"{seconds:.0f} s"
    if total < 0:
        return label
    if total == 0:
        return f"{label}  {done}  {elapsed}" if phase in COUNTED else f"{label}  {elapsed}"
    done = min(max(done, 0), total)
    bar = f"[{'#' * (width * done // total):-<{width}}] {100 * done // total:3d}%"
    if phase.startswith("download"):  # a file's name is long: it may be cut off where the terminal ends
        return f"{bar}  {_amount(done, total)}  {_left(done - before, total - done, seconds)}  {label}"
    if phase.startswith("listening"):  # milliseconds of a sound
        return f"{bar}  {_clock(done)}/{_clock(total)}  {_speed(done - before, seconds)}  {label}"
    if phase in COUNTED:
        return f"{bar}  {done}/{total}"
    return f"{label}  {bar}  {elapsed}"


def _amount(done: int, total: int) -> str:
    unit, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    return f"{done / unit:.1f}/{total / unit:.1f} {name}"


def _left(came: int, missing: int, seconds: float) -> str:
    """`12.5 MB/s  3 min left`, once there is something to judge by."""
    if came <= 0 or seconds < 1:
        return f"{seconds:.0f} s"
    rate = came / seconds
    left = missing / rate
    return f"{rate / 1e6:.1f} MB/s  {duration(left)} left"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `2 h 10 min`"""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _clock(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes}:{seconds:02}"


def _speed(milliseconds: int, seconds: float) -> str:
    """How much faster than it was spoken, once there is something to judge by."""
    if milliseconds <= 0 or seconds <= 0:
        return f"{seconds:.0f} s"
    return f"{milliseconds / 1000 / seconds:.1f} x real time"


@contextmanager
def progress(style: Style) -> Iterator[Progress]:
    """Give a callable for the engine; it draws only on a terminal, and only what takes a while."""
    global _current
    _current = shown = Progress(_canvas(style))
    try:
        yield shown
    finally:
        shown.stop()
        _current = None


def abandon() -> None:
    """Erase the line on the way out, from any thread and without waiting for the thread that holds the lock."""
    if _current is not None:
        _current.erase()


@contextmanager
def out_of_the_way() -> Iterator[None]:
    """While inside, no progress line is on the screen, and none is drawn."""
    with _lock:
        if _current is not None:
            _current.erase()
        yield


def _canvas(style: Style) -> Console | None:
    if style.quiet or style.json or not streams.is_terminal(sys.stderr):
        return None
    console = streams.err()
    return None if console.is_dumb_terminal or console.legacy_windows else console
