"""Blocks of a recording become utterances: with the real detector, and with one that counts loud samples."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcli.media.audio import Resampler
from mmcli.speech.level import FLOOR, Gauge, level
from mmcli.speech.utterances import Limits, Utterance, Utterances
from mmcli.speech.vad import WINDOW, Detector
from tests.speaking import SENTENCES, needs_espeak, samples, talk

RATE = 16_000  # Hz
Sound = NDArray[np.float32]


def loud(seconds: float) -> Sound:
    return np.full(round(seconds * RATE), 0.5, np.float32)


def quiet(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE), np.float32)


def by_loudness(window: Sound) -> float:
    """Stands for the detector where a test must know to the window what is speech."""
    return float(np.abs(window).mean() > 0.1)


def split(sound: Sound, limits: Limits | None = None, block: int = 512) -> list[Utterance]:
    """All utterances of a recording that comes in blocks."""
    utterances = Utterances(by_loudness, limits)
    found = [one for i in range(0, len(sound), block) for one in utterances.feed(sound[i : i + block])]
    return found + list(utterances.flush())


def near(value: float, wanted: float) -> bool:
    """Within two windows."""
    return abs(value - wanted) <= 2 * WINDOW / RATE


def test_an_utterance_is_what_stands_between_two_silences_with_some_of_both() -> None:
    limits = Limits(pre_roll=0.3, post_roll=0.2)
    (one,) = split(np.concatenate([quiet(1), loud(1), quiet(2)]), limits)
    assert near(one.start, 1 - 0.3) and near(one.end, 2 + 0.2)
    assert one.ending == "silence"


def test_silence_gives_none_and_a_click_is_none() -> None:
    assert split(quiet(3)) == []
    assert split(np.concatenate([quiet(1), loud(0.05), quiet(2)])) == []


def test_a_pause_within_a_sentence_does_not_end_it() -> None:
    assert len(split(np.concatenate([loud(1), quiet(0.4), loud(1), quiet(2)]))) == 1
    assert len(split(np.concatenate([loud(1), quiet(0.8), loud(1), quiet(2)]))) == 2


def test_who_pauses_longer_is_given_longer() -> None:
    """After a pause of 0.5 s, one of 0.8 s does not end it; for one who spoke fluently it does."""
    limits = Limits(least_silence=0.6, most_silence=1.5, patience=2.0)
    halting = np.concatenate([loud(1), quiet(0.5), loud(1), quiet(0.8), loud(1), quiet(3)])
    fluent = np.concatenate([loud(2.5), quiet(0.8), loud(1), quiet(3)])
    assert len(split(halting, limits)) == 1
    assert len(split(fluent, limits)) == 2


def test_the_limits_may_change_while_somebody_speaks() -> None:
    utterances = Utterances(by_loudness, Limits(least_silence=0.6))
    assert list(utterances.feed(np.concatenate([loud(1), quiet(0.3)]))) == []
    utterances.limits.least_silence = 0.2
    assert len(list(utterances.feed(quiet(0.1)))) == 1


def test_what_is_too_long_is_cut_in_its_quietest_place_and_nothing_is_lost() -> None:
    sound = np.concatenate([loud(8), quiet(0.2), loud(7), quiet(2)])
    found = split(sound, Limits(most_seconds=10, pre_roll=0))
    assert [one.ending for one in found] == ["length", "silence"]
    assert near(found[0].end, 8.0) and near(found[1].start, found[0].end)
    assert sum(int((one.samples > 0).sum()) for one in found) == 15 * RATE


def test_the_end_of_the_recording_ends_an_utterance() -> None:
    (one,) = split(np.concatenate([quiet(1), loud(1)]))
    assert one.ending == "end" and near(one.end, 2)


@pytest.mark.parametrize("block", [1, 100, 512, 1411, 16_000])
def test_the_size_of_the_blocks_does_not_matter(block: int) -> None:
    sound = np.concatenate([quiet(1), loud(0.5), quiet(1), loud(1.23), quiet(0.1)])
    assert [(one.start, len(one.samples)) for one in split(sound, block=block)] == [
        (one.start, len(one.samples)) for one in split(sound)
    ]


# the real detector


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A talk at 16,000 Hz: SENTENCES with a second of silence between them."""
    path = talk(tmp_path_factory.mktemp("talk") / "talk.wav")
    sound, rate = samples(path)
    return Resampler(rate, 1, RATE)((sound / 32768).astype(np.float32))


@needs_espeak
def test_the_detector_hears_the_same_block_by_block_as_in_one_piece(spoken: Sound) -> None:
    from faster_whisper.vad import get_vad_model

    whole = spoken[: len(spoken) // WINDOW * WINDOW]
    detect = Detector()
    one_by_one = [detect(whole[i : i + WINDOW]) for i in range(0, len(whole), WINDOW)]
    # The last window is left out: over a whole recording, faster-whisper clears its end before it is the context.
    assert np.allclose(one_by_one[:-1], get_vad_model()(whole)[:-1], atol=1e-5)
    detect.reset()
    assert detect(whole[:WINDOW]) == one_by_one[0]


@needs_espeak
def test_each_sentence_of_a_talk_is_an_utterance(spoken: Sound) -> None:
    utterances = Utterances(Detector())
    found = [one for i in range(0, len(spoken), 512) for one in utterances.feed(spoken[i : i + 512])]
    found += list(utterances.flush())
    assert len(found) == len(SENTENCES)
    assert all(one.ending == "silence" for one in found)


# levels


def test_levels_are_decibels_below_full_scale() -> None:
    assert level(loud(0.1)) == pytest.approx(-6.02, abs=0.01)
    assert level(quiet(0.1)) == FLOOR == level(np.zeros(0, np.float32))
    assert level(np.full(100, 2.0, np.float32)) == 0.0


def test_a_gauge_tells_how_much_of_a_recording_was_speech() -> None:
    gauge = Gauge(by_loudness)
    for block in (quiet(1), loud(0.512), quiet(1)):
        gauge.feed(block)
    assert gauge.seconds == pytest.approx(2.512)
    assert abs(gauge.speech_seconds - 0.512) <= 2 * WINDOW / RATE
    assert (gauge.loudest, gauge.quietest) == (pytest.approx(-6.02, abs=0.01), FLOOR)
