"""Measures how loud a recording is, and how much of it is speech. Knows numbers only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mmcli.speech.vad import WINDOW

FLOOR = -90.0  # dBFS: digital silence, and what is as good as it
SPEECH = 0.5  # probability
BAR = 40  # cells of a level meter
QUIETEST = -60.0  # dBFS at the meter's left end


def level(samples: NDArray[np.float32]) -> float:
    """Root mean square of (n_samples,) samples in dBFS, FLOOR … 0."""
    mean = float(np.mean(np.square(samples))) if len(samples) else 0.0
    return max(FLOOR, min(0.0, 10 * float(np.log10(mean)))) if mean > 0 else FLOOR


class Gauge:
    """What a recording at 16,000 Hz was like, block by block."""

    def __init__(self, detect: Callable[[NDArray[np.float32]], float]) -> None:
        self._detect = detect  # probability of speech in (WINDOW,) samples: a vad.Detector
        self._rest = np.zeros(0, np.float32)
        self._levels: list[float] = []
        self._n_samples = self._n_speech = 0

    def feed(self, block: NDArray[np.float32]) -> float:
        """Take the next (n_samples,) samples; return how loud they are."""
        self._levels.append(level(block))
        self._n_samples += len(block)
        self._rest = np.concatenate([self._rest, block])
        while len(self._rest) >= WINDOW:
            self._n_speech += self._detect(self._rest[:WINDOW]) >= SPEECH
            self._rest = self._rest[WINDOW:]
        return self._levels[-1]

    @property
    def seconds(self) -> float:
        return self._n_samples / 16_000

    @property
    def speech_seconds(self) -> float:
        return self._n_speech * WINDOW / 16_000

    @property
    def loudest(self) -> float:
        return max(self._levels, default=FLOOR)

    @property
    def quietest(self) -> float:
        return min(self._levels, default=FLOOR)


def meter(decibels: float) -> str:
    """A level as a bar of plain ASCII: `[########            ]  -48 dB`."""
    return f"{bar(decibels, BAR)} {decibels:4.0f} dB"


def bar(decibels: float, cells: int = 8) -> str:
    """A level as a bar alone: `[###     ]`."""
    filled = round(cells * max(0.0, min(1.0, 1 - decibels / QUIETEST)))
    return f"[{'#' * filled:<{cells}}]"
