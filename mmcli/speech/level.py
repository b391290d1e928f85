"""How loud it is, in decibels below full scale. Knows numbers only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR = -90.0  # dBFS: digital silence, and what is as good as it


def level(samples: NDArray[np.float32]) -> float:
    """Root mean square of (n_samples,) samples in dBFS, FLOOR … 0."""
    mean = float(np.mean(np.square(samples))) if len(samples) else 0.0
    return max(FLOOR, min(0.0, 10 * float(np.log10(mean)))) if mean > 0 else FLOOR
