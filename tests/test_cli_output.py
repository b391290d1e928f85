"""What a person gets: the answer alone on stdout, the proof beside it, and never a command for the terminal."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import PARROT, PICTURES, Random, Run, clean_environment

WHAT = "What is in this picture?"
COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # what a terminal would obey


# --json


def test_json_holds_the_answer_and_the_proof_of_what_was_seen(ask: Run, two: Path) -> None:
    done = ask("two.png", WHAT, "--json", "--seed", "7")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    told = done.json
    assert {"red", "circle", "blue"} <= set(told["answer"].replace(".", "").split())
    assert told["finish_reason"] == "stop"
    assert told["seed"] == 7
    assert told["model"]["name"] == "starter"
    assert all(re.fullmatch("[0-9a-f]{64}", told["model"][file]) for file in ("weights", "projector"))
    assert told["context"]["n_past"] <= told["context"]["n_ctx"]
    (receipt,) = told["receipts"]
    assert receipt["source"] == "two.png"
    assert receipt["kind"] == "image"
    assert receipt["format"] == "PNG"
    assert receipt["bytes"] == two.stat().st_size
    assert re.fullmatch("[0-9a-f]{64}", receipt["sha256"])
    assert receipt["source_size"] == receipt["sent_size"] == {"width": 320, "height": 240}
    assert receipt["rotation"] == "none"
    assert receipt["n_tokens"] == receipt["n_pos"] > 0
    assert receipt["origin"] == "encoded"
    usage = told["usage"]
    assert usage["prompt_tokens"] > receipt["n_tokens"]
    assert usage["completion_tokens"] > 0
    assert usage["n_encodes"] == 1
    assert {"load", "encode", "prefill", "decode"} <= set(usage["seconds"])


def test_json_of_a_cut_answer_says_so(ask: Run, two: Path) -> None:
    told = ask("two.png", WHAT, "--json", "--max-tokens", "1").json
    assert told["finish_reason"] == "length"
    assert told["usage"]["completion_tokens"] == 1


def test_the_second_question_about_a_picture_is_answered_from_disk(mmcli: Run, parrot: Random, two: Path) -> None:
    files = ("-m", parrot.weights, "--mmproj", parrot.projector, "--temperature", "0", "--max-tokens", "3", "--json")
    first = mmcli("ask", "two.png", "Hello!", *files).json
    second = mmcli("ask", "two.png", "Anything else?", *files).json
    assert [receipt["origin"] for receipt in first["receipts"] + second["receipts"]] == ["encoded", "disk"]
    assert (first["usage"]["n_encodes"], second["usage"]["n_encodes"]) == (1, 0)
    assert first["receipts"][0]["n_tokens"] == second["receipts"][0]["n_tokens"]


# the flags that say more or less


def test_the_answer_alone_is_on_stdout(ask: Run, two: Path) -> None:
    done = ask("two.png", WHAT)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_verbose_shows_the_receipts_on_stderr(ask: Run, two: Path) -> None:
    quiet, done = ask("two.png", WHAT), ask("two.png", WHAT, "-v")
    assert done.stdout == quiet.stdout
    seen, ran = done.stderr.splitlines()
    assert re.fullmatch(r"two\.png: PNG 320×240, \d+ tokens, encoded", seen)
    assert ran.startswith("starter on ")
    assert "finished: stop" in ran


def test_a_cut_answer_is_told_on_stderr_unless_quiet(ask: Run, two: Path) -> None:
    done = ask("two.png", WHAT, "--max-tokens", "1")
    assert done.status == 0
    assert "cut off after 1 token" in done.stderr
    assert "--max-tokens" in done.stderr
    assert ask("two.png", WHAT, "--max-tokens", "1", "-q").stderr == ""


def test_debug_shows_prompt_chunks_and_llama_cpp_s_log_on_stderr(ask: Run, two: Path) -> None:
    plain, done = ask("two.png", WHAT), ask("two.png", WHAT, "--debug")
    assert done.stdout == plain.stdout
    assert done.prompt.count("<media>") == 1
    assert WHAT in done.prompt
    kinds = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("chunk: ")]
    assert kinds == ["text", "media", "text"]
    assert "llama_model_loader" in done.stderr


def test_a_system_prompt_stands_before_the_question(ask: Run, two: Path) -> None:
    prompt = ask("two.png", WHAT, "-s", "You are a pirate.", "--debug").prompt
    assert prompt.index("You are a pirate.") < prompt.index("<media>") < prompt.index(WHAT)


def test_stop_ends_the_answer_before_the_text(mmcli: Run, ask: Run, two: Path) -> None:
    done = ask("two.png", WHAT, "--stop", "circle")
    assert done.status == 0
    assert "red" in done.words
    assert "circle" not in done.stdout


def test_a_stop_string_with_spaces_can_come_by_the_variable(ask: Run, two: Path) -> None:
    whole = ask("two.png", WHAT).stdout.strip()
    first, second = whole.split()[2:4]
    by_option = ask("two.png", WHAT, "--stop", f"{first} {second}").stdout
    assert whole.startswith(by_option.strip()) and first not in by_option.split()
    for text in (f'["{first} {second}", "zzz"]', f" [ '{first} {second}' ]".replace("[ ", "[")):
        assert ask("two.png", WHAT, env={"MMCLI_STOP": text}).stdout == by_option
    assert (
        ask("two.png", WHAT, env={"MMCLI_STOP": f"zzz {second}"}).stdout.strip().endswith(first)
    )  # split at the space
    assert ask("two.png", WHAT, env={"MMCLI_STOP": "[INST] zzz"}).stdout.strip() == whole
    bad = ask("two.png", WHAT, env={"MMCLI_STOP": '["a'})
    assert (bad.status, bad.stdout, "MMCLI_STOP" in bad.stderr) == (2, "", True)


def test_the_same_seed_gives_the_same_answer(mmcli: Run, tiny: Random) -> None:
    def answer(seed: int) -> str:
        return mmcli("ask", "Hi!", *tiny.options, "--temp", "1.5", "--max-tokens", "30", "--seed", str(seed)).stdout

    assert answer(1) == answer(1) != answer(2)


# a terminal, and none


def test_a_pipe_gets_plain_text_whatever_its_width(ask: Run, two: Path) -> None:
    done = ask("two.png", WHAT, env={"COLUMNS": "20", "TERM": "xterm-256color"})
    assert done.stdout.count("\n") == 1
    assert not COMMANDS.search(done.stdout)


pexpect = pytest.importorskip("pexpect")
pyte = pytest.importorskip("pyte")
on_a_terminal = pytest.mark.skipif(not hasattr(pexpect, "spawn"), reason="pseudo-terminals need a Unix")


class Screen:
    """What a person sees of one run of mmcli on a terminal, and the raw bytes behind it."""

    def __init__(self, folder: Path, *arguments: str | Path, columns: int = 80, **env: str) -> None:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "mmcli", *map(str, arguments)],
            dimensions=(40, columns),
            cwd=str(folder),
            env=clean_environment(folder) | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | env,
            timeout=120,
        )
        child.expect(pexpect.EOF)
        child.close()
        self.status: int | None = child.exitstatus
        self.raw: bytes = child.before
        self.screen = pyte.Screen(columns, 40)
        pyte.ByteStream(self.screen).feed(self.raw)
        self.lines = [line.rstrip() for line in self.screen.display if line.strip()]


@on_a_terminal
def test_a_terminal_gets_lines_that_break_between_words(tmp_path: Path, two: Path) -> None:
    seen = Screen(tmp_path, "ask", "two.png", WHAT, "-m", "starter", "--temp", "0", columns=24)
    assert seen.status == 0
    assert len(seen.lines) > 1
    words = [word.strip(",.") for line in seen.lines for word in line.split()]
    assert {"red", "circle", "blue", "square"} <= set(words)


@on_a_terminal
def test_an_error_on_a_terminal_is_understood_without_its_colours(tmp_path: Path) -> None:
    seen = Screen(tmp_path, "ask", "nothing.png", WHAT, "-m", "starter")
    assert seen.status == 3
    assert seen.lines[0] == "error: no file named `nothing.png`"
    assert b"\x1b[" in seen.raw
    assert b"\x1b" not in Screen(tmp_path, "ask", "nothing.png", WHAT, "-m", "starter", TERM="dumb").raw


@on_a_terminal
def test_the_progress_line_is_gone_when_the_answer_comes(tmp_path: Path, two: Path, parrot: Random) -> None:
    seen = Screen(tmp_path, "ask", "two.png", "two.png", "Hello!", *parrot.options, "--max-tokens", "4")
    assert seen.status == 0
    assert re.search(rb"loading the model|encoding the media|reading the prompt", seen.raw)
    assert seen.lines[0].split() == [PARROT] * 4
    assert not any("media" in line or "prompt" in line for line in seen.lines)
    assert not seen.screen.cursor.hidden


@on_a_terminal
def test_the_demo_shows_its_picture_and_right_answers(tmp_path: Path) -> None:
    seen = Screen(tmp_path, "demo")
    assert seen.status == 0
    picture = [line for line in seen.lines if set(line) == {"▀"}]
    assert len(picture) > 8
    told = " ".join(seen.lines)
    assert {"red", "circle", "blue", "square", "yellow", "star", "3"} <= set(re.findall(r"\w+", told))
    colours = {seen.screen.buffer[y][x].fg for y in range(len(picture)) for x in range(len(picture[0]))}
    assert len(colours) >= 3  # white, red, black


def test_the_demo_is_plain_text_in_a_pipe(mmcli: Run) -> None:
    done = mmcli("demo")
    assert done.status == 0
    assert "▀" not in done.stdout
    assert not COMMANDS.search(done.stdout + done.stderr)
    questions = [line for line in done.stdout.splitlines() if line.startswith("> ")]
    assert len(questions) == 3
    assert {"red", "circle", "blue", "square", "yellow", "star"} <= done.words
    assert "mmcli ask" in done.stderr  # what to do next is no result


# no words from outside command the terminal


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_file_s_name_never_reaches_the_terminal_raw(ask: Run, two: Path, tmp_path: Path) -> None:
    name = "evil\x1b]0;owned\x07\x1b[31m\u202egnp.png"
    two.rename(tmp_path / name)
    for arguments in ((name, WHAT, "-v"), (name, WHAT, "--debug"), (name + "x", WHAT), (name, WHAT, "--json")):
        done = ask(*arguments)
        assert not COMMANDS.search(done.stdout), arguments
        assert not COMMANDS.search(done.stderr), arguments
    assert done.json["receipts"][0]["source"] == name  # a program gets the name as it is
    assert not COMMANDS.search(ask(name, name, "-m", "starter").stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_file_s_name_that_is_no_text_is_shown_all_the_same(ask: Run, two: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    two.rename(tmp_path / name)
    done = ask(name, WHAT, "-v")
    assert done.status == 0
    assert "caf" in done.stderr
    assert ask(name, WHAT, "--json").json["receipts"][0]["source"].startswith("caf")


def test_piped_text_never_reaches_the_terminal_raw(ask: Run) -> None:
    done = ask("What is this?", "--debug", stdin="a\x1b]0;owned\x1b\\b \x1b[31mred \x9b32m \u202egreen\n".encode())
    assert done.status == 0
    assert not COMMANDS.search(done.stdout + done.stderr)


def test_a_model_s_metadata_never_reaches_the_terminal_raw(mmcli: Run, tiny: Random) -> None:
    done = mmcli("ask", "Hi!", *tiny.options, "--max-tokens", "2", "--debug")
    assert done.status == 0
    assert "general.name" in done.stderr
    assert not COMMANDS.search(done.stdout + done.stderr)


def test_an_answer_never_commands_the_terminal(mmcli: Run, tiny: Random) -> None:
    """Random weights say every byte there is, so escapes too; JSON carries them escaped."""
    options = (*tiny.options, "--temp", "2", "--seed", "3", "--max-tokens", "600")
    done = mmcli("ask", "Hi!", *options, "--json")
    assert COMMANDS.search(done.json["answer"])
    assert not COMMANDS.search(done.stdout)
    done = mmcli("ask", "Hi!", *options)
    assert done.stdout
    assert not COMMANDS.search(done.stdout + done.stderr)


def test_a_model_s_path_in_an_error_never_reaches_the_terminal_raw(mmcli: Run) -> None:
    for name in ("evil\x1b[31m", "evil\x1b]0;x\x07.gguf"):
        for json_too in ((), ("--json",)):
            done = mmcli("ask", "Hi!", "-m", name, *json_too)
            assert done.status == 4
            assert not COMMANDS.search(done.stderr)
    assert done.json_error["code"] == "model"


def test_pictures_of_the_manual_are_where_the_tests_look() -> None:
    assert {path.name for path in PICTURES.glob("*.png")} >= {"shapes.png", "shapes-2.png", "positions.png"}
