"""The projector, loaded in a thread of its own while the weights load. Knows neither messages nor media.

libmtmd asks the language model only for its vocabulary and its sizes, which llama.cpp reads from the GGUF's header in
a few hundredths of a second: it need not wait for the weights. It keeps pointing at them, so the header lives as long
as the projector.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path

from mmcli.engine import mtmd
from mmcli.engine.messages import First, Message
from mmcli.errors import MmcliError


class Beside:
    """Loads at once, or, where `first` is given, once `needs(header, *first)` says that this question needs it."""

    def __init__(
        self,
        weights: Path,
        first: First | None,
        needs: Callable[[mtmd.Weights, Sequence[Message], bool], bool],
        load: Callable[[mtmd.Weights], mtmd.Projector],
    ) -> None:
        self._path, self._first, self._needs, self._load = weights, first, needs, load
        self._header: mtmd.Weights | None = None
        self._projector: mtmd.Projector | None = None
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self._thread.start()

    def take(self) -> mtmd.Projector | None:
        """The projector, waited for; whoever takes it closes it. None where it was not needed, or did not load."""
        if self._first is not None:
            self._first.cancel()  # nobody told what is asked first, and now it is asked
        self._thread.join()
        projector, self._projector = self._projector, None
        return projector

    def close(self) -> None:
        """Free what was not taken, and the header; what was taken must be closed by now."""
        projector = self.take()
        if projector is not None:
            projector.close()
        if self._header is not None:
            self._header.close()

    def _run(self) -> None:
        try:
            self._header = mtmd.Weights.header(self._path)
            if self._first is None or self._needs(self._header, *self._first.result()):
                self._projector = self._load(self._header)
        except (CancelledError, MmcliError):
            pass  # whoever needs the projector loads it then, and is told what is wrong with it
