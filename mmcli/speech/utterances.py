"""Blocks of a microphone -> utterances: what is said between two silences. Knows samples, no devices and no clock.

All times are counted in samples, so a recording gives the same utterances however fast it comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mmcli.speech.vad import WINDOW

SAMPLE_RATE = 16_000  # Hz
WINDOW_SECONDS = WINDOW / SAMPLE_RATE


@dataclass(frozen=True)
class Utterance:
    """Some speech with a little of the silence around it."""

    samples: NDArray[np.float32]  # (n_samples,), mono, 16,000 Hz
    start: float  # seconds from the beginning of the recording
    ending: Literal["silence", "length", "end"]  # what ended it

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass
class Limits:
    """When an utterance begins and ends; may be changed while listening, and holds from the next block on.

    The silence that ends an utterance adapts to who speaks: it is `patience` times the longest pause of this utterance
    so far, between `least_silence` and `most_silence`.
    """

    threshold: float = 0.5  # probability from which a window is speech
    release: float = 0.35  # probability under which it is none any more
    pre_roll: float = 0.3  # seconds kept from before the first window of speech, which comes late to a first syllable
    post_roll: float = 0.2  # seconds kept of the silence after it
    least_speech: float = 0.1  # seconds: a click is not an utterance
    least_silence: float = 0.6  # seconds
    most_silence: float = 1.5  # seconds
    patience: float = 2.0
    most_seconds: float = 28.0  # then it is cut at the quietest place of its last third

    def silence(self, longest_pause: float) -> float:
        """Seconds of silence that end an utterance in which `longest_pause` was the longest."""
        return max(self.least_silence, min(self.most_silence, self.patience * longest_pause))


class Utterances:
    """Feed it blocks of any length; it gives the utterances that ended with them."""

    def __init__(self, detect: Callable[[NDArray[np.float32]], float], limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._detect = detect  # probability of speech in (WINDOW,) samples: a vad.Detector
        self._rest = np.zeros(0, np.float32)  # of a block, less than a window
        self._before: deque[NDArray[np.float32]] = deque()  # windows of the pre-roll
        self._windows: list[NDArray[np.float32]] = []  # of the utterance that is going on
        self._probabilities: list[float] = []  # of its windows, those of the pre-roll are 0
        self._is_speaking = False
        self._pause = 0  # windows since the last speech
        self._longest_pause = 0  # windows, within this utterance
        self._n_speech = 0  # windows of speech in this utterance
        self._n_windows = 0  # heard so far

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""
        return self._is_speaking

    @property
    def silence(self) -> float:
        """Seconds since the last speech, or since the beginning."""
        return self._pause * WINDOW_SECONDS

    @property
    def spoken_until(self) -> float:
        """Where the last speech was, in seconds from the beginning of the recording."""
        return (self._n_windows - self._pause) * WINDOW_SECONDS

    @property
    def speech(self) -> float:
        """Seconds of speech in the utterance that is going on, its pauses not counted."""
        return self._n_speech * WINDOW_SECONDS if self._is_speaking else 0.0

    @property
    def so_far(self) -> NDArray[np.float32]:
        """(n_samples,) of the utterance that is going on, its pre-roll and present silence included."""
        return np.concatenate(self._windows) if self._is_speaking else np.zeros(0, np.float32)

    def feed(self, block: NDArray[np.float32]) -> Iterator[Utterance]:
        """(n_samples,) mono samples at 16,000 Hz, as many as there are."""
        joined = np.concatenate([self._rest, block])
        whole = len(joined) // WINDOW * WINDOW
        self._rest = joined[whole:]
        for start in range(0, whole, WINDOW):
            yield from self._hear(joined[start : start + WINDOW])

    def flush(self) -> Iterator[Utterance]:
        """The recording is over: what was being said is an utterance too."""
        if len(self._rest):
            yield from self.feed(np.zeros(WINDOW - len(self._rest), np.float32))
        if self._is_speaking:
            ended = self._cut(len(self._windows), "end")
            self._windows, self._probabilities = [], []
            self._is_speaking = False
            if ended is not None:
                yield ended

    def _hear(self, window: NDArray[np.float32]) -> Iterator[Utterance]:
        limits = self.limits
        probability = self._detect(window)
        self._n_windows += 1
        if not self._is_speaking:
            self._pause += 1
            while len(self._before) > limits.pre_roll / WINDOW_SECONDS:
                self._before.popleft()
            self._before.append(window)
            if probability >= limits.threshold:
                self._begin()
            return
        self._windows.append(window)
        self._probabilities.append(probability)
        if probability >= (limits.release if self._pause == 0 else limits.threshold):
            self._longest_pause = max(self._longest_pause, self._pause)
            self._pause = 0
            self._n_speech += 1
        else:
            self._pause += 1
        if self.silence >= limits.silence(self._longest_pause * WINDOW_SECONDS):
            yield from self._end()
        elif len(self._windows) * WINDOW_SECONDS >= limits.most_seconds:
            yield from self._split()

    def _begin(self) -> None:
        self._is_speaking = True
        self._windows = list(self._before)
        self._probabilities = [0.0] * (len(self._before) - 1) + [1.0]
        self._before.clear()
        self._pause = self._longest_pause = 0
        self._n_speech = 1

    def _end(self) -> Iterator[Utterance]:
        """Silence came: what is kept of it belongs to this utterance, the rest may be the next one's pre-roll."""
        kept = len(self._windows) - max(0, self._pause - round(self.limits.post_roll / WINDOW_SECONDS))
        ended = self._cut(kept, "silence")
        self._before.extend(self._windows[kept:])
        self._windows, self._probabilities = [], []
        self._is_speaking = False
        if ended is not None:
            yield ended

    def _split(self) -> Iterator[Utterance]:
        """It is too long: cut it where speech is least likely, and go on with the rest, so that nothing is lost."""
        first = len(self._windows) * 2 // 3
        place = first + int(np.argmin(self._probabilities[first:])) + 1
        ended = self._cut(place, "length")
        self._windows, self._probabilities = self._windows[place:], self._probabilities[place:]
        self._n_speech = sum(probability >= self.limits.release for probability in self._probabilities)
        self._longest_pause = 0
        if ended is not None:
            yield ended

    def _cut(self, n_windows: int, ending: Literal["silence", "length", "end"]) -> Utterance | None:
        """The first windows of what is being said; None for a click."""
        if self._n_speech * WINDOW_SECONDS < self.limits.least_speech:
            return None
        samples = np.concatenate(self._windows[:n_windows])  # (n_windows * WINDOW,)
        return Utterance(samples, (self._n_windows - len(self._windows)) * WINDOW_SECONDS, ending)
