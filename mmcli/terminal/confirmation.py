"""Asks the user for a yes. Knows terminals; knows nothing of what it asks about."""

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
