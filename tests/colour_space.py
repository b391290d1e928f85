"""A small deterministic `Space` for tests: the colours of a picture, and words that name colours. No model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

COLOURS = {
    "red": (230, 30, 30),
    "green": (30, 180, 60),
    "blue": (30, 60, 230),
    "yellow": (240, 220, 40),
    "purple": (150, 40, 180),
    "white": (250, 250, 250),
    "black": (10, 10, 10),
}
TINT = 0.05  # how much of a vector is the layout of the picture, so that no two are equal


class ColourSpace:
    """dim 16: how near the picture is to each colour, and a few numbers of its layout."""

    name, dim, side, scale = "colours", 16, 32, 10.0
    bias: float | None = -10.0
    calibrated = False
    runs_on = "CPU, 1 thread"

    def __init__(self, seed: str = "colours") -> None:
        self.identity = hashlib.sha256(seed.encode()).digest()
        self.n_pictures = self.n_texts = 0
        self.is_closed = False

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.n_pictures += len(pictures)
        return np.stack([self._picture(picture) for picture in pictures])

    def _picture(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        small = picture[:: max(1, len(picture) // 32), :: max(1, picture.shape[1] // 32)].astype(np.float32)
        flat = small.reshape(-1, 3)
        near = [np.exp(-np.abs(flat - colour).mean(axis=1) / 12).mean() for colour in COLOURS.values()]
        cells = [part.mean() / 255 for row in np.array_split(small, 3) for part in np.array_split(row, 3, axis=1)]
        return _unit(np.array([*near, *(TINT * np.array(cells))], np.float32))

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.n_texts += len(texts)
        return np.stack([self._text(text) for text in texts])

    def _text(self, text: str) -> NDArray[np.float32]:
        vector = np.full(self.dim, 0.01, np.float32)
        for place, name in enumerate(COLOURS):
            vector[place] += name in text.lower().split()
        return _unit(vector)

    def canary(self) -> NDArray[np.float32]:
        return self._text("red blue")

    def close(self) -> None:
        self.is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
