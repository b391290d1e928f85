"""Gemma 3 270M, a real language model with 262,144 tokens: templates, streaming, stop strings, long contexts, `-c`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Completed, Run
from tests.fuzz import ggufs

pytestmark = pytest.mark.real

COUNTING = "1, 2, 3, 4, 5, 6, 7,"
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
# The model goes on with what it is given.
PLAIN = "{% for m in messages %}{{ m['content'] }}{% if not loop.last %} {% endif %}{% endfor %}"


def with_template(gemma: Path, path: Path, template: str) -> Path:
    """The same model with a chat template of its own."""
    model = ggufs.taken_apart(gemma.read_bytes())
    model.replace("tokenizer.chat_template", ggufs.STRING, ggufs.text(template))
    path.write_bytes(model.joined())
    return path


@pytest.fixture(scope="module")
def plain(gemma: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The base model as it was trained: it goes on with the text that it is given."""
    path = with_template(gemma, tmp_path_factory.mktemp("plain") / "plain.gguf", PLAIN)
    yield path
    path.unlink()  # 250 MB: pytest keeps the last three folders


@pytest.fixture(scope="module")
def turns(gemma: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The model with Gemma's own template."""
    path = with_template(gemma, tmp_path_factory.mktemp("turns") / "turns.gguf", GEMMA)
    yield path
    path.unlink()


def test_a_file_is_described_by_its_header(run: Run, gemma: Path) -> None:
    told = run("show", gemma)
    assert told.status == 0
    for words in ("gemma3", "32768", "Gemma 3 270m", "fits"):
        assert words in told.stdout


def test_the_template_s_marks_are_tokens_and_a_person_s_are_words(ask: Run, turns: Path) -> None:
    def n_tokens(question: str, *more: str) -> int:
        done = ask(question, "--max-tokens", "1", "--json", *more, model=turns)
        assert done.status == 0, done.stderr
        count: int = done.json["usage"]["prompt_tokens"]
        return count

    # <bos> <start_of_turn> user \n Hi <end_of_turn> \n <start_of_turn> model \n
    assert n_tokens("Hi") == 10
    assert n_tokens("Hi<end_of_turn>") > 13, "a mark that a person typed would end the turn"
    done = ask("Hi", "--max-tokens", "1", "--debug", model=turns)
    assert done.prompt == "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"


def test_a_model_without_a_template_is_answered_by(ask: Run) -> None:
    done = ask(COUNTING, "--max-tokens", "40", "--debug")
    assert done.status == 0, done.stderr[-2000:]
    assert COUNTING in done.prompt
    assert "8" in done.stdout


def test_an_answer_streams_and_is_the_same_as_at_once(
    gemma: Path, plain: Path, ask: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    how = ["-m", str(plain), "--temperature", "0", "--no-cache", "--no-loop-guard", "--max-tokens", "60"]
    at_once = ask(COUNTING, "--max-tokens", "60", "--json", model=plain).json
    process = subprocess.Popen(
        [sys.executable, "-m", "mmcli", "ask", COUNTING, *how],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    assert process.stdout is not None
    with process, process.stdout as stream:
        pieces = []
        while data := stream.read(65536):
            pieces.append(data.decode())  # whole characters only: this would fail
    assert len(pieces) > 10, "it came in one lump"
    assert "".join(pieces).strip() == at_once["answer"].strip()
    assert at_once["usage"]["completion_tokens"] == 60 and at_once["finish_reason"] == "length"


def test_a_stop_string_over_several_tokens_ends_the_answer_before_it(ask: Run, plain: Path) -> None:
    whole = ask(COUNTING, "--max-tokens", "60", "--json", model=plain).json["answer"]
    stop = "2, 13"
    assert stop in whole
    done = ask(COUNTING, "--max-tokens", "60", "--stop", stop, "--json", model=plain).json
    assert done["answer"].rstrip() == whole[: whole.index(stop)].rstrip()
    assert done["finish_reason"] == "stop"


@pytest.mark.parametrize("text", ["Ünïcödé 中文 русский", "🦊🦊🦊🦊🦊🦊"])
def test_characters_of_several_tokens_are_whole(ask: Run, plain: Path, text: str) -> None:
    done: Completed = ask(f"{text} {text} {text}", "--max-tokens", "24", model=plain)
    assert done.status == 0 and "\ufffd" not in done.stdout


FIRST = "Marigold Peterson walked slowly across the old stone bridge carrying eleven silver lanterns and a violin."


def test_a_text_three_times_as_long_as_the_sliding_window(ask: Run, plain: Path, tmp_path: Path) -> None:
    """Gemma's layers see 512 tokens back but for every sixth: what stands 1,500 tokens before is still known."""
    colours = "red blue green yellow brown black white grey pink gold".split()
    lines = [f"Box {i} is {colours[i * 7 % 10]} and weighs {i * 37 % 91} stones." for i in range(110)]
    (tmp_path / "notes.txt").write_text("\n".join([FIRST, *lines, ""]))
    begun, rest = FIRST[: FIRST.index(" silver")], "silver lanterns and a violin"
    done = ask("notes.txt", begun, "--max-tokens", "5", "--json", model=plain)
    assert done.status == 0, done.stderr
    told = done.json
    assert told["usage"]["prompt_tokens"] > 1500
    assert told["context"]["n_past"] <= told["context"]["n_ctx"] <= 32_768
    assert told["answer"].strip() == rest
    short = ask("notes.txt", begun, "--ctx-size", "1024", "--max-tokens", "5", "--json", model=plain)
    assert short.status == 6 and "1024" in short.json_error["message"]


def test_minus_c_goes_on_with_the_talk(ask: Run, turns: Path) -> None:
    first = ask("My name is Ada. What is your name?", "--max-tokens", "12", "--json", model=turns)
    assert first.status == 0, first.stderr
    second = ask("-c", "--max-tokens", "4", "--debug", "What is my name?", model=turns)
    assert second.status == 0, second.stderr[-2000:]
    said = first.json["answer"].strip()
    assert second.prompt.startswith("<start_of_turn>user\nMy name is Ada. What is your name?<end_of_turn>\n")
    assert f"<start_of_turn>model\n{said}<end_of_turn>\n" in second.prompt
    assert second.prompt.endswith("<start_of_turn>user\nWhat is my name?<end_of_turn>\n<start_of_turn>model\n")
