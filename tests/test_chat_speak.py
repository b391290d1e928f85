"""`mmcli chat --speak`: in a pipe and in a real pseudo-terminal, at a loudspeaker whose sound is recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("pseudo-terminals need a Unix", allow_module_level=True)

from tests.conftest import PICTURES, Run  # noqa: E402
from tests.loudness import heard_in, seconds_of_sound  # noqa: E402
from tests.speaking import needs_espeak  # noqa: E402
from tests.terminals import Terminal  # noqa: E402
from tests.virtual_microphone import VirtualMicrophone, needs_microphone  # noqa: E402

# A child is forked while other tests' libraries have threads running; it executes Python anew at once.
pytestmark = [
    needs_espeak,
    needs_microphone,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

SPEAKING = "speaking; Ctrl-C ends it"
CTRL_C, CTRL_D = "\x03", "\x04"
MODEL = ("-m", "starter", "--temp", "0")


def test_every_answer_of_a_pipe_is_said(mmcli: Run, loudspeaker: VirtualMicrophone, tmp_path: Path) -> None:
    lengths = []
    for questions in (b"What is in this picture?\n", b"What is in this picture?\nWhat is in this picture?\n"):
        with loudspeaker.recording(tmp_path / f"{len(questions)}.raw") as path:
            done = mmcli(*("chat", PICTURES / "shapes.png", *MODEL, "--speak"), stdin=questions, env=loudspeaker.env)
        assert done.status == 0 and done.stdout.count("circle") == questions.count(b"\n"), done.stderr
        lengths.append(seconds_of_sound(heard_in(path)))
    assert 0.5 < lengths[0] < 0.7 * lengths[1]


def test_ctrl_c_ends_what_is_said_and_not_the_chat(
    environment: dict[str, str], loudspeaker: VirtualMicrophone, tmp_path: Path
) -> None:
    words = ["chat", str(PICTURES / "shapes.png"), *MODEL, "--speak"]
    chat = Terminal(words, environment | loudspeaker.env, tmp_path, columns=100)
    try:
        chat.prompt()
        chat.send("What is in this picture?\r")
        chat.wait(SPEAKING)
        assert "circle" in chat.text
        chat.send(CTRL_C)
        chat.prompt()
        assert SPEAKING not in chat.text
        chat.send("How many shapes are there?\r")  # the next one is said again
        chat.wait("3 shapes")
        chat.wait(SPEAKING)
        chat.prompt()
        assert "error" not in chat.text and "ALSA" not in chat.text
        chat.send(CTRL_D)
        chat.child.expect(pexpect.EOF)
    finally:
        chat.child.close(force=True)
    assert chat.child.exitstatus == 0


def test_a_wish_that_cannot_be_is_told_before_the_chat_begins(mmcli: Run, loudspeaker: VirtualMicrophone) -> None:
    for arguments, status in (
        (("--speak", "--output-device", "nowhere"), 9),
        (("--speak", "--voice", "nobody"), 2),
        (("--voice", "de"), 2),
    ):
        done = mmcli("chat", *MODEL, *arguments, stdin=b"Hello\n", env=loudspeaker.env)
        assert (done.status, done.stdout) == (status, ""), done.stderr
