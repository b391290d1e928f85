"""One result of `mmcli find` as a line and as JSON. Prints nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmcli.library.query import FoundPiece


def line(found: FoundPiece) -> str:
    """`SOURCE<TAB>STRENGTH<TAB>WHY`"""
    from mmcli import terminal

    return f"{terminal.escaped(found.source)}\t{strength(found)}\t{why(found)}"


def strength(found: FoundPiece) -> str:
    if found.verified is not None:
        return f"{found.verified:.2f}"
    return "-" if found.z is None else f"{found.z:.1f}"


def why(found: FoundPiece) -> str:
    """When, where, which stretch, which words, and how many others there are: one line."""
    from mmcli import terminal

    parts = [] if found.taken is None else [found.taken[:10]]
    if found.start_ms >= 0:
        parts.append(f"{clock(found.start_ms)}–{clock(found.end_ms)}")
    if found.place:
        parts.append(found.place)
    if found.excerpt:
        parts.append(f"“{found.excerpt}”")
    if found.also:
        parts.append(f"(+{len(found.also)})")
    return terminal.one_line(" ".join(parts))


def clock(ms: int) -> str:
    """`14:32`"""
    seconds = max(ms, 0) // 1000
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def record(rank: int, found: FoundPiece) -> dict[str, Any]:
    """One result as JSON."""
    return {
        "path": os.fsdecode(found.path),
        "source": found.source,
        "strength": found.verified if found.verified is not None else _rounded(found.z, 2),
        "rank": rank,
        "parts": {
            "cosine": _rounded(found.cosine, 5),
            "z": _rounded(found.z, 2),
            "vector_rank": found.vector_rank,
            "words_rank": found.words_rank,
            "verify": found.verified,
        },
        "kind": found.kind,
        "taken": found.taken,
        "place": found.place,
        "camera": found.camera,
        "start": None if found.start_ms < 0 else found.start_ms / 1000,
        "end": None if found.end_ms < 0 else found.end_ms / 1000,
        "page": None if found.page < 0 else found.page,
        "excerpt": found.excerpt or None,
        "also": [os.fsdecode(path) for path in found.also],
        "sha256": found.sha256.hex(),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
