"""`mmcli voice` without a terminal: espeak-ng speaks into PulseAudio, both starter models hear, see and answer."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PARROT, PICTURES, Random, Run, draw
from tests.speaking import needs_espeak
from tests.virtual_microphone import VirtualMicrophone, needs_microphone
from tests.voices import HOW_MANY, WHAT, Voice

CAPTION = "I see a red circle, a blue square and a yellow star."
COUNT = "There are 3 shapes."
CHATTER = re.compile(r"ALSA|pcm|jack|PaUtil|Expression", re.IGNORECASE)

pytestmark = [needs_espeak, needs_microphone]

Start = Callable[..., Voice]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str], microphone: VirtualMicrophone) -> Iterator[Start]:
    """Start `mmcli voice ARGUMENTS` with both starters, or the model that the arguments name, beside shapes.png."""
    shutil.copy(PICTURES / "shapes.png", tmp_path)
    started: list[Voice] = []

    def run(*arguments: str, **env: str) -> Voice:
        model = () if "-m" in arguments else ("-m", "starter", "--temp", "0")
        voice = Voice([*model, "--speech-model", "starter", *arguments], environment | env, tmp_path, microphone)
        started.append(voice)
        return voice

    yield run
    for voice in started:
        voice.close()


def talk(mmcli: Run) -> Any:
    """The last talk of the history."""
    return mmcli("history", "show", "--json").json


def heard(sentence: str, question: str) -> bool:
    wanted = set(sentence.split())
    return len(wanted & set(re.findall(r"\w+", question.lower()))) >= 0.6 * len(wanted)


def test_a_talk_about_a_picture_spoken_and_typed(start: Start, mmcli: Run) -> None:
    voice = start("shapes.png", "--offline", "-v")
    voice.listens()
    voice.say(WHAT, lambda: CAPTION in voice.out, "the caption")
    n_before = voice.out.count(COUNT)
    voice.type("How many shapes are there?")
    voice.wait(lambda: voice.out.count(COUNT) > n_before, "the typed question's answer")
    voice.say(HOW_MANY, lambda: voice.out.count(COUNT) > n_before + 1, "the spoken question's answer")
    assert voice.end() == 0, voice.told
    assert not CHATTER.search(voice.told)
    assert "note: after the end of speech: turn over " in voice.told
    assert "offline: no connection left this machine" in voice.told
    said = talk(mmcli)
    assert said["kind"] == "voice"
    assert voice.out.splitlines() == [turn["answer"] for turn in said["turns"]], "stdout has the answers and no more"
    by = {turn["question"]: turn["heard_by"] for turn in said["turns"]}
    assert by["How many shapes are there?"] in (None, "starter")
    first, last = said["turns"][0], said["turns"][-1]
    assert heard(WHAT, first["question"]) and first["heard_by"] == last["heard_by"] == "starter"
    assert [medium["source"] for medium in first["media"]] == ["shapes.png"]
    assert any(turn["heard_by"] is None for turn in said["turns"])


def test_the_starter_is_heard_by_the_starter_with_nothing_chosen(
    tmp_path: Path, environment: dict[str, str], microphone: VirtualMicrophone
) -> None:
    voice = Voice(["-m", "starter"], environment, tmp_path, microphone)
    try:
        voice.listens()
        assert "a few hundred English words" in voice.told
        assert voice.end() == 0
    finally:
        voice.close()


def test_look_at_a_file_brings_it_into_the_turn(start: Start, mmcli: Run) -> None:
    voice = start()
    voice.listens()
    voice.say(f"look at shapes. {WHAT}", lambda: CAPTION in voice.out, "the caption")
    assert "note: looking at shapes.png, PNG 480×320" in voice.told
    assert voice.end() == 0
    (turn,) = (turn for turn in talk(mmcli)["turns"] if turn["media"])
    assert turn["media"][0]["source"] == "shapes.png" and turn["heard_by"] == "starter"


def test_a_name_that_no_file_has_is_told_and_not_answered_about_another_picture(
    start: Start, mmcli: Run, tmp_path: Path
) -> None:
    voice = start("shapes.png")
    voice.listens()
    (tmp_path / "shapes.png").rename(tmp_path / "z.png")  # it is in the talk; no file has its name any more
    voice.say(f"look at shapes. {WHAT}", lambda: "error: no file here sounds like `shapes`" in voice.told, "the error")
    assert "hint: type /attach" in voice.told
    assert CAPTION not in voice.out, "it was answered about the picture before"
    voice.type("How many shapes are there?")
    voice.wait(lambda: COUNT in voice.out, "the typed question's answer")
    assert voice.end() == 0
    assert all("look at" not in turn["question"].lower() for turn in talk(mmcli)["turns"])


def tool(folder: Path, name: str, script: str) -> dict[str, str]:
    """A program of that name that comes first in PATH."""
    place = folder / "bin" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return {"PATH": f"{place.parent}:/usr/bin:/bin", "WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ""}


def test_look_at_the_screen_and_the_clipboard(start: Start, tmp_path: Path, mmcli: Run) -> None:
    show = f'cat "{tmp_path}/shapes.png"'
    voice = start(**(tool(tmp_path, "grim", show) | tool(tmp_path, "wl-paste", show)))
    voice.listens()
    voice.say("look at the screen.", lambda: "looking at screen:, PNG" in voice.told, "the screen")
    voice.say("look at the clipboard.", lambda: "looking at clip:, PNG" in voice.told, "the clipboard")
    voice.type("What is in the first picture?")
    voice.wait(lambda: "circle" in voice.out, "the answer")
    assert voice.end() == 0
    sources = {medium["source"] for turn in talk(mmcli)["turns"] for medium in turn["media"]}
    assert sources == {"screen:", "clip:"}


def test_a_spoken_request_that_fails_is_told_and_the_talk_goes_on(start: Start) -> None:
    voice = start(WAYLAND_DISPLAY="", DISPLAY="", WSL_DISTRO_NAME="")
    voice.listens()
    voice.say("look at the screen.", lambda: "error: there is no screen here" in voice.told, "the error")
    voice.type("Hello!")
    voice.wait(lambda: "starter" in voice.out, "the answer")
    assert voice.end() == 0


def test_speaking_interrupts_the_answer_and_is_the_next_turn(start: Start, mmcli: Run, parrot: Random) -> None:
    voice = start(*parrot.options, "--no-loop-guard", "--max-tokens", "1800")
    voice.listens()
    voice.type("Hello!")
    voice.wait(lambda: f"{PARROT} {PARROT}" in voice.out, "the answer")
    voice.play(f"{WHAT}.").wait()
    voice.wait(lambda: "note: heard: " in voice.told, "the next turn")
    voice.wait(lambda: PARROT in voice.out.partition("\n")[2], "its answer")
    voice.process.send_signal(signal.SIGINT)
    assert voice.process.wait(240) == 130, voice.told
    first, second = talk(mmcli)["turns"][:2]
    assert (first["question"], first["heard_by"], first["finish_reason"]) == ("Hello!", None, "interrupted")
    assert PARROT in first["answer"], "what was said stays"
    assert second["heard_by"] == "starter" and heard(WHAT, second["question"])


def test_who_speaks_on_before_the_first_word_had_not_finished(
    start: Start, parrot: Random, mmcli: Run, tmp_path: Path
) -> None:
    # All different: each is encoded, which takes about a second; as many as the context holds.
    pictures = [str(draw(tmp_path / f"{i}.png", "red circle", size=(100 + i, 100))) for i in range(3)]
    voice = start(*pictures, *parrot.options, "--no-loop-guard", "--max-tokens", "1800")
    voice.listens()
    voice.play(f"{WHAT}.").wait()
    voice.wait(lambda: "note: heard: " in voice.told, "the first part")
    voice.play(f"{HOW_MANY}, and {HOW_MANY}?").wait()  # while the pictures are encoded
    voice.wait(lambda: voice.told.count("note: heard: ") == 2, "the rest")
    voice.wait(lambda: PARROT in voice.out, "the answer")
    voice.close()
    first, both = re.findall("note: heard: (.*)", voice.told)
    assert both.startswith(f"{first} ") and len(both) > len(first) + 5
    (turn,) = talk(mmcli)["turns"]
    assert turn["question"] == both and len(turn["media"]) == len(pictures), "one question, with all that was staged"


def test_without_barge_in_what_is_said_meanwhile_is_the_next_turn(start: Start, mmcli: Run, parrot: Random) -> None:
    voice = start(*parrot.options, "--no-loop-guard", "--max-tokens", "900", "--no-barge-in")
    voice.listens()
    voice.type("Hello!")
    voice.wait(lambda: f"{PARROT} {PARROT}" in voice.out, "the answer")
    voice.play(f"{WHAT}.").wait()
    voice.wait(lambda: "note: heard: " in voice.told, "the next turn")
    voice.listens(2)
    assert voice.end() == 0
    first, second = talk(mmcli)["turns"]
    assert first["finish_reason"] == "length" and second["heard_by"] == "starter"


def test_toggle_takes_all_between_two_empty_lines_as_one_turn(start: Start) -> None:
    voice = start("shapes.png", "--talk", "toggle")
    voice.wait(lambda: "an empty line starts listening" in voice.told, "the beginning")
    voice.play(HOW_MANY).wait()  # nobody listens
    voice.type("")
    voice.wait(lambda: "listening: an empty line ends it" in voice.told, "listening")
    for _ in range(2):  # with a pause of some seconds between them: paplay's own end and start
        voice.play(HOW_MANY).wait()
        voice.play("   ").wait()
    voice.type("")
    voice.wait(lambda: "note: heard: " in voice.told, "the turn")
    assert voice.told.lower().count("how many") >= 1
    voice.wait(lambda: "There" in voice.out, "the answer")
    assert voice.end() == 0
    assert voice.told.count("note: heard: ") == 1, voice.told


def test_the_end_of_stdin_is_not_the_end_of_the_talk(start: Start) -> None:
    voice = start("shapes.png")
    voice.listens()
    assert voice.process.stdin is not None
    voice.process.stdin.close()
    voice.say(WHAT, lambda: CAPTION in voice.out, "the caption")
    voice.process.send_signal(signal.SIGINT)
    assert voice.process.wait(240) == 130


def test_a_microphone_that_goes_away_is_status_9_and_the_talk_is_kept(
    start: Start, microphone: VirtualMicrophone, mmcli: Run
) -> None:
    voice = start("shapes.png")
    voice.listens()
    voice.say(WHAT, lambda: CAPTION in voice.out, "the caption")
    player = voice.play(f"{HOW_MANY}, and {HOW_MANY}, and {HOW_MANY}, and {HOW_MANY}")
    microphone.unplug()
    assert voice.process.wait(240) == 9, voice.told
    player.wait()
    voice.wait(lambda: "hint: " in voice.told, "the hint")
    assert "went away" in voice.told and not CHATTER.search(voice.told)
    said = talk(mmcli)
    assert f"`mmcli voice -c {said['id']}` continues this conversation" in voice.told
    assert said["turns"][0]["answer"] == CAPTION


# what ends before it begins


def test_no_microphone_is_status_9_with_what_to_do(mmcli: Run) -> None:
    if mmcli("devices", "--json").json:
        pytest.skip("this machine has sound devices of its own")
    done = mmcli("voice", "-m", "starter")
    assert (done.status, done.stdout) == (9, "")
    assert done.stderr.splitlines()[0] == "error: there is no microphone on this machine"
    assert "ALSA" not in done.stderr and "hint: " in done.stderr


def test_no_portaudio_is_status_9_and_says_how_to_have_it(mmcli: Run, tmp_path: Path) -> None:
    stand_in = tmp_path / "stand_in"
    stand_in.mkdir()
    (stand_in / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    root = str(Path(__file__).parents[1])
    done = mmcli("voice", "-m", "starter", env={"PYTHONPATH": f"{stand_in}:{root}"})
    assert (done.status, done.stdout) == (9, "")
    assert "PortAudio is not installed" in done.stderr and "hint: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--speech-model", "whisper-small"], 4, "`mmcli pull whisper-small` or --yes downloads it"),
        (["--speech-model", "starter", "--language", "de"], 4, "understands English only, not `de`"),
        (["--speech-model", "whisper-smal"], 4, "hint: "),
        (["--talk", "hold"], 2, "--talk toggle"),
        (["--talk", "always"], 2, "`always` is not one of 'auto', 'toggle', 'hold'"),
        (["--input-device", "headset"], 9, "mmcli devices"),
        (["none.png"], 3, "no file named `none.png`"),
    ],
)
def test_a_mistake_is_told_before_anybody_listens(
    mmcli: Run, microphone: VirtualMicrophone, arguments: list[str], status: int, told: str
) -> None:
    done = mmcli("voice", "-m", "starter", *arguments, env=microphone.env)
    assert (done.status, done.stdout) == (status, ""), done.stderr
    assert told in done.stderr and "listening" not in done.stderr


def test_the_history_tells_what_was_spoken(start: Start, mmcli: Run) -> None:
    voice = start("shapes.png")
    voice.listens()
    voice.say(WHAT, lambda: CAPTION in voice.out, "the caption")
    assert voice.end() == 0
    assert "> (spoken) " in mmcli("history", "show").stdout
    assert json.loads(mmcli("history", "export", "--format", "json").stdout)
