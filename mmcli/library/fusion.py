"""Two orders of pieces, by vector and by words, made into one; and how much a score stands out. Arithmetic alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RRF = 60  # reciprocal rank fusion: Cormack, Clarke, Büttcher 2009
STANDS_OUT = 4.0  # robust z of the best score, below which nothing stands out
FEW = 20  # scores, below which nothing is said of that
_MAD = 1.4826  # of a normal distribution, standard deviation / median absolute deviation
_SAMPLE = 4096


def fused(orders: Sequence[tuple[Sequence[int], Mapping[int, float] | float]]) -> list[tuple[int, float]]:
    """Pieces by the sum of weight / (60 + rank), the best first; an order has one weight, or one a piece."""
    sums: dict[int, float] = {}
    for pieces, weight in orders:
        for rank, piece in enumerate(pieces, 1):
            own = weight if isinstance(weight, float) else weight[piece]
            sums[piece] = sums.get(piece, 0.0) + own / (RRF + rank)
    return sorted(sums.items(), key=lambda item: (-item[1], item[0]))


def spread(scores: NDArray[np.float32]) -> tuple[float, float]:
    """Median and scaled median absolute deviation of a query's scores, of a sample where there are many."""
    if not len(scores):
        return 0.0, 1.0
    some = scores[:: max(1, len(scores) // _SAMPLE)]
    middle = float(np.median(some))
    width = _MAD * float(np.median(np.abs(some - middle)))
    return middle, max(width, 0.1 * float(some.std()), 1e-6)  # half of the scores may be equal


def strength(score: float, middle_and_width: tuple[float, float]) -> float:
    """By how many widths a score lies above the middle: the same for every query and every model."""
    return (score - middle_and_width[0]) / middle_and_width[1]
