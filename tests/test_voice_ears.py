"""Ears without a microphone: blocks in, turns out. The detector counts loud samples, and the words are looked up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcli.errors import AudioDeviceError, ResourceError
from mmcli.speech import end_of_turn
from mmcli.speech.listener import Listener, Mode, Spoken
from mmcli.speech.vad import WINDOW

RATE = 16_000  # Hz
Sound = NDArray[np.float32]


def loud(seconds: float) -> Sound:
    return np.full(round(seconds * RATE), 0.5, np.float32)


def quiet(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE), np.float32)


def by_loudness(window: Sound) -> float:
    return float(np.abs(window).mean() > 0.1)


class Owner:
    """Who owns the ears, and a recording that waits until all that was asked is understood: no clock decides."""

    def __init__(self, *sounds: Sound | str | Exception, mode: Mode = "auto", words: str = "What is this?") -> None:
        self.sounds, self.words = sounds, words
        self.turns: list[Spoken] = []
        self.n_nothing = 0
        self.errors: list[tuple[BaseException, str]] = []
        self.speech: list[float] = []
        self.waited: list[str] = []
        self.understood: list[float] = []  # seconds of sound
        self.ears = Listener(self._recording(), by_loudness, self._understand, self, mode)

    def run(self) -> Owner:
        self.ears.start()
        self.ears._threads[0].join(60)
        self.ears._jobs.join()
        self.ears.stop()
        return self

    def _recording(self) -> Iterator[Sound]:
        for sound in self.sounds:
            if isinstance(sound, Exception):
                raise sound
            if isinstance(sound, str):
                getattr(self.ears, sound)()
                continue
            for start in range(0, len(sound), WINDOW):
                yield sound[start : start + WINDOW]
                self.ears._jobs.join()

    def _understand(self, samples: Sound) -> str:
        self.understood.append(len(samples) / RATE)
        return self.words

    def patience(self, heard: str) -> float:
        self.waited.append(heard)
        return end_of_turn.patience(heard)

    def on_speech(self, speech: float, words: str) -> None:
        self.speech.append(speech)

    def on_turn(self, spoken: Spoken) -> None:
        self.turns.append(spoken)

    def on_no_speech(self) -> None:
        self.n_nothing += 1

    def on_update(self) -> None:
        pass

    def on_error(self, error: BaseException, heard: str = "") -> None:
        self.errors.append((error, heard))


def test_a_turn_ends_when_its_words_say_so() -> None:
    after = end_of_turn.COMPLETE + 0.1
    assert len(Owner(quiet(1), loud(1), quiet(after)).run().turns) == 1
    assert not Owner(quiet(1), loud(1), quiet(after), words="What is in the").run().turns
    assert len(Owner(quiet(1), loud(1), quiet(end_of_turn.UNFINISHED + 0.1), words="What is in the").run().turns) == 1


def test_a_pause_that_the_words_allow_does_not_cut_a_turn() -> None:
    heard = Owner(quiet(1), loud(1), quiet(1.2), loud(1), quiet(4), words="What is in the").run()
    (turn,) = heard.turns
    assert turn.seconds > 3.2, "both parts and the pause between them"


def test_the_first_syllable_is_kept() -> None:
    heard = Owner(quiet(1), loud(1), quiet(2)).run()
    (turn,) = heard.turns
    assert 1.0 + 0.25 < turn.seconds < 1.0 + 0.6
    assert heard.understood[-1] >= 1.0 + 0.25, "the words were sought in all of it"


def test_the_words_that_were_known_before_the_end_are_not_sought_again() -> None:
    heard = Owner(quiet(1), loud(0.5), quiet(2)).run()
    assert len(heard.turns) == len(heard.understood) == 1
    assert heard.turns[0].ended <= heard.turns[0].decided <= heard.turns[0].understood


def test_words_are_sought_while_somebody_speaks() -> None:
    assert len(Owner(quiet(1), loud(3), quiet(2)).run().understood) >= 4


def test_noise_is_no_turn() -> None:
    heard = Owner(quiet(1), loud(1), quiet(2), words="").run()
    assert (heard.turns, heard.n_nothing) == ([], 1)
    click = Owner(quiet(1), loud(0.05), quiet(2)).run()
    assert (click.turns, click.n_nothing) == ([], 0)


def test_who_speaks_is_told_for_how_long() -> None:
    heard = Owner(quiet(1), loud(1), quiet(2)).run()
    assert heard.speech[0] < 0.1 and 0.9 < max(heard.speech) < 1.1


def test_a_turn_longer_than_the_model_takes_at_once_is_one_turn() -> None:
    heard = Owner(quiet(1), loud(40), quiet(2), words="and so on.").run()
    (turn,) = heard.turns
    assert turn.seconds > 39 and turn.text == "and so on. and so on."


def test_with_a_key_only_the_key_counts() -> None:
    heard = Owner(loud(1), quiet(1), "open", loud(1), quiet(5), loud(1), "close", loud(1), quiet(3), mode="toggle")
    (turn,) = heard.run().turns
    assert 6.5 < turn.seconds < 7.6
    assert not heard.waited, "no silence ends it"


def test_a_key_without_a_word_is_told() -> None:
    assert Owner("open", quiet(1), "close", quiet(1), mode="hold").run().n_nothing == 1


def test_what_is_dropped_is_no_turn() -> None:
    heard = Owner(quiet(1), loud(1), "drop", quiet(3), loud(1), quiet(2)).run()
    (turn,) = heard.turns
    assert turn.seconds < 2


@pytest.mark.parametrize("mute", [True, False])
def test_muted_ears_hear_nothing(mute: bool) -> None:
    heard = Owner(quiet(1), loud(1), quiet(2))
    heard.ears.mute(mute)
    assert len(heard.run().turns) == (0 if mute else 1)


def test_a_higher_threshold_needs_a_surer_detector() -> None:
    heard = Owner(quiet(1), loud(1), quiet(2))
    heard.ears.set_threshold(1.1)
    assert not heard.run().turns


def test_a_microphone_that_goes_away_tells_what_was_being_said() -> None:
    gone = AudioDeviceError("it went away")
    heard = Owner(quiet(1), loud(1), gone).run()
    assert heard.turns == []
    assert heard.errors == [(gone, "What is this?")]


def test_a_model_that_fails_is_told() -> None:
    failure = ResourceError("out of memory")

    class Failing(Owner):
        def _understand(self, samples: Sound) -> str:
            raise failure

    heard = Failing(quiet(1), loud(0.7))
    heard.ears.start()
    for thread in heard.ears._threads[::-1]:
        thread.join(60)
    assert heard.errors == [(failure, "")]
