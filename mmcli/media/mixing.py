"""Frames of any layout and rate -> mono samples at one rate. Knows PyAV's resampler; knows no files and no time.

Channels are averaged. Where that would cancel them, because one is the other turned upside down, the loudest is taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 32768  # of the 16-bit samples that are asked of the resampler
BATCH = 32_768  # samples that are resampled at once: for single frames, FFmpeg's filters take longer than its decoders
FAR_BELOW = 0.2  # of the energy that unrelated channels would give: a mix with less is one in which they cancel (7 dB)
AUDIBLE = 30.0  # the root mean square of 16-bit samples (-60 dBFS) under which nothing is there to be cancelled


class Mixer:
    """One sound's frames in order; `flush` where it pauses or ends."""

    def __init__(self, sample_rate: int) -> None:
        self.n_cancelled = 0  # samples of which one channel stands for all
        self.channels: set[int] = set()  # the ones that did, from 0
        self._rate = sample_rate
        self._setup: tuple[str, str, int] | None = None

    def feed(self, frame: av.AudioFrame) -> Iterator[NDArray[np.int16]]:
        """(n,) samples, as many as can be told by now."""
        setup = frame.format.name, frame.layout.name, frame.sample_rate
        if setup != self._setup:  # radio streams change rate or channels midway
            yield from self.flush()
            self._begin(frame, setup)
        frame.pts = None  # the queue would want stamps that follow each other
        self._queue.write(frame)
        while (batch := self._queue.read(BATCH)) is not None:
            yield from self._mixed(batch)

    def flush(self) -> Iterator[NDArray[np.int16]]:
        """What is still held back; after it another sound may begin."""
        if self._setup is None:
            return
        rest = self._queue.read(0, partial=True)
        if rest is not None:
            yield from self._mixed(rest)
        yield from self._mixed(None)
        self._setup = None

    def _begin(self, frame: av.AudioFrame, setup: tuple[str, str, int]) -> None:
        self._setup = setup
        self._queue = av.AudioFifo()
        self._to_mono = resampler(self._rate)
        n_channels = len(frame.layout.channels)
        self._apart = av.AudioResampler("s16", frame.layout, self._rate) if n_channels > 1 else None
        self._weights = _weights(frame.layout) if self._apart is not None else np.zeros(0)
        self._waiting = np.zeros((0, n_channels), np.int16)  # whose mix is still to come

    def _mixed(self, batch: av.AudioFrame | None) -> Iterator[NDArray[np.int16]]:
        mono = _joined(self._to_mono.resample(batch))
        if self._apart is None:
            yield mono
            return
        apart = _joined(self._apart.resample(batch)).reshape(-1, self._waiting.shape[1])  # (n, n_channels)
        apart = np.concatenate([self._waiting, apart])
        self._waiting = apart[len(mono) :]
        yield self._heard(mono, apart[: len(mono)])

    def _heard(self, mono: NDArray[np.int16], apart: NDArray[np.int16]) -> NDArray[np.int16]:
        """The mix of (n, n_channels) samples, with one channel where the mix is far below it."""
        window = self._rate // 2
        for start in range(0, len(apart), window):
            mixed, channels = mono[start : start + window], apart[start : start + window]
            chosen = _taken_alone(mixed, channels[: len(mixed)], self._weights)
            if chosen is not None:
                mono[start : start + window] = channels[: len(mixed), chosen]
                self.n_cancelled += len(mixed)
                self.channels.add(chosen)
        return mono


def _taken_alone(mixed: NDArray[np.int16], channels: NDArray[np.int16], weights: NDArray[np.float64]) -> int | None:
    """The first loud one of (n, n_channels) channels, if they cancel each other out; `weights` are those of the mix."""
    energies = np.array([_energy(channel) for channel in channels.T])
    loudest = float(energies.max())
    unrelated = float(np.dot(np.square(weights), energies))
    if loudest < AUDIBLE**2 * len(mixed) or _energy(mixed) >= FAR_BELOW * unrelated:
        return None
    return int(np.argmax(energies >= loudest / 2))


def _weights(layout: av.AudioLayout) -> NDArray[np.float64]:
    """How much of each channel comes into FFmpeg's mix, heard from a sound in which they speak one by one."""
    n_channels, length, level = len(layout.channels), 64, 10_000
    samples = np.repeat(np.eye(n_channels, dtype=np.int16) * level, length, axis=0)  # (n_channels * length, n_channels)
    frame = av.AudioFrame(format="s16", layout=layout, samples=len(samples))
    frame.sample_rate = 16_000
    frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
    mix = resampler(16_000)
    mono = _joined(mix.resample(frame) + mix.resample(None))
    return mono[length // 2 :: length][:n_channels] / level


def resampler(sample_rate: int) -> av.AudioResampler:
    """To mono in 16 bits: for floats, FFmpeg adds the channels up beyond full scale instead of averaging them."""
    return av.AudioResampler(format="s16", layout="mono", rate=sample_rate)


def uncancelled(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n_frames, n_channels) samples, with the loudest channel in place of all where their mix would cancel them."""
    if block.shape[1] < 2:
        return block
    energies, mixed = np.square(block).sum(axis=0), np.square(block.mean(axis=1)).sum()
    if mixed >= FAR_BELOW * energies.sum() / block.shape[1] ** 2:
        return block
    loudest = int(np.argmax(energies))
    return np.repeat(block[:, loudest : loudest + 1], block.shape[1], axis=1)


def _energy(samples: NDArray[np.int16]) -> float:
    numbers = samples.astype(np.float32)
    return float(np.dot(numbers, numbers))


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.int16]:
    """The packed frames of one call, as (n,); channel by channel, PyAV 18 crashes where there are eight of them."""
    return np.concatenate([np.zeros(0, np.int16), *(frame.to_ndarray().reshape(-1) for frame in frames)])
