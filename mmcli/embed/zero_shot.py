"""Labels as texts of a space, and how likely each is of a picture's vector. Knows no pictures and no files.

Labels are opposed to each other: a sigmoid by itself stays under one half for most pictures that are right (SigLIP).
How likely it is that none of them fits is told by an anchor: what the model says of texts that describe nothing; or,
where a space's sigmoid is a true probability, by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmcli.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmcli.embed.protocol import Space

# open_clip's SIMPLE_IMAGENET_TEMPLATES: seven that are nearly as good as eighty.
TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
ANCHORS = ("a photo", "a picture of something", "an image of something else")


@dataclass(frozen=True)
class Label:
    """A label and the texts that describe it; without any, the templates do."""

    name: str
    texts: tuple[str, ...] = ()

    @property
    def described(self) -> tuple[str, ...]:
        return self.texts or tuple(template.format(self.name) for template in TEMPLATES)


def label_of(text: str) -> Label:
    """`cat` or `cat=a photo of a cat|a kitten`; UsageError where a description is empty."""
    name, equals, rest = text.partition("=")
    texts = tuple(part.strip() for part in rest.split("|")) if equals else ()
    if equals and not all((name.strip(), *texts)):
        raise UsageError(f"`{text}` lacks a label or a description", hint="for example cat=a photo of a cat|a kitten")
    return Label(name.strip(), texts)


def vectors(space: Space, labels: Sequence[Label]) -> NDArray[np.float32]:
    """(n, dim): the mean of each label's descriptions, of unit length."""
    from mmcli.embed.onnx import unit

    described = [label.described for label in labels]
    found = space.texts([text for texts in described for text in texts])
    ends = np.cumsum([len(texts) for texts in described])[:-1]
    return unit(np.stack([part.mean(0) for part in np.split(found, ends)]))


@dataclass(frozen=True)
class ZeroShot:
    """Compares vectors of pictures with labels that were never shown."""

    labels: NDArray[np.float32]  # (n, dim)
    anchors: NDArray[np.float32] | None  # (m, dim); None: the sigmoid of this space is a probability
    scale: float
    bias: float
    multi: bool = False  # several labels may be true: each is opposed to the anchor alone

    def judge(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """Of a vector (dim,): the labels' probabilities (n,), and the probability that one of them fits at all."""
        logits = (self.labels @ picture).astype(np.float64) * self.scale
        nothing = -self.bias if self.anchors is None else float((self.anchors @ picture).max()) * self.scale
        against = 1 / (1 + np.exp(np.clip(nothing - logits, -700, 700)))
        fits = float(against.max())
        if self.multi or len(logits) == 1:
            return against, fits
        weights = np.exp(logits - logits.max())
        return weights / weights.sum(), fits


def zero_shot(space: Space, labels: Sequence[Label], *, multi: bool = False) -> ZeroShot:
    """For these labels; UsageError where one has no words."""
    from mmcli.embed.onnx import unit

    is_true = space.calibrated and space.bias is not None
    anchors = None if is_true else unit(space.texts(ANCHORS))
    return ZeroShot(vectors(space, labels), anchors, space.scale, space.bias or 0.0, multi)
