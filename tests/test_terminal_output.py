"""stdout is the answer and nothing else; stderr is the rest; --json is one object."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mmcli import terminal
from mmcli.engine.messages import Piece
from mmcli.errors import InputError
from mmcli.terminal import Style
from tests.answers import ANSWER, spoken


def test_a_pipe_gets_the_text_as_it_is_with_one_newline_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.answer(spoken("\n\n# A *cat*\n\n- on a mat\n\n\n"), Style(quiet=True))
    assert capsys.readouterr() == ("# A *cat*\n\n- on a mat\n", "")


def test_a_pipe_gets_no_control_characters_either(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.answer(spoken("a\x1b]52;c;eA==\x07b\x1b[31mc\u202ed\x9b0me"), Style(quiet=True))
    assert capsys.readouterr().out == "abcde\n"


def test_the_answer_comes_back_whole() -> None:
    assert terminal.answer(spoken("words"), Style(quiet=True)).text == "words"


def test_an_error_before_the_first_word_leaves_stdout_empty(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> Iterator[Piece]:
        raise InputError("no")
        yield

    with pytest.raises(InputError):
        terminal.answer(failing(), Style())
    assert capsys.readouterr() == ("", "")


def test_an_interruption_keeps_what_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> Iterator[Piece]:
        yield Piece("half an ans")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        terminal.answer(interrupted(), Style())
    assert capsys.readouterr().out == "half an ans\n"


def test_reasoning_goes_to_stderr_and_only_if_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.answer(spoken("yes", reasoning="hm\x1b[1m\n"), Style(verbose=True))
    assert capsys.readouterr() == ("yes\n", "hm\n\n")
    terminal.answer(spoken("yes", replace(ANSWER, seen=()), reasoning="hm"), Style())
    assert capsys.readouterr() == ("yes\n", "")


def test_markdown_can_be_asked_for_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    terminal.answer(spoken("# Head\n\n- **one** two three four five"), Style(quiet=True, markdown="always"))
    assert capsys.readouterr().out == "Head\n\n• one two three four\n  five\n"


def test_json_is_one_line_in_a_pipe_and_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.answer(spoken("A \x9b31m\u202ecat\x1b é \udce9", reasoning="why"), Style(json=True))
    out, err = capsys.readouterr()
    assert err == "" and out.endswith("}\n") and out.count("\n") == 1
    assert "\\u009b" in out and "\\u202e" in out and "\\u001b" in out and "é" in out
    result = json.loads(out)
    assert list(result) == [
        *("answer", "reasoning", "finish_reason", "model", "device", "context", "seed", "receipts", "usage", "talk")
    ]
    assert result["answer"] == "A \x9b31m\u202ecat\x1b é \ufffd"
    assert result["reasoning"] == "why"
    assert result["model"] == {"name": "starter", "weights": "aa", "projector": "bb"}
    assert result["context"] == {"n_ctx": 4096, "n_past": 620}
    assert result["usage"]["seconds"] == {"encode": 1.235, "decode": 2.0}
    photo, gif = result["receipts"]
    assert photo["source_size"] == {"width": 4032, "height": 3024}
    assert photo["sent_size"] == {"width": 3024, "height": 4032}
    assert (photo["rotation"], photo["bytes"], photo["origin"]) == ("90", 1234, "encoded")
    assert (gif["source"], gif["frames"], gif["notes"]) == ("an\nim.gif", 12, ["first of 12 frames"])
    assert (gif["n_tokens"], gif["n_pos"], gif["seconds"]) == (64, 8, None)


def test_no_reasoning_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.answer(spoken("yes"), Style(json=True))
    assert json.loads(capsys.readouterr().out)["reasoning"] is None


def test_verbose_proves_what_the_model_saw(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.receipts(ANSWER, Style(verbose=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "photo.jpg: JPEG 4032×3024 → upright 3024×4032 (rotated 90°), 576 tokens, encoded",
        "an\\nim.gif: GIF 8×8, 64 tokens (8 positions), reused from memory, first of 12 frames",
        "starter on cpu: context 620/4096, finished: stop, seed 7, encode 1.23 s, decode 2.00 s (10 tokens/s)",
    ]
    terminal.receipts(ANSWER, Style())
    terminal.receipts(ANSWER, Style(verbose=True, json=True))
    assert capsys.readouterr() == ("", "")


def test_what_changed_the_picture_is_told_without_asking(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.answer(spoken("yes"), Style())
    assert capsys.readouterr().err == "note: an\\nim.gif: first of 12 frames\n"
    terminal.answer(spoken("yes"), Style(quiet=True))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"finish_reason": "length"}, "after 20 tokens; a larger --max-tokens"),
        ({"finish_reason": "length", "n_past": 4096}, "the context of 4096 tokens is full"),
        ({"finish_reason": "loop"}, "repeating itself"),
        ({"finish_reason": "interrupted"}, "interrupted"),
    ],
)
def test_an_answer_that_did_not_end_by_itself_says_so(
    capsys: pytest.CaptureFixture[str], changes: dict[str, object], words: str
) -> None:
    terminal.answer(spoken("yes", replace(ANSWER, seen=(), **changes)), Style())
    assert words in capsys.readouterr().err


def test_an_error_is_understandable_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.error(InputError("no file `a\nb\x1b[31m[red].png`", hint="see `ls`"), Style(quiet=True))
    assert capsys.readouterr() == ("", "error: no file `a\\nb[red].png`\nhint: see `ls`\n")


def test_with_json_an_error_is_one_object_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.error(InputError("no file `é`"), Style(json=True))
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert json.loads(err) == {"error": {"code": "input", "message": "no file `é`", "hint": None}}


def test_a_bug_is_one_sentence_and_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("a\x1b[2Jb")
    except ZeroDivisionError as error:
        terminal.bug(error, Style())
        assert capsys.readouterr().err == (
            "error: a bug in mmcli: ZeroDivisionError: ab\nhint: --debug shows the traceback\n"
        )
        terminal.bug(error, Style(debug=True))
        assert "Traceback (most recent call last)" in capsys.readouterr().err
        terminal.bug(error, Style(json=True))
        assert json.loads(capsys.readouterr().err)["error"]["code"] == "bug"


def test_warnings_stay_when_quiet_and_are_json_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.warning("the history could not be written", Style(quiet=True))
    assert capsys.readouterr().err == "warning: the history could not be written\n"
    terminal.warning("careful", Style(json=True))
    assert json.loads(capsys.readouterr().err) == {"warning": {"message": "careful"}}


def test_debug_tables_line_up_and_appear_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"kind": "text", "n_tokens": 12, "reused": True}, {"kind": "图像", "n_tokens": 576, "reused": None}]
    terminal.debug_table("chunks", rows, Style())
    assert capsys.readouterr().err == ""
    terminal.debug_table("chunks", rows, Style(debug=True))
    assert capsys.readouterr().err == "chunks\n  kind  n_tokens  reused\n  text  12        yes\n  图像  576       -\n"


def test_a_listing_is_tab_separated_in_a_pipe_and_objects_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    columns, rows = ["name", "ready"], [["a\tb\x1b[1m", True], ["c", None]]
    terminal.table(columns, rows, Style())
    assert capsys.readouterr().out == "a\\tb\tyes\nc\t-\n"
    terminal.table(columns, rows, Style(json=True))
    assert json.loads(capsys.readouterr().out)[1] == {"name": "c", "ready": None}


# In a process of its own: encodings, pipes and colours as they really are.

DRIVER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from mmcli import terminal
from mmcli.errors import InputError
from mmcli.terminal import Style
from tests.answers import *
try:
    exec(sys.argv[2])
    sys.stdout.flush()
except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(141)
"""


def command(code: str) -> list[str]:
    return [sys.executable, "-c", DRIVER, str(Path(__file__).parents[1]), code]


def environment(**changes: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**kept, "PYTHONUTF8": "0", **changes}


def output_of(code: str, **env: str) -> tuple[bytes, bytes]:
    done = subprocess.run(command(code), capture_output=True, env=environment(**env), timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_poor_encoding_loses_no_answer_and_breaks_no_json(encoding: str) -> None:
    code = "terminal.answer(spoken('- 李 😀 ok'), Style(quiet=True, markdown=%r, json=%r))"
    out, _ = output_of(code % ("never", False), PYTHONIOENCODING=encoding)
    assert out.decode(encoding) == "- \\u674e \\U0001f600 ok\n"
    out, _ = output_of(code % ("always", False), PYTHONIOENCODING=encoding)
    assert out.decode(encoding) == "* \\u674e \\U0001f600 ok\n"
    out, _ = output_of(code % ("auto", True), PYTHONIOENCODING=encoding)
    assert json.loads(out.decode(encoding))["answer"] == "- 李 😀 ok"
    _, err = output_of("terminal.error(InputError('no file `李`'), Style())", PYTHONIOENCODING=encoding)
    assert err.decode(encoding) == "error: no file `\\u674e`\n"


def test_force_color_colours_messages_but_never_a_piped_answer() -> None:
    code = "terminal.answer(spoken('**bold**'), Style(quiet=True)); terminal.error(InputError('no'), Style())"
    out, err = output_of(code, FORCE_COLOR="1", TERM="xterm-256color")
    assert out == b"**bold**\n"
    assert b"\x1b[" in err


@pytest.mark.parametrize("markdown", ["never", "always"])
def test_a_closed_pipe_reaches_main_and_nothing_is_complained_about(markdown: str) -> None:
    code = f"terminal.answer(spoken('word ' * 100_000), Style(quiet=True, markdown={markdown!r}))"
    child = subprocess.Popen(command(code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert child.stdout is not None and child.stderr is not None
    child.stdout.read(10)
    child.stdout.close()
    errors = child.stderr.read()
    child.stderr.close()
    assert (child.wait(60), errors) == (141, b"")


def test_importing_the_sink_loads_nothing_heavy() -> None:
    heavy = ["rich.console", "markdown_it", "numpy", "PIL"]
    code = f"import sys, mmcli.terminal; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_stream_that_is_no_file_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    terminal.line("a\nb")
    assert sys.stdout.getvalue() == "a b\n"  # type: ignore[attr-defined]
