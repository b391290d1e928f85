"""Keyframes of a film -> the moments that stand for its scenes. Looks at small copies; knows no files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmcli.media.film_reader import Shot

SIDE = 64  # pixels: what a frame is scaled to
CUT = 0.12  # from 0 to 1: frames that differ by more belong to different scenes
SHORTEST = 1.0  # seconds of a scene; what is shorter belongs to the one before
BINS = 8  # of the histogram, for each colour


def scenes(shots: Iterable[Shot], begin: float, end: float) -> list[float]:
    """The time of the keyframe in the middle of each scene of a stretch; in order."""
    found: list[list[float]] = []
    before: NDArray[np.float32] | None = None
    for shot in shots:
        small = np.asarray(shot.frame.reformat(SIDE, SIDE, "rgb24").to_ndarray(), np.float32) / np.float32(255)
        is_cut = before is None or _difference(before, small) > CUT
        if is_cut and (not found or shot.time - found[-1][0] >= SHORTEST):
            found.append([])
        found[-1].append(shot.time)
        before = small
    return [times[len(times) // 2] for times in found]


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """From 0 (equal) to 1: how much of the colours is elsewhere, and how much of each place has another colour."""
    places = float(np.abs(one - other).mean())
    histograms = [
        np.stack([np.histogram(picture[..., c], BINS, (0, 1))[0] for c in range(3)]) for picture in (one, other)
    ]
    colours = float(np.abs(histograms[0] - histograms[1]).sum()) / (2 * 3 * SIDE * SIDE)
    return 0.5 * (places + colours)
