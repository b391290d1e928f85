"""Who interrupts an answer that has no sound yet: a person, and never the echo of the answer before."""

from __future__ import annotations

import pytest

from mmcli.chat.echo_guard import Mouth
from mmcli.chat.voice_session import INTERRUPTS, Manner, VoiceSession
from mmcli.runtime.speech_output import Voice

SAID = "There are 3 shapes in this picture."
ENDED = 1e9  # on the monotonic clock: when it was silent


class Silent(Voice):
    """A voice that has just said `SAID`; nothing comes out of it."""

    def __init__(self, is_wanted: bool) -> None:
        super().__init__()
        self._is_wanted = is_wanted

    @property
    def is_wanted(self) -> bool:
        return self._is_wanted

    def saying(self, now: float, seconds: float) -> str:
        return SAID if now - seconds < ENDED else ""


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


@pytest.mark.parametrize(
    ("heard", "after", "taken"),
    [
        ("There are three shapes in this picture.", 0.2, ""),
        ("There are three shapes in this picture.", 3, ""),
        ("There are three shapes in this picture. Are there three shapes?", 3, "Are there three shapes?"),
        ("There are three shapes in this picture. Are there three shapes?", 0.2, ""),  # the recogniser's own repetition
        ("There are three shapes in this. And what about Paris?", 0.2, "And what about Paris?"),
        (
            "There are three shapes. And tell me about the weather in Paris.",
            3,
            "And tell me about the weather in Paris.",
        ),
        ("Tell me about the weather in Paris.", 3, "Tell me about the weather in Paris."),
        ("There are three shapes. Oh.", 3, ""),
    ],
)
def test_a_question_behind_an_echo_is_a_turn(heard: str, after: float, taken: str) -> None:
    """Where words come slowly, both are heard as one."""
    mouth = Mouth(Silent(True), False, lambda error: None)
    assert mouth.others(heard, ENDED - 2, ENDED + after) == taken
