"""`mmcli voice` with OpenAI's Whisper base: espeak-ng asks about a picture, turn after turn."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import PICTURES, Run
from tests.speaking import needs_espeak
from tests.virtual_microphone import VirtualMicrophone, needs_microphone
from tests.voices import Voice

pytestmark = [pytest.mark.real, needs_espeak, needs_microphone]

CAPTION = "I see a red circle, a blue square and a yellow star."
COUNT = "There are 3 shapes."
WHAT = "What do you see?"  # Whisper base hears espeak-ng's "picture" as "big chair" in three of eight tries


def test_spoken_turns_are_heard_word_for_word(
    tmp_path: Path, environment: dict[str, str], microphone: VirtualMicrophone, whisper: Path, run: Run
) -> None:
    shutil.copy(PICTURES / "shapes.png", tmp_path)
    models = ["-m", "starter", "--temp", "0", "--speech-model", str(whisper), "--language", "en"]
    voice = Voice([*models, "shapes.png", "--offline"], environment, tmp_path, microphone)
    try:
        voice.listens()
        voice.say(WHAT, lambda: CAPTION in voice.out, "the caption")
        voice.say("How many shapes are there?", lambda: COUNT in voice.out, "the number")
        assert voice.end() == 0, voice.told
    finally:
        voice.close()
    turns = run("history", "show", "--json").json["turns"]
    answered = {turn["answer"]: turn for turn in turns}
    assert answered[CAPTION]["question"] == WHAT
    assert answered[COUNT]["question"] == "How many shapes are there?"
    assert {turn["heard_by"] for turn in turns} == {"whisper-base"}
