"""What people type by habit: files and questions in either order, piped questions, names as browsers show them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.terminals import Terminal

WHAT = "What is in this picture?"
TWO = {"red", "circle", "blue", "square"}
HUB = "ggml-org/SmolVLM-256M-Instruct-GGUF"


def hint(text: str) -> str:
    found = re.search(r"^hint: (.*)$", text, re.MULTILINE)
    assert found, text
    return found[1]


# question and files in either order


def test_a_question_may_come_before_its_picture(ask: Run, two: Path) -> None:
    assert TWO <= ask(WHAT, "two.png").words


def test_a_question_may_stand_between_its_pictures(ask: Run, one: Path, two: Path) -> None:
    answer = ask("two.png", WHAT, "one.png", "--json").json
    assert [receipt["source"] for receipt in answer["receipts"]] == ["two.png", "one.png"]


@pytest.mark.parametrize("last", [".", "photos", "photos/*.png", "-"])
def test_a_folder_a_pattern_and_stdin_may_follow_the_question(ask: Run, two: Path, tmp_path: Path, last: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "two.png").write_bytes(two.read_bytes())
    assert TWO <= ask(WHAT, last, stdin=two.read_bytes() if last == "-" else None).words


def test_the_last_word_stays_the_question_where_it_can_be_one(ask: Run, two: Path, tmp_path: Path) -> None:
    (tmp_path / "Describe").mkdir()  # a folder, but nothing else could be the question
    assert "Describe" in ask("two.png", "Describe", "--debug").prompt


def test_a_word_that_may_be_anything_gets_the_command_in_the_right_order(ask: Run, two: Path) -> None:
    done = ask("Describe", "two.png", "--seed", "3")
    assert done.status == 2
    assert hint(done.stderr) == "to ask `Describe`: mmcli ask -m starter --temperature 0 two.png Describe --seed 3"


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("two.png", "What", "is", "it?"), 'two.png "What is it?"'),
        (("What", "is", "it?", "two.png"), 'two.png "What is it?"'),
        (("Compare", "two.png", "with", "one.png"), 'two.png one.png "Compare two.png with one.png"'),
        (("How", "many?"), '"How many?"'),
        (("two.png", "It's", "what?"), 'two.png "It\'s what?"'),
        (("two.png", "Cost", "in", "$?"), "two.png 'Cost in $?'"),
    ],
)
def test_missing_quotation_marks_are_told_with_the_whole_command(
    ask: Run, one: Path, two: Path, words: tuple[str, ...], right: str
) -> None:
    done = ask(*words)
    assert done.status == 2
    assert "quotation marks" in done.stderr
    assert hint(done.stderr) == f"mmcli ask -m starter --temperature 0 {right}"


def test_the_hint_works_when_it_is_copied(ask: Run, mmcli: Run, two: Path) -> None:
    command = shlex.split(hint(ask("two.png", "What", "is", "in", "this", "picture?").stderr))
    assert TWO <= mmcli(*command[1:]).words


def test_two_questions_are_told(ask: Run, two: Path) -> None:
    done = ask(WHAT, "two.png", "How many shapes are there?")
    assert done.status == 2
    assert "two questions" in done.stderr
    assert f'two.png "{WHAT} How many shapes are there?"' in hint(done.stderr)


def test_a_misspelt_file_is_still_told_as_one(ask: Run, two: Path) -> None:
    for words in (("two.pgn", WHAT), ("twoo.png", "What?"), ("fotos/a", "What?")):
        done = ask(*words)
        assert done.status == 3, words
        assert "no file named" in done.stderr


# what is piped in


def test_a_piped_text_is_the_question_where_there_is_no_other(ask: Run, two: Path) -> None:
    done = ask("two.png", stdin=b"How many shapes are there?\n")
    assert "2" in done.words
    assert ask("two.png", "-", stdin=b"How many shapes are there?\n").stdout == done.stdout


def test_a_piped_question_needs_no_file(ask: Run) -> None:
    assert ask(stdin=b"Hello!\n").status == 0


def test_a_piped_picture_is_no_question(ask: Run, two: Path) -> None:
    done = ask(stdin=two.read_bytes())
    assert done.status == 2
    assert hint(done.stderr) == 'mmcli ask -m starter --temperature 0 "What is this?"'


def test_a_piped_text_beside_a_question_is_a_text(ask: Run, two: Path) -> None:
    answer = ask("two.png", WHAT, "--json", stdin=b"some words\n").json
    assert [receipt["kind"] for receipt in answer["receipts"]] == ["image", "text"]


def test_no_question_at_all_shows_my_command_with_one(ask: Run, two: Path) -> None:
    done = ask("two.png", stdin=b" \n")
    assert done.status == 2
    assert hint(done.stderr) == 'mmcli ask -m starter --temperature 0 two.png "What is this?"'


# chat


def test_a_chat_asks_the_question_of_its_command_line_first(mmcli: Run, two: Path) -> None:
    done = mmcli("chat", "-m", "starter", "two.png", "What color is the circle?", stdin=b"How many shapes are there?\n")
    first, second = done.stdout.strip().splitlines()
    assert "red" in first
    assert "2" in second


def test_a_chat_shows_that_question_as_if_it_had_been_typed(environment: dict[str, str], two: Path) -> None:
    question = "What color is the circle?"
    terminal = Terminal(["chat", "-m", "starter", "two.png", question], environment, two.parent)
    terminal.wait(f"> {question}")
    terminal.wait("red")
    terminal.prompt()
    terminal.send("\x1b[A")  # it is among the lines typed before
    terminal.wait(lambda: terminal.line.rstrip() == f"> {question}")
    terminal.send("\x03\x04")
    assert terminal.end() == 0


def test_a_chat_tells_of_missing_quotation_marks_too(mmcli: Run, two: Path) -> None:
    done = mmcli("chat", "-m", "starter", "two.png", "What", "is", "it?")
    assert done.status == 2
    assert hint(done.stderr) == 'mmcli chat -m starter two.png "What is it?"'


# names as other programs show them


def test_an_address_without_its_scheme_is_told_with_it(ask: Run) -> None:
    for word, address in (
        ("www.example.com/a.jpg", "https://www.example.com/a.jpg"),
        ("localhost:8000/a", "http://localhost:8000/a"),
    ):
        done = ask(word, WHAT)
        assert done.status == 3
        assert address in hint(done.stderr)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"https://huggingface.co/{HUB}", HUB),
        (f"https://huggingface.co/{HUB}/tree/main", HUB),
        (f"huggingface.co/{HUB}/", HUB),
        (f"hf.co/{HUB}:Q8_0", f"{HUB}:Q8_0"),
        (f"https://huggingface.co/{HUB}/blob/main/SmolVLM-256M-Instruct-Q8_0.gguf", f"{HUB}:Q8_0"),
        (f"https://huggingface.co/{HUB}/resolve/main/SmolVLM-256M-Instruct-f16.gguf?download=true", f"{HUB}:f16"),
        (f"https://huggingface.co/{HUB}?show_file_info=SmolVLM-256M-Instruct-Q8_0.gguf", f"{HUB}:Q8_0"),
        (f"https://huggingface.co/{HUB}/blob/main/mmproj-SmolVLM-256M-Instruct-f16.gguf", HUB),
    ],
)
def test_an_address_of_the_hub_names_its_model(mmcli: Run, two: Path, address: str, name: str) -> None:
    done = mmcli("ask", "two.png", WHAT, "-m", address, "--offline")
    assert done.status == 4
    assert f"`{name.lower()}` is not on this machine yet" in done.stderr.lower()
    assert mmcli("show", address, "--offline").stdout.split()[1].lower() == name.lower()


def test_another_revision_of_a_model_is_refused(mmcli: Run, two: Path) -> None:
    done = mmcli("ask", "two.png", WHAT, "-m", f"https://huggingface.co/{HUB}/tree/v2", "--offline")
    assert done.status == 4
    assert "revision `v2`" in done.stderr


def test_a_language_is_told_where_it_goes(mmcli: Run, two: Path) -> None:
    assert "--answer-language" in hint(mmcli("caption", "two.png", "-l", "German", "-m", "starter").stderr)
    assert '--system "Answer in German."' in hint(mmcli("ask", "two.png", WHAT, "-l", "German").stderr)


def test_an_id_that_is_not_there_is_told_with_the_one_that_is(ask: Run, two: Path) -> None:
    assert "leave out the ID" in hint(ask("-c=2k3m4p", "And now?").stderr)
    known = ask("two.png", WHAT, "--json").json["talk"]
    other = known[:-1] + ("2" if known[-1] != "2" else "3")
    assert f"did you mean `{known}`" in hint(ask(f"-c={other}", "And now?").stderr)
    assert f"`{known}`" in hint(ask("-c=999999", "And now?").stderr)
