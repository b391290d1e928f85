"""Chooses the moments of a film that a model gets, and how they are stamped. Arithmetic only: opens no file."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmcli.media.wanted import FilmRecipe, FilmWanted

BRIEF = 0.1001  # seconds: a stretch that is not longer is one moment
PAIR_GAP = 0.5  # seconds between the two frames of a pair: models that take pairs were trained at 2 frames a second
MOST_BY_FPS = 768  # frames of one film, whatever --fps asks for: as many as any model was trained on


@dataclass(frozen=True)
class Slot:
    """One place in the prompt: a moment of the film, and the part of it that the moment stands for, in seconds."""

    target: float
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


def budget(wanted: FilmWanted) -> int:
    """How many slots there may be at most where nobody asked for a number of frames: the recipe's, or what fits."""
    recipe = wanted.recipe
    most = max(1, recipe.frames // recipe.frames_per_slot)
    if wanted.room is None or not recipe.tokens:
        return most
    return max(1, min(most, wanted.room // recipe.tokens))


def n_slots(wanted: FilmWanted, seconds: float) -> int:
    """How many slots a stretch of so many seconds gets."""
    if seconds <= BRIEF:
        return 1
    each = wanted.recipe.frames_per_slot
    if wanted.frames is not None:
        return max(1, math.ceil(wanted.frames / each))
    if wanted.fps is not None:
        return max(1, min(round(seconds * wanted.fps / each), MOST_BY_FPS // each))
    return budget(wanted)


def uniform(begin: float, end: float, n: int) -> list[Slot]:
    """`n` equal parts of a stretch, each with its centre."""
    step = (end - begin) / n
    return [Slot(begin + (i + 0.5) * step, begin + i * step, begin + (i + 1) * step) for i in range(n)]


def snapped(slots: Sequence[Slot], keyframes: Sequence[float]) -> list[float | None]:
    """For each slot the keyframe nearest to its target inside its part; None where the part has none."""
    found: list[float | None] = []
    for slot in slots:
        inside = keyframes[bisect.bisect_left(keyframes, slot.begin) : bisect.bisect_left(keyframes, slot.end)]
        found.append(min(inside, key=lambda time: abs(time - slot.target), default=None))
    return found


def thinned(times: Sequence[float], n: int) -> list[float]:
    """At most `n` of the times, evenly chosen."""
    if len(times) <= n:
        return list(times)
    return [times[int((i + 0.5) * len(times) / n)] for i in range(n)]


def around(times: Sequence[float], begin: float, end: float) -> list[Slot]:
    """The times as slots; each stands for what is nearer to it than to its neighbours."""
    edges = [begin, *((a + b) / 2 for a, b in zip(times, times[1:], strict=False)), end]
    return [Slot(time, edges[i], edges[i + 1]) for i, time in enumerate(times)]


def gap(slot: Slot) -> float:
    """Seconds between the two frames of a slot that takes a pair."""
    return min(PAIR_GAP, slot.seconds / 2)


def intro(recipe: FilmRecipe, n_frames: int, seconds: float) -> str:
    """What stands before the first frame; "" where the model expects nothing there."""
    if not recipe.intro:
        return ""
    return recipe.intro.replace("{frames}", str(n_frames)).replace("{duration}", _hours(seconds))


def stamp(recipe: FilmRecipe, times: Sequence[float], number: int) -> str:
    """What stands before a slot, the `number`-th from 1, whose frames lie at these times."""
    mean = sum(times) / len(times)
    minutes, seconds = divmod(int(mean), 60)
    known = {
        "seconds": f"{mean:.1f}",
        "clock": f"{minutes:02}:{seconds:02}",
        "number": str(number),
    }
    words = recipe.stamp
    for name, value in known.items():
        words = words.replace("{" + name + "}", value)
    return words.lstrip(" \n") if number == 1 else words


def _hours(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
