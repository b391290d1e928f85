"""Who interrupts an answer that has no sound yet: a person, and never the echo of the answer before."""

from __future__ import annotations

import pytest

from mmcli.chat.echo_guard import EchoGuard
from mmcli.chat.voice_front import INTERRUPTS, Manner, VoiceFront
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


class Session:
    """As much of one as a front needs while an answer is awaited."""

    n_stopped = 0
    pending = ""

    def stop_answer(self) -> None:
        self.n_stopped += 1


def answering(speaks: bool) -> tuple[VoiceFront, Session]:
    """A talk held by voice, between a question and the first word of its answer."""
    front, session = VoiceFront(Manner(), Silent(speaks)), Session()
    front.join(session)  # type: ignore[arg-type]
    front._is_answering = True
    return front, session


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
    front, session = answering(speaks)
    front.on_speech(INTERRUPTS, words)
    assert (front.interrupted(), session.n_stopped) == (stops, int(stops))
    front.on_speech(INTERRUPTS, "and is there a cross")
    assert session.n_stopped == 1, "once"


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
    mouth = EchoGuard(Silent(True), False, lambda error: None)
    assert mouth.others(heard, ENDED - 2, ENDED + after) == taken
