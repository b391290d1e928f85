"""What `mmcli index` hands to the library beside vectors: words in pictures, words that are said, captions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmcli.library.pieces import Spoken
    from mmcli.runtime.reporter import Reporter


def reader() -> Callable[[Any], str]:
    """Reads the words of a picture (height, width, 3); the embedded reader is loaded by the first one."""
    lock = threading.Lock()  # it computes with all threads, for one picture at a time
    loaded: list[Any] = []

    def read(pixels: Any) -> str:
        from mmcli.documents.ocr import Reader

        with lock:
            if not loaded:
                loaded.append(Reader())
            return "\n".join(line.text for line in loaded[0].read(pixels))

    return read


def captions() -> Callable[[str], str | None]:
    """The caption that `mmcli caption` has made of a file with these bytes (SHA-256, hex); None where there is none."""
    return lambda sha256: None


def transcriber(yes: bool, reporter: Reporter, stop: threading.Event) -> Callable[[Path], Spoken]:
    """Puts into words what is said in a file, by the speech model."""
    raise NotImplementedError
