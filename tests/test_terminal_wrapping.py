"""Sentences on a terminal: lines that end between words, and what is to be copied in one piece."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from mmcli.terminal import wrapping
from tests.conftest import Run
from tests.terminals import Terminal

WIDTHS = (60, 80, 120)
SENTENCE = (
    "error: the picture `my holiday photo.jpg` holds 120 megapixels, which is more than the 100 that are allowed, and "
    "コンピューター 図像 it was not shown to the model; `mmcli ask --max-megapixels 200` reads it all the same."
)
PATH = "/somewhere/" + "folder/" * 30 + "model.gguf"


@pytest.mark.parametrize("width", [40, *WIDTHS, 400])
def test_lines_end_between_words_and_what_follows_is_indented(width: int) -> None:
    lines = wrapping.lines(SENTENCE, width, 7)
    assert max(map(cell_len, lines)) <= width
    assert " ".join(line.strip() for line in lines).replace(" \\ ", " ") == SENTENCE
    assert all(line.startswith(" " * min(7, width // 3)) and line[min(7, width // 3)] != " " for line in lines[1:])
    assert (len(lines) == 1) == (width == 400)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_name_in_backticks_is_on_one_line(width: int) -> None:
    assert any("`my holiday photo.jpg`" in line for line in wrapping.lines(SENTENCE, width, 7))


@pytest.mark.parametrize("text", [f"hint: see `{PATH}`, please", f"hint: see {PATH} please", f"hint: `/a b/{PATH}`"])
def test_a_path_wider_than_the_terminal_is_whole(text: str) -> None:
    assert any(PATH in line for line in wrapping.lines(text, 80, 6))


def test_nothing_is_gained_by_a_new_line_behind_the_label_alone() -> None:
    assert wrapping.lines(f"hint: {PATH}", 80, 6) == [f"hint: {PATH}"]


def test_a_command_too_wide_for_a_line_works_when_it_is_copied() -> None:
    command = 'mmcli ask docs/pictures/shapes.png "What is in this picture?" --max-tokens 200 -m starter'
    lines = wrapping.lines(f"hint: `{command}`", 60, 6)
    assert len(lines) > 1 and max(map(len, lines)) <= 60
    assert all(line.endswith(" \\") for line in lines[:-1])
    copied = "\n".join(lines).split("`")[1].replace("\\\n", " ")
    assert copied.split() == command.split()


def test_no_words_are_one_empty_line() -> None:
    assert wrapping.lines("", 80) == [""] and wrapping.lines("   ", 80) == [""]


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_long_hint_on_a_screen(environment: dict[str, str], tmp_path: Path, mmcli: Run, columns: int) -> None:
    arguments = ["ask", "What is this?", "--detail", "best", "-m", "starter"]
    piped = mmcli("config", "set", "sead", "3")
    shown = Terminal(["config", "set", "zzz", "3"], environment, tmp_path, columns=columns)
    assert shown.end() == 2
    assert piped.status == 2 and len(piped.stderr.splitlines()) == 2
    on_screen(shown, mmcli("config", "set", "zzz", "3").stderr, columns)
    shown = Terminal(arguments, environment, tmp_path, columns=columns)
    assert shown.end() == 2
    on_screen(shown, mmcli(*arguments).stderr, columns)


def on_screen(shown: Terminal, piped: str, columns: int) -> None:
    """The same words, in lines that end between them."""
    told = {word for word in shown.text.split() if word != "\\"}
    assert told <= set(piped.split()), "a word was broken"
    assert max(map(len, shown.text.splitlines())) <= columns
    for line in shown.text.splitlines():
        assert line.startswith(("error: ", "hint: ", "      ")), line


@pytest.mark.parametrize("columns", WIDTHS)
def test_receipts_and_captions_and_the_doctor_break_between_words(
    environment: dict[str, str], tmp_path: Path, mmcli: Run, two: Path, columns: int
) -> None:
    for arguments in (
        ["ask", "two.png", "What is this?", "-m", "starter", "--temp", "0", "-v"],
        ["caption", "two.png", "-m", "starter"],
        ["doctor", "--help"],
        ["doctor"],
    ):
        shown = Terminal(arguments, environment, tmp_path, columns=columns, rows=60)
        shown.end()
        done = mmcli(*arguments)
        piped = set((done.stdout + done.stderr).split())
        paths = [word for word in piped if len(word) > columns // 2]  # too wide: left to the terminal
        strange = [word for word in shown.text.split() if word not in piped and not any(map(str.isdigit, word))]
        assert not [word for word in strange if not any(word in path for path in paths)], "a word was broken"
