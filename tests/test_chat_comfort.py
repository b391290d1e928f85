"""What spares a person trouble in a chat: the last exchange, folders in one note, ranges, second thoughts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("pseudo-terminals need a Unix", allow_module_level=True)

from tests.conftest import Run, draw  # noqa: E402
from tests.terminals import Terminal  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

WHAT, COUNT = "What is in this picture?", "How many shapes are there?"
TWO = "I see a red circle and a blue square."
CTRL_C = "\x03"

Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    started: list[Terminal] = []

    def run(*arguments: str, columns: int = 80, rows: int = 40) -> Terminal:
        model = () if "-c" in arguments else ("-m", "starter")
        command = ["chat", *model, "--temp", "0", *arguments]
        started.append(Terminal(command, environment, tmp_path, columns=columns, rows=rows))
        return started[-1]

    yield run
    for terminal in started:
        terminal.child.close(force=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """photos/: five pictures."""
    place = tmp_path / "photos"
    place.mkdir()
    for i in range(5):
        draw(place / f"{i}.png", "red circle", size=(60 + i, 60))
    return place


def test_going_on_shows_the_last_exchange_and_talk_prints_all(start: Start, mmcli: Run, two: Path) -> None:
    mmcli("ask", "-m", "starter", "two.png", WHAT, "--temp", "0")
    mmcli("ask", "-c", COUNT, "--temp", "0")
    chat = start("-c")
    chat.prompt()
    assert f"> {COUNT} There are 2 shapes." in chat.flat and WHAT not in chat.flat
    assert b"\x1b[2m> How many" in chat.raw  # dim: it is not said now
    assert "/talk prints all of it" in chat.flat
    chat.ask("/talk", f"> {WHAT} two.png, PNG 320×240 {TWO} > {COUNT} There are 2 shapes.")
    chat.ask("/clear", "a new conversation starts")
    chat.ask("/talk", "nothing was asked yet")


def test_a_folder_is_told_in_one_note(start: Start, folder: Path, two: Path) -> None:
    chat = start("two.png")
    chat.ask("/attach photos", "staged as 2-6: 5 pictures, 0.png … 4.png")
    assert chat.flat.count("staged as") == 2
    chat.ask("/drop 2-6", "dropped 5 pictures, 0.png … 4.png")
    chat.ask("/attach photos/1.png photos/2.png", "staged as 3: 2.png")  # named one by one: told one by one


def test_media_are_dropped_by_numbers_ranges_and_all_at_once(start: Start, folder: Path) -> None:
    chat = start(columns=120)
    chat.ask("/attach photos", "staged as 1-5")
    for line, told in {
        "/drop 9": "there is no file 9: there are 5",
        "/drop 2 9": "there is no file 9: there are 5",
        "/drop 3-2": "`3-2` ends before it begins",
        "/drop two": "`two` is not a number",
        "/drop 2 x": "`x` is not a number",
        "/drop": "which one?",
    }.items():
        chat.ask(line, told)
    chat.ask("/drop 2 3", "dropped 2 pictures, 1.png … 2.png")
    chat.ask("/media", "1 0.png, PNG 60×60, staged 2 3.png")
    chat.ask("/drop 1-2", "dropped 2 pictures, 0.png … 3.png")
    chat.ask("/drop all", "dropped 4.png, PNG 64×60")
    chat.ask("/drop all", "there are no files to drop")


def test_talk_takes_no_argument(start: Start, two: Path) -> None:
    chat = start("two.png")
    chat.ask("/talk auto", "takes nothing after it, so not `auto`")


def test_ctrl_c_at_an_empty_prompt_ends_a_chat_with_staged_media_the_second_time(start: Start, two: Path) -> None:
    chat = start("two.png")
    chat.prompt()
    chat.send(CTRL_C)
    chat.wait("note: 1 picture is staged: Ctrl-C again ends the chat")
    chat.ask("/media", "two.png, PNG 320×240, staged")  # something else was done: it takes two again
    chat.send(CTRL_C)
    chat.wait(lambda: chat.flat.count("Ctrl-C again ends the chat") == 2)
    chat.prompt()
    chat.send(CTRL_C)
    assert chat.end() == 130


def test_what_does_not_fit_is_said_before_it_is_asked(start: Start, two: Path) -> None:
    chat = start("two.png", "--ctx-size", "64")
    chat.wait("the staged files do not fit the context: /drop N, or /drop all")
    chat.ask("/drop all", "dropped two.png")
    chat.wait("do not fit", gone=True)


@pytest.mark.parametrize("word", ["/quti", "/exti", "/claer", "/drpo", "/lod", "/qiut"])
def test_a_slip_never_suggests_what_costs_something(start: Start, word: str) -> None:
    chat = start()
    chat.ask(word, f"there is no command `{word}`")
    assert "did you mean" not in chat.flat and "/help lists them" in chat.flat
    chat.ask("/mdeia", "did you mean /media?")
    chat.ask("/mute", "it is a command of `mmcli voice`")
