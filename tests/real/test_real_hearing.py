"""OpenAI's Whisper base on real and synthetic voices: whole words, right times, all formats."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pysubs2
import pytest

from tests.conftest import PICTURES, Run
from tests.speaking import needs_espeak, samples, say, write

pytestmark = pytest.mark.real

JFK = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
SPOKEN = {
    "en": "Good morning. Today is a beautiful day, and the sun is shining over the city.",
    "de": "Guten Morgen. Heute ist ein schöner Tag, und die Sonne scheint.",
    "es": "Buenos días. Hoy es un día muy bonito, y vamos a comer en el restaurante.",
}
Speech = Callable[[str], Path]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def overlap(wanted: str, heard: str) -> float:
    """The part of the words that were heard."""
    return len(set(words(wanted)) & set(words(heard))) / len(set(words(wanted)))


def test_every_word_of_kennedy_s(transcribe: Run, speech: Speech) -> None:
    told = transcribe(speech("jfk"), "--word-timestamps")
    assert told["text"] == JFK
    assert (told["language"], told["finish_reason"]) == ("en", "stop")
    assert told["language_confidence"] > 0.8
    assert told["seconds"] == pytest.approx(11.0, abs=0.1)
    timed = [word for segment in told["segments"] for word in segment["words"]]
    assert words(" ".join(word["word"] for word in timed)) == words(JFK)
    inside(timed, 0, told["seconds"])
    assert timed[0]["start"] < 1.0 and timed[-1]["end"] > 9.5


def inside(timed: list[Any], begin: float, end: float) -> None:
    """Each word has its time, in order, and none lies outside of the sound."""
    before = begin
    for word in timed:
        assert before <= word["start"] <= word["end"] <= end + 0.01, word
        before = word["start"]


def test_names_are_heard_as_they_are_spelt_where_hotwords_say_so(transcribe: Run, speech: Speech) -> None:
    sound = speech("hotwords")
    assert "ComfyUI" not in transcribe(sound)["text"]
    assert "ComfyUI" in transcribe(sound, "--hotwords", "ComfyUI")["text"]


@needs_espeak
def test_a_name_that_nobody_could_spell_is_spelt_as_the_hotword(transcribe: Run, tmp_path: Path) -> None:
    sound = say(tmp_path / "talk.wav", "Please send the letter to Mister Kowalczyk today.")
    assert "Kowalczyk" not in transcribe(sound)["text"]
    assert "Kowalczyk" in transcribe(sound, "--hotwords", "Kowalczyk")["text"]


@needs_espeak
def test_what_is_said_on_either_channel_is_heard(transcribe: Run, tmp_path: Path) -> None:
    """One person on the left, then another on the right."""
    sentences = ("Good morning and welcome to the city.", "The train to London leaves in the evening.")
    left, right = (samples(say(tmp_path / "part.wav", text)) for text in sentences)
    pause = np.zeros((11_025, 2), np.int16)  # half a second
    silence = [np.zeros_like(sound[0]) for sound in (left, right)]
    both = np.concatenate([np.hstack([left[0], silence[0]]), pause, np.hstack([silence[1], right[0]])])
    told = transcribe(write(tmp_path / "talk.wav", both, left[1]))
    assert words(told["text"]) == words(" ".join(sentences))


def test_two_people_on_two_channels_are_both_heard(transcribe: Run, speech: Speech) -> None:
    told = transcribe(speech("stereo_diarization"))
    left, right = "if he seemed to complain", "the wizard who would vanish behind the curtain on the left"
    assert left in told["text"] or right in told["text"]
    assert overlap(f"{left} {right}", told["text"]) > 0.7
    assert any("2 channels" in note for note in told["notes"])


@needs_espeak
def test_the_language_is_heard(transcribe: Run, tmp_path: Path) -> None:
    for language, text in SPOKEN.items():
        say(tmp_path / f"{language}.wav", text, language)
    told = transcribe(*(tmp_path / f"{language}.wav" for language in SPOKEN))
    assert [each["language"] for each in told] == list(SPOKEN)
    for each, text in zip(told, SPOKEN.values(), strict=True):
        assert overlap(text, each["text"]) > 0.6, each["text"]
        inside(each["segments"], 0, each["seconds"] + 0.5)


def test_three_languages_in_one_file(transcribe: Run, speech: Speech, tmp_path: Path) -> None:
    """The German part alone, by its own language and as English: what is spoken is written, not translated."""
    with av.open(str(speech("multilingual"))) as source:
        resampler = av.AudioResampler("s16", "mono", 16_000)
        frames = [part for frame in source.decode(audio=0) for part in resampler.resample(frame)]
    sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    german = write(tmp_path / "german.wav", sound[29 * 16_000 : 44 * 16_000], 16_000)
    told = transcribe(german)
    assert told["language"] == "de" and overlap("die der und", told["text"]) >= 1 / 3, told["text"]
    english = transcribe(german, "--translate")
    assert english["translated"] and overlap("the of", english["text"]) == 1, english["text"]


@needs_espeak
def test_three_languages_in_one_file_are_written_each_in_its_own(transcribe: Run, tmp_path: Path) -> None:
    parts = [samples(say(tmp_path / f"{language}.wav", text, language)) for language, text in SPOKEN.items()]
    pause = np.zeros((parts[0][1], 1), np.int16)  # a second
    sound = np.concatenate([block for part, _ in parts for block in (part, pause)])
    told = transcribe(write(tmp_path / "talk.wav", sound, parts[0][1]), "--multilingual")
    for language, text in SPOKEN.items():
        heard = " ".join(segment["text"] for segment in told["segments"] if segment["language"] == language)
        assert overlap(text, heard) > 0.6, (language, told["text"])


def test_the_german_part_of_an_english_file_stays_german(transcribe: Run, speech: Speech) -> None:
    told = transcribe(speech("multilingual"), "--multilingual")
    english, german = (
        " ".join(segment["text"] for segment in told["segments"] if segment["language"] == language)
        for language in ("en", "de")
    )
    assert "without restriction" in english and "Software" in german and overlap("die der und zu", german) == 1
    assert min(segment["start"] for segment in told["segments"] if segment["language"] == "de") > 29


@needs_espeak
def test_words_have_the_times_at_which_they_were_said(transcribe: Run, tmp_path: Path) -> None:
    """Two sentences with silence before, between and behind them: where each one's words may lie is known."""
    sentences = ("The first train leaves early in the morning.", "Please close the window.")
    pauses, at, rate, parts, spans = (1.5, 4.0), 0.0, 22_050, [], []
    for sentence, pause in zip(sentences, pauses, strict=True):
        sound, rate = samples(say(tmp_path / "part.wav", sentence))
        parts += [np.zeros(int(pause * rate), np.int16), sound[:, 0]]
        spans.append((at + pause, at + pause + len(sound) / rate))
        at = spans[-1][1]
    path = write(tmp_path / "talk.wav", np.concatenate([*parts, np.zeros(2 * rate, np.int16)]), rate)
    told = transcribe(path, "--word-timestamps")
    timed = [word for segment in told["segments"] for word in segment["words"]]
    inside(timed, 0, told["seconds"])
    assert words(told["text"]) == words(" ".join(sentences))
    n_first = len(words(sentences[0]))
    for said, (begin, end) in zip((timed[:n_first], timed[n_first:]), spans, strict=True):
        assert begin - 0.4 <= said[0]["start"] and said[-1]["end"] <= end + 0.4, (said, begin, end)


@needs_espeak
def test_subtitles_and_tables_have_the_same_words(run: Run, whisper: Path, tmp_path: Path) -> None:
    sound = say(tmp_path / "talk.wav", SPOKEN["en"])
    done = {form: run("transcribe", sound, "-m", whisper, "-f", form) for form in ("srt", "vtt", "tsv")}
    assert {form: each.status for form, each in done.items()} == dict.fromkeys(done, 0)
    assert re.match(r"1\n00:00:00,\d{3} --> 00:00:0\d,\d{3}\n", done["srt"].stdout)
    assert done["vtt"].stdout.startswith("WEBVTT\n\n00:00")
    for form, each in done.items():
        assert overlap(SPOKEN["en"], each.stdout) > 0.9, form


def check_cues(text: str, told: Any, said: str) -> list[Any]:
    """A transcript's subtitles: all words, 2 lines of 42 columns, 7 s, in order, inside the sound."""
    events, before = list(pysubs2.SSAFile.from_string(text)), 0
    for event in events:
        assert before <= event.start < event.end <= 1000 * told["seconds"] + 1 and event.duration <= 7001
        lines = event.plaintext.split("\n")
        assert len(lines) <= 2 and all(0 < len(line) <= 42 for line in lines), lines
        before = event.end
    assert words(" ".join(event.plaintext for event in events)) == words(said)
    return events


def test_subtitles_of_a_real_voice(transcribe: Run, run: Run, whisper: Path, speech: Speech) -> None:
    sound = speech("jfk")
    told = transcribe(sound, "--word-timestamps")
    timed = [word for segment in told["segments"] for word in segment["words"]]
    for form in ("srt", "vtt", "ass"):
        done = run("transcribe", sound, "-m", whisper, "-f", form, "-v")
        assert done.status == 0 and "characters a second" in done.stderr, done.stderr
        events, n = check_cues(done.stdout, told, JFK), 0
        assert len(events) >= 2
        for event in events:  # each begins and ends with its own words
            first, n = timed[n], n + len(event.plaintext.split())
            assert abs(event.start - 1000 * first["start"]) <= 11
            assert -11 <= event.end - 1000 * timed[n - 1]["end"] <= 700
    sung = run("transcribe", sound, "-m", whisper, "-f", "srt", "--highlight-words").stdout
    assert words(" ".join(re.findall("<u>(.*?)</u>", sung))) == words(JFK)


def test_subtitles_of_speech_that_goes_on_and_on(transcribe: Run, speech: Speech, run: Run, whisper: Path) -> None:
    sound = speech("multilingual")
    told = transcribe(sound, "--word-timestamps")
    assert max(segment["end"] - segment["start"] for segment in told["segments"]) > 7
    check_cues(run("transcribe", sound, "-m", whisper, "-f", "vtt").stdout, told, told["text"])


# One container and codec a row; `film` adds moving pictures.
FORMATS = {
    "wav": ("wav", "pcm_s16le", False),
    "deep.wav": ("wav", "pcm_s24le", False),
    "flac": ("flac", "flac", False),
    "mp3": ("mp3", "libmp3lame", False),
    "opus": ("ogg", "libopus", False),
    "m4a": ("ipod", "aac", False),
    "alac.m4a": ("ipod", "alac", False),
    "aiff": ("aiff", "pcm_s16be", False),
    "webm": ("webm", "libopus", False),
    "mp4": ("mp4", "aac", True),
    "mkv": ("matroska", "flac", True),
}


def encode(path: Path, sound: np.ndarray, form: str, codec: str, film: bool) -> None:
    """Write (n,) int16 samples at 48,000 Hz in any container that FFmpeg has."""
    with av.open(str(path), "w", format=form) as out:
        track = out.add_stream(codec, rate=48_000)
        track.layout = "mono"
        if film:
            pictures = out.add_stream("mpeg4", rate=5)
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
            for i in range(5 * len(sound) // 48_000):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), i % 255, np.uint8), "rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 5)
                out.mux(pictures.encode(frame))
            out.mux(pictures.encode(None))
        source = av.AudioFrame.from_ndarray(sound.reshape(1, -1), "s16", "mono")
        source.sample_rate, source.pts, source.time_base = 48_000, 0, Fraction(1, 48_000)
        resampler = av.AudioResampler(
            track.codec_context.format, "mono", 48_000, track.codec_context.frame_size or 1024
        )
        for part in resampler.resample(source) + resampler.resample(None):
            out.mux(track.encode(part))
        out.mux(track.encode(None))


@needs_espeak
def test_the_same_words_in_every_format(transcribe: Run, tmp_path: Path) -> None:
    """One run over a folder: each file gives the words that the WAV gives."""
    with av.open(str(say(tmp_path / "said.wav", "Please close the window before you go home."))) as spoken:
        resampler = av.AudioResampler("s16", "mono", 48_000)
        frames = [part for frame in spoken.decode(audio=0) for part in resampler.resample(frame)]
    sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    folder = tmp_path / "talks"
    folder.mkdir()
    for name, how in FORMATS.items():
        encode(folder / f"talk.{name}", sound, *how)
    told = transcribe(folder)
    heard = {Path(each["source"]).name.removeprefix("talk."): each for each in told}
    assert set(heard) == set(FORMATS)
    wanted = words("Please close the window before you go home.")
    assert {name: words(each["text"]) for name, each in heard.items()} == dict.fromkeys(FORMATS, wanted)
    for name, each in heard.items():
        assert each["seconds"] == pytest.approx(len(sound) / 48_000, abs=0.15), name


@needs_espeak
def test_a_model_that_cannot_hear_is_told_what_was_said(run: Run, whisper: Path, tmp_path: Path) -> None:
    sound = say(tmp_path / "talk.wav", SPOKEN["en"])
    done = run(
        *("ask", sound, PICTURES / "shapes.png", "What is in this picture?"),
        *("-m", "starter", "--speech-model", whisper, "--temperature", "0", "--debug"),
    )
    assert done.status == 0, done.stderr[-2000:]
    assert overlap(SPOKEN["en"], done.prompt) > 0.9
    assert {"circle", "square", "star"} <= done.words
