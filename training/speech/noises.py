"""To be heard, not understood: hiss, hum, tones, sweeps, clicks, knocks, chords. Knows samples only."""

from __future__ import annotations

import numpy as np

from training.speech import features

RATE = features.SAMPLE_RATE


def hiss(rng: np.random.Generator, n: int) -> np.ndarray:
    """White to brown, or only a band of it."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    spectrum *= np.maximum(hertz, 20) ** -rng.uniform(0, 1.2)
    if rng.random() < 0.4:
        low = rng.uniform(0, 3000)
        spectrum *= (hertz > low) & (hertz < low + rng.uniform(300, 5000))
    return np.fft.irfft(spectrum, n)


def tones(rng: np.random.Generator, n: int) -> np.ndarray:
    """Hum with its overtones, a beep, or a chord that may waver, sweep or beat."""
    t = np.arange(n) / RATE
    sound = np.zeros(n)
    base = rng.choice((50, 60, 100, 120)) if rng.random() < 0.3 else rng.uniform(80, 3000)
    sweep = rng.uniform(-800, 1500) if rng.random() < 0.4 else 0.0
    for k in range(rng.integers(1, 5)):
        hertz = base * ((k + 1) if rng.random() < 0.6 else rng.uniform(1, 3))
        phase = hertz * t + sweep * t**2 / 2 + rng.uniform(0, 3) * np.sin(2 * np.pi * rng.uniform(0, 6) * t)
        sound += rng.uniform(0.2, 1) * np.sin(2 * np.pi * phase)
    return sound


def knocks(rng: np.random.Generator, n: int) -> np.ndarray:
    """Clicks, keys, steps: short bursts that die away."""
    sound = np.zeros(n)
    for start in rng.integers(0, n, rng.integers(1, 30)):
        length = min(n - start, int(RATE * rng.uniform(0.001, 0.15)))
        burst = rng.standard_normal(length)
        if rng.random() < 0.4:
            burst = np.sin(np.arange(length) * rng.uniform(0.05, 1.5))
        sound[start : start + length] += burst * np.exp(-np.arange(length) / max(1, length / 5)) * rng.uniform(0.2, 1)
    return sound


def noise(rng: np.random.Generator, n: int) -> np.ndarray:
    """`n` samples of some noise, of power 1 on average."""
    sound = (hiss, hiss, tones, tones, knocks)[rng.integers(5)](rng, n)
    if rng.random() < 0.3:
        sound = sound + 0.1 * np.abs(sound).max() * hiss(rng, n) * rng.uniform(0.01, 1)
    if rng.random() < 0.3:
        t = np.arange(n) / RATE
        sound = sound * (1 + np.sin(2 * np.pi * rng.uniform(0.3, 6) * t + rng.uniform(0, 6)))
    return (sound / np.sqrt((sound**2).mean() + 1e-12)).astype(np.float32)


def bank(seed: int, kinds: int = 160, seconds: int = 6) -> list[np.ndarray]:
    """Log-power spectrograms (frames, 80) of so many noises."""
    rng = np.random.default_rng((seed, 77))
    return [features.log_power(noise(rng, seconds * RATE)) for _ in range(kinds)]
