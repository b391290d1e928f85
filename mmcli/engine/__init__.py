"""Messages → pieces. Knows models as files and media as arrays; knows no terminals, no command lines, no downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmcli.engine.messages import (
    Answer,
    FinishReason,
    First,
    Message,
    OnProgress,
    Part,
    Piece,
    Sampling,
    Scores,
    Seen,
    Usage,
)
from mmcli.engine.protocol import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from mmcli.engine.local.engine import LocalEngine
    from mmcli.engine.local.loaded_model import Options

__all__ = [
    "Answer",
    "Engine",
    "FinishReason",
    "First",
    "Message",
    "OnProgress",
    "Part",
    "Piece",
    "Sampling",
    "Scores",
    "Seen",
    "Usage",
    "load",
]


def load(
    weights: Path,
    projector: Path | None = None,
    options: Options | None = None,
    *,
    name: str | None = None,
    on_progress: OnProgress | None = None,
    first: First | None = None,
) -> LocalEngine:
    """Load a model from its GGUF files; ModelError where they are damaged or do not belong together.

    Who knows early what will be asked first, tells it by `first`: loading is quicker then.
    """
    from mmcli.engine.local.engine import LocalEngine

    return LocalEngine(weights, projector, options, name=name, on_progress=on_progress, first=first)
