"""`mmcli transcribe` as a person runs it: files, folders, formats, pipes, Ctrl-C, and what is no sound."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pysubs2
import pytest
from PIL import Image

from tests.conftest import TIMEOUT, Completed, Random, Run
from tests.speaking import SENTENCES, needs_espeak, say, talk, write

Transcribe = Callable[..., Completed]
QUESTION = SENTENCES[0]


@pytest.fixture
def transcribe(mmcli: Run, speech_model: Path) -> Transcribe:
    """Run `mmcli transcribe … -m MODEL`."""

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Completed:
        return mmcli("transcribe", "-m", speech_model, "--threads", "1", *arguments, stdin=stdin)

    return run


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """spoken.wav: one question."""
    return say(tmp_path / "spoken.wav", QUESTION)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """talks/: two questions, one of them in a sub-folder, and a text that only calls itself a sound."""
    folder = tmp_path / "talks"
    (folder / "more").mkdir(parents=True)
    say(folder / "a.wav", QUESTION)
    say(folder / "more" / "c.wav", QUESTION)
    (folder / "b.mp3").write_text("no sound at all\n")
    (folder / "notes.txt").write_text("not to be heard\n")
    return folder


def heard(text: str) -> bool:
    """Most of the question's words: what is tested is the way through, not the model."""
    wanted = set(QUESTION.split())
    return len(wanted & set(re.findall(r"\w+", text.lower()))) >= 0.6 * len(wanted)


def video(path: Path, sound: Path | None) -> Path:
    """Write a video of ten black frames, with that sound."""
    with av.open(str(path), "w") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        stream = out.add_stream("aac", rate=22_050) if sound else None
        for _ in range(10):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48)))
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        if sound is not None and stream is not None:
            with av.open(str(sound)) as source:
                for frame in source.decode(audio=0):
                    frame.pts = None
                    out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


# one sound


@needs_espeak
def test_a_sound_is_written_down_and_nothing_else_is_said(transcribe: Transcribe, spoken: Path) -> None:
    done = transcribe(spoken)
    assert (done.status, done.stderr) == (0, "")
    assert heard(done.stdout) and done.stdout.endswith("\n")


@needs_espeak
def test_the_same_run_gives_the_same_words(transcribe: Transcribe, spoken: Path) -> None:
    assert transcribe(spoken, "--json").stdout == transcribe(spoken, "--json").stdout


@needs_espeak
def test_json_tells_how_it_was_heard(transcribe: Transcribe, spoken: Path, speech_model: Path) -> None:
    told = transcribe(spoken, "-f", "json", "--word-timestamps").json
    assert heard(told["text"])
    assert (told["source"], told["model"], told["device"]) == (str(spoken), speech_model.name, "cpu")
    assert told["finish_reason"] == "stop" and told["language"] == "en"
    assert re.fullmatch("[0-9a-f]{64}", told["sha256"])
    assert 0 < told["speech_seconds"] <= told["seconds"]
    words = told["segments"][0]["words"]
    assert {"start", "end", "word", "confidence"} == set(words[0])


@needs_espeak
def test_verbose_tells_the_machine_s_default_and_the_speed(transcribe: Transcribe, spoken: Path) -> None:
    done = transcribe(spoken, "-v")
    assert re.search(r"wav \d+\.\d s, .* on cpu as \w+, in \d+\.\d\d s \(\d+\.\d x real time\)", done.stderr)


@needs_espeak
@pytest.mark.parametrize("name", ["talk.mp4", "talk.mkv"])
def test_the_sound_of_a_video_is_written_down(transcribe: Transcribe, spoken: Path, tmp_path: Path, name: str) -> None:
    done = transcribe(video(tmp_path / name, spoken))
    assert (done.status, done.stderr) == (0, "")
    assert heard(done.stdout)


@needs_espeak
def test_bytes_from_a_pipe_are_written_down(transcribe: Transcribe, spoken: Path) -> None:
    data = spoken.read_bytes()
    assert heard(transcribe("-", stdin=data).stdout)
    assert heard(transcribe(stdin=data).stdout)


def test_silence_gives_nothing_and_says_so(transcribe: Transcribe, tmp_path: Path) -> None:
    silence = write(tmp_path / "silence.wav", np.zeros(48_000, np.int16), 16_000)
    done = transcribe(silence)
    assert (done.status, done.stdout) == (0, "")
    assert "no speech was heard" in done.stderr


@needs_espeak
def test_the_manual_explains_every_field_of_the_json(transcribe: Transcribe, spoken: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "transcribing.md").read_text("utf-8")
    told = transcribe(spoken, "-f", "json", "--word-timestamps").json
    for key in (*told, *told["segments"][0], *told["segments"][0]["words"][0]):
        assert f"`{key}`" in page or f"….{key}`" in page, key


# what is no sound


def test_what_is_no_sound_is_one_sentence_and_status_3(transcribe: Transcribe, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("hello\n")
    (tmp_path / "noise.mp3").write_bytes(bytes(np.random.default_rng(0).integers(0, 255, 5000, np.uint8)))
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    whole = write(tmp_path / "whole.wav", np.zeros(32_000, np.int16), 16_000).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:30_000])
    video(tmp_path / "mute.mp4", None)
    for name, words in {
        "empty.wav": "is empty",
        "text.mp3": "is a text file, not a sound",
        "noise.mp3": "unknown format",
        "picture.png": "is a picture, not a sound",
        "cut.wav": "is cut short",
        "mute.mp4": "holds no sound",
        "nope.wav": "no file named",
    }.items():
        done = transcribe(name)
        assert (done.status, done.stdout) == (3, ""), name
        assert words in done.stderr.splitlines()[0] and f"`{name}`" in done.stderr, name
        assert len([line for line in done.stderr.splitlines() if line.startswith("error")]) == 1


def test_a_bad_sound_is_told_before_any_model_is_loaded(mmcli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (folder / name).write_bytes(b"damaged")
    (tmp_path / "empty.wav").write_bytes(b"")
    done = mmcli("transcribe", "empty.wav", "-m", folder)
    assert done.status == 3 and "is empty" in done.stderr


def test_without_a_speech_model_the_next_step_is_named(mmcli: Run, tmp_path: Path) -> None:
    write(tmp_path / "silence.wav", np.zeros(16_000, np.int16), 16_000)
    done = mmcli("transcribe", "silence.wav")
    assert done.status == 4
    assert "mmcli pull whisper-small" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "there is nothing to transcribe"),
        (["a.wav", "--mic"], "takes no files"),
        (["a.wav", "--until-silence", "2"], "needs --mic"),
        (["a.wav", "--language", "klingon"], "is not a language that Whisper knows (--spoken-language)"),
        (["a.wav", "--batch", "4", "--no-vad"], "--no-vad"),
        (["a.wav", "b.wav", "-f", "srt"], "srt holds one sound"),
        (["a.wav", "b.wav", "-o", "a.wav"], "is a file"),
        (["a.wav", "-o", "b.wav"], "already exists"),
        (["b.wav", "-o", "b.wav", "--overwrite"], "is the sound itself"),
        (["b.wav", "-o", "b.wav"], "is the sound itself"),
        (["b.wav", "-o", "same.txt", "--overwrite"], "is the sound itself"),  # another name of the same file
        (["b.part.txt", "-o", "b.txt"], "is the sound itself"),  # where the transcript grows
        (["a.wav", "-o", "b.wav", "--overwrite"], "a transcript cannot be a `.wav` file"),
        (["a.wav", "-o", "a.mp4"], "a transcript cannot be a `.mp4` file"),
        (["a.wav", "-o", "a.JPG", "-f", "txt"], "a transcript cannot be a `.jpg` file"),
        (["a.wav", "-o", "a.doc"], "a transcript cannot be a `.doc` file"),
        (["a.wav", "b.wav", "-o", "new.srt"], "is one file"),
        (["a.wav", "b.wav", "-o", "new.mp4"], "is one file"),
        (["--mic", "-o", "new.mp3"], "a transcript cannot be a `.mp3` file"),
        (["a.wav", "-f", "doc"], "doc"),
        (["a.wav", "--max-line-width", "30"], "--max-line-width is for subtitles, and the format is txt"),
        (["a.wav", "--highlight-words", "-f", "json"], "--highlight-words is for subtitles, and the format is json"),
        (["a.wav", "-f", "srt", "--max-line-count", "0"], "--max-line-count"),
    ],
)
def test_wrong_usage_is_status_2(transcribe: Transcribe, tmp_path: Path, arguments: list[str], told: str) -> None:
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name, np.zeros(16_000, np.int16), 16_000)
    for name in ("same.txt", "b.part.txt"):
        os.link(tmp_path / "b.wav", tmp_path / name)
    before = sorted(os.listdir(tmp_path))
    done = transcribe(*arguments)
    assert (done.status, done.stdout) == (2, ""), done.stderr
    assert told in done.stderr
    assert (tmp_path / "b.wav").read_bytes()[:4] == b"RIFF"
    assert sorted(os.listdir(tmp_path)) == before


def test_a_format_that_is_named_may_have_any_extension_but_a_medium_s(transcribe: Transcribe, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros(16_000, np.int16), 16_000)
    assert transcribe("a.wav", "-f", "txt", "-o", "a.log").status == 0
    assert transcribe("a.wav", "-o", "a").status == 0
    assert (tmp_path / "a.log").exists() and (tmp_path / "a").exists()


def test_an_error_is_json_where_json_is_wanted(transcribe: Transcribe) -> None:
    assert transcribe("nope.wav", "--json").json_error["code"] == "input"


# subtitles


@needs_espeak
@pytest.mark.parametrize("name", ["srt", "vtt", "ass", "lrc"])
def test_subtitles_fit_the_screen_as_asked(transcribe: Transcribe, tmp_path: Path, name: str) -> None:
    """The starter gives whole questions of about 30 columns: with 16, each takes two lines."""
    sound = talk(tmp_path / "talk.wav", pause=0.4)
    seconds = sound.stat().st_size / 2 / 22_050
    done = transcribe(sound, "-f", name, "--max-line-width", "16", "-v")
    assert done.status == 0, done.stderr
    assert re.search(r", \d+ cues, at most \d+\.\d characters a second \(at 00:00:\d\d\)", done.stderr)
    if name == "lrc":
        lines = [re.fullmatch(r"\[(\d\d):(\d\d\.\d\d)\](.*)", line) for line in done.stdout.splitlines()]
        times = [60 * int(line[1]) + float(line[2]) for line in lines if line]
        assert len(times) == len(lines) and times == sorted(times) and times[-1] <= seconds
        assert all(line and len(line[3]) <= 16 for line in lines)
        return
    events, before = pysubs2.SSAFile.from_string(done.stdout), 0
    assert len(events) >= len(SENTENCES)
    for event in events:
        assert before <= event.start < event.end <= 1000 * seconds and event.duration <= 7000
        assert all(len(line) <= 16 for line in event.plaintext.split("\n")) and event.plaintext.count("\n") <= 1
        before = event.end


@needs_espeak
def test_words_are_highlighted_and_layout_options_can_be_set_for_good(
    transcribe: Transcribe, spoken: Path, mmcli: Run
) -> None:
    assert mmcli("config", "set", "max-words-per-line", "2").status == 0
    assert mmcli("config", "set", "max-line-count", "1").status == 0
    assert heard(transcribe(spoken).stdout)  # of no consequence for text
    done = transcribe(spoken, "-o", "spoken.vtt", "--highlight-words")
    assert done.status == 0, done.stderr
    shown = (spoken.parent / "spoken.vtt").read_text()
    said = re.findall(r"<u>(.*?)</u>", shown)
    assert heard(" ".join(said)) and re.search(r"^(<u>)?\w+(</u>)? (<u>)?\w+(</u>)?$", shown, re.M)
    texts = [block.split("\n", 1)[1] for block in shown.strip().split("\n\n")[1:]]
    assert all(len(text.split()) <= 2 and "\n" not in text for text in texts)


# many sounds


@needs_espeak
def test_a_folder_is_written_down_and_what_fails_does_not_stop_the_rest(transcribe: Transcribe, folder: Path) -> None:
    done = transcribe("talks", "-r", "-f", "srt", "-o", "out")
    out = folder.parent / "out"
    assert done.status == 7
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == {"a.srt", "more/c.srt"}
    assert all(heard(path.read_text()) for path in out.rglob("*.srt"))
    assert "`talks/b.mp3` is a text file" in done.stderr
    assert "1 of 3 sounds could not be transcribed" in done.stderr


@needs_espeak
def test_errors_stand_between_the_words_where_their_sounds_stand(
    spoken: Path, environment: dict[str, str], speech_model: Path
) -> None:
    """One sound is read ahead, and its error is told all the same only when its turn has come."""
    bad = spoken.with_name("bad.wav")
    bad.write_bytes(b"")
    arguments = [bad.name, spoken.name, bad.name, bad.name, spoken.name, bad.name]
    done = subprocess.run(
        [sys.executable, "-m", "mmcli", "transcribe", "-m", speech_model, "--threads", "1", *arguments],
        cwd=spoken.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    kinds = [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("error:", "==>", "note:"))]
    assert done.returncode == 7
    assert kinds == ["error:", "==>", "error:", "error:", "note:", "==>", "error:", "error:"]
    assert "4 of 6 sounds could not be transcribed" in done.stdout.splitlines()[-1]


@needs_espeak
def test_what_is_there_in_that_format_is_not_done_again(transcribe: Transcribe, folder: Path) -> None:
    (folder / "b.mp3").unlink()
    out = folder.parent / "out"
    assert transcribe("talks", "-f", "srt", "-o", "out/").status == 0
    (out / "a.srt").write_text("mine")
    again = transcribe("talks", "-f", "srt", "-o", "out/")
    assert again.status == 0
    assert (out / "a.srt").read_text() == "mine"
    assert "already exist as srt" in again.stderr
    assert transcribe("talks", "-f", "txt", "-o", "out/").status == 0
    assert heard((out / "a.txt").read_text())
    assert transcribe("talks", "-f", "srt", "-o", "out/", "--overwrite").status == 0
    assert heard((out / "a.srt").read_text())


def test_where_all_is_there_no_model_is_wanted(mmcli: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros(16_000, np.int16), 16_000)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("mine")
    assert mmcli("transcribe", "a.wav", "-o", "out").status == 0


@needs_espeak
def test_several_sounds_on_stdout(transcribe: Transcribe, spoken: Path) -> None:
    other = shutil.copy(spoken, spoken.with_name("other.wav"))
    done = transcribe(spoken, other)
    assert [line for line in done.stdout.splitlines() if line.startswith("==>")] == [
        f"==> {spoken} <==",
        f"==> {other} <==",
    ]
    told = transcribe(spoken, other, "-f", "json").json
    assert [one["source"] for one in told] == [str(spoken), str(other)]
    lines = [json.loads(line) for line in transcribe(spoken, other, "-f", "jsonl").stdout.splitlines()]
    assert {line["source"] for line in lines} == {str(spoken), str(other)}


@needs_espeak
def test_two_sounds_of_one_name_do_not_overwrite_each_other(transcribe: Transcribe, spoken: Path) -> None:
    shutil.copy(spoken, spoken.with_name("spoken.flac"))  # its content says what it is
    assert transcribe("spoken.wav", "spoken.flac", "-o", "out").status == 0
    assert {path.name for path in (spoken.parent / "out").iterdir()} == {"spoken.wav.txt", "spoken.flac.txt"}
    (spoken.parent / "sub").mkdir()
    shutil.copy(spoken, spoken.parent / "sub")
    clash = transcribe("spoken.wav", "sub/spoken.wav", "-o", "out2")
    assert clash.status == 2 and "would both be written" in clash.stderr


@needs_espeak
def test_the_extension_of_the_output_chooses_the_format(transcribe: Transcribe, spoken: Path) -> None:
    assert transcribe(spoken, "-o", "new/talk.vtt").status == 0
    assert (spoken.parent / "new" / "talk.vtt").read_text().startswith("WEBVTT")
    assert sorted(path.name for path in (spoken.parent / "new").iterdir()) == ["talk.vtt"]


# while it goes on

needs_unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks as Unix knows them")


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """long.wav: some minutes."""
    return talk(tmp_path / "long.wav", repeat=20)


def start(folder: Path, environment: dict[str, str], model: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mmcli", "transcribe", "long.wav", "-m", str(model), "--threads", "1", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )


@needs_espeak
@needs_unix
def test_the_first_words_come_before_the_end_of_a_long_sound(
    long: Path, environment: dict[str, str], speech_model: Path
) -> None:
    process = start(long.parent, environment, speech_model, "-f", "jsonl")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    os.kill(process.pid, signal.SIGSTOP)  # what it had found until now is all there is in the pipe
    os.set_blocking(process.stdout.fileno(), False)
    already = (process.stdout.read() or b"").splitlines()
    os.set_blocking(process.stdout.fileno(), True)
    os.kill(process.pid, signal.SIGCONT)
    rest, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    later = [json.loads(line) for line in b"\n".join([*already, rest]).splitlines() if line]
    assert len(already) < len(later) / 2
    assert first["end"] < later[-1]["start"]


@needs_espeak
@needs_unix
@pytest.mark.parametrize("form", ["srt", "json"])
def test_ctrl_c_keeps_what_was_heard_in_a_valid_file(
    long: Path, environment: dict[str, str], speech_model: Path, form: str
) -> None:
    out = long.parent / "out"
    process = start(long.parent, environment, speech_model, "-f", form, "-o", "out/")
    growing = out / f"long.part.{form}"
    while not growing.exists() or (form == "srt" and not growing.stat().st_size):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, told
    kept = list(out.iterdir())
    if form == "srt":
        assert kept == [growing] and growing.name in told.decode()
        assert growing.read_text().startswith("1\n00:00:0")
    elif kept:
        assert json.loads(growing.read_text())["finish_reason"] == "interrupted"


@needs_espeak
@needs_unix
def test_what_was_heard_stays_even_where_the_process_is_killed_and_the_next_run_does_it_all(
    long: Path, environment: dict[str, str], speech_model: Path, transcribe: Transcribe
) -> None:
    shutil.copy(say(long.with_name("short.wav"), QUESTION), long.with_name("again.wav"))
    process = start(long.parent, environment, speech_model, "-o", "again.srt")
    growing = long.parent / "again.part.srt"
    while not growing.exists() or not growing.stat().st_size:
        assert process.poll() is None
    busy = transcribe("short.wav", "-o", "again.srt")
    process.kill()
    process.communicate()
    assert busy.status == 3 and "another mmcli" in busy.stderr
    assert growing.read_text().startswith("1\n00:00:0")
    assert transcribe("again.wav", "-o", "again.srt").status == 0
    assert heard((long.parent / "again.srt").read_text()) and not growing.exists()


@needs_espeak
@needs_unix
def test_ctrl_c_leaves_what_was_said_on_stdout(long: Path, environment: dict[str, str], speech_model: Path) -> None:
    process = start(long.parent, environment, speech_model)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert first.endswith(b"\n") and (first + rest).endswith(b"\n")
    assert b"interrupted" in told and b"Traceback" not in told


@needs_espeak
@needs_unix
def test_a_reader_that_goes_away_ends_it_quietly(long: Path, environment: dict[str, str], speech_model: Path) -> None:
    process = start(long.parent, environment, speech_model)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert (process.wait(TIMEOUT), told) == (141, b"")


@needs_espeak
@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal as Unix has them")
def test_on_a_terminal_words_come_over_the_progress_line_and_unsure_ones_are_dim(
    long: Path, environment: dict[str, str], speech_model: Path
) -> None:
    pexpect, pyte = pytest.importorskip("pexpect"), pytest.importorskip("pyte")
    arguments = ["-m", "mmcli", "transcribe", "long.wav", "-m", str(speech_model), "--word-timestamps"]
    env = environment | {"TERM": "xterm-256color"}
    child = pexpect.spawn(sys.executable, arguments, env=env, cwd=long.parent, dimensions=(60, 100), timeout=TIMEOUT)
    child.expect(r"x real time")
    child.expect(pexpect.EOF)
    child.close()
    screen = pyte.Screen(100, 200)
    pyte.ByteStream(screen).feed(child.before)
    shown = "\n".join(line.rstrip() for line in screen.display).rstrip()
    assert child.exitstatus == 0
    assert "real time" not in shown, "the progress line is gone"
    assert heard(shown)
    assert b"\x1b[2m" in child.before


# a sound in a question


@needs_espeak
def test_a_model_that_cannot_hear_gets_the_words_and_the_receipt_says_so(
    mmcli: Run, spoken: Path, speech_model: Path
) -> None:
    options = ("-m", "starter", "--temperature", "0", "--speech-model", speech_model)
    done = mmcli("ask", spoken, "What is said?", *options, "--debug", "-v")
    assert done.status == 0
    assert "transcript of" in done.prompt and heard(done.prompt)
    assert f"heard as: transcript, by {speech_model.name}" in done.stderr
    (receipt,) = mmcli("ask", spoken, "What is said?", *options, "--json").json["receipts"]
    assert (receipt["kind"], receipt["heard_as"], receipt["heard_by"]) == ("audio", "transcript", speech_model.name)
    assert receipt["origin"] == "text" and receipt["n_tokens"] > 0
    assert "cannot hear" in mmcli("ask", spoken, "What is said?", *options).stderr


@needs_espeak
def test_a_model_that_hears_gets_the_sound_itself(mmcli: Run, spoken: Path, tmp_path: Path) -> None:
    from tests import random_llava

    hearing = Random(*random_llava.write_hearing(tmp_path))
    done = mmcli("ask", spoken, "What is said?", *hearing.options, "--max-tokens", "3", "--json")
    (receipt,) = done.json["receipts"]
    assert (receipt["heard_as"], receipt["heard_by"]) == ("sound", done.json["model"]["name"])
    assert receipt["origin"] == "encoded"


def test_a_sound_in_which_nothing_is_said_is_no_question(mmcli: Run, tmp_path: Path, speech_model: Path) -> None:
    write(tmp_path / "silence.wav", np.zeros(48_000, np.int16), 16_000)
    done = mmcli("ask", "silence.wav", "What is said?", "-m", "starter", "--speech-model", speech_model)
    assert (done.status, done.stdout) == (3, "")
    assert "no speech was heard in `silence.wav`" in done.stderr


def test_without_a_speech_model_a_sound_is_refused_with_the_next_step(mmcli: Run, tmp_path: Path) -> None:
    write(tmp_path / "silence.wav", np.zeros(48_000, np.int16), 16_000)
    done = mmcli("ask", "silence.wav", "What is said?", "-m", "starter")
    assert done.status == 4
    assert "`starter` cannot hear" in done.stderr and "mmcli pull whisper-small" in done.stderr
