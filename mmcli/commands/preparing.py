"""The next question's media, computed while it is typed. Knows when the engine is free; knows no keys and no screen.

An engine does one thing at a time. So who wants to answer calls `settle` first, and who wants to free it `leave`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mmcli.errors import MmcliError

if TYPE_CHECKING:
    from mmcli.commands.running import Loading
    from mmcli.engine import Message, OnProgress, Sampling


class Preparing:
    """At most one beginning of a talk in the making. `on_end` is called, from a thread, when something is ready."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._busy = threading.Lock()  # held while the engine computes
        self._wanted = _Wanted((), ())

    @property
    def is_ready(self) -> bool:
        """Whether all that was asked for last is computed."""
        return self._wanted.is_done

    def begin(self, loading: Loading, messages: Sequence[Message], sampling: Sampling) -> None:
        """Prepare this from now on, as soon as the model is loaded, instead of what was begun before."""
        wanted = _Wanted(tuple(messages), tuple(medium.id for message in messages for medium in message.media))
        before, self._wanted = self._wanted, wanted
        before.end(drop=wanted.ids[: len(before.ids)] != before.ids)
        thread = threading.Thread(target=self._run, args=(loading, wanted, sampling), name="preparing", daemon=True)
        thread.start()

    def drop(self) -> None:
        """What was begun is not wanted any more; it ends soon."""
        self._wanted.end(drop=True)
        self._wanted = _Wanted((), ())

    def settle(self, on_progress: OnProgress | None = None) -> None:
        """Return when the engine is free. The step at work is waited for: the question needs it, or it is an encode."""
        self._wanted.end(drop=False)
        if on_progress is not None and self._busy.locked():
            on_progress("encode", 0, 0)
        with self._busy:
            pass

    def leave(self) -> bool:
        """End for good; False where the engine must not be freed, because an encode goes on: it cannot be given up."""
        self.drop()
        return self._busy.acquire(blocking=False)

    def _run(self, loading: Loading, wanted: _Wanted, sampling: Sampling) -> None:
        try:
            engine = loading.engine()
            with self._busy:
                engine.prepare(wanted.messages, sampling, paused=wanted.paused.is_set, dropped=wanted.dropped.is_set)
                wanted.is_done = not wanted.paused.is_set()
        except (MmcliError, KeyboardInterrupt):
            return  # whoever asks meets it again, and is told
        self._on_end()


class _Wanted:
    """What to prepare, and whether that was given up."""

    def __init__(self, messages: Sequence[Message], ids: Sequence[str]) -> None:
        self.messages, self.ids = messages, ids
        self.paused, self.dropped = threading.Event(), threading.Event()
        self.is_done = False

    def end(self, *, drop: bool) -> None:
        if drop:
            self.dropped.set()
        self.paused.set()
