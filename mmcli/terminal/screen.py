"""The terminal as a `Reporter`: notices and warnings on stderr, a progress line, a question with a yes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from mmcli.terminal import confirmation, output, progress_line, transcript_view
from mmcli.terminal.style import Style


class Screen:
    """A `runtime.reporter.Reporter`, as the flags of the command line ask for it."""

    def __init__(self, style: Style) -> None:
        self._style = style

    @property
    def is_debug(self) -> bool:
        return self._style.debug

    def notice(self, text: str) -> None:
        output.notice(text, self._style)

    def detail(self, text: str) -> None:
        if self._style.verbose:
            output.notice(text, self._style)

    def warning(self, text: str) -> None:
        output.warning(text, self._style)

    def debug(self, text: str) -> None:
        output.debug(text, self._style)

    def can_ask(self) -> bool:
        return confirmation.can_ask(self._style)

    def confirm(self, question: str) -> bool:
        return confirmation.confirm(question)

    def progress(self) -> AbstractContextManager[Callable[[str, int, int], None]]:
        return progress_line.progress(self._style)

    def no_chatter(self) -> AbstractContextManager[None]:
        return transcript_view.no_chatter(self._style)
