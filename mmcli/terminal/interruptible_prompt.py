"""A prompt that another thread can interrupt with `call`. Knows keys and lines, no microphone.

What was typed by then is not lost: it comes with the exception, to stand at the next prompt.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from mmcli.terminal import key_release, streams
from mmcli.terminal.keyboard import MORE, Hooks, Keyboard, LineReader, TerminalPrompt, open_keyboard

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

WAKE = 0.5  # seconds: Windows sees Ctrl-C only between two waits


class Called(Exception):
    """Somebody else has the word; `typed` is what stood on the line."""

    def __init__(self, typed: str = "") -> None:
        super().__init__(typed)
        self.typed = typed


@dataclass(frozen=True)
class TalkKey:
    """The key one talks with: Space, where nothing is typed. `up`: also tell when it is released (kitty's protocol)."""

    pressed: Callable[[], None]
    released: Callable[[], None]
    up: bool = False


class Summoned(Keyboard, Protocol):
    """What `open_summoned` gives: a keyboard with a `call`."""

    def __enter__(self) -> Summoned: ...

    def call(self) -> None:
        """Let the present `read`, or the next one, end with Called; from any thread."""


def open_summoned(hooks: Hooks, history: Path | None, key: TalkKey | None, *, goes_on: bool) -> Summoned:
    """As `open_keyboard`. `goes_on`: where lines come from a pipe, its end is not the end of reading."""

    def prompt(hooks: Hooks, history: Path | None) -> TerminalPrompt:
        return _CalledPrompt(hooks, history, key)

    def lines(prompt: IO[str] | None, is_open: Callable[[str], bool]) -> LineReader:
        return _CalledLines(prompt, is_open, goes_on=goes_on and prompt is None)

    return open_keyboard(hooks, history, prompt=prompt, lines=lines)  # type: ignore[return-value]


class _CalledLines(LineReader):
    """Lines that a thread reads, so that somebody else may have the word while nothing comes."""

    def __init__(self, prompt: IO[str] | None, is_open: Callable[[str], bool], *, goes_on: bool) -> None:
        super().__init__(prompt, is_open)
        self._goes_on = goes_on
        self._came: queue.Queue[str | None] = queue.Queue()
        self._is_called = threading.Event()
        threading.Thread(target=self._read_all, name="lines", daemon=True).start()

    def call(self) -> None:
        self._is_called.set()
        self._came.put("")  # wakes who waits; an empty line has its end

    def _line(self, prompt: str) -> str:
        if self._prompt is not None:
            streams.write(prompt, self._prompt)
        while True:
            if self._is_called.is_set() and prompt is not MORE:  # a message of many lines is not broken up
                self._is_called.clear()
                if self._prompt is not None:
                    streams.write("\n", self._prompt)
                raise Called
            try:
                line = self._came.get(timeout=WAKE)
            except queue.Empty:
                continue
            if line:
                return line.rstrip("\r\n")
            if line is None and not self._goes_on:
                if self._prompt is not None:
                    streams.write("\n", self._prompt)
                raise EOFError

    def _read_all(self) -> None:
        """Read the descriptor and not sys.stdin, whose lock a thread that waits would hold at the program's end."""
        rest = b""
        with contextlib.suppress(OSError, ValueError):
            descriptor = sys.stdin.fileno() if sys.stdin is not None else -1
            while data := os.read(descriptor, 65536):
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    self._came.put(_text(line) + "\n")
        if rest:
            self._came.put(_text(rest) + "\n")
        self._came.put(None)


class _CalledPrompt(TerminalPrompt):
    """prompt_toolkit, ended from another thread."""

    def __init__(self, hooks: Hooks, history: Path | None, key: TalkKey | None) -> None:
        self._key = key
        self._is_called = False
        super().__init__(hooks, history)
        parser = getattr(self._session.app.input, "vt100_parser", None)
        self._tells_up = False
        if key is not None and key.up and parser is not None:
            self._tells_up = True
            translate, feed = key_release.Translator(key.released), parser.feed
            parser.feed = lambda data: feed(translate(data))

    def call(self) -> None:
        self._is_called = True
        loop = self._session.app.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended: the next `read` sees that somebody called
                loop.call_soon_threadsafe(self._end)

    def read(self, default: str = "") -> str:
        app = self._session.app
        app.erase_when_done = False
        app.pre_run_callables.append(self._end_soon)
        if not self._tells_up:
            return super().read(default)
        app.output.write_raw(key_release.BEGIN)
        app.output.flush()
        try:
            return super().read(default)
        finally:
            app.output.write_raw(key_release.END)
            app.output.flush()
            assert self._key is not None
            self._key.released()  # its release would not be reported any more

    def _end_soon(self) -> None:
        """After what was typed ahead is on the line."""
        loop = self._session.app.loop
        assert loop is not None
        loop.call_soon(self._end)

    def _end(self) -> None:
        """In the prompt's own thread: end it if somebody called."""
        app = self._session.app
        if self._is_called and app.is_running and app.future is not None and not app.future.done():
            self._is_called = False
            app.erase_when_done = True  # who has the word says so on a line of its own
            app.exit(exception=Called(self._session.default_buffer.text))

    def _keys(self) -> KeyBindings:
        from prompt_toolkit.filters import Condition

        keys = super()._keys()
        if self._key is not None:
            key = self._key

            @keys.add(" ", filter=Condition(lambda: not self._session.default_buffer.text))
            def talk(event: KeyPressEvent) -> None:
                key.pressed()

        return keys


def _text(line: bytes) -> str:
    encoding = getattr(sys.stdin, "encoding", None) or "utf-8"
    return line.decode(encoding, "surrogateescape" if encoding.lower() in ("utf-8", "utf8") else "replace")
