"""Prompts that are saved and used by name, and answers of which only the last code block is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmcli import prompts
from tests import scripted
from tests.conftest import Run

ANSWER = "First:\n~~~python\nnew = 2\n\tif new: pass\n~~~\nWorse:\n```\nold = 1\n```\nDone."


@pytest.fixture
def coder(tmp_path: Path) -> Path:
    """A model that answers with two code blocks."""
    return scripted.write(tmp_path / "coder", [ANSWER])


# -x


def test_only_the_first_code_block_is_printed(mmcli: Run, coder: Path) -> None:
    done = mmcli("ask", "Write code", "-x", "-m", coder, "--temperature", "0")
    assert done.stdout == "new = 2\n\tif new: pass\n"
    assert done.status == 0
    assert ANSWER in mmcli("ask", "Write code", "-m", coder, "--temperature", "0").stdout  # the whole without -x


def test_json_has_the_answer_and_the_code(mmcli: Run, coder: Path) -> None:
    answer = mmcli("ask", "Write code", "--extract-code", "--json", "-m", coder, "--temperature", "0").json
    assert answer["code"] == "new = 2\n\tif new: pass\n"
    assert answer["answer"] == ANSWER


def test_an_answer_without_code_fails_and_prints_nothing(mmcli: Run) -> None:
    done = mmcli("ask", "Hello!", "-x", "-m", "starter")
    assert done.status == 8
    assert done.stdout == ""
    assert "no code block" in done.stderr


# saved, used


def test_a_prompt_is_saved_and_used_by_name(ask: Run, mmcli: Run, two: Path) -> None:
    saved = mmcli("ask", "What color is the $shape?", "-p", "shape", "circle", "-m", "starter", "--save", "color")
    assert saved.status == 0, saved.stderr
    assert saved.stdout == ""
    assert "red" in mmcli("ask", "two.png", "-t", "color").words
    assert "blue" in mmcli("ask", "-t", "color", "-p", "shape", "square", "two.png").words
    assert "blue" in mmcli("ask", "-t", "color", "-p", "shape=square", "two.png").words


def test_the_input_is_the_question_or_what_is_piped_in(ask: Run, mmcli: Run) -> None:
    mmcli("ask", "Say $input again, it costs 5$$ or $5", "-s", "You know $input.", "--save", "again")
    for done in (ask("-t", "again", "tree", "--debug"), ask("-t", "again", "--debug", stdin=b"tree\n")):
        assert "Say tree again, it costs 5$ or $5" in done.prompt
        assert "You know tree." in done.prompt


def test_words_without_a_place_come_after_the_prompt(ask: Run, mmcli: Run, two: Path) -> None:
    mmcli("ask", "Describe the picture.", "--save", "plain")
    assert "Describe the picture.\n\nBe brief." in ask("two.png", "Be brief.", "-t", "plain", "--debug").prompt
    mmcli("ask", "--system", "Be a poet.", "--save", "poet")
    prompt = ask("two.png", "What is this?", "-t", "poet", "--debug").prompt
    assert "Be a poet." in prompt
    assert "What is this?" in prompt


def test_a_piped_text_that_no_prompt_asks_for_is_a_text(ask: Run, mmcli: Run) -> None:
    mmcli("ask", "Hello!", "--save", "hello")
    answer = ask("-t", "hello", "--json", stdin=b"some words").json
    assert [receipt["kind"] for receipt in answer["receipts"]] == ["text"]


def test_what_is_typed_counts_more_than_what_is_saved(mmcli: Run, coder: Path) -> None:
    mmcli("ask", "Write code", "-m", coder, "-x", "--temperature", "0", "--max-tokens", "9", "--save", "code")
    assert prompts.parse("code", mmcli("prompts", "show", "code").stdout) == prompts.SavedPrompt(
        "code", "Write code", model=str(coder), temperature=0.0, max_tokens=9, extract=True
    )
    assert mmcli("ask", "-t", "code").stdout == "new = 2\n\tif new: pass\n"
    assert mmcli("ask", "-t", "code", "-m", "starter").status == 8  # another model, which writes no code


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("-t", "color", "two.png"), 2, "needs a value for $shape"),
        (("-t", "colour", "two.png"), 3, "did you mean `color`"),
        (("-t", "color", "-p", "shap", "star"), 2, "needs a value for $shape"),
        (("-t", "color", "-p", "shape", "star", "-p", "x", "y"), 2, "no variable `x`"),
        (("-t", "again"), 2, "needs a text"),
        (("-p", "shape", "star", "What?"), 2, "-t NAME"),
        (("-t", "../color", "What?"), 2, "cannot be a prompt's name"),
        (("-t", "color", "--save", "other"), 2, "one of them"),
        (("two.png", "What?", "--save", "other"), 2, "without files"),
        (("What?", "--save", "a/b"), 2, "cannot be a prompt's name"),
        (("What?", "-p", "shape", "x", "--save", "other"), 2, "no variable `$shape`"),
        (("--save", "other"), 2, "nothing to save"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_loaded(
    mmcli: Run, two: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    mmcli("ask", "What color is the $shape?", "--save", "color")
    mmcli("ask", "Again: $input", "--save", "again")
    done = mmcli("ask", *arguments, "-m", "nothing.gguf") if "--save" not in arguments else mmcli("ask", *arguments)
    assert done.status == status, done.stderr
    assert said in done.stderr


def test_a_prompt_is_not_replaced_without_a_yes(mmcli: Run) -> None:
    mmcli("ask", "One?", "--save", "it")
    assert mmcli("ask", "Two?", "--save", "it").status == 2
    assert "One?" in mmcli("prompts", "show", "it").stdout
    assert mmcli("ask", "Two?", "--save", "it", "--yes").status == 0
    assert "Two?" in mmcli("prompts", "show", "it").stdout


# mmcli prompts


def test_prompts_are_listed_shown_and_removed(mmcli: Run, environment: dict[str, str]) -> None:
    assert "no prompts are saved yet" in mmcli("prompts").stderr
    mmcli("ask", "One\nand two: $input", "--save", "long")
    mmcli("ask", "--system", "Be brief.", "--save", "brief")
    assert mmcli("prompts").stdout == "brief\t(system: Be brief.)\nlong\tOne and two: $input\n"
    assert [row["name"] for row in json.loads(mmcli("prompts", "--json").stdout)] == ["brief", "long"]
    assert mmcli("prompts", "show", "long").stdout == 'prompt = """One\nand two: $input"""\n'
    assert mmcli("prompts", "rm", "long").status == 2  # it asks first
    assert mmcli("prompts", "rm", "long", "nothing", "--yes").status == 3
    assert mmcli("prompts", "rm", "long", "--yes").status == 0
    assert [path.name for path in Path(mmcli("prompts", "path").stdout.strip()).iterdir()] == ["brief.toml"]


def test_a_prompt_is_edited_and_checked(mmcli: Run, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "%s\\n" "$LINE" > "$1"\n')
    editor.chmod(0o755)
    edit = {"EDITOR": str(editor), "VISUAL": ""}
    assert mmcli("prompts", "edit", "new", env=edit | {"LINE": "prompt = 'Hello!'"}).status == 0
    assert mmcli("ask", "-t", "new", "-m", "starter").status == 0
    done = mmcli("prompts", "edit", "new", env=edit | {"LINE": "promt = 1"})
    assert done.status == 2
    assert "sets the unknown key `promt`" in done.stderr
    assert "not valid" in mmcli("prompts").stdout
    assert mmcli("prompts", "edit", "other", env={"EDITOR": "true", "VISUAL": ""}).status == 0  # nothing was written
    assert "other" not in mmcli("prompts").stdout


@pytest.mark.parametrize(
    "text", ['a\\b"c', "tab\tand\x1bescape", "two\nlines\\\n'''and\"\"\"", "ends\n", " \n", "ü 日本"]
)
def test_every_text_is_read_as_it_was_written(text: str) -> None:
    prompt = prompts.SavedPrompt("name", text + "!", system=text + "?", variables={"x": text})
    assert prompts.parse("name", prompts.written(prompt)) == prompt
