"""`mmcli chat` with its messages from a pipe: a line is a message, stdout has the answers and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmcli.chat import slash_commands
from tests.conftest import Completed, Random, Run

WHAT = "What is in this picture?"
TWO = "I see a red circle and a blue square."


@pytest.fixture
def chat(mmcli: Run) -> Run:
    """Run `mmcli chat ARGUMENTS -m starter` with these lines."""

    def run(*arguments: str | Path, lines: str, **how: dict[str, str]) -> Completed:
        return mmcli("chat", "-m", "starter", "--temp", "0", *arguments, stdin=lines.encode(), **how)

    return run


def test_each_line_is_a_message_and_stdout_has_the_answers(chat: Run, two: Path) -> None:
    done = chat("two.png", lines=f"{WHAT}\n\nHow many shapes are there?\n")
    assert (done.status, done.stdout, done.stderr) == (0, f"{TWO}\nThere are 2 shapes.\n", "")


def test_commands_work_too_and_speak_on_stderr(chat: Run, two: Path) -> None:
    lines = f'/attach two.png\n/media\n"""\n{WHAT}\n"""\n/undo\n/edit x\n/quit\nnever asked\n'
    done = chat(lines=lines.replace("/edit x\n", ""))
    assert (done.status, done.stdout) == (0, TWO + "\n")
    assert done.stderr.splitlines() == [
        "1\ttwo.png, PNG 320×240, staged",
        f"note: taken back: {WHAT}; its files are staged again",
    ]


@pytest.mark.parametrize(
    ("lines", "status", "told"),
    [
        ("/attach none.png\nWhat is this?\n", 3, "no file named `none.png`"),
        ("What is @none.png?\n", 3, "no file named `none.png`"),
        ("/atach two.png\nWhat is this?\n", 2, "did you mean /attach?"),
        ("/model qwen3-vl-2b\nWhat is this?\n", 4, "is not on this machine yet"),
    ],
)
def test_an_error_ends_it_before_a_wrong_answer(chat: Run, two: Path, lines: str, status: int, told: str) -> None:
    done = chat(lines=lines)
    assert (done.status, done.stdout) == (status, "")
    assert told in done.stderr


def test_every_answer_of_a_talk_has_the_shape_until_it_is_taken_back(chat: Run, two: Path) -> None:
    shape = "shape circle|square|star, n int 1..9"
    lines = f"{WHAT}\nAnd now?\n/schema\n/schema -\n/undo\n/undo\n{WHAT}\n/schema n int 1..9\nHow many?\n"
    done = chat("two.png", "--schema", shape, lines=lines)
    assert done.status == 0, done.stderr
    first, second, third, fourth = done.stdout.splitlines()
    for line in (first, second):
        value = json.loads(line)
        assert value["shape"] in ("circle", "square", "star") and 1 <= value["n"] <= 9
    assert third == TWO  # the schema is not in what was said before
    assert 1 <= json.loads(fourth)["n"] <= 9
    assert "answers are free" in done.stderr and '"enum": ["circle", "square", "star"]' in done.stderr


def test_a_shape_is_checked_before_a_chat_begins(chat: Run, two: Path) -> None:
    done = chat("two.png", "--schema", "total flaot", lines=f"{WHAT}\n")
    assert (done.status, done.stdout) == (2, "") and "did you mean `float`?" in done.stderr
    done = chat("two.png", lines=f"/schema total flaot\n{WHAT}\n")
    assert (done.status, done.stdout) == (2, "") and "did you mean `float`?" in done.stderr


def test_a_chats_answer_that_is_not_whole_is_not_shown(chat: Run, two: Path) -> None:
    done = chat("two.png", "--schema", "a, b, c", "--max-tokens", "8", lines=f"{WHAT}\n")
    assert (done.status, done.stdout) == (8, "") and "not whole" in done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [("new.png", "a conversation cannot be saved as a `.png` file"), ("two.txt", "`.txt`"), ("two.md", "exists")],
)
def test_a_talk_is_saved_as_what_it_is_and_over_nothing(
    chat: Run, two: Path, tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "two.md").write_text("mine")
    done = chat(lines=f"Hello!\n/save {name}\n")
    assert (done.status, told in done.stderr) == (2, True)
    assert (tmp_path / "two.md").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["two.md", "two.png"]


def test_a_bad_medium_on_the_command_line_is_told_first(chat: Run) -> None:
    done = chat("none.png", lines="Hello!\n")
    assert (done.status, done.stdout) == (3, "")


def test_a_question_without_room_has_status_6_and_the_numbers(mmcli: Run, tiny: Random) -> None:
    done = mmcli("chat", *tiny.options, "--ctx-size", "256", stdin=b"why " * 400)
    assert done.status == 6
    assert "tokens and an answer 32, but the context holds only 256" in done.stderr


def test_a_long_talk_goes_on_without_its_oldest_turns(mmcli: Run, tiny: Random, two: Path) -> None:
    lines = "".join(f"{i} {'why ' * 12}\n" for i in range(8)).encode()
    done = mmcli("chat", two, *tiny.options, "--ctx-size", "512", "--max-tokens", "8", "-v", stdin=lines)
    assert done.status == 0
    assert "note: the context is full" in done.stderr and "all files stay" in done.stderr
    assert done.stderr.count("two.png: PNG") == 8
    assert done.stderr.count(", encoded") == 1, "a picture was encoded twice"


def test_the_end_of_the_input_inside_quotes_still_asks(chat: Run, two: Path) -> None:
    assert chat("two.png", lines=f'"""\n{WHAT}').stdout == TWO + "\n"


def test_the_page_has_every_command_and_key() -> None:
    page = (Path(__file__).parents[1] / "docs" / "chat.md").read_text("utf-8")
    for name, command in slash_commands.TABLE.items():
        usage = f"/{name} {command.takes}".strip()
        assert f"| `{usage}` | {command.about} |" in page, usage
    for alias in slash_commands.ALIASES:
        assert f"`/{alias}`" in page, alias
    for key, about in slash_commands.KEYS:
        assert f"| {key} | {about} |" in page, key
