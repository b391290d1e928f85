"""`mmcli chat --speak`: a chat whose answers are said aloud too, while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmcli import signals
from mmcli.commands import speaking
from mmcli.commands.session import Session

if TYPE_CHECKING:
    from mmcli.commands.speaking import Voice
    from mmcli.engine import Piece, Sampling


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
            speaking.finish(self._aloud, self.style)

    def _passed_on(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        return self._aloud.told(super()._passed_on(pieces))

    def _interrupted(self) -> None:
        self._aloud.stop()
        super()._interrupted()
