"""Shows on stderr how far a run over many files has come, how long it will take, and what failed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from mmcli.sanitize import clean
from mmcli.terminal import output, streams
from mmcli.terminal.progress_line import duration

if TYPE_CHECKING:
    from mmcli.errors import MmcliError
    from mmcli.media import Source
    from mmcli.terminal.progress_line import Progress
    from mmcli.terminal.style import Style

LONG = 60.0  # seconds of work that are worth an estimate


class BatchView:
    """Counts what is `done` and what `failed`; `verb` says what is done to each file."""

    def __init__(self, verb: str, style: Style, progress: Progress) -> None:
        self._verb, self._style, self._progress = verb, style, progress
        self._is_estimated = False
        self._began = time.monotonic()
        self.done = self.failed = 0

    def report(self, total: int, pace: tuple[float, int] | None) -> None:
        """Show how far it has come; `total` 0: nobody knows yet. `pace`: seconds a picture, measured on so many."""
        words = []
        if pace is not None and pace[1]:
            words.append(f"{60 / max(pace[0], 1e-3):.1f} per minute")
            if total > self.done:
                words.append(f"{duration(pace[0] * (total - self.done))} left")
        if self.failed:
            words.append(f"{self.failed} failed")
        self._progress.note = "  ".join(words)
        self._progress(self._verb, self.done, total)

    def estimate(self, total: int, pace: tuple[float, int] | None) -> bool:
        """Before a long run, say once how long it will take, on a terminal, where somebody waits. True: it was said."""
        if self._is_estimated or not total or pace is None or not streams.is_terminal(sys.stderr):
            return False
        self._is_estimated = True
        seconds, n_measured = pace
        if seconds * (total - self.done) < LONG:
            return False
        basis = f"the first {n_measured}" if n_measured else "earlier runs"
        left = duration(seconds * (total - self.done))
        output.notice(
            f"{total - self.done} pictures to go: about {left} on this machine, measured on {basis}", self._style
        )
        return not self._style.quiet

    def tell_failure(self, source: Source, error: MmcliError) -> None:
        """One file's error; its hint with -v."""
        message, hint = error.message, error.hint
        name = source.shown
        if name not in message and source.name not in message:
            message = f"{name}: {message}"
        output.failure(message, hint if self._style.verbose else None)


def json_line(value: Any) -> None:
    """One JSON object on one line, as they come."""
    streams.write(output.json_text(value, sys.stdout) + "\n", sys.stdout)


def row(text: str) -> None:
    """Some of a table, whole lines: as it is in a pipe, without control characters on a terminal."""
    streams.write(clean(text) if streams.is_terminal(sys.stdout) else text, sys.stdout)


def raw(data: bytes) -> None:
    """Bytes on stdout as they are, for names that are no text."""
    streams.write_bytes(data)
