"""What a conversation is held through: a keyboard, a keyboard and a voice, or a microphone too (voice_front.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mmcli import signals, terminal
from mmcli.runtime import speech_output

if TYPE_CHECKING:
    from mmcli.chat.session import Session
    from mmcli.chat.slash_commands import Slash
    from mmcli.engine import Piece
    from mmcli.runtime.speech_output import Voice


class Front(Protocol):
    """Where the messages of a session come from, and what else its answers pass on their way to the screen."""

    kind: str  # the command, and what the history calls the talk
    keys: Sequence[tuple[str, str]]  # beside those of every chat, for /help
    commands: Mapping[str, Slash]  # the same for what is typed after a slash
    heard_by: str | None  # the speech model that wrote the present question down

    def join(self, session: Session) -> None:
        """This session is held through it from now on."""
        ...

    def open(self, hooks: terminal.Hooks, typed: Path | None) -> AbstractContextManager[terminal.Keyboard]:
        """The keyboard, while the session runs; `typed` keeps its lines."""
        ...

    def next(self, keyboard: terminal.Keyboard, default: str) -> str:
        """The next message; `default` stands on the line. EOFError at the end of all messages."""
        ...

    def take(self, text: str) -> bool:
        """Do what a message asks for; False where the session is to do it."""
        ...

    def outlives(self, error: BaseException) -> bool:
        """Whether an error only costs what led to it, though nobody sits at the keyboard."""
        ...

    def answering(self) -> AbstractContextManager[None]:
        """Around one question and its answer; what ends it early is raised through it."""
        ...

    def passed_on(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """An answer on its way to the screen."""
        ...

    def interrupted(self) -> bool:
        """An answer was interrupted; True where nobody needs to be told."""
        ...

    def greet(self) -> None:
        """The session has said who answers."""
        ...

    def facts(self) -> Sequence[str]:
        """What stands in the status line, before what the session has to tell."""
        ...


class Typed:
    """A keyboard, or lines from a pipe."""

    kind = "chat"
    keys: Sequence[tuple[str, str]] = ()
    heard_by: str | None = None

    def __init__(self) -> None:
        self.commands: Mapping[str, Slash] = {}

    def join(self, session: Session) -> None: ...

    def open(self, hooks: terminal.Hooks, typed: Path | None) -> AbstractContextManager[terminal.Keyboard]:
        return terminal.open_keyboard(hooks, typed)

    def next(self, keyboard: terminal.Keyboard, default: str) -> str:
        return keyboard.read(default)

    def take(self, text: str) -> bool:
        return False

    def outlives(self, error: BaseException) -> bool:
        return False

    @contextmanager
    def answering(self) -> Iterator[None]:
        yield

    def passed_on(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        return pieces

    def interrupted(self) -> bool:
        return False

    def greet(self) -> None: ...

    def facts(self) -> Sequence[str]:
        return ()


class ReadAloud(Typed):
    """A keyboard, and answers that are said while they are written: the next message is asked for when all is said."""

    def __init__(self, aloud: Voice, screen: terminal.Screen) -> None:
        super().__init__()
        self._aloud, self._screen = aloud, screen

    @contextmanager
    def answering(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._aloud.stop()
            raise
        with signals.two_steps(self._aloud.stop):
            speech_output.finish(self._aloud, self._screen)

    def passed_on(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        return self._aloud.told(pieces)

    def interrupted(self) -> bool:
        self._aloud.stop()
        return False
