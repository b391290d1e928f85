"""Says in a few words what a chat is about: its model, its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from mmcli import media
    from mmcli.media import Medium
    from mmcli.models import Model


def banner(model: Model, ctx_size: int | None) -> str:
    """`starter: sees · context 2048 tokens · /help`"""
    from mmcli.models import gguf

    header = gguf.read(model.weights)
    n_ctx = ctx_size or header.metadata.get(f"{header.architecture}.context_length")
    senses = [verb for verb, can in (("sees", model.sees), ("hears", model.hears)) if can]
    facts = [" and ".join(senses) or "reads only", f"context {n_ctx} tokens" if n_ctx else "", "/help"]
    return f"{model.name}: " + " · ".join(fact for fact in facts if fact)


def described(medium: Medium) -> str:
    """`two.png, PNG 320×240`"""
    receipt = medium.receipt
    facts = [receipt.format]
    if receipt.kind == "document":
        facts.append(_pages(receipt))
    if receipt.sent_size:
        facts.append("×".join(map(str, receipt.sent_size)))
    if receipt.seconds is not None:
        facts.append(f"{receipt.seconds:.1f} s")
    return f"{named(medium)}, {' '.join(facts)}"


def _pages(receipt: media.Receipt) -> str:
    """`12 pages`, `3 of 12 pages`"""
    from mmcli.media import locator

    pages = f"{receipt.pages} page{'s' * (receipt.pages != 1)}"
    if receipt.locator is None:
        return pages
    n_shown = sum(last - first + 1 for first, last in locator.parse(receipt.locator).pages)
    return f"{n_shown} of {pages}"


def counted(media_: Sequence[Medium]) -> str:
    """`1 picture is`, `50 pictures and 2 sounds are`"""
    words = {"image": "picture", "audio": "sound", "text": "text", "document": "document", "video": "film"}
    kinds = [medium.receipt.kind for medium in media_]
    counts = [(kinds.count(kind), word) for kind, word in words.items() if kind in kinds]
    told = " and ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts)
    return f"{told} {'is' if len(media_) == 1 else 'are'}"


def summed_up(media_: Sequence[Medium]) -> str:
    """`50 pictures, a.jpg … z.jpg`"""
    return f"{counted(media_).rpartition(' ')[0]}, {named(media_[0])} … {named(media_[-1])}"


def named(medium: Medium) -> str:
    """The file's own name: terminals paste whole paths, which say little more and fill the screen."""
    source = medium.receipt.source
    name = os.path.basename(source.rstrip("/")) or source
    return unquote(name) if source.startswith("file://") else name
