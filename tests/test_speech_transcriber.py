"""The transcriber with a real small Whisper, on speech of espeak-ng's."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcli.errors import ModelError, UsageError
from mmcli.media.audio import Resampler
from mmcli.speech import transcriber as module
from mmcli.speech.transcriber import Heard, Listening, Transcriber, span_end
from tests.speaking import SENTENCES, needs_espeak, samples, talk

RATE = 16_000  # Hz
Sound = NDArray[np.float32]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """SENTENCES with two seconds of silence between them, at 16,000 Hz."""
    sound, rate = samples(talk(tmp_path_factory.mktemp("talk") / "talk.wav", pause=2.0))
    return Resampler(rate, 1, RATE)((sound / 32768).astype(np.float32))


@pytest.fixture(scope="module")
def whisper(speech_model: Path) -> Transcriber:
    return Transcriber(speech_model, threads=1)


def words(found: list[module.Segment]) -> list[str]:
    return " ".join(segment.text for segment in found).lower().split()


@needs_espeak
def test_what_is_said_is_written_down_with_its_times(whisper: Transcriber, spoken: Sound) -> None:
    heard, done = Heard(), []
    found = list(whisper.transcribe(spoken, Listening(), heard, on_progress=done.append))
    wanted = " ".join(SENTENCES).split()
    # Most of it: what is tested is the way through, not how well a small model understands.
    assert len(set(wanted) & set(words(found))) >= 0.7 * len(set(wanted))
    assert all(0 <= one.start < one.end <= len(spoken) / RATE + 1 for one in found)
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert all(0 < one.confidence <= 1 and one.words is None for one in found)
    assert done == sorted(done) and done[-1] == len(spoken) / RATE
    assert heard.language == "en"
    assert 0.2 * len(spoken) / RATE < heard.speech_seconds < len(spoken) / RATE


@needs_espeak
def test_equal_sounds_give_equal_words(whisper: Transcriber, spoken: Sound, speech_model: Path) -> None:
    once = list(whisper.transcribe(spoken))
    assert list(whisper.transcribe(spoken)) == once
    assert list(Transcriber(speech_model, threads=1).transcribe(spoken)) == once


@needs_espeak
def test_a_long_sound_is_heard_in_spans_that_are_cut_in_silence(
    whisper: Transcriber, spoken: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPAN", 8 * RATE)
    monkeypatch.setattr(module, "SEARCH", 4 * RATE)
    long = np.concatenate([spoken, spoken])
    ends, start = [], 0
    while start < len(long):
        start = span_end(long, start)
        ends.append(start)
    assert len(ends) > 3
    for end in ends[:-1]:
        assert not long[end - RATE // 20 : end + RATE // 20].any(), "a span ends within a word"
    found = list(whisper.transcribe(long))
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert found[-1].start > len(spoken) / RATE, "times count from the beginning of the sound"
    wanted = " ".join(SENTENCES).split()
    assert len(words(found)) >= 1.4 * len(wanted)


@needs_espeak
def test_words_have_times_and_confidences_where_they_are_asked_for(whisper: Transcriber, spoken: Sound) -> None:
    found = list(whisper.transcribe(spoken, Listening(word_timestamps=True)))
    assert found
    for one in found:
        assert one.words and "".join(word.text for word in one.words).strip() == one.text
        assert all(0 <= word.confidence <= 1 and word.start <= word.end for word in one.words)


@needs_espeak
def test_windows_may_be_heard_at_once(whisper: Transcriber, spoken: Sound) -> None:
    found = list(whisper.transcribe(spoken, Listening(batch=4)))
    wanted = set(" ".join(SENTENCES).split())
    assert len(wanted & set(words(found))) >= 0.6 * len(wanted)


@needs_espeak
def test_nothing_comes_after_stop(whisper: Transcriber, spoken: Sound) -> None:
    stop = threading.Event()
    segments = whisper.transcribe(np.concatenate([spoken, spoken]), stop=stop)
    next(segments)
    stop.set()
    assert list(segments) == []


@pytest.mark.parametrize("sound", [np.zeros(0, np.float32), np.zeros(100, np.float32), np.zeros(5 * RATE, np.float32)])
def test_silence_gives_nothing_and_no_language(whisper: Transcriber, sound: Sound) -> None:
    heard = Heard()
    assert list(whisper.transcribe(sound, Listening(), heard)) == []
    assert (heard.language, heard.speech_seconds) == (None, 0.0)


# what it cannot do is said before anything is listened to


@pytest.mark.parametrize(
    ("listening", "kind", "told"),
    [
        (Listening(language="xx"), UsageError, "`xx` is not a language that Whisper knows"),
        (Listening(language="de"), ModelError, "English only"),
        (Listening(translate=True), ModelError, "cannot translate"),
        (Listening(batch=2, vad=False), UsageError, "--no-vad"),
    ],
)
def test_what_a_model_cannot_do_is_an_error(
    whisper: Transcriber, listening: Listening, kind: type[Exception], told: str
) -> None:
    if len(whisper.languages) > 1 and kind is ModelError:
        pytest.skip("MMCLI_TEST_SPEECH_MODEL understands more than English")
    with pytest.raises(kind, match=told):
        next(whisper.transcribe(np.zeros(RATE, np.float32), listening))


@pytest.mark.parametrize("listening", [Listening(prompt="circles " * 300), Listening(hotwords="circles " * 300)])
def test_a_prompt_of_which_the_model_would_not_see_all_is_an_error(whisper: Transcriber, listening: Listening) -> None:
    with pytest.raises(UsageError, match="too long"):
        whisper.check(listening)


# what is no model


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a speech model"):
        Transcriber(tmp_path)


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "config.json"])
def test_a_damaged_model_is_told(tmp_path: Path, speech_model: Path, file: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(speech_model, folder)
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="speech model `model`"):
        Transcriber(folder, threads=1)


def test_a_compute_type_that_is_not_there_is_told_with_those_that_are(speech_model: Path) -> None:
    with pytest.raises(UsageError, match="int4") as caught:
        Transcriber(speech_model, device="cpu", compute_type="int4")
    assert "float32" in str(caught.value.hint)
