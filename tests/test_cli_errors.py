"""Whatever a person can get wrong: a precise status, one `error:` line that names it, and nothing on stdout."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import wave
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmcli import main
from mmcli.commands import settings
from mmcli.errors import ModelError
from mmcli.terminal import Style
from tests import random_llava
from tests.conftest import PARROT, PROJECTOR, WEIGHTS, Completed, Random, Run, draw
from tests.pictures import chunk, encoded, noise

WHAT = "What is this?"
STARTER = ("-m", "starter")


@dataclass(frozen=True)
class Wrong:
    """One mistake: the command line, its status, words of its message, and whether a hint says what to do."""

    arguments: tuple[str, ...]
    status: int
    says: tuple[str, ...]
    hint: str = ""


def bomb() -> bytes:
    """A PNG of a few bytes that claims to be 60000 × 60000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\x00\x10\x00\xf0" * 8000)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything one can get wrong, and whole files: two.png, and weights.gguf with its projector. Written once."""
    folder = tmp_path_factory.mktemp("drawer")
    draw(folder / "two.png", "red circle", "blue square")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(encoded(noise(), "PNG")[:9000])
    (folder / "cut.jpg").write_bytes(encoded(noise(), "JPEG")[:3000])
    (folder / "text.png").write_text("this is no picture")
    (folder / "page.jpg").write_text("<!DOCTYPE html><html><body>404</body></html>")
    (folder / "random.bin").write_bytes(bytes(range(256)) * 4)
    (folder / "paper.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "sound.wav").write_bytes(sound())
    (folder / "tables").mkdir()
    (folder / "tables" / "a.csv").write_text("1,2\n")
    (folder / "weights.gguf").write_bytes(WEIGHTS.read_bytes())
    (folder / "mmproj.gguf").write_bytes(PROJECTOR.read_bytes())
    (folder / "broken.gguf").write_bytes(WEIGHTS.read_bytes().replace(b"output_norm.weight", b"output_warm.weight"))
    (folder / "half.gguf").write_bytes(WEIGHTS.read_bytes()[: WEIGHTS.stat().st_size // 2])
    (folder / "half-mmproj.gguf").write_bytes(PROJECTOR.read_bytes()[: PROJECTOR.stat().st_size // 2])
    (folder / "stub.gguf").write_bytes(WEIGHTS.read_bytes()[:300])
    array = struct.pack("<Q3sIIQ", 3, b"key", 9, 4, 1 << 61)  # of more 32-bit numbers than a file can hold
    (folder / "endless.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + array)
    (folder / "fake.gguf").write_bytes(b"no GGUF at all" * 100)
    (folder / "empty.gguf").write_bytes(b"")
    return folder


@pytest.fixture
def desk(drawer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with everything that is in the drawer."""
    shutil.copytree(drawer, tmp_path, copy_function=os.link, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The weights of these lack a tensor, which only llama.cpp sees: were they loaded, the status would be 4.
BROKEN = ("-m", "broken.gguf", "--mmproj", "mmproj.gguf")
BEFORE_LOADING = {
    "no question": Wrong(("ask", *BROKEN), 2, ("no question",), "mmcli ask"),
    "an empty question": Wrong(("ask", "two.png", "", *BROKEN), 2, ("no question",), "mmcli ask"),
    "a file where the question is": Wrong(("ask", "two.png", *BROKEN), 2, ("`two.png`", "question"), "mmcli ask"),
    "a missing file for a question": Wrong(("ask", "tow.png", *BROKEN), 2, ("`tow.png`", "question"), "mmcli ask"),
    "an unknown option": Wrong(("ask", "--max-token", "5", WHAT), 2, ("`--max-token`",), "--max-tokens?"),
    "an option without its value": Wrong(("ask", WHAT, "--seed"), 2, ("--seed",), "ask --help"),
    "a value that is not a number": Wrong(("ask", WHAT, "--temp", "hot"), 2, ("--temp",), "ask --help"),
    "a value that is nan": Wrong(("ask", WHAT, "--temp", "nan"), 2, ("--temp",), "ask --help"),
    "endless pictures": Wrong(("ask", WHAT, "--max-megapixels", "inf"), 2, ("--max-megapixels",), "ask --help"),
    "a value out of range": Wrong(("ask", WHAT, "--max-tokens", "0"), 2, ("--max-tokens", "1"), "ask --help"),
    "a choice there is not": Wrong(("ask", WHAT, "--detail", "best"), 2, ("--detail", "'high'"), "ask --help"),
    "an endless cache": Wrong(("ask", WHAT, "--cache-size", "inf"), 2, ("--cache-size",), "ask --help"),
    "an unknown command": Wrong(("aks", "two.png", WHAT), 2, ("`aks`",), "`mmcli ask`?"),
    "a picture for a command": Wrong(("two.png", WHAT), 2, ("`two.png`",), "mmcli ask two.png"),
    "a missing file": Wrong(("ask", "tow.png", WHAT, *BROKEN), 3, ("`tow.png`",), "`two.png`"),
    "a missing file beside a good one": Wrong(("ask", "two.png", "x.png", WHAT, *BROKEN), 3, ("`x.png`",)),
    "a missing attachment": Wrong(("ask", WHAT, "-a", "tow.png", *BROKEN), 3, ("`tow.png`",), "`two.png`"),
    "a glob that matches nothing": Wrong(("ask", "*.gif", WHAT, *BROKEN), 3, ("`*.gif`",)),
    "an empty file": Wrong(("ask", "empty.png", WHAT, *BROKEN), 3, ("`empty.png`", "empty")),
    "a picture cut short": Wrong(("ask", "cut.png", WHAT, *BROKEN), 3, ("`cut.png`", "cut short"), "again"),
    "a photo cut short": Wrong(("ask", "cut.jpg", WHAT, *BROKEN), 3, ("`cut.jpg`", "cut short"), "again"),
    "bytes of an unknown format": Wrong(("ask", "random.bin", WHAT, *BROKEN), 3, ("`random.bin`", "unknown format")),
    "weights for a picture": Wrong(("ask", "weights.gguf", WHAT, *BROKEN), 3, ("`weights.gguf`", "weights")),
    "a PDF": Wrong(("ask", "paper.pdf", WHAT, *BROKEN), 3, ("`paper.pdf`", "is damaged"), "copy or download"),
    "a text named .png": Wrong(("ask", "text.png", WHAT, *BROKEN), 3, ("`text.png`", "a text file, not a picture")),
    "a web page named .jpg": Wrong(("ask", "page.jpg", WHAT, *BROKEN), 3, ("`page.jpg`", "a web page"), "download"),
    "a folder without pictures": Wrong(("ask", "tables", WHAT, *BROKEN), 3, ("`tables`", "no pictures"), ".csv"),
    "a decompression bomb": Wrong(("ask", "bomb.png", WHAT, *BROKEN), 3, ("`bomb.png`", "3600 megapixels"), "shrink"),
    "nothing on stdin": Wrong(("ask", "-", WHAT, *BROKEN), 3, ("`-`",), "cat photo.jpg"),
    "an address that is not one": Wrong(("ask", "ftp://x.org/a.png", WHAT, *BROKEN), 3, ("ftp", "a.png"), "http"),
    "no model": Wrong(("ask", "two.png", WHAT), 4, ("no model",), "-m starter"),
    "an unknown model": Wrong(("ask", "two.png", WHAT, "-m", "startr"), 4, ("`startr`",), "`starter`"),
    "missing weights": Wrong(("ask", WHAT, "-m", "no/such.gguf"), 4, ("`no/such.gguf`",), "check the path"),
    "a missing projector": Wrong(("ask", WHAT, *STARTER, "--mmproj", "none.gguf"), 4, ("`none.gguf`",), "path"),
    "weights that are not GGUF": Wrong(("ask", WHAT, "-m", "fake.gguf"), 4, ("`fake.gguf`", "not a GGUF"), ".gguf"),
    "empty weights": Wrong(("ask", WHAT, "-m", "empty.gguf"), 4, ("`empty.gguf`", "GGUF")),
    "a picture for weights": Wrong(("ask", WHAT, "-m", "two.png"), 4, ("`two.png`", "not a GGUF")),
    "a folder for weights": Wrong(("ask", WHAT, "-m", "tables"), 4, ("`tables`",)),
    "a header of endless arrays": Wrong(
        ("ask", WHAT, "-m", "endless.gguf"), 4, ("`endless.gguf`", "damaged"), "again"
    ),
    "a header cut short": Wrong(("ask", WHAT, "-m", "stub.gguf"), 4, ("`stub.gguf`", "damaged"), "again"),
    "a projector for weights": Wrong(
        ("ask", "two.png", WHAT, "-m", "mmproj.gguf"), 4, ("`mmproj.gguf`", "is a projector"), "--mmproj"
    ),
    "weights for a projector": Wrong(
        ("ask", "two.png", WHAT, "-m", "broken.gguf", "--mmproj", "weights.gguf"),
        4,
        ("`weights.gguf`", "not a projector"),
        "mmproj",
    ),
    "a picture without a projector": Wrong(
        ("ask", "two.png", WHAT, "-m", "weights.gguf"), 4, ("`weights.gguf`", "no projector", "see"), "--mmproj"
    ),
    "weights cut in half": Wrong(("ask", "two.png", WHAT, "-m", "half.gguf"), 4, ("`half.gguf`", "cut short"), "again"),
    "a projector cut in half": Wrong(
        ("ask", "two.png", WHAT, "-m", "weights.gguf", "--mmproj", "half-mmproj.gguf"),
        4,
        ("`half-mmproj.gguf`", "cut short"),
        "again",
    ),
    "a sound for a model that only sees": Wrong(
        ("ask", "sound.wav", WHAT, *BROKEN), 4, ("`broken.gguf`", "cannot hear"), "audio"
    ),
}  # fmt: skip
WHILE_LOADING = {
    "weights that lack a tensor": Wrong(
        ("ask", "two.png", WHAT, *BROKEN), 4, ("`broken.gguf`", "output_norm"), "again"
    ),
    "a context that is too small": Wrong(
        ("ask", "two.png", WHAT, *STARTER, "--ctx-size", "64"), 6, ("64", "tokens"), "--ctx-size"
    ),
}  # fmt: skip
ALL = BEFORE_LOADING | WHILE_LOADING


def check(wrong: Wrong, done: Completed) -> None:
    assert done.status == wrong.status, done.stderr
    assert done.stdout == ""
    error, *hints = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert not error.endswith(".")
    for words in wrong.says:
        assert words in error
    assert len(hints) <= 1
    assert all(hint.startswith("hint: ") for hint in hints)
    assert wrong.hint in "".join(hints)
    assert bool(hints) or not wrong.hint


@pytest.mark.parametrize("mistake", ALL)
def test_a_mistake_is_told_in_one_sentence(desk: Path, mmcli: Run, mistake: str) -> None:
    check(ALL[mistake], mmcli(*ALL[mistake].arguments))


@pytest.mark.parametrize("mistake", ALL)
def test_a_mistake_is_one_json_object_with_json(
    desk: Path,
    mistake: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MMCLI_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    wrong = ALL[mistake]
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        status = main.run([wrong.arguments[0], "--json", *wrong.arguments[1:]])
    out, err = capfd.readouterr()
    assert (status, out) == (wrong.status, "")
    assert len(err.splitlines()) == 1
    told = json.loads(err)["error"]
    assert set(told) == {"code", "message", "hint"}
    assert told["code"] == {2: "usage", 3: "input", 4: "model", 6: "resources"}[wrong.status]
    for words in (*wrong.says, wrong.hint):
        assert words in told["message"] + str(told["hint"])


def test_what_is_cheap_and_can_fail_comes_before_llama_cpp(desk: Path, mmcli: Run) -> None:
    done = mmcli("ask", "tow.png", WHAT, *STARTER, "--debug")
    assert done.status == 3
    assert "llama" not in done.stderr


def test_a_context_that_is_too_small_is_told_in_numbers(desk: Path, mmcli: Run) -> None:
    done = mmcli("ask", "two.png", WHAT, *STARTER, "--ctx-size", "64")
    numbers = [int(word) for word in done.stderr.replace("(", " ").split() if word.isdigit()]
    assert 64 in numbers
    assert any(64 < number < 200 for number in numbers)  # what the prompt takes


def test_a_question_longer_than_the_model_s_context_is_refused(desk: Path, mmcli: Run) -> None:
    done = mmcli("ask", *STARTER, "many words " * 3000)
    assert (done.status, done.stdout) == (6, "")
    assert "context" in done.stderr


def test_more_pictures_than_the_context_holds_are_refused_before_any_is_encoded(desk: Path, mmcli: Run) -> None:
    done = mmcli("ask", *["two.png"] * 40, WHAT, *STARTER, "--debug")
    assert (done.status, done.stdout) == (6, "")
    assert re.search(r"error: the prompt takes \d{4} tokens, but the context holds only \d+", done.stderr)
    assert "clip_encode" not in done.stderr


def test_one_bad_picture_among_good_ones_stops_the_answer(desk: Path, mmcli: Run) -> None:
    done = mmcli("ask", "two.png", "cut.png", "two.png", WHAT, *STARTER)
    assert (done.status, done.stdout) == (3, "")
    assert "`cut.png`" in done.stderr


def test_a_file_that_may_not_be_read_is_named(desk: Path, mmcli: Run) -> None:
    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    draw(desk / "secret.png", "red circle").chmod(0)
    done = mmcli("ask", "secret.png", WHAT, *STARTER)
    assert (done.status, done.stdout) == (3, "")
    assert "permission denied" in done.stderr


def test_a_model_that_repeats_itself_ends_with_status_8(mmcli: Run, parrot: Random) -> None:
    done = mmcli("ask", "Hello!", *parrot.options)
    assert done.status == 8
    assert PARROT in done.words
    assert "repeating itself" in done.stderr
    done = mmcli("ask", "Hello!", *parrot.options, "--no-loop-guard", "--max-tokens", "200", "--json")
    assert done.status == 0
    assert done.json["finish_reason"] == "length"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_an_abort_of_llama_cpp_is_told_as_an_error(mmcli: Run, tmp_path: Path) -> None:
    stacking = Random(*random_llava.write_hearing(tmp_path, stack=8))  # libmtmd miscounts what comes out, and aborts
    (tmp_path / "tone.wav").write_bytes(sound())
    for style in ((), ("--json",)):
        done = mmcli("ask", "tone.wav", WHAT, *stacking.options, *style)
        assert (done.status, done.stdout) == (4, "")
        error = done.json_error if style else done.stderr
        assert "Invalid number of output tokens (clip.cpp:" in str(error)
        assert str(Path(sys.prefix)) not in str(error) and "/vendor/" not in str(error)


def test_what_only_uses_the_engine_is_left_to_its_abort(tmp_path: Path, environment: dict[str, str]) -> None:
    files = random_llava.write_hearing(tmp_path, stack=8)
    (tmp_path / "tone.wav").write_bytes(sound())
    program = (
        "import sys; from pathlib import Path; from mmcli import engine, media\n"
        "from mmcli.engine import Message, Sampling\n"
        "weights, projector, tone = map(Path, sys.argv[1:])\n"
        "(source,) = media.find([str(tone)])\n"
        "with engine.load(weights, projector) as running:\n"
        "    list(running.generate([Message('user', (media.load(source), 'What?'))], Sampling(max_tokens=1)))\n"
    )
    command = [sys.executable, "-c", program, *map(str, files), str(tmp_path / "tone.wav")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGABRT
    assert "Invalid number of output tokens" in done.stderr


def test_a_crash_of_native_code_is_not_silent(environment: dict[str, str]) -> None:
    program = (
        "import os, signal, sys; from mmcli import main, terminal\n"
        "terminal.line = lambda text: os.kill(os.getpid(), signal.SIGSEGV)\n"
        "sys.argv = ['mmcli', '--version']; main.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "")
    assert done.stderr.startswith("Fatal Python error: Segmentation fault")


def test_a_full_disk_is_no_bug_of_ours(environment: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mmcli", "--version"],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 6
    assert done.stderr.startswith("error: cannot write: ")


def test_a_bug_keeps_its_traceback_for_debug(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(names: object) -> None:
        raise ZeroDivisionError("\x1b[31mred")

    monkeypatch.setattr(settings, "load", broken)
    assert main.run(["ask", "What?"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == ["error: a bug in mmcli: ZeroDivisionError: red", "hint: --debug shows the traceback"]
    assert main.run(["ask", "What?", "--debug"]) == 1
    _, err = capfd.readouterr()
    assert "Traceback" in err
    assert "in broken" in err
    assert "\x1b" not in err


def test_an_error_that_ends_a_thread_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ModelError("`x.gguf` is broken", hint="fetch it again")

    before = threading.excepthook
    try:
        lost = main._watch_threads(Style())
        for work in (lambda: 1 // 0, fail, sys.exit):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    finally:
        threading.excepthook = before
    said = capsys.readouterr().err
    assert lost == [1, 4]
    assert "error: a bug in mmcli: ZeroDivisionError" in said and "error: `x.gguf` is broken" in said
    assert "Traceback" not in said and "hint: fetch it again" in said
