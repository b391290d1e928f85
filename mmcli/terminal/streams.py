"""The two streams, as Rich consoles that tell the truth. Knows terminals, colours and encodings; knows no answers.

Each call looks at sys.stdout and sys.stderr anew, so tests and redirections are seen; Rich reads NO_COLOR,
FORCE_COLOR, TERM, COLUMNS and LINES itself.
"""

from __future__ import annotations

import functools
import io
import sys
from typing import IO, TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


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
