"""Finds which parts of a sound hold speech, in which language, and which gave no words. Knows no words itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcli import telemetry

SAMPLE_RATE = 16_000  # Hz, what Whisper expects
SURE = 0.7  # probability from which on a language counts as another one
BRIEF = SAMPLE_RATE  # samples: less speech than that says nothing about its language
UNNOTICED = 2.0  # seconds of speech without words that are worth a word
_PAUSE = {"min_silence_duration_ms": 300, "speech_pad_ms": 0}  # how closely speech is looked at that gave no words

Part = tuple[int, int]  # first sample, and the one behind the last


@dataclass(frozen=True)
class Unit:
    """A part of a sound that is in one language; None: not asked for, or still to be heard."""

    start: int  # samples
    end: int
    language: str | None = None
    sure: float | None = None  # 0 … 1


def speech(samples: NDArray[np.float32], **options: Any) -> list[Part]:
    """The parts that a voice activity detector takes for speech, with a little of what is around each."""
    telemetry.forbid_onnxruntime()
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if not len(samples):
        return []
    return [(part["start"], part["end"]) for part in get_speech_timestamps(samples, VadOptions(**options))]


def speech_in_windows(samples: NDArray[np.float32], window: float) -> list[Part]:
    """The same for windows of so many seconds that are heard at once: none is longer, and a short pause ends it."""
    return speech(samples, max_speech_duration_s=window, min_silence_duration_ms=160)


def windows(parts: Sequence[Part], window: float) -> list[Part]:
    """Parts of speech put together into windows of at most so many seconds, in the samples of speech alone."""
    found: list[Part] = []
    start = end = 0
    for first, behind in parts:
        if end + behind - first - start > window * SAMPLE_RATE and end > start:
            found.append((start, end))
            start = end
        end += behind - first
    return [*found, (start, end)] if end > start else found


def units(
    samples: NDArray[np.float32], window: float, language_of: Callable[[NDArray[np.float32]], tuple[str, float]]
) -> Iterator[Unit]:
    """The runs of speech in one language, one after the other, cut in the pauses between them; nothing is left out.

    `language_of` tells the language of at most `window` seconds, and how sure that is.
    """
    parts = speech(samples, min_silence_duration_ms=500, max_speech_duration_s=window, speech_pad_ms=200)
    start, end, language, best = 0, 0, None, 0.0
    for first, behind in parts:
        found, sure = language_of(samples[first:behind])
        if language is not None and found != language and sure >= SURE and behind - first >= BRIEF:
            cut = (end + first) // 2
            yield Unit(start, cut, language, best)
            start, language, best = cut, None, 0.0
        language, best, end = language or found, max(best, sure if language in (None, found) else 0.0), behind
    if language is not None:
        yield Unit(start, len(samples), language, best)


def unheard(samples: NDArray[np.float32], spoken: Sequence[Part], heard: Sequence[Part]) -> list[Part]:
    """Parts of speech that none of the segments that were `heard` covers, if they are long enough to be missed."""
    found = []
    for start, end in _without(spoken, heard):
        if end - start < UNNOTICED * SAMPLE_RATE:
            continue
        inside = speech(samples[start:end], **_PAUSE)
        if sum(behind - first for first, behind in inside) >= UNNOTICED * SAMPLE_RATE:
            found.append((start + inside[0][0], start + inside[-1][1]))
    return found


def _without(parts: Sequence[Part], holes: Sequence[Part]) -> Iterator[Part]:
    """What is left of ascending parts when the holes are cut out of them."""
    for start, end in parts:
        for first, behind in sorted(holes):
            if behind <= start or first >= end:
                continue
            if first > start:
                yield start, first
            start = max(start, behind)
        if start < end:
            yield start, end
