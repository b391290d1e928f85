"""What a phrase claims of a picture, and for which of many pictures that is so. Knows no words and no pixels.

A pair of picture and phrase is decided by the facts of the scene, so there are no false negatives: with some hundred
possible phrases, most phrases of a batch fit more than one of its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.pictures import COLORS, KINDS, SHAPES, Picture, thirds

Array = np.ndarray


@dataclass(frozen=True)
class Part:
    """So many things of a shape and colour; None is any. `n` None: at least one."""

    color: int | None = None
    shape: int | None = None
    n: int | None = None


@dataclass(frozen=True)
class Claim:
    """All parts are there. `alone`: and nothing else; `place`: (row, column) of the first, each 0 to 2 or None.

    `kind`: the picture is one of that kind, and there are no parts; `background`: its colour; `absurd`: never true.
    """

    parts: tuple[Part, ...] = ()
    alone: bool = False
    place: tuple[int | None, int | None] | None = None
    background: int | None = None
    kind: str | None = None
    absurd: bool = False


@dataclass
class Facts:
    """What is on n pictures."""

    counts: Array  # (n, colours, shapes) uint8
    places: Array  # (n, rows, columns, colours, shapes) bool
    backgrounds: Array  # (n,) the colour, or -1 where it has no plain name
    kinds: Array  # (n,) index into KINDS

    def __getitem__(self, at: Array | slice) -> Facts:
        return Facts(self.counts[at], self.places[at], self.backgrounds[at], self.kinds[at])

    def __len__(self) -> int:
        return len(self.kinds)


def of_pictures(pictures: Sequence[Picture]) -> Facts:
    counts = np.zeros((len(pictures), len(COLORS), len(SHAPES)), np.uint8)
    places = np.zeros((len(pictures), 3, 3, len(COLORS), len(SHAPES)), bool)
    for i, picture in enumerate(pictures):
        for thing in picture.things:
            color, shape = COLORS.index(thing.color), SHAPES.index(thing.shape)
            counts[i, color, shape] += 1
            places[(i, *thirds(picture, thing), color, shape)] = True
    names = [COLORS.index(p.background) if p.background else -1 for p in pictures]
    return Facts(counts, places, np.array(names), np.array([KINDS.index(p.kind) for p in pictures]))


def joined(parts: Sequence[Facts]) -> Facts:
    fields = ("counts", "places", "backgrounds", "kinds")
    return Facts(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def holds(claim: Claim, facts: Facts) -> Array:
    """(n,) float32: 1 where the claim is true, 0 where it is not, nan where the facts do not tell."""
    n = len(facts)
    if claim.absurd:
        return np.zeros(n, np.float32)
    if claim.kind is not None:
        true = (facts.kinds == KINDS.index(claim.kind)).astype(np.float32)
        if claim.kind == "text":
            true[facts.kinds == KINDS.index("foreign")] = np.nan  # screenshots and charts hold text, too
        return true
    true = np.ones(n, bool)
    for part in claim.parts:
        found = _select(facts.counts, part).sum((-2, -1), dtype=np.int64)
        true &= found >= 1 if part.n is None else found == part.n
    if claim.alone:
        total = facts.counts.sum((-2, -1), dtype=np.int64)
        true &= total == sum(part.n or 1 for part in claim.parts)
    if claim.place is not None:
        row, column = (slice(None) if at is None else slice(at, at + 1) for at in claim.place)
        true &= _select(facts.places[:, row, column], claim.parts[0]).any((1, 2, 3, 4))
    out = true.astype(np.float32)
    if claim.background is not None:
        out *= facts.backgrounds == claim.background
        out[(facts.backgrounds < 0) & true] = np.nan
    return out


def _select(table: Array, part: Part) -> Array:
    color = slice(None) if part.color is None else slice(part.color, part.color + 1)
    shape = slice(None) if part.shape is None else slice(part.shape, part.shape + 1)
    return table[..., color, shape]
