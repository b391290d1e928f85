"""mmcli in a pseudo-terminal, behind an emulator that draws what it prints and answers what it asks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pyte

TIMEOUT = 120  # seconds: only a hang takes that long


class Terminal:
    """A person's view of one run of mmcli (or another `command`): keys go in, a screen and its scrollback come out."""

    def __init__(
        self,
        arguments: list[str],
        environment: dict[str, str],
        folder: Path,
        *,
        columns: int = 80,
        rows: int = 30,
        command: tuple[str, ...] = (sys.executable, "-m", "mmcli"),
        emulator: type[pyte.HistoryScreen] = pyte.HistoryScreen,
    ) -> None:
        self.screen = emulator(columns, rows, history=10_000, ratio=0.1)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child: Any = pexpect.spawn(
            command[0],
            [*command[1:], *arguments],
            dimensions=(rows, columns),
            env={"TERM": "xterm-256color"} | environment,
            cwd=str(folder),
            timeout=TIMEOUT,
        )
        self.screen.write_process_input = lambda data: self.child.send(data)  # where the cursor is

    @property
    def text(self) -> str:
        """Every line, the scrolled-off ones first."""
        columns = range(self.screen.columns)
        above = ["".join(row[x].data for x in columns).rstrip() for row in self.screen.history.top]
        return "\n".join([*above, *(line.rstrip() for line in self.screen.display)]).rstrip()

    @property
    def flat(self) -> str:
        """The same without line ends, for what a narrow screen broke."""
        return " ".join(self.text.split())

    def send(self, keys: str) -> None:
        self.child.send(keys)

    def paste(self, text: str) -> None:
        """As a terminal does that knows bracketed paste."""
        self.send(f"\x1b[200~{text}\x1b[201~")

    def wait(self, wanted: str | Callable[[], bool], *, gone: bool = False, told: str | None = None) -> None:
        """Draw what comes until `wanted` is on the screen (or, with `gone`, no more)."""
        is_there = wanted if callable(wanted) else lambda: wanted in self.text or wanted in self.flat
        end = time.monotonic() + TIMEOUT
        while is_there() == gone:
            assert time.monotonic() < end, f"waited for {told or wanted!r}; the screen is:\n{self.text}"
            assert self.draw() or is_there() != gone, f"it ended before {told or wanted!r}; the screen is:\n{self.text}"

    def prompt(self) -> None:
        """Wait until it is the person's turn: an empty prompt is the last thing said."""
        self.wait(lambda: self.line.rstrip() == ">")

    @property
    def line(self) -> str:
        """The line the cursor is on."""
        return str(self.screen.display[self.screen.cursor.y])

    def ask(self, words: str, expected: str) -> None:
        """Type a message, and wait for what it leads to and for the next prompt."""
        self.prompt()
        before = self.flat.count(expected)
        self.send(words + "\r")
        self.wait(lambda: self.flat.count(expected) > before, told=expected)
        self.prompt()

    @property
    def modes(self) -> Any:
        """How the terminal treats keys: what `stty` shows."""
        import termios

        return termios.tcgetattr(self.child.child_fd)

    def rest(self, *, until: str | None = None) -> bool:
        """Draw what comes until the program ends, or `until` is on the screen; whether it is."""
        end = time.monotonic() + TIMEOUT
        while self.draw():
            if until is not None and until in self.flat:
                return True
            assert time.monotonic() < end, f"it does not end; the screen is:\n{self.text}"
        return False

    def end(self) -> int:
        """Draw the rest; the exit status (minus the signal where one ended it)."""
        self.rest()
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus)

    def resize(self, columns: int, rows: int) -> None:
        self.child.setwinsize(rows, columns)
        self.screen.resize(rows, columns)

    def draw(self) -> bool:
        """Draw what has come; False at the end."""
        try:
            data = self.child.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True
