"""Prepares requests in one thread while others are answered. Knows neither llama.cpp nor what a request is.

Whoever gives the requests may block (a picture is being read), so they are taken here, in a thread of their own: never
more than were allowed, so that a hundred thousand of them wait where they are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

LOOK_UP = 0.1  # seconds between two looks whether the user wants to stop


Request = TypeVar("Request")
Ready = TypeVar("Ready")


class Lookahead(Generic[Request, Ready]):
    """Takes from `requests` what `allow` allows, hands it to `prepare(index, request)`, keeps what comes out."""

    def __init__(self, requests: Iterable[Request], prepare: Callable[[int, Request], Ready]) -> None:
        self._requests, self._prepare = requests, prepare
        self._changed = threading.Condition()
        self._working = threading.Lock()  # held while `prepare` runs
        self._allowed = 0
        self._ready: deque[Ready] = deque()
        self._finished = self._closed = False
        self._failure: BaseException | None = None
        # A daemon: nothing can end a `next` that blocks for ever, and the process must not wait for it.
        threading.Thread(target=self._run, name="mmcli-ahead", daemon=True).start()

    def allow(self, more: int) -> None:
        """Let so many more requests be taken."""
        with self._changed:
            self._allowed += more
            self._changed.notify_all()

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more to come; raises what ended the requests, if they did not end by themselves."""
        with self._changed:
            if not self._finished or self._ready:
                return False
            if self._failure is not None:
                raise self._failure
            return True

    def get(self, *, wait: bool, given_up: Callable[[], bool]) -> Ready | None:
        """The next one that is ready; None when there is none (now, or with `wait` at all) or `given_up` says so."""
        with self._changed:
            while wait and not (self._ready or self._finished or given_up()):
                self._changed.wait(LOOK_UP)
            return self._ready.popleft() if self._ready else None

    def waiting(self) -> list[Ready]:
        """Those that are ready now, the next one first; they stay."""
        with self._changed:
            return list(self._ready)

    def close(self) -> list[Ready]:
        """Take no more, wait for the `prepare` that runs, and return what nobody got."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        with self._working:
            left = list(self._ready)
            self._ready.clear()
            return left

    def _run(self) -> None:
        try:
            requests = iter(self._requests)
            index = 0
            while self._may_take():
                try:
                    request = next(requests)
                except StopIteration:
                    break
                with self._working:
                    if self._closed:
                        break
                    ready = self._prepare(index, request)
                    with self._changed:
                        self._ready.append(ready)
                        self._changed.notify_all()
                del request, ready
                index += 1
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _may_take(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._allowed > 0 or self._closed)
            self._allowed -= 1
            return not self._closed
