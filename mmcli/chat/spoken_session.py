"""`mmcli chat --speak`: a chat whose answers are read aloud while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmcli import signals
from mmcli.chat.session import Session
from mmcli.runtime import speech_output

if TYPE_CHECKING:
    from mmcli.engine import Piece, Sampling
    from mmcli.runtime.speech_output import Voice


class SpokenSession(Session):
    """The next message is asked for when all is said, or Ctrl-C has ended that."""

    def __init__(self, *args: Any, aloud: Voice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._aloud = aloud

    def ask(self, words: str, sampling: Sampling | None = None) -> None:
        try:
            super().ask(words, sampling)
        except BaseException:
            self._aloud.stop()
            raise
        with signals.two_steps(self._aloud.stop):
            speech_output.finish(self._aloud, self.screen)

    def _passed_on(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        return self._aloud.told(super()._passed_on(pieces))

    def _interrupted(self) -> None:
        self._aloud.stop()
        super()._interrupted()
