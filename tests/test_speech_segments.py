"""What the transcriber tells of segments: times within the sound, how sure it was, how far it got, what it missed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcli.errors import UsageError
from mmcli.media.audio import Resampler
from mmcli.speech import spans
from mmcli.speech import transcriber as module
from mmcli.speech.journal import MOST_DAYS, Journal
from mmcli.speech.transcriber import Heard, Listening, Transcriber
from mmcli.speech.transcript import Segment
from tests.speaking import SENTENCES, needs_espeak, samples, say, talk

RATE = 16_000  # Hz
Sound = NDArray[np.float32]


def resampled(path: Path) -> Sound:
    sound, rate = samples(path)
    return Resampler(rate, 1, RATE)((sound / 32768).astype(np.float32))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """SENTENCES with a second of silence between them."""
    return resampled(talk(tmp_path_factory.mktemp("talk") / "talk.wav"))


@pytest.fixture(scope="module")
def whisper(speech_model: Path) -> Transcriber:
    return Transcriber(speech_model, threads=1)


# times and confidences


@needs_espeak
@pytest.mark.parametrize("listening", [Listening(), Listening(vad=False), Listening(batch=2)], ids=str)
def test_no_segment_ends_after_the_sound_does(whisper: Transcriber, tmp_path: Path, listening: Listening) -> None:
    sound = resampled(say(tmp_path / "one.wav", SENTENCES[0]))[: RATE // 2]
    for words in (False, True):
        found = list(whisper.transcribe(sound, Listening(**{**vars(listening), "word_timestamps": words})))
        for one in found:
            assert 0 <= one.start < one.end <= len(sound) / RATE
            assert all(one.start <= word.start < word.end <= one.end + 0.001 for word in one.words or ())


@needs_espeak
@pytest.mark.parametrize("listening", [Listening(), Listening(word_timestamps=True), Listening(batch=2)], ids=str)
def test_segments_follow_each_other_within_the_sound(whisper: Transcriber, spoken: Sound, listening: Listening) -> None:
    found = list(whisper.transcribe(spoken, listening))
    assert len(found) >= len(SENTENCES) / 2
    for before, one in zip(found, found[1:], strict=False):
        assert before.end <= one.start
    assert found[-1].end <= len(spoken) / RATE
    for one in found:
        assert all(word.start < word.end for word in one.words or ())


@needs_espeak
@pytest.mark.parametrize("batch", [1, 2])
def test_a_confidence_is_that_of_the_segment_and_not_of_its_window(
    whisper: Transcriber, spoken: Sound, batch: int
) -> None:
    window = spoken[: 8 * RATE]  # the starter hears 10 seconds at once
    sure = [one.confidence for one in whisper.transcribe(window, Listening(batch=batch))]
    assert len(sure) >= 2 and len({round(one, 6) for one in sure}) == len(sure)
    assert all(0 < one <= 1 for one in sure)


@needs_espeak
def test_a_segment_is_as_sure_as_its_words(whisper: Transcriber, spoken: Sound) -> None:
    for one in whisper.transcribe(spoken, Listening(word_timestamps=True)):
        words = [word.confidence for word in one.words or ()]
        assert one.confidence == pytest.approx(sum(words) / len(words), abs=0.01)


# going on


def heard_so_far(
    whisper: Transcriber, sound: Sound, listening: Listening, folder: Path, until: Callable[[int], bool]
) -> list[Segment]:
    """One run that ends when `until` says so of the number of segments; what it and the runs before found."""
    journal, stop = Journal(folder, "talk"), threading.Event()
    found = list(journal.segments)
    for segment in whisper.transcribe(sound, listening, journal.heard, stop=stop):
        journal.segment(segment, journal.heard)
        found.append(segment)
        if until(len(found)):
            stop.set()
    journal.close(journal.heard, done=not stop.is_set())
    return found


@needs_espeak
@pytest.mark.parametrize(
    "listening",
    [
        Listening(),
        Listening(word_timestamps=True),
        Listening(batch=2),
        Listening(vad=False),
        Listening(prompt="is the star red"),
    ],
    ids=str,
)
def test_a_run_goes_on_where_another_one_was_interrupted(
    whisper: Transcriber, spoken: Sound, tmp_path: Path, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPAN", 15 * RATE)
    monkeypatch.setattr(module, "SEARCH", 4 * RATE)
    sound = np.concatenate([spoken, spoken])
    whole = list(whisper.transcribe(sound, listening))
    n_windows: list[int] = []
    generate = whisper._model.before_each
    monkeypatch.setattr(whisper._model, "before_each", lambda: (n_windows.append(1), generate()))
    for n in range(1, len(whole), 3):
        heard_so_far(whisper, sound, listening, tmp_path, lambda found, n=n: found >= n)
    assert heard_so_far(whisper, sound, listening, tmp_path, lambda found: False) == whole
    if listening.batch == 1:
        assert len(n_windows) < 3 * len(whole), "each run heard at most one window again"


@needs_espeak
@pytest.mark.parametrize("batch", [1, 2])
def test_no_window_that_was_done_is_heard_again(
    whisper: Transcriber, spoken: Sound, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is asked for while the second window is listened to, or the second batch of windows."""
    sound, n_encoded, stop_at, stop = np.concatenate([spoken] * 4), 0, 0, threading.Event()
    encode = whisper._model.encode

    def counted(features: object) -> object:
        nonlocal n_encoded
        n_encoded += 1
        found = encode(features)
        if n_encoded == stop_at:
            stop.set()
        return found

    monkeypatch.setattr(whisper._model, "encode", counted)
    listening = Listening(language="en", batch=batch)
    whole = list(whisper.transcribe(sound, listening))
    n_in_all, n_encoded, stop_at = n_encoded, 0, 2
    assert n_in_all > 2
    journal, before = Journal(tmp_path, "talk"), []
    for segment in whisper.transcribe(sound, listening, journal.heard, stop=stop):
        journal.segment(segment, journal.heard)
        before.append(segment)
    journal.close(journal.heard, done=False)
    assert whole[: len(before)] == before and n_encoded == 2
    assert heard_so_far(whisper, sound, listening, tmp_path, lambda found: False) == whole
    assert n_encoded <= n_in_all + 1, "the one in which it was stopped, and no other"


@needs_espeak
def test_a_sound_that_was_heard_to_its_end_is_not_heard_again(
    whisper: Transcriber, spoken: Sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = heard_so_far(whisper, spoken, Listening(), tmp_path, lambda found: False)
    monkeypatch.setattr(whisper._model, "encode", lambda features: pytest.fail("it was heard again"))
    assert heard_so_far(whisper, spoken, Listening(), tmp_path, lambda found: False) == whole


@needs_espeak
def test_what_is_damaged_in_a_journal_is_heard_again(whisper: Transcriber, spoken: Sound, tmp_path: Path) -> None:
    whole = list(whisper.transcribe(spoken))
    heard_so_far(whisper, spoken, Listening(), tmp_path, lambda found: found >= len(whole) - 1)
    (path,) = tmp_path.iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    for damage in (
        lines[-1][:20],
        b"\xff\xfe\n",
        b"[]\n",
        b'{"mark": {}}\n',
        b'{"segment": {"words": 1}}\n',
        b"null\n",
    ):
        path.write_bytes(b"".join(lines[:-1]) + damage)
        assert (
            heard_so_far(whisper, spoken, Listening(), tmp_path, lambda found: found >= len(whole) - 1)[:-1]
            == (whole[: len(whole) - 2])
        )
    path.write_bytes(b"\0" * 5000)
    assert heard_so_far(whisper, spoken, Listening(), tmp_path, lambda found: False) == whole


def segment(start: float) -> Segment:
    return Segment(start, start + 1, "a", 0.5)


def test_only_one_process_keeps_a_sound(tmp_path: Path) -> None:
    first, second = Journal(tmp_path, "a"), Journal(tmp_path, "a")
    first.segment(segment(0), Heard())
    second.segment(segment(1), Heard())
    second.close(Heard(), done=True)
    second.forget()
    (path,) = tmp_path.iterdir()
    assert len(path.read_bytes().splitlines()) == 1
    first.close(Heard(), done=False)


def test_a_disk_that_refuses_ends_the_keeping_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    told: list[str] = []
    journal = Journal(tmp_path / "file" / "folder", "a", on_warning=told.append)
    journal.segment(segment(0), Heard())
    journal.close(Heard(), done=False)
    assert len(told) == 1 and "is not kept" in told[0]


def test_what_nobody_goes_on_with_is_forgotten(tmp_path: Path) -> None:
    for name, days in (("old", MOST_DAYS + 1), ("new", MOST_DAYS - 1)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({}))
        then = time.time() - days * 24 * 3600
        os.utime(tmp_path / f"{name}.jsonl", (then, then))
    journal = Journal(tmp_path, "another")
    journal.close(Heard(), done=False)
    assert [path.name for path in tmp_path.iterdir()] == ["new.jsonl"], "an empty one does not stay either"


# speech without words


def seconds(parts: list[spans.Part]) -> list[tuple[int, int]]:
    return [(round(first / RATE), round(behind / RATE)) for first, behind in parts]


@needs_espeak
def test_speech_that_gave_no_words_is_found(spoken: Sound) -> None:
    sound = np.concatenate([spoken, np.zeros(5 * RATE, np.float32), spoken])
    length, heard_speech = len(spoken), spans.speech(sound)
    assert spans.unheard(sound, heard_speech, [(0, len(sound))]) == []
    assert seconds(spans.unheard(sound, heard_speech, [(0, length)])) == seconds(
        [(length + 6 * RATE, len(sound) - RATE)]
    )
    assert len(spans.unheard(sound, heard_speech, [(RATE * 6, RATE * 8)])) == 3


@needs_espeak
def test_what_lies_between_segments_is_not_missed(spoken: Sound, whisper: Transcriber) -> None:
    heard = Heard()
    covered = [(round(one.start * RATE), round(one.end * RATE)) for one in whisper.transcribe(spoken, None, heard)]
    assert spans.unheard(spoken, heard.speech, covered) == []


def test_silence_is_not_missed() -> None:
    silence = np.zeros(20 * RATE, np.float32)
    assert spans.unheard(silence, [(0, len(silence))], []) == []


# languages


@needs_espeak
def test_each_part_is_heard_in_its_own_language(tmp_path: Path) -> None:
    pieces = [resampled(talk(tmp_path / f"{i}.wav", SENTENCES[:2], pause=0.8)) for i in range(3)]
    sound = np.concatenate(pieces)
    length = len(pieces[0])
    middle = range(length, 2 * length)
    asked: list[int] = []

    def language_of(part: Sound) -> tuple[str, float]:
        at = next(i for i in range(len(sound)) if np.shares_memory(sound[i : i + 1], part[:1]))
        asked.append(len(part))
        return ("de" if at + len(part) // 2 in middle else "en"), 0.9

    found = list(spans.units(sound, 30.0, language_of))
    assert [unit.language for unit in found] == ["en", "de", "en"]
    assert found[0].start == 0 and found[-1].end == len(sound)
    for before, unit in zip(found, found[1:], strict=False):
        assert before.end == unit.start
        assert not np.abs(sound[unit.start - RATE // 20 : unit.start + RATE // 20]).max() > 0.01, "cut within a word"
    assert max(asked) <= 30 * RATE


@needs_espeak
@pytest.mark.parametrize("sure", [0.3, 0.9])
def test_a_language_must_be_sure_to_count_as_another(spoken: Sound, sure: float) -> None:
    answers = iter([("en", 0.9), ("cy", sure), *[("en", 0.9)] * 20])
    found = list(spans.units(spoken, 30.0, lambda part: next(answers)))
    assert [unit.language for unit in found] == (["en"] if sure < spans.SURE else ["en", "cy", "en"])


def test_silence_has_no_language() -> None:
    assert list(spans.units(np.zeros(5 * RATE, np.float32), 30.0, lambda part: pytest.fail("asked"))) == []


def test_several_languages_and_one_that_is_named_exclude_each_other(whisper: Transcriber) -> None:
    with pytest.raises(UsageError, match="--multilingual"):
        whisper.check(Listening(language="en", multilingual=True))
