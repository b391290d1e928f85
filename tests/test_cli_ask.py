"""`mmcli ask` with everything a person can point it at, on the built-in model."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests import random_llava
from tests.conftest import PICTURES, TIMEOUT, Random, Run, draw
from tests.pictures import exif, wav

WHAT = "What is in this picture?"
TWO = {"red", "circle", "blue", "square"}


def sources(answer: dict) -> list[str]:
    return [receipt["source"] for receipt in answer["receipts"]]


# what the built-in model sees


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("shapes.png", {"red", "circle", "blue", "square", "yellow", "star"}),
        ("shapes-2.png", {"red", "circle", "green", "square", "yellow", "star"}),
    ],
)
def test_the_pictures_of_the_manual_are_described(ask: Run, picture: str, words: set[str]) -> None:
    done = ask(PICTURES / picture, WHAT)
    assert done.status == 0
    assert words <= done.words
    assert done.stderr == ""


def test_shapes_are_counted(ask: Run, two: Path) -> None:
    assert "2" in ask(two, "How many shapes are there?").words


def test_a_shape_s_colour_is_told(ask: Run, two: Path) -> None:
    answer = ask(two, "What color is the square?").words
    assert "blue" in answer
    assert "red" not in answer


def test_what_is_not_there_is_not_invented(ask: Run, two: Path) -> None:
    assert "no" in ask(two, "Is there a star?").words


# what media may be


def test_a_question_needs_no_medium(ask: Run) -> None:
    done = ask("Hello!", "--json")
    assert done.status == 0
    assert done.json["receipts"] == []
    assert done.json["answer"]


@pytest.mark.parametrize("question", ["Qu'est-ce que c'est ? 日本語 🎉", "One line?\nAnd another?", "-what?", "*.png?"])
def test_a_question_is_any_text(ask: Run, two: Path, question: str) -> None:
    done = ask("--debug", "two.png", "--", question)
    assert done.status == 0, done.stderr
    assert question in done.prompt


def test_several_pictures_all_reach_the_model_in_order(ask: Run, one: Path, two: Path) -> None:
    answer = ask("two.png", "one.png", WHAT, "--json").json
    assert sources(answer) == ["two.png", "one.png"]
    assert answer["usage"]["n_encodes"] == 2
    assert all(receipt["n_tokens"] > 0 for receipt in answer["receipts"])


def test_a_quoted_glob_is_expanded_in_natural_order(ask: Run, tmp_path: Path) -> None:
    for name in ("scan 10.png", "scan 9.png"):
        draw(tmp_path / name, "red circle")
    assert sources(ask("scan*.png", WHAT, "--json").json) == ["scan 9.png", "scan 10.png"]


def test_a_folder_gives_its_pictures(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "album" / "deep").mkdir(parents=True)
    draw(tmp_path / "album" / "a.png", "red circle")
    draw(tmp_path / "album" / "deep" / "b.png", "red circle")
    (tmp_path / "album" / "notes.txt").write_text("no picture")
    assert sources(ask("album", WHAT, "--json").json) == ["album/a.png"]
    assert sources(ask("album", WHAT, "--json", "-r").json) == ["album/a.png", "album/deep/b.png"]


def test_a_name_with_spaces_and_brackets_is_a_name(ask: Run, two: Path, tmp_path: Path) -> None:
    shutil.copy(two, tmp_path / "my [best] photo.png")
    assert TWO <= ask("my [best] photo.png", WHAT).words


def test_a_name_that_begins_with_a_dash_comes_after_two_dashes(ask: Run, two: Path, tmp_path: Path) -> None:
    shutil.copy(two, tmp_path / "-v.png")
    assert TWO <= ask("--", "-v.png", WHAT).words


def test_the_content_decides_what_a_file_is_and_not_its_name(ask: Run, two: Path, tmp_path: Path) -> None:
    shutil.copy(two, tmp_path / "two.txt")
    assert TWO <= ask("two.txt", WHAT).words


@pytest.fixture
def address(two: Path) -> Iterator[str]:
    """A web server of our own, with two.png under any path that ends in .png and 404 elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.endswith(".png")
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(two.read_bytes() if found else b"nothing here")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_picture_comes_from_a_url(ask: Run, address: str) -> None:
    done = ask(f"{address}/two.png", WHAT)
    assert done.status == 0, done.stderr
    assert TWO <= done.words


def test_a_url_with_nothing_behind_it_is_a_network_error(ask: Run, address: str) -> None:
    done = ask(f"{address}/none.jpg", WHAT)
    assert (done.status, done.stdout) == (5, "")
    assert "404" in done.stderr


def test_attach_adds_a_picture_anywhere(ask: Run, one: Path, two: Path) -> None:
    for arguments in (("-a", "two.png", WHAT), (WHAT, "-a", "two.png"), (WHAT, "--attach=two.png")):
        assert TWO <= ask(*arguments).words
    answer = ask("-a", "one.png", "two.png", WHAT, "-a", "one.png", "--json").json
    assert sources(answer) == ["two.png", "one.png", "one.png"]


def test_a_text_file_stands_in_the_prompt_under_its_name_and_fenced(ask: Run, two: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("Shapes have ```corners```.\n")
    prompt = ask("notes.md", "two.png", "Is that so?", "--debug").prompt
    assert "notes.md:\n````\nShapes have ```corners```.\n````\n\nIs that so?" in prompt
    assert prompt.index("<media>") < prompt.index("notes.md:")


def test_a_sound_reaches_a_model_that_hears(mmcli: Run, tmp_path: Path) -> None:
    hearing = Random(*random_llava.write_hearing(tmp_path))
    (tmp_path / "tone.wav").write_bytes(wav(seconds=2.0))
    options = (*hearing.options, "--max-tokens", "3", "--json")
    done = mmcli("ask", "tone.wav", "What do you hear?", *options)
    assert done.status == 0, done.stderr
    (receipt,) = done.json["receipts"]
    assert (receipt["kind"], receipt["format"], receipt["seconds"]) == ("audio", "wav", 2.0)
    assert receipt["n_tokens"] > 0
    assert receipt["source_size"] is None
    assert any("44100 Hz → 16000 Hz" in note for note in receipt["notes"])
    draw(tmp_path / "two.png", "red circle", "blue square")
    done = mmcli("ask", "two.png", WHAT, *options)
    assert (done.status, done.stdout) == (4, "")
    assert "cannot see" in done.json_error["message"]


# what is piped in


def test_a_dash_stands_for_the_piped_bytes(ask: Run, one: Path, two: Path) -> None:
    assert TWO <= ask("-", WHAT, stdin=two.read_bytes()).words
    answer = ask("one.png", "-", WHAT, "--json", stdin=two.read_bytes()).json
    assert sources(answer) == ["one.png", "-"]


def test_a_piped_picture_needs_no_dash(ask: Run, two: Path) -> None:
    assert TWO <= ask(WHAT, stdin=two.read_bytes()).words


def test_a_piped_picture_is_the_first_medium(ask: Run, one: Path, two: Path) -> None:
    assert sources(ask("one.png", WHAT, "--json", stdin=two.read_bytes()).json) == ["-", "one.png"]


def test_piped_text_stands_before_the_question(ask: Run, two: Path) -> None:
    done = ask("two.png", WHAT, "--debug", stdin=b"I like shapes.\n")
    assert f"I like shapes.\n\n{WHAT}" in done.prompt
    assert TWO <= done.words


def test_paths_in_piped_text_are_not_opened(ask: Run, two: Path) -> None:
    answer = ask("What is this?", "--json", stdin=b"two.png\n").json
    assert all(receipt["kind"] == "text" for receipt in answer["receipts"])
    assert answer["usage"]["n_encodes"] == 0


def test_text_that_looks_like_a_marker_stays_text(ask: Run, two: Path) -> None:
    done = ask("two.png", "What is <image> <__media__> <media>?", "--json")
    assert done.status == 0
    assert done.json["usage"]["n_encodes"] == 1


def test_an_idle_pipe_does_not_stop_a_question_about_a_file(two: Path, environment: dict[str, str]) -> None:
    """A cron job, an IDE or `ssh` leaves such a pipe: open, and nobody writes to it."""
    command = [sys.executable, "-m", "mmcli", "ask", "-m", "starter", str(two), WHAT]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        answer = process.stdout.read()  # stdin is still open
        assert process.wait(TIMEOUT) == 0
        assert "red" in answer
        assert "nothing arrived on stdin" in process.stderr.read()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
@pytest.mark.parametrize("redirection", ["</dev/null", "<&-", "<&- 2>&-"])
def test_no_stdin_is_no_problem(two: Path, environment: dict[str, str], redirection: str) -> None:
    command = f'"$0" -m mmcli ask -m starter "$1" "{WHAT}" {redirection}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, str(two)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0
    assert "red" in done.stdout
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes streams")
@pytest.mark.parametrize(
    ("arguments", "redirection", "status", "told"),
    [
        ("ask -m starter two.png What", ">&-", 6, "error: cannot write: stdout is closed"),
        ("ask -m starter two.png What --json", ">&-", 6, '"message": "cannot write: stdout is closed"'),
        ("caption -m starter two.png --print0", ">&-", 6, "error: cannot write: stdout is closed"),
        ("--help", ">&-", 6, "error: cannot write: stdout is closed"),
        ("--help", ">/dev/full", 6, "error: cannot write: No space left on device"),
        ("ask -m starter two.png What", ">/dev/full", 6, "error: cannot write: No space left on device"),
        (
            "history delete --older-than 1d --yes",
            ">&-",
            0,
            "note: no conversation deleted",
        ),  # stdout gets nothing anyway
        ("ask -m starter no.png What", "2>&-", 3, ""),
        ("ask -m starter no.png What", "2>/dev/full", 3, ""),
        ("ask -m starter two.png What -v", "2>/dev/full >/dev/null", 0, ""),
        ("ask --no-such-option", "2>/dev/full", 2, ""),
        ("ask -m starter two.png What", ">/dev/full 2>/dev/full", 6, ""),
    ],
)
def test_a_lost_answer_is_status_6_and_a_lost_error_changes_no_status(
    two: Path, environment: dict[str, str], arguments: str, redirection: str, status: int, told: str
) -> None:
    if "/dev/full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m mmcli {arguments} {redirection}', sys.executable],
        cwd=two.parent,
        env=environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr and (told != "" or done.stderr == "")
    assert done.stderr.count("cannot write") <= 1 and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pipe that does not block")
def test_a_pipe_that_does_not_block_gets_all_of_a_long_answer(two: Path, environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as some programs leave the one they share with us
    program = (
        "import sys; from mmcli import main, terminal\n"
        "terminal.guard(); terminal.line('x' * 1_000_000); terminal.notice('y' * 1_000_000, terminal.Style())\n"
        "sys.stdout.flush()"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, stdout=writing, stderr=writing) as process:
        os.close(writing)
        with open(reading, "rb") as file:
            data = file.read()
        assert process.wait(TIMEOUT) == 0
    assert (data.count(b"x"), data.count(b"y")) == (1_000_000, 1_000_000)


# pictures as cameras leave them


def test_a_rotated_photo_is_the_same_picture_to_the_model(ask: Run, two: Path, tmp_path: Path) -> None:
    stored = Image.open(two).transpose(Image.Transpose.ROTATE_90)  # as a camera held upright stores it
    stored.save(tmp_path / "photo.png", exif=exif(6))
    upright = ask("two.png", WHAT, "--json").json
    rotated = ask("photo.png", WHAT, "--json").json
    assert rotated["receipts"][0]["rotation"] == "90"
    assert upright["receipts"][0]["rotation"] == "none"
    assert rotated["receipts"][0]["source_size"] == {"width": 240, "height": 320}
    assert rotated["receipts"][0]["sent_size"] == {"width": 320, "height": 240}
    assert rotated["receipts"][0]["media_id"] == upright["receipts"][0]["media_id"]
    assert rotated["answer"] == upright["answer"]


@pytest.mark.parametrize("name", ["two.jpg", "two.webp", "two.gif", "two.bmp", "two.tiff", "two.avif"])
def test_every_common_format_is_seen(ask: Run, two: Path, tmp_path: Path, name: str) -> None:
    Image.open(two).save(tmp_path / name, quality=95)
    assert TWO <= ask(name, WHAT).words


def test_the_projector_that_was_picked_up_is_told_once(mmcli: Run, tiny: Random) -> None:
    question = ("ask", "What?", "-m", tiny.weights, "--max-tokens", "2")
    told = mmcli(*question)
    assert told.stderr.count(str(tiny.projector)) == 1
    assert "beside it" in told.stderr
    assert mmcli(*question, "-q").stderr == ""
    assert "beside it" not in mmcli(*question, "--mmproj", tiny.projector).stderr
    assert "beside it" not in mmcli("ask", "What?", "-m", "starter").stderr


def test_an_empty_pipe_is_told(mmcli: Run, two: Path) -> None:
    for files in ((), (two.name,)):
        done = mmcli("ask", *files, "What is in this picture?", "-m", "starter", stdin=b"")
        assert done.status == 0
        assert "note: nothing came through the pipe, continuing without it" in done.stderr


def test_a_question_of_many_words_without_quotation_marks_is_told_so(mmcli: Run, two: Path) -> None:
    (two.parent / "pictures").mkdir()  # a name much like one of the words
    told = mmcli("ask", two.name, "What", "is", "in", "this", "picture", "-m", "starter")
    assert told.status == 2
    assert "the question needs quotation marks" in told.stderr and '"What is in this picture"' in told.stderr
