"""`/paste`, `/screen` and `/copy` with a real X server and the real tools: out of a desktop, into a talk, and back."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("pseudo-terminals need a Unix", allow_module_level=True)

from tests.conftest import TIMEOUT  # noqa: E402
from tests.terminals import Terminal  # noqa: E402


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}: see .ci/run")


pytestmark = [pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"), needs("Xvfb")]
Start = Callable[..., Terminal]
WHAT, TWO = "What is in this picture?", "I see a red circle and a blue square."


@pytest.fixture
def display() -> Iterator[str]:
    """A screen of 320×240 that nobody looks at."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "320x240x24", "-noreset", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.kill()
    server.wait()


@pytest.fixture
def chat(display: str, tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start a chat on that desktop."""
    desktop = {"DISPLAY": display, "WAYLAND_DISPLAY": "", "WSL_DISTRO_NAME": ""}
    started: list[Terminal] = []

    def run(**env: str) -> Terminal:
        words = ["chat", "-m", "starter", "--temp", "0", "--no-history"]
        started.append(Terminal(words, environment | desktop | env, tmp_path))
        return started[-1]

    yield run
    for terminal in started:
        terminal.child.close(force=True)


def on(display: str, *command: str) -> None:
    """Run a program there; one that stays behind, as xclip does while it owns the clipboard, keeps no pipe of ours."""
    nothing, env = subprocess.DEVNULL, os.environ | {"DISPLAY": display}
    subprocess.run(command, env=env, stdin=nothing, stdout=nothing, stderr=nothing, timeout=TIMEOUT, check=True)


def told_on(display: str, *command: str) -> str:
    env = os.environ | {"DISPLAY": display}
    return subprocess.run(command, env=env, capture_output=True, timeout=TIMEOUT, check=True).stdout.decode()


@needs("xclip")
def test_a_picture_goes_through_the_clipboard_and_an_answer_goes_back(display: str, chat: Start, two: Path) -> None:
    talk = chat()
    talk.ask("/paste", "`xclip` found no picture in the clipboard")
    on(display, "xclip", "-selection", "clipboard", "-target", "image/png", "-in", str(two))
    talk.ask("/paste", "staged as 1: clip:, PNG 320×240")
    talk.ask(WHAT, TWO)
    talk.ask("/copy", "copied the last answer, by xclip")
    assert told_on(display, "xclip", "-selection", "clipboard", "-out") == TWO


@needs("xsetroot")
@pytest.mark.parametrize("tool", [pytest.param(tool, marks=needs(tool)) for tool in ("scrot", "import")])
def test_the_screen_is_seen(display: str, chat: Start, tmp_path: Path, tool: str) -> None:
    on(display, "xsetroot", "-solid", "#ff0000")
    path = tmp_path / "bin"
    path.mkdir()
    (path / tool).symlink_to(str(shutil.which(tool)))
    talk = chat(PATH=str(path))  # the other one is not there
    talk.ask("/screen", "staged as 1: screen:, PNG 320×240")
    talk.ask("/save talk.json", "saved")
    (kept,) = json.loads((tmp_path / "talk.json").read_text())["staged"]
    with Image.open(io.BytesIO(base64.b64decode(kept["data"]))) as picture:
        assert picture.convert("RGB").getcolors() == [(320 * 240, (255, 0, 0))]
