"""What came out of the virtual loudspeaker, as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def heard_in(path: Path) -> NDArray[np.float32]:
    """(n_samples,) of a recording, which may still go on."""
    data = path.read_bytes()
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768


def seconds_of_sound(samples: NDArray[np.float32]) -> float:
    """How long it was not silent, in blocks of 20 ms."""
    blocks = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    return float((np.abs(blocks).max(axis=1) > 0.01).sum() * 0.02)
