"""A classifier from examples: vectors of pictures whose labels are known, in closed form. Knows no files.

Up to four examples a label: the mean of each label's, helped by the vector of its name (the two kinds of vectors lie
apart, so cosines are added and not vectors). More: ridge regression on all, each label against the others. What it is
worth is measured by leaving each example out once, and the temperature of the probabilities is chosen by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW = 4  # examples of a label, up to which means are better
NAME = 0.3  # share of a label's name in the score
RIDGES = (0.01, 0.1, 1.0, 10.0)
TEMPERATURES = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
STRANGE = 1.0  # per cent of the examples whose best score is lower than what is taken for a picture of none


@dataclass(frozen=True)
class Probe:
    """Scores are `picture @ weights + offsets`; `accuracy` is that of the examples, each left out once."""

    how: Literal["means", "ridge"]
    weights: NDArray[np.float64]  # (dim, n)
    offsets: NDArray[np.float64]  # (n,)
    temperature: float
    least: float  # a best score below it is of no label
    accuracy: float

    def judge(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """As zero_shot.ZeroShot's; that a label fits at all is 1 or 0 here."""
        scores = picture.astype(np.float64) @ self.weights + self.offsets
        return softmax(scores[None] * self.temperature)[0], float(scores.max() >= self.least)


def fit(
    examples: Sequence[NDArray[np.float32]], labels: Sequence[int], n: int, names: NDArray[np.float32] | None = None
) -> Probe:
    """Of m vectors (dim,) and the label (0 to n - 1) of each; `names` (n, dim): the vectors of the labels' names."""
    truth = np.array(labels)
    most = int(np.bincount(truth, minlength=n).max())
    x = np.stack(examples).astype(np.float64)
    return _means(x, truth, n, names) if most <= FEW else _ridge(x, truth, n)


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    out: NDArray[np.float64] = weights / weights.sum(-1, keepdims=True)
    return out


def _means(x: NDArray[np.float64], truth: NDArray[np.int64], n: int, names: NDArray[np.float32] | None) -> Probe:
    members = np.eye(n)[truth]  # (m, n)
    sums = members.T @ x  # (n, dim)
    named = names is not None
    share = NAME if named else 0.0
    text = names.astype(np.float64) if names is not None else np.zeros_like(sums)
    left_out = np.empty((len(x), n))
    for i, vector in enumerate(x):
        without = sums.copy()
        without[truth[i]] -= vector
        left_out[i] = (1 - share) * _unit(without) @ vector + share * text @ vector
    weights = (1 - share) * _unit(sums) + share * text
    return _measured("means", weights.T, np.zeros(n), left_out, truth)


def _ridge(x: NDArray[np.float64], truth: NDArray[np.int64], n: int) -> Probe:
    """Leaving one out needs no second fit: (prediction - h · target) / (1 - h), h the diagonal of the hat matrix."""
    centre, y = x.mean(0), 2 * np.eye(n)[truth] - 1
    u, s, vt = np.linalg.svd(x - centre, full_matrices=False)
    mean = y.mean(0)
    best: tuple[float, float, NDArray[np.float64], NDArray[np.float64]] | None = None
    for ridge in RIDGES:
        shrink = s**2 / (s**2 + ridge)
        fitted = u @ (shrink[:, None] * (u.T @ (y - mean))) + mean
        hat = ((u**2) @ shrink + 1 / len(x))[:, None]
        left_out = (fitted - hat * y) / np.maximum(1 - hat, 1e-6)
        right, error = float((left_out.argmax(1) == truth).mean()), float(((left_out - y) ** 2).mean())
        if best is None or (right, -error) > best[:2]:
            weights = vt.T @ ((s / (s**2 + ridge))[:, None] * (u.T @ (y - mean)))
            best = right, -error, weights, left_out
    assert best is not None
    return _measured("ridge", best[2], mean - centre @ best[2], best[3], truth)


def _measured(
    how: Literal["means", "ridge"],
    weights: NDArray[np.float64],
    offsets: NDArray[np.float64],
    left_out: NDArray[np.float64],
    truth: NDArray[np.int64],
) -> Probe:
    def likely(temperature: float) -> float:
        p = softmax(left_out * temperature)[np.arange(len(truth)), truth]
        return float(np.log(np.maximum(p, 1e-12)).mean())

    temperature = max(TEMPERATURES, key=likely)
    least = float(np.percentile(left_out.max(1), STRANGE)) if len(truth) >= 20 else -np.inf
    accuracy = float((left_out.argmax(1) == truth).mean())
    return Probe(how, weights, offsets, temperature, least, accuracy)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return out
