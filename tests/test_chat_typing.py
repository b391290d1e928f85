"""What is typed while `mmcli chat` is at work: not echoed into the answer, not lost, and the terminal is given back."""

from __future__ import annotations

import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("pseudo-terminals need a Unix", allow_module_level=True)
import termios  # noqa: E402
from typing import Any  # noqa: E402

from tests.conftest import PARROT, Random  # noqa: E402
from tests.terminals import Terminal  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

CTRL_C, CTRL_D, CTRL_Z, CTRL_BACKSLASH = "\x03", "\x04", "\x1a", "\x1c"
BASH = ("bash", "--norc", "--noediting", "-i")
ENDLESS = ("--no-loop-guard", "--max-tokens", "1800")


Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Start mmcli, or another command, in a terminal."""
    started: list[Terminal] = []

    def run(*arguments: str, **how: Any) -> Terminal:
        terminal = Terminal(list(arguments), environment | {"PS1": "$ "}, tmp_path, **how)
        started.append(terminal)
        return terminal

    yield run
    for terminal in started:
        terminal.child.close(force=True)


@pytest.fixture
def chat(start: Start, parrot: Random) -> Terminal:
    """A chat with a model that talks until it is interrupted; it has just begun to."""
    terminal = start("chat", *parrot.options, *ENDLESS)
    begin(terminal)
    return terminal


def begin(terminal: Terminal) -> None:
    terminal.prompt()
    terminal.send("Hello!\r")
    terminal.wait(f"{PARROT} {PARROT}")


def more(terminal: Terminal) -> None:
    """Wait until the answer has gone on."""
    said = terminal.flat.count(PARROT)
    terminal.wait(lambda: terminal.flat.count(PARROT) > said, told="more of the answer")


def said(terminal: Terminal) -> set[str]:
    """The words of the first answer."""
    return set(terminal.flat.split("> Hello!")[1].split("note: ")[0].split())


def is_sane(terminal: Terminal) -> bool:
    """Whether the terminal is as a new one is, and marks no pastes."""
    flags = terminal.modes[3]
    wanted = termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN
    susp = terminal.modes[6][termios.VSUSP] == CTRL_Z.encode()
    marks = terminal.raw.rfind(b"\x1b[?2004h") > terminal.raw.rfind(b"\x1b[?2004l")
    return bool(flags & wanted == wanted and terminal.modes[0] & termios.ICRNL and susp and not marks)


def test_what_is_typed_before_the_chat_is_there_stands_at_its_prompt(start: Start) -> None:
    chat = start("chat", "-m", "starter")
    chat.send("early words")
    chat.wait(lambda: chat.line.rstrip() == "> early words")
    assert chat.text.splitlines()[0].startswith("starter: sees")


def test_what_is_typed_during_an_answer_stands_at_the_next_prompt(chat: Terminal) -> None:
    chat.send("And how ")
    chat.send("are you?")
    more(chat)
    chat.send(CTRL_C)
    chat.wait(lambda: chat.line.rstrip() == "> And how are you?")
    assert said(chat) == {PARROT}
    chat.send("\x7f too?\r")  # it can be edited
    chat.wait("> And how are you too?")


def test_after_ctrl_c_nothing_is_sent_that_was_typed_before_it(chat: Terminal) -> None:
    chat.send("one\rtwo\r" + CTRL_D)
    chat.send(CTRL_C)
    chat.wait(lambda: chat.line.rstrip() == ". two")
    assert "> one" in chat.text
    assert said(chat) == {PARROT}


def test_a_question_typed_ahead_is_sent_when_its_turn_comes(start: Start, parrot: Random) -> None:
    chat = start("chat", *parrot.options, "--no-loop-guard", "--max-tokens", "60")
    begin(chat)
    chat.send("And now?\r/media\r")
    chat.wait("no files;")
    assert re.search(r"60 tokens.*> And now\?.*60 tokens.*> /media note: no files;", chat.flat), chat.text


def test_after_a_mistake_nothing_is_sent_that_was_typed_before_it_was_told(start: Start, parrot: Random) -> None:
    chat = start("chat", *parrot.options, "--no-loop-guard", "--max-tokens", "60")
    begin(chat)
    chat.send("/attach none.png\rWhat is this?\r")
    chat.wait("no file named")
    chat.wait(lambda: chat.line.rstrip() == "> What is this?")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_long_paste_during_an_answer_is_one_message_and_ctrl_c_is_heard(chat: Terminal, ending: str) -> None:
    lines = [f"line {i} of many" for i in range(600)]  # more than a terminal's driver holds
    chat.paste(ending.join(lines))
    chat.send(CTRL_C)
    chat.wait("interrupted")
    chat.wait(lambda: chat.line.rstrip() == ". line 599 of many")
    visible = [line.rstrip() for line in chat.screen.display if line.startswith(". line")]
    assert visible == [f". {line}" for line in lines[-len(visible) :]]
    assert PARROT in said(chat) and "many" not in said(chat)


# the terminal is given back


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_an_answer_leaves_the_terminal_as_it_was(chat: Terminal, number: int) -> None:
    assert not is_sane(chat)
    chat.child.kill(number)
    chat.rest()
    assert is_sane(chat)
    assert chat.end() == 128 + number


def test_a_signal_at_the_prompt_leaves_the_terminal_as_it_was(start: Start, parrot: Random) -> None:
    chat = start("chat", *parrot.options)
    chat.prompt()
    assert not is_sane(chat)
    chat.child.kill(signal.SIGTERM)
    chat.rest()
    assert is_sane(chat)
    assert chat.end() == 128 + signal.SIGTERM


def test_two_ctrl_c_leave_the_terminal_as_it_was(start: Start, two: Path, parrot: Random) -> None:
    for _ in range(10):  # where the step that runs ends before the second comes, the question is given back
        chat = start("chat", "two.png", "two.png", "two.png", *parrot.options)
        chat.prompt()
        chat.send("Hello!\r")
        chat.wait("ing the ")  # encoding the media, reading the prompt
        chat.send(CTRL_C)
        time.sleep(0.01)  # two at once would be one signal
        chat.send(CTRL_C)
        given_back = chat.rest(until="is back at the prompt")
        if not given_back:
            break
    assert is_sane(chat)
    assert chat.end() == 130


def test_a_bug_leaves_the_terminal_as_it_was(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text(
        "import sys\n"
        "from mmcli import main\n"
        "from mmcli.chat import session\n"
        "def broken(self, text): raise ZeroDivisionError\n"
        "session.Session.take = broken\n"
        "main.main()\n"
    )
    chat = start("chat", "-m", "starter", command=(sys.executable, str(script)))
    chat.prompt()
    chat.send("x\r")
    chat.wait("a bug in mmcli: ZeroDivisionError")
    chat.rest()
    assert is_sane(chat)
    assert chat.end() == 1


def test_the_end_leaves_the_terminal_as_it_was(start: Start) -> None:
    chat = start("chat", "-m", "starter")
    chat.prompt()
    chat.send(CTRL_D)
    chat.rest()
    assert is_sane(chat)
    assert chat.end() == 0


# in a shell


@pytest.fixture
def shell(start: Start) -> Terminal:
    """A shell with job control and without a line editor."""
    terminal = start(command=BASH)
    terminal.wait("$")
    return terminal


def command(*words: str) -> str:
    return shlex.join([sys.executable, "-m", "mmcli", *words]) + "\r"


def test_ctrl_z_stops_an_answer_and_fg_goes_on(shell: Terminal, parrot: Random) -> None:
    shell.send(command("chat", *parrot.options, *ENDLESS))
    begin(shell)
    shell.send("typed")
    shell.send(CTRL_Z)
    shell.wait("Stopped")
    assert is_sane(shell)
    shell.send("fg\r")
    more(shell)
    shell.send(" ahead")
    shell.send(CTRL_C)
    shell.wait(lambda: shell.line.rstrip() == "> typed ahead")
    shell.send(CTRL_C + CTRL_C)
    shell.wait(lambda: shell.line.rstrip() == "$")
    assert is_sane(shell)


def test_in_the_background_an_answer_leaves_the_shell_its_keys(shell: Terminal, parrot: Random) -> None:
    shell.send(command("chat", *parrot.options, *ENDLESS))
    begin(shell)
    shell.send(CTRL_Z)
    shell.wait("Stopped")
    shell.send("bg\r")
    more(shell)
    shell.send("expr 123 + 456\r")
    shell.wait("579")
    shell.send("fg\r")
    shell.wait(lambda: not is_sane(shell))
    shell.send("mine")
    shell.send(CTRL_C)
    shell.wait(lambda: shell.line.rstrip() == "> mine")


def test_ctrl_backslash_ends_a_chat_at_once(chat: Terminal) -> None:
    chat.send(CTRL_BACKSLASH)
    chat.rest()
    assert is_sane(chat)
    assert chat.end() == -signal.SIGQUIT


def test_keys_pressed_while_ask_answers_are_left_to_the_shell(shell: Terminal, parrot: Random) -> None:
    shell.send(command("ask", "Hello!", *parrot.options, "--no-loop-guard", "--max-tokens", "300"))
    shell.wait(f"{PARROT} {PARROT}")
    shell.send("expr 123 + 456\r")
    shell.wait("cut off after 300 tokens")
    shell.wait("579")
    assert "expr" not in shell.text
    assert is_sane(shell)
