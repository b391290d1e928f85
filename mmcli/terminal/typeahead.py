"""Keeps what is typed while no prompt is open: not echoed into an answer, and not lost. Knows the terminal's modes.

A terminal's driver echoes what is typed at once, wherever the cursor is. So while mmcli is at work the echo is off. In
a chat the keys are also collected, for the next prompt; elsewhere they stay where they are, for the shell. Ctrl-C,
Ctrl-Z and Ctrl-\\ do what they always do. Where there is no such driver (Windows, a pipe), all this does nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

from mmcli.terminal import streams

PAUSE = 0.2  # seconds between two looks whether the shell has given the terminal back
SOON = 0.3  # seconds in which a signal has surely come to all threads
REST = 0.2  # seconds that the rest of a paste may keep us waiting
PASTES, NO_PASTES = "\x1b[?2004h", "\x1b[?2004l"  # whether a paste comes between marks, so that it is seen as one
PASTE, PASTE_END = b"\x1b[200~", b"\x1b[201~"

Kind = TypeVar("Kind", bound="Silence")
_current: Silence | None = None


class Silence:
    """No echo on the terminal `fd`, until `end`."""

    def __init__(self, fd: int) -> None:
        import termios

        self._fd, self._termios = fd, termios
        self._before: list[Any] = termios.tcgetattr(fd)

    def begin(self) -> None:
        self._set(self._quiet())

    def end(self) -> None:
        """Give the terminal back as it was."""
        self._set(self._before)

    def wipe(self) -> None:
        """What was echoed before the echo was off must not stand before what is said next."""

    def _quiet(self) -> list[Any]:
        attributes = self._copy()
        attributes[3] &= ~self._termios.ECHO
        return attributes

    def _copy(self) -> list[Any]:
        return [list(each) if isinstance(each, list) else each for each in self._before]

    def _set(self, attributes: list[Any]) -> None:
        """Not from the background: there the terminal is another's, and the attempt would stop us."""
        if _is_ours(self._fd):
            with contextlib.suppress(OSError, self._termios.error):  # it went away
                self._termios.tcsetattr(self._fd, self._termios.TCSANOW, attributes)


class TypeAhead(Silence):
    """What is typed while nobody reads, collected by a thread: a full driver would not even hear Ctrl-C."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._off = bytes([os.fpathconf(fd, "PC_VDISABLE") & 0xFF])
        # These two would leave the terminal as it is now to the shell, so the thread does what the driver would.
        wanted = {self._termios.VSUSP: signal.SIGTSTP, self._termios.VQUIT: signal.SIGQUIT}
        self._slots = [slot for slot in wanted if self._before[6][slot] != self._off]
        self._signals = {self._before[6][slot]: wanted[slot] for slot in self._slots}
        self._typed = b""
        self._was_early = False  # keys were pressed before the echo was off
        self._thread: threading.Thread | None = None
        self._continued = threading.Event()
        self._wake: tuple[int, int] = (-1, -1)

    def begin(self) -> None:
        self._take_over()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCONT, self._go_on)
        self._was_early = bool(select.select([self._fd], [], [], 0)[0])  # now: soon the thread has it, or half of it
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._collect, args=(self._wake[0],), name="typeahead", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.stop()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCONT, signal.SIG_DFL)
        super().end()

    def abandon(self) -> None:
        """As `end`, on the way out: waits for no thread."""
        self._tell(NO_PASTES)
        super().end()

    def stop(self) -> None:
        """Collect no more; the terminal's modes are then what a line editor expects to find, but without an echo."""
        if self._thread is None:
            return
        os.write(self._wake[1], b".")
        self._thread.join()
        self._thread = None
        for end in self._wake:
            os.close(end)
        self._tell(NO_PASTES)
        attributes = self._quiet()
        attributes[6] = self._before[6]
        self._set(attributes)

    def take(self) -> str:
        """What was typed; it is forgotten here."""
        typed, self._typed = self._typed, b""
        return typed.replace(b"\r\n", b"\r").decode("utf-8", "replace")

    def wipe(self) -> None:
        if self._was_early:
            self._tell("\r\x1b[K")  # it comes again at the prompt

    def _quiet(self) -> list[Any]:
        termios, attributes = self._termios, super()._quiet()
        attributes[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
        attributes[3] &= ~(termios.ICANON | termios.IEXTEN)
        attributes[3] |= termios.NOFLSH  # Ctrl-C ends the answer, and leaves what was typed before it
        attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
        for slot in self._slots:
            attributes[6][slot] = self._off
        return attributes

    def _collect(self, wake: int) -> None:
        while True:
            ready, _, _ = select.select([self._fd, wake], [], [])
            if self._fd in ready and not _is_ours(self._fd):  # reading would stop us
                ready, _, _ = select.select([wake], [], [], PAUSE)
            elif self._fd in ready and not self._read():
                return
            if wake in ready:
                break
        while _is_cut(self._typed) and select.select([self._fd], [], [], REST)[0] and self._read():
            pass

    def _read(self) -> bool:
        """Take what is there; False where the terminal went away."""
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self._typed += data
        for key, number in self._signals.items():
            if data.endswith(key) and not _is_cut(self._typed):  # the last thing pressed, and no part of a paste
                self._typed = self._typed[: -len(key)]
                self._obey(number)
        return bool(data)

    def _obey(self, number: int) -> None:
        """Stop or end, and all that the shell started with us, as if the driver had said so."""
        self.abandon()
        self._continued.clear()
        os.killpg(os.getpgrp(), number)
        # Any thread may be the first to stop; before this one does, it must not take the terminal again.
        self._continued.wait(SOON)
        while not _is_ours(self._fd) and not select.select([self._wake[0]], [], [], PAUSE)[0]:
            pass
        self._take_over()

    def _go_on(self, *_: object) -> None:
        """SIGCONT: the shell has put the terminal back to what it likes."""
        self._continued.set()
        if self._thread is not None:
            self._take_over()

    def _take_over(self) -> None:
        self._set(self._quiet())
        self._tell(PASTES)

    def _tell(self, code: str) -> None:
        stream = next((each for each in (sys.stdout, sys.stderr) if each and streams.is_terminal(each)), None)
        if stream is not None and _is_ours(self._fd):
            with contextlib.suppress(OSError, ValueError):
                streams.write(code, stream)


@contextlib.contextmanager
def kept() -> Iterator[TypeAhead | None]:
    """While inside, what is typed is collected: `stop` before reading, then `take`. None where that is not possible."""
    with _during(_opened(TypeAhead)) as ahead:
        yield ahead


@contextlib.contextmanager
def unechoed() -> Iterator[None]:
    """While inside, what is typed is not shown; it stays for the next reader, as a rule the shell."""
    is_seen = sys.stdout is not None and streams.is_terminal(sys.stdout)  # else a pager may be at the keys
    with _during(_opened(Silence) if is_seen else None):
        yield


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """While inside, the terminal is as it was: somebody is asked something."""
    global _current
    silence, _current = _current, None
    if silence is not None:
        silence.end()
    try:
        yield
    finally:
        if silence is not None:
            _current = silence
            silence.begin()


def restore() -> None:
    """Give the terminal back on the way out; from any thread, and without waiting."""
    if isinstance(_current, TypeAhead):
        _current.abandon()
    elif _current is not None:
        _current.end()


@contextlib.contextmanager
def _during(silence: Kind | None) -> Iterator[Kind | None]:
    global _current
    if silence is None or _current is not None:
        yield None
        return
    _current = silence
    silence.begin()
    silence.wipe()
    try:
        yield silence
    finally:
        silence.end()
        _current = None


def _opened(kind: type[Kind]) -> Kind | None:
    try:
        import termios
    except ImportError:  # Windows
        return None
    if sys.stdin is None or not streams.is_terminal(sys.stdin):
        return None
    try:
        return kind(sys.stdin.fileno())
    except (OSError, ValueError, termios.error):
        return None


def _is_ours(fd: int) -> bool:
    """Whether we are in the foreground of the terminal, or it knows no jobs."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True


def _is_cut(typed: bytes) -> bool:
    """Whether this ends in the middle of a paste, or of a character."""
    if typed.rfind(PASTE) > typed.rfind(PASTE_END):
        return True
    for back, byte in enumerate(reversed(typed[-4:])):
        if byte >= 0xC0:
            return back < (1 if byte < 0xE0 else 2 if byte < 0xF0 else 3)
        if byte < 0x80:
            break
    return False
