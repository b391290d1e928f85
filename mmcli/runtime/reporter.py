"""The interface by which runtime/ and jobs/ report to the user: terminal.Screen shows it, `Silent` does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

# (phase, done, total), from any thread; total 0: unknown; negative: the phase is the whole line
OnProgress: TypeAlias = Callable[[str, int, int], None]


class Reporter(Protocol):
    """Notices, warnings, progress and questions. Texts may hold anything: who shows them sanitizes them."""

    @property
    def is_debug(self) -> bool:
        """Whether `debug` is shown."""
        ...

    def notice(self, text: str) -> None:
        """Something worth knowing that is no problem."""
        ...

    def detail(self, text: str) -> None:
        """Something for those who asked for more."""
        ...

    def warning(self, text: str) -> None:
        """Something that went wrong without spoiling the result."""
        ...

    def debug(self, text: str) -> None:
        """Lines of a log, as they are."""
        ...

    def can_ask(self) -> bool:
        """Whether there is somebody who can answer `confirm`."""
        ...

    def confirm(self, question: str) -> bool:
        """Ask for a yes; only where `can_ask`."""
        ...

    def progress(self) -> AbstractContextManager[OnProgress]:
        """A progress line, for as long as the body runs."""
        ...

    def no_chatter(self) -> AbstractContextManager[None]:
        """While inside, what native libraries write to stderr on their own is not shown."""
        ...


class Silent:
    """A `Reporter` for nobody: shows nothing, and nobody can be asked."""

    is_debug = False

    def notice(self, text: str) -> None: ...

    def detail(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def debug(self, text: str) -> None: ...

    def can_ask(self) -> bool:
        return False

    def confirm(self, question: str) -> bool:
        return False

    def progress(self) -> AbstractContextManager[OnProgress]:
        return contextlib.nullcontext(lambda phase, done, total: None)

    def no_chatter(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()
