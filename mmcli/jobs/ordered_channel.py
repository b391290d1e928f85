"""A bounded, closable queue ordered by rank."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """`put` waits for a place and `get` for an item; after `close` neither waits, and what was put can still be had.

    Of the items that are there, the one of least `rank` comes first; one that would come first waits for no place.
    """

    def __init__(self, size: int, rank: Callable[[T], int]) -> None:
        self._items: list[T] = []
        self._size, self._rank = size, rank
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T) -> None:
        """Hand an item over; it is dropped where the channel is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._items) < self._size or self._closed or self._rank(item) < self._least()
            )
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()

    @property
    def least(self) -> int | None:
        """The rank of the next item, where there is one now."""
        with self._changed:
            return self._least() if self._items else None

    def _least(self) -> int:
        return min(map(self._rank, self._items))

    def wait(self) -> bool:
        """Whether there is an item, as soon as there is one; False when it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            return bool(self._items)

    def get(self) -> T | None:
        """The next item; None when it is closed and empty."""
        with self._changed:
            if not self.wait():
                return None
            self._changed.notify_all()
            return self._items.pop(min(range(len(self._items)), key=lambda i: self._rank(self._items[i])))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
