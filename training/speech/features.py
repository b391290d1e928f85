"""Sound to log-mel spectrogram, equal to faster-whisper's own. Knows no labels."""

from __future__ import annotations

from functools import cache

import numpy as np

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples, 10 ms
WINDOW = 400  # samples
MELS = 80
FLOOR = -10.0  # log10 of the least power
RANGE = 8.0  # log10: what is this far below the loudest is cut off


@cache
def mel_filters() -> np.ndarray:
    """(80, 201) float32: triangles, even on Slaney's mel scale, of equal area."""
    top = 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4) + 15
    mels = np.linspace(0, top, MELS + 2)
    hertz = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    rising = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (hertz[2:] - hertz[:-2]))[:, None]).astype(np.float32)


def log_power(samples: np.ndarray) -> np.ndarray:
    """(n // 160, 80) float32: log10 of the power in each mel band, not cut off; frame i is centred on sample 160 i."""
    padded = np.pad(np.pad(samples.astype(np.float32), (0, HOP)), WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(samples) // HOP]
    hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(windows * hann)) ** 2
    return np.log10(np.maximum(power.astype(np.float32) @ mel_filters().T, 10**FLOOR))


def normalised(power: np.ndarray) -> np.ndarray:
    """What the encoder sees of a whole clip: (frames, 80), cut off below the loudest, about -1 to 1.5."""
    if not len(power):
        return power
    return (np.maximum(power, power.max() - RANGE) + 4) / 4
