"""Computes the next question's media while it is typed, when the engine is free. Knows no keys and no screen.

An engine does one thing at a time. So who wants to answer calls `settle` first, and who wants to free it `leave`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mmcli.errors import ContextFull, MmcliError

if TYPE_CHECKING:
    from mmcli.engine import Engine, Message, OnProgress, Sampling
    from mmcli.runtime.model_loader import Loading


class Preparing:
    """At most one beginning of a talk in the making. `on_end` is called, from a thread, when something is ready."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._busy = threading.Lock()  # held while the engine computes
        self._wanted: _Wanted | None = None

    @property
    def is_ready(self) -> bool:
        """Whether all that was asked for last is computed."""
        return self._wanted is not None and self._wanted.is_done

    @property
    def is_too_much(self) -> bool:
        """Whether what was asked for last has no room in the context."""
        return self._wanted is not None and self._wanted.is_too_much

    def begin(self, loading: Loading, messages: Sequence[Message], sampling: Sampling) -> None:
        """Prepare this from now on, as soon as the model is loaded, instead of what was begun before.

        Nothing is begun where the media are the same as before: what there is to do was done.
        """
        wanted, before = _Wanted(loading, messages), self._wanted
        if before is not None:
            if wanted.key == before.key:
                return
            before.end(drop=wanted.key[: len(before.key)] != before.key)
        self._wanted = wanted
        if wanted.has_media:
            threading.Thread(target=self._run, args=(wanted, sampling), name="preparing", daemon=True).start()

    def warm(self, engine: Engine) -> None:
        """Load what a medium will need, while it is decoded itself."""

        def load() -> None:
            with self._busy, contextlib.suppress(MmcliError):  # whoever asks meets it again, and gets the error
                engine.warm()

        threading.Thread(target=load, name="warming", daemon=True).start()

    def drop(self) -> None:
        """What was begun is not wanted any more; it ends soon."""
        if self._wanted is not None:
            self._wanted.end(drop=True)
        self._wanted = None

    def settle(self, on_progress: OnProgress | None = None) -> None:
        """Return when the engine is free. The step at work is waited for: the question needs it, or it is an encode."""
        if self._wanted is not None:
            self._wanted.end(drop=False)
            if not self._wanted.is_done:
                self._wanted = None  # where the answer is interrupted, `begin` goes on with it
        if on_progress is not None and self._busy.locked():
            on_progress("encode", 0, 0)
        with self._busy:
            pass

    def leave(self) -> bool:
        """End for good; False where the engine must not be freed, because an encode goes on: it cannot be given up."""
        self.drop()
        return self._busy.acquire(blocking=False)

    def _run(self, wanted: _Wanted, sampling: Sampling) -> None:
        try:
            engine = wanted.loading.engine()
            with self._busy:
                engine.prepare(wanted.messages, sampling, paused=wanted.paused.is_set, dropped=wanted.dropped.is_set)
                wanted.is_done = not wanted.paused.is_set()
        except ContextFull:
            wanted.is_too_much = True  # it is reported before anybody asks
        except (MmcliError, KeyboardInterrupt):
            return  # whoever asks meets it again, and gets the error
        self._on_end()


class _Wanted:
    """What to prepare, by which model, and whether that was given up."""

    def __init__(self, loading: Loading, messages: Sequence[Message]) -> None:
        self.loading, self.messages = loading, tuple(messages)
        media = [medium.id for message in messages for medium in message.media]
        system = [message.parts for message in messages if message.role == "system"]
        self.key = (loading, system, *media)
        self.has_media = bool(media)
        self.paused, self.dropped = threading.Event(), threading.Event()
        self.is_done = self.is_too_much = False

    def end(self, *, drop: bool) -> None:
        if drop:
            self.dropped.set()
        self.paused.set()
