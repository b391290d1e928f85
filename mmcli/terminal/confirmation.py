"""Asks the user for a yes, or for a password. Knows terminals; knows nothing of what it asks about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mmcli.sanitize import one_line
from mmcli.terminal import streams, typeahead
from mmcli.terminal.progress_line import out_of_the_way

if TYPE_CHECKING:
    from mmcli.terminal.style import Style


def can_ask(style: Style) -> bool:
    """Whether there is a user to ask: both ends of the conversation are a terminal, and no program reads along."""
    return not style.json and sys.stdin is not None and all(map(streams.is_terminal, (sys.stdin, sys.stderr)))


def confirm(question: str, *, default: bool = True) -> bool:
    """Ask on stderr; what begins with y means yes, Enter the `default`, the end of the input no."""
    with typeahead.listening(), out_of_the_way():
        streams.write(f"{one_line(question)} {'[Y/n]' if default else '[y/N]'} ", sys.stderr)
        try:
            answer = sys.stdin.readline()
        except KeyboardInterrupt:
            streams.write("\n", sys.stderr)  # what comes next begins a line
            raise
    if not answer:
        streams.write("\n", sys.stderr)
    return (default and answer[:1] == "\n") or answer.strip().lower().startswith("y")


def ask_password(shown: str) -> str | None:
    """Ask for a file's password without showing what is typed; None where nothing is."""
    import getpass
    import warnings

    with typeahead.listening(), out_of_the_way(), warnings.catch_warnings():
        warnings.simplefilter("ignore", getpass.GetPassWarning)  # it may be shown where the terminal cannot hide it
        try:
            return getpass.getpass(f"password of {one_line(shown)}: ") or None
        except EOFError:
            return None
        except KeyboardInterrupt:
            streams.write("\n", sys.stderr)
            raise
