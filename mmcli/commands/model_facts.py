"""What `mmcli models` and `mmcli show` both say of a model: its size, whether it fits, its licence. Prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmcli.models import EmbeddingEntry, Entry, Fit, Room, SpeechEntry


def total(entry: Entry | SpeechEntry | EmbeddingEntry) -> int | None:
    """All files together, where their sizes are known or were recorded."""
    from mmcli import models as known

    sizes = known.file_sizes(entry)
    return None if None in sizes else sum(size for size in sizes if size)


def speech_fit(n_bytes: int | None, room: Room) -> Fit | None:
    """Whether a speech or an embedding model fits the memory; whether it would run on a GPU is not known yet."""
    from mmcli.models import Room as Free
    from mmcli.models import memory

    return memory.judge(memory.of_speech(n_bytes), Free(room.memory)) if n_bytes else None


def with_license(facts: dict[str, Any]) -> dict[str, Any]:
    """`license`, as the Hub spells it, beside `licence`, which scripts may read."""
    return facts | {"license": facts["licence"]} if "licence" in facts else facts
