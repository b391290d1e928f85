"""Who interrupts an answer that has no sound yet: a person, and never the echo of the answer before."""

from __future__ import annotations

import pytest

from mmcli.commands.mouth import Mouth
from mmcli.commands.speaking import Voice
from mmcli.commands.voicing import INTERRUPTS, Manner, VoiceSession

SAID = "There are 3 shapes in this picture."


class Silent(Voice):
    """A voice that has just said `SAID`; nothing comes out of it."""

    def __init__(self, is_wanted: bool) -> None:
        super().__init__()
        self._is_wanted = is_wanted

    @property
    def is_wanted(self) -> bool:
        return self._is_wanted

    def saying(self, now: float, seconds: float) -> str:
        return SAID


class Loading:
    n_stopped = 0

    def stop(self) -> None:
        self.n_stopped += 1


def session(speaks: bool) -> VoiceSession:
    """A session that is answering, without a model: as it is between a question and the first word."""
    made = object.__new__(VoiceSession)
    made.manner, made._mouth = Manner(), Mouth(Silent(speaks), False, lambda error: None)
    made._is_answering, made._was_barged = True, False
    made._loading = Loading()  # type: ignore[assignment]
    return made


@pytest.mark.parametrize(
    ("speaks", "words", "stops"),
    [
        (True, "", False),
        (True, "there are three", False),
        (True, "there are 3 shapes in this", False),
        (True, "and is there a cross", True),
        (False, "", True),
    ],
)
def test_an_answer_that_is_not_heard_yet_is_interrupted_by_a_person_only(speaks: bool, words: str, stops: bool) -> None:
    talking = session(speaks)
    talking.hearing(INTERRUPTS, words)
    assert (talking._was_barged, talking._loading.n_stopped) == (stops, int(stops))  # type: ignore[attr-defined]
    talking.hearing(INTERRUPTS, "and is there a cross")
    assert talking._loading.n_stopped == 1, "once"  # type: ignore[attr-defined]
