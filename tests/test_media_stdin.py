"""Standard input as shells, pipes, terminals and services really leave it: real processes, real pipes."""

from __future__ import annotations

import io
import os
import pty
import socket
import subprocess
import sys
import time

import pytest

from mmcli import media
from mmcli.errors import InputError

PROGRAM = """
import sys
from mmcli import media
from mmcli.errors import InputError
try:
    data = media.read_stdin(sys.stdin, wanted="wanted" in sys.argv, has_media="media" in sys.argv,
                            on_wait=lambda note: print("note:", note))
    print(None if data is None else f"{len(data)} bytes {data[:5]!r}")
except InputError as error:
    print("refused:", error.message, "/", error.hint)
"""


def start(stdin, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stdin=stdin, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.strip()


def test_a_pipe_is_read_to_its_end():
    read_end, write_end = os.pipe()
    process = start(read_end)
    os.close(read_end)
    block = b"hello" * 100_000
    with os.fdopen(write_end, "wb") as pipe:
        pipe.write(block)
    assert told(process) == "500000 bytes b'hello'"


def test_an_empty_pipe_a_null_device_and_a_closed_stdin_are_nothing():
    for words in ((), ("media",), ("wanted",)):
        assert told(start(subprocess.DEVNULL, *words)) == "None"
        read_end, write_end = os.pipe()
        os.close(write_end)
        process = start(read_end, *words)
        os.close(read_end)
        assert told(process).startswith(
            {
                (): "note: nothing came through the pipe, continuing without it\nNone",
                ("media",): "note: nothing came through the pipe, continuing without it\nNone",
                ("wanted",): "None",
            }[words]
        )
        closed = f"exec {sys.executable} -c '{PROGRAM.replace(chr(39), chr(34))}' {' '.join(words)} <&-"
        done = subprocess.run(["sh", "-c", closed], capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == "None", done.stderr


def test_a_regular_file_is_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a file")
    with open(tmp_path / "a.txt", "rb") as file:
        assert told(start(file, "media")) == "6 bytes b'a fil'"
    (tmp_path / "empty").touch()
    with open(tmp_path / "empty", "rb") as file:
        assert told(start(file)) == "None"


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_an_idle_pipe_is_left_alone_after_a_moment_when_media_are_named(kind):
    if kind == "pipe":
        ends = os.pipe()
        process = start(ends[0], "media")
        out = told(process)
        for end in ends:
            os.close(end)
    else:  # what ssh and some services give
        ours, theirs = socket.socketpair()
        with ours, theirs:
            out = told(start(theirs, "media"))
    assert out == "note: nothing arrived on stdin, continuing without it\nNone"


@pytest.mark.slow
def test_an_idle_pipe_is_an_error_when_it_is_all_there_is():
    read_end, write_end = os.pipe()
    process = start(read_end)
    out = told(process)
    os.close(read_end), os.close(write_end)
    assert out == "refused: nothing arrived on stdin in 10 seconds / use `-` to wait for it, or `< /dev/null` for none"


def test_a_slow_first_byte_is_waited_for():
    """Longer than the grace with `-`; shorter than it without; and slow later bytes never matter."""
    for words, pause in (("wanted", 2.0), ("", 2.0)):
        read_end, write_end = os.pipe()
        process = start(read_end, *words.split())
        os.close(read_end)
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            time.sleep(pause)
            pipe.write(b"late ")
            time.sleep(1.5)
            pipe.write(b"later")
        assert told(process) == "10 bytes b'late '"


def test_a_terminal_is_left_alone_unless_it_is_wanted():
    for words, expected in (((), "None"), (("media",), "None"), (("wanted",), "3 bytes b'hi\\n'")):
        ours, theirs = pty.openpty()
        process = start(theirs, *words)
        if words == ("wanted",):
            os.write(ours, b"hi\n\x04")
        assert told(process) == expected
        os.close(theirs), os.close(ours)


def test_a_pipe_left_non_blocking_by_the_parent_is_read():
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    process = start(read_end, "wanted")
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as pipe:
        time.sleep(0.7)
        pipe.write(b"hello")
    assert told(process) == "5 bytes b'hello'"


def test_no_stdin_at_all_and_streams_without_a_descriptor():
    def read(stream):
        return media.read_stdin(stream, wanted=False, has_media=False, on_wait=None)

    assert read(None) is None
    assert read(io.BytesIO(b"")) is None
    assert read(io.BytesIO(b"abc")) == b"abc"
    assert read(io.TextIOWrapper(io.BytesIO(b"abc"))) == b"abc"
    assert read(io.StringIO("äbc")) == "äbc".encode()
    closed = io.BytesIO(b"abc")
    closed.close()
    assert read(closed) is None


def test_an_endless_stream_is_refused():
    from mmcli.media.stdin import read_stdin

    with open("/dev/zero", "rb") as zeros, pytest.raises(InputError, match="stdin holds more than 2 MB"):
        read_stdin(zeros, wanted=False, has_media=False, max_bytes=2_000_000)
