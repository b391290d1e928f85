"""Pictures → vectors of a space, many of them: decoded in several threads, embedded in batches. Knows no labels' texts.

What a vector means is decided by a `Judge` when it comes out, in microseconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mmcli import media
from mmcli.engine import Answer, Seen, Usage
from mmcli.errors import InputError
from mmcli.jobs import pictures
from mmcli.jobs.classify import UNKNOWN, Classified
from mmcli.jobs.inputs import Named
from mmcli.jobs.task import CacheHit, Done, Items, Kept, ReadAhead

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.embed.protocol import Space

AT_ONCE = 8  # pictures of a batch: more gain nothing on a CPU
LEAST_MARGIN = 0.05  # between the two most likely labels, where abstaining is allowed
LEAST_FIT = 0.5  # that one of the labels fits at all


class Judge(Protocol):
    """Tells labels apart."""

    def judge(self, picture: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """Of a vector (dim,): the labels' probabilities (n,), and that of one of them to fit at all."""
        ...


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture's vector (dim,), and what the model saw of it."""

    vector: NDArray[np.float32]
    seen: Seen


@dataclass(frozen=True)
class Matched(Classified):
    """As a model's labels; `mass` is how likely it is that one of them fits at all."""

    def label(self, abstain: float | None) -> str:
        """The most likely label; `?` where it is less likely than `abstain`, near the second, or none of them fits."""
        label, p = self.ranked[0]
        if abstain is None:
            return label
        is_near = len(self.ranked) > 1 and p - self.ranked[1][1] < LEAST_MARGIN
        return UNKNOWN if p < abstain or is_near or self.mass < LEAST_FIT else label


@dataclass(frozen=True)
class MatchTask:
    """The labels, and whether several of them may be true."""

    labels: tuple[str, ...]
    multi: bool = False

    def matched(self, found: EmbeddedPicture, judge: Judge, by: str) -> Matched:
        """`by`: the model's name."""
        shares, mass = judge.judge(found.vector)
        ranked = sorted(zip(self.labels, shares.tolist(), strict=True), key=lambda pair: -pair[1])
        answer = Answer("", "", "stop", (found.seen,), Usage(), by, None, None, "", 0, 0, 0)
        return Matched(tuple(ranked), mass, answer)


@dataclass(frozen=True)
class EmbedItem:
    """A decoded picture that waits for its vector."""

    named: Named
    key: str | None
    picture: media.Image | None

    def released(self) -> EmbedItem:
        return replace(self, picture=None)


class EmbedWorker:
    """Embeds pictures in batches, as they are decoded."""

    read_ahead = ReadAhead(readers=3, ready=AT_ONCE)
    seconds_before: float | None = None

    def __init__(self, space: Space, *, max_megapixels: float, pages: media.PagesWanted) -> None:
        self._space, self._max_megapixels, self._pages = space, max_megapixels, pages
        self._stop = threading.Event()

    def fetch(self, source: media.Source, stop: threading.Event) -> bytes:
        return media.read(source, stop=stop)

    def open(self, named: Named, data: bytes, stop: threading.Event) -> EmbedItem | CacheHit[EmbeddedPicture]:
        picture = pictures.load(named.source, data, max_megapixels=self._max_megapixels, pages=self._pages)
        if isinstance(picture, Kept):
            return CacheHit(picture)
        if not isinstance(picture, media.Image):
            raise InputError(f"{named.source.shown} is no single picture")
        return EmbedItem(named, None, picture)

    def known(self, item: EmbedItem) -> EmbeddedPicture | Kept | None:
        return None

    def compute(self, items: Items[EmbedItem]) -> Generator[Done[EmbedItem, EmbeddedPicture]]:
        waiting: list[EmbedItem] = []
        for item in items:
            waiting.append(item)
            if len(waiting) == AT_ONCE:
                yield from self._embedded(waiting)
                waiting = []
            if self._stop.is_set():
                return
        if waiting and not self._stop.is_set():
            yield from self._embedded(waiting)

    def _embedded(self, waiting: Sequence[EmbedItem]) -> Generator[Done[EmbedItem, EmbeddedPicture]]:
        since = time.monotonic()
        shown = [item.picture for item in waiting if item.picture is not None]
        vectors = self._space.pictures([picture.pixels for picture in shown])
        seconds = (time.monotonic() - since) / len(waiting)
        for item, picture, vector in zip(waiting, shown, vectors, strict=True):
            seen = Seen(picture.receipt, picture.id, 0, 0, "encoded")
            yield Done(item.released(), EmbeddedPicture(vector, seen), seconds=seconds)

    def share(self, item: EmbedItem, done: EmbedItem, *, is_first: bool) -> EmbeddedPicture | Kept:
        raise AssertionError("equal pictures are embedded each by itself")

    def stop(self) -> None:
        self._stop.set()
