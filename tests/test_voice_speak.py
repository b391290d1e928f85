"""`mmcli voice --speak`: what it says comes out of the loudspeaker that the microphone hears, and is nobody's turn."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PARROT, PICTURES, Random, Run
from tests.speaking import needs_espeak
from tests.virtual_microphone import VirtualMicrophone, needs_microphone
from tests.voices import HOW_MANY, WHAT, Voice

pytestmark = [needs_espeak, needs_microphone]

ANSWERS = {"How many shapes are there?": "There are 3 shapes.", "Is there a star?": "Yes", "Is there a cross?": "No"}
ECHOES = 20

Start = Callable[..., Voice]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str], microphone: VirtualMicrophone) -> Iterator[Start]:
    """Start `mmcli voice --speak -v ARGUMENTS` with both starters, or the model that the arguments name."""
    shutil.copy(PICTURES / "shapes.png", tmp_path)
    started: list[Voice] = []

    def run(*arguments: str) -> Voice:
        model = () if "-m" in arguments else ("-m", "starter", "--temp", "0", "shapes.png")
        said = ("--speech-model", "starter", "--speak", "--voice", "en-us", "-v")
        started.append(Voice([*model, *said, *arguments], environment, tmp_path, microphone))
        return started[-1]

    yield run
    for voice in started:
        voice.close()


def ask(voice: Voice, question: str) -> None:
    """Type a question, and wait until its answer is said and it listens again."""
    spoken, ready = voice.told.count("note: speaking"), voice.told.count("note: listening to")
    voice.type(question)
    voice.wait(lambda: voice.told.count("note: speaking") > spoken, "speaking")
    voice.wait(lambda: voice.told.count("note: listening to") > ready, "listening")


def test_its_own_voice_is_no_turn_in_twenty_tries(start: Start) -> None:
    voice = start()
    voice.listens()
    questions = list(ANSWERS)
    for i in range(ECHOES):
        ask(voice, questions[i % len(questions)])
    assert voice.end() == 0
    assert "note: heard: " not in voice.told, voice.told
    assert len(voice.out.splitlines()) == ECHOES
    # The echo did come back, or this would prove nothing. (A busy machine may lose some of it.)
    assert voice.told.count("note: ignored its own voice: ") >= ECHOES // 2, voice.told


def test_a_person_is_heard_between_its_answers(start: Start, mmcli: Run) -> None:
    voice = start()
    voice.listens()
    ask(voice, "What is in this picture?")
    ask(voice, "How many shapes are there?")
    n_lines = len(voice.out.splitlines())
    # Much like what it has said itself, but a while ago: no echo.
    voice.say("is there a blue square?", lambda: len(voice.out.splitlines()) > n_lines, "the spoken question's answer")
    assert voice.end() == 0
    assert "first sound " in voice.told.rpartition("note: after the end of speech: turn over ")[2]
    turns = mmcli("history", "show", "--json").json["turns"]
    assert (turns[0]["heard_by"], turns[-1]["heard_by"]) == (None, "starter")


def test_half_duplex_hears_nothing_while_it_speaks(start: Start) -> None:
    voice = start("--half-duplex")
    voice.listens()
    for question in ANSWERS:
        ask(voice, question)
    assert "note: heard" not in voice.told and "its own voice" not in voice.told, "neither itself nor anybody"
    voice.say(HOW_MANY, lambda: voice.out.count("There are 3 shapes.") > 1, "the spoken question's answer")
    assert voice.end() == 0


def test_speaking_silences_it_and_is_the_next_turn(
    start: Start, microphone: VirtualMicrophone, mmcli: Run, parrot: Random
) -> None:
    microphone.speak_elsewhere()
    voice = start(*parrot.options, "--no-loop-guard", "--max-tokens", "1800")
    voice.listens()
    voice.type("Hello!")
    voice.wait(lambda: f"{PARROT} {PARROT}" in voice.out, "the answer")
    voice.play(f"{WHAT}, and {HOW_MANY}?").wait()
    voice.wait(lambda: "note: heard: " in voice.told, "the next turn")
    voice.wait(lambda: PARROT in voice.out.partition("\n")[2], "its answer")
    voice.close()
    first, second = mmcli("history", "show", "--json").json["turns"]
    assert first["finish_reason"] == "interrupted" and PARROT in first["answer"]
    assert second["heard_by"] == "starter"


def test_an_option_for_a_voice_needs_one(mmcli: Run) -> None:
    done = mmcli("voice", "-m", "starter", "--half-duplex")
    assert (done.status, done.stdout) == (2, "")
    assert "add --speak" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals need a Unix")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_ctrl_c_silences_it_and_the_talk_goes_on(
    environment: dict[str, str], tmp_path: Path, microphone: VirtualMicrophone
) -> None:
    from tests.terminals import Terminal

    shutil.copy(PICTURES / "shapes.png", tmp_path)
    arguments = ["voice", "shapes.png", "-m", "starter", "--speech-model", "starter", "--temp", "0", "--speak"]
    voice = Terminal([*arguments, "--voice", "en-us"], environment | microphone.env, tmp_path, columns=100)
    voice.ask("What is in this picture?", "yellow star")
    voice.wait("speaking    [")
    voice.send("\x03")
    voice.wait("speaking    [", gone=True)
    voice.ask("How many shapes are there?", "There are 3 shapes.")
    voice.send("\x04")
    assert voice.end() == 0
    voice.child.close(force=True)
