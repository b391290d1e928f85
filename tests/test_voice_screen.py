"""`mmcli voice` as a person has it: a real pseudo-terminal, and espeak-ng at the virtual microphone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("pseudo-terminals need a Unix", allow_module_level=True)

from tests.conftest import PARROT, PICTURES, Random, Run  # noqa: E402
from tests.speaking import needs_espeak, say  # noqa: E402
from tests.terminals import Terminal  # noqa: E402
from tests.virtual_microphone import VirtualMicrophone, needs_microphone  # noqa: E402
from tests.voices import HOW_MANY, TRIES, WHAT  # noqa: E402

# A child is forked while other tests' libraries have threads running; it executes Python anew at once.
pytestmark = [
    needs_espeak,
    needs_microphone,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

CAPTION = "I see a red circle, a blue square and a yellow star."
CTRL_C, CTRL_D = "\x03", "\x04"
KEY_DOWN, KEY_UP = "\x1b[32;;32u", "\x1b[32;1:3u"  # Space, as kitty's protocol has it

Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str], microphone: VirtualMicrophone) -> Iterator[Start]:
    """Start `mmcli voice ARGUMENTS` beside shapes.png, with both starters or the model that the arguments name."""
    shutil.copy(PICTURES / "shapes.png", tmp_path)
    started: list[Terminal] = []

    def run(*arguments: str, columns: int = 100) -> Terminal:
        model = () if "-m" in arguments else ("-m", "starter", "--temp", "0")
        words = ["voice", *model, "--speech-model", "starter", *arguments]
        terminal = Terminal(words, environment | microphone.env, tmp_path, columns=columns)
        started.append(terminal)
        return terminal

    yield run
    for terminal in started:
        terminal.child.close(force=True)


@pytest.fixture
def play(tmp_path: Path, microphone: VirtualMicrophone) -> Callable[[str], subprocess.Popen[bytes]]:
    """Begin to say something."""
    return lambda sentence: microphone.play(say(tmp_path / "said.wav", sentence))


Play = Callable[[str], "subprocess.Popen[bytes]"]


def said_until(voice: Terminal, play: Play, sentence: str, is_so: Callable[[], bool], what: str) -> None:
    """Say it, and again where a busy machine lost some of it, until `is_so`."""
    for _ in range(TRIES):
        turns = voice.text.count("\n> ")
        play(sentence).wait()
        voice.wait(lambda turns=turns: voice.text.count("\n> ") > turns and voice.line.rstrip() == ">", told=what)  # type: ignore[misc]
        if is_so():
            return
    raise AssertionError(f"{what} never came:\n{voice.text}")


def status(voice: Terminal) -> str:
    """The line at the bottom."""
    return next((line for line in reversed(voice.screen.display) if line.strip()), "")


def test_a_talk_about_a_picture(start: Start, play: Play, mmcli: Run) -> None:
    voice = start("shapes.png", "-v")
    voice.wait("speak, or type")
    voice.wait(lambda: status(voice).startswith("listening   [        ]  starter  0/2048 tokens  staged: shapes.png"))
    player = play(WHAT)
    voice.wait(lambda: status(voice).startswith("hearing you [#"), told="the level")
    shown: set[str] = set()

    def answered() -> bool:
        shown.add(status(voice).partition("]")[2].strip())
        return "the end of speech: turn over" in voice.flat

    voice.wait(answered, told="the turn")
    player.wait()
    assert any(line.startswith("What ") for line in shown), f"the words were not shown while they were said: {shown}"
    said_until(voice, play, WHAT, lambda: CAPTION in voice.flat, "the caption")
    voice.ask("How many shapes are there?", "There are 3 shapes.")
    voice.ask("/media", "1 shapes.png")
    voice.send(CTRL_D)
    voice.wait("mmcli voice -c")
    assert voice.end() == 0
    turns = mmcli("history", "show", "--json").json["turns"]
    assert (turns[0]["heard_by"], turns[-1]["heard_by"]) == ("starter", None)


def test_what_is_half_typed_stays_while_somebody_speaks(start: Start, play: Play) -> None:
    voice = start("shapes.png")
    voice.wait("speak, or type")
    voice.send("How many shapes")
    voice.wait("> How many shapes")
    play(WHAT).wait()
    voice.wait(lambda: "I see" in voice.flat and voice.line.rstrip() == "> How many shapes", told="the line again")
    voice.send(" are there?\r")
    voice.wait("There are 3 shapes.")


def test_a_line_typed_while_it_listens_attaches(start: Start, play: Play) -> None:
    voice = start()
    voice.wait("speak, or type")
    voice.ask("/attach shapes.png", "staged as 1: shapes.png")
    said_until(voice, play, WHAT, lambda: CAPTION in voice.flat, "the caption")


def test_speaking_interrupts_and_goes_on(start: Start, play: Play, parrot: Random) -> None:
    voice = start(*parrot.options, "--no-loop-guard", "--max-tokens", "1800")
    voice.wait("speak, or type")
    voice.send("Hello!\r")
    voice.wait(f"{PARROT} {PARROT}")
    play(f"{WHAT}.").wait()
    voice.wait("note: interrupted; the answer is not complete")
    voice.wait(lambda: voice.text.count("\n> ") == 2, told="the spoken turn")
    voice.wait(lambda: voice.text.rpartition("\n> ")[2].count(PARROT) > 1, told="its answer")
    voice.send(CTRL_C)
    voice.prompt()
    voice.send(CTRL_D)
    assert voice.end() == 0


def test_space_begins_and_ends_a_turn(start: Start, play: Play) -> None:
    voice = start("shapes.png", "--talk", "toggle")
    voice.wait("between two presses of Space; or type")
    voice.wait(lambda: status(voice).startswith("Space to talk"))
    for _ in range(TRIES):
        voice.send(" ")
        voice.wait(lambda: status(voice).startswith("listening"))
        play(WHAT).wait()
        voice.wait(lambda: status(voice).startswith("hearing you"))
        turns = voice.text.count("\n> ")
        voice.send(" ")
        voice.wait(lambda turns=turns: voice.text.count("\n> ") > turns and status(voice).startswith("Space to talk"))  # type: ignore[misc]
        if CAPTION in voice.flat:
            break
    assert CAPTION in voice.flat
    voice.ask("/help", "Space when nothing is typed: starts and ends your turn")
    voice.send("a b")  # not at the beginning of a line: a space like any other
    voice.wait("> a b")


def test_hold_needs_a_terminal_that_tells_key_up(start: Start) -> None:
    voice = start("--talk", "hold", columns=120)
    voice.wait("--talk hold needs a terminal that reports when a key is released")
    voice.wait("hint: --talk toggle")
    assert voice.end() == 2


def test_hold_listens_while_the_key_is_down(start: Start, play: Play) -> None:
    voice = start("shapes.png", "--talk", "hold")
    # Every terminal answers what it is; kitty tells its flags before, where it was asked for both.
    voice.screen.write_process_input = lambda data: voice.send("\x1b[?0u" + data if data.endswith("c") else data)
    voice.wait(lambda: status(voice).startswith("Space to talk"))
    assert b"\x1b[>27u" in voice.raw
    for _ in range(TRIES):
        voice.send(KEY_DOWN + "\x1b[32;1:2;32u")  # and a repeat
        voice.wait(lambda: status(voice).startswith("listening"))
        play(WHAT).wait()
        voice.wait(lambda: status(voice).startswith("hearing you"))
        turns = voice.text.count("\n> ")
        voice.send(KEY_UP)
        voice.wait(lambda turns=turns: voice.text.count("\n> ") > turns and status(voice).startswith("Space to talk"))  # type: ignore[misc]
        if CAPTION in voice.flat:
            break
    assert CAPTION in voice.flat
    keys = "".join(f"\x1b[{ord(char)};;{ord(char)}u\x1b[{ord(char)};1:3u" for char in "/media") + "\x1b[13u\x1b[13;1:3u"
    voice.send(keys)
    voice.wait("1 shapes.png")
    voice.send("\x1b[100;5u")  # Ctrl-D
    assert voice.end() == 0
    assert voice.raw.count(b"\x1b[>27u") == voice.raw.count(b"\x1b[<u"), "the terminal was left as it was not before"


def test_a_microphone_that_goes_away_in_mid_sentence(
    start: Start, play: Play, microphone: VirtualMicrophone, mmcli: Run
) -> None:
    voice = start("shapes.png")
    voice.wait("speak, or type")
    voice.ask("What is in this picture?", CAPTION)
    player = play(f"{HOW_MANY}, and {HOW_MANY}, and {HOW_MANY}, and {HOW_MANY}")
    voice.wait(lambda: status(voice).startswith("hearing you"))
    microphone.unplug()
    voice.wait("went away")
    assert voice.end() == 9
    player.wait()
    said = mmcli("history", "show", "--json").json
    assert f"mmcli voice -c {said['id']}" in voice.flat
    assert [turn["answer"] for turn in said["turns"]] == [CAPTION]
    again = mmcli("chat", "-c", stdin=b"How many shapes are there?\n")
    assert again.stdout == "There are 3 shapes.\n"
    assert json.loads(mmcli("history", "--json").stdout)[0]["kind"] == "voice"


def test_listening_and_speaking_are_switched_by_commands(start: Start, play: Play) -> None:
    voice = start("shapes.png", "--speak", "--voice-model", "system")
    voice.wait("speak, or type")
    voice.ask("/mute", "not listening; /listen resumes")
    voice.wait(lambda: status(voice).startswith("not listening"), told="the state")
    play(WHAT).wait()
    assert "> What" not in voice.text
    voice.ask("/listen", "listening to ")
    voice.wait(lambda: status(voice).startswith("listening "), told="the state")
    said_until(voice, play, WHAT, lambda: CAPTION in voice.flat, "the caption")
    voice.ask("/speak off", "answers are only written")
    voice.ask("/speak on", "answers are read aloud")
    voice.ask("/speak perhaps", "`perhaps` is neither on nor off")
    voice.ask("/help mute", "stop listening")


def test_without_a_voice_nothing_is_said(start: Start) -> None:
    voice = start()
    voice.wait("speak, or type")
    voice.ask("/speak on", "no voice was loaded for this conversation")
