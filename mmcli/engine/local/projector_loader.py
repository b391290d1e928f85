"""Loads the projector, and encodes the first media, while the weights load.

libmtmd asks the language model only for its vocabulary and its sizes, which llama.cpp reads from the GGUF's header in
a few hundredths of a second: neither loading nor encoding waits for the weights. The projector keeps pointing at the
header, which therefore lives as long. Knows neither messages nor media.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, NamedTuple

from mmcli.engine.local import mtmd
from mmcli.engine.messages import First, Message
from mmcli.errors import MmcliError


class Encoded(NamedTuple):
    """One slice of a medium: media ID and number among its slices, bytes, and a pointer to the embeddings."""

    key: tuple[str, int]
    n_bytes: int
    embeddings: Any


class ProjectorLoader:
    """Loads at once where that `is_sure` to be needed, else once `needs(header, *first)` says so; then encodes."""

    def __init__(
        self,
        weights: Path,
        first: First,
        *,
        is_sure: bool,
        needs: Callable[[mtmd.Weights, Sequence[Message], bool], bool],
        load: Callable[[mtmd.Weights], mtmd.Projector],
        encode: Callable[[mtmd.Weights, mtmd.Projector, Sequence[Message], bool], list[Encoded]],
    ) -> None:
        self._path, self._first, self._is_sure = weights, first, is_sure
        self._needs, self._load, self._encode = needs, load, encode
        self._header: mtmd.Weights | None = None
        self._projector: mtmd.Projector | None = None
        self._is_loaded = threading.Event()
        self._encoded: list[Encoded] = []
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self._thread.start()

    def take(self) -> mtmd.Projector | None:
        """The projector, waited for; the caller closes it. None where it was not needed, or did not load.

        Until `encoded` returns, it may still be encoding: it can tokenize meanwhile, but not be closed.
        """
        self._first.cancel()  # if nobody told what is asked first: now it is asked
        self._is_loaded.wait()
        projector, self._projector = self._projector, None
        return projector

    def encoded(self) -> list[Encoded]:
        """What was encoded, waited for; returned once."""
        self.settle()
        encoded, self._encoded = self._encoded, []
        return encoded

    def settle(self) -> None:
        """Return when nothing is encoded any more: until then no other thread may encode."""
        self._first.cancel()
        self._thread.join()

    def close(self) -> None:
        """Free what was not taken, and the header; what was taken must be closed by now."""
        self.encoded()
        projector = self.take()
        if projector is not None:
            projector.close()
        if self._header is not None:
            self._header.close()

    def _run(self) -> None:
        try:
            header = self._header = mtmd.Weights.header(self._path)
            if self._is_sure or self._needs(header, *self._first.result()):
                projector = self._projector = self._load(header)
                self._is_loaded.set()
                self._encoded = self._encode(header, projector, *self._first.result())
        except (CancelledError, MmcliError):
            pass  # whoever needs it loads or encodes it then, and gets the error
        finally:
            self._is_loaded.set()
