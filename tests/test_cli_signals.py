"""Ctrl-C in two steps, and pipes whose reader has gone; with a model that would talk for ever."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PARROT, TIMEOUT, Random, clean_environment

if sys.platform == "win32":
    pytest.skip("signals as Unix knows them", allow_module_level=True)
pexpect = pytest.importorskip("pexpect")

ENDLESS = ("--no-loop-guard", "--max-tokens", "1800")
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str], parrot: Random) -> Start:
    """Start `mmcli ask … Hello!` with the parrot, its streams piped to the test."""

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "mmcli", "ask", *arguments, "Hello!", *parrot.options, *ENDLESS],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # communicate() would forget what a buffer holds
        )

    return run


def wait_for(text: bytes, process: subprocess.Popen[bytes]) -> None:
    """Wait for a line on its stderr: what --debug tells just before it encodes, or just after it began to load."""
    assert process.stderr is not None
    assert any(text in line for line in iter(process.stderr.readline, b"")), "it ended before that"


def test_ctrl_c_ends_the_answer_and_keeps_what_was_said(start: Start) -> None:
    process = start()
    assert process.stdout is not None
    said = process.stdout.read(3)
    process.send_signal(signal.SIGINT)
    rest, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    words = (said + rest).decode().split()
    assert set(words) == {PARROT}
    assert len(words) < 1800
    assert (said + rest).endswith(b"\n")
    assert told.decode().splitlines() == ["note: interrupted; the answer is not complete"]


def test_ctrl_c_with_json_still_gives_the_whole_object(start: Start, two: Path) -> None:
    process = start("two.png", "--json", "--debug")
    wait_for(b"chunk: ", process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    told = json.loads(out)
    assert told["finish_reason"] == "interrupted"
    assert told["receipts"][0]["source"] == "two.png"


def test_the_second_ctrl_c_does_not_wait_for_the_encoder(start: Start, two: Path) -> None:
    process = start("two.png", "two.png", "two.png", "--debug")
    for _ in range(7):  # three pictures and the text around them
        wait_for(b"chunk: ", process)
    time.sleep(0.1)  # now it encodes the first picture, which takes longer than this
    while process.poll() is None:  # two that come at the same moment count as one
        process.send_signal(signal.SIGINT)
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    out, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert out == b""
    assert b"interrupted; the answer" not in told  # it did not come that far
    assert b"Traceback" not in told


def test_ctrl_c_while_the_model_loads_is_quiet(start: Start, two: Path) -> None:
    process = start("two.png", "--debug")
    wait_for(b"llama", process)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in told


def test_ctrl_c_on_a_terminal_leaves_it_clean(tmp_path: Path, parrot: Random) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "mmcli", "ask", "Hello!", *parrot.options, *ENDLESS],
        cwd=str(tmp_path),
        env=clean_environment(tmp_path) | {"TERM": "xterm-256color"},
        timeout=TIMEOUT,
    )
    child.expect(PARROT)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    lines = child.before.replace(b"\r", b"").splitlines()
    assert b"interrupted" in lines[-1]
    assert b"Traceback" not in child.before
    assert b"\x1b[?25l" not in child.before  # the cursor is never hidden


def on_terminal(folder: Path, parrot: Random) -> Any:
    """A run on a terminal that has just begun with three pictures, which takes seconds."""
    child = pexpect.spawn(
        sys.executable,
        ["-m", "mmcli", "ask", "two.png", "two.png", "two.png", "Hello!", *parrot.options, *ENDLESS],
        cwd=str(folder),
        env=clean_environment(folder) | {"TERM": "xterm-256color"},
        timeout=TIMEOUT,
    )
    child.expect("encoding the media|reading the prompt")
    return child


def test_ctrl_c_on_a_terminal_is_heard_while_a_picture_is_encoded(tmp_path: Path, two: Path, parrot: Random) -> None:
    child = on_terminal(tmp_path, parrot)
    child.sendintr()
    child.expect("stopping after this step; Ctrl-C again ends at once|interrupted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_two_ctrl_c_on_a_terminal_end_the_program(tmp_path: Path, two: Path, parrot: Random) -> None:
    child = on_terminal(tmp_path, parrot)
    child.sendintr()
    while child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=0.02):  # before the present step ends
        child.sendintr()
    child.close()
    assert child.exitstatus == 130
    assert b"interrupted; the answer" not in child.before
    assert b"Traceback" not in child.before


def test_a_closed_pipe_ends_the_answer_quietly(start: Start) -> None:
    process = start()
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.wait(TIMEOUT) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("arguments", ["--help", "ask --help", "--version", "ask two.png What? -m starter --json"])
def test_a_reader_that_never_reads_gets_status_141(two: Path, environment: dict[str, str], arguments: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mmcli", *arguments.split()],
        cwd=two.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(TIMEOUT) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_head_takes_the_first_word_and_nobody_complains(two: Path, environment: dict[str, str]) -> None:
    command = '"$0" -m mmcli ask two.png "What is in this picture?" -m starter --temp 0 | head -c 5'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=two.parent, env=environment, capture_output=True, timeout=TIMEOUT
    )
    assert len(done.stdout) == 5
    assert done.stderr == b""
