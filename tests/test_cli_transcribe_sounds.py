"""`mmcli transcribe` with sounds as people have them: late, with pauses, damaged, inverted, interrupted half-way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcli.media.types import Audio, Receipt
from mmcli.speech import transcribing
from mmcli.speech.transcriber import Heard, Listening
from mmcli.speech.transcript import Segment
from tests import random_llava, sounds
from tests.conftest import TIMEOUT, Completed, Random, Run
from tests.speaking import SENTENCES, needs_espeak, samples, say, talk, write

Transcribe = Callable[..., Completed]
QUESTION, OTHER = SENTENCES[0], SENTENCES[2]
needs_unix = pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix knows them")


@pytest.fixture
def transcribe(mmcli: Run, speech_model: Path) -> Transcribe:
    def run(*arguments: str | Path, stdin: bytes | None = None) -> Completed:
        return mmcli("transcribe", "-m", speech_model, "--threads", "1", *arguments, stdin=stdin)

    return run


def spoken(folder: Path, *sentences: str, pause: float = 0.5) -> tuple[NDArray[np.int16], int]:
    """(n,) samples of the sentences, with a pause between them but none before or behind, and their rate in Hz."""
    pieces: list[NDArray[np.int16]] = []
    rate = 0
    for sentence in sentences:
        sound, rate = samples(say(folder / "sentence.wav", sentence))
        pieces += [sound[:, 0], np.zeros(int(pause * rate), np.int16)]
    return np.concatenate(pieces[:-1]), rate


def heard(text: str, sentence: str = QUESTION) -> bool:
    wanted = set(sentence.split())
    return len(wanted & set(re.findall(r"\w+", text.lower()))) >= 0.6 * len(wanted)


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


# times


@needs_espeak
@pytest.mark.parametrize(("container", "film"), [("matroska", 12.0), ("mp4", 12.0), ("matroska", 0.0), ("mp4", 0.0)])
def test_the_first_cue_stands_where_the_sound_begins(
    transcribe: Transcribe, tmp_path: Path, container: str, film: float
) -> None:
    sound, rate = spoken(tmp_path, QUESTION)
    (tmp_path / "film").write_bytes(sounds.sound(container, "aac", sound, rate=rate, late=2.4, film=film))
    done = transcribe("film", "-f", "srt")
    assert (done.status, done.stderr) == (0, "")
    first, last = re.findall(r"\d\d:\d\d:\d\d,\d{3}", done.stdout)
    assert seconds(first) == pytest.approx(2.4, abs=0.3) and seconds(last) <= 2.4 + len(sound) / rate + 0.05
    told = transcribe("film", "--json", "--word-timestamps").json
    assert told["start"] == pytest.approx(2.4, abs=0.05)
    assert told["segments"][0]["words"][0]["start"] == pytest.approx(2.4, abs=0.3)
    assert all(word["end"] <= told["seconds"] for one in told["segments"] for word in one["words"])
    vtt = transcribe("film", "-f", "vtt").stdout
    assert seconds(re.findall(r"\d\d:\d\d:\d\d\.\d{3}", vtt)[0]) == pytest.approx(2.4, abs=0.3)


@needs_espeak
@pytest.mark.parametrize("gap", [4.0, 60.0])
def test_what_is_said_after_a_gap_has_its_own_time(transcribe: Transcribe, tmp_path: Path, gap: float) -> None:
    sound, rate = spoken(tmp_path, QUESTION, OTHER)
    begins = (len(sound) - len(spoken(tmp_path, OTHER)[0])) / rate  # of the second sentence, without the gap
    data = sounds.sound("matroska", "aac", sound, rate=rate, gap=(begins - 0.25, gap))
    (tmp_path / "talk.mka").write_bytes(data)
    done = transcribe("talk.mka", "--json", "--word-timestamps")
    first, *_, last = done.json["segments"]
    assert first["start"] == pytest.approx(0, abs=0.3)
    assert last["start"] == pytest.approx(begins + gap, abs=0.5) and heard(last["text"], OTHER)
    assert done.json["seconds"] == pytest.approx(len(sound) / rate + gap, abs=0.2)
    (told,) = [note for note in done.json["notes"] if "Hz →" not in note]
    assert re.fullmatch(rf"no sound for {gap:.1f} s at 0:0\d: its time stamps jump", told)
    assert told in transcribe("talk.mka").stderr


# damage


@needs_espeak
def test_a_cut_sound_is_taken_where_that_is_asked_for_and_the_receipt_says_so(
    transcribe: Transcribe, tmp_path: Path
) -> None:
    sound, rate = spoken(tmp_path, QUESTION, OTHER)
    whole = bytes(sounds.wav(sound, rate))
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) * 2 // 3])
    refused = transcribe("cut.wav")
    assert (refused.status, refused.stdout) == (3, "")
    assert "is cut short" in refused.stderr and "--damaged-ok" in refused.stderr
    taken = transcribe("cut.wav", "--damaged-ok", "--json")
    assert taken.status == 0 and heard(taken.json["text"])
    assert any("cut short" in note and "taken as it is" in note for note in taken.json["notes"])
    assert "taken as it is" in transcribe("cut.wav", "--damaged-ok").stderr


@needs_espeak
def test_a_second_of_speech_does_not_disappear_without_a_word(transcribe: Transcribe, tmp_path: Path) -> None:
    sound, rate = spoken(tmp_path, *SENTENCES)
    wide = np.interp(np.arange(0, len(sound), rate / 48_000), np.arange(len(sound)), sound).astype(np.int16)
    whole = sounds.sound("ogg", "libopus", wide)
    (tmp_path / "whole.opus").write_bytes(whole)
    (tmp_path / "flip.opus").write_bytes(sounds.flipped(whole))
    good, bad = (transcribe(name, "--json", "--word-timestamps") for name in ("whole.opus", "flip.opus"))
    assert good.status == bad.status == 0 and good.stderr == ""
    assert re.match(r"damaged: 1\.0 of 1\d\.\d seconds are missing, at 0:0\d", bad.json["notes"][0])
    assert bad.json["notes"][0] in transcribe("flip.opus").stderr
    assert bad.json["seconds"] == pytest.approx(good.json["seconds"], abs=0.05)
    (last, wanted) = (done.json["segments"][-1]["words"][-1] for done in (bad, good))
    assert last["word"] == wanted["word"] and last["start"] == pytest.approx(wanted["start"], abs=0.3)


@needs_espeak
def test_an_inverted_channel_does_not_silence_the_other(transcribe: Transcribe, tmp_path: Path) -> None:
    sound, rate = spoken(tmp_path, QUESTION)
    write(tmp_path / "inverted.wav", np.stack([sound, -sound], axis=1), rate)
    done = transcribe("inverted.wav")
    assert done.status == 0 and heard(done.stdout)
    assert "its channels cancel each other out: the first alone is taken" in done.stderr


def test_a_sound_of_one_sample_is_too_short_for_a_model_that_hears(mmcli: Run, tmp_path: Path) -> None:
    write(tmp_path / "one.wav", np.array([1000], np.int16), 16_000)
    write(tmp_path / "enough.wav", np.full(1600, 1000, np.int16), 16_000)
    hearing_model = Random(*random_llava.write_hearing(tmp_path / "model"))
    for arguments in (
        ("ask", "one.wav", "What is said?", *hearing_model.options),
        ("chat", "one.wav", *hearing_model.options),
    ):
        done = mmcli(*arguments, "--max-tokens", "2", stdin=b"What is said?\n" if arguments[0] == "chat" else None)
        assert done.status == 3 and "`one.wav` is too short to be heard" in done.stderr
    done = mmcli("ask", "enough.wav", "What is said?", *hearing_model.options, "--max-tokens", "2")
    assert done.status == 0


def test_only_a_multilingual_model_can_tell_languages_apart(transcribe: Transcribe, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.full(16_000, 1000, np.int16), 16_000)
    done = transcribe("a.wav", "--multilingual")
    assert done.status == 4 and "understands English only, so it cannot tell languages apart" in done.stderr


# speech without words


class Deaf:
    """Finds words in the first seconds only; everything else is real."""

    name, device, compute_type = "deaf", "cpu", "int8"

    def transcribe(
        self, samples: NDArray[np.float32], listening: Listening, heard: Heard, **options: object
    ) -> Iterator[Segment]:
        from mmcli.speech import spans

        heard.takes(spans.speech(samples))
        yield Segment(1.0, 3.0, "how many red circles are there", 0.9)


class Nowhere:
    def begin(self, transcript: object) -> None: ...

    segment = end = lambda self, *arguments: None


@needs_espeak
def test_speech_that_gave_no_words_is_told_with_its_time(tmp_path: Path) -> None:
    sound, rate = samples(talk(tmp_path / "talk.wav", [QUESTION, OTHER, OTHER]))
    wide = np.interp(np.arange(0, len(sound), rate / 16_000), np.arange(len(sound)), sound[:, 0] / 32_768)
    receipt = Receipt("talk.wav", "audio", "", 1, "wav", seconds=100.0)
    audio = Audio(wide.astype(np.float32), 16_000, "id", receipt, ((0, 60.0),))
    transcript = transcribing.listen(
        Deaf(),  # type: ignore[arg-type]
        audio,
        Listening(),
        Nowhere(),  # type: ignore[arg-type]
        threading.Event(),
        lambda *arguments: None,  # type: ignore[arg-type]
    )
    assert transcript.segments[0].start == 61.0
    (note,) = transcript.notes
    assert re.fullmatch(r"speech at 1:0[345]–1:0[789] gave no words", note), note


# going on


class Running:
    """One `mmcli transcribe long.wav …` whose stdout is read line by line."""

    def __init__(self, folder: Path, environment: dict[str, str], model: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmcli", "transcribe", "-m", str(model), "--threads", "1", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def lines(self, n: int) -> list[bytes]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline() for _ in range(n)]

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, told.decode()


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """long.wav: a minute and a half."""
    return talk(tmp_path / "long.wav", repeat=6)


def kept(environment: dict[str, str]) -> list[Path]:
    """The journals in the cache."""
    return sorted((Path(environment["XDG_CACHE_HOME"]) / "mmcli" / "transcripts").glob("*"))


@needs_espeak
@needs_unix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_goes_on_where_it_was_interrupted(
    long: Path, environment: dict[str, str], speech_model: Path, transcribe: Transcribe, number: int
) -> None:
    whole = transcribe("long.wav", "-f", "jsonl")
    assert kept(environment) == [], "what is done need not be kept"
    running = Running(long.parent, environment, speech_model, "long.wav", "-f", "jsonl")
    before = running.lines(12)
    status, told = running.end(number)
    assert status == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert "interrupted; the same command continues" in told
    (journal,) = kept(environment)
    assert journal.stat().st_mode & 0o777 == 0o600
    again = transcribe("long.wav", "-f", "jsonl")
    assert re.search(r"long\.wav: continuing at 0:[1-5]\d, where an earlier run ended", again.stderr)
    assert again.stdout == whole.stdout and again.stdout.encode().startswith(b"".join(before))
    assert kept(environment) == []


@needs_espeak
@needs_unix
def test_a_transcript_in_a_file_goes_on_in_any_format(
    long: Path, environment: dict[str, str], speech_model: Path, transcribe: Transcribe
) -> None:
    running = Running(long.parent, environment, speech_model, "long.wav", "-o", "out.srt")
    growing = long.parent / "out.part.srt"
    while not growing.exists() or growing.stat().st_size < 300:
        assert running.process.poll() is None
    running.end(signal.SIGKILL)
    left = growing.read_text()
    again = transcribe("long.wav", "-o", "out.srt")
    assert "continuing at" in again.stderr and not growing.exists()
    assert (long.parent / "out.srt").read_text().startswith(left[: left.rindex("\n\n")])
    assert transcribe("long.wav", "-f", "srt").stdout == (long.parent / "out.srt").read_text()


@needs_espeak
@needs_unix
@pytest.mark.parametrize("form", ["srt", "vtt", "tsv", "md", "json"])
def test_no_empty_part_stays_where_it_is_killed_before_the_first_words(
    long: Path, environment: dict[str, str], speech_model: Path, form: str
) -> None:
    running = Running(long.parent, environment, speech_model, "long.wav", "-o", f"out/long.{form}", "--debug")
    while not kept(environment):  # it begins to listen
        assert running.process.poll() is None
    running.end(signal.SIGKILL)
    for path in (long.parent / "out").iterdir():
        assert path.read_text().strip() not in ("", "WEBVTT", "start\tend\ttext", "# long.wav"), path
        assert form != "json" or json.loads(path.read_text())["finish_reason"] == "interrupted"


@needs_espeak
@needs_unix
def test_what_a_killed_run_left_as_json_can_be_read(
    long: Path, environment: dict[str, str], speech_model: Path
) -> None:
    running = Running(long.parent, environment, speech_model, "long.wav", "-o", "out.json")
    growing = long.parent / "out.part.json"
    while not growing.exists() or growing.stat().st_size < 2000:
        assert running.process.poll() is None
    running.end(signal.SIGKILL)
    told = json.loads(growing.read_text())
    assert told["finish_reason"] == "interrupted" and len(told["segments"]) > 3


@needs_espeak
@needs_unix
def test_of_several_sounds_those_that_were_done_are_not_heard_again(
    long: Path, environment: dict[str, str], speech_model: Path, transcribe: Transcribe
) -> None:
    say(long.with_name("first.wav"), QUESTION)
    running = Running(long.parent, environment, speech_model, "first.wav", "long.wav")
    before = running.lines(16)  # two names, an empty line, one line of the first, twelve of the second
    running.end(signal.SIGINT)
    assert len(kept(environment)) == 2
    again = transcribe("first.wav", "long.wav")
    assert "first.wav: continuing at 0:0" in again.stderr and "long.wav: continuing at 0:" in again.stderr
    assert again.stdout.encode().startswith(b"".join(before)) and kept(environment) == []


@needs_espeak
@needs_unix
def test_another_way_of_listening_begins_anew(
    long: Path, environment: dict[str, str], speech_model: Path, transcribe: Transcribe
) -> None:
    running = Running(long.parent, environment, speech_model, "long.wav")
    running.lines(6)
    running.end(signal.SIGINT)
    assert "continuing at" not in transcribe("long.wav", "--word-timestamps").stderr
    assert len(kept(environment)) == 1
    os.truncate(long, 400_000)
    write(long, samples_of(long), 22_050)
    assert "continuing at" not in transcribe("long.wav").stderr


def samples_of(path: Path) -> NDArray[np.int16]:
    """What is left of a WAV that was cut."""
    return np.frombuffer(path.read_bytes()[44:], np.int16)
