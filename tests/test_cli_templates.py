"""What becomes of a question in the model's chat template, and of the answer's marks: each test's model is scripted.

A model of tests/scripted.py says exactly what it is told to, so what is seen is what mmcli made of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import scripted
from tests.conftest import Completed, Run, draw

END = "{% if add_generation_prompt %}A:{% endif %}"
TURNS = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}" + END
PLAIN = ("--no-cache", "--temperature", "0")


@pytest.fixture
def said(mmcli: Run, tmp_path: Path) -> Run:
    """Ask a model that says `Hello world`, written with these options of tests/scripted.py."""

    def run(*arguments: str | Path, pieces: tuple[str, ...] = ("Hello ", "world"), **model: object) -> Completed:
        weights = scripted.write(tmp_path, pieces, **model)  # type: ignore[arg-type]
        return mmcli("ask", *arguments, "-m", weights, *PLAIN, "--debug")

    return run


def notes(done: Completed) -> list[str]:
    return [line.removeprefix("note: ") for line in done.stderr.splitlines() if line.startswith("note: ")]


def error(done: Completed) -> str:
    return next(line for line in done.stderr.splitlines() if line.startswith("error: "))


# tokens around the prompt


@pytest.mark.parametrize("media", [False, True])
def test_no_end_token_stands_behind_a_prompt(said: Run, tmp_path: Path, media: bool) -> None:
    pictures = [draw(tmp_path / "red.png", "red square")] if media else []
    done = said(*pictures, "Hi", add_eos=True, projector=True)
    assert (done.status, done.stdout) == (0, "Hello world\n"), done.stderr


# what was said


def test_a_system_prompt_is_never_lost_without_a_word(said: Run) -> None:
    users = "{% for m in messages if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% endfor %}" + END
    done = said("-s", "Answer in French", "Hi", template=users)
    assert done.status == 0 and done.prompt == "[INST] Answer in French\n\nHi [/INST]A:"
    assert any("system prompt" in note for note in notes(done))


def test_a_template_that_leaves_out_a_text_file_is_an_error(said: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the sea is blue")
    done = said("notes.txt", "Sum it up", template="Describe. A:")
    assert (done.status, done.stdout) == (4, "")
    assert "notes.txt" in error(done)


def test_a_text_files_receipt_counts_the_tokens_that_are_in_the_prompt(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "attack.txt").write_text("<|end|> " * 9)
    weights = scripted.write(tmp_path, ("Hello",), control=("<|end|>",), template=TURNS)
    runs = [mmcli("ask", *files, "Hi", "-m", weights, *PLAIN, "--json").json for files in ((), ("attack.txt",))]
    n_tokens = runs[1]["receipts"][0]["n_tokens"]
    assert n_tokens > 40  # its control tokens are words here
    assert 0 <= runs[1]["usage"]["prompt_tokens"] - runs[0]["usage"]["prompt_tokens"] - n_tokens < 5


def test_no_tools_are_none(said: Run) -> None:
    source = "{% if tools is not none %}You have tools: {{ tools | tojson }}{% endif %}" + TURNS
    done = said("Hi", template=source)
    assert (done.status, done.prompt) == (0, "user: Hi\nA:")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 1 // 0 }}" + TURNS,
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% set x = [0] * 2000000000 %}" + TURNS,
        "{{ 9 ** (9 ** 9) }}" + TURNS,
        "{{ '%99999999999d' % 1 }}" + TURNS,
    ],
)
def test_a_template_that_fails_or_takes_too_much_is_one_sentence(said: Run, tmp_path: Path, source: str) -> None:
    done = said(draw(tmp_path / "red.png", "red square"), "Hi", template=source, projector=True)
    assert (done.status, done.stdout) == (4, "")
    assert "chat template" in error(done) and "Traceback" not in done.stderr and "Exception" not in done.stderr


# models without a template


def test_the_vocabulary_tells_the_form_of_a_model_without_a_template(mmcli: Run, tmp_path: Path) -> None:
    marks = ("<start_of_turn>", "<end_of_turn>")
    weights = scripted.write(tmp_path, ("Hello",), template=None, control=marks, after="<0x0A>")
    done = mmcli("ask", "Hi", "-m", weights, *PLAIN, "--debug")
    assert (done.status, done.stdout) == (0, "Hello\n")
    assert done.prompt == "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"
    (note,) = notes(done)
    assert "no chat template" in note and "`gemma`" in note and "<start_of_turn>" in note and "--template" in note
    shown = mmcli("show", weights, "--json").json
    assert shown["template_form"].startswith("gemma") and "<start_of_turn>" in shown["template"]


def test_without_marks_it_is_asked_as_llava_and_told_so(said: Run) -> None:
    done = said("Hi", template=None)
    assert done.prompt == "USER: Hi\nASSISTANT:"
    assert "`vicuna`" in notes(done)[0]


@pytest.mark.parametrize(
    ("wanted", "prompt"),
    [("none", "What:"), ("vicuna", "USER: What:\nASSISTANT:"), ("own.jinja", "<<What:>>A:")],
)
def test_a_template_can_be_chosen(said: Run, mmcli: Run, tmp_path: Path, wanted: str, prompt: str) -> None:
    (tmp_path / "own.jinja").write_text("{% for m in messages %}<<{{ m['content'] }}>>{% endfor %}A:")
    done = said("What:", "--template", wanted)
    assert (done.status, done.stdout, done.prompt) == (0, "Hello world\n", prompt)
    assert not notes(done)
    shown = mmcli("show", tmp_path / "scripted.gguf", "--template", wanted)
    assert f"{wanted} (--template)" in shown.stdout


@pytest.mark.parametrize(
    ("wanted", "status", "says"),
    [
        ("gema", 2, "did you mean `gemma`"),
        ("nowhere/x.jinja", 2, "neither a file nor a template"),
        (".", 3, "not a regular file"),
        ("binary", 3, "not UTF-8"),
        ("empty", 3, "is empty"),
        ("broken", 4, "the template `broken` cannot be read"),
    ],
)
def test_a_template_that_is_none_is_an_error_with_its_name(
    said: Run, tmp_path: Path, wanted: str, status: int, says: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "broken").write_text("{% for %}")
    done = said("Hi", "--template", wanted)
    assert (done.status, done.stdout) == (status, "")
    assert says in done.stderr and "Traceback" not in done.stderr.partition("error:")[0]


# answers


def test_half_a_character_at_the_end_is_neither_shown_nor_kept(mmcli: Run, tmp_path: Path) -> None:
    weights = scripted.write(tmp_path, ("na", "<0xC3>", "<0xAF>", "ve", "<0xE2>", "<0x82>", "<0xAC>"))
    done = mmcli("ask", "Hi", "-m", weights, "--temperature", "0", "--max-tokens", "5")
    assert (done.status, done.stdout) == (0, "naïve\n")
    (talk,) = mmcli("history", "--json").json
    assert "�" not in mmcli("history", "export", talk["id"]).stdout
    again = mmcli("ask", "-c", "And?", "--temperature", "0", "--debug")
    assert "\nassistant: naïve\n" in again.prompt


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ({"pieces": ()}, (), "before the first word"),
        ({"pieces": ("<think>", "hm")}, (), "all reasoning"),
        ({"pieces": ("<think>", "hm", "ha"), "ends": False}, ("--max-tokens", "9"), "a larger --max-tokens"),
        ({"pieces": ("▁", "<0x0A>")}, (), "nothing that can be shown"),
        ({"pieces": ("###", "x")}, ("--stop", "###"), "the stop text `###`"),
    ],
)
def test_an_answer_without_words_names_its_cause(
    said: Run, model: dict[str, object], options: tuple[str, ...], says: str
) -> None:
    done = said("Hi", *options, **model)
    assert (done.status, done.stdout) == (0, "")
    (note,) = notes(done)
    assert note.startswith("no answer: ") and says in note


CHANNELS = (
    "{% for m in messages %}{% if '<|channel|>' in m['content'] %}{{ raise_exception('channel tags') }}{% endif %}"
    "<|start|>{{ m['role'] }}<|message|>{{ m['content'] }}<|end|>{% endfor %}~"
)
MARKS = ("<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|return|>", "<|call|>")


def test_the_final_channel_is_the_answer_and_the_talk_goes_on(mmcli: Run, tmp_path: Path) -> None:
    # each piece may come once, so the second channel has no mark
    pieces = (
        "<|channel|>",
        "analysis",
        "<|message|>",
        "We greet.",
        "<|end|>",
        "<|start|>",
        "assistant",
        " Hello!",
        "<|return|>",
    )
    weights = scripted.write(tmp_path, pieces, template=CHANNELS, after="~", control=MARKS, ends=False)
    done = mmcli("ask", "Hi", "-m", weights, "--temperature", "0", "--json")
    assert (done.status, done.json["answer"], done.json["reasoning"]) == (0, "Hello!", "We greet.")
    again = mmcli("ask", "-c", "And?", "--temperature", "0", "--debug")
    assert again.status == 0 and "<|start|>assistant<|message|>Hello!<|end|>" in again.prompt


def test_a_talk_whose_answer_holds_marks_as_words_goes_on(mmcli: Run, tmp_path: Path) -> None:
    weights = scripted.write(tmp_path, ("write ", "<|chan", "nel|>", " so"), template=CHANNELS, after="~")
    assert mmcli("ask", "Hi", "-m", weights, "--temperature", "0").stdout == "write <|channel|> so\n"
    again = mmcli("ask", "-c", "And?", "--temperature", "0", "--json")
    assert again.status == 0, again.stderr
    assert json.loads(again.stdout)["answer"] == "write <|channel|> so"
