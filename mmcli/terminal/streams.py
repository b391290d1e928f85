"""The two output streams as Rich consoles with their real abilities. Knows colours and encodings; no answers.

Each call looks at sys.stdout and sys.stderr anew, so tests and redirections are seen; Rich reads NO_COLOR,
FORCE_COLOR, TERM, COLUMNS and LINES itself.
"""

from __future__ import annotations

import errno
import functools
import io
import select
import sys
from collections.abc import Set
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


class OutputLost(OSError):
    """The result cannot be written: the disk behind stdout is full, or stdout is closed. Not for closed pipes."""


def guard(closed: Set[int] = frozenset()) -> None:
    """Make failing streams behave: stdout says so once (OutputLost), stderr never does, as nobody could be told.

    `closed`: descriptors that the shell had closed, and that lead to nothing since. Terminals are left as they are.
    """
    if not is_terminal(sys.stdout):
        sys.stdout = _text(_Stdout(1, is_closed=1 in closed), sys.stdout)
    if not is_terminal(sys.stderr):
        sys.stderr = unfailing(2, sys.stderr)


def unfailing(descriptor: int, like: IO[str]) -> IO[str]:
    """A stream like stderr, onto a descriptor; what cannot be written is lost, and changes no exit status."""
    return _text(_Stderr(descriptor), like, line_buffering=True)


def _text(raw: io.RawIOBase, like: IO[str], *, line_buffering: bool = False) -> IO[str]:
    encoding, on_error = getattr(like, "encoding", None) or "utf-8", getattr(like, "errors", None) or "strict"
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding, on_error, line_buffering=line_buffering)


class _Patient(io.FileIO):
    """A descriptor that may not block, since a program that shares it wants it so: wait until it takes more."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: Any, /) -> int:
        while True:
            written = super().write(data)
            if written is not None:
                return written
            select.select([], [self.fileno()], [])


class _Stdout(_Patient):
    def __init__(self, descriptor: int, *, is_closed: bool) -> None:
        super().__init__(descriptor)
        self._is_closed, self._is_lost = is_closed, False

    def write(self, data: Any, /) -> int:
        if self._is_lost:  # it was reported; what is still in buffers cannot be reported again
            return len(data)
        try:
            if self._is_closed:
                raise OSError(errno.EBADF, "stdout is closed")
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._is_lost = True
            raise OutputLost(error.errno, error.strerror or str(error)) from error


class _Stderr(_Patient):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError:
            return len(data)


def out() -> Console:
    """The answer's stream."""
    return _console(sys.stdout)


def err() -> Console:
    """The stream of everything that isn't the answer."""
    return _console(sys.stderr)


def is_terminal(stream: IO[str]) -> bool:
    """True for a real terminal only: FORCE_COLOR may colour a pipe, but doesn't turn it into one."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def is_screen() -> bool:
    """Whether the results go to a terminal."""
    return is_terminal(sys.stdout)


def can_show(text: str, stream: IO[str]) -> bool:
    """True if the stream's encoding has every character of `text`."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def write(text: str, stream: IO[str]) -> None:
    """Write without Rich, at once: the way of plain text and JSON."""
    never_raise(stream)
    stream.write(text)
    stream.flush()


def put(text: Text, stream: IO[str], hanging: int = 0) -> None:
    """A paragraph, broken between words where the stream is a terminal (`hanging` cells before its other lines)."""
    from mmcli.terminal import wrapping

    console = _console(stream)
    for line in wrapping.styled(text, console.width, hanging) if is_terminal(stream) else [text]:
        console.print(line, soft_wrap=True)


def never_raise(stream: IO[str]) -> None:
    """Show a character the encoding lacks as its escape: an answer isn't worth less because of one accent."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
        stream.reconfigure(errors="backslashreplace")


def _console(stream: IO[str]) -> Console:
    never_raise(stream)
    return _truthful_console()(file=stream, markup=False, highlight=False, emoji=False)


@functools.cache
def _truthful_console() -> type[Console]:
    from rich.console import Console  # 80 ms, and a command in a pipe can do without

    class Truthful(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise  # noqa: PLE0704  Rich would exit with status 1; main.py knows what a closed pipe means

    return Truthful


def write_bytes(data: bytes) -> None:
    """Bytes on stdout as they are, behind all that was written before."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        write(data.decode("utf-8", "surrogateescape"), sys.stdout)
        return
    buffer.write(data)
    buffer.flush()
